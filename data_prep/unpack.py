"""Archives of corpora to folders: nothing leaves the folder, and what is there is whole.

An archive is read twice: first to see that it is sound, what it holds and how much space that needs.
"""

import bz2
import gzip
import json
import lzma
import os
import platform
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from rich.progress import Progress

from data_prep.download import byte_progress, check_space, download, open_with_bar, read_corpus

BLOCK = 4096  # bytes: what a file takes up on the disk is a multiple of it


def download_and_unpack(corpus: str, folder: Path, only: Sequence[str] = (), mirrors: Sequence[str] = ()) -> None:
    """Both for a corpus as `read_corpus` knows it, or these of its archives, from these mirrors instead of its own."""
    _check_python()
    described = read_corpus(corpus)
    archives = described.choose(only)
    download(archives, folder, mirrors or described.mirrors)
    for archive in archives.values():
        unpack(folder / archive.file, folder)


def unpack(archive: Path, folder: Path) -> int | None:
    """Unpacks a .tar, .tar.gz (.tgz), .tar.bz2 or .tar.xz, and returns how many files it held; None: that was done.

    All goes to a folder of its own beside, and is then renamed whole. Where a folder is there already (LibriSpeech's
    archives share ``LibriSpeech/``, with the same tables of speakers in each), that is done with what is in it.
    ``.<archive>.unpacked`` is written last and says that all was done.

    Raises:
        ValueError: it is damaged, or a member is a link, a device or outside the folder; nothing is unpacked then.
            Or Python is too old to unpack safely.
        OSError: the disk has too little space.
    """
    _check_python()
    note = folder / f".{archive.name}.unpacked"
    if _is_unpacked(note, archive, folder):
        return None
    files, size, tops = 0, 0, set()
    with byte_progress() as progress:
        with _members(archive, progress, "checking") as (_, members):
            for member in members:
                files += member.isfile()
                size += -(-member.size // BLOCK) * BLOCK
                tops.add("/".join(PurePosixPath(member.name).parts[:2]))
        if not files:
            raise ValueError(f"{archive}: holds no files")
        folder.mkdir(parents=True, exist_ok=True)
        check_space(folder, size)
        unfinished = folder / f".{archive.name}.part"
        shutil.rmtree(unfinished, ignore_errors=True)  # of a killed run
        try:
            with _members(archive, progress, "unpacking") as (tar, members):
                for member in members:
                    tar.extract(member, unfinished, filter="data")
            _move(unfinished, folder)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(error.filename or folder)) from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    written = note.with_name(f"{note.name}.part")
    written.write_text(json.dumps({"size": archive.stat().st_size, "holds": sorted(tops)}))
    os.replace(written, note)
    return files


def _check_python() -> None:
    """ValueError if tarfile has no filters; Debian's 3.11.2, for one, may have got them later."""
    if not hasattr(tarfile, "data_filter"):
        raise ValueError(f"Python {platform.python_version()} can't unpack archives safely: use 3.11.4 or newer")


def _is_unpacked(note: Path, archive: Path, folder: Path) -> bool:
    if not note.exists():
        return False
    noted = json.loads(note.read_text())
    return noted["size"] == archive.stat().st_size and all((folder / name).exists() for name in noted["holds"])


@contextmanager
def _members(
    archive: Path, progress: Progress, action: str
) -> Iterator[tuple[tarfile.TarFile, Iterator[tarfile.TarInfo]]]:
    """The members of an archive, one after another, each harmless, and the archive that they are extracted from."""
    try:
        with (
            open_with_bar(archive, f"{action} {archive.name}", progress) as raw,
            _decompressed(archive, raw) as data,
            tarfile.open(fileobj=data, mode="r|") as tar,
        ):
            yield tar, (_harmless(member, archive) for member in tar)
            while data.read(1 << 20):  # to the end, where gzip finds out whether something was cut off or changed
                pass
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's; gzip's and bz2's have no number
            raise
        raise ValueError(f"{archive}: damaged, or no archive ({error}); delete it and download it again") from error


def _decompressed(archive: Path, raw: BinaryIO) -> Any:
    match archive.suffix:
        case ".gz" | ".tgz":
            return gzip.open(raw)
        case ".bz2":
            return bz2.open(raw)
        case ".xz":
            return lzma.open(raw)
        case ".tar":
            return raw
    raise ValueError(f"{archive}: an archive's name ends in .tar, .tar.gz, .tgz, .tar.bz2 or .tar.xz")


def _harmless(member: tarfile.TarInfo, archive: Path) -> tarfile.TarInfo:
    """Raises ValueError on all but files and folders below the folder that is unpacked to."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        problem = "lies outside"
    elif member.issym() or member.islnk():
        problem = f"is a link (to {member.linkname})"
    elif not (member.isfile() or member.isdir()):
        problem = "is a device"
    else:
        return member
    raise ValueError(f"{archive}: refused, its member {member.name!r} {problem}; corpora hold files and folders only")


def _move(source: Path, target: Path) -> None:
    """Renames what is in one folder into another; a folder that is there too is gone into, files are replaced."""
    for path in sorted(source.iterdir(), key=lambda path: (path.is_dir(), path.name)):
        goal = target / path.name
        if path.is_dir() and goal.is_dir():
            _move(path, goal)
        else:
            os.replace(path, goal)
