"""The one interface of all language models here. Natural logarithms everywhere."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from lm.text.vocabulary import Vocabulary

State = TypeVar("State")


class LanguageModel(Protocol[State]):
    """A word model over a closed vocabulary; every other word is `<unk>`.

    A state stands for the words so far. `</s>` both ends a sentence and starts the next, whose beginning may depend on
    what was before, or not: an n-gram forgets. States are values: scoring leaves them as they are.
    """

    vocabulary: Vocabulary

    def initial(self) -> State:
        """The state at the start of a sentence."""

    def read(self, state: State, words: Sequence[int]) -> State:
        """The state after `words`, which follow `state`."""

    def score(self, states: Sequence[State], words: Sequence[int]) -> tuple[np.ndarray, list[State]]:
        """log P(words[i] | states[i]), float32 [B], and the states that follow."""

    def next_words(self, state: State) -> np.ndarray:
        """log P(word | state) of the whole vocabulary, float64 [V]; `<s>`, which never follows, has -inf."""

    def log_probs(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """log P of each word of each sequence after the words before it, float32 [words]; faster than `score`.

        Each sequence starts anew at `initial`; it may hold several sentences, each closed by `</s>`.
        """
