"""Transcripts as text, JSON, subtitles and tables: a function a format, from a transcript to a string."""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from rapidfuzz.distance import Levenshtein
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:  # a Transcript calls the functions here
    from asr.decoder.hypothesis import Hypothesis, Weights
    from asr.recognizer import Segment, Transcript, Word

# Subtitles by the usual rules (BBC and Netflix guidelines): two lines of 42 characters, shown for 1 to 7 seconds.
LINE = 42
LINES = 2
SHORTEST, LONGEST = 1.0, 7.0  # seconds
PAUSE = 0.6  # seconds; one as long always ends a cue
BLINK = 0.04  # seconds; what a word lasts at least, an output frame of the acoustic model


# --- Text and tables --------------------------------------------------------------------------------------


def txt(transcript: "Transcript", word_times: bool = False, confidence: bool = False) -> str:
    """The text as one line; or a line a word, after its start, end and confidence, whichever are asked for."""
    if not (word_times or confidence):
        return transcript.text + "\n"
    lines = []
    for word in transcript.words:
        times = [f"{word.start:.2f}", f"{word.end:.2f}"] if word_times else []
        lines.append("\t".join([*times, *([f"{word.confidence:.3f}"] if confidence else []), word.word]) + "\n")
    return "".join(lines)


def tsv(transcript: "Transcript", word_times: bool = False, confidence: bool = False) -> str:
    """Whisper's columns, start and end in milliseconds and text, a row a cue or, with word_times, a word.

    confidence adds a column: the mean of the cue's words.
    """
    lines = ["start\tend\ttext" + ("\tconfidence" if confidence else "")]
    for cue in cues(transcript.words, word_times):
        mean = f"\t{sum(word.confidence for word in cue.words) / len(cue.words):.3f}" if confidence else ""
        lines.append(f"{round(1000 * cue.start)}\t{round(1000 * cue.end)}\t{cue.text}{mean}")
    return "\n".join(lines) + "\n"


def ctm(transcript: "Transcript", file: str = "-", channel: str = "1") -> str:
    """NIST's time-marked words, a line each: file, channel, start, duration, word, confidence; times in seconds."""
    file = "_".join(file.split())  # columns are parted by spaces
    return "".join(
        f"{file} {channel} {word.start:.2f} {word.end - word.start:.2f} {word.word} {word.confidence:.3f}\n"
        for word in transcript.words
    )


# --- Subtitles --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cue:
    """Words that are shown together, from start to end (seconds)."""

    start: float
    end: float
    words: Sequence["Word"]

    @property
    def text(self) -> str:
        return " ".join(word.word for word in self.words)


def srt(transcript: "Transcript", word_times: bool = False) -> str:
    """SubRip subtitles; with word_times a cue is a word."""
    return "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_lines(cue.text)}\n\n"
        for number, cue in enumerate(cues(transcript.words, word_times), 1)
    )


def vtt(transcript: "Transcript", word_times: bool = False) -> str:
    """WebVTT subtitles; with word_times a cue is a word."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_lines(cue.text)}\n\n"
        for cue in cues(transcript.words, word_times)
    )


def cues(words: Sequence["Word"], word_times: bool = False) -> list[Cue]:
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


def _groups(words: Sequence["Word"]) -> Iterator[Sequence["Word"]]:
    """Runs of words without a long pause, halved until they fit."""
    first = 0
    for end in range(1, len(words) + 1):
        if end == len(words) or words[end].start - words[end - 1].end >= PAUSE:
            yield from _halved(words[first:end])
            first = end


def _halved(words: Sequence["Word"]) -> Iterator[Sequence["Word"]]:
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


# --- JSON -------------------------------------------------------------------------------------------------

SCORES = ("acoustic", "ngram", "lstm", "total")


def as_json(file: str, transcript: "Transcript", weights: "Weights") -> dict[str, Any]:
    """The object of one recording: seconds, natural logarithms. weights: of the second pass, for the totals.

    `nbest` ranks the readings of a recording of one segment. Of several segments each has its own `nbest`, and the
    recording's holds but their best, joined, its scores their sums.
    """
    segments: list[dict[str, Any]] = [
        {"start": segment.start, "end": segment.end, "text": segment.text} for segment in transcript.segments
    ]
    nbests = [[_scores(hypothesis, weights) for hypothesis in segment.nbest] for segment in transcript.segments]
    if len(nbests) > 1:
        for item, nbest in zip(segments, nbests, strict=True):
            item["nbest"] = nbest
        best = {name: round(sum(nbest[0][name] for nbest in nbests), 4) for name in SCORES}
        nbests = [[{"text": transcript.text} | best]]
    return {
        "file": file,
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
        "segments": segments,
        "words": [vars(word) for word in transcript.words],
        "nbest": nbests[0] if nbests else [],
        "error": None,
    }


def failure_as_json(file: str, problem: str) -> dict[str, Any]:
    """The same object of a recording that failed: `error` is the problem, `text` null."""
    empty: dict[str, Any] = {"segments": [], "words": [], "nbest": [], "error": problem}
    return {"file": file, "duration": None, "text": None} | empty


def _scores(hypothesis: "Hypothesis", weights: "Weights") -> dict[str, Any]:
    scores = (hypothesis.acoustic, hypothesis.ngram, hypothesis.lstm or 0.0, hypothesis.total(weights))
    return {"text": hypothesis.text} | {name: round(score, 4) for name, score in zip(SCORES, scores, strict=True)}


# --- The table that explains ------------------------------------------------------------------------------


def table(
    file: str,
    transcript: "Transcript",
    first_pass: "Weights",
    weights: "Weights",
    top: int,
    terminal: bool = False,
) -> str:
    """For each segment the `top` readings with their scores taken apart; for a terminal, with its width and bold.

    And, however low they rank, the one that the acoustic score alone prefers and the one of the first pass.
    """
    # A file has no width that readings would have to be broken to.
    out = io.StringIO()
    console = Console(file=out, highlight=False, force_terminal=terminal, width=None if terminal else 10_000)
    console.print(Text(f"{file}: {transcript.text}", style="bold"), soft_wrap=True)
    for segment in transcript.segments:
        console.print(_readings(segment, first_pass, weights, top))
    return out.getvalue()


def _readings(segment: "Segment", first_pass: "Weights", weights: "Weights", top: int) -> Table:
    table = Table(
        title=f"{segment.start:.2f} to {segment.end:.2f} s: {len(segment.nbest)} readings",
        title_justify="left",
        caption="total = acoustic + the others by their weights; acoustic, n-gram and LSTM are natural logarithms",
        caption_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("rank", justify="right")
    table.add_column("reading")
    for heading in (
        "acoustic",
        f"n-gram\n× {weights.ngram:g}",
        f"LSTM\n× {weights.lstm:g}",
        f"words\n× {weights.word:g}",
        "total",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("preferred\nby")
    acoustics = max(segment.nbest, key=lambda hypothesis: hypothesis.acoustic)
    first = max(segment.nbest, key=lambda hypothesis: hypothesis.total(first_pass))
    for rank, hypothesis in enumerate(segment.nbest, 1):
        judges = [judge for judge, choice in (("acoustics", acoustics), ("first pass", first)) if choice is hypothesis]
        if rank <= top or judges:
            table.add_row(
                str(rank),
                _differences(segment.nbest[0].words, hypothesis.words),
                f"{hypothesis.acoustic:.2f}",
                f"{hypothesis.ngram:.2f}",
                f"{hypothesis.lstm or 0.0:.2f}",
                str(len(hypothesis.words)),
                f"{hypothesis.total(weights):.2f}",
                ", ".join(judges),
            )
    return table


def _differences(best: Sequence[str], words: Sequence[str]) -> Text:
    """A reading, its words bold where it differs from the best."""
    text = Text()
    for block in Levenshtein.opcodes(best, words):
        style = "" if block.tag == "equal" else "bold"
        for word in words[block.dest_start : block.dest_end]:
            text.append(" " if text else "").append(word, style=style)
    return text
