"""Back-off n-gram models as arrays: read from ARPA files, written to them.

A model of 40 million n-grams takes 1.5 GB here. What questions it is asked in between is for others: see lm.ngram's
prune and interpolate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import TextIO

import numpy as np
from rich import progress
from rich.console import Console

LN10 = np.log(10)
COUNT = re.compile(r"ngram\s+([0-9]{1,20})\s*=\s*([0-9]{1,20})\s*$", re.ASCII)
ROUNDING = 1e-4  # above 0, of log-probabilities of words that always follow
LONG = 60  # signs of a line that are shown
BLOCK = 1 << 18  # n-grams written at a time: as Python's objects they are large


@dataclass
class Order:
    """The n-grams of one order, sorted by history, then word.

    `histories` (an n-gram without its last word) and `suffixes` (without its first) are rows of the order below.
    """

    words: np.ndarray  # int32 [N]: the last word of each
    histories: np.ndarray  # int32 [N]
    suffixes: np.ndarray  # int32 [N]
    log_probs: np.ndarray  # [N], natural logarithms
    backoffs: np.ndarray  # [N]; 0 in the longest order

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
                raise ValueError(f"a {n + 1}-gram without its first or last {n} words: give models of lmplz")
        keys = self._key(histories, words[:, -1])
        rows = np.argsort(keys)
        columns = (words[:, -1], histories, suffixes, log_probs, backoffs)
        self.append(Order(*(column[rows] for column in columns)))

    def append(self, order: Order) -> None:
        """Add the next order."""
        self.orders.append(order)
        self._keys.append(self._key(order.histories, order.words))

    def find(self, n: int, histories: np.ndarray, words: np.ndarray) -> np.ndarray:
        """Rows of the order of index n with these histories and last words; −1 where there is none."""
        keys = np.where((histories >= 0) & (words >= 0), self._key(histories, words), -1)
        return find_keys(self._keys[n], keys).astype(np.int32)

    def rows(self, words: np.ndarray) -> np.ndarray:
        """Rows of the n-grams `words` [N, n] in their order; −1 where the model lacks them."""
        rows = words[:, 0]
        for n in range(1, words.shape[1]):
            rows = self.find(n, rows, words[:, n])
        return rows

    def _key(self, histories: np.ndarray, words: np.ndarray) -> np.ndarray:
        return histories.astype(np.int64) * len(self.vocabulary) + words

    def without(self, keep: Sequence[np.ndarray]) -> BackoffModel:
        """The n-grams that the masks keep; they must keep the history and the suffix of every one they keep."""
        smaller = BackoffModel(self.vocabulary)
        renumbered = np.zeros(len(self.orders[0]), np.int32)
        for order, kept in zip(self.orders, keep, strict=True):
            if not kept.any():
                break  # nor are longer n-grams kept
            new = Order(
                order.words[kept],
                renumbered[order.histories[kept]],
                renumbered[order.suffixes[kept]],
                order.log_probs[kept],
                order.backoffs[kept],
            )
            smaller.append(new)
            renumbered = np.cumsum(kept, dtype=np.int32) - 1
        return smaller


def find_keys(keys: np.ndarray, sought: np.ndarray) -> np.ndarray:
    """Where keys, sorted, hold each of those that are sought; −1 where they don't, or it is below 0."""
    found = np.full(len(sought), -1, np.int64)
    at = np.flatnonzero(sought >= 0)
    if len(keys):
        rows = np.searchsorted(keys, sought[at]).clip(max=len(keys) - 1)
        there = keys[rows] == sought[at]
        found[at[there]] = rows[there]
    return found


def read_arpa(path: Path) -> BackoffModel:
    """Errors: FileNotFoundError, ValueError for what is no ARPA file or a broken one."""
    try:
        return _read_arpa(path)
    except UnicodeDecodeError:
        raise ValueError(f"{path}: no ARPA file (it isn't UTF-8 text)") from None


def _read_arpa(path: Path) -> BackoffModel:
    model = BackoffModel([])
    ids: dict[str, int] = {}
    with open_with_bar(path, "reading n-grams") as file:
        counts = _counts(file)
        if not counts:
            raise ValueError(f"{path}: no ARPA file (it has no counts of n-grams)")
        if [int(n) for n, _ in counts] != [*range(1, len(counts) + 1)] or not int(counts[0][1]):
            raise ValueError(f"{path}: want counts of 1-grams, 2-grams, and so on, in this order, and some 1-grams")
        for n, size in enumerate((int(size) for _, size in counts), 1):
            if size * 2 * (n + 1) > path.stat().st_size:  # a weight, the words, and what parts them
                raise ValueError(f"{path}: too short for {size} {n}-grams: it was cut off, or its counts are wrong")
            words = np.empty((size, n), np.int32)
            weights = np.zeros((size, 2), np.float32)
            row = -1
            try:
                for row, line in enumerate(islice(file, size)):
                    fields = line.split("\t")
                    ngram = fields[1].split()
                    if n == 1:
                        ids[ngram[0]] = row
                    words[row] = [ids[word] for word in ngram]
                    weights[row, : len(fields) - 1] = fields[::2]
            except (IndexError, KeyError, ValueError):
                raise ValueError(f"{path}: {_shown(line)} stands where a {n}-gram should") from None
            if row + 1 < size:
                raise ValueError(f"{path}: ends within its {n}-grams")
            if not (weights[:, 0] <= ROUNDING).all() or not np.isfinite(weights[:, 1]).all():
                raise ValueError(f"{path}: a {n}-gram's log-probability is above 0, or a weight is no finite number")
            if n == 1:
                model.vocabulary = list(ids)
                if len(ids) < size:
                    raise ValueError(f"{path}: some word has several 1-grams")
            try:
                model.add(words, weights[:, 0] * LN10, weights[:, 1] * LN10)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
            next(file, ""), next(file, "")  # a blank line, the next heading
    return model


def _counts(file: Iterable[str]) -> list[tuple[str, str]]:
    """The lines "ngram N=COUNT" up to the first n-grams: N and COUNT, both of digits."""
    header = takewhile(lambda line: not line.startswith("\\1-grams:"), file)
    return [found.groups() for line in header if (found := COUNT.match(line))]  # type: ignore[misc]


def _shown(line: str) -> str:
    return repr(line.strip()[:LONG])


def write_arpa(model: BackoffModel, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {n}={len(order)}\n" for n, order in enumerate(model.orders, 1))
        for n, order in enumerate(model.orders, 1):
            file.write(f"\n\\{n}-grams:\n")
            for start in range(0, len(order), BLOCK):
                block = slice(start, start + BLOCK)
                columns = [order.words[block]]
                rows = order.histories[block]
                for shorter in reversed(model.orders[: n - 1]):
                    columns.append(shorter.words[rows])
                    rows = shorter.histories[rows]
                ids = np.stack(columns[::-1], 1).tolist()
                texts = (" ".join(map(model.vocabulary.__getitem__, ngram)) for ngram in ids)
                weights = zip(order.log_probs[block] / LN10, texts, order.backoffs[block] / LN10, strict=True)
                if n < len(model.orders):
                    file.writelines(f"{prob:.6f}\t{text}\t{backoff:.6f}\n" for prob, text, backoff in weights)
                else:
                    file.writelines(f"{prob:.6f}\t{text}\n" for prob, text, _ in weights)
        file.write("\n\\end\\\n")


def open_with_bar(path: Path, description: str) -> AbstractContextManager[TextIO]:
    """A text file to be read, with a bar on stderr meanwhile, if that is a terminal."""
    console = Console(stderr=True)
    quiet = not console.is_terminal
    return progress.open(path, "r", encoding="utf-8", description=description, console=console, disable=quiet)
