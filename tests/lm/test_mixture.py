import numpy as np
import pytest

from lm.mixture import Mixture
from lm.query import Models
from lm.vocabulary import UNKNOWN, Vocabulary


def test_mixes_probabilities_word_by_word(models: Models) -> None:
    ngram, lstm, mixture = models.ngram, models.lstm, models.mixture
    words = [3, UNKNOWN, 9]
    states = [(ngram.initial(), lstm.initial())] * 3
    for word in words:
        first, ngram_states = ngram.score([state for state, _ in states], [word] * 3)
        second, lstm_states = lstm.score([state for _, state in states], [word] * 3)
        mixed, states = mixture.score(states, [word] * 3)
        assert np.exp(mixed) == pytest.approx(0.25 * np.exp(first) + 0.75 * np.exp(second), rel=1e-5)
        expected = 0.25 * np.exp(ngram.next_words(ngram_states[0])) + 0.75 * np.exp(lstm.next_words(lstm_states[0]))
        assert np.exp(mixture.next_words(states[0])) == pytest.approx(expected, rel=1e-5)


def test_says_what_cannot_be_mixed(models: Models) -> None:
    class Other:
        vocabulary = Vocabulary(["THE"])

    with pytest.raises(ValueError, match="same vocabulary"):
        Mixture(models.ngram, Other(), 0.5)  # type: ignore[arg-type]
    for weight in (0.0, 1.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            Mixture(models.ngram, models.lstm, weight)
