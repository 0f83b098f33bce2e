"""LJSpeech: ``metadata.csv`` (``id|text`` or ``id|text|normalised text``) and ``wavs/``.

Ours because lhotse's recipe reads .wav only, wants three fields and takes every speaker for the same woman.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep import MAX_SECONDS
from data_prep.manifest import Item, Prepared, audio_files, prepare, read_lines
from data_prep.unpack import download_and_unpack


def download_ljspeech(folder: Path, mirrors: Sequence[str] = (), corpus: str = "ljspeech") -> Path:
    """Fetches and unpacks the corpus (3 GB). Returns its folder. Raises what `download` and `unpack` raise."""
    download_and_unpack(corpus, folder, mirrors=mirrors)
    return folder / "LJSpeech-1.1"


def prepare_ljspeech(corpus_dir: Path, max_seconds: float = MAX_SECONDS) -> Prepared:
    """Takes the folder that holds ``metadata.csv``; a line's last field is its text."""
    return prepare(_items(corpus_dir), max_seconds)


def _items(folder: Path) -> Iterator[Item]:
    audio = audio_files(folder / "wavs")
    rows = [line.split("|") for line in read_lines(folder / "metadata.csv")]
    for key, *texts in rows:
        yield Item(key, audio.get(key), texts[-1] if texts else None)
    for key in audio.keys() - {row[0] for row in rows}:
        yield Item(key, audio[key], None)
