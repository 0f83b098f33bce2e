"""What the command line names, to recordings: files, folders, globs, lists, standard input."""

import codecs
import glob
import os
import signal
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from asr.audio.errors import AudioError
from lm.files import encoding_of

SUFFIXES = frozenset(
    ".wav .flac .ogg .oga .opus .mp3 .mp2 .mpga .aif .aiff .aifc .au .snd .caf .w64 .rf64 .voc .sph "
    # With the extra codecs:
    ".m4a .m4b .m4v .mp4 .aac .webm .weba .mkv .mka .mov .qt .wma .wmv .asf .avi .flv .f4v .amr .3gp .3g2 .mpg .mpeg "
    ".vob .ts .mts .m2ts .ogv .spx .ac3 .eac3 .dts .ape .wv .tta .tak .mpc .dsf .mxf .gsm".split()
)  # of what is taken for a recording in a folder
STDIN = Path("-")
WRITER_SECONDS = 5  # within which somebody must open a named pipe to write


@dataclass(frozen=True)
class Recording:
    """An input."""

    path: Path  # - is standard input
    output: str = ""  # a path without suffix, for what is written of it; no other recording has the same
    problem: str = ""  # known without opening it, such as that a folder is empty


def expand(arguments: Iterable[str]) -> list[Recording]:
    """The recordings that arguments name, each once, in their order; of a folder those below it, by name.

    An argument is a file; a folder; a glob, where ** stands for any folders; @FILE, a list of such, one a line; or -.
    What leads to no recording becomes one with a `problem`.
    """
    found: dict[str, tuple[Path, Path, str]] = {}
    for path, base, problem in _found(arguments):
        # Links to files are files of their own, but a folder is the same however one gets there.
        place = "-" if path == STDIN else os.path.join(os.path.realpath(path.parent), path.name)
        found.setdefault(place, (path, base, problem))
    names = _outputs([(path, base) for path, base, _ in found.values()])
    return [Recording(path, name, problem) for (path, _, problem), name in zip(found.values(), names, strict=True)]


def _found(arguments: Iterable[str]) -> Iterator[tuple[Path, Path, str]]:
    """Path, the folder that its output's name starts from, problem."""
    for argument in arguments:
        path = Path(argument)
        if path == STDIN and argument != "-":  # "./-", a file of that name
            path = path.absolute()
        if not argument:  # which Path takes for the current folder
            yield Path("''"), Path(), "no such file: check its name"
            continue
        if argument.startswith("@"):
            try:
                text = Path(argument[1:]).read_bytes()
                if encoding_of(text) == "utf-16":
                    text = os.fsencode(text.decode("utf-16", "replace"))
                lines = text.removeprefix(codecs.BOM_UTF8).splitlines()
            except OSError as error:
                yield path, path.parent, f"the list can't be read ({error.strerror}): check its name"
                continue
            yield from _found(name for line in lines if (name := os.fsdecode(line.strip())) and name[0] != "@")
        elif os.path.isdir(path):
            below = list(_below(path))
            yield from ((file, path, problem) for file, problem in below)
            if not below:
                yield path, path.parent, "holds no recordings: name a folder with wav, flac, ogg, opus, mp3, m4a, ..."
        elif glob.has_magic(argument) and not os.path.lexists(path):  # a name may hold [, too
            matches = sorted(glob.glob(argument, recursive=True), key=lambda match: (match.count(os.sep), match))
            if not matches:
                yield path, path.parent, "matches no file: check the pattern"
            fixed = Path(*path.parts[: next(n for n, part in enumerate(path.parts) if glob.has_magic(part))])
            for match in map(Path, matches):
                if not match.is_dir():
                    yield match, fixed, ""
                elif "**" not in argument:  # which matches the files in it, too
                    yield from ((file, fixed, problem) for file, problem in _below(match))
        else:
            yield path, path.parent, ""


def _below(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files below a folder that by their suffix are recordings, and why one can't be read; hidden ones are left out."""
    unreadable: list[tuple[Path, str]] = []

    def told(error: OSError) -> None:
        unreadable.append((Path(error.filename), f"can't be read ({error.strerror}): check its permissions"))

    seen = set()
    for parent, folders, files in os.walk(folder, onerror=told, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(parent, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                # Only who names a pipe means it.
                special = path.exists() and not path.is_file()
                yield path, "is a pipe or device, no file: name it by itself, or move it away" if special else ""
    yield from unreadable


def _outputs(files: list[tuple[Path, Path]]) -> list[str]:
    """A name for each (path, base): its path below the base without suffix; with it, or with more folders, if it must.

    So talk.wav and talk.mp3 become talk.wav and talk.mp3, and talk.wav alone becomes talk.
    """
    absolute = [Path(os.path.abspath(path)) for path, _ in files]
    common = os.path.commonpath([path.parent for path in absolute]) if files else ""
    candidates = []
    for (path, base), whole in zip(files, absolute, strict=True):
        if path == STDIN:
            candidates.append(["stdin"] * 3)
        else:
            relative = path.relative_to(base)
            candidates.append([str(relative.parent / relative.stem), str(relative), str(whole.relative_to(common))])
    levels = [0] * len(files)
    while True:
        names = [names[level] for names, level in zip(candidates, levels, strict=True)]
        shared = {name for name, count in Counter(names).items() if count > 1}
        clashing = [index for index, name in enumerate(names) if name in shared and levels[index] < 2]
        if not clashing:
            return names
        for index in clashing:
            levels[index] += 1


@contextmanager
def opened(path: Path) -> Iterator[Path | BinaryIO]:
    """What asr.audio.reading reads for a path: standard input or a pipe as a stream, anything else as the path itself.

    Raises AudioError for what could be read for ever: devices, and pipes that nobody writes to.
    """
    if path == STDIN:
        try:
            os.fstat(0)
        except OSError as error:
            raise AudioError(f"standard input can't be read ({error.strerror}): pipe a recording into it") from None
        with open(0, "rb", closefd=False) as stream:
            yield stream
        return
    try:
        status = path.stat()
    except ValueError:  # a NUL in it
        raise AudioError("no such file: check its name") from None
    except OSError:  # which asr.audio.reading explains
        yield path
        return
    if stat.S_ISFIFO(status.st_mode):
        with _pipe(path) as stream:
            yield stream
    elif stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        if stat.S_ISREG(status.st_mode) and not status.st_size:  # as those in /proc, some of which never end
            raise AudioError("empty (0 bytes): record or copy it again")
        yield path
    else:
        raise AudioError("is a device or socket, no file: name a recording, or pipe the sound into asr transcribe -")


def _pipe(path: Path) -> BinaryIO:
    """A named pipe, or a process substitution of the shell, opened for reading; which waits for a writer."""

    def late(*_: object) -> None:
        raise AudioError(f"a pipe that nobody opened to write for {WRITER_SECONDS} seconds: start its writer first")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(WRITER_SECONDS)
    try:
        return path.open("rb")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
