"""How sure a recognised word is: what both passes say, and how often words of which they say so are right."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.decoder.hypothesis import Hypothesis, Weights
from lm.settings import NotNegative, Number

NEARLY_SURE = 1e-5  # how near opinions come to 0 and 1: beyond it is what rounding leaves


@dataclass(frozen=True)
class Calibration:
    """A logistic regression of whether a word is right; `asr calibrate` stores it in the bundle.

    Behind the bias are the weights of the columns of `evidence`, in their order. What either pass says of a word
    can't count against it.
    """

    bias: Number
    both: NotNegative  # the mean of both passes' opinions of the word, as log odds
    listed: NotNegative  # the second pass's, as log odds
    segment: NotNegative  # the mean of `both` over the segment: unfamiliar speakers and rooms show in all its words
    ngram: Number  # log P of the word by the n-gram
    acoustic: Number  # log-prob of the segment's best hypothesis, for each frame of its words

    def probabilities(self, evidence: np.ndarray) -> np.ndarray:
        """How probable it is that each word is right, float64 [words], from `evidence` [words, 5]."""
        bias, *weights = astuple(self)
        return 0.5 + 0.5 * np.tanh((bias + (evidence * weights).sum(1)) / 2)  # which is 1 / (1 + exp(-x)) for any x


@dataclass(frozen=True)
class Calibrations:
    """Those of a bundle's acoustic models, by name; None: what the passes say is taken as it is."""

    acoustic: Calibration | None = None
    streaming: Calibration | None = None


def confidences(nbest: Sequence[Hypothesis], weights: Weights, calibration: Calibration | None = None) -> list[float]:
    """How sure each word of the best hypothesis is, 0..1; with a calibration how probable it is that it is right."""
    sure = calibration.probabilities(evidence(nbest, weights)) if calibration else opinions(nbest, weights)[1]
    return [float(value) for value in sure]


def opinions(nbest: Sequence[Hypothesis], weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """What the second pass says of each word of the best hypothesis, and the mean of that and what the first says.

    The first pass says how probable the word is among all hypotheses of its lattice (if it kept count, see BeamConfig),
    the second the share of the list's probability that has the word in its place. float64 [words] both.
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
    return in_place.clip(0, 1), ((in_place + posteriors) / 2).clip(0, 1)


def evidence(nbest: Sequence[Hypothesis], weights: Weights) -> np.ndarray:
    """What is known of each word of the best hypothesis, float64 [words, 5]; Calibration says what the columns are.

    The hypotheses need their times and `word_ngrams`. Nothing beyond the segment counts, so that streams have it, too.
    """
    best = nbest[0]
    if not best.words:
        return np.zeros((0, 5))
    listed, both = (_log_odds(opinion) for opinion in opinions(nbest, weights))
    acoustic = best.acoustic / max(1, sum(end - start for start, end in best.times))
    same = np.ones(len(best.words))
    return np.column_stack([both, listed, both.mean() * same, best.word_ngrams[:-1], acoustic * same])


def _log_odds(share: np.ndarray) -> np.ndarray:
    share = share.clip(NEARLY_SURE, 1 - NEARLY_SURE)
    return np.asarray(np.log(share / (1 - share)))
