from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.mixture import (
    LinearMixture,
    LogLinearMixture,
    RunningMixture,
    em_gains,
    em_weights,
    fit_mixture,
    log_linear_weights,
)
from lm.model import LanguageModel
from lm.query import Models
from lm.text.vocabulary import END, START, UNKNOWN, Vocabulary

WORDS = [3, UNKNOWN, 9, END]


@pytest.fixture(params=["linear", "log-linear"])
def mixture(request: pytest.FixtureRequest, models: Models) -> LinearMixture | LogLinearMixture:
    """Of three models, the first twice."""
    kind = LinearMixture if request.param == "linear" else LogLinearMixture
    return kind([models.ngram, models.lstm, models.ngram], [0.2, 0.5, 0.3])


def test_mixes_probabilities_word_by_word(models: Models, mixture: LinearMixture | LogLinearMixture) -> None:
    ngram, lstm, state = models.ngram.initial(), models.lstm.initial(), mixture.initial()
    for word in WORDS:
        first, second = models.ngram.next_words(ngram), models.lstm.next_words(lstm)
        if isinstance(mixture, LinearMixture):
            expected = 0.5 * np.exp(first) + 0.5 * np.exp(second)
        else:
            expected = np.exp(first) ** 0.5 * np.exp(second) ** 0.5
            expected /= expected.sum()
        mixed = mixture.next_words(state)
        assert mixed[START] == -np.inf
        assert np.exp(mixed) == pytest.approx(expected, rel=1e-5)
        ngram, lstm, state = (
            models.ngram.read(ngram, [word]),
            models.lstm.read(lstm, [word]),
            mixture.read(state, [word]),
        )


def test_scores_as_it_foretells(mixture: LanguageModel[Any]) -> None:
    states = [mixture.initial()] * 2
    stepped = []
    for word in WORDS:
        expected = np.exp(mixture.next_words(states[0])[[word, 5]])
        scores, states = mixture.score(states, [word, 5])
        assert scores.dtype == np.float32
        assert np.exp(scores) == pytest.approx(expected, rel=0.05)  # tiny.bin is quantised: see NgramModel.next_words
        stepped.append(scores[0])
        states = [states[0]] * 2
    assert mixture.log_probs([WORDS, [3]])[0] == pytest.approx(stepped, abs=1e-4)
    assert mixture.log_probs([WORDS, [3]])[1] == pytest.approx(stepped[:1], abs=1e-4)


def test_says_what_cannot_be_mixed(models: Models) -> None:
    class Other:
        vocabulary = Vocabulary(["THE"])

    with pytest.raises(ValueError, match="same vocabulary"):
        LinearMixture([models.ngram, Other()], [0.5, 0.5])  # type: ignore[list-item]
    for kind in (LinearMixture, LogLinearMixture):
        for weights in ([1.0], [1.0, 0.0]):
            with pytest.raises(ValueError, match="weights above 0"):
                kind([models.ngram, models.lstm], weights)
    with pytest.raises(ValueError, match=r"add up to 1, not to 1\.5"):
        LinearMixture([models.ngram, models.lstm], [0.5, 1.0])


@st.composite
def texts(draw: st.DrawFn) -> np.ndarray:
    """log P of each word of a text by some models, [models, words]."""
    models, words = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    rows = st.lists(st.floats(-12, -0.01), min_size=words, max_size=words)
    return np.array(draw(st.lists(rows, min_size=models, max_size=models)))


@given(texts(), st.integers(0, 2**32))
def test_no_weights_are_better_than_those_of_em(log_probs: np.ndarray, seed: int) -> None:
    def mean(weights: np.ndarray) -> float:
        return float(np.log(weights @ np.exp(log_probs)).mean())

    weights = em_weights(log_probs)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    for other in [*np.eye(len(weights)), *np.random.default_rng(seed).dirichlet(np.ones(len(weights)), 20)]:
        assert mean(weights) >= mean(other) - 1.1e-5


@given(texts())
def test_no_iteration_of_em_lowers_the_likelihood(log_probs: np.ndarray) -> None:
    probabilities = np.exp(log_probs)
    weights = np.full(len(log_probs), 1 / len(log_probs))
    for _ in range(10):
        before = np.log(weights @ probabilities).mean()
        weights = weights * em_gains(weights, probabilities)
        assert np.log(weights @ probabilities).mean() >= before - 1e-12


def test_finds_the_weights_that_a_text_was_drawn_with() -> None:
    random = np.random.default_rng(1)
    first, second = random.dirichlet(np.full(50, 0.3), 2)
    words = random.choice(50, 20_000, p=0.7 * first + 0.3 * second)
    assert em_weights(np.log([first[words], second[words]])) == pytest.approx([0.7, 0.3], abs=0.02)
    product = first**0.9 * second**0.4
    words = random.choice(50, 5_000, p=product / product.sum())
    distributions = [np.log([first, second])] * len(words)
    assert log_linear_weights(distributions, words) == pytest.approx([0.9, 0.4], abs=0.05)


def test_equal_models_have_equal_weights() -> None:
    log_probs = np.log(np.random.default_rng(1).dirichlet(np.ones(5), 30))
    words = np.arange(30) % 5
    assert em_weights(log_probs[:, 0] * np.ones((2, 1))) == pytest.approx([0.5, 0.5])
    first, second = log_linear_weights([np.stack([row, row]) for row in log_probs], words)
    assert first == pytest.approx(second)


@pytest.mark.parametrize("log_linear", [False, True])
def test_fits_a_mixture_to_a_text(models: Models, log_linear: bool) -> None:
    sentences = [[3, 4, END], [5, UNKNOWN, 3, END], [4, END], [9, 3, 4, END], [6, 7, END]]
    pair = [models.ngram, models.lstm]
    fit = fit_mixture(pair, sentences, log_linear=log_linear)
    kind = LogLinearMixture if log_linear else LinearMixture
    assert fit.tokens == sum(map(len, sentences))
    assert not fit.fold_weights
    assert fit.perplexity <= min(fit.model_perplexities) * (1 + 1e-4)
    for model, perplexity in zip(pair, fit.model_perplexities, strict=True):
        scores = np.concatenate(model.log_probs(sentences))
        assert np.exp(-scores.mean()) == pytest.approx(perplexity, rel=0.02)
    if min(fit.weights) > 1e-6:
        assert np.exp(-np.concatenate(kind(pair, fit.weights).log_probs(sentences)).mean()) == pytest.approx(
            fit.perplexity, rel=1e-4
        )

    folds = fit_mixture(pair, sentences, folds=2, log_linear=log_linear)
    assert folds.weights == fit.weights
    even, odd = sentences[::2], sentences[1::2]
    assert folds.fold_weights == [fit_mixture(pair, half, log_linear=log_linear).weights for half in (odd, even)]
    assert folds.perplexity >= fit.perplexity * (1 - 1e-4)


def test_limits_the_words_of_a_log_linear_fit(models: Models) -> None:
    sentences = [[3, 4, END]] * 20
    assert fit_mixture([models.ngram, models.lstm], sentences, log_linear=True, limit=20).tokens == 21
    with pytest.raises(ValueError, match="30 folds need as many sentences; there are 20"):
        fit_mixture([models.ngram, models.lstm], sentences, folds=30)


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_running_weights_are_the_same_word_by_word_and_all_at_once(models: Models, rate: float) -> None:
    mixture = RunningMixture([models.ngram, models.lstm], [0.2, 0.8], rate)
    states, stepped = [mixture.initial()] * 2, []
    for word in WORDS:
        expected = mixture.next_words(states[0])
        assert np.exp(expected).sum() == pytest.approx(1, abs=1e-5)
        scores, states = mixture.score(states, [word, 5])
        assert scores[0] == pytest.approx(expected[word], abs=0.05)  # tiny.bin is quantised: see NgramModel.next_words
        stepped.append(scores[0])
        states = [states[0]] * 2
    assert mixture.log_probs([WORDS, [3]])[0] == pytest.approx(stepped, abs=1e-4)
    assert mixture.read(mixture.initial(), WORDS).log_weights == pytest.approx(states[0].log_weights, abs=1e-4)
    if rate == 0:
        linear = LinearMixture([models.ngram, models.lstm], [0.2, 0.8])
        assert mixture.log_probs([WORDS])[0] == pytest.approx(linear.log_probs([WORDS])[0], abs=1e-5)


def test_running_weights_go_to_the_model_that_foretells_best(models: Models) -> None:
    words = 30 * [3, 9, 5, END]
    alone = [np.concatenate(model.log_probs([words])).mean() for model in (models.ngram, models.lstm)]
    mixture = RunningMixture([models.ngram, models.lstm], [0.5, 0.5], 0.05)
    weights = np.exp(mixture.read(mixture.initial(), words).log_weights)
    assert weights.sum() == pytest.approx(1)
    assert weights.argmax() == np.argmax(alone)
    static = LinearMixture([models.ngram, models.lstm], [0.5, 0.5])
    assert mixture.log_probs([words])[0].mean() > static.log_probs([words])[0].mean()


def test_running_weights_say_what_is_wrong(models: Models) -> None:
    for weights, rate in (([0.2, 0.2], 0.1), ([0.5, 0.5], 1.0)):
        with pytest.raises(ValueError, match="sum of 1 and a rate"):
            RunningMixture([models.ngram, models.lstm], weights, rate)
