"""A neural cache: words that stood in like places of a text are expected again (Grave, Joulin and Usunier 2017).

The LSTM's top output that foretold each of the last words is kept. What the output now resembles tells which of those
words may come: P_cache(w) ∝ Σ_i [w_i = w] exp(sharpness · h·h_i), and P = (1 - weight) · P_LSTM + weight · P_cache.
Nothing is trained. It pays in documents, where names and subjects return, not in single sentences.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lm.lstm.model import LstmModel, LstmState

STEPS = 256  # words looked up at once
WEIGHT, SHARPNESS = 0.12, 0.4  # the best for 30,000 words of held-out books, at a size of 2,000


class CacheState(NamedTuple):
    """The LSTM's state, and the last words with the top outputs that foretold them."""

    lstm: LstmState
    outputs: np.ndarray  # float32 [words, hidden]
    words: np.ndarray  # int64 [words]


class NeuralCache:
    """An LstmModel that remembers its last `size` words; a LanguageModel itself (see lm.model)."""

    def __init__(self, model: LstmModel, size: int, weight: float = WEIGHT, sharpness: float = SHARPNESS) -> None:
        """weight: of the cache, 0 < weight < 1."""
        if size < 1 or not 0 < weight < 1:
            raise ValueError(f"a cache needs 1 word or more, and a weight between 0 and 1: not {size} and {weight}")
        self.vocabulary = model.vocabulary
        self._model, self._size, self._weight, self._sharpness = model, size, weight, sharpness

    def initial(self) -> CacheState:
        state = self._model.initial()
        return CacheState(state, np.empty((0, state[0].shape[-1]), np.float32), np.empty(0, np.int64))

    def read(self, state: CacheState, words: Sequence[int]) -> CacheState:
        for word in words:
            _, (state,) = self.score([state], [word])
        return state

    def score(self, states: Sequence[CacheState], words: Sequence[int]) -> tuple[np.ndarray, list[CacheState]]:
        log_probs, lstm_states = self._model.score([state.lstm for state in states], words)
        mixed, following = np.empty_like(log_probs), []
        for i, (state, lstm_state, word) in enumerate(zip(states, lstm_states, words, strict=True)):
            outputs = np.concatenate([state.outputs, state.lstm[0][-1:]])
            read = np.append(state.words, word)
            cached = self._cached(outputs, read, len(state.words))
            mixed[i] = self._mixed(log_probs[i : i + 1], cached)[0] if len(state.words) else log_probs[i]
            following.append(CacheState(lstm_state, outputs[-self._size :], read[-self._size :]))
        return mixed, following

    def next_words(self, state: CacheState) -> np.ndarray:
        log_probs = self._model.next_words(state.lstm)
        if not len(state.words):
            return log_probs
        weights = _softmax(self._sharpness * (state.outputs @ state.lstm[0][-1]))
        cached = np.bincount(state.words, weights, minlength=len(log_probs))
        return self._mixed(log_probs, cached)

    def log_probs(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        result = []
        for sequence, log_probs in zip(sequences, self._model.log_probs(sequences), strict=True):
            words, outputs = np.array(sequence), self._model.outputs(sequence)
            pieces = []
            for start in range(0, len(words), STEPS):
                first = max(0, start - self._size)
                stop = min(start + STEPS, len(words))
                pieces.append(self._cached(outputs[first:stop], words[first:stop], start - first))
            mixed = self._mixed(log_probs, np.concatenate(pieces)) if len(words) else log_probs
            mixed[:1] = log_probs[:1]  # the cache is empty yet
            result.append(mixed)
        return result

    def _cached(self, outputs: np.ndarray, words: np.ndarray, start: int) -> np.ndarray:
        """P_cache of words[start:], each from the `size` words before it; 0 for one without any."""
        similar = self._sharpness * (outputs[start:] @ outputs.T)
        age = np.arange(start, len(words))[:, None] - np.arange(len(words))
        similar[(age < 1) | (age > self._size)] = -np.inf
        first = int(start == 0)  # before which there is no word
        cached = np.zeros(len(similar), np.float32)
        cached[first:] = (_softmax(similar[first:]) * (words[start + first :, None] == words)).sum(1)
        return cached

    def _mixed(self, log_probs: np.ndarray, cached: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            mixed: np.ndarray = np.log((1 - self._weight) * np.exp(log_probs) + self._weight * cached)
        return mixed


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    weights: np.ndarray = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)
