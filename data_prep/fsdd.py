"""The Free Spoken Digit Dataset: ``recordings/<digit>_<speaker>_<number>.wav`` (or .flac), one English digit each.

Ours because lhotse has no recipe for it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from data_prep import MAX_SECONDS
from data_prep.manifest import Item, Prepared, audio_files, prepare

NAME = re.compile(r"([0-9])_(.+)_[0-9]+")
DIGITS = "zero one two three four five six seven eight nine".split()


def prepare_fsdd(corpus_dir: Path, max_seconds: float = MAX_SECONDS) -> Prepared:
    """Takes the folder that holds ``recordings/``."""
    return prepare(_items(corpus_dir), max_seconds)


def _items(folder: Path) -> Iterator[Item]:
    for name, audio in audio_files(folder / "recordings").items():
        match = NAME.fullmatch(name)
        yield Item(name, audio, match and DIGITS[int(match[1])], match and match[2])
