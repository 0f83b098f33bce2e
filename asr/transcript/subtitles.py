"""Text divided into subtitles as those who make them by hand do it.

The rules are those that broadcasters publish (BBC Subtitle Guidelines; Netflix Timed Text Style Guide, English): two
lines of 42 characters, 17 characters a second, one to seven seconds, two frames between, and breaks where sentences and
phrases end. Of all ways to divide a text that which costs least is found: what a cue, its pace and each break cost is
told below, in units that mean nothing but against each other. A cue needn't keep to the times of its words: where they
are spoken faster than they can be read it begins a little before them, stays into the pause behind them, or takes of
the time of a slower neighbour.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, pairwise, starmap
from typing import NamedTuple

import numpy as np

from asr.transcript.word import Token

LINE = 42  # characters
PACE = 17.0  # characters a second
SHORTEST, LONGEST = 1.0, 7.0  # seconds
GAP = 2 / 24  # seconds: two frames of film
BLINK = 0.04  # seconds; what a cue lasts at least, an output frame of the acoustic model
SILENCE = 1.0  # seconds; no cue goes on over a pause as long
SHIFTS = np.arange(-5, 6) / 10  # seconds by which a cue may begin before or after its words
ON_TIME = 5  # the shift of 0
AHEAD = 60.0  # seconds that are divided at once; how the first half is hardly depends on what follows them

EACH = 6.0  # of a cue: few are better
FAST = 60.0  # of one that can't be read in its time: rather one that can't than two that hardly can
HASTE = 60.0  # of each PACE beyond it
SHIFTED = 4.0  # of each second of a shift
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
    "a an the this that these those my your his her its our their mr. mrs. dr. i you he she we they it is are was were "
    "be been am has have had will would can could shall should may might must do does did not no very more most".split()
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
    run: list[Token] = []
    gone = -GAP  # when the last cue is
    for token in chain(tokens, [None]):
        over = not token or (bool(run) and token.start - run[-1].end >= SILENCE)
        if run and (over or run[-1].end - run[0].start >= AHEAD):
            best = _Text(run, label, token.start - GAP if token else math.inf).best(gone + GAP)
            taken = 0
            for first, end, start, leave in best:
                if not over and taken and run[end - 1].end - run[0].start > AHEAD / 2:
                    break
                start = max(start, gone + GAP)
                gone = max(start + BLINK, leave)
                yield Cue(start, gone, run[first:end], label)
                taken = end
            run = run[taken:]
        if token:
            run.append(token)


def each_token(tokens: Iterable[Token], label: str = "") -> Iterator[Cue]:
    """A cue a token, as long as it is said."""
    gone = 0.0
    for token in tokens:
        start = max(token.start, gone)
        gone = max(token.end, start + BLINK)
        yield Cue(start, gone, [token], label)


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


class _Shown(NamedTuple):
    """Tokens [first, end) that are shown together, from start until they are gone, seconds."""

    first: int
    end: int
    start: float
    gone: float


class _Text:
    """How tokens without a SILENCE between them may be divided, and what that costs."""

    def __init__(self, tokens: Sequence[Token], label: str, limit: float) -> None:
        """limit: when the last of them has to be gone, seconds."""
        self._label = len(label)
        self._starts = np.array([*(token.start for token in tokens), limit + GAP])
        self._ends = np.array([token.end for token in tokens])
        self._before = [0, *accumulate(len(token.text) + 1 for token in tokens)]  # characters, with their spaces
        self._breaks = [0.0, *starmap(_break, pairwise(tokens)), 0.0]

    def best(self, free: float) -> list[_Shown]:
        """The cheapest cues, of which the first may begin when it is `free`, in seconds."""
        count, shifts = len(self._ends), range(len(SHIFTS))
        # By when the next cue begins: the cost of the best way up to each token, the way's last cue, and its shift.
        costs = np.full((count + 1, len(SHIFTS)), np.inf)
        costs[0] = shifted = SHIFTED * np.abs(SHIFTS)
        ways: list[list[tuple[_Shown, int]]] = [[]]
        for end in range(1, count + 1):
            first = self._first(end)
            lengths = np.array([self.length(place, end) for place in range(first, end)])[:, None]
            breaks = np.array([self._line_break(place, end) for place in range(first, end)])[:, None]
            starts = np.maximum(free, self._starts[first:end, None] + SHIFTS)
            gone = np.minimum(
                self._leave(starts, end, lengths)[:, :, None], self._starts[end] + SHIFTS - GAP
            )  # [first tokens, shifts, shifts of the next cue]
            seconds = np.maximum(BLINK, gone - starts[:, :, None])
            haste = np.maximum(0.0, lengths[:, :, None] / seconds / PACE - 1)
            total = (costs[first:end] + breaks)[:, :, None] + BRIEF * np.maximum(0.0, SHORTEST - seconds)
            total += FAST * (haste > 1e-6) + HASTE * np.minimum(3.0, haste)
            choices = total.reshape(-1, len(SHIFTS)).argmin(0)
            costs[end] = total.reshape(-1, len(SHIFTS))[choices, shifts] + EACH + self._breaks[end] + shifted
            ways.append([])
            for following, choice in enumerate(choices.tolist()):
                place, shift = divmod(choice, len(SHIFTS))
                times = float(starts[place, shift]), float(gone[place, shift, following])
                ways[end].append((_Shown(first + place, end, *times), shift))
        found = []
        end, shift = count, ON_TIME
        while end:
            cue, shift = ways[end][shift]
            found.append(cue)
            end = cue.first
        return found[::-1]

    def _leave(self, starts: np.ndarray, end: int, lengths: np.ndarray) -> np.ndarray:
        """When cues of such lengths go, if they may: as soon as they are said and read."""
        read = starts + np.maximum(SHORTEST, lengths / PACE)
        return np.minimum(np.maximum(self._ends[end - 1], read), starts + LONGEST)

    def length(self, first: int, end: int) -> int:
        """Characters, with the label."""
        return self._label + self._before[end] - self._before[first] - 1

    def _first(self, end: int) -> int:
        """The first token that a cue may have which ends before `end`."""
        first = end - 1
        while first and self._fits(first - 1, end):
            first -= 1
        return first

    def _fits(self, first: int, end: int) -> bool:
        """Whether several tokens may be one cue, if all but the first may."""
        if self._ends[end - 1] - self._starts[first] > LONGEST:
            return False
        return self.length(first, end) <= LINE or self.second_line(first, end)[1] > 0

    def _line_break(self, first: int, end: int) -> float:
        """What it costs that a cue has two lines, if it has."""
        return self.second_line(first, end)[0] if self.length(first, end) > LINE else 0.0

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
    last, first = (token.text.strip(",;:—\"'()").lower() for token in (before, after))
    if (mark in (".", "?", "!") and last not in LEAN) or after.start - before.end >= PAUSE:  # Mr. ends no sentence
        return SENTENCE
    if mark in (",", ";", ":", "—", "–"):
        return CLAUSE
    cost = WITHIN if last in LEAN or last in BEGIN else PHRASE if first in BEGIN else ANYWHERE
    return cost * (1 - max(0.0, after.start - before.end) / PAUSE / 2)  # a short pause is half a reason
