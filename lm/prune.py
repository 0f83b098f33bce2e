"""Small n-gram models out of large ones: entropy pruning, then Kneser–Ney estimates anew for the n-grams that stay.

Count cut-offs drop what is rare; entropy pruning (A. Stolcke, "Entropy-based pruning of backoff language models", 1998)
drops what shorter n-grams predict nearly as well. But Kneser–Ney's short n-grams are made to serve beside *all* the
long ones: their counts are of the contexts a word was seen in, not of how often it was. Where long n-grams go, their
occurrences must come back to the shorter ones (V. Siivola, T. Hirsimäki, S. Virpioja, "On growing and pruning
Kneser–Ney smoothed n-gram models", 2007). So the n-grams that stay are counted in the text and estimated anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from lm.vocabulary import SPECIAL_WORDS

LN10 = np.log(10)
FIRST_PASS = 0.1  # the share of the threshold for the first pruning, which has only the model itself to judge by
MINIMUM = 1e-9  # of a probability mass: rounding may leave a little less than nothing


@dataclass
class Order:
    """The n-grams of one order, sorted by history, then word. A row of the order below is meant by `histories` (the
    n-gram without its last word) and `suffixes` (without its first)."""

    words: np.ndarray  # int32 [N]: the last word of each
    histories: np.ndarray  # int32 [N]
    suffixes: np.ndarray  # int32 [N]
    log_probs: np.ndarray  # float64 [N], natural logarithms
    backoffs: np.ndarray  # float64 [N]

    def __len__(self) -> int:
        return len(self.words)


class BackoffModel:
    """All n-grams of an ARPA file in arrays. Each must come with its history and its suffix (lmplz sees to that)."""

    def __init__(self, vocabulary: list[str], orders: list[Order]) -> None:
        self.vocabulary = vocabulary
        self.orders = orders
        self._keys = [self._key(order.histories, order.words) for order in orders]

    def _key(self, histories: np.ndarray, words: np.ndarray) -> np.ndarray:
        return histories.astype(np.int64) * len(self.vocabulary) + words

    def find(self, n: int, histories: np.ndarray, words: np.ndarray) -> np.ndarray:
        """Rows of order n that have these histories and last words; −1 where there is none (or no history: −1)."""
        keys = self._key(histories, words)
        rows = np.searchsorted(self._keys[n], keys).clip(max=len(self._keys[n]) - 1)
        return np.where((histories >= 0) & (self._keys[n][rows] == keys), rows, -1).astype(np.int32)


def read_arpa(path: Path) -> BackoffModel:
    ...
