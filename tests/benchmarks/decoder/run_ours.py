"""Times asr.decoder for peers.py.

It gives the best hypothesis alone, as the others do. Those that share a place in the beam are not added, for the others
add the CTC paths of the same words only.
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from corpus import search_like
from measure import Decode, Prepared, Problem, measure

from asr.recognizer import Recognizer


def prepare(problem: Problem) -> Prepared:
    search = Recognizer(Path(problem.model)).search
    blank = np.exp(np.concatenate(problem.emissions)[:, 0])
    skipped = float((blank >= search.config.skip_blank).mean())
    fixed = {"nbest": 1, "add": False}

    def decoder(beam: int) -> Decode:
        sized = search_like(search, fixed | {"size": beam})
        return lambda log_probs: sized.decode(log_probs)[0].text

    settings = asdict(search.config) | fixed | {"frames skipped as blank": f"{100 * skipped:.1f} %"}
    del settings["size"]  # which is the beam
    return decoder, settings


measure(prepare)
