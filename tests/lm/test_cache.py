import random

import numpy as np
import pytest

from lm import cache
from lm.cache import NeuralCache
from lm.lstm.model import LstmModel
from lm.text.vocabulary import END

WORDS = [random.Random(1).randrange(3, 30) for _ in range(23)] + [END]


@pytest.fixture
def cached(lstm: LstmModel) -> NeuralCache:
    return NeuralCache(lstm, size=5, weight=0.3, sharpness=0.5)


def brute_force(lstm: LstmModel, words: list[int], word: int) -> float:
    """P(word | words) by the definition."""
    states = [lstm.initial()]
    for read in words:
        states.append(lstm.score(states[-1:], [read])[1][0])
    tops = [state[0][-1] for state in states]
    recent = range(len(words))[-5:]
    weights = np.exp([0.5 * tops[i] @ tops[-1] for i in recent])
    p_lstm = np.exp(lstm.next_words(states[-1])[word])
    if not words:
        return float(p_lstm)
    p_cache = sum(weight for weight, i in zip(weights, recent, strict=True) if words[i] == word) / weights.sum()
    return float(0.7 * p_lstm + 0.3 * p_cache)


def test_it_is_the_definition_word_by_word_and_all_at_once(
    cached: NeuralCache, lstm: LstmModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "STEPS", 4)
    expected = [np.log(brute_force(lstm, WORDS[:i], word)) for i, word in enumerate(WORDS)]
    assert cached.log_probs([WORDS])[0] == pytest.approx(expected, abs=1e-5)
    state = cached.initial()
    for word, log_prob in zip(WORDS, expected, strict=True):
        distribution = cached.next_words(state)
        assert np.exp(distribution).sum() == pytest.approx(1, abs=1e-5)
        assert distribution[word] == pytest.approx(log_prob, abs=1e-5)
        scores, (state,) = cached.score([state], [word])
        assert scores[0] == pytest.approx(log_prob, abs=1e-5)


def test_what_comes_again_is_expected(lstm: LstmModel) -> None:
    text = WORDS[:6] * 6
    with_cache = NeuralCache(lstm, 20).log_probs([text])[0]
    assert with_cache.mean() > lstm.log_probs([text])[0].mean() + 0.5


@pytest.mark.parametrize(("size", "weight"), [(0, 0.5), (5, 0.0), (5, 1.0)])
def test_says_what_is_wrong(lstm: LstmModel, size: int, weight: float) -> None:
    with pytest.raises(ValueError, match="a cache needs"):
        NeuralCache(lstm, size, weight)
