"""Finds how often words are right of which a recogniser is so and so sure, on recordings with known text."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from lhotse.cut import Cut

from asr.audio.reading import load_cut
from asr.decoder.confidence import Calibration, Calibrations, evidence
from asr.evaluation.errors import ConfidenceQuality, judged, right_words
from asr.recognizer import Recognizer
from asr.training.tune import parts
from lm.bundle import open_bundle, write_bundle
from lm.progress import progress_bar

FOLDS = 2
RIDGE = 1.0  # what half a squared weight costs in nats, evidence being scaled to a deviation of 1
STEPS = 100  # of Newton's method; ten are usual
UNCALIBRATED = Calibration(bias=0, both=1, listed=0, segment=0, ngram=0, acoustic=0)
# The columns of `evidence` that can't count against a word: what the passes say of it.
FOR_IT = np.array([field.name in ("both", "listed", "segment") for field in fields(Calibration)[1:]])


@dataclass(frozen=True)
class Words:
    """The recognised words of a corpus."""

    evidence: np.ndarray  # float64 [words, columns]
    right: np.ndarray  # bool [words]
    part: np.ndarray  # int [words]: which of FOLDS


@dataclass(frozen=True)
class Judgement:
    """How good a corpus' confidences are uncalibrated, and with each part of its speakers calibrated by the others."""

    data: str
    before: ConfidenceQuality
    after: ConfidenceQuality


@dataclass(frozen=True)
class Calibrated:
    """What was found for an acoustic model."""

    calibration: Calibration
    judgements: list[Judgement]


def read_words(recognizer: Recognizer, cuts: Sequence[Cut], name: str) -> Words:
    """Transcribe cuts as `asr transcribe` does.

    Raises AudioError, naming the cut, if one can't be read; ValueError with the corpus' name if no word is recognised.
    """
    found = []
    for cut in progress_bar(cuts, name, len(cuts)):
        segments = recognizer.segments([load_cut(cut)], nbest=sys.maxsize)
        found.append([segment.nbest for segment in segments if segment.words])
    known = [evidence(nbest, recognizer.weights) for nbests in found for nbest in nbests]
    if not known:
        raise ValueError(f"{name}: no word is recognised there; give other recordings")
    words = [[word for nbest in nbests for word in nbest[0].words] for nbests in found]
    supervisions = [cut.supervisions[0] for cut in cuts]
    part = np.repeat(parts([said.speaker for said in supervisions], FOLDS), [len(its) for its in words])
    right, which = right_words([said.text for said in supervisions], words)
    return Words(np.concatenate(known)[which], right, part[which])


def calibrate(corpora: Mapping[str, Words]) -> Calibrated:
    """The calibration that all words ask for, and how good such ones are on speakers whom they weren't fitted to.

    corpora: words by the corpus' name. ValueError if there are too few to tell right ones from wrong ones.
    """

    def fitted(but: int) -> Calibration:
        chosen = [words.part != but for words in corpora.values()]
        pairs = list(zip(corpora.values(), chosen, strict=True))
        return fit(
            np.concatenate([words.evidence[these] for words, these in pairs]),
            np.concatenate([words.right[these] for words, these in pairs]),
        )

    of_others = [fitted(but=part) for part in range(FOLDS)]
    judgements = []
    for name, words in corpora.items():
        by_part = [calibration.probabilities(words.evidence) for calibration in of_others]
        after = np.choose(words.part, by_part)
        before = UNCALIBRATED.probabilities(words.evidence)
        judgements.append(Judgement(name, judged(words.right, before), judged(words.right, after)))
    return Calibrated(fitted(but=-1), judgements)


def fit(known: np.ndarray, right: np.ndarray) -> Calibration:
    """The logistic regression that fits best, within what Calibration allows.

    known: `evidence` [words, columns]. right: bool [words]. ValueError if no word is wrong, or none right.
    """
    if right.all() or not right.any():
        kind = "right" if right.any() else "wrong"
        raise ValueError(f"all of {len(right)} words are {kind}: nothing to calibrate by; give more recordings")
    mean, deviation = known.mean(0), known.std(0).clip(1e-9)
    standard = (known - mean) / deviation
    while True:
        bias, weights = _regression(standard, right)
        if not (against := FOR_IT & (weights < 0)).any():
            break
        standard = np.where(against, 0, standard)
    weights /= deviation
    return Calibration(*(round(float(value), 5) for value in (bias - weights @ mean, *weights)))


def _regression(known: np.ndarray, right: np.ndarray) -> tuple[float, np.ndarray]:
    """Bias and weights [columns] of a ridge regression on `known` [words, columns], by Newton's method."""
    columns = np.column_stack([np.ones(len(known)), known])
    penalty = RIDGE * np.diag([0.0] + [1.0] * known.shape[1])
    weights = np.zeros(columns.shape[1])
    for _ in range(STEPS):
        probable = 0.5 + 0.5 * np.tanh(columns @ weights / 2)
        slope = columns.T @ (probable - right) + penalty @ weights
        curvature = (columns * (probable * (1 - probable))[:, None]).T @ columns + penalty
        step = np.linalg.solve(curvature, slope)
        weights -= step
        if np.abs(step).max() < 1e-9:
            break
    return float(weights[0]), weights[1:]


def write_calibrations(folder: Path, calibrations: Calibrations) -> None:
    """Write into a bundle how its confidences are calibrated."""
    bundle = open_bundle(folder)
    files = {name: bundle.file(name) for name in bundle.config["sha256"]}
    del bundle.config["sha256"]  # so that it stands last
    bundle.config["confidence"] = {name: table for name, table in asdict(calibrations).items() if table}
    write_bundle(folder, bundle.config, files)
