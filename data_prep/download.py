"""Corpora from the net: which archives they are made of, and how each arrives whole.

``corpora/*.toml`` says what there is. A file grows under the name ``<file>.part`` and gets its own name once its size
and checksum are right, so that a file of that name and size is never looked at again.
"""

import hashlib
import os
import re
import shutil
import sys
import time
import tomllib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from urllib3.exceptions import HTTPError, IncompleteRead, MaxRetryError

CORPORA = Path(__file__).parent / "corpora"

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # seconds between tries that bring nothing

CHUNK = 1 << 16  # bytes


@dataclass(frozen=True)
class Archive:
    """A file that can be downloaded; its address is ``path`` below that of a mirror."""

    path: str
    size: int  # bytes
    checksum: str | None = None  # algorithm of hashlib, colon, hexadecimal digits; None: none is published

    @property
    def file(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Corpus:
    """Where a corpus is, and what it is made of, by name."""

    mirrors: Sequence[str]
    archives: Mapping[str, Archive]

    def choose(self, only: Sequence[str] = ()) -> dict[str, Archive]:
        """The archives of these names, or all. Raises ValueError on an unknown name."""
        for name in only:
            if name not in self.archives:
                raise ValueError(f"{name}: no such archive, there are {', '.join(self.archives)}")
        return {name: archive for name, archive in self.archives.items() if not only or name in only}


class _Unusable(Exception):
    """What a mirror answers is not the file, and won't be if it is asked again."""


def read_corpus(name: str) -> Corpus:
    """One of the corpora known here, by name, or another that a .toml file of the same form describes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such corpus, or the file is not of that form.
    """
    path = Path(name) if name.endswith(".toml") else CORPORA / f"{name}.toml"
    if not name.endswith(".toml") and not path.exists():
        known = ", ".join(sorted(file.stem for file in CORPORA.glob("*.toml")))
        raise ValueError(f"{name}: no such corpus, there are {known}; or name a .toml file of the same form")
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        archives = {key: Archive(**value) for key, value in table["archives"].items()}
        return Corpus(table["mirrors"], archives)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        example = CORPORA / "librispeech.toml"
        raise ValueError(f"{path}: not a description of a corpus ({error}), {example} is one") from error


def download(
    archives: Mapping[str, Archive], folder: Path, mirrors: Sequence[str], pauses: Sequence[float] = PAUSES
) -> list[Path]:
    """Fetches what isn't in the folder yet, and returns that.

    What an earlier run, or a connection that was cut, left unfinished goes on where it stopped. Mirrors are base
    addresses, tried in order; each failure makes the next one's turn. Says on stderr what it does.

    Raises:
        ValueError: a mirror is no address.
        OSError: too little space, no mirror has a file or answers, or what they send is wrong twice.
    """
    for mirror in mirrors:
        if not mirror.startswith(("https://", "http://")):
            raise ValueError(f"{mirror}: a mirror begins with https:// or http://")
    missing = [archive for archive in archives.values() if _size(folder / archive.file) != archive.size]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        check_space(folder, sum(max(0, archive.size - _size(_part(archive, folder))) for archive in missing))
    with byte_progress() as progress:
        for archive in missing:
            _fetch(archive, folder, mirrors, pauses, progress)
    return [folder / archive.file for archive in missing]


def _fetch(archive: Archive, folder: Path, mirrors: Sequence[str], pauses: Sequence[float], progress: Progress) -> None:
    target, part = folder / archive.file, _part(archive, folder)
    remaining = deque(f"{mirror.rstrip('/')}/{archive.path}" for mirror in mirrors)
    for is_last_try in (False, True):
        _complete(archive, part, remaining, pauses, progress)
        found = _checksum(part, archive, progress)
        if found == archive.checksum:
            os.replace(part, target)
            verified = archive.checksum or "no checksum is published, only the size is verified"
            print(f"{target}: {archive.size:,} bytes, {verified}", file=sys.stderr)
            return
        part.unlink()
        problem = f"{target}: damaged, its checksum is {found} and should be {archive.checksum}"
        if is_last_try:
            raise OSError(f"{problem}, as of the download before; try another mirror, or later")
        remaining.rotate(-1)
        print(f"{problem}; fetching it again from {remaining[0]}", file=sys.stderr)


def _complete(archive: Archive, part: Path, urls: deque[str], pauses: Sequence[float], progress: Progress) -> None:
    """Makes the part as long as the archive, from the first of the addresses that can; those without it are removed."""
    if _size(part) > archive.size:
        part.unlink()
    bar = progress.add_task(archive.file, total=archive.size, completed=_size(part))
    fruitless = 0
    problems = []
    while (have := _size(part)) < archive.size:
        url = urls[0]
        try:
            _receive(url, archive, part, progress, bar)
        except _Unusable as error:
            problems.append(str(error))
            urls.popleft()
            if not urls:
                raise OSError("; ".join(problems)) from error
        except HTTPError as error:
            problem = _reason(error)
            if _size(part) > have:  # worth going on with the same mirror
                fruitless = 0
            else:
                fruitless += 1
                urls.rotate(-1)
            rounds = fruitless // len(urls)  # each mirror has failed so often
            if rounds > len(pauses):
                raise OSError(f"{url}: {problem}; run it again, it goes on at {_size(part):,} bytes") from error
            print(f"{url}: {problem} at {_size(part):,} bytes; going on from {urls[0]}", file=sys.stderr)
            if fruitless % len(urls) == 0:
                time.sleep(pauses[max(0, rounds - 1)])
        except OSError as error:  # the disk's: urllib3 has errors of its own for the net's
            raise OSError(error.errno, error.strerror, str(part)) from error
    progress.remove_task(bar)


def _receive(url: str, archive: Archive, part: Path, progress: Progress, bar: TaskID) -> None:
    """Appends what is missing to the part, or writes it anew if the server can't begin in the middle.

    Raises:
        urllib3.exceptions.HTTPError: no connection, or it was cut; what had arrived is kept.
        _Unusable: this is not the file.
    """
    have = _size(part)
    answer = _pool(url).request(
        "GET",
        url,
        headers={"Range": f"bytes={have}-"} if have else {},
        preload_content=False,
        decode_content=False,
        timeout=urllib3.Timeout(connect=15, read=60),
        retries=urllib3.Retry(connect=0, read=0, other=0, redirect=5),
    )
    with answer:
        if answer.status == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
            if span is None or int(span[1]) != have:
                raise _Unusable(f"{url}: asked for bytes from {have:,} on, it sends others")
            length = span[2]
        elif answer.status == 200:  # all of it, whatever was asked for
            have = 0
            length = answer.headers.get("Content-Length", "*")
        elif answer.status == 429 or answer.status >= 500:
            raise HTTPError(f"status {answer.status}")
        else:
            raise _Unusable(f"{url}: status {answer.status}")
        if length not in ("*", str(archive.size)):
            raise _Unusable(f"{url}: has {int(length):,} bytes, not {archive.size:,}: another file")
        progress.update(bar, completed=have)
        with part.open("ab" if have else "wb", buffering=0) as file:
            while have < archive.size and (chunk := answer.read1(CHUNK)):
                have += file.write(chunk[: archive.size - have])
                progress.update(bar, completed=have)
    if have < archive.size:
        raise HTTPError("connection cut")


def _pool(url: str) -> urllib3.PoolManager:
    """Through the proxy that the environment names, if it does; urllib3 by itself takes no notice."""
    address = urlsplit(url)
    proxy = getproxies().get(address.scheme)
    if proxy and not proxy_bypass(address.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


def _reason(error: HTTPError) -> str:
    """In few words: urllib3's errors name the objects that raised them, and hold the error that it was."""
    cause = (error.reason if isinstance(error, MaxRetryError) else None) or error
    if cause.args and isinstance(cause.args[-1], Exception):
        cause = cause.args[-1]
    return "connection cut" if isinstance(cause, IncompleteRead) else str(cause).rpartition(": ")[2]


def _checksum(path: Path, archive: Archive, progress: Progress) -> str | None:
    """The file's checksum by the algorithm of the archive's; None if that has none."""
    if archive.checksum is None:
        return None
    algorithm = archive.checksum.partition(":")[0]
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open_with_bar(path, f"verifying {archive.file}", progress) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return f"{algorithm}:{digest.hexdigest()}"


def _part(archive: Archive, folder: Path) -> Path:
    return folder / f"{archive.file}.part"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def check_space(folder: Path, needed: int) -> None:
    """Raises OSError unless the disk of this folder has so many bytes left."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"{folder}: {needed / 1e9:.2f} GB needed, {free / 1e9:.2f} GB free; free some or use another disk"
        )


def byte_progress() -> Progress:
    """Bars of bytes with rate and time left, on stderr if that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def open_with_bar(path: Path, description: str, progress: Progress) -> Iterator[BinaryIO]:
    """A file to read bytes from, with a bar until it is closed."""
    bar = progress.add_task(description, total=path.stat().st_size)
    try:
        with progress.open(path, "rb", task_id=bar) as file:
            yield file
    finally:
        progress.remove_task(bar)
