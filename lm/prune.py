"""Small n-gram models out of large ones: entropy pruning, then Kneser–Ney estimates anew for the n-grams that stay.

Count cut-offs drop what is rare; entropy pruning (A. Stolcke, "Entropy-based pruning of backoff language models", 1998)
drops what shorter n-grams predict nearly as well. But Kneser–Ney's short n-grams are made to serve beside *all* the
long ones: their counts are of the contexts a word was seen in, not of how often it was. Where long n-grams go, their
occurrences must come back to the shorter ones (V. Siivola, T. Hirsimäki, S. Virpioja, "On growing and pruning
Kneser–Ney smoothed n-gram models", 2007). So the n-grams that stay are counted in the text and estimated anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from lm.vocabulary import SPECIAL_WORDS

LN10 = np.log(10)
MINIMUM = 1e-9  # of a probability mass: rounding may leave a little less than nothing


@dataclass
class Order:
    """The n-grams of one order, sorted by history, then word.

    `histories` (an n-gram without its last word) and `suffixes` (without its first) are rows of the order below.
    """

    words: np.ndarray  # int32 [N]: the last word of each
    histories: np.ndarray  # int32 [N]
    suffixes: np.ndarray  # int32 [N]
    log_probs: np.ndarray  # float64 [N], natural logarithms
    backoffs: np.ndarray  # float64 [N]

    def __len__(self) -> int:
        return len(self.words)


class BackoffModel:
    """The n-grams of an ARPA file in arrays. With each come its history and its suffix (lmplz sees to that)."""

    def __init__(self, vocabulary: list[str]) -> None:
        self.vocabulary = vocabulary
        self.orders: list[Order] = []
        self._keys: list[np.ndarray] = []

    def add(self, words: np.ndarray, log_probs: np.ndarray, backoffs: np.ndarray) -> None:
        """Add the next order: words [N, n] as rows of the vocabulary."""
        n = len(self.orders)
        if n == 0:
            histories = suffixes = np.zeros(len(words), np.int32)
        else:
            histories, suffixes = (self.rows(words[:, part]) for part in (slice(-1), slice(1, None)))
            if min(histories.min(initial=0), suffixes.min(initial=0)) < 0:
                raise ValueError(f"a {n + 1}-gram without its first or last {n} words: only models of lmplz are pruned")
        keys = self._key(histories, words[:, -1])
        rows = np.argsort(keys)
        columns = (words[:, -1], histories, suffixes, log_probs, backoffs)
        self.orders.append(Order(*(column[rows] for column in columns)))
        self._keys.append(keys[rows])

    def find(self, n: int, histories: np.ndarray, words: np.ndarray) -> np.ndarray:
        """Rows of the order of index n with these histories and last words; −1 where there is none."""
        keys = self._key(histories, words)
        rows = np.searchsorted(self._keys[n], keys).clip(max=len(self._keys[n]) - 1)
        return np.where((histories >= 0) & (words >= 0) & (self._keys[n][rows] == keys), rows, -1).astype(np.int32)

    def rows(self, words: np.ndarray) -> np.ndarray:
        """Rows of the n-grams `words` [N, n] in their order; −1 where the model lacks them."""
        rows = words[:, 0]
        for n in range(1, words.shape[1]):
            rows = self.find(n, rows, words[:, n])
        return rows

    def _key(self, histories: np.ndarray, words: np.ndarray) -> np.ndarray:
        return histories.astype(np.int64) * len(self.vocabulary) + words

    def without(self, keep: Sequence[np.ndarray]) -> BackoffModel:
        """The n-grams that the masks keep; they must keep the history and the suffix of every n-gram they keep."""
        smaller = BackoffModel(self.vocabulary)
        renumbered = np.zeros(len(self.orders[0]), np.int32)
        for order, keys, kept in zip(self.orders, self._keys, keep, strict=True):
            new = Order(
                order.words[kept],
                renumbered[order.histories[kept]],
                renumbered[order.suffixes[kept]],
                order.log_probs[kept],
                order.backoffs[kept],
            )
            smaller.orders.append(new)
            smaller._keys.append(self._key(new.histories, new.words))
            renumbered = np.cumsum(kept, dtype=np.int32) - 1
        return smaller


def read_arpa(path: Path) -> BackoffModel:
    """Errors: FileNotFoundError, ValueError for what is no ARPA file."""
    with path.open(encoding="utf-8") as file:
        counts = []
        for line in file:
            if line.startswith("ngram "):
                counts.append(int(line.split("=")[1]))
            elif counts:
                break
        if not counts:
            raise ValueError(f"{path}: no ARPA file (it has no counts of n-grams)")
        model = BackoffModel([])
        ids: dict[str, int] = {}
        for n, count in enumerate(counts, 1):
            for line in file:
                if line.startswith(f"\\{n}-grams:"):
                    break
            words = np.empty((count, n), np.int32)
            weights = np.zeros((count, 2))
            for row, line in enumerate(islice(file, count)):
                fields = line.split("\t")
                ngram = fields[1].split()
                if n == 1:
                    ids[ngram[0]] = row
                words[row] = [ids[word] for word in ngram]
                weights[row, : len(fields) - 1] = fields[::2]
            if n == 1:
                model.vocabulary = list(ids)
            model.add(words, weights[:, 0] * LN10, weights[:, 1] * LN10)
    return model


def write_arpa(model: BackoffModel, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {n}={len(order)}\n" for n, order in enumerate(model.orders, 1))
        for n, order in enumerate(model.orders, 1):
            file.write(f"\n\\{n}-grams:\n")
            columns = [order.words]
            rows = order.histories
            for shorter in reversed(model.orders[: n - 1]):
                columns.append(shorter.words[rows])
                rows = shorter.histories[rows]
            texts = (" ".join(map(model.vocabulary.__getitem__, ids)) for ids in np.stack(columns[::-1], 1).tolist())
            weights = zip(order.log_probs / LN10, texts, order.backoffs / LN10, strict=True)
            if n < len(model.orders):
                file.writelines(f"{prob:.6f}\t{text}\t{backoff:.6f}\n" for prob, text, backoff in weights)
            else:
                file.writelines(f"{prob:.6f}\t{text}\n" for prob, text, _ in weights)
        file.write("\n\\end\\\n")


# --- Pruning ----------------------------------------------------------------------------------------------------


def choose(model: BackoffModel, threshold: float, histories: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Which n-grams to keep, order by order (bool [N]).

    histories[n]: the probability of each n-gram of the order of index n to be the history of a word.
    """
    keep = [np.ones(len(order), bool) for order in model.orders]
    for n in reversed(range(1, len(model.orders))):
        order, shorter = model.orders[n], model.orders[n - 1]
        log_p, log_q = order.log_probs, shorter.log_probs[order.suffixes]
        p, q = np.exp(log_p), np.exp(log_q)
        h = order.histories
        rest_q = np.maximum(1 - np.bincount(h, q, len(shorter)), MINIMUM)[h]  # of words that back off already
        rest_p = np.exp(shorter.backoffs)[h] * rest_q
        backoff = np.log((rest_p + p) / (rest_q + q))  # once this n-gram backs off too
        cost = histories[n - 1][h] * (p * (log_p - log_q - backoff) + rest_p * (shorter.backoffs[h] - backoff))
        keep[n] &= cost >= threshold
        if n + 1 < len(model.orders):
            longer = model.orders[n + 1]
            keep[n][longer.histories[keep[n + 1]]] = True
            keep[n][longer.suffixes[keep[n + 1]]] = True
    return keep


def chain(model: BackoffModel) -> list[np.ndarray]:
    """The probability of each n-gram as words in a row, as the model itself sees it, order by order."""
    start, end = (model.vocabulary.index(word) for word in SPECIAL_WORDS[1:])
    logs = [model.orders[0].log_probs.copy()]
    logs[0][start] = logs[0][end]  # sentences begin as often as they end
    for order in model.orders[1:-1]:
        logs.append(logs[-1][order.histories] + order.log_probs)
    return [np.exp(log) for log in logs]


# --- Estimation -------------------------------------------------------------------------------------------------


@dataclass
class Counts:
    ngrams: list[np.ndarray]  # int64 [N] an order: occurrences
    histories: list[np.ndarray]  # int64 [N] an order (not the highest): occurrences before a word of the vocabulary


def count(model: BackoffModel, text: Path, chunk_bytes: int = 1 << 25) -> Counts:
    """How often each n-gram of the model stands in a text of one sentence a line."""
    orders = len(model.orders)
    ngrams = [np.zeros(len(order), np.int64) for order in model.orders]
    histories = [np.zeros(len(order), np.int64) for order in model.orders[:-1]]
    ids = {word: row for row, word in enumerate(model.vocabulary)}
    unknown, start, end = (ids.pop(word) for word in SPECIAL_WORDS)
    with text.open(encoding="utf-8") as file:
        while lines := file.readlines(chunk_bytes):
            stream = f" {SPECIAL_WORDS[2]} {SPECIAL_WORDS[1]} ".join(line.strip() for line in lines)
            found = [start] + [ids.get(word, -1) for word in stream.split()] + [end]
            words = np.array(found, np.int32)
            _ = unknown
            rows = words
            known = np.append((words[1:] >= 0) & (words[1:] != start), False)
            for n in range(orders):
                if n:
                    previous = np.append(np.int32(-1), rows[:-1])
                    rows = model.find(n, previous, words)
                ngrams[n] += np.bincount(rows[rows >= 0], minlength=len(ngrams[n]))
                if n + 1 < orders:
                    histories[n] += np.bincount(rows[known & (rows >= 0)], minlength=len(histories[n]))
    return Counts(ngrams, histories)


def estimate(model: BackoffModel, counts: Counts, discounts: Sequence[Sequence[float]]) -> None:
    """Set the model's probabilities and back-off weights by interpolated modified Kneser–Ney, in place.

    An occurrence of an n-gram counts for the order below too unless the n-gram is in the model, which then leaves it
    its discount alone.
    """
    effective = [c.astype(float) for c in counts.ngrams]
    totals = [c.astype(float) for c in counts.histories]
    discounted: list[np.ndarray] = [np.empty(0)] * len(model.orders)
    for n in reversed(range(len(model.orders))):
        order = model.orders[n]
        steps = np.array([0.0, *discounts[n]])
        discount = np.interp(effective[n], [0, 1, 2, 3], steps)
        discounted[n] = np.maximum(effective[n] - discount, 0)
        if n:
            effective[n - 1] -= np.bincount(order.suffixes, discounted[n], len(model.orders[n - 1]))
            if n > 1:  # its suffix lost these occurrences, and with them so did the suffix's history
                shorter = model.orders[n - 1]
                lost = np.bincount(shorter.histories[order.suffixes], discounted[n], len(model.orders[n - 2]))
                totals[n - 2] -= lost
    unigrams = model.orders[0]
    start = model.vocabulary.index(SPECIAL_WORDS[1])
    discounted[0][start] = 0
    total = effective[0].sum() - effective[0][start]
    left = 1 - discounted[0].sum() / total
    unigrams.log_probs = np.log(discounted[0] / total + left / (len(unigrams) - 1))
    unigrams.log_probs[start] = -99 * LN10
    for n in range(1, len(model.orders)):
        order, shorter = model.orders[n], model.orders[n - 1]
        total = np.maximum(totals[n - 1], MINIMUM)
        left = 1 - np.bincount(order.histories, discounted[n], len(shorter)) / total
        left = np.clip(left, 1e-6, 1)
        shorter.backoffs = np.log(left)
        p = discounted[n] / total[order.histories] + left[order.histories] * np.exp(shorter.log_probs[order.suffixes])
        order.log_probs = np.log(np.clip(p, 1e-30, 1))
