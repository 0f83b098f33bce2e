"""Text files, compressed or not."""

import gzip
import lzma
from pathlib import Path
from typing import TextIO


def open_text(path: Path, mode: str = "rt") -> TextIO:
    """A text file, compressed if its name ends in .gz or .xz, as UTF-8."""
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    return opener(path, mode, encoding="utf-8")  # type: ignore[operator, no-any-return]
