"""Files of text with case and marks, to train a tagger on or to measure one."""

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lm.progress import progress_bar
from lm.readable.marked import Marked, marked
from lm.text.normalise import passages
from lm.text.prepare import book_lines, find_books

EXCERPT = 18_000  # characters of a file that stay together, some 3,000 words


def excerpts(source: Path, words: int, chosen: Callable[[str], bool]) -> Iterator[list[list[Marked]]]:
    """Excerpts from all over the files whose names are `chosen`, each as its passages; about so many words."""
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as scratch:
        books = [path for name, path in find_books(source, Path(scratch)) if chosen(name)]
        chance.shuffle(books)
        share = words * 6 / max(1, sum(path.stat().st_size for path in books))  # six bytes a word
        for book in progress_bar(books, source.name, len(books)):
            for lines in _pieces(book_lines(book)):
                if chance.random() < share:
                    texts = (marked(passage) for passage in passages(lines, Counter()))
                    yield [text for text in texts if text]


def _pieces(lines: Sequence[str]) -> Iterator[list[str]]:
    """The lines of a file in pieces of EXCERPT characters, cut between paragraphs."""
    wrapped = not all(line.strip() for line in lines)
    piece: list[str] = []
    count = 0
    for line in lines:
        if count >= EXCERPT and not (wrapped and line.strip()):
            yield piece
            piece, count = [], 0
        piece.append(line)
        count += len(line)
    yield piece
