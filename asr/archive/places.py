"""Where archives lie: recordings that are found and read, results that are written; wherever fsspec reaches."""

import gzip
import hashlib
import json
import os
import stat
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import fsspec

from asr.audio.errors import AudioError, unreadable
from asr.transcription import inputs
from asr.transcription.outputs import write_whole
from lm.files import open_text

MANIFESTS = (".jsonl", ".jsonl.gz")
STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"}  # where nobody sees an object that is half written
PIECE = 8 << 20  # bytes asked for at once: a connection that breaks costs no more
TRIES, FIRST_WAIT = 5, 0.5  # seconds, doubled each time

Value = TypeVar("Value")


@dataclass(frozen=True)
class Item:
    """A recording of an archive."""

    address: str  # of a local file its absolute path, else with the protocol
    size: int = 0  # bytes; 0 if nobody knows
    stamp: str = ""  # is another once the recording has changed; "" if nobody knows
    problem: str = ""  # known without opening it


def is_remote(address: str) -> bool:
    return "://" in address and not address.startswith("file://")


def find(source: str) -> list[Item]:
    """The recordings that a folder, file, glob, @list, lhotse manifest or address of fsspec's names, each once.

    Raises ValueError if there are none, or the place can't be read.
    """
    found = {item.address: item for item in _found(source.removeprefix("file://"))}
    items = list(found.values())
    if len(items) == 1 and (items[0].problem or not items[0].stamp) and not is_remote(items[0].address):
        raise ValueError(f"{source}: {items[0].problem or 'no such folder, file or list: check its name'}")
    if not items:
        raise ValueError(f"{source}: holds no recordings: name a folder with wav, flac, ogg, opus, mp3, m4a, ...")
    return items


def _found(source: str) -> Iterator[Item]:
    if source.startswith("@"):
        with _text(source[1:]) as lines:
            names = [line.strip() for line in lines]
        yield from _listed(name for name in names if name and not name.startswith("#"))
    elif source.endswith(MANIFESTS):
        yield from _listed(_named_in(source))
    elif is_remote(source):
        yield from _below(source)
    else:
        yield from _local([source])


def _listed(names: Iterable[str]) -> Iterator[Item]:
    """What lies elsewhere isn't asked for: that would be a request for each."""
    for name in names:
        yield from [Item(name)] if is_remote(name) else _local([name.removeprefix("file://")])


def _local(names: list[str]) -> Iterator[Item]:
    for recording in inputs.expand(names):
        path = Path(os.path.abspath(recording.path))
        try:
            status = path.stat()
            yield Item(str(path), status.st_size, f"{status.st_size} {status.st_mtime_ns}", recording.problem)
        except OSError:  # told when it is read
            yield Item(str(path), problem=recording.problem)


def _below(address: str) -> Iterator[Item]:
    """A file elsewhere, or those below a folder that by their suffix are recordings; hidden ones are left out."""
    files, path = opened_system(address)
    found = _patiently(lambda: files.find(path, detail=True), address)
    for name, info in found.items():
        parts = name.removeprefix(path).split("/")
        if name == path or (
            Path(name).suffix.lower() in inputs.SUFFIXES and not any(part.startswith(".") for part in parts)
        ):
            stamp = info.get("ETag") or info.get("mtime") or info.get("LastModified") or info.get("updated") or ""
            yield Item(files.unstrip_protocol(name), info.get("size") or 0, f"{info.get('size')} {stamp}")


def _named_in(manifest: str) -> Iterator[str]:
    """The sound files of a lhotse manifest of recordings or cuts, a line of JSON each."""
    with _text(manifest) as lines:
        for number, line in enumerate(lines, 1):
            try:
                item = json.loads(line)
                sources = item.get("recording", item)["sources"]
                yield from (source["source"] for source in sources if source["type"] in ("file", "url"))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise ValueError(f"{manifest}, line {number}: want a recording or cut, as lhotse writes them") from None


@contextmanager
def _text(address: str) -> Iterator[Iterable[str]]:
    """The lines of a text file that lies anywhere."""
    if not is_remote(address):
        with open_text(Path(address.removeprefix("file://"))) as file:
            yield file
        return
    data = get(address)
    try:
        text = (gzip.decompress(data) if address.endswith(".gz") else data).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"{address}: can't be read ({error}): copy it again") from None
    yield text.splitlines()


# --- Reading and writing ----------------------------------------------------------------------------------


def opened_system(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path there. Raises ValueError if its driver isn't installed."""
    try:
        return fsspec.core.url_to_fs(address)  # type: ignore[no-any-return]
    except (ImportError, ValueError) as error:
        raise ValueError(f"{address}: {' '.join(str(error).split())}") from None


def _patiently(act: Callable[[], Value], address: str) -> Value:
    """Do what a connection that breaks may spoil, again if it must be. Raises OSError if that doesn't help."""
    for tried in range(TRIES):
        try:
            return act()
        except (FileNotFoundError, PermissionError, IsADirectoryError):
            raise
        except Exception as error:  # each driver has its own kinds
            if tried == TRIES - 1:
                raise OSError(f"{address}: {' '.join(str(error).split()) or type(error).__name__}") from error
            time.sleep(FIRST_WAIT * 2**tried)
    raise AssertionError


@contextmanager
def opened(item: Item) -> Iterator[tuple[Path | BinaryIO, str]]:
    """What asr.audio.reading reads of a recording, and the SHA-256 of its bytes. Raises AudioError if it can't be."""
    if item.problem:
        raise AudioError(item.problem)
    if not is_remote(item.address):
        path = Path(item.address)
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise AudioError("is a folder, pipe or device, no file: name a recording")
        with inputs.opened(path) as source:
            try:
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise unreadable(error) from None
            yield source, content
        return
    try:
        files, place = opened_system(item.address)
    except ValueError as error:
        raise AudioError(str(error).removeprefix(f"{item.address}: ")) from None
    with tempfile.TemporaryFile() as file:
        digest = hashlib.sha256()
        try:
            for piece in _pieces(files, place, item.address):
                digest.update(piece)
                file.write(piece)
        except FileNotFoundError:
            raise AudioError("no such file: check its name") from None
        except OSError as error:
            raise AudioError(f"can't be read whole ({error}): try it again") from None
        if not file.tell():
            raise AudioError("empty (0 bytes): record or copy it again")
        file.seek(0)
        yield file, digest.hexdigest()


def _pieces(files: Any, path: str, address: str) -> Iterator[bytes]:
    """The bytes of a file; after a break from there on."""
    size: int = _patiently(lambda: files.info(path)["size"], address)
    place = 0

    def piece() -> bytes:
        data: bytes = files.cat_file(path, start=place, end=min(place + PIECE, size))
        if not data:
            raise OSError(f"it ends at byte {place} of {size}")
        return data

    while place < size:
        data = _patiently(piece, address)
        place += len(data)
        yield data


def names_below(address: str) -> list[str]:
    """The addresses of all files below a folder; none if there is no such folder."""
    files, path = opened_system(address)
    files.invalidate_cache()
    try:
        found: list[str] = _patiently(lambda: files.find(path), address)
    except FileNotFoundError:
        return []
    return [files.unstrip_protocol(name) if is_remote(address) else name for name in found]


def names_like(pattern: str) -> list[str]:
    """The addresses of the files that a glob matches."""
    files, path = opened_system(pattern)
    files.invalidate_cache()
    found: list[str] = _patiently(lambda: files.glob(path), pattern)
    return [files.unstrip_protocol(name) if is_remote(pattern) else name for name in found]


def get(address: str) -> bytes:
    """All of a small file."""
    files, path = opened_system(address)
    data: bytes = _patiently(lambda: files.cat_file(path), address)
    return data


def put(address: str, data: bytes) -> None:
    """Write a small file that nobody sees half written. Raises OSError."""
    if not is_remote(address):
        path = Path(address.removeprefix("file://"))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
        return
    files, path_there = opened_system(address)
    if address.partition("://")[0] in STORES:
        _patiently(lambda: files.pipe_file(path_there, data), address)
        return
    part = f"{path_there}.{time.time_ns()}.part"
    _patiently(lambda: files.makedirs(path_there.rpartition("/")[0], exist_ok=True), address)
    _patiently(lambda: files.pipe_file(part, data), address)
    _patiently(lambda: files.mv(part, path_there), address)


def remove(address: str) -> None:
    """Delete a file that may be gone."""
    files, path = opened_system(address)
    with suppress(FileNotFoundError):
        files.rm_file(path)
