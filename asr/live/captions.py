"""What is written of a stream's events: on a terminal, as lines, as JSON, and in a folder."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
import soundfile

from asr.live.events import Event, Final, Partial
from asr.transcript.scored import word_as_json

DIM, USUAL, CLEAR = "\x1b[2m", "\x1b[0m", "\r\x1b[K"
MORE = "... "  # stands for the beginning of what is longer than a line


class Captions(Protocol):
    """Takes events as they come."""

    def write(self, event: Event) -> None: ...


class Lines:
    """A line a Final, if it has words."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, event: Event) -> None:
        if isinstance(event, Final) and event.segment.words:
            self._out.write(event.text + "\n")
            self._out.flush()


class Json:
    """An object a line of every event; seconds from the stream's beginning."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, event: Event) -> None:
        self._out.write(json.dumps(as_json(event)) + "\n")
        self._out.flush()


class Terminal:
    """Finals stay; below them is what is being said, in a line, faint where it may still change."""

    def __init__(self, out: TextIO, columns: Callable[[], int]) -> None:
        self._out, self._columns = out, columns

    def write(self, event: Event) -> None:
        self._out.write(CLEAR)
        if isinstance(event, Partial):
            self._out.write(self._growing(event))
        elif event.segment.words:
            self._out.write(event.text + "\n")
        self._out.flush()

    def _growing(self, partial: Partial) -> str:
        """As many of the last words as a line has room for, one sign less, or terminals would begin another."""
        text, stable = partial.text, len(Partial(partial.words[: partial.stable], partial.stable).text)
        if (cut := len(text) - (self._columns() - 1)) > 0:
            cut += len(MORE)
            text, stable = MORE + text[cut:], max(len(MORE), stable + len(MORE) - cut)
        return f"{text[:stable]}{DIM}{text[stable:]}{USUAL}"


class Kept:
    """A folder in which a stream's sound and what was written of it stay, by the time at which it began."""

    def __init__(self, folder: Path, rate: int | None, kind: Callable[[TextIO], Captions], suffix: str) -> None:
        """rate: of the sound; None: it isn't kept. kind: how events are written.

        Makes the folder; raises OSError if that is not possible.
        """
        folder.mkdir(parents=True, exist_ok=True)
        name = time.strftime("%Y-%m-%d_%H-%M-%S")
        self._text = (folder / f"{name}{suffix}").open("x", encoding="utf-8")
        self._sound = rate and soundfile.SoundFile(folder / f"{name}.wav", "x", rate, 1, "PCM_16")
        self._captions = kind(self._text)

    def hear(self, samples: np.ndarray) -> None:
        """Samples [n], -1..1."""
        if self._sound:
            self._sound.write(samples)

    def write(self, event: Event) -> None:
        self._captions.write(event)

    def close(self) -> None:
        if self._sound:
            self._sound.close()
        self._text.close()


def as_json(event: Event) -> dict[str, Any]:
    """The object of an event."""
    said = [word_as_json(word) for word in (event.words if isinstance(event, Partial) else event.segment.words)]
    if isinstance(event, Partial):
        return {"type": "partial", "text": event.text, "stable": event.stable, "words": said}
    segment = event.segment
    return {"type": "final", "start": segment.start, "end": segment.end, "text": event.text, "words": said}
