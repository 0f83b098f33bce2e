"""The second pass: the hypotheses of a beam search scored anew by a language model of unlimited memory."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import TypeVar

import numpy as np

from asr.decoder.hypothesis import Hypothesis, Weights
from lm.lstm.model import LstmModel
from lm.lstm.prefix_tree import PrefixTree
from lm.model import LanguageModel
from lm.text.vocabulary import END

State = TypeVar("State")


def rescore(
    hypotheses: Sequence[Hypothesis],
    model: LanguageModel[State],
    weights: Weights,
    state: State | None = None,
    sentence_end: bool = True,
) -> list[Hypothesis]:
    """Fill in `lstm` and sort by the total, best first. state, sentence_end: as for `word_scores`."""
    words = [hypothesis.words for hypothesis in hypotheses]
    return rank(hypotheses, word_scores(words, model, state, sentence_end), weights)


def word_scores(
    sentences: Sequence[tuple[str, ...]],
    model: LanguageModel[State],
    state: State | None = None,
    sentence_end: bool = True,
) -> list[np.ndarray]:
    """log P of each word of each sentence, the sentence end last: float32 [words + 1] each.

    state: of the model after what was said before (see `state_after`); None: nothing was. sentence_end: do the
    sentences end here? If they go on, their ends have a log P of 0.

    What several sentences begin with is read once, and sentences are read side by side.
    """
    end = [END] if sentence_end else []
    tree = PrefixTree([[*model.vocabulary.encode(words), *end] for words in sentences])
    before = model.initial() if state is None else state
    log_probs = model.score_tree(tree, before) if isinstance(model, LstmModel) else _score_tree(tree, model, before)
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
        log_probs = np.log((1 - weights.linear) * np.exp(log_probs) + weights.linear * np.exp(ngrams))
    lengths = [len(words) for words in scores]
    sums = np.add.reduceat(log_probs, np.cumsum([0, *lengths[:-1]]))
    return [replace(hypothesis, lstm=lstm) for hypothesis, lstm in zip(hypotheses, sums.tolist(), strict=True)]


def state_after(
    words: Sequence[str], model: LanguageModel[State], state: State | None = None, sentence_end: bool = True
) -> State:
    """The model's state after words, which begin at `state`, and the sentence end, unless the sentence goes on."""
    end = [END] if sentence_end else []
    return model.read(model.initial() if state is None else state, [*model.vocabulary.encode(words), *end])


def _score_tree(tree: PrefixTree, model: LanguageModel[State], state: State) -> np.ndarray:
    """As LstmModel.score_tree, for any model: all nodes of a depth at once."""
    log_probs, states = np.zeros(len(tree.words), np.float32), [state]
    for start, end in pairwise(tree.starts[1:].tolist()):
        before = [states[parent] for parent in tree.parents[start:end]]
        log_probs[start:end], after = model.score(before, tree.words[start:end].tolist())
        states += after
    return log_probs
