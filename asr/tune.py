"""Finds what the scores should count for, on recordings with known text.

Hypotheses carry their scores taken apart, so one search gives n-best lists that every setting of the weights can rank
anew. The search is then run again with the first pass's new weights, since other weights keep other hypotheses.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein
from rich.console import Console
from rich.progress import track

from asr.decoder.beam import BeamSearch
from asr.decoder.hypothesis import Hypothesis, Weights
from asr.decoder.rescore import rescore
from asr.recognizer import Recognizer

NGRAM = [round(0.1 * step, 1) for step in range(2, 15)]
LSTM = [round(0.1 * step, 1) for step in range(1, 13)]
WORD = [0.25 * step for step in range(-2, 13)]
ROUNDS = 2


@dataclass(frozen=True)
class Tuned:
    """Weights for both passes, and the word error rates (per cent) they have on the tuning data's n-best lists."""

    first_pass: Weights
    first_wer: float
    second_pass: Weights
    second_wer: float


class NbestLists:
    """Scores and word errors of many n-best lists, in arrays that all weights can be tried on."""

    def __init__(self, lists: Sequence[Sequence[Hypothesis]], references: Sequence[Sequence[str]]) -> None:
        width = max(len(nbest) for nbest in lists)
        self._scores = np.full((len(lists), width, 4), 0.0)
        self._scores[:, :, 0] = -np.inf
        self._errors = np.zeros((len(lists), width), dtype=int)
        self._words = sum(map(len, references))
        for row, (nbest, reference) in enumerate(zip(lists, references, strict=True)):
            for column, found in enumerate(nbest):
                self._scores[row, column] = found.acoustic, found.ngram, found.lstm or 0.0, len(found.words)
                self._errors[row, column] = Levenshtein.distance(found.words, reference)

    def wer(self, weights: Weights) -> float:
        """Word error rate in per cent of the readings that these weights prefer."""
        totals = self._scores @ np.array([1.0, weights.ngram, weights.lstm, weights.word])
        best = totals.argmax(1)
        return 100 * float(self._errors[np.arange(len(best)), best].sum()) / max(1, self._words)

    def best(self, candidates: Sequence[Weights]) -> tuple[Weights, float]:
        """The weights of fewest errors; of equally good ones the middle, which is the least sensitive."""
        rates = np.array([self.wer(weights) for weights in candidates])
        winners = np.flatnonzero(rates <= rates.min() + 0.05)
        return candidates[winners[len(winners) // 2]], float(rates[winners[len(winners) // 2]])


def tune(recognizer: Recognizer, emissions: Sequence[np.ndarray], references: Sequence[Sequence[str]]) -> Tuned:
    """Search the weights of both passes by WER. emissions: log-probs [T, units] each; references: their words."""
    console = Console(stderr=True)
    search = recognizer.search
    first = search.weights
    only_ngram = [Weights(a, 0.0, b) for a, b in itertools.product(NGRAM, WORD)]
    both = [Weights(*values) for values in itertools.product([0.0, 0.1, *NGRAM], LSTM, WORD)]
    for turn in range(ROUNDS + 1):
        again = BeamSearch(search.tree, search.ngram, search.vocabulary, search.config, first)
        found = [again.decode(log_probs) for log_probs in track(emissions, f"search {turn + 1}", console=console)]
        lists = NbestLists(found, references)
        if turn < ROUNDS:
            first, rate = lists.best(only_ngram)
            console.print(f"first pass {first}: WER {rate:.2f} % on these lists")
    first_wer = lists.wer(first)
    rescored = [
        rescore(nbest, recognizer.lstm, recognizer.weights) for nbest in track(found, "rescoring", console=console)
    ]
    second, second_wer = NbestLists(rescored, references).best(both)
    return Tuned(first, first_wer, second, second_wer)
