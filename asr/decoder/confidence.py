"""How sure a recognised word is."""

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.decoder.hypothesis import Hypothesis, Weights


def confidences(nbest: Sequence[Hypothesis], weights: Weights) -> list[float]:
    """How sure each word of the best hypothesis is: the mean of what both passes say.

    The first pass says how probable the word is among all hypotheses of its lattice (if it kept count, see BeamConfig),
    the second the share of the list's probability that has the word in its place.
    """
    best = nbest[0]
    totals = np.array([hypothesis.total(weights) for hypothesis in nbest])
    shares = np.exp(totals - np.logaddexp.reduce(totals))
    in_place = np.zeros(len(best.words))
    for hypothesis, share in zip(nbest, shares, strict=True):
        for block in Levenshtein.opcodes(best.words, hypothesis.words):
            if block.tag == "equal":
                in_place[block.src_start : block.src_end] += share
    posteriors = np.array(best.posteriors) if best.posteriors else in_place
    return [float(value) for value in ((in_place + posteriors) / 2).clip(0, 1)]
