"""What was said in a recording, segment by segment."""

from dataclasses import dataclass, field

from asr.decoder.hypothesis import Hypothesis
from asr.transcript import formats
from asr.transcript.word import Word


@dataclass(frozen=True)
class Segment:
    """A part of the recording that was decoded as one, perhaps without words; seconds from the recording's start."""

    start: float
    end: float
    words: list[Word]
    nbest: list[Hypothesis]

    @property
    def text(self) -> str:
        return " ".join(word.word for word in self.words)


@dataclass(frozen=True)
class Transcript:
    """What was said in a recording, or in `duration` seconds of it.

    warnings: a line each about what couldn't be read or heard, such as a damaged part; most have none.
    """

    duration: float
    segments: list[Segment]
    warnings: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments if segment.words)

    @property
    def words(self) -> list[Word]:
        return [word for segment in self.segments for word in segment.words]

    def to_srt(self) -> str:
        """SubRip subtitles."""
        return formats.srt(self.words)

    def to_vtt(self) -> str:
        """WebVTT subtitles."""
        return formats.vtt(self.words)

    def to_tsv(self) -> str:
        """Whisper's columns: start and end in milliseconds, and text, a row a subtitle."""
        return formats.tsv(self.words)

    def to_ctm(self, file: str = "-") -> str:
        """NIST's CTM, a line a word: file, channel, start, duration, word, confidence."""
        return formats.ctm(self.words, file)
