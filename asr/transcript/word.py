"""What a transcript is made of."""

from dataclasses import dataclass, field

from lm.settings import NotNegative, Share, check_fields


@dataclass(frozen=True)
class Word:
    """A recognised word; seconds from the recording's start, confidence 0..1. Raises ValueError for what is no time.

    channel: in which it was said, where each was transcribed: "left" and "right", or a number from "1" on.
    """

    word: str
    start: NotNegative
    end: NotNegative
    confidence: Share
    channel: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
