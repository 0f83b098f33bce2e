"""Small n-gram models out of large ones: entropy pruning, then new estimates for the n-grams that stay.

Count cut-offs drop what is rare; entropy pruning (A. Stolcke, "Entropy-based pruning of backoff language models",
1998) drops what shorter n-grams predict nearly as well. But Kneser–Ney's short n-grams are made to serve beside *all*
the long ones: they count the contexts of a word, not its occurrences. Where long n-grams go, their occurrences must
come back to the shorter ones (V. Siivola, T. Hirsimäki, S. Virpioja, "On growing and pruning Kneser–Ney smoothed
n-gram models", 2007). So what a first pruning leaves is counted in the text, estimated anew, pruned, and estimated
once more. Of 191 M words of books 1.2 million n-grams have perplexity 249 on LibriSpeech's dev-clean (44.5 million:
189); as many have 282 by count cut-offs, 304 by entropy pruning alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import TextIO

import numpy as np
from rich import progress
from rich.console import Console

from lm.vocabulary import END, SPECIAL_WORDS, START, UNKNOWN

LN10 = np.log(10)
FIRST_PASS = 0.1  # share of the threshold for the first pruning, which has to trust the model for P(history)
DISCOUNTS = (0.0, 0.5, 1.0, 1.5)  # of counts of 0, 1, 2, 3 and more; a small model's results hardly depend on them
UNIFORM = 0.02  # share of the unigrams' probability that all words have equally, unknown ones too: 2e-7 of 100,000
LEAST_BACKOFF = 1e-4  # share of probability that even a history whose every follower is in the model leaves to others
NEVER = -99 * LN10  # log P(<s>)
CHUNK = 1 << 25  # characters of text at a time


def prune_ngram(source: Path, target: Path, text: Path, threshold: float) -> list[int]:
    """Make a small ARPA file of the large one that lmplz estimated on `text` (plain, one sentence a line).

    N-grams without which the perplexity rises by a share of less than `threshold` are left out: of 191 M words and
    100,000 types, 2e-7 leaves 1.2 million n-grams (10 MB as a quantised trie). Returns the number of n-grams of each
    order. Errors: FileNotFoundError; ValueError when `source` is no ARPA file of lmplz, or of another text.
    """
    model = read_arpa(source)
    model = model.without(choose(model, FIRST_PASS * threshold, chain(model)))
    counts = count(model, text)
    if any((ngrams == 0).any() for ngrams in counts.ngrams[1:]):
        raise ValueError(f"{text}: lacks n-grams of {source}; give the text that the model was estimated on")
    estimate(model, counts)
    keep = choose(model, threshold, counts.history_probabilities())
    model, counts = model.without(keep), counts.only(keep)
    estimate(model, counts)
    write_arpa(model, target)
    return [len(order) for order in model.orders]


# --- Models as arrays ---------------------------------------------------------------------------------------


@dataclass
class Order:
    """The n-grams of one order, sorted by history, then word.

    `histories` (an n-gram without its last word) and `suffixes` (without its first) are rows of the order below.
    """

    words: np.ndarray  # int32 [N]: the last word of each
    histories: np.ndarray  # int32 [N]
    suffixes: np.ndarray  # int32 [N]
    log_probs: np.ndarray  # [N], natural logarithms
    backoffs: np.ndarray  # [N]

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
        found = np.full(len(words), -1, np.int32)
        at = np.flatnonzero((histories >= 0) & (words >= 0))
        keys = self._key(histories[at], words[at])
        rows = np.searchsorted(self._keys[n], keys).clip(max=len(self._keys[n]) - 1)
        there = self._keys[n][rows] == keys
        found[at[there]] = rows[there]
        return found

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
            smaller.orders.append(new)
            smaller._keys.append(self._key(new.histories, new.words))
            renumbered = np.cumsum(kept, dtype=np.int32) - 1
        return smaller


def read_arpa(path: Path) -> BackoffModel:
    """Errors: FileNotFoundError, ValueError for what is no ARPA file or a broken one."""
    model = BackoffModel([])
    ids: dict[str, int] = {}
    with _open_with_bar(path, "reading n-grams") as file:
        header = list(takewhile(lambda line: not line.startswith("\\1-grams:"), file))
        sizes = [int(line.split("=")[1]) for line in header if line.startswith("ngram ")]
        if not sizes:
            raise ValueError(f"{path}: no ARPA file (it has no counts of n-grams)")
        for n, size in enumerate(sizes, 1):
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
                raise ValueError(f"{path}: {line.strip()!r} stands where a {n}-gram should") from None
            if row + 1 < size:
                raise ValueError(f"{path}: ends within its {n}-grams")
            if n == 1:
                model.vocabulary = list(ids)
            model.add(words, weights[:, 0] * LN10, weights[:, 1] * LN10)
            next(file, ""), next(file, "")  # a blank line, the next heading
    return model


def _open_with_bar(path: Path, description: str) -> AbstractContextManager[TextIO]:
    console = Console(stderr=True)
    quiet = not console.is_terminal
    return progress.open(path, "r", encoding="utf-8", description=description, console=console, disable=quiet)


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


# --- Pruning ------------------------------------------------------------------------------------------------


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
        rest_q = np.maximum(1 - np.bincount(h, q, len(shorter)), 1e-9)[h]  # of words that back off already
        rest_p = np.exp(shorter.backoffs)[h] * rest_q
        backoff = np.log((rest_p + p) / (rest_q + q))  # once this n-gram backs off too
        cost = histories[n - 1][h] * (p * (log_p - log_q - backoff) + rest_p * (shorter.backoffs[h] - backoff))
        keep[n] &= cost >= threshold
        if n + 1 < len(model.orders):
            longer = model.orders[n + 1]
            keep[n][longer.histories[keep[n + 1]]] = True
            keep[n][longer.suffixes[keep[n + 1]]] = True
    if not keep[1].any():
        raise ValueError(f"no n-gram is worth a threshold of {threshold:g}; take a smaller one")
    return keep


def chain(model: BackoffModel) -> list[np.ndarray]:
    """The probability of each n-gram as words in a row, as the model itself sees it, order by order."""
    logs = [model.orders[0].log_probs.copy()]
    start, end = (model.vocabulary.index(SPECIAL_WORDS[word]) for word in (START, END))
    logs[0][start] = logs[0][end]  # sentences begin as often as they end
    for order in model.orders[1:-1]:
        logs.append(logs[-1][order.histories] + order.log_probs)
    return [np.exp(log) for log in logs]


# --- Counting and estimating --------------------------------------------------------------------------------


@dataclass
class Counts:
    """Occurrences in a text, int64 [N] an order."""

    ngrams: list[np.ndarray]
    histories: list[np.ndarray]  # those of each n-gram before a word of the vocabulary; not of the highest order

    def only(self, keep: Sequence[np.ndarray]) -> Counts:
        return Counts(
            [counts[kept] for counts, kept in zip(self.ngrams, keep, strict=True)],
            [counts[kept] for counts, kept in zip(self.histories, keep, strict=False)],
        )

    def history_probabilities(self) -> list[np.ndarray]:
        total = self.histories[0].sum()
        return [counts / total for counts in self.histories]


def count(model: BackoffModel, text: Path) -> Counts:
    """Count the model's n-grams in a text of one sentence a line. Words that the model lacks are in none of them."""
    ngrams = [np.zeros(len(order), np.int64) for order in model.orders]
    histories = [np.zeros(len(order), np.int64) for order in model.orders[:-1]]
    ids = {word: row for row, word in enumerate(model.vocabulary) if word != SPECIAL_WORDS[UNKNOWN]}
    with _open_with_bar(text, "counting n-grams") as file:
        while lines := file.readlines(CHUNK):
            stream = "".join(f"<s> {line.rstrip()} </s> " for line in lines).split()
            words = np.array([ids.get(word, -1) for word in stream], np.int32)
            predicted = np.append((words[1:] >= 0) & (words[1:] != ids["<s>"]), False)  # does a word follow
            rows = words
            for n in range(len(model.orders)):
                if n > 0:
                    rows = model.find(n, np.append(np.int32(-1), rows[:-1]), words)
                ngrams[n] += np.bincount(rows[rows >= 0], minlength=len(ngrams[n]))
                if n < len(histories):
                    histories[n] += np.bincount(rows[predicted & (rows >= 0)], minlength=len(histories[n]))
    return Counts(ngrams, histories)


def estimate(model: BackoffModel, counts: Counts) -> None:
    """Give the model's n-grams probabilities and back-off weights from their counts, in place.

    An n-gram's occurrences belong to the longest n-gram of the model that ends there; those before it in line, its
    suffixes, count only the discount that it leaves over. That discounted mass is shared with the order below by
    interpolation, as in Kneser–Ney; what belongs to no n-gram of the model is left to the back-off weight.
    """
    owned = [ngrams.astype(np.float64) for ngrams in counts.ngrams]
    totals = [histories.astype(np.float64) for histories in counts.histories]
    discounts: list[np.ndarray] = []
    for n in reversed(range(len(model.orders))):
        order = model.orders[n]
        discounts.insert(0, np.minimum(np.interp(owned[n], range(4), DISCOUNTS), owned[n]))
        taken = owned[n] - discounts[0]
        if n > 0:
            owned[n - 1] -= np.bincount(order.suffixes, taken, len(owned[n - 1]))
        if n > 1:
            histories = model.orders[n - 1].histories[order.suffixes]
            totals[n - 2] -= np.bincount(histories, taken, len(totals[n - 2]))

    unigrams, start = model.orders[0], model.vocabulary.index(SPECIAL_WORDS[START])
    owned[0][start] = 0  # it is given, not predicted
    unigrams.log_probs = np.log((1 - UNIFORM) * owned[0] / owned[0].sum() + UNIFORM / (len(unigrams) - 1))
    unigrams.log_probs[start] = NEVER
    for n in range(1, len(model.orders)):
        order, shorter, h = model.orders[n], model.orders[n - 1], model.orders[n].histories
        q = np.exp(shorter.log_probs[order.suffixes])
        shared = np.bincount(h, discounts[n], len(shorter))
        p = (owned[n] - discounts[n] + shared[h] * q) / totals[n - 1][h]
        p /= np.maximum(np.bincount(h, p, len(shorter)) / (1 - LEAST_BACKOFF), 1)[h]
        order.log_probs = np.log(p)
        left_p, left_q = 1 - np.bincount(h, p, len(shorter)), 1 - np.bincount(h, q, len(shorter))
        shorter.backoffs = np.log(left_p / np.maximum(left_q, 1e-9))
