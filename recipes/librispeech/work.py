"""Commands that are skipped while they are current, and may be killed at any moment.

A command is current if it has ended well, as the same command with the same settings; what it made is there; and
nothing that it reads was made anew since. That is recorded in exp/.recipe, a file a command, written when the command
has ended: what a kill left half-done never passes for done.
"""

import fcntl
import hashlib
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from asr.workers import die_with_parent
from lm.files import read_toml

EXP = Path("exp")  # where the settings files, too, have their manifests and texts
RECORDS = EXP / ".recipe"
RECORD_SECONDS = 10.0  # how often it is recorded how long a command has worked


@dataclass(frozen=True)
class Command:
    """One command of a stage."""

    stage: IntEnum
    arguments: list[str]
    made: list[Path]  # files and folders
    output: Path | None  # the one of them that gets its standard output
    training: bool  # goes on from its checkpoints
    transient: bool  # what it made may be deleted when it has been read
    complaint: str | None  # all that comes of its failing

    def shown(self) -> str:
        """As one would type it."""
        return shlex.join(self.arguments) + (f" > {shlex.quote(str(self.output))}" if self.output else "")

    def settings(self) -> list[dict[str, Any]]:
        return [read_toml(Path(argument)) for argument in self.arguments if argument.endswith(".toml")]


def command(
    stage: IntEnum,
    *arguments: object,
    makes: Sequence[Path] = (),
    output: Path | None = None,
    training: bool = False,
    transient: bool = False,
    complaint: str | None = None,
) -> Command:
    made = [*([output] if output else []), *makes]
    return Command(stage, [str(part) for part in arguments], made, output, training, transient, complaint)


@dataclass
class Record:
    """What is kept of a command that was begun."""

    command: str
    settings: list[dict[str, Any]]
    started: float = field(default_factory=time.time)  # the first time, of a training that went on
    seconds: float = 0.0  # of work
    done: bool = False
    commit: str = ""
    machine: str = ""

    @staticmethod
    def path(item: Command) -> Path:
        name = str(item.made[0]) if item.made else item.shown()
        return RECORDS / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"

    @classmethod
    def read(cls, item: Command) -> "Record | None":
        path = cls.path(item)
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def write(self, item: Command) -> None:
        path = self.path(item)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(asdict(self)), encoding="utf-8")
        unfinished.rename(path)


class Work:
    """The commands of a recipe, which of them are current, and how they are run."""

    def __init__(self, commands: Sequence[Command], launcher: Sequence[str] = (), dry: bool = False) -> None:
        """launcher: runs the modules that train. dry: commands are only printed."""
        self.commands, self._launcher, self._dry = commands, launcher, dry
        self._printed: list[Command] = []

    def do(self, item: Command) -> bool:
        """Run a command unless it is current; whether it wasn't. Raises ValueError if it fails."""
        if self._is_current(item):
            return False
        launched = item
        if item.training and self._launcher:
            program, *rest = item.arguments
            launched = replace(item, arguments=[*self._launcher, "-m", f"{program}.cli", *rest])
        if self._dry:
            print(launched.shown())
            self._printed.append(item)
            return True
        print(f"+ {launched.shown()}", file=sys.stderr, flush=True)
        record = Record.read(item)
        if not (item.training and record and not record.done and self._still_holds(item, record)):
            record = Record(item.shown(), item.settings(), commit=commit(), machine=machine())
            if item.training:
                set_aside(item.made[0])
        record.done = False
        code = execute(launched, record)
        if code and not item.complaint:
            raise ValueError(f"stage {item.stage} ({item.stage.name}) ended with exit code {code}: {launched.shown()}")
        if code:
            print(item.complaint, file=sys.stderr)
            if item.output:
                item.output.write_text(f"{item.complaint}\n")
        record.done = True
        record.write(item)
        return True

    def _is_current(self, item: Command) -> bool:
        record = Record.read(item)
        if not record or not record.done or not self._still_holds(item, record):
            return False
        readers = (other for other in self.commands if item in self._sources(other))
        return all(path.exists() for path in item.made) or (item.transient and all(map(self._is_current, readers)))

    def _still_holds(self, item: Command, record: Record) -> bool:
        """Whether a command is the one that was recorded, and nothing it reads was made anew since."""
        if record.command != item.shown() or record.settings != item.settings():
            return False
        sources = self._sources(item)
        made = [source for other in sources if (source := Record.read(other))]
        return not any(other in self._printed for other in sources) and all(
            source.started <= record.started for source in made
        )

    def _sources(self, item: Command) -> list[Command]:
        """Those that make what a command, or its settings file, names: of each name the latest before it."""
        names = [*item.arguments, *texts(item.settings())]
        before = self.commands[: self.commands.index(item)]
        found = (next((other for other in reversed(before) if makes(other, name)), None) for name in names)
        return [other for other in found if other]


def makes(item: Command, name: str) -> bool:
    """Whether a command makes a file or folder, or the folder that it is in."""
    return any(path in (Path(name), *Path(name).parents) for path in item.made)


def texts(settings: Any) -> Iterator[str]:
    """All strings in a TOML file."""
    if isinstance(settings, str):
        yield settings
    elif isinstance(settings, dict | list):
        for value in settings.values() if isinstance(settings, dict) else settings:
            yield from texts(value)


def set_aside(folder: Path) -> None:
    """Rename the folder of a training of other settings or data, which can't go on there, but may have cost days."""
    if folder.exists():
        other = next(path for number in count(1) if not (path := folder.with_name(f"{folder.name}.{number}")).exists())
        folder.rename(other)
        print(f"{folder}: of other settings or data; now {other}", file=sys.stderr)


def execute(item: Command, record: Record) -> int:
    """Run a command, standard output into its file or to standard error; its exit code. Keeps the record up to date."""
    seconds, started = record.seconds, time.monotonic()
    record.write(item)
    for path in item.made:
        path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = item.output and item.output.with_name(item.output.name + ".part")
    with unfinished.open("wb") if unfinished else nullcontext(sys.stderr) as output:
        try:
            # Or a training would go on beside the one that is restarted.
            process = subprocess.Popen(item.arguments, stdout=output, env=environment(), preexec_fn=die_with_parent)
        except FileNotFoundError:
            raise FileNotFoundError(f"{item.arguments[0]}: no such command; source .venv/bin/activate first") from None
        while process.poll() is None:
            try:
                process.wait(RECORD_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            except KeyboardInterrupt:  # which the command has been sent, too
                process.wait()
                raise
            record.seconds = seconds + time.monotonic() - started
            record.write(item)
    if unfinished and item.output and not process.returncode:
        unfinished.rename(item.output)
    return process.returncode


def environment() -> dict[str, str]:
    """With a mark, for `kill_leftovers`."""
    return {**os.environ, "NICEBEACH_RECIPE": str(EXP.resolve())}


def kill_leftovers() -> None:
    """Kill what the commands of a recipe that was killed had started here: torchrun's processes, those of a pool."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # another user's, or gone
            if f"NICEBEACH_RECIPE={EXP.resolve()}".encode() in path.read_bytes().split(b"\0"):
                os.kill(int(path.parent.name), signal.SIGKILL)


@cache
def commit() -> str:
    """Of this repository; with a + if files differ from it."""
    git = [
        "git",
        "-C",
        str(Path(__file__).resolve().parent),
        "describe",
        "--always",
        "--exclude=*",
        "--abbrev=10",
        "--dirty=+",
    ]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@cache
def machine() -> str:
    """Processor and GPUs."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    parts = [f"{os.cpu_count()} x {names[0] if names else platform.machine()}"]
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        gpus = Counter(subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines())
        parts += [f"{number} x {name}" for name, number in gpus.items()]
    except (OSError, subprocess.CalledProcessError):
        pass
    return ", ".join(parts)


@contextmanager
def alone() -> Iterator[None]:
    """Raises ValueError if the recipe is being run in this folder already."""
    RECORDS.mkdir(parents=True, exist_ok=True)
    with (RECORDS / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{EXP}: the recipe is at work there already; wait, or use another folder") from None
        kill_leftovers()
        yield
