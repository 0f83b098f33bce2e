"""Words with times as text, subtitles and tables: a function a format."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from asr.transcript.word import Word

# Subtitles by the usual rules (BBC and Netflix guidelines): two lines of 42 characters, shown for 1 to 7 seconds.
LINE = 42
LINES = 2
SHORTEST, LONGEST = 1.0, 7.0  # seconds
PAUSE = 0.6  # seconds; one as long always ends a cue
BLINK = 0.04  # seconds; what a word lasts at least, an output frame of the acoustic model


# --- Text and tables --------------------------------------------------------------------------------------


def txt(words: Sequence[Word], word_times: bool = False, confidence: bool = False) -> str:
    """The text as one line; or a line a word, after its start, end and confidence, whichever are asked for."""
    if not (word_times or confidence):
        return " ".join(word.word for word in words) + "\n"
    lines = []
    for word in words:
        times = [f"{word.start:.2f}", f"{word.end:.2f}"] if word_times else []
        lines.append("\t".join([*times, *([f"{word.confidence:.3f}"] if confidence else []), word.word]) + "\n")
    return "".join(lines)


def tsv(words: Sequence[Word], word_times: bool = False, confidence: bool = False) -> str:
    """Whisper's columns, start and end in milliseconds and text, a row a cue or, with word_times, a word.

    confidence adds a column: the mean of the cue's words.
    """
    lines = ["start\tend\ttext" + ("\tconfidence" if confidence else "")]
    for cue in cues(words, word_times):
        mean = f"\t{sum(word.confidence for word in cue.words) / len(cue.words):.3f}" if confidence else ""
        lines.append(f"{round(1000 * cue.start)}\t{round(1000 * cue.end)}\t{cue.text}{mean}")
    return "\n".join(lines) + "\n"


def ctm(words: Sequence[Word], file: str = "-", channel: str = "1") -> str:
    """NIST's time-marked words, a line each: file, channel, start, duration, word, confidence; times in seconds."""
    file = "_".join(file.split())  # columns are parted by spaces
    return "".join(
        f"{file} {channel} {word.start:.2f} {word.end - word.start:.2f} {word.word} {word.confidence:.3f}\n"
        for word in words
    )


# --- Subtitles --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cue:
    """Words that are shown together, from start to end (seconds)."""

    start: float
    end: float
    words: Sequence[Word]

    @property
    def text(self) -> str:
        return " ".join(word.word for word in self.words)


def srt(words: Sequence[Word], word_times: bool = False) -> str:
    """SubRip subtitles; with word_times a cue is a word."""
    return "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_lines(cue.text)}\n\n"
        for number, cue in enumerate(cues(words, word_times), 1)
    )


def vtt(words: Sequence[Word], word_times: bool = False) -> str:
    """WebVTT subtitles; with word_times a cue is a word."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_lines(cue.text)}\n\n"
        for cue in cues(words, word_times)
    )


def cues(words: Sequence[Word], word_times: bool = False) -> list[Cue]:
    """Words to cues that fit the screen and end where the speaker pauses. With word_times each word is one.

    They don't overlap, and each ends after it starts. A short one stays for SHORTEST if the next leaves it the time.
    """
    groups = ([word] for word in words) if word_times else _groups(words)
    found: list[Cue] = []
    for group in groups:
        start = max(group[0].start, found[-1].end if found else 0.0)
        found.append(Cue(start, max(group[-1].end, start + BLINK), group))
    if word_times:
        return found
    following = chain((cue.start for cue in found[1:]), [math.inf])
    return [
        Cue(cue.start, max(cue.end, min(cue.start + SHORTEST, limit)), cue.words)
        for cue, limit in zip(found, following, strict=False)
    ]


def _groups(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Runs of words without a long pause, halved until they fit."""
    first = 0
    for end in range(1, len(words) + 1):
        if end == len(words) or words[end].start - words[end - 1].end >= PAUSE:
            yield from _halved(words[first:end])
            first = end


def _halved(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Parts that each fit one cue. A run is cut at the longest pause in its middle half."""
    fits = (
        words[-1].end - words[0].start <= LONGEST and _lines(" ".join(word.word for word in words)).count("\n") < LINES
    )
    if fits or len(words) == 1:
        yield words
        return
    middle = len(words) / 2
    quarter = len(words) // 4
    # Of pauses of the same length, as between words spoken in one breath, that in the middle.
    cut = max(
        range(max(1, quarter), min(len(words), len(words) - quarter + 1)),
        key=lambda place: (round(words[place].start - words[place - 1].end, 2), -abs(place - middle)),
    )
    yield from _halved(words[:cut])
    yield from _halved(words[cut:])


def _lines(text: str) -> str:
    """Broken into as few lines as it takes, each LINE long at most where words allow, two of about one length."""
    if len(text) <= LINE:
        return text
    breaks = [place for place, character in enumerate(text) if character == " "]
    even = [place for place in breaks if place <= LINE and len(text) - place - 1 <= LINE]
    if even:
        place = min(even, key=lambda place: abs(2 * place + 1 - len(text)))
    elif breaks:  # more than two lines, or words longer than one
        place = max((place for place in breaks if place <= LINE), default=breaks[0])
    else:
        return text
    return f"{text[:place]}\n{_lines(text[place + 1 :])}"


def _clock(seconds: float, mark: str) -> str:
    """hh:mm:ss and milliseconds behind the mark."""
    total = round(1000 * seconds)
    return f"{total // 3_600_000:02}:{total // 60_000 % 60:02}:{total // 1000 % 60:02}{mark}{total % 1000:03}"
