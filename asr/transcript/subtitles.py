"""Text divided into subtitles as those who make them by hand do it.

The rules are those that broadcasters publish (BBC Subtitle Guidelines; Netflix Timed Text Style Guide, English): two
lines of 42 characters, 17 characters a second, one to seven seconds, two frames between, and breaks where sentences and
phrases end. Of all ways to divide a text that which costs least is found: what a cue, its pace and each break cost is
told below, in units that mean nothing but against each other.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise, starmap

from asr.transcript.word import Token

LINE = 42  # characters
PACE = 17.0  # characters a second
SHORTEST, LONGEST = 1.0, 7.0  # seconds
GAP = 2 / 24  # seconds: two frames of film
BLINK = 0.04  # seconds; what a cue lasts at least, an output frame of the acoustic model
SILENCE = 1.0  # seconds; no cue goes on over a pause as long

EACH = 12.0  # of a cue: few are better
HASTE = 60.0  # of each PACE beyond it
BRIEF = 40.0  # of each second below SHORTEST
PAUSE = 0.6  # seconds; a break in one as long costs nothing
SENTENCE, CLAUSE, PHRASE, ANYWHERE, WITHIN = 0.0, 3.0, 6.0, 12.0, 24.0  # of breaks, by what they part
NEW_LINE = 0.4  # times that: a line's break within a cue
UNEVEN = 0.05  # of each character that one line is longer than the other

# A phrase begins with these, so a break before them is better than one behind.
BEGIN = frozenset(
    "and but or nor so yet because although though while when where which who whom whose that if unless until since "
    "before after as than then with without from into for of in on at by to about over under between through".split()
)
# These belong to what follows.
LEAN = frozenset(
    "a an the this that these those my your his her its our their mr mrs dr i you he she we they it is are was were be "
    "been am has have had will would can could shall should may might must do does did not no very more most".split()
)


@dataclass(frozen=True)
class Cue:
    """Tokens that are shown together, from start to end (seconds)."""

    start: float
    end: float
    tokens: Sequence[Token]
    label: str = ""  # who speaks, where that is written

    @property
    def text(self) -> str:
        return " ".join(token.text for token in self.tokens)

    @cached_property
    def lines(self) -> str:
        """The text with its label, broken into lines."""
        return lines(self.tokens, self.label)


def cues(tokens: Iterable[Token], label: str = "") -> Iterator[Cue]:
    """Tokens of one channel as cues that don't overlap, each as soon as it is decided. label: stands before each.

    What is said faster than can be read stays faster; a token wider than a line has one of its own.
    """
    gone = -math.inf  # when the last cue is
    for run, following in _runs(tokens):
        text = _Text(run, label, following - GAP)
        for first, end in text.best():
            start = max(run[first].start, gone + GAP)
            gone = max(start + BLINK, text.gone(first, end, start))
            yield Cue(start, gone, run[first:end], label)


def each_token(tokens: Iterable[Token], label: str = "") -> Iterator[Cue]:
    """A cue a token, as long as it is said."""
    gone = 0.0
    for token in tokens:
        start = max(token.start, gone)
        gone = max(token.end, start + BLINK)
        yield Cue(start, gone, [token], label)


def _runs(tokens: Iterable[Token]) -> Iterator[tuple[list[Token], float]]:
    """Tokens up to a SILENCE, and when the next one begins."""
    run: list[Token] = []
    for token in tokens:
        if run and token.start - run[-1].end >= SILENCE:
            yield run, token.start
            run = []
        run.append(token)
    if run:
        yield run, math.inf


def lines(tokens: Sequence[Token], label: str = "") -> str:
    """Tokens broken into as few lines as it takes, each LINE characters at most where tokens allow."""
    words = [token.text for token in tokens]
    words[0] = label + words[0]
    text = _Text(tokens, label, math.inf)
    if text.length(0, len(words)) <= LINE:
        return " ".join(words)
    if place := text.second_line(0, len(words))[1]:
        return f"{' '.join(words[:place])}\n{' '.join(words[place:])}"
    rows = [words[0]]  # more than two lines, or tokens wider than one
    for word in words[1:]:
        if len(rows[-1]) + 1 + len(word) <= LINE:
            rows[-1] += f" {word}"
        else:
            rows.append(word)
    return "\n".join(rows)


class _Text:
    """How tokens without a SILENCE between them may be divided, and what that costs."""

    def __init__(self, tokens: Sequence[Token], label: str, limit: float) -> None:
        """limit: when the last of them has to be gone, seconds."""
        self._label = len(label)
        self._starts = [token.start for token in tokens]
        self._limits = [*(start - GAP for start in self._starts), limit]
        self._ends = [token.end for token in tokens]
        self._before = [0, *accumulate(len(token.text) + 1 for token in tokens)]  # characters, with their spaces
        self._breaks = [0.0, *starmap(_break, pairwise(tokens)), 0.0]

    def best(self) -> list[tuple[int, int]]:
        """The cheapest cues: which tokens are first, and past the end, of each."""
        count = len(self._starts)
        costs, firsts = [0.0] + [math.inf] * count, [0] * (count + 1)  # of the best way up to each, and its last cue
        for end in range(1, count + 1):
            for first in range(end - 1, -1, -1):
                if end - first > 1 and not self.fits(first, end):
                    break
                cost = costs[first] + self.cost(first, end)
                if cost < costs[end]:
                    costs[end], firsts[end] = cost, first
        bounds = [count]
        while bounds[-1]:
            bounds.append(firsts[bounds[-1]])
        return list(pairwise(reversed(bounds)))

    def length(self, first: int, end: int) -> int:
        """Characters, with the label."""
        return self._label + self._before[end] - self._before[first] - 1

    def fits(self, first: int, end: int) -> bool:
        """Whether several tokens may be one cue, if all but the first may."""
        if (
            self._ends[end - 1] - self._starts[first] > LONGEST
            or self._starts[first + 1] - self._ends[first] >= SILENCE
        ):
            return False
        return self.length(first, end) <= LINE or self.second_line(first, end)[1] > 0

    def cost(self, first: int, end: int) -> float:
        """Of a cue, and of the break behind it."""
        start = self._starts[first]
        seconds = max(BLINK, self.gone(first, end, start) - start)
        haste = max(0.0, self.length(first, end) / seconds / PACE - 1)
        cost = EACH + self._breaks[end] + HASTE * min(3.0, haste) + BRIEF * max(0.0, SHORTEST - seconds)
        return cost if self.length(first, end) <= LINE else cost + self.second_line(first, end)[0]

    def gone(self, first: int, end: int, start: float) -> float:
        """Until when a cue is shown: as long as it is said or read, if the next one leaves it the time."""
        needed = max(SHORTEST, self.length(first, end) / PACE)
        return min(max(self._ends[end - 1], start + needed), start + LONGEST, self._limits[end])

    def second_line(self, first: int, end: int) -> tuple[float, int]:
        """What breaking a cue costs, and where its second line begins; 0 and 0 if two lines can't hold it."""
        best = 0.0, 0
        for place in range(end - 1, first, -1):
            if (second := self._before[end] - self._before[place] - 1) > LINE:
                break
            if (top := self.length(first, place)) <= LINE:
                cost = NEW_LINE * self._breaks[place] + UNEVEN * abs(top - second)
                if not best[1] or cost < best[0]:
                    best = cost, place
        return best


def _break(before: Token, after: Token) -> float:
    """What it costs to part two tokens."""
    mark = before.text.rstrip("\"')]")[-1:]
    if mark in (".", "?", "!") or after.start - before.end >= PAUSE:
        return SENTENCE
    if mark in (",", ";", ":", "—", "–"):
        return CLAUSE
    last, first = (token.text.strip(",;:—\"'()").lower() for token in (before, after))
    cost = WITHIN if last in LEAN or last in BEGIN else PHRASE if first in BEGIN else ANYWHERE
    return cost * (1 - max(0.0, after.start - before.end) / PAUSE / 2)  # a short pause is half a reason
