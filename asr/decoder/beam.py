"""Beam search over a lexicon tree with an n-gram: log-probs in, hypotheses with their scores taken apart out."""

from dataclasses import dataclass

import numpy as np

from asr.decoder import search
from asr.decoder.hypothesis import Hypothesis, Weights
from asr.lexicon import LexiconTree
from lm.kenlm_trie import NgramTables
from lm.vocabulary import END, START, Vocabulary


@dataclass(frozen=True)
class BeamConfig:
    """Settings of the first pass; stored in the bundle."""

    size: int = 300  # hypotheses kept a frame
    score: float = 18.0  # nats below the best at which a hypothesis is given up
    nbest: int = 100


class BeamSearch:
    """Finds the best word sequences for one utterance; may be fed frames in chunks.

    decode(log_probs [T, units]) is reset(), accept(log_probs), finish().
    """

    def __init__(
        self,
        tree: LexiconTree,
        ngram: NgramTables,
        vocabulary: Vocabulary,
        config: BeamConfig,
        weights: Weights,
    ) -> None:
        self.config, self.weights = config, weights
        self.tree, self.ngram, self.vocabulary = tree, ngram, vocabulary
        self.reset()

    def reset(self) -> None:
        """Begin a new utterance."""
        order = self.ngram.order
        self._histories = search.Histories(
            used=np.ones(1, dtype=np.int64),
            parent=np.full(1, -1, dtype=np.int32),
            word=np.full(1, -1, dtype=np.int32),
            ngram=np.zeros(1),
            score=np.zeros(1),
            context=np.full((1, order - 1), -1, dtype=np.int32),
            backoff=np.zeros((1, order - 1), dtype=np.float32),
            slots=np.full(2, -1, dtype=np.int32),
        )
        start = self.ngram.ids[START]
        self._histories.context[0, :1] = start
        self._histories.backoff[0, :1] = self.ngram.backoff[start]
        self._histories = _grown(self._histories, 1 << 14)
        self._beam = _empty_beam(1 << 12)
        self._spare = _empty_beam(1 << 12)
        self._beam.used[0] = 1
        self._beam.history[0] = self._beam.node[0] = 0
        self._beam.blank[0], self._beam.label[0] = 0.0, search.MINUS_INFINITY

    def accept(self, log_probs: np.ndarray) -> None:
        """Take the next frames, log_probs [T, units] (natural logs, normalised)."""
        for frame in np.ascontiguousarray(log_probs, dtype=np.float32):
            while not self._advance(frame):
                # The arrays were too small for this frame: give both twice the room and take it again.
                self._histories = _grown(self._histories, 2 * len(self._histories.parent))
                self._spare = _empty_beam(2 * len(self._spare.history))
            self._beam, self._spare = self._spare, self._beam

    def _advance(self, frame: np.ndarray) -> bool:
        done: bool = search.advance(
            frame,
            self.tree,
            self.ngram,
            self._histories,
            self._beam,
            self._spare,
            self.config.size,
            self.config.score,
            self.weights.ngram,
            self.weights.word,
        )
        return done

    def finish(self) -> list[Hypothesis]:
        """End the utterance: its best word sequences, best first, `nbest` at most.

        If no hypothesis stands at the end of a word, the one that came furthest gives up its unfinished word.
        """
        self._histories = _grown(self._histories, len(self._histories.parent) + 64 * len(self._beam.history))
        histories, acoustic = search.finish(
            self.tree,
            self.ngram,
            self._histories,
            self._beam,
            self.weights.ngram,
            self.weights.word,
        )
        if not len(histories):
            histories = self._beam.history[:1].astype(np.int64)
            acoustic = np.logaddexp(self._beam.blank[:1], self._beam.label[:1])
        ends = np.array([self._sentence_end(history) for history in histories])
        totals = acoustic + self._histories.score[histories] + self.weights.ngram * ends
        best = np.lexsort((histories, -totals))[: self.config.nbest]
        return [
            Hypothesis(
                words=self._words(int(histories[index])),
                acoustic=float(acoustic[index]),
                ngram=float(self._histories.ngram[histories[index]] + ends[index]),
            )
            for index in best
        ]

    def decode(self, log_probs: np.ndarray) -> list[Hypothesis]:
        """The best word sequences for log_probs [T, units], best first."""
        self.reset()
        self.accept(log_probs)
        return self.finish()

    def _sentence_end(self, history: int) -> float:
        order = self._histories.context.shape[1]
        log_prob: float = search.ngram_score(
            self.ngram,
            self.ngram.ids[END],
            self._histories.context[history],
            self._histories.backoff[history],
            np.empty(order, dtype=np.int32),
            np.empty(order, dtype=np.float32),
        )
        return log_prob

    def _words(self, history: int) -> tuple[str, ...]:
        words = []
        while history:
            words.append(self.vocabulary[int(self._histories.word[history])])
            history = int(self._histories.parent[history])
        return tuple(words[::-1])


def _grown(histories: search.Histories, capacity: int) -> search.Histories:
    """The same histories with room for `capacity`, a power of two at least as large."""
    capacity = 1 << (capacity - 1).bit_length()
    arrays = {}
    for name, old in zip(histories._fields[1:-1], histories[1:-1], strict=True):
        arrays[name] = np.zeros((capacity, *old.shape[1:]), dtype=old.dtype)
        arrays[name][: len(old)] = old
    slots = np.full(2 * capacity, -1, dtype=np.int32)
    grown = search.Histories(used=histories.used, slots=slots, **arrays)
    search.rehash(grown)
    return grown


def _empty_beam(capacity: int) -> search.Beam:
    return search.Beam(
        used=np.zeros(1, dtype=np.int64),
        history=np.empty(capacity, dtype=np.int32),
        node=np.empty(capacity, dtype=np.int32),
        blank=np.empty(capacity),
        label=np.empty(capacity),
        slots=np.full(2 * capacity, -1, dtype=np.int32),
    )
