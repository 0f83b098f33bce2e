"""English text to LibriSpeech-style words: UPPER CASE, the letters A–Z and apostrophes inside words.

    >>> " ".join(normalize("Mr. Bell paid $5.50 on May 1, 1871."))
    'MISTER BELL PAID FIVE DOLLARS AND FIFTY CENTS ON MAY FIRST EIGHTEEN SEVENTY ONE'

`normalize` treats one transcript, `normalize_history` a text that goes on, `sentences` one book; lm.text.prepare has
libraries of them. Where English leaves a choice (MISSUS, PER CENT, ET CETERA, SEVENTEEN O FOUR) it is taken as
LibriSpeech's transcripts take it.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from lm.text.numbers import DIGIT
from lm.text.spoken import roman_numeral, spell_out
from lm.text.turns import MISSPELT, WRAPPED, a_line_each, said, turns
from lm.text.vocabulary import END, SPECIAL_WORDS, LeftOutWarning

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


def warn_left_out(text: str, stacklevel: int = 1) -> None:
    """Warn, by a LeftOutWarning, of words in other scripts, which `normalize` drops; stacklevel as of warnings.warn."""

    def is_other(sign: str) -> bool:
        return sign.isalnum() and not _fold(sign).isascii()

    others = [] if text.isascii() else [word for word in text.split() if any(map(is_other, word))]
    if others:
        warnings.warn(LeftOutWarning(others), stacklevel=stacklevel + 1)


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


SPACED_CONTRACTION = re.compile(  # I 'll, do n't, it ' s
    r"(?<=[A-Za-z]) (?='(?:ll|ve|re|m|d|s)\b|n't\b)|(?<=[A-Za-z]) (') (?=(?:ll|ve|re|m|d|s|t)\b)"
)


def _fold(text: str) -> str:
    """Plain quotes and dashes, letters without their accents, contractions without spaces within."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.translate(FOLD))
        text = "".join(c for c in text if not unicodedata.combining(c))
    return SPACED_CONTRACTION.sub(r"\1", text)


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
    """The sentences of a plain text: words in upper case, separated by single spaces.

    `lines` are wrapped into paragraphs, blank lines between them, as in books; or each is a paragraph or a speaker's
    turn, as text of today mostly has it (lm.text.turns tells which). What is not English prose, verse or speech is
    left out and, where `dropped` is given, counted there by reason:

    - "table": a paragraph with more than one digit to three letters, or with wide gaps or dot leaders within more
      than half of its lines (of two or more), or with page numbers at the end of as many: tables, contents, indexes;
    - "notice": a paragraph in which Project Gutenberg speaks, or with a web address;
    - "foreign": a sentence with two or more of the commonest words of French, Latin, Italian, Spanish or German
      that English lacks, and with fewer of its own;
    - "code": a turn with more than one sign of programs and mark-up to 25 characters, or 40 characters without a space;
    - "unpunctuated": a turn of more words than a sentence may have and nothing to part them, or a sentence in which
      contractions have lost their apostrophes.
    """
    dropped = Counter() if dropped is None else dropped
    lines = [line.strip() for line in lines]
    by_turns = a_line_each(lines)
    for text in passages(lines, dropped):
        for sentence in SENTENCE_END.split(text):
            words = _words(sentence)
            if not FOREIGN.isdisjoint(words) and is_foreign(words):
                dropped["foreign"] += 1
            elif by_turns and not MISSPELT.isdisjoint(words):
                dropped["unpunctuated"] += 1
            elif len(words) > MAX_WORDS:
                yield from (" ".join(piece) for piece in _pieces(sentence, SPLITS))
            elif words:
                yield " ".join(words)


def passages(lines: Iterable[str], dropped: Counter[str]) -> Iterator[str]:
    """The paragraphs or turns of a plain text, with everything spelt out but with their case and marks.

    `sentences` says what is left out, and counted in `dropped`.
    """
    lines = [line.strip() for line in lines]
    for paragraph in turns(lines) if a_line_each(lines) else _paragraphs(lines):
        reason, text = _turn_text(paragraph) if isinstance(paragraph, str) else _paragraph_text(paragraph)
        if reason:
            dropped[reason] += 1
        else:
            yield text


def is_foreign(words: Sequence[str]) -> bool:
    """Whether a sentence, normalised, has more of the commonest words of other languages than of English ones."""
    foreign = sum(word in FOREIGN for word in words)
    return foreign > 1 and foreign > sum(word in ENGLISH for word in words)


def _paragraphs(lines: Iterable[str]) -> Iterator[list[str]]:
    paragraph: list[str] = []
    for line in lines:
        if line:
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []
    if paragraph:
        yield paragraph


def _turn_text(turn: str) -> tuple[str | None, str]:
    """The same as `_paragraph_text` of a turn."""
    reason, text = said(turn, MAX_WORDS)
    return (reason, "") if reason else _paragraph_text([text])


def _paragraph_text(lines: list[str]) -> tuple[str | None, str]:
    """Why the paragraph is left out (None: it stays), and its text with everything spelt out."""
    text = _fold(" ".join(lines))
    if NOTICE.search(text):
        return "notice", ""
    if (len(lines) > 1 and _most(GAP, lines)) or (len(text) < WRAPPED * len(lines) and _most(PAGE, lines)):
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
