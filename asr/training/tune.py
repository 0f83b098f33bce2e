"""Finds what the scores should count for, and how wide the search must be, on recordings with known text.

Hypotheses carry their scores taken apart, so one search gives n-best lists that every setting of the weights can rank
anew. Both passes are then run again with their new weights, since other weights keep other hypotheses.
"""

import hashlib
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from lhotse.cut import Cut
from rapidfuzz.distance import Levenshtein
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from asr.acoustic.model import FRAME_SECONDS
from asr.audio.reading import load_cut
from asr.decoder.beam import BeamConfig, BeamSearch
from asr.decoder.hypothesis import Hypothesis, Weights
from asr.decoder.rescore import read_best
from asr.evaluation.errors import spelled
from asr.recognizer import Recognizer
from lm.bundle import open_bundle, write_bundle
from lm.progress import progress_bar
from lm.text.normalise import normalize

# What is tried of each field of Weights. As many values of each, so that both passes are tuned with equal effort.
TRIED = {
    "linear": [round(0.05 * step, 2) for step in range(15)],
    "lstm": [round(0.1 * step, 1) for step in range(15)],
    "ngram": [round(0.1 * step, 1) for step in range(15)],
    "word": [0.25 * step for step in range(-6, 9)],
}
ROUNDS = 2  # of each pass with the weights that its lists before asked for
LISTED = 100  # hypotheses that the first pass's weights and the beam are tuned on: enough to tell them apart
FURTHER = 1.5  # times as far behind as otherwise a hypothesis is still read: under other weights it may be the best
LEAST = 0.1  # per cent: what a lower WER of one of several corpora counts as, or nothing else would count
EQUAL = 0.05  # points of WER: weights that differ by less are equally good
SIZES = (200, 400, 800, 1600, 3200)
SCORES = (10.0, 13.0, 16.0, 19.0, 22.0)
MARGIN = 0.1  # points of WER that a narrower beam may cost
BEAM_WORDS = round(100 / MARGIN)  # in the references, at least: of fewer a single error would be more than MARGIN


@dataclass(frozen=True)
class Utterance:
    """A recording with known text."""

    log_probs: np.ndarray  # float32 [T, units]
    reference: list[str]  # normalised words
    speaker: str | None = None
    corpus: str = ""


# --- Emissions --------------------------------------------------------------------------------------------


def read_utterances(
    recognizer: Recognizer, cuts: Sequence[Cut], model: Path, cache: Path | None = None, corpus: str = ""
) -> list[Utterance]:
    """The emissions and texts of a corpus' cuts. Raises AudioError, naming the cut, if one can't be read.

    cache: a folder to keep the emissions in, by a name that changes with the acoustic weights of the `model` folder,
    the cuts, and the sizes and times of their files. What is there by that name is read instead of computed.
    """
    path = cache / f"{_fingerprint(model, cuts)}.safetensors" if cache else None
    if path and path.exists():
        try:
            kept = load_file(path)
            emissions = [kept[str(number)] for number in range(len(cuts))]
        except (SafetensorError, KeyError):
            raise ValueError(f"{path}: damaged; delete it, and the emissions are computed anew") from None
    else:
        emissions = [recognizer.emissions(load_cut(cut)) for cut in progress_bar(cuts, "emissions", len(cuts))]
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            save_file({str(number): log_probs for number, log_probs in enumerate(emissions)}, unfinished)
            unfinished.rename(path)
    supervisions = [cut.supervisions[0] for cut in cuts]
    return [
        Utterance(log_probs, normalize(said.text), said.speaker, corpus)
        for log_probs, said in zip(emissions, supervisions, strict=True)
    ]


def _fingerprint(model: Path, cuts: Sequence[Cut]) -> str:
    parts: list[object] = [open_bundle(model).config["sha256"]["acoustic.safetensors"]]
    for cut in cuts:
        source = Path(cut.recording.sources[0].source)
        kept = source.stat() if source.exists() else None
        parts.append([cut.id, str(source), cut.start, cut.duration, kept and [kept.st_size, kept.st_mtime_ns]])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


# --- Weights ----------------------------------------------------------------------------------------------


class NbestLists:
    """Scores and word errors of many n-best lists, in arrays that all weights can be tried on."""

    def __init__(
        self,
        lists: Sequence[Sequence[Hypothesis]],
        references: Sequence[Sequence[str]],
        lstm: Sequence[np.ndarray] | None = None,
        corpora: Sequence[str] | None = None,
    ) -> None:
        """lstm: for each hypothesis, list after list, the LSTM's log-probs of its words and the sentence end.

        None before rescoring. With it, the hypotheses need their `word_ngrams`. corpora: which one each list is of;
        None: all are of one.
        """
        lengths = np.array([len(nbest) for nbest in lists])
        self._there = np.arange(lengths.max()) < lengths[:, None]
        flat = [found for nbest in lists for found in nbest]
        acoustic = self._padded([found.acoustic + found.boost for found in flat], -np.inf)  # padding never wins
        ngram = self._padded([found.ngram for found in flat])
        self._scores = np.stack([acoustic, ngram, self._padded([len(found.words) for found in flat])])
        errors = [
            Levenshtein.distance([part for word in found.words for part in spelled(word)], reference)
            for nbest, reference in zip(lists, references, strict=True)
            for found in nbest
        ]
        self._errors = self._padded(errors).reshape(self._there.shape)
        self.corpora, self._corpus = np.unique(corpora or [""] * len(lists), return_inverse=True)
        self._words = np.bincount(self._corpus, [*map(len, references)]).clip(1)
        self._word_scores = None
        if lstm is not None:
            ngrams = np.array([score for found in flat for score in found.word_ngrams])
            self._word_scores = np.concatenate(lstm, dtype=np.float64), ngrams
            self._firsts = np.cumsum([0, *(len(found.words) + 1 for found in flat[:-1])])
        self._lstm: dict[float, np.ndarray] = {}

    def _padded(self, values: Sequence[float] | np.ndarray, padding: float = 0.0) -> np.ndarray:
        """float32 [lists * longest]"""
        grid = np.full(self._there.shape, padding, dtype=np.float32)
        grid[self._there] = values
        return grid.ravel()

    def _lstm_scores(self, linear: float) -> np.ndarray:
        """The LSTM's scores with the n-gram's share `linear` in each word's probability, float32 [lists * longest]."""
        if linear not in self._lstm:
            if self._word_scores is None:
                self._lstm[linear] = self._padded(np.zeros(self._there.sum()))
            else:
                lstm, ngram = self._word_scores
                mixed = np.logaddexp(np.log1p(-linear) + lstm, np.log(linear) + ngram) if linear else lstm
                self._lstm[linear] = self._padded(np.add.reduceat(mixed, self._firsts))
        return self._lstm[linear]

    def wer(self, weights: Weights) -> float:
        """Word error rate in per cent of the hypotheses that these weights prefer.

        Of several corpora the geometric mean of theirs: the same share of its errors counts as much in each.
        """
        rates = self.wers(weights)
        return float(rates[0] if len(rates) == 1 else np.exp(np.log(rates.clip(LEAST)).mean()))

    def wers(self, weights: Weights) -> np.ndarray:
        """Likewise, of each of `corpora`."""
        totals = np.array([1.0, weights.ngram, weights.word], dtype=np.float32) @ self._scores
        totals += np.float32(weights.lstm) * self._lstm_scores(weights.linear)
        best = totals.reshape(self._there.shape).argmax(1)
        return 100 * np.bincount(self._corpus, self._errors[np.arange(len(best)), best]) / self._words

    def best(self, candidates: Sequence[Weights]) -> tuple[Weights, float]:
        """The weights of fewest errors; of equally good ones the middle, which is the least sensitive."""
        rates = np.array([self.wer(weights) for weights in progress_bar(candidates, "weights", len(candidates))])
        points = np.array([list(asdict(weights).values()) for weights in candidates])
        points = points / points.std(0).clip(1e-9)  # so that a step of each weight is as far as one of another
        winners = np.flatnonzero(rates <= rates.min() + EQUAL)
        middle = winners[np.square(points[winners] - points[winners].mean(0)).sum(1).argmin()]
        return candidates[middle], float(rates[middle])


@dataclass(frozen=True)
class Surface:
    """Word error rates, per cent, over two fields of Weights, the others being as chosen."""

    row: str
    column: str
    rows: list[float]
    columns: list[float]
    wer: list[list[float]]


def surface(lists: NbestLists, chosen: Weights, row: str, column: str) -> Surface:
    """What becomes of the chosen weights if two of them are others."""
    wer = [
        [round(lists.wer(replace(chosen, **{row: above, column: beside})), 2) for beside in TRIED[column]]
        for above in TRIED[row]
    ]
    return Surface(row, column, TRIED[row], TRIED[column], wer)


@dataclass(frozen=True)
class TunedWeights:
    """Weights for both passes, and the n-best lists that the second's were found on."""

    first_pass: Weights
    second_pass: Weights
    second_lists: NbestLists


def tune_weights(recognizer: Recognizer, utterances: Sequence[Utterance]) -> TunedWeights:
    """Search the weights of both passes by WER, under the recogniser's beam."""
    config = recognizer.search.config
    first, second = recognizer.search.weights, recognizer.weights
    only_ngram = [Weights(ngram, 0.0, word) for ngram, word in itertools.product(TRIED["ngram"], TRIED["word"])]
    for _ in range(ROUNDS):
        first, _ = first_lists(recognizer, utterances, first, config).best(only_ngram)
    everything = [Weights(**dict(zip(TRIED, values, strict=True))) for values in itertools.product(*TRIED.values())]
    for _ in range(ROUNDS):
        rescored, _ = second_lists(recognizer, utterances, first, second, config)
        second, _ = rescored.best(everything)
    return TunedWeights(first, second, rescored)


def first_lists(
    recognizer: Recognizer, utterances: Sequence[Utterance], weights: Weights, config: BeamConfig
) -> NbestLists:
    """The first pass's n-best lists under other weights and another beam than the recogniser's."""
    search = _search(recognizer, weights, _short(config))
    lists = [search.decode(item.log_probs) for item in progress_bar(utterances, "search", len(utterances))]
    return NbestLists(lists, [item.reference for item in utterances], None, [item.corpus for item in utterances])


def second_lists(
    recognizer: Recognizer, utterances: Sequence[Utterance], first: Weights, second: Weights, config: BeamConfig
) -> tuple[NbestLists, float]:
    """What the second pass reads of the first's lists, both by these weights; and the seconds that the search took."""
    search = _search(recognizer, first, config)
    lists, scores, spent = [], [], 0.0
    for item in progress_bar(utterances, "both passes", len(utterances)):
        started = time.perf_counter()
        found = search.decode(item.log_probs)
        spent += time.perf_counter() - started
        read, its_scores = read_best(found, recognizer.lstm, second, beam=FURTHER * recognizer.rescoring_beam)
        lists.append(read)
        scores += its_scores
    references = [item.reference for item in utterances]
    return NbestLists(lists, references, scores, [item.corpus for item in utterances]), spent


def _short(config: BeamConfig) -> BeamConfig:
    return replace(config, nbest=min(config.nbest, LISTED))


def _search(recognizer: Recognizer, weights: Weights, config: BeamConfig) -> BeamSearch:
    own = recognizer.search
    return BeamSearch(own.tree, own.ngram, own.vocabulary, config, weights)


# --- Beam -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BeamTrial:
    """A beam, the word error rate of both passes under it, and what the search takes for a second of audio."""

    size: int
    score: float
    wer: float
    milliseconds: float


def tune_beam(
    recognizer: Recognizer, utterances: Sequence[Utterance], first: Weights, second: Weights
) -> tuple[BeamConfig, list[BeamTrial]]:
    """The smallest size, then the smallest score, whose WER is within MARGIN of the widest beam's; and all trials."""
    seconds = FRAME_SECONDS * sum(len(item.log_probs) for item in utterances)
    short = _short(recognizer.search.config)

    def tried(size: int, score: float) -> BeamTrial:
        config = replace(short, size=size, score=score)
        lists, spent = second_lists(recognizer, utterances, first, second, config)
        return BeamTrial(size, score, round(lists.wer(second), 2), round(1000 * spent / seconds, 2))

    sizes = [tried(size, SCORES[-1]) for size in SIZES]
    good_enough = sizes[-1].wer + MARGIN
    size = next(trial.size for trial in sizes if trial.wer <= good_enough)
    scores = [tried(size, score) for score in SCORES[:-1]]
    score = next((trial.score for trial in scores if trial.wer <= good_enough), SCORES[-1])
    return replace(recognizer.search.config, size=size, score=score), sizes + scores


# --- Everything -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CorpusErrors:
    """Word error rates, per cent, of a corpus after either pass."""

    corpus: str
    first_wer: float
    second_wer: float


@dataclass(frozen=True)
class Folds:
    """Word error rates of each part of the recordings under the weights that the others ask for."""

    corpora: list[CorpusErrors]
    first_pass: list[Weights]  # for each part
    second_pass: list[Weights]


def cross_validate(recognizer: Recognizer, utterances: Sequence[Utterance], folds: int) -> Folds:
    """Tune on all parts but one and measure on that one, in turn; see `parts` for which utterance is in which."""
    corpora = sorted({item.corpus for item in utterances})
    its_parts = {name: iter(parts([i.speaker for i in utterances if i.corpus == name], folds)) for name in corpora}
    part = [next(its_parts[item.corpus]) for item in utterances]
    config, chosen = recognizer.search.config, []
    errors, words = np.zeros((2, len(corpora))), np.zeros(len(corpora))
    for fold in range(folds):
        within = [item for item, its_part in zip(utterances, part, strict=True) if its_part == fold]
        without = [item for item, its_part in zip(utterances, part, strict=True) if its_part != fold]
        tuned = tune_weights(recognizer, without)
        first, second = tuned.first_pass, tuned.second_pass
        its_words = [sum(len(item.reference) for item in within if item.corpus == name) for name in corpora]
        lists, _ = second_lists(recognizer, within, first, second, config)
        errors[0] += its_words * first_lists(recognizer, within, first, config).wers(first)
        errors[1] += its_words * lists.wers(second)
        words += its_words
        chosen.append(tuned)
    return Folds(
        _corpus_errors(corpora, *errors / words.clip(1)),
        [tuned.first_pass for tuned in chosen],
        [tuned.second_pass for tuned in chosen],
    )


def _corpus_errors(corpora: Sequence[str], first: np.ndarray, second: np.ndarray) -> list[CorpusErrors]:
    rates = zip(corpora, first.round(2).tolist(), second.round(2).tolist(), strict=True)
    return [CorpusErrors(*rate) for rate in rates]


def parts(speakers: Sequence[str | None], folds: int) -> list[int]:
    """Which of the parts 0 to folds - 1 each utterance is in.

    The speakers take turns; the utterances do if it isn't known who speaks, or if there are fewer speakers than parts.
    ValueError if there are fewer utterances than parts.
    """
    if len(speakers) < folds:
        raise ValueError(f"{folds} folds need as many utterances; there are {len(speakers)}")
    names = sorted({speaker for speaker in speakers if speaker is not None})
    if None in speakers or len(names) < folds:
        return [number % folds for number in range(len(speakers))]
    return [names.index(speaker) % folds for speaker in speakers if speaker is not None]


@dataclass(frozen=True)
class Tuned:
    """What was found, and how word error rates (per cent; of several corpora the geometric mean) depend on it."""

    first_pass: Weights
    first_wer: float
    second_pass: Weights
    second_wer: float
    corpora: list[CorpusErrors]
    beam: BeamConfig
    surfaces: list[Surface]  # the first of the first pass, the others of the second
    beam_trials: list[BeamTrial]
    folds: Folds | None

    def at_the_edge(self) -> list[str]:
        """Weights that are the least or the most of what was tried, such as "second pass: word 2"."""
        found = []
        for name, weights, fields in (
            ("first pass", self.first_pass, ("ngram", "word")),
            ("second pass", self.second_pass, tuple(TRIED)),
        ):
            for key in fields:
                value, tried = getattr(weights, key), TRIED[key]
                if value in (tried[0], tried[-1]) and value != 0:
                    found.append(f"{name}: {key} {value:g}")
        return found


def tune(recognizer: Recognizer, utterances: Sequence[Utterance], folds: int = 1) -> Tuned:
    """Tune weights and beam on all utterances; with 2 folds or more also measure what such tuning is worth elsewhere.

    Of fewer than BEAM_WORDS words the beam stays as it is: all widths would do as well.
    ValueError if the references have no words.
    """
    if not any(item.reference for item in utterances):
        raise ValueError("the references have no words: there is nothing to tune on")
    cross_validation = cross_validate(recognizer, utterances, folds) if folds > 1 else None
    tuned = tune_weights(recognizer, utterances)
    first, second = tuned.first_pass, tuned.second_pass
    lists = first_lists(recognizer, utterances, first, recognizer.search.config)
    beam, trials = recognizer.search.config, list[BeamTrial]()
    if sum(len(item.reference) for item in utterances) >= BEAM_WORDS:
        beam, trials = tune_beam(recognizer, utterances, first, second)
    return Tuned(
        first_pass=first,
        first_wer=round(lists.wer(first), 2),
        second_pass=second,
        second_wer=round(tuned.second_lists.wer(second), 2),
        corpora=_corpus_errors(lists.corpora.tolist(), lists.wers(first), tuned.second_lists.wers(second)),
        beam=beam,
        surfaces=[
            surface(lists, first, "ngram", "word"),
            surface(tuned.second_lists, second, "lstm", "ngram"),
            surface(tuned.second_lists, second, "lstm", "linear"),
        ],
        beam_trials=trials,
        folds=cross_validation,
    )


def write_settings(folder: Path, first_pass: Weights, second_pass: Weights, beam: BeamConfig) -> None:
    """Write what `tune` found into a bundle. Its confidences are calibrated no more: those were of other scores."""
    bundle = open_bundle(folder)
    files = {name: bundle.file(name) for name in bundle.config["sha256"]}
    bundle.config["decoder"] |= {
        "beam": asdict(beam),
        "first_pass": asdict(first_pass),
        "second_pass": asdict(second_pass),
    }
    bundle.config.pop("confidence", None)
    write_bundle(folder, bundle.config, files)
