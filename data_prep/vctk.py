"""VCTK: ``txt/<speaker>/<id>.txt`` and ``wav48/<speaker>/<id>.wav`` (or .opus, .flac).

Ours because lhotse's recipe reads .wav only here, needs speaker-info.txt and doesn't count what it removes.
"""

from collections.abc import Iterator
from pathlib import Path

from data_prep import MAX_SECONDS
from data_prep.manifest import Item, Prepared, audio_files, prepare, read_lines
from lm.files import find_files


def prepare_vctk(corpus_dir: Path, max_seconds: float = MAX_SECONDS) -> Prepared:
    """Takes the folder that holds ``txt/`` and ``wav48/``."""
    return prepare(_items(corpus_dir), max_seconds)


def _items(folder: Path) -> Iterator[Item]:
    audio = audio_files(folder / "wav48")
    texts = {f"{path.parent.name}/{path.stem}": path for path in find_files(folder, "txt/*/*.txt")}
    for key in texts.keys() | audio.keys():
        speaker, _, name = key.rpartition("/")
        text = "\n".join(read_lines(texts[key])) if key in texts else None
        yield Item(name, audio.get(key), text, speaker or None)
