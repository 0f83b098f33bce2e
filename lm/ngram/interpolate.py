"""Several back-off n-gram models merged into one: static linear interpolation.

As SRILM's `ngram -mix-lm` does it (A. Stolcke, "SRILM – an extensible language modeling toolkit", 2002): the merged
model lists every n-gram that any of the models lists, with the weighted sum of the probabilities that all of them give
it, their own back-off included. Its back-off weights are computed anew, so that what may follow a history sums to 1.
A word that follows a history in none of the models backs off in the merged model: its probability is then near to the
weighted sum, not equal to it; what a mixture of the models on the fly would have (lm.mixture). But one model is as
fast and as easily decoded with as any other.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lm.ngram.arpa import BackoffModel, Order, read_arpa, write_arpa

LEAST = 1e-9  # share of probability that listed words leave to others, of which rounding may leave nothing
NONE = Order(*(np.zeros(0, dtype) for dtype in (np.int32, np.int32, np.int32, np.float64, np.float64)))


def interpolate_ngrams(arpas: Sequence[Path], weights: Sequence[float], output: Path) -> list[int]:
    """Write the mixture of the models in ARPA files (as lmplz writes them) as one; its number of n-grams by order.

    weights: one a model, > 0, of sum 1. A word that a model doesn't list has no probability there. All models are in
    memory at once: 40 million n-grams in all take 5 GB. Errors: FileNotFoundError; ValueError for weights that aren't
    such, or for what is no ARPA file.
    """
    if len(weights) != len(arpas) or min(weights) <= 0 or abs(sum(weights) - 1) > 1e-6:
        raise ValueError(f"weights of {len(arpas)} models have to be so many, > 0 and of sum 1, not {list(weights)}")
    model = merge([read_arpa(path) for path in arpas], weights)
    write_arpa(model, output)
    return [len(order) for order in model.orders]


def merge(models: Sequence[BackoffModel], weights: Sequence[float]) -> BackoffModel:
    """The union of the models' n-grams with the weighted sums of their probabilities."""
    merged = BackoffModel(list(dict.fromkeys(word for model in models for word in model.vocabulary)))
    ids = {word: row for row, word in enumerate(merged.vocabulary)}
    parts = [_Part(model, ids) for model in models]
    words = np.arange(len(ids), dtype=np.int32)
    merged.orders.append(_order(words, np.zeros_like(words), np.zeros_like(words), parts, weights))
    for n in range(1, max(len(model.orders) for model in models)):
        shorter = merged.orders[-1]
        keys = [part.keys(n) for part in parts]
        union = np.unique(np.concatenate(keys))
        histories, words = (part.astype(np.int32) for part in np.divmod(union, len(ids)))
        rows = [np.searchsorted(union, own) for own in keys]
        suffixes = np.empty(len(union), np.int32)
        for part, own in zip(parts, rows, strict=True):
            suffixes[own] = part.suffixes(n)
        for part, own in zip(parts, rows, strict=True):
            part.lengthen(n, own, histories, suffixes)
        order = _order(words, histories, suffixes, parts, weights)
        left, left_shorter = (
            np.maximum(1 - np.bincount(histories, np.exp(log_probs), len(shorter)), LEAST)
            for log_probs in (order.log_probs, shorter.log_probs[suffixes])
        )
        shorter.backoffs = np.log(left / left_shorter)
        merged.orders.append(order)
    return merged


class _Part:
    """One of the models, and what it says of the union's n-grams: of one order, then of the next longer."""

    def __init__(self, model: BackoffModel, ids: dict[str, int]) -> None:
        """ids: rows of the union's words, which are its unigrams."""
        self._orders = model.orders
        self._words = np.array([ids[word] for word in model.vocabulary], np.int32)
        self._rows = self._words  # of the model's own n-grams in the union
        self._size = len(ids)
        self.log_probs = np.full(len(ids), -np.inf)  # natural logarithms
        self.log_probs[self._rows] = model.orders[0].log_probs

    def keys(self, n: int) -> np.ndarray:
        """Of the model's n-grams of the order of index n, from the union's rows of history and word; int64."""
        order = self._order(n)
        return self._rows[order.histories].astype(np.int64) * self._size + self._words[order.words]

    def suffixes(self, n: int) -> np.ndarray:
        """Of the same n-grams, as rows of the union's next shorter order."""
        return self._rows[self._order(n).suffixes]

    def lengthen(self, n: int, rows: np.ndarray, histories: np.ndarray, suffixes: np.ndarray) -> None:
        """Go on to the union's n-grams of the order of index n; `rows` of them are the model's own."""
        backoffs = np.zeros(len(self.log_probs))
        backoffs[self._rows] = self._order(n - 1).backoffs
        self.log_probs = backoffs[histories] + self.log_probs[suffixes]
        self.log_probs[rows] = self._order(n).log_probs
        self._rows = rows

    def _order(self, n: int) -> Order:
        return self._orders[n] if n < len(self._orders) else NONE


def _order(
    words: np.ndarray, histories: np.ndarray, suffixes: np.ndarray, parts: Sequence[_Part], weights: Sequence[float]
) -> Order:
    mixed = sum(weight * np.exp(part.log_probs) for part, weight in zip(parts, weights, strict=True))
    return Order(words, histories, suffixes, np.log(mixed), np.zeros(len(words)))
