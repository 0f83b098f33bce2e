"""A transcript with the scores of its hypotheses: an object for JSON, and a table that explains."""

import io
from collections.abc import Sequence
from typing import Any

from rapidfuzz.distance import Levenshtein
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from asr.decoder.hypothesis import Hypothesis, Weights
from asr.transcript.transcript import Segment, Transcript
from asr.transcript.word import Word

LEGEND = "total = acoustic + the others by their weights; acoustic, n-gram and LSTM are natural logarithms"
SCORES = ("acoustic", "ngram", "lstm", "total")


def as_json(file: str, transcript: Transcript, weights: Weights) -> dict[str, Any]:
    """The object of one recording: seconds, natural logarithms. weights: of the second pass, for the totals.

    `nbest` ranks the hypotheses of a recording of one segment. Of several segments each has its own `nbest`, and the
    recording's holds but their best, joined, its scores their sums. Where each channel was transcribed, segments and
    words have theirs.
    """
    segments: list[dict[str, Any]] = [
        {"start": segment.start, "end": segment.end, "text": segment.text} | _channel(segment)
        for segment in transcript.segments
    ]
    nbests = [[scores(hypothesis, weights) for hypothesis in segment.nbest] for segment in transcript.segments]
    if len(nbests) > 1:
        for item, nbest in zip(segments, nbests, strict=True):
            item["nbest"] = nbest
        best = {name: round(sum(nbest[0][name] for nbest in nbests), 4) for name in SCORES}
        said = " ".join(word.word for word in transcript.words)
        nbests = [[{"text": said} | best]]
    return {
        "file": file,
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
        "segments": segments,
        "words": [word_as_json(word) for word in transcript.words],
        "nbest": nbests[0] if nbests else [],
        "warnings": transcript.warnings,
        "error": None,
    }


def word_as_json(word: Word) -> dict[str, Any]:
    """A word, with its channel if it has one, and how it is written if that is known."""
    said = {"word": word.word, "start": word.start, "end": word.end, "confidence": word.confidence}
    return said | _channel(word) | ({} if word.written is None else {"written": word.written})


def _channel(part: Segment | Word) -> dict[str, str]:
    return {"channel": part.channel} if part.channel else {}


def failure_as_json(file: str, problem: str) -> dict[str, Any]:
    """The same object of a recording that failed: `error` is the problem, `text` null."""
    empty: dict[str, Any] = {"segments": [], "words": [], "nbest": [], "warnings": [], "error": problem}
    return {"file": file, "duration": None, "text": None} | empty


def scores(hypothesis: Hypothesis, weights: Weights) -> dict[str, Any]:
    """A hypothesis and its SCORES."""
    found = (hypothesis.acoustic, hypothesis.ngram, hypothesis.lstm or 0.0, hypothesis.total(weights))
    return {"text": hypothesis.text} | {name: round(score, 4) for name, score in zip(SCORES, found, strict=True)}


def table(
    file: str,
    transcript: Transcript,
    first_pass: Weights,
    weights: Weights,
    top: int,
    terminal: bool = False,
) -> str:
    """For each segment the `top` hypotheses with their scores taken apart; for a terminal, with its width and bold.

    And, however low they rank, the one that the acoustic score alone prefers and the one of the first pass.
    """
    # A file has no width that hypotheses would have to be broken to.
    out = io.StringIO()
    console = Console(file=out, highlight=False, force_terminal=terminal, width=None if terminal else 10_000)
    console.print(Text(f"{file}: {transcript.text}", style="bold"), soft_wrap=True)
    for segment in transcript.segments:
        console.print(_hypotheses(segment, first_pass, weights, top))
    if transcript.segments:
        console.print(LEGEND, style="italic dim", soft_wrap=True)
    return out.getvalue()


def _hypotheses(segment: Segment, first_pass: Weights, weights: Weights, top: int) -> Table:
    channel = f"{segment.channel}, " if segment.channel else ""
    table = Table(
        title=f"{channel}{segment.start:.2f} to {segment.end:.2f} s: {len(segment.nbest)} hypotheses",
        title_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("rank", justify="right")
    table.add_column("hypothesis")
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
    """A hypothesis, its words bold where it differs from the best."""
    text = Text()
    for block in Levenshtein.opcodes(best, words):
        style = "" if block.tag == "equal" else "bold"
        for word in words[block.dest_start : block.dest_end]:
            text.append(" " if text else "").append(word, style=style)
    return text
