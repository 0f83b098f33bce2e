"""Where transcripts go: standard output, or files in a folder."""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from asr.transcript import scored
from asr.transcription.inputs import Recording


@dataclass(frozen=True)
class Outcome:
    """What became of a recording: its transcript by format, with warnings of a line each, or a problem of one line.

    A recording of which anything could be read hasn't failed, whatever the warnings tell of the rest.
    """

    texts: dict[str, str]
    problem: str = ""
    warnings: tuple[str, ...] = ()


def as_text(path: Path) -> str:
    """A path as it stands in JSON; a name need not be UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def printable(path: Path) -> str:
    """A path as one line of text; a name may hold line breaks, and what controls terminals."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in as_text(path))


def tell(recording: Recording, problem: str, kind: str = "error") -> None:
    """A line on standard error about a recording: that it failed, or a warning."""
    print(f"{kind}: {printable(recording.path)}: {problem}", file=sys.stderr, flush=True)


def warn(recording: Recording, outcome: Outcome) -> None:
    """The lines on standard error about what is missing in a transcript."""
    for warning in outcome.warnings:
        tell(recording, warning, "warning")


class Output(Protocol):
    """Takes what becomes of recordings in whatever order they are done."""

    def write(self, index: int, recording: Recording, outcome: Outcome) -> bool:
        """Take what became of the recording of that index. False if it failed, or can't be written."""

    def close(self) -> None:
        """Write what is still kept, and what ends the output, also of work that was interrupted."""


class Printed:
    """Standard output in one format, in the order of the inputs. Errors have their place in it, too."""

    def __init__(self, out: TextIO, form: str, several: bool) -> None:
        """several: each line of txt begins with "FILE: "."""
        self._out, self._form, self._named = out, form, several and form == "txt"
        self._kept: dict[int, tuple[Recording, Outcome]] = {}
        self._next = 0
        self._before = "[\n"

    def write(self, index: int, recording: Recording, outcome: Outcome) -> bool:
        self._kept[index] = recording, outcome
        while self._next in self._kept:
            self._print(*self._kept.pop(self._next))
            self._next += 1
        return not outcome.problem

    def close(self) -> None:
        for index in sorted(self._kept):
            self._print(*self._kept[index])
        if self._form == "json":
            self._put("\n]\n" if self._before == ",\n" else "[]\n")

    def _print(self, recording: Recording, outcome: Outcome) -> None:
        if outcome.problem:
            tell(recording, outcome.problem)
        warn(recording, outcome)
        text = outcome.texts.get(self._form, "")
        if self._form == "json":
            if outcome.problem:
                text = json.dumps(scored.failure_as_json(as_text(recording.path), outcome.problem))
            text = self._before + text.rstrip("\n")
            self._before = ",\n"
        elif self._named:
            name = printable(recording.path)
            text = "".join(f"{name}: {line}" for line in text.splitlines(keepends=True))
        self._put(text)

    def _put(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


class Folder:
    """A file for each recording and format, there whole or not at all."""

    def __init__(self, folder: Path, formats: Sequence[str], overwrite: bool) -> None:
        """Makes the folder. Raises OSError if that is not possible."""
        self._folder, self._formats, self._overwrite = folder, formats, overwrite
        folder.mkdir(parents=True, exist_ok=True)

    def lacks(self, recording: Recording) -> bool:
        """Whether anything is to be written of a recording."""
        return self._overwrite or not all(self._path(recording, form).exists() for form in self._formats)

    def write(self, index: int, recording: Recording, outcome: Outcome) -> bool:
        if outcome.problem:
            tell(recording, outcome.problem)
            return False
        warn(recording, outcome)
        try:
            for form, text in outcome.texts.items():
                path = self._path(recording, form)
                if self._overwrite or not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_whole(path, text)
        except OSError as error:
            tell(recording, f"its transcript can't be written ({error.strerror}): make room in {self._folder}")
            return False
        return True

    def close(self) -> None:
        pass

    def _path(self, recording: Recording, form: str) -> Path:
        return self._folder / f"{recording.output}.{form}"


def write_whole(path: Path, text: str) -> None:
    """Write a text file that nobody sees half written, whatever happens meanwhile."""
    with tempfile.TemporaryDirectory(prefix=".asr-", dir=path.parent, ignore_cleanup_errors=True) as folder:
        part = Path(folder, "part")
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # or a machine that loses power may keep the name, but an empty file
        part.replace(path)
