"""The beam search against brute force: every path of tiny emissions, every way to read it as words.

And what holds of any search, however long the utterance and narrow the beam.
"""

import itertools
import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoder.beam import BeamConfig, BeamSearch
from asr.decoder.hypothesis import Hypothesis, Weights
from asr.decoder.rescore import rescore
from asr.lexicon.lexicon import compile_tree
from lm.lstm.model import LstmConfig, LstmModel
from lm.ngram.trie import NgramTables
from lm.text.vocabulary import END, START, UNKNOWN, Vocabulary
from lm.training.network import WordLstm

VOCABULARY = Vocabulary(["A", "B", "C", "D"])
HOT_WORD = "E"  # outside the vocabulary
UNITS = 3
# Two pronunciations of one word, homophones, a word that begins another, equal units in a row.
LEXICON = {"A": [[1], [2, 1]], "B": [[2]], "C": [[1, 2], [2]], "D": [[1, 1]]}
WIDE = BeamConfig(size=100_000, score=float("inf"), nbest=100_000, skip_blank=2.0)

Ngram = tuple[int, ...]
seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Problem:
    """All that a search goes by but the emissions."""

    lexicon: dict[str, list[list[int]]]
    ngram: dict[Ngram, tuple[float, float]]  # KenLM's ids: log-prob and back-off weight
    tables: NgramTables  # the same
    weights: Weights
    boosts: dict[str, float]

    def scored(self, words: tuple[str, ...], acoustic: float) -> Hypothesis:
        sentence = [START, *VOCABULARY.encode(words), END]
        ids, shares = self.tables.ids[sentence].tolist(), self.tables.shares[sentence].tolist()
        scores = [
            self.log_prob(tuple(ids[max(0, i - self.tables.order + 1) : i + 1])) + shares[i] for i in range(1, len(ids))
        ]
        boost = sum(self.boosts.get(word, 0.0) for word in words)
        return Hypothesis(words, acoustic, sum(scores), word_ngrams=tuple(scores), boost=boost)

    def log_prob(self, ngram: Ngram) -> float:
        """The textbook's recursion: the longest n-gram there is, and the back-off weights of the contexts above."""
        if ngram in self.ngram:
            return self.ngram[ngram][0]
        return self.ngram.get(ngram[:-1], (0.0, 0.0))[1] + self.log_prob(ngram[1:])

    def search(self, config: BeamConfig = WIDE, fused: LstmModel | None = None, fused_memory: int = 8) -> BeamSearch:
        added = [word for word in self.boosts if word not in VOCABULARY]
        ids = {word: id for id, word in enumerate([*VOCABULARY, *added])}
        spellings = [(ids[word], units) for word, all_units in self.lexicon.items() for units in all_units]
        known = self.tables.log_prob[self.tables.ids] + self.tables.shares
        unigrams = np.array([*known, *(known[UNKNOWN] for _ in added)])
        tree = compile_tree(spellings, unigrams)
        return BeamSearch(tree, self.tables, VOCABULARY, config, self.weights, self.boosts, fused, fused_memory)


def random_problem(seed: int, ngram_lacks_d: bool | None = None) -> Problem:
    random = np.random.default_rng(seed)
    ids = random.permutation(len(VOCABULARY))
    if ngram_lacks_d or (ngram_lacks_d is None and random.random() < 0.3):
        ids[VOCABULARY.encode(["D"])] = ids[UNKNOWN]
    boosts = {word: float(random.uniform(-1, 2)) for word in ("B", HOT_WORD) if random.random() < 0.5}
    ngram = random_ngram(random, order=int(random.integers(2, 5)), start=int(ids[START]), end=int(ids[END]))
    lexicon = LEXICON | {HOT_WORD: [[2, 1]]} if random.random() < 0.3 else random_lexicon(random)
    return Problem(
        {word: units for word, units in lexicon.items() if word != HOT_WORD or word in boosts},
        ngram,
        tables(ngram, ids),
        Weights(ngram=float(random.uniform(0, 1.2)), lstm=0.0, word=float(random.uniform(-1, 1))),
        boosts,
    )


def random_lexicon(random: np.random.Generator) -> dict[str, list[list[int]]]:
    """One or two pronunciations of each word, of one to three units: so few units make homophones and beginnings."""

    def spelling() -> tuple[int, ...]:
        return tuple(random.integers(1, UNITS, random.integers(1, 4)).tolist())

    return {
        word: [list(units) for units in sorted({spelling(), spelling()})] for word in ("A", "B", "C", "D", HOT_WORD)
    }


def random_ngram(random: np.random.Generator, order: int, start: int, end: int) -> dict[Ngram, tuple[float, float]]:
    """As KenLM's: what an n-gram begins and ends with is there too, and back-off weights where something follows."""
    levels: list[list[Ngram]] = [[(word,) for word in range(len(VOCABULARY))]]
    while len(levels) < order:
        longer = [
            (*a, b[-1])
            for a in levels[-1]
            for b in levels[-1]
            if a[1:] == b[:-1] and end not in a and start not in b and random.random() < 0.4
        ]
        levels.append(longer)
    contexts = {ngram[:-1] for level in levels for ngram in level}
    return {
        ngram: (float(random.uniform(-4, -0.1)), float(random.uniform(-1, 0.2)) if ngram in contexts else -0.0)
        for level in levels
        for ngram in level
    }


def tables(ngram: dict[Ngram, tuple[float, float]], ids: np.ndarray) -> NgramTables:
    order = max(map(len, ngram))
    levels = [sorted(entry[::-1] for entry in ngram if len(entry) == length) for length in range(1, order + 1)]
    word, log_prob, backoff, first = [], [], [], []
    for level, longer in itertools.zip_longest(levels, levels[1:]):
        next_level = len(word) + len(level) + 1
        for entry in level:
            word.append(entry[-1])
            log_prob.append(ngram[entry[::-1]][0])
            backoff.append(ngram[entry[::-1]][1])
            first.append(next_level + bisect_left(longer, entry) if longer is not None else 0)
        if longer is not None:  # the sentinel
            word.append(0)
            log_prob.append(0.0)
            backoff.append(0.0)
            first.append(next_level + len(longer))
    return NgramTables(
        order=order,
        ids=ids.astype(np.int32),
        word=np.array(word, dtype=np.int32),
        log_prob=np.array(log_prob, dtype=np.float32),
        backoff=np.array(backoff, dtype=np.float32),
        first=np.array(first, dtype=np.int32),
    )


@cache
def paths(frames: int) -> dict[tuple[int, ...], np.ndarray]:
    """All paths [paths, frames], by the units that they spell."""
    by_units = defaultdict(list)
    for path in itertools.product(range(UNITS), repeat=frames):
        by_units[tuple(unit for unit, _ in itertools.groupby(path) if unit)].append(path)
    return {units: np.array(found, dtype=int).reshape(len(found), frames) for units, found in by_units.items()}


def spoken(problem: Problem, units: tuple[int, ...]) -> Iterator[tuple[tuple[str, int], ...]]:
    """All ways to read units as words, each with the number of its units."""
    if not units:
        yield ()
    for word, pronunciations in problem.lexicon.items():
        for pronunciation in pronunciations:
            if units[: len(pronunciation)] == tuple(pronunciation):
                for rest in spoken(problem, units[len(pronunciation) :]):
                    yield ((word, len(pronunciation)), *rest)


def brute_force(problem: Problem, log_probs: np.ndarray) -> list[Hypothesis]:
    """All hypotheses, best first."""
    frames = range(len(log_probs))
    acoustic: dict[tuple[str, ...], float] = defaultdict(lambda: -np.inf)
    for units, all_paths in paths(len(log_probs)).items():
        score = float(np.logaddexp.reduce(log_probs[frames, all_paths].sum(1, dtype=float)))
        for words_said in spoken(problem, units):
            words = tuple(word for word, _ in words_said)
            acoustic[words] = float(np.logaddexp(acoustic[words], score))
    found = [problem.scored(words, score) for words, score in acoustic.items()]
    return sorted(found, key=lambda hypothesis: -hypothesis.total(problem.weights))


def word_ends(problem: Problem, log_probs: np.ndarray) -> dict[tuple[str, int], float]:
    """How probable it is of each word and frame that the word is said and what follows it begins in that frame."""
    frames, ends, total = len(log_probs), defaultdict[tuple[str, int], float](float), 0.0
    for units, all_paths in paths(frames).items():
        probs = np.exp(log_probs[range(frames), all_paths].sum(1, dtype=float))
        begins = [
            [frame for frame, unit in enumerate(path) if unit and (frame == 0 or path[frame - 1] != unit)] + [frames]
            for path in all_paths.tolist()
        ]
        for words_said in spoken(problem, units):
            words = tuple(word for word, _ in words_said)
            factor = float(np.exp(problem.scored(words, 0.0).total(problem.weights)))
            total += factor * float(probs.sum())
            lasts = np.cumsum([length for _, length in words_said], dtype=int).tolist()
            for word, last in zip(words, lasts, strict=True):
                for begin, prob in zip(begins, probs.tolist(), strict=True):
                    ends[word, begin[last]] += prob * factor
    return {place: prob / total for place, prob in ends.items()}


def random_log_probs(seed: int, frames: int, sharpness: float = 2.0) -> np.ndarray:
    logits = sharpness * np.random.default_rng(seed).standard_normal((frames, UNITS))
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def assert_same(found: list[Hypothesis], expected: list[Hypothesis], weights: Weights) -> None:
    """The same hypotheses with the same scores, in the same order but for hypotheses as good as each other."""
    assert len(found) == len(expected)
    by_words = {hypothesis.words: hypothesis for hypothesis in expected}
    same = [by_words.pop(hypothesis.words) for hypothesis in found]
    totals = [np.array([hypothesis.total(weights) for hypothesis in some]) for some in (found, expected, same)]
    np.testing.assert_allclose(totals[0], totals[1], rtol=0, atol=1e-4)
    np.testing.assert_allclose(totals[0], totals[2], rtol=0, atol=1e-4)
    np.testing.assert_allclose(*(list(map(all_scores, some)) for some in (found, same)), rtol=0, atol=1e-4)
    words = [[score for one in some for score in one.word_ngrams] for some in (found, same)]
    np.testing.assert_allclose(*words, rtol=0, atol=1e-4)


def assert_as_good(found: list[Hypothesis], expected: list[Hypothesis], weights: Weights) -> None:
    """The best hypotheses of all; of those as good as each other any, if there isn't room for all of them."""
    totals = [[hypothesis.total(weights) for hypothesis in some] for some in (found, expected)]
    assert totals[0] == pytest.approx(totals[1], abs=1e-4)
    times = {hypothesis.words: hypothesis.times for hypothesis in expected}
    assert all(times.get(hypothesis.words, hypothesis.times) == hypothesis.times for hypothesis in found)


def all_scores(hypothesis: Hypothesis) -> list[float]:
    return [hypothesis.acoustic, hypothesis.ngram, hypothesis.lstm or 0.0, hypothesis.boost]


def assert_sound(found: list[Hypothesis], weights: Weights, frames: int) -> None:
    """What holds of every search's hypotheses."""
    assert found
    assert len({hypothesis.words for hypothesis in found}) == len(found)
    totals = np.array([hypothesis.total(weights) for hypothesis in found])
    assert np.isfinite(totals).all()
    assert (np.diff(totals) < 1e-9).all()
    for hypothesis in found:
        assert all(map(math.isfinite, all_scores(hypothesis)))
        assert math.isclose(sum(hypothesis.word_ngrams), hypothesis.ngram, abs_tol=1e-9)
        assert len(hypothesis.word_ngrams) == len(hypothesis.words) + 1
        bounds = [0, *itertools.chain(*hypothesis.times), frames]
        assert bounds == sorted(bounds)
        assert all(start < end for start, end in hypothesis.times)
        assert len(hypothesis.times) == len(hypothesis.words)
        assert all(0 <= posterior <= 1 for posterior in hypothesis.posteriors)


@settings(max_examples=2000, deadline=None)
@given(
    seed=seeds,
    frames=st.sampled_from([0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5]),  # short ones, which are quick, more often
    sharpness=st.sampled_from([0.5, 2.0, 6.0]),
    add=st.booleans(),
)
def test_a_wide_beam_finds_what_brute_force_finds(seed: int, frames: int, sharpness: float, add: bool) -> None:
    problem, log_probs = random_problem(seed), random_log_probs(seed, frames, sharpness)
    expected, found = brute_force(problem, log_probs), problem.search(replace(WIDE, add=add)).decode(log_probs)
    assert_sound(found, problem.weights, frames)
    # What is less probable by 20 orders of magnitude than another hypothesis may be left out.
    least = expected[0].total(problem.weights) - 40
    count = sum(hypothesis.total(problem.weights) > least for hypothesis in expected)
    assert_same(found[:count], expected[:count], problem.weights)
    for nbest in (1, 3):
        best = problem.search(replace(WIDE, add=add, nbest=nbest)).decode(log_probs)
        assert_as_good(best, found[:nbest], problem.weights)


@settings(max_examples=150, deadline=None)
@given(seed=seeds, frames=st.integers(0, 4))
def test_posteriors_are_shares_of_all_readings(seed: int, frames: int) -> None:
    problem, log_probs = random_problem(seed), random_log_probs(seed, frames)
    ends = word_ends(problem, log_probs)
    for hypothesis in problem.search().decode(log_probs):
        latest = [*(end for _, end in hypothesis.times[1:]), frames][: len(hypothesis.words)]
        expected = [
            sum(ends.get((word, frame), 0.0) for frame in range(start + 1, last + 1))
            for word, (start, _), last in zip(hypothesis.words, hypothesis.times, latest, strict=True)
        ]
        assert hypothesis.posteriors == pytest.approx([min(1.0, posterior) for posterior in expected], abs=1e-4)


def test_only_sums_give_posteriors() -> None:
    found = random_problem(1).search(replace(WIDE, add=False)).decode(random_log_probs(1, 3))
    assert {hypothesis.posteriors for hypothesis in found} == {()}


@pytest.fixture(scope="module")
def lstm() -> LstmModel:
    torch.manual_seed(0)
    config = LstmConfig(len(VOCABULARY), hidden=8, cutoffs=(4,), shrink=2)
    # Tripled, so that words differ by more than rounding.
    weights = {name: 3 * weight.numpy() for name, weight in WordLstm(config).state_dict().items()}
    return LstmModel(config, weights, VOCABULARY)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, frames=st.integers(0, 4), add=st.booleans())
def test_one_pass_fusion_equals_rescoring_all(lstm: LstmModel, seed: int, frames: int, add: bool) -> None:
    # Words that the n-gram lacks share a place in the beam even if the LSTM knows them: fusion is no more exact then.
    problem, log_probs = random_problem(seed, ngram_lacks_d=False), random_log_probs(seed, frames)
    problem = replace(problem, weights=replace(problem.weights, lstm=0.6))
    config = replace(WIDE, add=add)
    expected = rescore(problem.search(config).decode(log_probs), lstm, problem.weights)
    found = problem.search(config, lstm, fused_memory=frames + 1).decode(log_probs)
    assert_same(found, expected, problem.weights)
    assert_sound(found, problem.weights, frames)


narrow = st.builds(
    BeamConfig,
    size=st.integers(1, 50),
    score=st.floats(1.0, 20.0),
    nbest=st.integers(1, 20),
    add=st.booleans(),
    skip_blank=st.sampled_from([0.5, 0.999, 2.0]),
)


@settings(max_examples=400, deadline=None)
@given(seed=seeds, frames=st.integers(1, 60), sharpness=st.sampled_from([0.1, 2.0, 8.0, 40.0]), config=narrow)
def test_any_search_is_sound(seed: int, frames: int, sharpness: float, config: BeamConfig) -> None:
    problem, log_probs = random_problem(seed), random_log_probs(seed, frames, sharpness)
    found = problem.search(config).decode(log_probs)
    assert len(found) <= config.nbest
    assert_sound(found, problem.weights, frames)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, frames=st.integers(1, 30), memory=st.integers(1, 3), config=narrow)
def test_any_fused_search_is_sound(lstm: LstmModel, seed: int, frames: int, memory: int, config: BeamConfig) -> None:
    problem = random_problem(seed)
    problem = replace(problem, weights=replace(problem.weights, lstm=0.6))
    found = problem.search(config, lstm, memory).decode(random_log_probs(seed, frames))
    assert_sound(found, problem.weights, frames)


@settings(max_examples=200, deadline=None)
@given(seed=seeds, frames=st.integers(0, 40), cuts=st.lists(st.integers(0, 40)), config=narrow)
def test_chunks_equal_the_whole(seed: int, frames: int, cuts: list[int], config: BeamConfig) -> None:
    problem, log_probs = random_problem(seed), random_log_probs(seed, frames)
    chunked = problem.search(config)
    for chunk in np.split(log_probs, sorted(min(cut, frames) for cut in cuts)):
        chunked.accept(chunk)
    assert chunked.finish() == problem.search(config).decode(log_probs)


@settings(max_examples=200, deadline=None)
@given(seed=seeds, frames=st.integers(0, 20), cut=st.integers(0, 20), config=narrow)
def test_what_was_heard_so_far_is_read_and_the_search_goes_on(
    seed: int, frames: int, cut: int, config: BeamConfig
) -> None:
    problem, log_probs = random_problem(seed), random_log_probs(seed, frames)
    search, beginning = problem.search(config), problem.search(replace(config, nbest=3))
    search.accept(log_probs[:cut])
    beginning.accept(log_probs[:cut])
    assert search.so_far(3) == beginning.finish(sentence_end=False)
    search.accept(log_probs[cut:])
    assert search.finish() == problem.search(config).decode(log_probs)


@pytest.mark.parametrize("add", [True, False])
def test_threads_and_batches_change_nothing(add: bool) -> None:
    search = random_problem(1).search(BeamConfig(size=50, score=20.0, nbest=10, add=add))
    emissions = [random_log_probs(seed, 5 * seed) for seed in range(20)]
    single = [search.decode(log_probs) for log_probs in emissions]
    for threads in (1, 2, 2):
        assert repr(search.decode_all(emissions, threads)) == repr(single)


@settings(max_examples=200, deadline=None)
@given(seed=seeds, frames=st.integers(0, 12), places=st.lists(st.integers(0, 12), min_size=1, max_size=12))
def test_skipped_silence_changes_nothing(seed: int, frames: int, places: list[int]) -> None:
    silence = np.array([0.0, -np.inf, -np.inf], dtype=np.float32)
    log_probs = np.insert(
        random_log_probs(seed, frames, 1.0), sorted(min(place, frames) for place in places), silence, 0
    )
    problem = random_problem(seed)
    config = BeamConfig(size=10_000, score=30.0, nbest=10, skip_blank=0.99999)
    expected = problem.search(replace(config, skip_blank=2.0)).decode(log_probs)
    found = problem.search(config).decode(log_probs)
    assert_as_good(found, expected, problem.weights)


def test_only_frames_above_the_limit_are_skipped() -> None:
    log_probs = np.log(np.array([[0.96, 0.03, 0.01], [0.96, 0.01, 0.03]], dtype=np.float32))
    problem = random_problem(1)
    (skipped,) = problem.search(replace(WIDE, skip_blank=0.95)).decode(log_probs)
    assert (skipped.words, skipped.acoustic) == ((), pytest.approx(2 * np.log(0.96), abs=1e-6))
    for limit in (0.97, 2.0):
        found = problem.search(replace(WIDE, skip_blank=limit)).decode(log_probs)
        assert_same(found, brute_force(problem, log_probs), problem.weights)
    # Above 1 not even certain silence is.
    silence = np.array([[0.0, -20.0, -20.0]], dtype=np.float32)
    assert len(problem.search(replace(WIDE, skip_blank=1.0)).decode(silence)) == 1
    assert len(problem.search(replace(WIDE, skip_blank=2.0)).decode(silence)) > 1


@pytest.mark.parametrize("skip_blank", [0.999, 2.0])
def test_silence_is_read_as_no_words(skip_blank: float) -> None:
    silence = np.log(np.tile(np.array([0.9998, 0.0001, 0.0001], dtype=np.float32), (50, 1)))
    best, *others = random_problem(1).search(BeamConfig(skip_blank=skip_blank)).decode(silence)
    assert (best.words, best.times, best.posteriors) == ((), (), ())
    assert (others == []) == (skip_blank < 1)


def test_no_frames() -> None:
    problem = random_problem(1)
    (empty,) = problem.search(BeamConfig()).decode(np.zeros((0, UNITS), dtype=np.float32))
    assert empty.words == ()
    assert empty.acoustic == pytest.approx(0.0)
    assert empty.ngram == pytest.approx(problem.scored((), 0.0).ngram, abs=1e-5)


def test_a_search_can_be_used_again() -> None:
    used = random_problem(2).search()
    first = used.decode(random_log_probs(3, 4))
    used.decode(random_log_probs(4, 5))
    used.accept(random_log_probs(5, 5))  # and not finished
    assert used.decode(random_log_probs(3, 4)) == first


def test_arrays_grow_when_many_hypotheses_are_kept() -> None:
    found = (
        random_problem(5)
        .search(BeamConfig(size=30_000, score=float("inf"), nbest=10))
        .decode(random_log_probs(5, 14, sharpness=0.1))
    )
    assert len(found) == 10


@pytest.mark.parametrize("size", [1, 10])
def test_no_word_fits(size: int) -> None:
    """Only the beginning of a word, whose rest never comes, and blanks: the unfinished word is given up."""
    problem = replace(random_problem(6), lexicon={"A": [[1, 2, 1], [1, 2, 2]]}, boosts={})
    log_probs = np.log(np.array([[0.001, 0.998, 0.001], [0.001, 0.001, 0.998]], dtype=np.float32))
    found = problem.search(BeamConfig(size=size, score=5.0)).decode(log_probs)
    assert [hypothesis.words for hypothesis in found] == [()]


def test_certain_emissions() -> None:
    """All units but one impossible in every frame: as if spelled by hand."""
    problem = replace(random_problem(3), lexicon={"A": [[1, 2]], "B": [[2]], "C": [[1, 1]]}, boosts={})
    log_probs = np.full((9, UNITS), -np.inf, dtype=np.float32)
    log_probs[range(9), [0, 1, 0, 1, 0, 2, 2, 0, 2]] = 0.0
    best = problem.search(BeamConfig()).decode(log_probs)[0]
    assert best.words == ("C", "B", "B")
    assert best.acoustic == pytest.approx(0.0, abs=1e-6)
    assert best.times == ((1, 4), (5, 7), (8, 9))
    assert best.posteriors == pytest.approx((1.0, 1.0, 1.0))


@pytest.mark.parametrize("shape", [(4,), (4, UNITS - 1), (2, 4, UNITS)])
def test_emissions_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    search = replace(random_problem(1), lexicon=LEXICON, boosts={}).search()
    with pytest.raises(ValueError, match="shape"):
        search.accept(np.zeros(shape, dtype=np.float32))


def test_emissions_that_are_no_numbers_are_refused() -> None:
    log_probs = random_log_probs(1, 4)
    log_probs[2, 1] = np.nan
    with pytest.raises(ValueError, match="not numbers"):
        random_problem(1).search().accept(log_probs)


@given(seed=seeds, words=st.lists(st.sampled_from([*"ABCD", HOT_WORD]), max_size=5).map(tuple))
def test_a_sentence_that_goes_on(seed: int, words: tuple[str, ...]) -> None:
    """What is found after some words of a sentence is scored by the n-gram as what follows them."""
    problem = random_problem(seed)
    search = problem.search(BeamConfig(size=50, nbest=10))
    search.reset(words)
    search.accept(random_log_probs(seed, 12, 3.0))
    found = search.finish(sentence_end=False)
    for hypothesis in found:
        *scores, end = hypothesis.word_ngrams
        assert scores == pytest.approx(problem.scored((*words, *hypothesis.words), 0.0).word_ngrams[len(words) : -1])
        assert end == 0.0


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Weights(math.nan, 0, 0), "Weights: ngram nan: want a finite number"),
        (lambda: Weights(0.5, math.inf, 0), "Weights: lstm inf: want a finite number"),
        (lambda: Weights(0.5, 0.5, "1"), 'Weights: word "1": want a finite number'),
        (lambda: Weights(0.5, 0.5, 0, linear=2), "Weights: linear 2: want a number from 0 to 1"),
        (lambda: replace(Weights(0.5, 0.5, 0), lstm=np.float32("nan")), "Weights: lstm nan: want a finite number"),
        (lambda: BeamConfig(size=-1), "BeamConfig: size -1: want a whole number from 1"),
        (lambda: BeamConfig(size=2.5), "BeamConfig: size 2.5: want a whole number from 1"),
        (lambda: BeamConfig(score=0), "BeamConfig: score 0: want a number above 0, or inf"),
        (lambda: BeamConfig(score=math.nan), "BeamConfig: score nan: want a number above 0, or inf"),
        (lambda: BeamConfig(nbest=0), "BeamConfig: nbest 0: want a whole number from 1"),
        (lambda: BeamConfig(unknown=math.nan), "BeamConfig: unknown nan: want a number from 0, or inf"),
        (lambda: BeamConfig(add=1), "BeamConfig: add 1: want true or false"),
    ],
)
def test_settings_that_make_no_search(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        make()
