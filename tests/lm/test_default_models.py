"""What must hold of the models that ship, too."""

import random

import numpy as np
import pytest

from lm.query import Models, open_models, score_sentences
from lm.text.vocabulary import SPECIAL_WORDS


@pytest.fixture(scope="module")
def shipped() -> Models:
    return open_models()


@pytest.mark.parametrize("name", ["ngram", "lstm"])
def test_next_words_sum_to_one_after_100_random_histories(shipped: Models, name: str) -> None:
    model, chance = shipped[name], random.Random(1)
    for _ in range(100):
        history = [chance.randrange(len(model.vocabulary)) for _ in range(chance.randrange(12))]
        log_probs = model.next_words(model.read(model.initial(), history))
        assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ["ngram", "lstm", "mixture"])
def test_chain_rule(shipped: Models, name: str) -> None:
    model, words = shipped[name], "THEY HOPED TO WRECK A NICE BEACH".split()
    (score,) = score_sentences(model, [words])
    ids = model.vocabulary.encode([*words, SPECIAL_WORDS[2]])
    state, total = model.initial(), 0.0
    for word in ids:
        total += float(model.next_words(state)[word])
        state = model.read(state, [word])
    # The n-gram's quantised probabilities sum to 1 only nearly; asked for all next words it scales them.
    assert score.log_prob == pytest.approx(total, abs=1e-4 if name == "lstm" else 0.1)
