"""Language models mixed, and the weights at which their mixture foretells a text best.

    >>> weights = em_weights(np.stack([np.concatenate(model.log_probs(sentences)) for model in (ngram, lstm)]))
    >>> mixture = LinearMixture([ngram, lstm], weights)

A linear mixture adds probabilities: a word is likely if one of the models holds it so. A log-linear one multiplies
them: a word is likely if none of the models objects. To make probabilities of products it needs the whole vocabulary
at each word, and so is slow: tens of milliseconds a word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lm.model import LanguageModel
from lm.progress import progress_bar
from lm.text.vocabulary import START

BLOCK = 256  # sentences given to a model at once

States = tuple[Any, ...]  # one a model


class _Mixture:
    """What both mixtures share. Their states are tuples of the models' states."""

    def __init__(self, models: Sequence[LanguageModel[Any]], weights: Sequence[float] | np.ndarray) -> None:
        """models: of the same vocabulary. weights: one a model, > 0."""
        if any(list(model.vocabulary) != list(models[0].vocabulary) for model in models[1:]):
            raise ValueError("models to be mixed must have the same vocabulary")
        if len(weights) != len(models) or min(weights) <= 0:
            raise ValueError(f"a mixture of {len(models)} models needs as many weights above 0, not {list(weights)}")
        self.vocabulary = models[0].vocabulary
        self.models = list(models)
        self.weights = np.array(weights, np.float64)

    def initial(self) -> States:
        return tuple(model.initial() for model in self.models)

    def read(self, state: States, words: Sequence[int]) -> States:
        return tuple(model.read(own, words) for model, own in zip(self.models, state, strict=True))


class LinearMixture(_Mixture):
    """P(word) = Σ weights[i] P_i(word); the weights add up to 1. A LanguageModel itself (see lm.model)."""

    def __init__(self, models: Sequence[LanguageModel[Any]], weights: Sequence[float] | np.ndarray) -> None:
        super().__init__(models, weights)
        if abs(self.weights.sum() - 1) > 1e-6:
            raise ValueError(f"the weights of a linear mixture add up to 1, not to {self.weights.sum():g}")

    def score(self, states: Sequence[States], words: Sequence[int]) -> tuple[np.ndarray, list[States]]:
        scored = [model.score(own, words) for model, own in zip(self.models, zip(*states, strict=True), strict=True)]
        following = zip(*(own for _, own in scored), strict=True)
        return _sum(self.weights, np.stack([log_probs for log_probs, _ in scored])), list(following)

    def next_words(self, state: States) -> np.ndarray:
        return _sum(self.weights, _next_words(self.models, state))

    def log_probs(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        alone = zip(*(model.log_probs(sequences) for model in self.models), strict=True)
        return [_sum(self.weights, np.stack(log_probs)) for log_probs in alone]


@dataclass(frozen=True)
class RunningState:
    """The models' states, and the logarithms of their weights for the next word."""

    states: States
    log_weights: np.ndarray


class RunningMixture(_Mixture):
    """A linear mixture whose weights follow what was read: a text of a kind raises the models that foretell it.

    After each word the weights move by `rate` towards the models' shares in its probability, which forgets in about
    1 / `rate` words what was before; `weights` are those before the first word. A LanguageModel itself. Over 4-grams of
    books, of talk and of written text and an LSTM, a rate of 0.02 comes within 0.5 % of the perplexity at the weights
    fitted to each text by itself, 2 % (podcasts) to 25 % (books) below weights fitted to a mixture of texts.
    """

    def __init__(
        self, models: Sequence[LanguageModel[Any]], weights: Sequence[float] | np.ndarray, rate: float = 0.02
    ) -> None:
        """weights: of a sum of 1. rate: from 0 (the weights stay) to below 1."""
        super().__init__(models, weights)
        if abs(self.weights.sum() - 1) > 1e-6 or not 0 <= rate < 1:
            raise ValueError(
                f"want weights of a sum of 1 and a rate from 0 to below 1, not {self.weights.sum():g} and {rate:g}"
            )
        self.rate = rate

    def initial(self) -> RunningState:  # type: ignore[override]
        return RunningState(super().initial(), np.log(self.weights))

    def read(self, state: RunningState, words: Sequence[int]) -> RunningState:  # type: ignore[override]
        for word in words:
            _, (state,) = self.score([state], [word])
        return state

    def score(self, states: Sequence[RunningState], words: Sequence[int]) -> tuple[np.ndarray, list[RunningState]]:
        own = zip(*(state.states for state in states), strict=True)
        scored = [model.score(before, words) for model, before in zip(self.models, own, strict=True)]
        log_weights = np.stack([state.log_weights for state in states], 1)
        joint = log_weights + np.stack([log_probs for log_probs, _ in scored])
        mixed = np.logaddexp.reduce(joint)
        after = self._moved(log_weights, joint - mixed)
        following = zip(*(following for _, following in scored), strict=True)
        return mixed.astype(np.float32), [RunningState(own, row) for own, row in zip(following, after.T, strict=True)]

    def next_words(self, state: RunningState) -> np.ndarray:
        log_probs: np.ndarray = np.logaddexp.reduce(state.log_weights[:, None] + _next_words(self.models, state.states))
        return log_probs

    def log_probs(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        result = []
        for alone in zip(*(model.log_probs(sequences) for model in self.models), strict=True):
            log_weights, mixed = np.log(self.weights), np.empty(len(alone[0]), np.float32)
            for i, log_probs in enumerate(np.stack(alone, 1)):
                joint = log_weights + log_probs
                total = np.logaddexp.reduce(joint)
                log_weights = self._moved(log_weights, joint - total)
                mixed[i] = total
            result.append(mixed)
        return result

    def _moved(self, log_weights: np.ndarray, log_shares: np.ndarray) -> np.ndarray:
        if self.rate == 0:
            return log_weights
        moved: np.ndarray = np.logaddexp(np.log1p(-self.rate) + log_weights, np.log(self.rate) + log_shares)
        return moved


class LogLinearMixture(_Mixture):
    """P(word) ∝ Π P_i(word) ** weights[i], normalised over the vocabulary. A LanguageModel itself, a slow one."""

    def score(self, states: Sequence[States], words: Sequence[int]) -> tuple[np.ndarray, list[States]]:
        log_probs = [self.next_words(state)[word] for state, word in zip(states, words, strict=True)]
        following = [self.read(state, [word]) for state, word in zip(states, words, strict=True)]
        return np.array(log_probs, np.float32), following

    def next_words(self, state: States) -> np.ndarray:
        return _product(self.weights, _next_words(self.models, state))

    def log_probs(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        result = []
        for words in sequences:
            state, scores = self.initial(), []
            for word in words:
                scores.append(self.next_words(state)[word])
                state = self.read(state, [word])
            result.append(np.array(scores, np.float32))
        return result


def _next_words(models: Sequence[LanguageModel[Any]], state: States) -> np.ndarray:
    """[models, V]"""
    return np.stack([model.next_words(own) for model, own in zip(models, state, strict=True)])


def _sum(weights: np.ndarray, log_probs: np.ndarray) -> np.ndarray:
    """log Σ weights[i] P_i of log P [models, N], as precise as those."""
    mixed: np.ndarray = np.logaddexp.reduce(np.log(weights).astype(log_probs.dtype)[:, None] + log_probs)
    return mixed


def _product(weights: np.ndarray, log_probs: np.ndarray) -> np.ndarray:
    """log Π P_i ** weights[i] of log P [models, V], normalised."""
    product = weights @ log_probs
    product -= product.max()
    normalized: np.ndarray = product - np.log(np.exp(product).sum())
    return normalized


# --- Weights ----------------------------------------------------------------------------------------------


def em_weights(log_probs: np.ndarray, tolerance: float = 1e-5) -> np.ndarray:
    """The weights [models] of the linear mixture that finds a text most probable, by expectation maximisation.

    log_probs: what each model says of each word of the text, [models, words]. The weights come within `tolerance` of
    the best mean log-probability of a word: 1e-5 is 0.001 % of the perplexity (bound of T. Cover, "An algorithm for
    maximizing expected log investment return", 1984). Errors: ValueError for a text without words.
    """
    if not log_probs.size:
        raise ValueError("weights: no words to fit them on")
    probabilities = np.exp(log_probs - log_probs.max(0))  # a factor common to all models doesn't matter
    weights = np.full(len(log_probs), 1 / len(log_probs))
    while True:
        gains = em_gains(weights, probabilities)
        if gains.max() <= 1 + tolerance:
            return weights
        weights = weights * gains


def em_gains(weights: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """By what an iteration multiplies the weights [models]: the mean of P_i(word) / P(word); never a loss."""
    gains: np.ndarray = (probabilities / (weights @ probabilities)).mean(1)
    return gains


def log_linear_weights(
    distributions: Sequence[np.ndarray], words: Sequence[int], tolerance: float = 1e-6
) -> np.ndarray:
    """The weights [models] of the log-linear mixture that finds a text most probable, by Newton's method.

    distributions: for each word of the text, what each model says of the whole vocabulary, log P [models, V], finite;
    words: which of the V it is. The weights need not add up to 1; one that isn't above 0 says that its model is better
    left out. They come within `tolerance` of the best mean log-probability of a word, which has a single maximum.
    Errors: ValueError for a text without words.
    """
    if not len(words):
        raise ValueError("weights: no words to fit them on")
    weights = np.full(len(distributions[0]), 1 / len(distributions[0]))
    value, gradient, curvature = _derivatives(weights, distributions, words)
    while True:
        step = np.linalg.lstsq(curvature, gradient)[0]
        if gradient @ step < tolerance:
            return weights
        while (ahead := _derivatives(weights + step, distributions, words))[0] < value:
            step /= 2
        weights = weights + step
        value, gradient, curvature = ahead


def _derivatives(
    weights: np.ndarray, distributions: Sequence[np.ndarray], words: Sequence[int]
) -> tuple[float, np.ndarray, np.ndarray]:
    """The mean log-probability of the words, its gradient, and minus its matrix of second derivatives.

    These are, as in any exponential family, log P less its mean, and its covariance.
    """
    value, gradient, curvature = 0.0, np.zeros(len(weights)), np.zeros((len(weights), len(weights)))
    for log_probs, word in zip(distributions, words, strict=True):
        mixed = _product(weights, log_probs)
        weighted = log_probs * np.exp(mixed)
        mean = weighted.sum(1)
        value += mixed[word]
        gradient += log_probs[:, word] - mean
        curvature += weighted @ log_probs.T - np.outer(mean, mean)
    return value / len(words), gradient / len(words), curvature / len(words)


# --- Models on a text -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """Weights fitted to a text, and perplexities on it. Sentences begin anew, their ends are words."""

    tokens: int
    weights: list[float]  # fitted on all of it
    fold_weights: list[list[float]]  # for each fold, those fitted on all but it
    model_perplexities: list[float]
    perplexity: float  # of the mixture: of each fold under its weights; without folds, of all under `weights`


def fit_mixture(
    models: Sequence[LanguageModel[Any]],
    sentences: Sequence[Sequence[int]],
    folds: int = 1,
    log_linear: bool = False,
    limit: int = 1000,
) -> Fit:
    """Fit the weights of a mixture on sentences, each closed by `</s>`, and measure it by cross-validation.

    folds: fold k is every sentence whose number modulo `folds` is k; 1: none, the perplexity is that of the text which
    the weights are fitted on, and a little too good. limit: a log-linear mixture is fitted and measured on about so
    many words only, in sentences evenly spread; what the models say of the whole vocabulary at each is kept in memory,
    0.8 GB for a thousand words of two models of 100,000. Errors: ValueError for fewer sentences than folds.
    """
    if log_linear:
        sentences = sentences[:: -(-sum(map(len, sentences)) // limit)]
    if len(sentences) < folds:
        raise ValueError(f"{folds} folds need as many sentences; there are {len(sentences)}")
    fold = np.repeat(np.arange(len(sentences)) % folds, [len(sentence) for sentence in sentences])
    whole = np.arange(len(fold))
    if log_linear:
        distributions, words = _distributions(models, sentences)
        alone = np.array([log_probs[:, word] for log_probs, word in zip(distributions, words, strict=True)]).T

        def fit(part: np.ndarray) -> np.ndarray:
            return log_linear_weights([distributions[i] for i in part], words[part])

        def mixed(weights: np.ndarray, part: np.ndarray) -> np.ndarray:
            return np.array([_product(weights, distributions[i])[words[i]] for i in part])
    else:
        alone = _log_probs(models, sentences)

        def fit(part: np.ndarray) -> np.ndarray:
            return em_weights(alone[:, part])

        def mixed(weights: np.ndarray, part: np.ndarray) -> np.ndarray:
            return _sum(weights, alone[:, part])

    weights = fit(whole)
    parts = [(weights, whole)]
    if folds > 1:
        parts = [(fit(np.flatnonzero(fold != k)), np.flatnonzero(fold == k)) for k in range(folds)]
    log_probs = np.concatenate([mixed(weights, part) for weights, part in parts])
    return Fit(
        tokens=len(whole),
        weights=weights.tolist(),
        fold_weights=[weights.tolist() for weights, _ in parts] if folds > 1 else [],
        model_perplexities=np.exp(-alone.mean(1)).tolist(),
        perplexity=float(np.exp(-log_probs.mean())),
    )


def _log_probs(models: Sequence[LanguageModel[Any]], sentences: Sequence[Sequence[int]]) -> np.ndarray:
    """float64 [models, words]"""
    blocks = [sentences[start : start + BLOCK] for start in range(0, len(sentences), BLOCK)]
    rows = []
    for i, model in enumerate(models, 1):
        blocks_with_bar = progress_bar(blocks, f"model {i} of {len(models)}", len(blocks))
        rows.append(np.concatenate([log_probs for block in blocks_with_bar for log_probs in model.log_probs(block)]))
    return np.stack(rows).astype(np.float64)


def _distributions(
    models: Sequence[LanguageModel[Any]], sentences: Sequence[Sequence[int]]
) -> tuple[list[np.ndarray], np.ndarray]:
    """For each word: log P of all words but `<s>` by each model, float32 [models, V - 1], and which of these it is."""
    distributions, words = [], []
    for sentence in progress_bar(sentences, "reading", len(sentences)):
        states = tuple(model.initial() for model in models)
        for word in sentence:
            log_probs = _next_words(models, states).astype(np.float32)
            distributions.append(np.delete(log_probs, START, 1))
            words.append(word - (word > START))
            states = tuple(model.read(own, [word]) for model, own in zip(models, states, strict=True))
    return distributions, np.array(words)
