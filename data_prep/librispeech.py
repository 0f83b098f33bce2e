"""LibriSpeech: ``<speaker>/<chapter>/*.trans.txt`` beside one .flac (or .opus) an utterance.

``CHAPTERS.TXT``, in the folder of the subsets, says of what book each chapter is; where it is missing that isn't known.

Ours because lhotse's recipe reads .flac only, and stops at the first file that it can't read.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep import MAX_SECONDS
from data_prep.manifest import Item, Prepared, audio_files, prepare, read_lines, read_table
from data_prep.unpack import download_and_unpack
from lm.files import find_files

# From a chapter up to LibriSpeech/ itself and no higher: a folder of several corpora is none of them.
LISTINGS = ("*.trans.txt", "*/*.trans.txt", "*/*/*.trans.txt", "*/*/*/*.trans.txt")


def download_librispeech(
    folder: Path, only: Sequence[str] = (), mirrors: Sequence[str] = (), corpus: str = "librispeech"
) -> Path:
    """Fetches and unpacks the corpus (61 GB, or 0.5 with "mini-librispeech"), or subsets of these names.

    Returns the folder of the subsets. Raises what `download` and `unpack` raise.
    """
    download_and_unpack(corpus, folder, only, mirrors)
    return folder / "LibriSpeech"


def prepare_librispeech(corpus_dir: Path, max_seconds: float = MAX_SECONDS) -> Prepared:
    """Takes a subset such as train-clean-100, the folder of the subsets, a speaker's or a chapter's."""
    return prepare(_items(corpus_dir), max_seconds)


def _items(corpus_dir: Path) -> Iterator[Item]:
    corpus_dir = corpus_dir.absolute()  # the speaker is a folder's name, and "." has none
    books = _books(corpus_dir)
    for listing in (path for pattern in LISTINGS for path in find_files(corpus_dir, pattern)):
        chapter = listing.parent
        audio = audio_files(chapter)
        texts = read_table(listing)
        for key in texts.keys() | audio.keys():
            yield Item(key, audio.get(key), texts.get(key), speaker=chapter.parent.name, book=books.get(chapter.name))


def _books(corpus_dir: Path) -> dict[str, str]:
    """Each chapter's book, by Project Gutenberg's number."""
    folders = (corpus_dir, *corpus_dir.parents[:3])  # a chapter's folder is the third below that of the subsets
    path = next((path for folder in folders if (path := folder / "CHAPTERS.TXT").is_file()), None)
    books = {}
    for line in read_lines(path) if path else []:
        if not line.startswith(";"):
            fields = [field.strip() for field in line.split("|")]
            if len(fields) < 8:
                raise ValueError(f"{path}: {line.strip()!r} lacks some of a chapter's eight fields")
            books[fields[0]] = fields[5]
    return books
