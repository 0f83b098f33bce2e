"""What is wrong in transcripts: error rates, confusions, alignments, and how sure one may be of the difference.

Texts are normalised on both sides. What is counted in words starts from `aligned`, jiwer's edit-distance alignment of
each utterance.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import jiwer
import numpy as np

from lm.text.normalise import normalize

RESAMPLES = 10_000
BLOCK = 100  # resamples drawn at once, or a large corpus would need gigabytes
BINS = 10  # of confidences, equally wide
SUREST = 0.999  # what outputs, of three digits, have below 1


def aligned(references: Sequence[str], hypotheses: Sequence[str]) -> jiwer.WordOutput:
    """The words of each utterance's two texts, aligned. ValueError if the references have no words."""
    wanted, found = _normalized(references), _normalized(hypotheses)
    if not any(wanted):
        raise ValueError("the references have no words: error rates are undefined")
    return jiwer.process_words(wanted, found)


def _normalized(texts: Sequence[str]) -> list[str]:
    return [" ".join(normalize(text)) for text in texts]


@lru_cache(maxsize=1 << 17)
def spelled(word: str) -> tuple[str, ...]:
    """What a recognised word is once normalised: most are so already, but XX becomes TWENTY."""
    return tuple(normalize(word))


# --- Rates ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ErrorRates:
    """Errors over the reference's length, in per cent (spaces are characters too), and the word errors by kind."""

    wer: float
    cer: float
    substitutions: int
    deletions: int
    insertions: int


def error_rates(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRates:
    """Word and character errors of a corpus. ValueError if the references have no words."""
    words = aligned(references, hypotheses)
    cer = jiwer.cer(_normalized(references), _normalized(hypotheses))
    return ErrorRates(
        round(100 * words.wer, 2), round(100 * cer, 2), words.substitutions, words.deletions, words.insertions
    )


def oracle_errors(reference: Sequence[str], nbests: Sequence[Sequence[Sequence[str]]]) -> int:
    """The fewest word errors that hypotheses of an utterance's n-best lists, one list a segment, can have together.

    Exact: the edit distance to each beginning of the reference goes on from segment to segment, and of a segment's
    hypotheses the best one counts for each beginning, so that no place has to be chosen where the reference is cut.
    """
    numbers = {word: number for number, word in enumerate(dict.fromkeys(reference))}
    wanted = np.array([numbers[word] for word in reference], dtype=int)
    steps = np.arange(len(wanted) + 1)
    distances = steps  # [1 + words of the reference]: from the segments so far to each beginning
    for nbest in nbests:
        hypotheses = [[numbers.get(word, -1) for word in words] for words in nbest]
        rows = np.tile(distances, (len(hypotheses), 1))
        for place in range(max(map(len, hypotheses))):
            going_on = [row for row, hypothesis in enumerate(hypotheses) if place < len(hypothesis)]
            words = np.array([hypotheses[row][place] for row in going_on])
            before = rows[going_on]
            after = before + 1  # the word is inserted
            after[:, 1:] = np.minimum(after[:, 1:], before[:, :-1] + (words[:, None] != wanted))
            # Or a word of the reference is missed, any number of times: a running minimum.
            rows[going_on] = np.minimum.accumulate(after - steps, axis=1) + steps
        distances = rows.min(0)
    return int(distances[-1])


# --- Which words ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Confusions:
    """The most frequent errors, each with its count."""

    substitutions: list[tuple[str, str, int]]  # said, recognised
    insertions: list[tuple[str, int]]
    deletions: list[tuple[str, int]]


def confusions(words: jiwer.WordOutput, top: int) -> Confusions:
    """The `top` most frequent errors of each kind; of equally frequent ones those that come first."""
    substitutions: Counter[tuple[str, str]] = Counter()
    insertions: Counter[str] = Counter()
    deletions: Counter[str] = Counter()
    for kind, said, found in _runs(words):
        if kind == "substitute":
            substitutions.update(zip(said, found, strict=True))
        elif kind == "insert":
            insertions.update(found)
        elif kind == "delete":
            deletions.update(said)
    return Confusions(
        [(*pair, count) for pair, count in substitutions.most_common(top)],
        insertions.most_common(top),
        deletions.most_common(top),
    )


def _runs(words: jiwer.WordOutput) -> Iterator[tuple[str, list[str], list[str]]]:
    """Runs of one kind (equal, substitute, insert, delete): the words said, the words recognised."""
    for reference, hypothesis, chunks in zip(words.references, words.hypotheses, words.alignments, strict=True):
        for chunk in chunks:
            yield (
                chunk.type,
                reference[chunk.ref_start_idx : chunk.ref_end_idx],
                hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx],
            )


def alignment_view(ids: Sequence[str], words: jiwer.WordOutput) -> str:
    """For each utterance with errors its id, and below each other what was said, what was recognised, and S, D or I."""
    views = []
    for name, reference, hypothesis in zip(ids, words.references, words.hypotheses, strict=True):
        one = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
        view = jiwer.visualize_alignment(one, show_measures=False, line_width=120)
        if view:  # it is empty if there is no error
            views.append(name + view[view.index("\n") :])  # after the id instead of "=== SENTENCE 1 ==="
    return "\n".join(views)


# --- How sure ---------------------------------------------------------------------------------------------


def error_counts(words: jiwer.WordOutput) -> tuple[np.ndarray, np.ndarray]:
    """The word errors of each utterance, and the words of its reference: int [utterances] both."""
    errors = [
        sum(
            max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
            for chunk in chunks
            if chunk.type != "equal"
        )
        for chunks in words.alignments
    ]
    return np.array(errors), np.array([len(reference) for reference in words.references])


def _resampled(counts: Sequence[np.ndarray]) -> np.ndarray:
    """Sums of each of the counts [utterances] over utterances drawn with replacement, [counts, RESAMPLES].

    Bisani & Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance evaluation". The draws depend
    on nothing but the number of utterances.
    """
    random = np.random.default_rng(1)
    size = len(counts[0])
    blocks = []
    for _ in range(RESAMPLES // BLOCK):
        drawn = random.integers(size, size=(BLOCK, size))
        blocks.append([count[drawn].sum(1) for count in counts])
    return np.concatenate(blocks, axis=1)


def wer_interval(errors: np.ndarray, words: np.ndarray) -> tuple[float, float]:
    """The 95 % bootstrap confidence interval of a word error rate, per cent. errors, words: int [utterances]."""
    resampled_errors, resampled_words = _resampled([errors, words])
    return _interval(100 * resampled_errors / resampled_words.clip(1))


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return round(float(low), 2), round(float(high), 2)


@dataclass(frozen=True)
class Comparison:
    """How the word error rate of one system differs from another's on the same utterances; negative is better."""

    wer_difference: float  # points of per cent
    interval: tuple[float, float]  # 95 %
    probability_of_improvement: float  # share of the resamples in which it is negative
    p_value: float  # two-sided, of such a difference between systems that are equally good


def compare(before: np.ndarray, after: np.ndarray, words: np.ndarray) -> Comparison:
    """Compare two systems by their errors in each utterance. before, after, words: int [utterances].

    Both systems are resampled alike (Bisani & Ney 2004). The p value is that of the matched-pairs test with utterances
    for segments (Gillick & Cox 1989, "Some statistical issues in the comparison of speech recognition algorithms").
    """
    more_errors = after - before
    resampled_errors, resampled_words = _resampled([more_errors, words])
    differences = 100 * resampled_errors / resampled_words.clip(1)
    # If neither is better, each utterance's difference might as well have the other sign: mean 0, variance its square.
    spread = math.sqrt(float(np.square(more_errors).sum()))
    p_value = math.erfc(abs(float(more_errors.sum())) / spread / math.sqrt(2)) if spread else 1.0
    return Comparison(
        round(100 * float(more_errors.sum()) / max(1, int(words.sum())), 2),
        _interval(differences),
        round(float((differences < 0).mean()), 4),
        round(p_value, 4),
    )


# --- Confidences ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bin:
    """Words of about the same confidence."""

    words: int
    confidence: float  # mean
    right: float  # share


@dataclass(frozen=True)
class ConfidenceQuality:
    """How well the confidences of `words` recognised words tell the right ones from the wrong ones."""

    words: int
    calibration_error: float  # expected; 0 if of the words with confidence 0.7, seven in ten are right, and so on
    auc: float | None  # probability that a right word has more confidence than a wrong one; None without both
    # 1 - cross-entropy / what it is if every word is as sure as the mean word is right (NIST's NCE); None likewise
    normalized_cross_entropy: float | None
    reliability: list[Bin]  # bins that have words, from the least sure on


def confidence_quality(
    references: Sequence[str], words: Sequence[Sequence[str]], confidences: Sequence[Sequence[float]]
) -> ConfidenceQuality:
    """Judge confidences (0..1) of each utterance's recognised words; right is a word that its reference aligns with."""
    right, which = right_words(references, words)
    values = [value for item, its in zip(words, confidences, strict=True) for _, value in zip(item, its, strict=True)]
    return judged(right, np.array(values)[which])


def right_words(references: Sequence[str], words: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Whether the reference aligns with each recognised word, once normalised, and which one that is, counted through.

    words: of each utterance. bool and int [normalised words]: of a word that is normalised to several each is judged.
    """
    parts = [[spelled(word) for word in recognised] for recognised in words]
    hypotheses = [" ".join(chain.from_iterable(its)) for its in parts]
    runs = _runs(jiwer.process_words(_normalized(references), hypotheses))
    right = [kind == "equal" for kind, _, found in runs for _ in found]
    lengths = [len(word) for its in parts for word in its]
    return np.array(right, dtype=bool), np.repeat(np.arange(len(lengths)), np.array(lengths, dtype=int))


def judged(right: np.ndarray, confidence: np.ndarray) -> ConfidenceQuality:
    """Judge confidences [words] by which words are right, bool [words].

    The expected calibration error has BINS equally wide bins (Guo et al. 2017); ties count half in the AUC.
    """
    place = (confidence * BINS).astype(int).clip(max=BINS - 1)
    counts, sure, correct = (np.bincount(place, weights, BINS) for weights in (None, confidence, right))
    bins = [
        Bin(int(count), round(float(mean), 4), round(float(share), 4))
        for count, mean, share in zip(counts, sure / counts.clip(1), correct / counts.clip(1), strict=True)
        if count
    ]
    calibration_error = float(np.abs(correct - sure).sum()) / max(1, len(right))
    auc = _auc(confidence[right], confidence[~right])
    return ConfidenceQuality(len(right), round(calibration_error, 4), auc, _gain(right, confidence), bins)


def _gain(right: np.ndarray, confidence: np.ndarray) -> float | None:
    """The normalised cross-entropy. A confidence of 0 or 1 counts as SUREST, or one error would be infinitely bad."""
    if right.all() or not right.any():
        return None
    sure = np.where(right, confidence, 1 - confidence).clip(1 - SUREST, SUREST)
    share = float(right.mean())
    chance = share * math.log(share) + (1 - share) * math.log(1 - share)
    return round(1 - float(np.log(sure).mean()) / chance, 4)


def _auc(right: np.ndarray, wrong: np.ndarray) -> float | None:
    if not len(right) or not len(wrong):
        return None
    ranked = np.sort(wrong)
    below = np.searchsorted(ranked, right, "left") + np.searchsorted(ranked, right, "right")
    return round(float(below.sum()) / (2 * len(right) * len(wrong)), 4)
