"""What a transcript is made of."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from lm.settings import NotNegative, Share, check_fields


class Style(StrEnum):
    """How text is written."""

    readable = "readable"  # with case, marks and numbers
    plain = "plain"  # as it was said, in capitals


@dataclass(frozen=True)
class Word:
    """A recognised word; seconds from the recording's start, confidence 0..1. Raises ValueError for what is no time.

    channel: in which it was said, where each was transcribed: "left" and "right", or a number from "1" on.
    written: how it is written, with the marks after it, such as "Monday," for MONDAY. What is written for several words
    at once, as 23 is, stands at the first of them, and the others have "". None in plain text: as it was said.
    """

    word: str
    start: NotNegative
    end: NotNegative
    confidence: Share
    channel: str | None = field(default=None, repr=False)
    written: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Token:
    """What stands between two spaces of a written text: a word, or several that are written as one."""

    text: str
    words: tuple[Word, ...]

    @property
    def start(self) -> float:
        return self.words[0].start

    @property
    def end(self) -> float:
        return self.words[-1].end

    @property
    def confidence(self) -> float:
        return sum(word.confidence for word in self.words) / len(self.words)

    @property
    def channel(self) -> str | None:
        return self.words[0].channel


def tokens(words: Iterable[Word]) -> Iterator[Token]:
    """The tokens of words of one channel, in their order, each as soon as the next begins.

    Where words begin in the middle of a token, that isn't theirs, but of those before.
    """
    group: list[Word] = []
    for word in words:
        if word.written != "" and group:
            yield Token(group[0].written or group[0].word, tuple(group))
            group = []
        if word.written != "" or group:
            group.append(word)
    if group:
        yield Token(group[0].written or group[0].word, tuple(group))
