"""What is told of a stream while it is spoken."""

from dataclasses import dataclass

from asr.transcript import Segment, Word
from asr.transcript.word import tokens


@dataclass(frozen=True)
class Partial:
    """The words so far of the present utterance; the next Partial or Final stands in its place.

    stable: how many words, from the first on, stay: every further Partial of the utterance has them, and its Final. A
    word's confidence is what the first pass thinks of it.
    """

    words: list[Word]
    stable: int

    @property
    def text(self) -> str:
        return " ".join(token.text for token in tokens(self.words))


@dataclass(frozen=True)
class Final:
    """What an utterance was; its segment begins where the one before ended. It has no words if nothing was said."""

    segment: Segment

    @property
    def text(self) -> str:
        return self.segment.text


Event = Partial | Final
