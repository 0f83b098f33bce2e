"""The second pass: the hypotheses of a beam search scored anew by a language model of unlimited memory."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from asr.decoder.hypothesis import Hypothesis, Weights
from lm.model import LanguageModel
from lm.vocabulary import END

State = TypeVar("State")


def rescore(hypotheses: list[Hypothesis], model: LanguageModel[State], weights: Weights) -> list[Hypothesis]:
    """Fill in `lstm` and sort by the total, best first."""
    scores = sentence_scores([hypothesis.words for hypothesis in hypotheses], model)
    rescored = [replace(hypothesis, lstm=score) for hypothesis, score in zip(hypotheses, scores, strict=True)]
    return sorted(rescored, key=lambda hypothesis: -hypothesis.total(weights))


def sentence_scores(sentences: Sequence[tuple[str, ...]], model: LanguageModel[State]) -> list[float]:
    """log P of each sentence, its end included.

    The sentences are read side by side as one prefix tree: what several of them begin with is scored once, and each
    step scores all distinct next words in one batch.
    """
    ids = [(*model.vocabulary.encode(words), END) for words in sentences]
    # Prefix -> its log P and the state after it.
    known: dict[tuple[int, ...], tuple[float, State]] = {(): (0.0, model.initial())}
    for length in range(1, max(map(len, ids), default=0) + 1):
        prefixes = list(dict.fromkeys(sentence[:length] for sentence in ids if len(sentence) >= length))
        before = [known[prefix[:-1]] for prefix in prefixes]
        log_probs, states = model.score([state for _, state in before], [prefix[-1] for prefix in prefixes])
        for prefix, (score, _), log_prob, state in zip(prefixes, before, log_probs, states, strict=True):
            known[prefix] = (score + float(log_prob), state)
    return [known[sentence][0] for sentence in ids]
