"""Said words as they are written, by the tagger for case and marks and by rules for numbers."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lm.bundle import DEFAULT, BundleError, Dequantized, open_bundle
from lm.readable.forms import Forms, Places, Words
from lm.readable.marked import CAPITAL, ENDS, MARKS, OWN, Marked, case_of
from lm.readable.numbers import read_again, written_together
from lm.readable.tagger import ENDINGS, Tagger, TaggerConfig, unknown_id
from lm.settings import NotNegative, Number
from lm.text.normalise import WORD, normalize

# Pauses, in seconds: of this length they say nothing of marks; of this or longer ones as much as they can of marks
# within sentences, and of those that end them; and no sentence goes on over one as long.
USUAL_PAUSE, CLAUSE_PAUSE, SENTENCE_PAUSE, LONG_PAUSE = 0.2, 0.5, 1.0, 2.0
WITHIN = np.array([mark not in ENDS for mark in MARKS])
TITLES = {"MISTER": "Mr.", "MISSUS": "Mrs.", "DOCTOR": "Dr."}


@dataclass(frozen=True)
class ReadableConfig:
    """Settings of a bundle's [readable]."""

    tagger: TaggerConfig
    # What a second of pause adds to the log-odds of a mark; tuned on four of the readers that the acoustic model was
    # trained on, against their books.
    pause_weight: NotNegative = 4.0
    bias: list[Number] = field(default_factory=lambda: [0.0] * len(MARKS))  # of log P of MARKS

    def __post_init__(self) -> None:
        if len(self.bias) != len(MARKS):
            raise ValueError(f"readable.bias has {len(self.bias)} numbers: want {len(MARKS)}, one a mark")


class Written(NamedTuple):
    """A written token, with the mark after it, and the said words [start, end) that it stands for."""

    text: str
    start: int
    end: int


class Readable:
    """Writes said words; opened from a bundle."""

    def __init__(self, config: ReadableConfig, tagger: Tagger, words: Words) -> None:
        self.config, self._tagger = config, tagger
        self._known = Places(words.words)
        # Of words that the tagger knows it tells itself where they have a capital.
        self._forms = Forms(
            {word: form for word, form in words.forms.items() if case_of(form) == OWN or word not in self._known}
        )

    @classmethod
    def open(cls, bundle: Path = DEFAULT) -> Readable:
        """That of a model folder. Raises BundleError if it has none."""
        opened = open_bundle(bundle)
        config = opened.read(ReadableConfig, "readable")
        tagger = Tagger(config.tagger, Dequantized(opened.file("readable.safetensors")))
        words = Words.load(opened.file("readable.txt"))
        if len(words.words) != config.tagger.vocabulary:
            known = f"{config.tagger.vocabulary} words, readable.txt has {len(words.words)}"
            raise BundleError(f"{bundle}: its tagger knows {known}: they are of different models")
        return cls(config, tagger, words)

    def write(
        self, words: Sequence[str], pauses: Sequence[float] | None = None, forms: Mapping[str, str] | None = None
    ) -> list[Written]:
        """How words are written that were said one after another.

        pauses: seconds after each word. forms: how words are to be written, such as names, by the word in any case.
        In what is written lm.text reads just what was said again; but letters said one by one that are written as one
        name (F B I) are read as a word then.
        """
        return self.write_all([words], None if pauses is None else [pauses], forms)[0]

    def write_all(
        self,
        texts: Sequence[Sequence[str]],
        pauses: Sequence[Sequence[float]] | None = None,
        forms: Mapping[str, str] | None = None,
    ) -> list[list[Written]]:
        """The same of several texts, each by itself."""
        return [writer.text() for writer in self._writers(texts, pauses, forms or {})]

    def _writers(
        self, texts: Sequence[Sequence[str]], pauses: Sequence[Sequence[float]] | None, forms: Mapping[str, str]
    ) -> Iterator[_Writer]:
        said = [[word.upper() for word in words] for words in texts]
        given = {word.upper(): form for word, form in forms.items()}
        for words, (marks, cases) in zip(said, self.tags(said, pauses), strict=True):
            yield _Writer(words, marks, cases, lambda word: given.get(word) or self._forms.get(word), self._known)

    def marked(self, texts: Sequence[Sequence[str]]) -> list[list[Marked]]:
        """Each word by itself: its case and the mark after it, with numbers in words."""
        return [
            [Marked(writer.form(i), MARKS.index(mark)) for i, mark in enumerate(writer.marks)]
            for writer in self._writers(texts, None, {})
        ]

    def log_probs(self, texts: Sequence[Sequence[str]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """What the tagger says of each text's words, in capitals: see Tagger.log_probs."""
        return self._tagger.log_probs([[self._id(word) for word in words] for words in texts])

    def _id(self, word: str) -> int:
        place = self._known.get(word)
        return unknown_id(word) if place is None else 1 + ENDINGS + place

    def tags(
        self, texts: Sequence[Sequence[str]], pauses: Sequence[Sequence[float]] | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each text's words, in capitals, which of MARKS comes next, and LOWER, CAPITAL or OWN: int [words] each."""
        tags = []
        for number, (marks, cases) in enumerate(self.log_probs(texts)):
            marks += np.array(self.config.bias, np.float32)
            if pauses is not None:
                seconds = np.array(pauses[number], np.float32)[:, None]
                counted = np.minimum(seconds, np.where(WITHIN, CLAUSE_PAUSE, SENTENCE_PAUSE)) - USUAL_PAUSE
                marks[:, 1:] += self.config.pause_weight * counted[:, 1:]
                marks[(seconds >= LONG_PAUSE) & WITHIN] = -np.inf
            marks[-1:, WITHIN] = -np.inf
            tags.append((marks.argmax(1), cases.argmax(1)))
        return tags


class _Writer:
    """Writes a text sentence by sentence, each as boldly as it is still read as what was said."""

    # What is done, the boldest first: numbers in figures and other tokens of several words; words' own forms; marks;
    # capitals.
    WAYS = tuple((done > 3, done > 2, done > 1, done > 0) for done in (4, 3, 2, 1, 0))

    def __init__(
        self,
        words: Sequence[str],
        marks: np.ndarray,
        cases: np.ndarray,
        form: Callable[[str], str | None],
        known: Container[str],
    ) -> None:
        """form: how a word is written by itself, if it has a way of its own. known: words that the tagger knows."""
        self._words, self._own, self._known = words, form, known
        self.marks: list[str] = [MARKS[mark] for mark in marks]
        self._cases: list[int] = cases.tolist()

    def text(self) -> list[Written]:
        result: list[Written] = []
        ends = [i + 1 for i, mark in enumerate(self.marks) if mark in ENDS]
        before: list[Written] = []
        for start, end in pairwise([0, *ends]):
            for way in self.WAYS:
                sentence = [*self._sentence(start, end, *way)]
                if self._holds([*before, *sentence]):
                    break
            result += sentence
            before = sentence
        return result

    def _holds(self, written: Sequence[Written]) -> bool:
        """Whether what is written is read as what was said."""
        said: list[str] = []
        spelled: set[str] = set()  # FBI, where F B I was said
        for token in written:
            words = self._words[token.start : token.end]
            if len(words) > 1 and token.text.startswith("".join(words)):
                spelled.add("".join(words))
            for word in words:
                said += [word] if WORD.fullmatch(word) else read_again(word)
        read = normalize(" ".join(token.text for token in written))
        return said == [part for word in read for part in (word if word in spelled else [word])]

    def _sentence(
        self, start: int, end: int, together: bool, own: bool, marked: bool, capitals: bool
    ) -> Iterator[Written]:
        words = self._words[start:end]
        tokens = written_together(words, [bool(mark) for mark in self.marks[start:end]]) if together else []
        following = iter(tokens)
        token = next(following, None)
        i = 0
        while i < len(words):
            if token and token.start == i:
                text, after = token.text, token.end
                token = next(following, None)
            else:
                title = self._title(start + i) if together else None
                text, after = title or (self.form(start + i, own) if capitals else words[i].lower()), i + 1
            if i == 0 and text.islower() and capitals:
                text = text[:1].upper() + text[1:]
            mark = self.marks[start + after - 1] if marked else ""
            if mark == "—":
                text += " "
            if not (mark == "." and text.endswith(".")):
                text += mark
            yield Written(text, start + i, start + after)
            i = after

    def _title(self, place: int) -> str | None:
        """Mr. before a name."""
        named = place + 1 < len(self._words) and self._cases[place + 1] == CAPITAL and not self.marks[place]
        return TITLES.get(self._words[place]) if named else None

    def form(self, place: int, own: bool = True) -> str:
        """How a word is written by itself; own: in its own way, too, where it has one."""
        word, case = self._words[place], self._cases[place]
        form = self._own(word)
        if own and form:
            return form
        if own and case == OWN and word not in self._known:
            return word
        begins = place == 0 or self.marks[place - 1] in ENDS
        letter = word[1:2] in ("", "'") and word[:1] != "A"  # B, and I'm
        if letter or case == CAPITAL or begins:
            return word.capitalize()
        return word.lower()
