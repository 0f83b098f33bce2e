"""Text files, compressed or not, and settings files."""

import codecs
import gzip
import lzma
import tomllib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO


@contextmanager
def open_text(path: Path, mode: str = "rt") -> Iterator[TextIO]:
    """A text file, compressed if its name ends in .gz or .xz, as UTF-8; read as UTF-16 where it begins as such.

    What is read of it within the context raises ValueError, with the file's name, where it is no such text.
    """
    opener: Any = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    encoding = "utf-8"
    try:
        if "r" in mode:
            with opener(path, "rb") as file:
                encoding = encoding_of(file.read(2))
        with opener(path, mode, encoding=encoding) as text:
            yield text
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text (at byte {error.start}), convert it with iconv") from None
    except (gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError) as error:
        raise ValueError(f"{path}: not a whole compressed file: {error}") from None


def encoding_of(beginning: bytes) -> str:
    """UTF-16 of a text that begins with its byte order mark, as of Windows, or else UTF-8, with a mark or not."""
    return "utf-16" if beginning[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def find_files(folder: Path, pattern: str = "*") -> Iterator[Path]:
    """The files and folders below a folder that match a pattern (** for any folders), without hidden ones.

    So without those of macOS, which puts a ._talk.flac that is no sound beside talk.flac.
    """
    for path in folder.glob(pattern):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def read_toml(path: Path) -> dict[str, Any]:
    """A settings file; one that says base = "other.toml" replaces settings of that file, which lies beside it.

    Raises FileNotFoundError if there is none, ValueError if it isn't TOML.
    """
    settings: dict[str, Any] = {}
    read: set[Path] = set()
    while True:
        read.add(path.resolve())
        settings = {**_toml(path), **settings}
        base = settings.pop("base", None)
        if base is None:
            return settings
        if not isinstance(base, str):
            raise ValueError(f"{path}: base = {base}: want the name of a settings file beside it, in quotes")
        if (path.parent / base).resolve() in read:
            raise ValueError(f"{path}: base = {base!r} leads back to this file")
        path = path.parent / base


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such settings file; see recipes/librispeech") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not a TOML file: {error}") from None
