"""A judge of n-gram scores that shares no code with them."""

from collections.abc import Sequence
from pathlib import Path

import pytest


class Textbook:
    """An ARPA file's n-grams in dictionaries, and Katz's formula."""

    def __init__(self, arpa: Path) -> None:
        rows = [line.split("\t") for line in arpa.read_text().splitlines() if "\t" in line]
        self.log_probs = {tuple(ngram.split()): float(log_prob) for log_prob, ngram, *_ in rows}
        self.backoffs = {tuple(ngram.split()): float(backoff) for _, ngram, backoff in (r for r in rows if len(r) == 3)}
        self.order = max(map(len, self.log_probs))

    def log10_prob(self, history: Sequence[str], word: str) -> float:
        """log10 P(word | history); the history may be longer than the n-grams, a word unknown."""
        words = [w if (w,) in self.log_probs else "<unk>" for w in (*history, word)][-self.order :]
        return self._back_off(tuple(words))

    def _back_off(self, ngram: tuple[str, ...]) -> float:
        if ngram in self.log_probs:
            return self.log_probs[ngram]
        return self.backoffs.get(ngram[:-1], 0.0) + self._back_off(ngram[1:])


@pytest.fixture(scope="session")
def textbook() -> type[Textbook]:
    return Textbook
