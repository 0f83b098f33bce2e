"""The compiled beam search, see core.cpp; asr.decoder.beam calls it."""

import numpy as np

from asr.lexicon.lexicon import LexiconTree
from lm.ngram.trie import NgramTables

class Graph:
    """What a search reads and never changes."""

    def __init__(
        self,
        *,
        tree: LexiconTree,
        ngram: NgramTables,
        look_ahead: np.ndarray,  # float64 [nodes]: the largest factor of any word at or below a node, by the unigram
        share: np.ndarray,  # float64 [words]: added to log P of each by the n-gram
        boost: np.ndarray,  # float64 [words]: nats, of hot words
        units: int,
        start: int,  # the vocabulary's ids of sentence start and end
        end: int,
        ngram_weight: float,
        word_bonus: float,
        beam_size: int,
        beam_score: float,
        skip_blank: float,
        add: bool,
        memory: int,  # 0, or the number of last words by which contexts differ at least, for a fused language model
    ) -> None: ...

class Search:
    """One utterance."""

    def __init__(self, graph: Graph, before: list[int]) -> None:
        """before: ids of the words that were said since the sentence began."""
    def copy(self) -> Search: ...
    def accept(self, log_probs: np.ndarray) -> int:
        """Take frames, float32 [T, units]. Returns how many: fewer than all if new arcs want a score first."""
    def score(self, first: int, log_probs: np.ndarray, weight: float) -> None:
        """The fused language model's scores, float64, of the arcs from `first` on."""
    def best(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
        """Of the most probable hypothesis so far each word, its first and past-the-end frame, and the share of the
        beam's probability that agrees in the words up to it; and log P(sentence end) after it.
        """
    def end(self) -> None: ...
    def contexts(self) -> int: ...
    def sentence_ends(self) -> np.ndarray:
        """log P(sentence end | context), float64 [contexts]."""
    def arcs(self, first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Source, word, target; log P by the n-gram and by the fused model, of the arcs from `first` on."""
    def nbest(
        self, ends: np.ndarray, count: int, most_items: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Log-prob and first word of each hypothesis (and the end of the last); of each word the arc, the first and the
        past-the-end frame, and, if merged hypotheses were added, the posterior.

        ends: the factor of the sentence end, float64 [contexts].
        """
