"""Which of the words that a search holds most probable are shown, and which of those will stay."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# A word is shown when so much of the beam agrees in it and another follows, or it has been the best for so many
# updates, or nothing has come for so many frames, so that it is no longer the beginning of a longer one; in any case
# when it has been the best for so many updates.
SHOWN_SHARE, SHOWN_AGE, SHOWN_QUIET, SHOWN_OLD = 0.8, 3, 4, 4
# It will stay when it has been the best for so many updates, so much of the beam agrees in it, and others follow.
STABLE_AGE, STABLE_SHARE, STABLE_FOLLOWED = 3, 0.99, 1


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

    def update(self, words: Sequence[Best], now: int) -> None:
        """Take the most probable words so far; now: how many frames they were read from."""
        same, ages = True, []
        for place, best in enumerate(words):
            same = same and place < len(self._last) and self._last[place] == best.word
            ages.append(self._ages[place] + 1 if same else 1)
        self._last, self._ages = [best.word for best in words], ages
        new = len(self.stable)
        if self._last[:new] == [best.word for best in self.stable]:
            while new < len(words) - STABLE_FOLLOWED and ages[new] >= STABLE_AGE and words[new].share >= STABLE_SHARE:
                new += 1
            self.stable = list(words[:new])
        else:  # what was promised stays, and what is said after it follows
            end = self.stable[-1].end
            new = next((place for place, best in enumerate(words) if best.start >= end), len(words))
        self.shown = list(self.stable)
        for place in range(new, len(words)):
            best, age, followed = words[place], ages[place], place < len(words) - 1
            over = followed or age >= SHOWN_AGE or now - best.end >= SHOWN_QUIET
            if age < SHOWN_OLD and not (over and best.share >= SHOWN_SHARE):
                break
            self.shown.append(best)
