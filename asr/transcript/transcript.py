"""What was said in a recording, segment by segment."""

from dataclasses import dataclass, field

from asr.decoder.hypothesis import Hypothesis
from asr.transcript import formats
from asr.transcript.word import Word, tokens


@dataclass(frozen=True, repr=False)
class Segment:
    """A part of the recording that was decoded as one, perhaps without words; seconds from the recording's start.

    channel: which was decoded, where each was: "left" and "right", or a number from "1" on.
    """

    start: float
    end: float
    words: list[Word]
    nbest: list[Hypothesis]
    channel: str | None = None

    @property
    def text(self) -> str:
        return " ".join(token.text for token in tokens(self.words))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        channel = f"{self.channel}, " if self.channel else ""
        return f"<Segment: {channel}{self.start:.2f} to {self.end:.2f} s, {_counted(len(self.words), 'word')}>"


@dataclass(frozen=True, repr=False)
class Transcript:
    """What was said in a recording, or in `duration` seconds of it.

    warnings: a line each about what couldn't be read or heard, such as a damaged part; most have none.
    """

    duration: float
    segments: list[Segment]
    warnings: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """As one line; or, where each channel was transcribed, a line a turn: "left: HELLO"."""
        return formats.line(self.words)

    @property
    def words(self) -> list[Word]:
        """Those of all segments, by time where these are of several channels."""
        words = [word for segment in self.segments for word in segment.words]
        several = any(segment.channel for segment in self.segments)
        return sorted(words, key=lambda word: word.start) if several else words

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        counts = [_counted(len(self.segments), "segment"), _counted(len(self.words), "word")]
        warnings = [_counted(len(self.warnings), "warning")] if self.warnings else []
        return f"<Transcript: {self.duration:.2f} s, {', '.join(counts + warnings)}>"

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


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
