"""LibriSpeech: ``<speaker>/<chapter>/*.trans.txt`` beside one .flac (or .opus) an utterance.

Ours because lhotse's recipe reads .flac only, and stops at the first file that it can't read.
"""

from collections.abc import Iterator
from pathlib import Path

from data_prep import MAX_SECONDS
from data_prep.manifest import Item, Prepared, audio_files, prepare, read_table

# From a chapter up to LibriSpeech/ itself and no higher: a folder of several corpora is none of them.
LISTINGS = ("*.trans.txt", "*/*.trans.txt", "*/*/*.trans.txt", "*/*/*/*.trans.txt")


def prepare_librispeech(corpus_dir: Path, max_seconds: float = MAX_SECONDS) -> Prepared:
    """Takes a subset such as train-clean-100, the folder of the subsets, a speaker's or a chapter's."""
    return prepare(_items(corpus_dir), max_seconds)


def _items(corpus_dir: Path) -> Iterator[Item]:
    corpus_dir = corpus_dir.absolute()  # the speaker is a folder's name, and "." has none
    for listing in (path for pattern in LISTINGS for path in corpus_dir.glob(pattern)):
        chapter = listing.parent
        audio = audio_files(chapter)
        texts = read_table(listing)
        for key in texts.keys() | audio.keys():
            yield Item(key, audio.get(key), texts.get(key), speaker=chapter.parent.name)
