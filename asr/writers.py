"""Transcripts to text, JSON, and the table that explains them. A writer prints each result as soon as it has it."""

import json
from collections.abc import Sequence
from typing import Any, Protocol, TextIO

from rapidfuzz.distance import Levenshtein
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from asr.audio import AudioError
from asr.decoder.hypothesis import Hypothesis, Weights
from asr.recognizer import Segment, Transcript


class Writer(Protocol):
    """One format."""

    def write(self, file: str, result: Transcript | AudioError) -> None:
        """Print what became of a file."""

    def close(self) -> None:
        """Print what ends the output."""


class TextWriter:
    """One line a file, preceded by "FILE: " if there are several; nothing for one that failed."""

    def __init__(self, out: TextIO, several: bool) -> None:
        self._out, self._several = out, several

    def write(self, file: str, result: Transcript | AudioError) -> None:
        if isinstance(result, Transcript):
            line = f"{file}: {result.text}" if self._several else result.text
            print(line, file=self._out, flush=True)

    def close(self) -> None:
        pass


class JsonWriter:
    """One array of the objects that `as_json` makes, one a line."""

    def __init__(self, out: TextIO, weights: Weights) -> None:
        """weights: those of the second pass, for the totals."""
        self._out, self._weights = out, weights
        self._before = "[\n"

    def write(self, file: str, result: Transcript | AudioError) -> None:
        print(self._before + json.dumps(as_json(file, result, self._weights)), end="", file=self._out, flush=True)
        self._before = ",\n"

    def close(self) -> None:
        """End the array; what was interrupted is valid JSON too."""
        print("\n]" if self._before == ",\n" else "[]", file=self._out, flush=True)


def as_json(file: str, result: Transcript | AudioError, weights: Weights) -> dict[str, Any]:
    """The object of one file: seconds, natural logarithms; what failed has an `error` and no `text`.

    `nbest` ranks the readings of a recording of one segment. Of several segments each has its own `nbest`, and the
    recording's holds but their best, joined, its scores their sums.
    """
    if isinstance(result, AudioError):
        empty: dict[str, Any] = {"segments": [], "words": [], "nbest": [], "error": str(result)}
        return {"file": file, "duration": None, "text": None} | empty
    segments: list[dict[str, Any]] = [
        {"start": segment.start, "end": segment.end, "text": segment.text} for segment in result.segments
    ]
    nbests = [[_scores(hypothesis, weights) for hypothesis in segment.nbest] for segment in result.segments]
    if len(nbests) > 1:
        for item, nbest in zip(segments, nbests, strict=True):
            item["nbest"] = nbest
        best = {name: round(sum(nbest[0][name] for nbest in nbests), 4) for name in SCORES}
        nbests = [[{"text": result.text} | best]]
    return {
        "file": file,
        "duration": round(result.duration, 3),
        "text": result.text,
        "segments": segments,
        "words": [vars(word) for segment in result.segments for word in segment.words],
        "nbest": nbests[0] if nbests else [],
        "error": None,
    }


SCORES = ("acoustic", "ngram", "lstm", "total")


def _scores(hypothesis: Hypothesis, weights: Weights) -> dict[str, Any]:
    scores = (hypothesis.acoustic, hypothesis.ngram, hypothesis.lstm or 0.0, hypothesis.total(weights))
    return {"text": hypothesis.text} | {name: round(score, 4) for name, score in zip(SCORES, scores, strict=True)}


class TableWriter:
    """For each segment the `top` readings with their scores taken apart.

    And, however low they rank, the one that the acoustic score alone prefers and the one of the first pass.
    """

    def __init__(self, out: TextIO, first_pass: Weights, weights: Weights, top: int) -> None:
        # A file has no width that readings would have to be broken to.
        self._console = Console(file=out, highlight=False, width=None if out.isatty() else 10_000)
        self._first_pass, self._weights, self._top = first_pass, weights, top

    def write(self, file: str, result: Transcript | AudioError) -> None:
        if isinstance(result, Transcript):
            self._console.print(Text(f"{file}: {result.text}", style="bold"), soft_wrap=True)
            for segment in result.segments:
                self._console.print(self._table(segment))

    def close(self) -> None:
        pass

    def _table(self, segment: Segment) -> Table:
        weights = self._weights
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
        first = max(segment.nbest, key=lambda hypothesis: hypothesis.total(self._first_pass))
        for rank, hypothesis in enumerate(segment.nbest, 1):
            judges = [
                judge for judge, choice in (("acoustics", acoustics), ("first pass", first)) if choice is hypothesis
            ]
            if rank <= self._top or judges:
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
