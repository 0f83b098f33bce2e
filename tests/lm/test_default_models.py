"""What must hold of the models that ship, too."""

import random

import numpy as np
import pytest

from lm.query import Models, open_models


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
