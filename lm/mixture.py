"""Two language models mixed: P = weight * P_first + (1 - weight) * P_second, word by word."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

from lm.model import LanguageModel

First = TypeVar("First")
Second = TypeVar("Second")


class Mixture(Generic[First, Second]):
    """The linear interpolation of two models over the same vocabulary; a LanguageModel itself (see lm.model)."""

    def __init__(self, first: LanguageModel[First], second: LanguageModel[Second], weight: float) -> None:
        """weight: of the first model, 0 < weight < 1."""
        if list(first.vocabulary) != list(second.vocabulary):
            raise ValueError("models to be mixed must have the same vocabulary")
        if not 0 < weight < 1:
            raise ValueError(f"the weight of a mixture lies between 0 and 1, not at {weight}")
        self.vocabulary = first.vocabulary
        self.weight = weight
        self._first, self._second = first, second

    def initial(self) -> tuple[First, Second]:
        return self._first.initial(), self._second.initial()

    def read(self, state: tuple[First, Second], words: Sequence[int]) -> tuple[First, Second]:
        return self._first.read(state[0], words), self._second.read(state[1], words)

    def score(
        self, states: Sequence[tuple[First, Second]], words: Sequence[int]
    ) -> tuple[np.ndarray, list[tuple[First, Second]]]:
        first, first_states = self._first.score([state for state, _ in states], words)
        second, second_states = self._second.score([state for _, state in states], words)
        return self._mixed(first, second), list(zip(first_states, second_states, strict=True))

    def next_words(self, state: tuple[First, Second]) -> np.ndarray:
        return self._mixed(self._first.next_words(state[0]), self._second.next_words(state[1]))

    def log_probs(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        first, second = self._first.log_probs(sequences), self._second.log_probs(sequences)
        return [self._mixed(one, other) for one, other in zip(first, second, strict=True)]

    def _mixed(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        mixed: np.ndarray = np.logaddexp(np.log(self.weight) + first, np.log(1 - self.weight) + second)
        return mixed
