"""The second pass: the hypotheses of a beam search scored anew by a language model of unlimited memory.

Of many hypotheses few may win. They are read side by side, a word at a time, and those that have fallen behind may be
read no further: so a thousand take no more time than the first pass's hundred best do to their ends.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, compress
from typing import TypeVar

import numpy as np

from asr.decoder.hypothesis import Hypothesis, Weights
from lm.lstm.model import LstmModel
from lm.lstm.prefix_tree import Choose, PrefixTree
from lm.model import LanguageModel
from lm.text.vocabulary import END

KEPT = 30  # hypotheses that are read to their ends, however far behind: alternatives, and what tells how sure a word is

State = TypeVar("State")
# Told a depth and each sentence's log P of its word there, float32 [sentences]: which are still read, bool [sentences].
Race = Callable[[int, np.ndarray], np.ndarray]


def rescore(
    hypotheses: Sequence[Hypothesis],
    model: LanguageModel[State],
    weights: Weights,
    state: State | None = None,
    sentence_end: bool = True,
    beam: float = math.inf,
) -> list[Hypothesis]:
    """Fill in `lstm` and sort by the total, best first; those that are given up (see `read_best`) are left out."""
    return rank(*read_best(hypotheses, model, weights, state, sentence_end, beam), weights)


def read_best(
    hypotheses: Sequence[Hypothesis],
    model: LanguageModel[State],
    weights: Weights,
    state: State | None = None,
    sentence_end: bool = True,
    beam: float = math.inf,
) -> tuple[Sequence[Hypothesis], list[np.ndarray]]:
    """The hypotheses, best first, that may turn out the best, and their `word_scores`.

    beam: nats behind the best at which a hypothesis is read no further, unless it is the first or among the KEPT best.
    For words that are still to be read the n-gram answers meanwhile: the hypotheses need their `word_ngrams`.
    state, sentence_end: as for `word_scores`.
    """
    words = [hypothesis.words for hypothesis in hypotheses]
    if beam == math.inf or len(words) <= KEPT:
        return hypotheses, word_scores(words, model, state, sentence_end)
    race = _BeamRace(hypotheses, weights, beam, sentence_end)
    scores = word_scores(words, model, state, sentence_end, race)
    return [*compress(hypotheses, race.running)], [*compress(scores, race.running)]


def word_scores(
    sentences: Sequence[tuple[str, ...]],
    model: LanguageModel[State],
    state: State | None = None,
    sentence_end: bool = True,
    race: Race | None = None,
) -> list[np.ndarray]:
    """log P of each word of each sentence, the sentence end last: float32 [words + 1] each.

    state: of the model after what was said before (see `state_after`); None: nothing was. sentence_end: do the
    sentences end here? If they go on, their ends have a log P of 0. race: says after every word which sentences to read
    on; what isn't read has a log P of 0.

    What several sentences begin with is read once, and sentences are read side by side.
    """
    end = [END] if sentence_end else []
    tree = PrefixTree([[*model.vocabulary.encode(words), *end] for words in sentences])
    before = model.initial() if state is None else state
    choose = _chooser(tree, race) if race else None
    score_tree = model.score_tree if isinstance(model, LstmModel) else partial(_score_tree, model)
    log_probs = score_tree(tree, before, choose)
    scores = [log_probs[nodes] for nodes in tree.paths]
    return scores if sentence_end else [np.append(score, np.float32(0)) for score in scores]


def rank(hypotheses: Sequence[Hypothesis], scores: Sequence[np.ndarray], weights: Weights) -> list[Hypothesis]:
    """Fill in `lstm` (see `fill_in`) and sort by the total, best first."""
    return sorted(fill_in(hypotheses, scores, weights), key=lambda hypothesis: -hypothesis.total(weights))


def fill_in(hypotheses: Sequence[Hypothesis], scores: Sequence[np.ndarray], weights: Weights) -> list[Hypothesis]:
    """The hypotheses with `lstm` from the word scores of each (see `word_scores`), in their order.

    Raises ValueError if the weights mix in the n-gram and the hypotheses lack its `word_ngrams`.
    """
    if not hypotheses:
        return []
    log_probs = np.concatenate(scores, dtype=np.float64)
    if weights.linear:
        ngrams = np.fromiter(chain.from_iterable(hypothesis.word_ngrams for hypothesis in hypotheses), np.float64)
        if len(ngrams) != len(log_probs):
            raise ValueError(f"{len(log_probs)} words can't be mixed with the n-gram's scores of {len(ngrams)}")
        log_probs = _mixed(log_probs, ngrams, weights.linear)
    lengths = [len(words) for words in scores]
    sums = np.add.reduceat(log_probs, np.cumsum([0, *lengths[:-1]]))
    return [replace(hypothesis, lstm=lstm) for hypothesis, lstm in zip(hypotheses, sums.tolist(), strict=True)]


def state_after(
    words: Sequence[str], model: LanguageModel[State], state: State | None = None, sentence_end: bool = True
) -> State:
    """The model's state after words, which begin at `state`, and the sentence end, unless the sentence goes on."""
    end = [END] if sentence_end else []
    return model.read(model.initial() if state is None else state, [*model.vocabulary.encode(words), *end])


def _mixed(log_probs: np.ndarray, ngrams: np.ndarray, linear: float) -> np.ndarray:
    """log P of words with the n-gram's share `linear` in it; see Weights."""
    return np.log((1 - linear) * np.exp(log_probs) + linear * np.exp(ngrams))


class _BeamRace:
    """Which hypotheses of a list may still turn out the best; a Race."""

    def __init__(self, hypotheses: Sequence[Hypothesis], weights: Weights, beam: float, sentence_end: bool) -> None:
        self.running = np.ones(len(hypotheses), bool)
        self._weights, self._beam = weights, beam
        self._lengths = np.array([len(hypothesis.words) + sentence_end for hypothesis in hypotheses])
        self._ngrams = np.zeros((len(hypotheses), self._lengths.max() + 2))
        for row, hypothesis in zip(self._ngrams, hypotheses, strict=True):
            row[: len(hypothesis.word_ngrams)] = hypothesis.word_ngrams
        self._to_come = np.cumsum(self._ngrams[:, ::-1], axis=1)[:, ::-1]  # of the words from each on
        self._totals = np.array([replace(hypothesis, lstm=None).total(weights) for hypothesis in hypotheses])

    def __call__(self, depth: int, log_probs: np.ndarray) -> np.ndarray:
        read = self.running & (self._lengths >= depth)
        mixed = _mixed(log_probs[read].astype(np.float64), self._ngrams[read, depth - 1], self._weights.linear)
        self._totals[read] += self._weights.lstm * mixed
        estimates = self._totals[self.running] + self._weights.lstm * self._to_come[self.running, depth]
        if len(estimates) > KEPT:
            worst = min(estimates.max() - self._beam, np.partition(estimates, -KEPT)[-KEPT])
            self.running[self.running] = estimates >= worst
            self.running[0] = True  # to be compared with: the first pass preferred it
        return self.running


def _chooser(tree: PrefixTree, race: Race) -> Choose:
    """A race among sentences, as a choice of the tree's nodes."""
    lengths = np.array([len(nodes) for nodes in tree.paths])
    paths = np.zeros((len(lengths), lengths.max(initial=0)), np.int64)
    paths[np.arange(paths.shape[1]) < lengths[:, None]] = np.concatenate(tree.paths)

    def choose(depth: int, log_probs: np.ndarray) -> np.ndarray:
        nodes = paths[:, depth - 1]
        return np.unique(nodes[race(depth, log_probs[nodes]) & (lengths > depth)])

    return choose


def _score_tree(
    model: LanguageModel[State], tree: PrefixTree, state: State, choose: Choose | None = None
) -> np.ndarray:
    """As LstmModel.score_tree, for any model: all nodes of a depth at once."""
    log_probs = np.zeros(len(tree.words), np.float32)
    reached, states = np.array([0]), [state]
    for depth in range(1, len(tree.starts) - 1):
        nodes, rows = tree.children(reached, depth)
        log_probs[nodes], after = model.score([states[row] for row in rows], tree.words[nodes].tolist())
        reached = choose(depth, log_probs) if choose else nodes
        if not len(reached):
            break
        states = [after[row] for row in np.searchsorted(nodes, reached)]
    return log_probs
