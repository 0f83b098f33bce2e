"""The words that the tagger knows, and how words are mostly written within a sentence: the, Monday, NASA, iPhone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
