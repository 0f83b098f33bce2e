"""Speech corpora to lhotse manifests.

``data_prep.layouts.read`` takes a corpus in any layout known here; ``data_prep.manifest`` writes the result.
Neither is imported at this level: lhotse takes a second to load, and ``data-prep --help`` should not.
"""

MAX_SECONDS = 35.0  # utterances above it are dropped by default: a batch is padded to its longest one
