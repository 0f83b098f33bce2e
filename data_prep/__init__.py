"""Speech corpora to lhotse manifests.

``data_prep.layouts.read`` takes a corpus in any layout known here; ``data_prep.manifest`` writes the result.
Neither is imported at this level: lhotse takes a second to load, and ``data-prep --help`` should not.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

from lm.front import lazy

if TYPE_CHECKING:
    __version__: str
else:
    __getattr__, __dir__ = lazy(__name__, {})

MAX_SECONDS = 35.0  # utterances above it are dropped by default: a batch is padded to its longest one


class Kind(StrEnum):
    """What two utterances can have in common."""

    speaker = "speaker"
    sentence = "sentence"  # all its words, normalised
    recording = "recording"  # its id
    audio = "audio"  # the bytes of its file, whatever its id
    chapter = "chapter"  # of LibriSpeech: one reader's recording of a chapter
    book = "book"  # by its number at Project Gutenberg, whoever reads it
