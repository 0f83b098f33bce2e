"""Which of the words that a search holds most probable are shown, and which of those will stay."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from asr.transcript import Word

# A word is shown when it has been the best for so many updates, or for fewer if the hypotheses agree in it; and it will
# stay when it has been for so many, all hypotheses but few agree in it, and others follow it.
SHOWN_AGE, SHOWN_SHARE = 2, 0.9
STABLE_AGE, STABLE_SHARE, STABLE_WORDS = 4, 0.999, 1


@dataclass
class Growing:
    """The words of an utterance, update by update."""

    stable: list[Word] = field(default_factory=list)
    shown: list[Word] = field(default_factory=list)  # the stable ones first
    _last: list[Word] = field(default_factory=list)
    _ages: list[int] = field(default_factory=list)

    def update(self, words: Sequence[Word]) -> None:
        """Take the most probable words so far; the confidence of each is the share of hypotheses that agree."""
        same = True
        ages = []
        for place, word in enumerate(words):
            same = same and place < len(self._last) and self._last[place].word == word.word
            ages.append(self._ages[place] + 1 if same else 1)
        self._last, self._ages = list(words), ages
        fixed = len(self.stable)
        agrees = [word.word for word in words[:fixed]] == [word.word for word in self.stable]
        new = fixed
        if agrees:
            while new < len(words) - STABLE_WORDS and ages[new] >= STABLE_AGE and words[new].confidence >= STABLE_SHARE:
                new += 1
            self.stable = list(words[:new])
        else:  # what was promised stays, and what is said after it follows
            end = self.stable[-1].end
            new = next((place for place, word in enumerate(words) if word.start >= end), len(words))
        self.shown = list(self.stable)
        for word, age in zip(words[new:], ages[new:], strict=True):
            if age < SHOWN_AGE and word.confidence < SHOWN_SHARE:
                break
            self.shown.append(word)
