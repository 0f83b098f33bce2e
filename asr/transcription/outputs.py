"""Where transcripts go: standard output, or files in a folder."""

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

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
    partial: bool = False  # are the texts of its beginning alone, as the work was interrupted?


def as_text(path: Path | str) -> str:
    """A path as it stands in JSON; a name need not be UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def printable(path: Path | str) -> str:
    """A path as one line of text; a name may hold line breaks, and what controls terminals."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in as_text(path))


def tell(recording: Path | str, problem: str, kind: str = "error") -> None:
    """A line on standard error about a recording: that it failed, or a warning."""
    print(f"{kind}: {printable(recording)}: {problem}", file=sys.stderr, flush=True)


def warn(recording: Recording, outcome: Outcome) -> None:
    """The lines on standard error about what is missing in a transcript."""
    for warning in outcome.warnings:
        tell(recording.path, warning, "warning")


class Output(Protocol):
    """Takes what becomes of recordings in whatever order they are done."""

    def add(self, text: str) -> None:
        """Take a piece of the text of the only recording, before its outcome."""

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

    def add(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()

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
            self.add("\n]\n" if self._before == ",\n" else "[]\n")

    def _print(self, recording: Recording, outcome: Outcome) -> None:
        if outcome.problem:
            tell(recording.path, outcome.problem)
        warn(recording, outcome)
        text = outcome.texts.get(self._form, "")
        if self._form == "json":
            if outcome.problem:
                text = json.dumps(scored.failure_as_json(as_text(recording.path), outcome.problem))
            text = self._before + text.rstrip("\n")
            self._before = ",\n"
        elif self._named:
            name = printable(recording.path)
            lines = text.splitlines(keepends=True)
            text = "".join(f"{name}: {line}" if line != "\n" or len(lines) == 1 else line for line in lines)
        self.add(text)


PARTIAL = ".partial"  # ends the names of transcripts of a beginning alone
PART = ".asr-"  # begins the names of what is half written
RECORD = ".asr-transcribed.jsonl"  # in an output folder: of what each transcript was made


def _read_record(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each output was made of; of what was made again the last. What is no whole line is passed over."""
    lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
    for line in lines:
        try:
            made = json.loads(line)
            known = made["output"], {name: made[name] for name in ("source", "size", "time", "options")}
            whole = all(isinstance(made[name], str) for name in ("output", "source")) and isinstance(
                made["options"], dict
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if whole:
            yield known


class Folder:
    """A file for each recording and format, there whole or not at all."""

    def __init__(
        self, folder: Path, formats: Sequence[str], overwrite: bool, options: Mapping[str, Any] | None = None
    ) -> None:
        """Makes the folder. Raises OSError if that is not possible.

        options: what the text depends on besides the recording; as JSON has it. With the source, its size and its time
        they are kept in RECORD, a line a recording, so that only what was made of the same is taken for done.
        """
        self._folder, self._formats, self._overwrite = folder, formats, overwrite
        self._options = json.loads(json.dumps(options or {}))
        folder.mkdir(parents=True, exist_ok=True)
        clear_parts(folder)
        self._made = dict(_read_record(folder / RECORD))

    def lacks(self, recording: Recording) -> bool:
        """Whether anything is to be written of a recording."""
        return self._overwrite or not all(self._path(recording, form).exists() for form in self._formats)

    def differs(self, recording: Recording) -> str:
        """Why what is there of this name isn't what would be written; empty if it is, or nobody knows."""
        made = self._made.get(recording.output)
        if self._overwrite or not made or not any(self._path(recording, form).exists() for form in self._formats):
            return ""
        now = self._origin(recording)
        if made["source"] != now["source"]:
            problem = f"is of {printable(Path(made['source']))}"
        elif (made["size"], made["time"]) != (now["size"], now["time"]):
            problem = "is of this file before it changed"
        elif made["options"] != now["options"]:
            names = made["options"].keys() | now["options"].keys()
            changed = sorted(name for name in names if made["options"].get(name) != now["options"].get(name))
            problem = f"was made with other options ({', '.join(changed)})"
        else:
            return ""
        there = self._path(recording, self._formats[0])
        return f"not transcribed, for {printable(there)} {problem}: give --overwrite, or another --output-dir"

    def _origin(self, recording: Recording) -> dict[str, Any]:
        path = recording.path
        status = path.stat() if path.is_file() else None
        return {
            "source": as_text(path.resolve()) if status else str(path),
            "size": status and status.st_size,
            "time": status and status.st_mtime_ns,
            "options": self._options,
        }

    def write(self, index: int, recording: Recording, outcome: Outcome) -> bool:
        if outcome.problem:
            tell(recording.path, outcome.problem)
            return False
        warn(recording, outcome)
        partials = []
        try:
            for form, text in outcome.texts.items():
                path = self._path(recording, form)
                partial = path.with_name(path.name + PARTIAL)
                if outcome.partial or self._overwrite or not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_whole(partial if outcome.partial else path, text)
                if outcome.partial:
                    partials.append(printable(partial))
                else:
                    partial.unlink(missing_ok=True)
            if partials:
                tell(recording.path, f"what was done of it is in {', '.join(partials)}", "warning")
                return True
            with (self._folder / RECORD).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"output": recording.output, **self._origin(recording)}) + "\n")
        except OSError as error:
            tell(recording.path, f"its transcript can't be written ({error.strerror}): make room in {self._folder}")
            return False
        return True

    def add(self, text: str) -> None:
        pass  # files are written whole

    def close(self) -> None:
        pass

    def _path(self, recording: Recording, form: str) -> Path:
        return self._folder / f"{recording.output}.{form}"


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, that nobody sees half written, whatever happens meanwhile."""
    part = path.with_name(f"{PART}{socket.gethostname()}-{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())  # or a machine that loses power may keep the name, but an empty file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def clear_parts(folder: Path) -> None:
    """Delete what processes of this machine have left half written that were killed."""
    mine = f"{PART}{socket.gethostname()}-"
    for part in folder.rglob(f"{mine}*"):
        if (number := part.name.removeprefix(mine)).isdigit() and not _runs(int(number)):
            part.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True
