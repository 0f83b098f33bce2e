"""Text with case and marks as the words that are said, each with how it is written and the mark after it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from lm.text.normalise import is_foreign
from lm.text.turns import MISSPELT

# What may follow a word, by the tagger's classes; MARKS[0] is nothing.
MARKS = ("", ",", ".", "?", "!", ";", ":", "—")
ENDS = frozenset(".?!")
UNSURE = -1  # the text doesn't tell: a bracket, three dots before I, a heading's end

LOWER, CAPITAL, OWN = range(3)  # how a word is written: as in "go", as in "Monday", as in "NASA" and "iPhone"

WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
NUMBERS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion first"
    " second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth"
    " sixteenth seventeenth eighteenth nineteenth twentieth thirtieth".split()
)
SCALES = frozenset("thousand million billion trillion".split())
COMMA = MARKS.index(",")
FEW = 8  # words of a passage without a mark at its end that may be a heading


class Marked(NamedTuple):
    """A word of a text: as it is said, as it is written, and which of MARKS comes next (or UNSURE)."""

    form: str
    mark: int

    @property
    def word(self) -> str:
        return self.form.upper()

    @property
    def case(self) -> int:
        return case_of(self.form)


def case_of(form: str) -> int:
    """LOWER, CAPITAL or OWN."""
    if form.islower():
        return LOWER
    return CAPITAL if form[0].isupper() and (form[1:].islower() or len(form) == 1) else OWN


def marked(passage: str) -> list[Marked]:
    """The words of a passage of lm.text.normalise.passages; none where it is no punctuated English.

    >>> [(item.form, MARKS[item.mark]) for item in marked("Well, he left.")]
    [('Well', ','), ('he', ''), ('left', '.')]
    """
    found = list(WORD.finditer(passage))
    if len(found) < 2:
        return []
    gaps = [passage[word.end() : following.start()] for word, following in pairwise(found)]
    following = [word[0] for word in found[1:]]
    marks = [0 if gap == " " else _mark(gap, word) for gap, word in zip(gaps, following, strict=True)]
    last = _mark(passage[found[-1].end() :] + " ", "The")
    if not last and len(found) < FEW:
        return []
    marks.append(last or UNSURE)
    forms = [word[0] for word in found]
    said = [form.upper() for form in forms]
    long = [form for form in forms if len(form) > 1]
    if is_foreign(said) or not MISSPELT.isdisjoint(said) or 2 * sum(map(str.isupper, long)) > len(long):
        return []
    before, result = UNSURE, []
    for form, mark, following_word in zip(forms, marks, [*said[1:], ""], strict=True):
        if form[0].isupper() and form.lower() in NUMBERS and before != UNSURE and MARKS[before] not in ENDS:
            form = form.lower()  # what was in figures has been given a capital
        if mark == COMMA and form in SCALES and following_word.lower() in NUMBERS:
            mark = 0  # two thousand, five hundred, as num2words has it
        result.append(Marked(form, mark))
        before = mark
    return result


def _mark(gap: str, following: str) -> int:
    """Which mark stands in what is between a word and the following one."""
    if "?" in gap:
        return MARKS.index("?")
    if "!" in gap:
        return MARKS.index("!")
    small = following[0].islower()
    if ".." in gap or ". ." in gap:
        if following == "I" or following.startswith("I'"):
            return UNSURE
        return MARKS.index("," if small else ".")
    if "." in gap and not small and not gap.endswith("."):
        return MARKS.index(".")
    for mark in ";:,":
        if mark in gap and not gap.endswith(mark):
            return MARKS.index(mark)
    if "--" in gap or " - " in gap:
        return MARKS.index("—")
    return UNSURE if "(" in gap or ")" in gap else 0


def begins_sentence(words: Sequence[Marked]) -> Iterator[bool]:
    """Whether each word begins a sentence, or may."""
    yield True
    for word in words[:-1]:
        yield word.mark == UNSURE or MARKS[word.mark] in ENDS
