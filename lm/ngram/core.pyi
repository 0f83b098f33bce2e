"""The compiled n-gram, see core.cpp; lm.ngram.model calls it."""

from collections.abc import Sequence

import numpy as np

from lm.ngram.trie import NgramTables

class Ngram:
    """An n-gram asked for the words of a vocabulary, by their ids there. A state is what it remembers of a sentence."""

    def __init__(
        self,
        *,
        tables: NgramTables,
        shares: np.ndarray,  # float64 [V]: what is added to the log-probability of each word
        start: int,  # the vocabulary's ids of sentence start and end
        end: int,
    ) -> None: ...
    def initial(self) -> bytes: ...
    def read(self, state: bytes, words: Sequence[int]) -> bytes: ...
    def score(self, states: Sequence[bytes], words: Sequence[int], log_probs: np.ndarray) -> list[bytes]:
        """Write log P of each word after its state to log_probs, float32 [B]; the states that follow."""
    def log_probs(self, sequences: Sequence[Sequence[int]], log_probs: Sequence[np.ndarray]) -> None:
        """Write log P of each word of each sequence to an array of its own, float32 [words]."""
    def next_words(self, state: bytes) -> np.ndarray:
        """log P of every word of the vocabulary, float64 [V]."""
