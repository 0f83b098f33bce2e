"""Which of the words that a search holds most probable are shown, and which of those will stay."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# A word is shown when so much of the beam agrees in it and another follows, or it has been the best for so many
# updates, or nothing has come for so many frames, so that it is no longer the beginning of a longer one; in any case
# when it has been the best for so many updates.
SHOWN_SHARE, SHOWN_AGE, SHOWN_QUIET, SHOWN_OLD = 0.75, 2, 4, 3


class Best(NamedTuple):
    """A word of the most probable hypothesis."""

    word: str
    start: int  # frames
    end: int
    share: float  # of the beam's probability: of hypotheses that agree in the words up to this one


@dataclass
class Growing:
    """The words of an utterance, update by update."""

    stable: list[Best] = field(default_factory=list)
    shown: list[Best] = field(default_factory=list)  # the stable ones first
    _last: list[str] = field(default_factory=list)
    _ages: list[int] = field(default_factory=list)

    def settle(self, words: Sequence[Best]) -> None:
        """Promise words from the first on, if they begin with what is promised already."""
        if self._begins(words):
            self.stable = list(words)

    def kept(self, words: Sequence[Best], end: int) -> list[Best]:
        """The words of the utterance, which ends in this frame, when at last these are found: promises are kept."""
        self.stable = [best for best in self.stable if best.start < end]
        return [*words] if self._begins(words) else [*self.stable, *words[self._following(words) :]]

    def update(self, words: Sequence[Best], now: int) -> None:
        """Take the most probable words so far; now: how many frames they were read from."""
        same, ages = True, []
        for place, best in enumerate(words):
            same = same and place < len(self._last) and self._last[place] == best.word
            ages.append(self._ages[place] + 1 if same else 1)
        self._last, self._ages = [best.word for best in words], ages
        if self._begins(words):
            self.stable = list(words[: len(self.stable)])  # at times that fit the others'
        self.shown = list(self.stable)
        for place in range(self._following(words), len(words)):
            best, age, followed = words[place], ages[place], place < len(words) - 1
            over = followed or age >= SHOWN_AGE or now - best.end >= SHOWN_QUIET
            if age < SHOWN_OLD and not (over and best.share >= SHOWN_SHARE):
                break
            self.shown.append(best)

    def _begins(self, words: Sequence[Best]) -> bool:
        """Do they begin with what is promised?"""
        return [best.word for best in words[: len(self.stable)]] == [best.word for best in self.stable]

    def _following(self, words: Sequence[Best]) -> int:
        """The first of the words that follow what is promised."""
        if self._begins(words):
            return len(self.stable)
        end = self.stable[-1].end
        return next((place for place, best in enumerate(words) if best.start >= end), len(words))
