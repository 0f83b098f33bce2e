"""Libraries of text, in folders and archives, as normalised sentences in one file."""

from __future__ import annotations

import gzip
import lzma
import os
import random
import shutil
import tarfile
import tempfile
import zlib
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from lm.files import encoding_of, find_files, open_text
from lm.progress import progress_bar
from lm.text.normalise import sentences
from lm.text.overlap import ngrams

if TYPE_CHECKING:
    from lm.cluster import Submitted


@dataclass
class TextReport:
    """What became of the books given to `prepare_text`."""

    books: int = 0
    sentences: int = 0
    words: int = 0
    heldout: list[str] = field(default_factory=list)
    heldout_words: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # paragraphs and sentences, by the reasons of `sentences`
    excluded: list[str] = field(default_factory=list)
    not_found: list[str] = field(default_factory=list)  # names to exclude that no book bears
    duplicates: list[str] = field(default_factory=list)
    near_heldout: list[str] = field(default_factory=list)  # left out: they share sentences with held-out books
    empty: list[str] = field(default_factory=list)


def _plain_name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".xz")


def find_books(source: Path, scratch: Path) -> Iterator[tuple[str, Path]]:
    """The name and file of each book, sorted within a folder; those of an archive are unpacked into `scratch`."""
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such folder or file of books")
    if source.is_dir():
        files = (path for path in find_files(source, "**/*") if _plain_name(path).endswith(".txt"))
        yield from ((_plain_name(path), path) for path in sorted(files))
    elif ".tar" in source.suffixes or source.suffix == ".tgz":
        folder = Path(tempfile.mkdtemp(dir=scratch))
        try:
            with tarfile.open(source) as archive:
                for number, member in enumerate(progress_bar(archive, f"unpacking {source.name}", None)):
                    path = Path(member.name)
                    hidden = any(part.startswith(".") and part.strip(".") for part in path.parts)
                    if member.isfile() and not hidden and _plain_name(path).endswith(".txt"):
                        unpacked = folder / f"{number}{path.suffix}"  # whatever path the archive would have it under
                        with unpacked.open("wb") as file:
                            shutil.copyfileobj(archive.extractfile(member), file)  # type: ignore[arg-type]
                        yield _plain_name(path), unpacked
        except (OSError, EOFError, lzma.LZMAError, zlib.error, tarfile.TarError) as error:
            raise ValueError(f"{source}: can't be read ({error})") from None
    else:
        yield _plain_name(source), source


def book_lines(book: Path, data: bytes | None = None) -> list[str]:
    """The lines of a book: UTF-8, or else Latin-1; without Project Gutenberg's header and licence if marked.

    data: what the file holds, if it was read elsewhere.
    """
    unpack = {".gz": gzip.decompress, ".xz": lzma.decompress}.get(book.suffix, bytes)
    try:
        data = unpack(book.read_bytes() if data is None else data)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise ValueError(f"{book}: can't be read ({error}); mend it or take it away") from None
    try:
        text = data.decode(encoding_of(data))
    except UnicodeError:
        text = data.decode("latin-1")
    lines = text.splitlines()
    marks = [i for i, line in enumerate(lines) if line.startswith("***") and "PROJECT GUTENBERG" in line.upper()]
    starts = [i for i in marks if "START OF" in lines[i].upper()]
    ends = [i for i in marks if "END OF" in lines[i].upper()]
    return lines[starts[0] + 1 if starts else 0 : ends[-1] if ends else None]


_avoided: frozenset[str] = frozenset()  # n-grams; each worker process is given its own


def _start_worker(avoided: frozenset[str]) -> None:
    global _avoided
    _avoided = avoided


def _normalize_book(book: Path) -> tuple[list[str], Counter[str]]:
    return _normalize(book_lines(book), _avoided)


def _normalize_sent(book: Path, data: bytes, avoided: frozenset[str]) -> tuple[list[str], Counter[str]]:
    """For a machine that may not reach the file."""
    return _normalize(book_lines(book, data), avoided)


def _normalize(lines: list[str], avoided: frozenset[str]) -> tuple[list[str], Counter[str]]:
    dropped: Counter[str] = Counter()
    found = list(sentences(lines, dropped))
    if not avoided:
        return found, dropped
    kept = [line for line in found if line not in avoided and avoided.isdisjoint(ngrams(line.split()))]
    dropped["held-out words"] += len(found) - len(kept)
    return kept, dropped


Submit = Callable[[Path], "Future[tuple[list[str], Counter[str]]] | Submitted[tuple[list[str], Counter[str]]]"]


@contextmanager
def _processes(jobs: int, avoided: frozenset[str]) -> Iterator[Submit]:
    """Takes books to normalise in so many processes."""
    with ProcessPoolExecutor(jobs, initializer=_start_worker, initargs=(avoided,)) as pool:
        yield lambda book: pool.submit(_normalize_book, book)


@contextmanager
def _machines(ray: str, avoided: frozenset[str]) -> Iterator[Submit]:
    """Takes books to normalise on a cluster of that address."""
    from lm.cluster import Pool, connected

    with connected(ray):
        pool = Pool(_normalize_sent, avoided)
        yield lambda book: pool.submit(book, book.read_bytes())


def _whole(words: Sequence[str]) -> list[str]:
    """A short held-out sentence, unless it is one that everybody says."""
    return [" ".join(words)] if len(words) >= 3 else []


def _normalize_books(
    books: Sequence[tuple[str, Path]], submit: Submit, ahead: int
) -> Iterator[tuple[str, list[str], Counter[str]]]:
    """The books' names, sentences and counts of what was dropped, in order; at most `ahead` books wait in memory."""
    waiting = deque[tuple[str, Any]]()
    for name, path in books:
        waiting.append((name, submit(path)))
        if len(waiting) == ahead:
            name, book = waiting.popleft()
            yield name, *book.result()
    for name, book in waiting:
        yield name, *book.result()


def _fingerprints(lines: Iterable[str]) -> set[int]:
    """Hashes of one in sixteen of a book's longer sentences, the same ones wherever they stand."""
    hashes = (zlib.crc32(line.encode()) for line in lines if len(line) > 60)
    return {h for h in hashes if h % 16 == 0}


def prepare_text(
    sources: Sequence[Path],
    output: Path,
    exclude: Collection[str] = (),
    heldout: Path | None = None,
    heldout_books: int = 20,
    heldout_words: int = 500_000,
    heldout_share: float | None = None,
    jobs: int | None = None,
    seed: int = 1,
    avoid: Iterable[Sequence[str]] = (),
    ray: str | None = None,
) -> TextReport:
    """Write all books of `sources` to `output`, one normalised sentence a line (.gz and .xz compress).

    Books come in an order shuffled by `seed`, so that any beginning of the file is a fair sample; the result does not
    depend on `jobs`, the number of processes (by default all cores), nor on `ray`, the address of a cluster that works
    instead of them, `jobs` books at a time. Memory grows with the longest books, not with
    their number; archives are unpacked beside `output` for the time being. Left out are books whose file names are in
    `exclude`, and copies: books half of whose sentences stood in a book before. With `heldout`, the first
    `heldout_books` of the shuffled books go there instead, each cut to its share of `heldout_words`, and later books
    that share sentences with them are left out. With `heldout_share` so large a share of the books goes there instead,
    whole, and by a hash of their names: a book stays held out, whatever others come or go.

    `avoid` are normalised sentences that models are to be measured on: what shares eight words in a row with one of
    them is dropped, and counted as "held-out words"; then `lm.overlap.find_overlaps` finds nothing.

    Errors: FileNotFoundError for a missing source, ValueError for one that can't be read or when no book is left.
    """
    avoided = frozenset(gram for words in avoid for gram in ngrams(words) or _whole(words))
    jobs = jobs or os.cpu_count() or 1
    outputs = [output, heldout] if heldout else [output]
    for path in outputs:
        if path.is_dir():
            raise ValueError(f"{path}: is a folder: name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
    seen: set[int] = set()
    held: set[int] = set()
    with tempfile.TemporaryDirectory(prefix=".prepare-text-", dir=output.parent) as folder:
        scratch = Path(folder)
        found = [book for source in sources for book in find_books(source, scratch)]
        names = {name for name, _ in found}
        report = TextReport(excluded=sorted(names & set(exclude)), not_found=sorted(set(exclude) - names))
        chosen = sorted((book for book in found if book[0] not in set(exclude)), key=lambda book: book[0])
        if not chosen:
            raise ValueError(f"{', '.join(map(str, sources))}: no books (.txt) found that are not excluded")
        random.Random(seed).shuffle(chosen)

        unfinished = [scratch / f"{number}-{path.name}" for number, path in enumerate(outputs)]
        with ExitStack() as files:
            text, *tuning = (files.enter_context(open_text(path, "wt")) for path in unfinished)
            submit = files.enter_context(_machines(ray, avoided) if ray else _processes(jobs, avoided))
            normalized = _normalize_books(chosen, submit, ahead=2 * jobs)
            for name, lines, dropped in progress_bar(normalized, "normalising", len(chosen)):
                prints = _fingerprints(lines)
                if not lines:
                    report.empty.append(name)
                elif 2 * len(prints & seen) > len(prints):
                    report.duplicates.append(name)
                elif tuning and heldout_share is None and len(report.heldout) < heldout_books:
                    report.heldout.append(name)
                    report.heldout_words += _write(_first_words(lines, heldout_words // heldout_books), tuning[0])
                    held |= prints
                elif tuning and heldout_share is not None and is_heldout(name, heldout_share):
                    report.heldout.append(name)
                    report.heldout_words += _write(lines, tuning[0])
                    held |= prints
                elif len(prints & held) > 2:
                    report.near_heldout.append(name)
                else:
                    report.books += 1
                    report.sentences += len(lines)
                    report.words += _write(lines, text)
                    report.dropped += dropped
                seen |= prints
        for path, written in zip(outputs, unfinished, strict=True):
            shutil.move(written, path)
    return report


def is_heldout(name: str, share: float) -> bool:
    """Whether a file of this name is in the share that is held out, by a hash: whatever others come or go."""
    return zlib.crc32(name.encode()) < share * 2**32


def _first_words(lines: list[str], count: int) -> list[str]:
    totals = accumulate(line.count(" ") + 1 for line in lines)
    return [line for line, total in zip(lines, totals, strict=True) if total <= count]


def _write(lines: list[str], file: TextIO) -> int:
    """Write the lines; how many words they hold."""
    file.writelines(line + "\n" for line in lines)
    return sum(line.count(" ") + 1 for line in lines)
