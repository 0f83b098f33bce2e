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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lm.ngram.arpa import LN10, BackoffModel, open_with_bar, read_arpa, write_arpa
from lm.text.vocabulary import END, SPECIAL_WORDS, START, UNKNOWN

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
    with open_with_bar(text, "counting n-grams") as file:
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
