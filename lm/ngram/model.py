"""Word n-gram models as language models."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lm.ngram import core
from lm.ngram.arpa import BackoffModel
from lm.ngram.trie import make_trie, read_ngram, warn_missing
from lm.text.vocabulary import END, START, Vocabulary


class NgramModel:
    """An n-gram model (KenLM trie or ARPA) as a LanguageModel: ids of `vocabulary`, natural logarithms.

    A word of the vocabulary that the model lacks has an equal share of the model's probability for unknown words,
    so that the probabilities of all of the vocabulary sum to 1. A state is bytes: the last words that some n-gram goes
    on from, and the back-off weights of these contexts.
    """

    def __init__(self, source: Path | BackoffModel, vocabulary: Vocabulary) -> None:
        """source: a file, or a model in memory.

        Errors: FileNotFoundError; ValueError for a file that is neither, or a KenLM binary of another kind.
        """
        if isinstance(source, BackoffModel):
            tables = make_trie(source, vocabulary)
        elif source.is_file():
            tables = read_ngram(source, vocabulary)
            warn_missing(tables, source)
        else:
            raise FileNotFoundError(f"{source}: no such n-gram model; `lm build-ngram` makes one")
        self.missing = int(tables.missing.sum())  # words of the vocabulary
        self._core = core.Ngram(tables=tables, shares=tables.shares, start=START, end=END)
        self.vocabulary = vocabulary
        self.order = tables.order

    def initial(self) -> bytes:
        """The state before the first word of a sentence."""
        return self._core.initial()

    def read(self, state: bytes, words: Sequence[int]) -> bytes:
        """The state after `words`, which follow `state`."""
        return self._core.read(state, words)

    def score(self, states: Sequence[bytes], words: Sequence[int]) -> tuple[np.ndarray, list[bytes]]:
        """Log-probabilities [B] float32 of `words` [B], each after its state, and the B states that follow them."""
        log_probs = np.empty(len(words), np.float32)
        return log_probs, self._core.score(states, words, log_probs)

    def log_probs(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Log-probabilities float32 of each word of each sequence, which starts anew after each `</s>`."""
        log_probs = [np.empty(len(words), np.float32) for words in sequences]
        self._core.log_probs(sequences, log_probs)
        return log_probs

    def next_words(self, state: bytes) -> np.ndarray:
        """Log-probabilities [V] float64 of every word after the state; `<s>` has −inf, the rest sum to 1.

        What lm.ngram.pack quantised does so anyway, to 1e-4; of what KenLM quantised, the probabilities that `score`
        tells are scaled here by up to a few per cent.
        """
        log_probs = self._core.next_words(state)
        log_probs[START] = -np.inf
        return log_probs - np.logaddexp.reduce(log_probs)
