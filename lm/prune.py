"""Entropy pruning of n-gram models: A. Stolcke, "Entropy-based pruning of backoff language models", 1998.

Count cut-offs drop what is rare; this drops what shorter n-grams predict nearly as well, and so makes far better
models of a few megabytes. How much the perplexity rises when one n-gram goes is computed for each against the whole
model; those that cost less than a threshold go together, and the back-off weights are computed anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

LN10 = np.log(10)
CHUNK = 1_000_000  # lines


@dataclass
class _Order:
    """The n-grams of one order, sorted by `keys`; row r's last word and the row, an order below, of what precedes it."""

    words: np.ndarray  # int32 [N]
    histories: np.ndarray  # int32 [N]: row, an order below, of the n-gram without its last word
    suffixes: np.ndarray  # int32 [N]: row, an order below, of the n-gram without its first word
    log_probs: np.ndarray  # float64 [N], natural logarithms
    backoffs: np.ndarray  # float64 [N]

    def __len__(self) -> int:
        return len(self.words)


class _Model:
    def __init__(self, path: Path) -> None:
        with path.open(encoding="utf-8") as file:
            counts = _header(file, path)
            self.vocabulary: list[str] = []
            self.orders: list[_Order] = []
            self._keys: list[np.ndarray] = []
            for order, count in enumerate(counts, 1):
                self._read(file, order, count, path)

    def _read(self, file: TextIO, order: int, count: int, path: Path) -> None:
        for line in file:
            if line.startswith(f"\\{order}-grams:"):
                break
        words = np.empty((count, order), np.int32)
        weights = np.zeros((count, 2))
        if order == 1:
            ids: dict[str, int] = {}
        else:
            ids = self._ids
        for row, line in enumerate(islice(file, count)):
            fields = line.rstrip("\n").split("\t")
            if order == 1:
                ids[fields[1]] = row
                words[row, 0] = row
            else:
                words[row] = [ids[word] for word in fields[1].split(" ")]
            weights[row, 0] = fields[0]
            if len(fields) > 2:
                weights[row, 1] = fields[2]
        weights *= LN10
        if order == 1:
            self._ids = ids
            self.vocabulary = list(ids)
            none = np.zeros(count, np.int32)
            self.orders.append(_Order(words[:, 0], none, none, weights[:, 0], weights[:, 1]))
            self._keys.append(np.arange(count, dtype=np.int64))
            return
        histories = self.find(words[:, :-1])
        suffixes = self.find(words[:, 1:])
        if min(histories.min(), suffixes.min()) < 0:
            raise ValueError(f"{path}: closure")
        keys = histories.astype(np.int64) * len(self.vocabulary) + words[:, -1]
        sort = np.argsort(keys)
        self._keys.append(keys[sort])
        self.orders.append(_Order(words[sort, -1], histories[sort], suffixes[sort], weights[sort, 0], weights[sort, 1]))

    def find(self, words: np.ndarray) -> np.ndarray:
        """Rows [N] of n-grams given as word ids [N, n]; −1 where the model lacks them."""
        rows = words[:, 0].astype(np.int64)
        for n in range(1, words.shape[1]):
            keys = rows * len(self.vocabulary) + words[:, n]
            at = np.searchsorted(self._keys[n], keys).clip(max=len(self._keys[n]) - 1)
            rows = np.where((rows >= 0) & (self._keys[n][at] == keys), at, -1)
        return rows


def _header(file: TextIO, path: Path) -> list[int]:
    counts = []
    for line in file:
        if line.startswith("ngram "):
            counts.append(int(line.split("=")[1]))
        elif counts:
            return counts
    raise ValueError(f"{path}: not an ARPA file")


def _history_log_probs(model: _Model) -> list[np.ndarray]:
    """log P of each n-gram as a sequence of words, order by order, by the chain rule."""
    logs = [model.orders[0].log_probs.copy()]
    logs[0][model._ids["<s>"]] = model.orders[0].log_probs[model._ids["</s>"]]
    for o in model.orders[1:-1]:
        logs.append(logs[-1][o.histories] + o.log_probs)
    return logs


def _prune(model: _Model, threshold: float, histories: Sequence[np.ndarray]) -> list[np.ndarray]:
    keep = [np.ones(len(o), bool) for o in model.orders]
    for n in range(len(model.orders) - 1, 0, -1):
        order, lower = model.orders[n], model.orders[n - 1]
        p, q = order.log_probs, lower.log_probs[order.suffixes]
        left_q = 1 - np.bincount(order.histories, np.exp(q), len(lower))
        left_q = np.maximum(left_q, 1e-9)
        log_alpha = lower.backoffs
        left_p = np.exp(log_alpha) * left_q
        h = order.histories
        new = np.log((left_p[h] + np.exp(p)) / (left_q[h] + np.exp(q)))
        cost = -np.exp(histories[n - 1][h]) * (np.exp(p) * (q + new - p) + left_p[h] * (new - log_alpha[h]))
        needed = np.zeros(len(order), bool)
        if n + 1 < len(model.orders):
            longer = model.orders[n + 1]
            needed[longer.histories[keep[n + 1]]] = True
            needed[longer.suffixes[keep[n + 1]]] = True
        keep[n] = (cost >= threshold) | needed
    return keep


def _rewrite(model: _Model, keep: list[np.ndarray], target: Path) -> None:
    rows_below = np.arange(len(model.orders[0]))
    # back-off weights
    backoffs = []
    for n in range(1, len(model.orders)):
        order, lower = model.orders[n], model.orders[n - 1]
        k = keep[n]
        sum_p = np.bincount(order.histories[k], np.exp(order.log_probs[k]), len(lower))
        sum_q = np.bincount(order.histories[k], np.exp(lower.log_probs[order.suffixes[k]]), len(lower))
        backoffs.append(np.log(np.maximum(1 - sum_p, 1e-9) / np.maximum(1 - sum_q, 1e-9)))
    with target.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {n}={k.sum()}\n" for n, k in enumerate(keep, 1))
        for n, order in enumerate(model.orders):
            file.write(f"\n\\{n + 1}-grams:\n")
            rows = np.flatnonzero(keep[n])
            columns = [order.words[rows]]
            at = rows
            for m in range(n, 0, -1):
                at = model.orders[m].histories[at]
                columns.insert(0, model.orders[m - 1].words[at])
            probs = order.log_probs[rows] / LN10
            texts = (" ".join(model.vocabulary[i] for i in ids) for ids in zip(*(c.tolist() for c in columns)))
            if n + 1 < len(model.orders):
                b = backoffs[n][rows] / LN10
                file.writelines(f"{p:.6g}\t{t}\t{w:.6g}\n" for p, t, w in zip(probs, texts, b))
            else:
                file.writelines(f"{p:.6g}\t{t}\n" for p, t in zip(probs, texts))
        file.write("\n\\end\\\n")


def prune_ngram(source: Path, target: Path, threshold: float) -> list[int]:
    model = _Model(source)
    keep = _prune(model, threshold, _history_log_probs(model))
    _rewrite(model, keep, target)
    return [int(k.sum()) for k in keep]
