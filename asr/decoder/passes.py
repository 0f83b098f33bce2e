"""What goes into both passes and what comes out: the words before, and what is made of a chunk."""

from dataclasses import dataclass

import numpy as np

from asr.decoder.hypothesis import Hypothesis
from lm.lstm.model import LstmState


@dataclass(frozen=True)
class Context:
    """What was said before a segment, for the language models to go on from."""

    words: tuple[str, ...] = ()  # of the sentence that goes on
    lstm: LstmState | None = None  # None: nothing was said


NOTHING_SAID = Context()


@dataclass(frozen=True)
class Decoded:
    """What both passes make of a chunk."""

    frames: int
    hypotheses: list[Hypothesis]  # best first
    confidences: list[float]  # of the words of the best
    context: Context  # of what follows
    left: np.ndarray  # emissions [t, units] after a seam, which what follows begins with
