"""CMU Sphinx: ``etc/<name>.fileids`` with ``etc/<name>.transcription``, audio under ``wav/``.

Ours because lhotse has no recipe for it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from data_prep import MAX_SECONDS
from data_prep.manifest import Item, Prepared, audio_files, prepare, read_lines
from lm.files import find_files


def prepare_sphinx(corpus_dir: Path, max_seconds: float = MAX_SECONDS) -> Prepared:
    """Takes the folder that holds ``etc/`` and reads all its lists.

    An utterance's id is its whole file id (``an4_clstk/fash/an251-fash-b``), its speaker its folder.
    """
    return prepare(_items(corpus_dir), max_seconds)


def _items(folder: Path) -> Iterator[Item]:
    audio = audio_files(folder / "wav")
    for listing in sorted(find_files(folder, "etc/*.fileids")):
        texts = _transcripts(listing.with_suffix(".transcription"))
        for key in map(str.strip, read_lines(listing)):
            *folders, name = key.split("/")
            yield Item(key, audio.get(key), texts.get(key, texts.get(name)), folders[-1] if folders else None)


def _transcripts(path: Path) -> dict[str, str]:
    """Lines such as ``<s> YES </s> (an251-fash-b)``, by the id in brackets: the file id or its last part."""
    texts: dict[str, str] = {}
    for line in read_lines(path):
        match = re.fullmatch(r"(.*)\((\S+)\)\s*", line)
        if match is None:
            raise ValueError(f"{path}: {line.strip()!r} doesn't end in its file id in brackets, add it")
        text, key = match.groups()
        if key in texts:
            raise ValueError(f"{path}: two transcripts for {key}, write the whole file id in their brackets")
        texts[key] = re.sub(r"</?s>|<sil>", "", text)
    return texts
