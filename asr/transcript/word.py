"""What a transcript is made of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A recognised word; seconds from the recording's start, confidence 0..1."""

    word: str
    start: float
    end: float
    confidence: float
