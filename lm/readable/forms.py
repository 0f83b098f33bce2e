"""The words that the tagger knows, and how words are mostly written within a sentence: the, Monday, NASA, iPhone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lm.files import open_text


@dataclass(frozen=True)
class Words:
    """`words` in capitals, in the order of their ids; `forms` of those that aren't mostly in small letters.

    Words that are rarer than these have no id, but may have a form.
    """

    words: Sequence[str]
    forms: Mapping[str, str]

    @classmethod
    def load(cls, path: Path) -> "Words":
        """A file that `save` wrote."""
        with open_text(path) as file:
            known, _, rarer = file.read().partition("\n\n")
        usual = [*known.split(), *rarer.split()]
        return cls(known.upper().split(), {form.upper(): form for form in usual if not form.islower()})

    def save(self, path: Path) -> None:
        """A word a line, as it is mostly written; those that have no id after a blank line."""
        known = [self.forms.get(word, word.lower()) for word in self.words]
        rarer = [self.forms[word] for word in sorted(self.forms.keys() - set(self.words))]
        with open_text(path, "wt") as file:
            file.write("\n".join([*known, "", *rarer, ""]))


class Places:
    """At which place of a list each word stands, in a fifth of a dictionary's memory."""

    def __init__(self, words: Sequence[str]) -> None:
        given = np.array([word.encode() for word in words], dtype="S")
        self._places = np.argsort(given).astype(np.int32)
        self._sorted = given[self._places]

    def get(self, word: str) -> int | None:
        """None of a word that isn't there."""
        sought = word.encode()
        if len(sought) > self._sorted.itemsize:
            return None
        found = int(self._sorted.searchsorted(sought))
        return int(self._places[found]) if found < len(self._sorted) and self._sorted[found] == sought else None

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self.get(word) is not None


class Forms:
    """How words are written, likewise."""

    def __init__(self, forms: Mapping[str, str]) -> None:
        self._places = Places(list(forms))
        self._forms = np.array([form.encode() for form in forms.values()], dtype="S")

    def get(self, word: str) -> str | None:
        """None of a word that isn't there."""
        place = self._places.get(word)
        return None if place is None else self._forms[place].decode()
