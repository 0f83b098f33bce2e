"""English text to LibriSpeech-style words: UPPER CASE, the letters A–Z and apostrophes inside words.

    >>> " ".join(normalize("Mr. Bell paid $5.50 on May 1, 1871."))
    'MISTER BELL PAID FIVE DOLLARS AND FIFTY CENTS ON MAY FIRST EIGHTEEN SEVENTY ONE'

`normalize` treats one transcript, `sentences` one book, `prepare_text` a library of them. Where English leaves a
choice (MISSUS, PER CENT, ET CETERA, SEVENTEEN O FOUR) it is taken as LibriSpeech's transcripts take it.
"""

from __future__ import annotations

import gzip
import lzma
import random
import re
import tarfile
import unicodedata
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import accumulate
from multiprocessing import Pool
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import track

from lm.spoken import DIGIT, roman_numeral, spell_out

WORD = re.compile(r"[A-Z]+(?:'[A-Z]+)*")


def normalize(text: str) -> list[str]:
    """The words of a transcript or sentence as LibriSpeech would write them."""
    return _words(spell_out(_fold(text)))


def _words(text: str) -> list[str]:
    return WORD.findall(text.upper())


# --- Characters -------------------------------------------------------------------------------------------

FOLD = str.maketrans(
    {
        **dict.fromkeys("‘’‛`´ʼ′", "'"),
        **dict.fromkeys("“”„‟«»″", '"'),
        **dict.fromkeys("–—―‒−", "--"),
        **dict.fromkeys("‐‑", "-"),
        **dict.fromkeys("\u00ad\ufeff\u200b", ""),
        **dict(zip("æÆœŒøØßðþł", "ae AE oe OE o O ss d th l".split(), strict=True)),
        **{"½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "…": "...", "°": " degrees "},
    }
)


SPACED_CONTRACTION = re.compile(r"(?<=[A-Za-z]) (?='(?:ll|ve|re|m|d|s)\b|n't\b)")  # I 'll, do n't


def _fold(text: str) -> str:
    """Plain quotes and dashes, letters without their accents, contractions without spaces within."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.translate(FOLD))
        text = "".join(c for c in text if not unicodedata.combining(c))
    return SPACED_CONTRACTION.sub("", text)


# --- Sentences of a book ----------------------------------------------------------------------------------

MAX_WORDS = 80  # LibriSpeech's longest utterances

MARKUP = re.compile(
    r"\[(?:Illustration|Sidenote|Transcriber|Footnote|FN|Pg|Page)[^\]]*(?:\]|\Z)|[\[{(](?:\d+|[a-z*†‡§]|\*+)[\]})]"
    r"|<[^<>]{1,40}>|[_*^~|=\\]"
)
NOTICE = re.compile(r"Project Gutenberg|^(?:Produced|Transcribed|Scanned|E-text prepared|Proofread) by|https?:|www\.")
GAP = re.compile(r"\S(?: {3,}|\t)\s*\S|\.{4}|(?: \.){4}")
SENTENCE_END = re.compile(r"[.?!][\"')\]]*\s+(?![\"'(\[]*[a-z])")
SPLITS = [re.compile(r"[;:]|--"), re.compile(r",")]
# The commonest words that tell English from its neighbours, and theirs: French, Latin, Italian, Spanish, German.
ENGLISH = frozenset(
    """THE AND OF TO I THAT HIS HER WITH WAS FOR IT HE SHE YOU NOT BUT HAD IS AT BE BY THEY WHICH THIS FROM HAVE ALL
    WE ARE MY HIM THEIR THERE WHO WHAT WHEN YOUR THEM WOULD WILL OUR IF WERE BEEN MORE THOU THY THEE SAID""".split()
)
FOREIGN = frozenset(
    """DE LA LE LES DU DES UN UNE ET EST QUE QUI JE IL ELLE VOUS NOUS PAS DANS SUR AU AUX CE CETTE POUR AVEC SON SES
    AD CUM QUOD SED NON QUAM SUNT ESSE ATQUE CHE DI DEL DELLA NEL SI EL LOS LAS POR PARA MUY
    DER DAS DEM UND IST NICHT EIN EINE ICH SIE MIT VON AUF SICH""".split()
)


def sentences(lines: Iterable[str], dropped: Counter[str] | None = None) -> Iterator[str]:
    """The sentences of a plain-text book: words in upper case, separated by single spaces.

    `lines` are wrapped into paragraphs, blank lines between them. What is not English prose or verse is left
    out and, where `dropped` is given, counted there by reason:

    - "table": a paragraph with more than one digit to three letters, or with wide gaps or dot leaders within more
      than half of its lines (of two or more): tables, contents, indexes;
    - "notice": a paragraph in which Project Gutenberg speaks, or with a web address;
    - "foreign": a sentence with two or more of the commonest words of French, Latin, Italian, Spanish or German
      that English lacks, and with fewer of its own.
    """
    dropped = Counter() if dropped is None else dropped
    for paragraph in _paragraphs(lines):
        reason, text = _paragraph_text(paragraph)
        if reason:
            dropped[reason] += 1
            continue
        for sentence in SENTENCE_END.split(text):
            words = _words(sentence)
            if not FOREIGN.isdisjoint(words) and _is_foreign(words):
                dropped["foreign"] += 1
            elif len(words) > MAX_WORDS:
                yield from (" ".join(piece) for piece in _pieces(sentence, SPLITS))
            elif words:
                yield " ".join(words)


def _is_foreign(words: list[str]) -> bool:
    foreign = sum(word in FOREIGN for word in words)
    return foreign > 1 and foreign > sum(word in ENGLISH for word in words)


def _paragraphs(lines: Iterable[str]) -> Iterator[list[str]]:
    paragraph: list[str] = []
    for line in lines:
        line = line.strip()
        if line:
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []
    if paragraph:
        yield paragraph


def _paragraph_text(lines: list[str]) -> tuple[str | None, str]:
    """Why the paragraph is left out (None: it stays), and its text with everything spelt out."""
    text = _fold(" ".join(lines))
    if NOTICE.search(text):
        return "notice", ""
    if len(lines) > 1 and 2 * sum(bool(GAP.search(line)) for line in lines) > len(lines):
        return "table", ""
    text = MARKUP.sub(" ", text)
    if len(lines) == 1 and (number := roman_numeral(text.strip(" ."))):
        return None, number
    if DIGIT.search(text) and 3 * sum(map(str.isdigit, text)) > sum(map(str.isalpha, text)):
        return "table", ""
    return None, spell_out(text)


def _pieces(text: str, splits: Sequence[re.Pattern[str]]) -> Iterator[list[str]]:
    """An overlong sentence in pieces of at most MAX_WORDS, cut where its punctuation allows, as seldom as possible."""
    words = _words(text)
    if len(words) <= MAX_WORDS:
        if words:
            yield words
        return
    if not splits:
        yield from (words[i : i + MAX_WORDS] for i in range(0, len(words), MAX_WORDS))
        return
    piece: list[str] = []
    for part in splits[0].split(text):
        for words in _pieces(part, splits[1:]):
            if len(piece) + len(words) > MAX_WORDS:
                yield piece
                piece = []
            piece += words
    if piece:
        yield piece


# --- Libraries of books -----------------------------------------------------------------------------------


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


def open_text(path: Path, mode: str = "rt") -> TextIO:
    """A text file, compressed if its name ends in .gz or .xz, as UTF-8."""
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    return opener(path, mode, encoding="utf-8")  # type: ignore[operator, no-any-return]


def _book_files(source: Path) -> Iterator[tuple[str, Path | bytes]]:
    """The name of each book and where (a path) or what (an archive member's bytes) it is, sorted within a folder."""
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such folder or file of books")
    if source.is_dir():
        files = (
            path for path in source.rglob("*") if path.name.removesuffix(".gz").removesuffix(".xz").endswith(".txt")
        )
        yield from ((path.name.removesuffix(".gz").removesuffix(".xz"), path) for path in sorted(files))
    elif ".tar" in source.suffixes or source.suffix == ".tgz":
        try:
            with tarfile.open(source) as archive:
                for member in archive:
                    if member.isfile() and member.name.endswith(".txt"):
                        yield Path(member.name).name, archive.extractfile(member).read()  # type: ignore[union-attr]
        except (OSError, EOFError, lzma.LZMAError, tarfile.TarError) as error:
            raise ValueError(f"{source}: can't be read ({error})") from None
    else:
        yield source.name.removesuffix(".gz").removesuffix(".xz"), source


def _lines(book: Path | bytes) -> list[str]:
    """The lines of a book: UTF-8, or else Latin-1; without Project Gutenberg's header and licence if marked."""
    if isinstance(book, Path):
        unpack = {".gz": gzip.decompress, ".xz": lzma.decompress}.get(book.suffix, bytes)
        try:
            data = unpack(book.read_bytes())
        except (OSError, EOFError, lzma.LZMAError) as error:
            raise ValueError(f"{book}: can't be read ({error}); mend it or take it away") from None
    else:
        data = book
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    lines = text.splitlines()
    marks = [i for i, line in enumerate(lines) if line.startswith("***") and "PROJECT GUTENBERG" in line.upper()]
    starts = [i for i in marks if "START OF" in lines[i].upper()]
    ends = [i for i in marks if "END OF" in lines[i].upper()]
    return lines[starts[0] + 1 if starts else 0 : ends[-1] if ends else None]


def books(source: Path) -> Iterator[tuple[str, list[str]]]:
    """Name and lines of each book in a folder of .txt (.gz, .xz) files, in a .tar (.gz, .xz), or of one such file."""
    return ((name, _lines(book)) for name, book in _book_files(source))


def _normalize_book(book: tuple[str, Path | bytes]) -> tuple[str, list[str], Counter[str]]:
    dropped: Counter[str] = Counter()
    return book[0], list(sentences(_lines(book[1]), dropped)), dropped


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
    jobs: int = 1,
    seed: int = 1,
) -> TextReport:
    """Write all books of `sources` to `output`, one normalised sentence a line (.gz and .xz compress).

    Books come in an order shuffled by `seed`, so that any beginning of the file is a fair sample; the result does not
    depend on `jobs`. Left out are books whose file names are in `exclude`, and copies: books half of whose sentences
    stood in a book before. With `heldout`, the first `heldout_books` of the shuffled books go there instead, each cut
    to its share of `heldout_words`, and later books that share sentences with them are left out.

    Errors: FileNotFoundError for a missing source, ValueError for one that can't be read or when no book is left.
    """
    found = [book for source in sources for book in _book_files(source)]
    names = {name for name, _ in found}
    report = TextReport(excluded=sorted(names & set(exclude)), not_found=sorted(set(exclude) - names))
    chosen = sorted((book for book in found if book[0] not in set(exclude)), key=lambda book: book[0])
    if not chosen:
        raise ValueError(f"{', '.join(map(str, sources))}: no books (.txt) found that are not excluded")
    random.Random(seed).shuffle(chosen)

    seen: set[int] = set()
    held: set[int] = set()
    unfinished = {path: path.with_name(f".{path.name}") for path in (output, heldout) if path}
    with ExitStack() as stack:
        pool = stack.enter_context(Pool(jobs)) if jobs > 1 else None
        normalized = pool.imap(_normalize_book, chosen) if pool else map(_normalize_book, chosen)
        text = stack.enter_context(open_text(unfinished[output], "wt"))
        tuning = stack.enter_context(open_text(unfinished[heldout], "wt")) if heldout else None
        console = Console(stderr=True)
        bar = track(normalized, "normalising", len(chosen), console=console, disable=not console.is_terminal)
        for name, lines, dropped in bar:
            prints = _fingerprints(lines)
            if not lines:
                report.empty.append(name)
            elif 2 * len(prints & seen) > len(prints):
                report.duplicates.append(name)
            elif tuning and len(report.heldout) < heldout_books:
                report.heldout.append(name)
                report.heldout_words += _write(_first_words(lines, heldout_words // heldout_books), tuning)
                held |= prints
            elif len(prints & held) > 2:
                report.near_heldout.append(name)
            else:
                report.books += 1
                report.sentences += len(lines)
                report.words += _write(lines, text)
                report.dropped += dropped
            seen |= prints
    for path, written in unfinished.items():
        written.replace(path)
    return report


def _first_words(lines: list[str], count: int) -> list[str]:
    totals = accumulate(line.count(" ") + 1 for line in lines)
    return [line for line, total in zip(lines, totals, strict=True) if total <= count]


def _write(lines: list[str], file: TextIO) -> int:
    """Write the lines; how many words they hold."""
    file.writelines(line + "\n" for line in lines)
    return sum(line.count(" ") + 1 for line in lines)
