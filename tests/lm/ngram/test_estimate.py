import numpy as np
import pytest

from lm.ngram.estimate import estimate_ngram
from lm.ngram.model import NgramModel
from lm.text.vocabulary import START, Vocabulary

VOCABULARY = Vocabulary("ABCDEFGH")


@pytest.fixture
def sentences() -> list[list[int]]:
    random = np.random.default_rng(1)
    return [random.integers(3, 8, random.integers(1, 8)).tolist() for _ in range(200)]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_lists_every_ngram_of_the_text(sentences: list[list[int]], order: int) -> None:
    model = estimate_ngram(sentences, VOCABULARY, order)
    assert len(model.orders) == order
    for n in range(2, order + 1):
        whole = [[1, *words, 2] for words in sentences]
        expected = {tuple(words[i : i + n]) for words in whole for i in range(len(words) - n + 1)}
        rows = np.arange(len(model.orders[n - 1]))
        found = []
        for level in model.orders[n - 1 : 0 : -1]:
            found.append(level.words[rows])
            rows = level.histories[rows]
        columns = np.stack([rows, *found[::-1]], 1).tolist()
        assert {tuple(VOCABULARY.encode(model.vocabulary[row] for row in row)) for row in columns} == expected


def test_what_follows_a_history_sums_to_one(sentences: list[list[int]]) -> None:
    model = NgramModel(estimate_ngram(sentences, VOCABULARY), VOCABULARY)
    every = [id for id in range(len(VOCABULARY)) if id != START]
    for history in ([], [3], [3, 4], [9, 9], sentences[0]):
        scores, _ = model.score([model.read(model.initial(), history)] * len(every), every)
        assert np.exp(scores).sum() == pytest.approx(1, abs=1e-5)


def test_foretells_what_the_text_repeats() -> None:
    model = NgramModel(estimate_ngram([[3, 4, 5], [3, 4, 5], [6, 4, 7]], VOCABULARY), VOCABULARY)
    after = np.exp(model.next_words(model.read(model.initial(), [3, 4])))
    assert after.argmax() == 5
    assert after[7] > after[8]  # as the text has it
