"""Words with times as text, subtitles and tables: a function a format.

Words of several channels come by time, and may overlap; what is written says which is whose.
"""

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

from asr.transcript.word import Word

# Subtitles by the usual rules (BBC and Netflix guidelines): two lines of 42 characters, shown for 1 to 7 seconds.
LINE = 42
LINES = 2
SHORTEST, LONGEST = 1.0, 7.0  # seconds
PAUSE = 0.6  # seconds; one as long always ends a cue
BLINK = 0.04  # seconds; what a word lasts at least, an output frame of the acoustic model
# SubRip has no escapes, and players take <unk> for a tag, {...} for a style and --> for times.
NO_TAGS = str.maketrans("<>{}", "[]()")


# --- Text and tables --------------------------------------------------------------------------------------


def txt(words: Sequence[Word], word_times: bool = False, confidence: bool = False) -> str:
    """The text as one line, or a line a turn after its channel: "left: HELLO".

    Or a line a word, after its channel, start, end and confidence, whichever there are and are asked for.
    """
    if not (word_times or confidence):
        return "".join(f"{_label(turn)}{' '.join(word.word for word in turn)}\n" for turn in turns(words)) or "\n"
    lines = []
    for word in words:
        channel = [word.channel] if word.channel else []
        times = [f"{word.start:.2f}", f"{word.end:.2f}"] if word_times else []
        sure = [f"{word.confidence:.3f}"] if confidence else []
        lines.append("\t".join([*channel, *times, *sure, word.word]) + "\n")
    return "".join(lines)


def turns(words: Sequence[Word]) -> list[list[Word]]:
    """What the channels say by turns: words up to a pause of theirs in which another speaks.

    Who speaks while another does has turns of their own, by when they begin. Words of no channel are one turn.
    """
    runs = [run for channel in _channels(words) for run in (_runs(channel) if channel[0].channel else [channel])]
    runs.sort(key=lambda run: run[0].start)
    return [list(chain.from_iterable(group)) for _, group in groupby(runs, key=lambda run: run[0].channel)]


def _channels(words: Sequence[Word]) -> list[list[Word]]:
    """The words of each channel, by its number."""
    # "left" before "right", "9" before "10".
    names = sorted({word.channel or "" for word in words}, key=lambda name: (len(name), name))
    return [[word for word in words if (word.channel or "") == name] for name in names]


def _label(words: Sequence[Word]) -> str:
    """What stands before words of one channel."""
    return f"{words[0].channel}: " if words[0].channel else ""


def tsv(words: Sequence[Word], word_times: bool = False, confidence: bool = False) -> str:
    """Whisper's columns, start and end in milliseconds and text, a row a cue or, with word_times, a word.

    confidence adds a column: the mean of the cue's words. So do channels.
    """
    several = any(word.channel for word in words)
    more = ["confidence"] * confidence + ["channel"] * several
    lines = ["\t".join(["start", "end", "text", *more])]
    for cue in cues(words, word_times):
        mean = [f"{sum(word.confidence for word in cue.words) / len(cue.words):.3f}"] * confidence
        channel = [cue.words[0].channel or ""] * several
        times = f"{round(1000 * cue.start)}", f"{round(1000 * cue.end)}"
        lines.append("\t".join([*times, cue.text, *mean, *channel]))
    return "\n".join(lines) + "\n"


def ctm(words: Sequence[Word], file: str = "-", channel: str = "1") -> str:
    """NIST's time-marked words, a line each: file, channel, start, duration, word, confidence; times in seconds.

    Sorted as its tools want it: channel by channel. Words that have one are of it, left being 1 and right 2.
    """
    file = "_".join(file.split())  # columns are parted by spaces
    numbers = {None: channel, "left": "1", "right": "2"}
    return "".join(
        f"{file} {numbers.get(word.channel, word.channel)} {word.start:.2f} {word.end - word.start:.2f} {word.word} "
        f"{word.confidence:.3f}\n"
        for word in chain.from_iterable(_channels(words))
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
    """SubRip subtitles; with word_times a cue is a word. A channel stands before its words."""
    return "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n"
        f"{_lines(_label(cue.words) + cue.text).translate(NO_TAGS)}\n\n"
        for number, cue in enumerate(cues(words, word_times), 1)
    )


def vtt(words: Sequence[Word], word_times: bool = False) -> str:
    """WebVTT subtitles; with word_times a cue is a word. A channel is a voice."""
    text = "WEBVTT\n\n"
    for cue in cues(words, word_times):
        channel = cue.words[0].channel
        voice = f"<v {html.escape(channel.capitalize())}>" if channel else ""
        times = f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}"
        text += f"{times}\n{voice}{html.escape(_lines(cue.text), quote=False)}\n\n"
    return text


def cues(words: Sequence[Word], word_times: bool = False) -> list[Cue]:
    """Words to cues that fit the screen and end where the speaker pauses. With word_times each word is one.

    Those of a channel don't overlap, and each ends after it starts. A short one stays for SHORTEST if the next leaves
    it the time.
    """
    found = [cue for channel in _channels(words) for cue in _cues(channel, word_times)]
    return sorted(found, key=lambda cue: cue.start)


def _cues(words: Sequence[Word], word_times: bool) -> list[Cue]:
    """Of one channel."""
    groups = ([word] for word in words) if word_times else chain.from_iterable(map(_halved, _runs(words)))
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


def _runs(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Words up to a long pause."""
    first = 0
    for end in range(1, len(words) + 1):
        if end == len(words) or words[end].start - words[end - 1].end >= PAUSE:
            yield words[first:end]
            first = end


def _halved(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Parts that each fit one cue. A run is cut at the longest pause in its middle half."""
    text = _label(words) + " ".join(word.word for word in words)
    fits = words[-1].end - words[0].start <= LONGEST and _lines(text).count("\n") < LINES
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
