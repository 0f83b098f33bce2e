"""English text to LibriSpeech-style words: UPPER CASE, the letters A–Z and apostrophes inside words.

    >>> " ".join(normalize("Mr. Bell paid $5.50 on May 1, 1871."))
    'MISTER BELL PAID FIVE DOLLARS AND FIFTY CENTS ON MAY FIRST EIGHTEEN SEVENTY ONE'

`normalize` treats one transcript, `normalize_history` a text that goes on, `sentences` one book, `prepare_text` a
library of them. Where English leaves a choice (MISSUS, PER CENT, ET CETERA, SEVENTEEN O FOUR) it is taken as
LibriSpeech's transcripts take it.
"""

from __future__ import annotations

import gzip
import lzma
import os
import random
import re
import shutil
import tarfile
import tempfile
import unicodedata
import zlib
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TextIO

from lm.files import open_text
from lm.progress import progress_bar
from lm.text.overlap import ngrams
from lm.text.spoken import DIGIT, roman_numeral, spell_out
from lm.text.vocabulary import END, SPECIAL_WORDS

WORD = re.compile(r"[A-Z]+(?:'[A-Z]+)*")


def normalize(text: str) -> list[str]:
    """The words of a transcript or sentence as LibriSpeech would write them."""
    return _words(spell_out(_fold(text)))


def normalize_history(text: str) -> list[str]:
    """The words of a text that goes on, for a language model to read: `</s>` closes each finished sentence.

    >>> normalize_history("How are you? Fine, and")
    ['HOW', 'ARE', 'YOU', '</s>', 'FINE', 'AND']

    A sentence is finished where `sentences` would end it: by a . ? or ! that nothing follows, or no small letter.
    """
    words: list[str] = []
    *finished, rest = map(_words, SENTENCE_END.split(spell_out(_fold(text)) + " "))
    for sentence in finished:
        words += [*sentence, SPECIAL_WORDS[END]] if sentence else []
    return words + rest


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
PAGE = re.compile(r"(?:,| {3}|\t|\. ?\.) *\d{1,3}(?:(?:, |--?|–)\d{1,3})*[.;,]?\Z")  # Foxes, 12, 37-8
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
      than half of its lines (of two or more), or with page numbers at the end of as many: tables, contents, indexes;
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
    if (len(lines) > 1 and _most(GAP, lines)) or _most(PAGE, lines):
        return "table", ""
    text = MARKUP.sub(" ", text)
    if len(lines) == 1 and (number := roman_numeral(text.strip(" ."))):
        return None, number
    if DIGIT.search(text) and 3 * sum(map(str.isdigit, text)) > sum(map(str.isalpha, text)):
        return "table", ""
    return None, spell_out(text)


def _most(pattern: re.Pattern[str], lines: list[str]) -> bool:
    return 2 * sum(bool(pattern.search(line)) for line in lines) > len(lines)


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


def _plain_name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".xz")


def _find_books(source: Path, scratch: Path) -> Iterator[tuple[str, Path]]:
    """The name and file of each book, sorted within a folder; those of an archive are unpacked into `scratch`."""
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such folder or file of books")
    if source.is_dir():
        files = (path for path in source.rglob("*") if _plain_name(path).endswith(".txt"))
        yield from ((_plain_name(path), path) for path in sorted(files))
    elif ".tar" in source.suffixes or source.suffix == ".tgz":
        folder = Path(tempfile.mkdtemp(dir=scratch))
        try:
            with tarfile.open(source) as archive:
                for number, member in enumerate(progress_bar(archive, f"unpacking {source.name}", None)):
                    path = Path(member.name)
                    if member.isfile() and _plain_name(path).endswith(".txt"):
                        unpacked = folder / f"{number}{path.suffix}"  # whatever path the archive would have it under
                        with unpacked.open("wb") as file:
                            shutil.copyfileobj(archive.extractfile(member), file)  # type: ignore[arg-type]
                        yield _plain_name(path), unpacked
        except (OSError, EOFError, lzma.LZMAError, zlib.error, tarfile.TarError) as error:
            raise ValueError(f"{source}: can't be read ({error})") from None
    else:
        yield _plain_name(source), source


def _lines(book: Path) -> list[str]:
    """The lines of a book: UTF-8, or else Latin-1; without Project Gutenberg's header and licence if marked."""
    unpack = {".gz": gzip.decompress, ".xz": lzma.decompress}.get(book.suffix, bytes)
    try:
        data = unpack(book.read_bytes())
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise ValueError(f"{book}: can't be read ({error}); mend it or take it away") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
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
    dropped: Counter[str] = Counter()
    lines = list(sentences(_lines(book), dropped))
    if not _avoided:
        return lines, dropped
    kept = [line for line in lines if _avoided.isdisjoint(ngrams(line.split()))]
    dropped["held-out words"] += len(lines) - len(kept)
    return kept, dropped


def _normalize_books(
    books: Sequence[tuple[str, Path]], pool: ProcessPoolExecutor, ahead: int
) -> Iterator[tuple[str, list[str], Counter[str]]]:
    """The books' names, sentences and counts of what was dropped, in order; at most `ahead` books wait in memory."""
    waiting: deque[tuple[str, Future[tuple[list[str], Counter[str]]]]] = deque()
    for name, path in books:
        waiting.append((name, pool.submit(_normalize_book, path)))
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
    jobs: int | None = None,
    seed: int = 1,
    avoid: Iterable[Sequence[str]] = (),
) -> TextReport:
    """Write all books of `sources` to `output`, one normalised sentence a line (.gz and .xz compress).

    Books come in an order shuffled by `seed`, so that any beginning of the file is a fair sample; the result does not
    depend on `jobs`, the number of processes (by default all cores). Memory grows with the longest books, not with
    their number; archives are unpacked beside `output` for the time being. Left out are books whose file names are in
    `exclude`, and copies: books half of whose sentences stood in a book before. With `heldout`, the first
    `heldout_books` of the shuffled books go there instead, each cut to its share of `heldout_words`, and later books
    that share sentences with them are left out.

    `avoid` are normalised sentences that models are to be measured on: what shares eight words in a row with one of
    them is dropped, and counted as "held-out words"; then `lm.overlap.find_overlaps` finds nothing.

    Errors: FileNotFoundError for a missing source, ValueError for one that can't be read or when no book is left.
    """
    avoided = frozenset(gram for words in avoid for gram in ngrams(words))
    jobs = jobs or os.cpu_count() or 1
    outputs = [output, heldout] if heldout else [output]
    for path in outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
    seen: set[int] = set()
    held: set[int] = set()
    with tempfile.TemporaryDirectory(prefix=".prepare-text-", dir=output.parent) as folder:
        scratch = Path(folder)
        found = [book for source in sources for book in _find_books(source, scratch)]
        names = {name for name, _ in found}
        report = TextReport(excluded=sorted(names & set(exclude)), not_found=sorted(set(exclude) - names))
        chosen = sorted((book for book in found if book[0] not in set(exclude)), key=lambda book: book[0])
        if not chosen:
            raise ValueError(f"{', '.join(map(str, sources))}: no books (.txt) found that are not excluded")
        random.Random(seed).shuffle(chosen)

        unfinished = [scratch / f"{number}-{path.name}" for number, path in enumerate(outputs)]
        with ExitStack() as files:
            text, *tuning = (files.enter_context(open_text(path, "wt")) for path in unfinished)
            pool = files.enter_context(ProcessPoolExecutor(jobs, initializer=_start_worker, initargs=(avoided,)))
            normalized = _normalize_books(chosen, pool, ahead=2 * jobs)
            for name, lines, dropped in progress_bar(normalized, "normalising", len(chosen)):
                prints = _fingerprints(lines)
                if not lines:
                    report.empty.append(name)
                elif 2 * len(prints & seen) > len(prints):
                    report.duplicates.append(name)
                elif tuning and len(report.heldout) < heldout_books:
                    report.heldout.append(name)
                    report.heldout_words += _write(_first_words(lines, heldout_words // heldout_books), tuning[0])
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


def _first_words(lines: list[str], count: int) -> list[str]:
    totals = accumulate(line.count(" ") + 1 for line in lines)
    return [line for line, total in zip(lines, totals, strict=True) if total <= count]


def _write(lines: list[str], file: TextIO) -> int:
    """Write the lines; how many words they hold."""
    file.writelines(line + "\n" for line in lines)
    return sum(line.count(" ") + 1 for line in lines)
