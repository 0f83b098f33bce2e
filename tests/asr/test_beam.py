"""The beam search against brute force: every path of tiny emissions, every way to read it as words."""

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoder.beam import BeamConfig, BeamSearch
from asr.decoder.hypothesis import Weights
from asr.lexicon import compile_tree
from lm.kenlm_trie import NgramTables
from lm.vocabulary import END, START, Vocabulary

WORDS = ["A", "B", "C", "D"]
# Two pronunciations of one word, homophones, a word that begins another, equal units in a row.
LEXICON = {"A": [[1], [2, 1]], "B": [[2]], "C": [[1, 2], [2]], "D": [[1, 1]]}
VOCABULARY = Vocabulary(WORDS)
WIDE = BeamConfig(size=100_000, score=float("inf"), nbest=100_000, skip_blank=2.0)
WEIGHTS = Weights(ngram=0.7, lstm=0.0, word=0.3)


def bigrams(seed: int) -> tuple[NgramTables, dict[tuple[int, ...], tuple[float, float]]]:
    """A random bigram model, as tables and as {(context, word): (log-prob, back-off)}."""
    random = np.random.default_rng(seed)
    words = range(len(VOCABULARY))
    model = {(word,): (float(random.uniform(-4, -0.5)), float(random.uniform(-1, 0.2))) for word in words}
    pairs = [(b, a) for b in words for a in words if random.random() < 0.4]  # (word, context): sorted as the trie is
    model |= {(a, b): (float(random.uniform(-3, -0.1)), 0.0) for b, a in pairs}
    unigrams = [model[word,] for word in words]
    found = [model[a, b][0] for b, a in pairs]
    first = [len(words) + 1 + sum(b < word for b, _ in pairs) for word in range(len(words) + 1)]
    return (
        NgramTables(
            order=2,
            ids=np.arange(len(words), dtype=np.int32),
            word=np.array([*words, 0, *(a for _, a in pairs)], dtype=np.int32),
            log_prob=np.array([*(p for p, _ in unigrams), 0.0, *found], dtype=np.float32),
            backoff=np.array([*(b for _, b in unigrams), 0.0, *([0.0] * len(pairs))], dtype=np.float32),
            first=np.array([*first, *([0] * len(pairs))], dtype=np.int32),
        ),
        model,
    )


def ngram_log_prob(model: dict[tuple[int, ...], tuple[float, float]], context: int, word: int) -> float:
    if (context, word) in model:
        return model[context, word][0]
    return model[word,][0] + model[context,][1]


def brute_force(log_probs: np.ndarray, model: dict[tuple[int, ...], tuple[float, float]]) -> list[tuple]:
    """All (total, words, acoustic, ngram), best first."""
    spelled: dict[tuple[int, ...], float] = defaultdict(lambda: -np.inf)
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        units = tuple(unit for unit, _ in itertools.groupby(path) if unit)
        spelled[units] = np.logaddexp(spelled[units], log_probs[range(len(path)), path].sum())

    acoustic: dict[tuple[str, ...], float] = defaultdict(lambda: -np.inf)

    def read(units: tuple[int, ...], words: tuple[str, ...], log_prob: float) -> None:
        if not units:
            acoustic[words] = np.logaddexp(acoustic[words], log_prob)
        for word, pronunciations in LEXICON.items():
            for pronunciation in pronunciations:
                if units[: len(pronunciation)] == tuple(pronunciation):
                    read(units[len(pronunciation) :], (*words, word), log_prob)

    for units, log_prob in spelled.items():
        read(units, (), log_prob)
    results = []
    for words, log_prob in acoustic.items():
        ids = [START, *VOCABULARY.encode(words), END]
        ngram = sum(ngram_log_prob(model, a, b) for a, b in itertools.pairwise(ids))
        results.append((log_prob + WEIGHTS.ngram * ngram + WEIGHTS.word * len(words), words, log_prob, ngram))
    return sorted(results, key=lambda result: -result[0])


def search(tables: NgramTables, config: BeamConfig = WIDE) -> BeamSearch:
    pronunciations = [(VOCABULARY.encode([word])[0], units) for word in WORDS for units in LEXICON[word]]
    return BeamSearch(compile_tree(pronunciations, tables.log_prob[tables.ids]), tables, VOCABULARY, config, WEIGHTS)


def random_log_probs(seed: int, frames: int, sharpness: float = 2.0) -> np.ndarray:
    logits = sharpness * np.random.default_rng(seed).standard_normal((frames, 3))
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), frames=st.integers(0, 5))
def test_wide_beam_equals_brute_force(seed: int, frames: int) -> None:
    tables, model = bigrams(seed)
    log_probs = random_log_probs(seed, frames)
    expected = brute_force(log_probs, model)
    found = search(tables).decode(log_probs)
    assert len(found) == len(expected)
    assert [h.total(WEIGHTS) for h in found] == pytest.approx([total for total, *_ in expected], abs=1e-4)
    scores = {words: (acoustic, ngram) for _, words, acoustic, ngram in expected}
    for hypothesis in found:
        assert (hypothesis.acoustic, hypothesis.ngram) == pytest.approx(scores[hypothesis.words], abs=1e-4)


def test_chunks_equal_the_whole() -> None:
    tables, _ = bigrams(1)
    log_probs = random_log_probs(1, 40)
    narrow = BeamConfig(size=50, score=20.0, nbest=10)
    chunked = search(tables, narrow)
    for first in range(0, 40, 7):
        chunked.accept(log_probs[first : first + 7])
    assert chunked.finish() == search(tables, narrow).decode(log_probs)


def test_a_search_can_be_used_again() -> None:
    tables, _ = bigrams(2)
    used = search(tables)
    first = used.decode(random_log_probs(3, 4))
    used.decode(random_log_probs(4, 5))
    assert used.decode(random_log_probs(3, 4)) == first


def test_arrays_grow_when_many_hypotheses_are_kept() -> None:
    tables, _ = bigrams(5)
    found = search(tables, BeamConfig(size=30_000, score=float("inf"), nbest=10)).decode(
        random_log_probs(5, 14, sharpness=0.1)
    )
    assert len(found) == 10


def test_no_word_fits() -> None:
    """Only the beginning of D, whose second half never comes, and blanks: the unfinished word is given up."""
    tree = compile_tree([(6, [1, 2, 1])], np.zeros(len(VOCABULARY)))
    tables, _ = bigrams(6)
    only = BeamSearch(tree, tables, VOCABULARY, BeamConfig(size=1), WEIGHTS)
    log_probs = np.log(np.array([[0.01, 0.98, 0.01], [0.01, 0.01, 0.98]], dtype=np.float32))
    assert [hypothesis.words for hypothesis in only.decode(log_probs)] == [()]
