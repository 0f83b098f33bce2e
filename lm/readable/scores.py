"""How well case and marks are put back into held-out text: precision, recall and F1 of each mark, accuracy of case."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lm.readable.marked import MARKS, UNSURE, Marked
from lm.readable.readable import Readable


@dataclass
class Scores:
    """Counts over texts. Where a text doesn't tell which mark there is, none is counted."""

    words: int = 0
    right: Counter[str] = field(default_factory=Counter)  # marks that are where the text has them
    found: Counter[str] = field(default_factory=Counter)
    there: Counter[str] = field(default_factory=Counter)
    cases: int = 0  # words that are written with the text's capitals
    texts: int = 0
    last: int = 0  # texts whose last mark is right

    def precision(self, mark: str) -> float:
        return self.right[mark] / max(1, self.found[mark])

    def recall(self, mark: str) -> float:
        return self.right[mark] / max(1, self.there[mark])

    def f1(self, mark: str) -> float:
        return 2 * self.right[mark] / max(1, self.found[mark] + self.there[mark])


def score(readable: Readable, texts: Sequence[Sequence[Marked]]) -> Scores:
    """Scores of `readable` on texts, each given as its words alone and by itself."""
    scores = Scores(texts=len(texts))
    for text, found in zip(texts, readable.marked([[item.word for item in text] for text in texts]), strict=True):
        scores.words += len(text)
        scores.cases += sum(item.form == mine.form for item, mine in zip(text, found, strict=True))
        scores.last += bool(text) and text[-1].mark == found[-1].mark
        told = [(item.mark, mine.mark) for item, mine in zip(text, found, strict=True) if item.mark != UNSURE]
        scores.there.update(MARKS[mark] for mark, _ in told)
        scores.found.update(MARKS[mark] for _, mark in told)
        scores.right.update(MARKS[mark] for mark, mine in told if mark == mine)
    return scores


STEPS = (-0.4, -0.2, 0.2, 0.4, 0.8)  # tried in turn, of logarithms of probabilities
TUNED = ",.?"  # others, put as often as they may be right, would take too many places of these


def best_bias(readable: Readable, texts: Sequence[Sequence[Marked]]) -> list[float]:
    """What to add to log P of each of MARKS for the highest sum of F1 on texts: a step at a time, while it rises.

    Without it marks are put where they are likelier than not, and so too few of those that are hard to foretell.
    """
    log_probs = np.concatenate([m for m, _ in readable.log_probs([[item.word for item in text] for text in texts])])
    there = np.array([item.mark for text in texts for item in text])
    log_probs, there = log_probs[there != UNSURE], there[there != UNSURE]
    tuned = [MARKS.index(mark) for mark in TUNED]

    def total(bias: np.ndarray) -> float:
        found = (log_probs + bias).argmax(1)
        return sum(
            2 * float(((found == mark) & (there == mark)).sum() / max(1, (found == mark).sum() + (there == mark).sum()))
            for mark in tuned
        )

    bias = np.zeros(len(MARKS), np.float32)
    best, rises = total(bias), True
    while rises:
        rises = False
        for mark in tuned:
            for step in STEPS:
                changed = bias.copy()
                changed[mark] += step
                if (score := total(changed)) > best + 1e-4:
                    bias, best, rises = changed, score, True
    return [round(float(value), 3) for value in bias]
