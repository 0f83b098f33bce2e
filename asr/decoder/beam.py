"""Beam search over a lexicon tree with an n-gram: log-probs in, hypotheses with their scores taken apart out."""

import copy
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, pairwise, repeat
from typing import Any

import numpy as np

from asr.decoder import core
from asr.decoder.hypothesis import Hypothesis, Weights
from asr.lexicon.lexicon import LexiconTree
from lm.model import LanguageModel
from lm.ngram.trie import NgramTables
from lm.settings import Cost, Count, Limit, Positive, check_fields
from lm.text.vocabulary import END, START, UNKNOWN, Vocabulary

# Steps of the exact search for the n best hypotheses: 15 each are usual. After so many it goes on by a short cut.
MOST_STEPS, MOST_STEPS_EACH = 2000, 200

# A word outside the lexicon is spelled by so many of one further unit, which stands for any sound: as probable as all
# units but the blank together, at a cost.
UNKNOWN_SOUNDS = range(2, 9)


@dataclass(frozen=True)
class BeamConfig:
    """Settings of the first pass; stored in the bundle. Raises ValueError for those that make no search."""

    size: Count = 300  # of the beam: hypotheses that outlive a frame
    score: Limit = 18.0  # nats below the best at which a hypothesis is given up
    nbest: Count = 100  # hypotheses that the second pass hears of
    # Hypotheses that the n-gram can't tell apart any more share a place in the beam: are their probabilities added
    # there, or does the best stand for all? A score means the same either way, but only sums give posteriors.
    add: bool = True
    skip_blank: Positive = 0.999  # frames whose blank is at least so probable count as silence; above 1: none
    unknown: Cost = math.inf  # nats that a word outside the lexicon costs a frame; inf: there is none

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class DecoderConfig:
    """Settings of both passes; stored in the bundle."""

    beam: BeamConfig
    first_pass: Weights
    second_pass: Weights
    rescoring_beam: Limit = math.inf  # nats behind the best at which the second pass gives a hypothesis up
    # Does the LSTM remember what was said in sentences of a recording before the current one? It gained nothing where
    # that was tried (RESULTS.md).
    carry_context: bool = False


@dataclass(frozen=True)
class Beginning:
    """What is most probable in the middle of a search."""

    words: tuple[str, ...]
    times: tuple[tuple[int, int], ...]  # each word's first and past-the-end frame
    shares: tuple[float, ...]  # of the beam's probability: of the hypotheses that agree in the words up to each
    sentence_end: float  # log P by the n-gram that the sentence ends after them


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
        boosts: Mapping[str, float] | None = None,
        fused: LanguageModel[Any] | None = None,
        fused_memory: int = 8,
    ) -> None:
        """boosts: what hot words and phrases add to a hypothesis' score (nats). Those outside the vocabulary, as all
        phrases are, are the tree's words with ids from len(vocabulary) on, in this order; to the n-gram each is one
        `<unk>`. A hypothesis has a phrase's words, which share its time and score equally.

        fused: a neural language model to apply at every word's end, by weights.lstm (one-pass fusion), instead of
        rescoring afterwards. Hypotheses that agree in the last `fused_memory` words share a place in the beam then;
        words that the n-gram lacks count as the same.
        """
        self.config, self.weights = config, weights
        self.tree, self.ngram, self.vocabulary, self.fused = tree, ngram, vocabulary, fused
        self._parts = tree, ngram, vocabulary, config, weights, boosts, fused, fused_memory
        self.boosts = boosts = boosts or {}
        self._extra_words = [word for word in boosts if word not in vocabulary]
        ids = np.append(ngram.ids, np.full(len(self._extra_words), ngram.ids[UNKNOWN])).astype(np.int32)
        all_words = ngram._replace(ids=ids)
        boost = np.zeros(len(ids))
        boost[len(vocabulary) :] = [boosts[word] for word in self._extra_words]
        known = [word for word in boosts if word in vocabulary]
        boost[vocabulary.encode(known)] = [boosts[word] for word in known]
        self._boost = boost.copy()
        # Of a phrase each word counts as one.
        boost[len(vocabulary) :] += [weights.word * word.count(" ") for word in self._extra_words]
        self._units = int(tree.unit.max()) + 1
        share = np.append(ngram.shares, np.full(len(self._extra_words), ngram.shares[UNKNOWN]))
        self._graph = core.Graph(
            tree=tree,
            ngram=all_words,
            look_ahead=_look_ahead(tree, ngram.log_prob[ids] + share, weights.ngram, boost),
            share=share,
            boost=boost,
            units=self._units,
            start=START,
            end=END,
            ngram_weight=weights.ngram,
            word_bonus=weights.word,
            beam_size=config.size,
            beam_score=config.score,
            skip_blank=config.skip_blank,
            add=config.add,
            memory=fused_memory if fused else 0,
        )
        self.reset()

    def __copy__(self) -> "BeamSearch":
        """For another utterance; both share what is compiled."""
        other = object.__new__(BeamSearch)
        other.__dict__.update(self.__dict__)
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled are the parts, of which another process compiles its own."""
        return BeamSearch, self._parts

    def reset(self, before: Sequence[str] = ()) -> None:
        """Begin a new utterance. before: the words since its sentence began, if it doesn't begin with it."""
        self._search = core.Search(self._graph, self.vocabulary.encode(before))
        # What the fused model remembers after each context's words, and how many arcs it has scored.
        self._memories: dict[int, Any] = {}
        if self.fused:
            self._memories[0] = self.fused.read(self.fused.initial(), self.vocabulary.encode(before))
        self._scored = 1

    def accept(self, log_probs: np.ndarray) -> None:
        """Take the next frames, log_probs [T, units] (natural logs, normalised).

        Raises ValueError if they aren't numbers, or not of the units that the lexicon is spelled in.
        """
        any_sound = int(self.config.unknown < math.inf)  # is there such a unit beyond those of the emissions?
        if log_probs.ndim != 2 or log_probs.shape[1] < self._units - any_sound:
            raise ValueError(f"emissions of shape {log_probs.shape}; the lexicon is spelled in {self._units} units")
        if np.isnan(log_probs).any():
            raise ValueError("the emissions hold values that are not numbers: look at the recording, or the model")
        if any_sound:
            sound = np.logaddexp.reduce(log_probs[:, 1:], axis=1, keepdims=True)
            log_probs = np.hstack([log_probs, sound - self.config.unknown])
        log_probs = np.ascontiguousarray(log_probs[:, : self._units], dtype=np.float32)
        while len(log_probs):
            log_probs = log_probs[self._search.accept(log_probs) :]
            if len(log_probs):
                self._score_arcs()

    def best(self) -> Beginning:
        """The most probable words so far, of which the last may still become another; the search can go on."""
        word, start, end, share, sentence_end = self._search.best()
        names = [self.word(id) for id in word.tolist()]
        sizes = [name.count(" ") + 1 for name in names]
        times = zip(start.tolist(), end.tolist(), strict=True)
        return Beginning(
            words=tuple(" ".join(names).split()),
            times=tuple(chain.from_iterable(map(_divided, times, sizes))),
            shares=tuple(chain.from_iterable(map(repeat, share.tolist(), sizes))),
            sentence_end=sentence_end,
        )

    def so_far(self, count: int) -> list[Hypothesis]:
        """The best word sequences of what was heard, as `finish` has them; the search and the sentence go on."""
        ended = copy.copy(self)
        ended.config = replace(self.config, nbest=count)
        ended._search, ended._memories = self._search.copy(), dict(self._memories)
        return ended.finish(sentence_end=False)

    def _score_arcs(self) -> None:
        """Let the fused model score the new arcs, all in one batch."""
        assert self.fused is not None
        source, word, target, _, _ = self._search.arcs(self._scored)
        said = word >= 0  # not unfinished words that were given up
        scores = np.zeros(len(word))
        if said.any():
            words = np.where(word < len(self.vocabulary), word, UNKNOWN)[said]
            memories = [self._memories[context] for context in source[said].tolist()]
            scores[said], after = self.fused.score(memories, words.tolist())
            for context, memory in zip(target[said].tolist(), after, strict=True):
                self._memories.setdefault(context, memory)
        self._search.score(self._scored, scores, self.weights.lstm)
        self._scored += len(word)

    def finish(self, sentence_end: bool = True) -> list[Hypothesis]:
        """End the utterance: its best word sequences, best first, `nbest` at most.

        If no hypothesis stands at the end of a word, the unfinished words are given up. sentence_end: does its sentence
        end with it? The language models score that.
        """
        self._search.end()
        count = self._search.contexts()
        end_ngram = self._search.sentence_ends() if sentence_end else np.zeros(count)
        end_lstm = np.zeros(count)
        if self.fused:
            self._score_arcs()
        if self.fused and sentence_end:
            end_lstm[:], _ = self.fused.score([self._memories[context] for context in range(count)], [END] * count)
        ends = np.exp(self.weights.ngram * end_ngram + self.weights.lstm * end_lstm)
        found = self._search.nbest(ends, self.config.nbest, MOST_STEPS + MOST_STEPS_EACH * self.config.nbest)
        return self._hypotheses(*found, end_ngram, end_lstm)

    def _hypotheses(
        self,
        totals: np.ndarray,
        firsts: np.ndarray,
        arcs: np.ndarray,
        start: np.ndarray,
        end: np.ndarray,
        posterior: np.ndarray,
        end_ngram: np.ndarray,
        end_lstm: np.ndarray,
    ) -> list[Hypothesis]:
        _, word, target, ngram, lstm = self._search.arcs(0)
        names = [self.word(id) for id in word[arcs].tolist()]
        sizes = [name.count(" ") + 1 for name in names]
        times = list(zip(start.tolist(), end.tolist(), strict=True))
        boosts, posteriors = self._boost[word[arcs]].tolist(), posterior.tolist()
        ngrams, lstms, last_words = ngram[arcs].tolist(), lstm[arcs].tolist(), target[arcs].tolist()
        bounds, weights = firsts.tolist(), self.weights
        found: dict[tuple[str, ...], Hypothesis] = {}
        for total, first, last in zip(totals.tolist(), bounds, bounds[1:], strict=False):
            here = slice(first, last)
            context = last_words[last - 1] if last > first else 0
            words, its_times, its_ngrams, its_posteriors = names[here], times[here], ngrams[here], posteriors[here]
            if sum(sizes[here]) > len(words):
                words = " ".join(words).split()
                its_times = [*chain.from_iterable(map(_divided, its_times, sizes[here]))]
                its_ngrams = _shared(its_ngrams, sizes[here])
                its_posteriors = [*chain.from_iterable(map(repeat, its_posteriors, sizes[here]))]
            # A phrase may be found as such, or as its words: the better one stands for both.
            if (said := tuple(words)) in found:
                continue
            boost, of_ngram = sum(boosts[here]), sum(ngrams[here]) + float(end_ngram[context])
            of_lstm = sum(lstms[here]) + float(end_lstm[context])
            found[said] = Hypothesis(
                words=said,
                acoustic=total - boost - weights.ngram * of_ngram - weights.lstm * of_lstm - weights.word * len(words),
                ngram=of_ngram,
                lstm=of_lstm if self.fused else None,
                times=tuple(its_times),
                word_ngrams=(*its_ngrams, float(end_ngram[context])),
                boost=boost,
                posteriors=tuple(its_posteriors),  # there if added
            )
        return list(found.values())

    def decode(self, log_probs: np.ndarray) -> list[Hypothesis]:
        """The best word sequences for log_probs [T, units], best first."""
        self.reset()
        self.accept(log_probs)
        return self.finish()

    def decode_all(self, emissions: Sequence[np.ndarray], threads: int = 1) -> list[list[Hypothesis]]:
        """`decode` of many utterances; the results don't depend on the number of threads."""
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda log_probs: copy.copy(self).decode(log_probs), emissions))

    def word(self, id: int) -> str:
        """The word of an id, hot words outside the vocabulary included."""
        size = len(self.vocabulary)
        return self.vocabulary[id] if id < size else self._extra_words[id - size]


def _divided(time: tuple[int, int], count: int) -> list[tuple[int, int]]:
    """A time in frames, divided among so many words."""
    if count == 1:  # as nearly always
        return [time]
    bounds = [time[0] + (time[1] - time[0]) * part // count for part in range(count + 1)]
    return list(pairwise(bounds))


def _shared(scores: list[float], sizes: list[int]) -> list[float]:
    """Each score in so many equal parts."""
    return [score / size for score, size in zip(scores, sizes, strict=True) for _ in range(size)]


def _look_ahead(tree: LexiconTree, unigram: np.ndarray, weight: float, boost: np.ndarray) -> np.ndarray:
    """The largest factor of any word at or below each node, by its log-prob and what is boosted; float64 [nodes]."""
    factors = np.exp(weight * tree.look_ahead.astype(np.float64))
    nodes = np.repeat(np.arange(len(tree.unit)), tree.end_word - tree.first_word)
    for position in np.flatnonzero(boost[tree.words] > 0):
        word, node = tree.words[position], nodes[position]
        factor = np.exp(weight * unigram[word] + boost[word])
        while node >= 0:
            factors[node] = max(factors[node], factor)
            node = tree.parent[node]
    return factors
