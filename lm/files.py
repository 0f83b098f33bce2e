"""Text files, compressed or not, and settings files."""

import gzip
import lzma
import tomllib
from pathlib import Path
from typing import Any, TextIO


def open_text(path: Path, mode: str = "rt") -> TextIO:
    """A text file, compressed if its name ends in .gz or .xz, as UTF-8."""
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    return opener(path, mode, encoding="utf-8")  # type: ignore[operator, no-any-return]


def read_toml(path: Path) -> dict[str, Any]:
    """A settings file; one that says base = "other.toml" replaces settings of that file, which lies beside it.

    Raises FileNotFoundError if there is none, ValueError if it isn't TOML.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such settings file; see recipes/librispeech") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: not a TOML file: {error}") from None
    base = settings.pop("base", None)
    if base is None:
        return settings
    if not isinstance(base, str):
        raise ValueError(f"{path}: base = {base}: want the name of a settings file beside it, in quotes")
    try:
        return {**read_toml(path.parent / base), **settings}
    except RecursionError:
        raise ValueError(f"{path}: base = {base!r} leads back to this file") from None
