"""Kaldi data directory: ``wav.scp`` and ``text``, where present ``utt2spk`` and ``spk2gender``.

Ours because lhotse.kaldi takes one sampling rate for all, doesn't find paths relative to the corpus root, and
stops at a recording without transcript or speaker.
"""

from collections.abc import Iterator
from pathlib import Path

from data_prep import MAX_SECONDS
from data_prep.manifest import Item, Prepared, prepare, read_table


def prepare_kaldi_dir(corpus_dir: Path, max_seconds: float = MAX_SECONDS) -> Prepared:
    """Takes the folder that holds ``wav.scp``.

    Relative audio paths are looked for from that folder, then from the folders above it.

    Raises:
        ValueError: a ``segments`` file (utterances that are parts of recordings) or commands in ``wav.scp``.
    """
    segments = corpus_dir / "segments"
    if segments.exists():
        raise ValueError(f"{segments}: parts of recordings are not supported, extract-segments makes them files")
    return prepare(_items(corpus_dir.absolute()), max_seconds)


def _items(folder: Path) -> Iterator[Item]:
    recordings = read_table(folder / "wav.scp")
    for key, path in recordings.items():
        if path.endswith("|"):
            raise ValueError(f"{folder / 'wav.scp'}: {key} is a command, write its output to a file and name that")
    texts = read_table(folder / "text")
    speakers, genders = (
        read_table(folder / name) if (folder / name).exists() else {} for name in ("utt2spk", "spk2gender")
    )

    relative = [path for path in recordings.values() if not Path(path).is_absolute()]
    bases = (folder, *folder.parents)
    base = next((b for b in bases if any((b / path).is_file() for path in relative)), folder)
    for key in recordings.keys() | texts.keys():
        audio = base / recordings[key] if key in recordings else None
        speaker = speakers.get(key)
        yield Item(key, audio, texts.get(key), speaker, genders.get(speaker) if speaker else None)
