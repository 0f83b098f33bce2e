"""Words and their ids."""

from __future__ import annotations

import re
import warnings
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np

from lm.files import open_text

UNKNOWN, START, END = 0, 1, 2
SPECIAL_WORDS = ("<unk>", "<s>", "</s>")

WORD = re.compile(r"[A-Z']*[A-Z][A-Z']*")


class UnknownWordWarning(UserWarning):
    """Some `words` are read or scored as `<unk>`, since the vocabulary lacks them."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(f"not in the vocabulary, taken as {SPECIAL_WORDS[UNKNOWN]}: {', '.join(words)}")
        self.words = words


class LeftOutWarning(UnknownWordWarning):
    """Some `words` are in letters that no word of English has; they aren't even read as `<unk>`."""

    def __init__(self, words: Sequence[str]) -> None:
        UserWarning.__init__(self, f"in no letters of English, left out: {', '.join(words)}")
        self.words = words


class MissingWordsWarning(UserWarning):
    """A model lacks many words of the vocabulary that it is asked for: it was made for another one."""


class PackedWords:
    """Words as arrays, which processes may share; a list and a dict of 100,000 words are 14 MB in each of them."""

    def __init__(self, text: np.ndarray, bounds: np.ndarray, order: np.ndarray) -> None:
        """text: UTF-8 of all words, uint8. bounds: where each begins and the last ends, int32 [V + 1].
        order: ids by the words' bytes, int32 [V].
        """
        self._arrays = text, bounds, order
        self.get = lru_cache(1 << 12)(self._get)

    @classmethod
    def of(cls, words: Iterable[str]) -> PackedWords:
        listed = [word.encode() for word in words]
        bounds = np.cumsum([0, *map(len, listed)], dtype=np.int32)
        order = np.array(sorted(range(len(listed)), key=listed.__getitem__), np.int32)
        return cls(np.frombuffer(b"".join(listed), np.uint8), bounds, order)

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedWords, self._arrays

    def _bytes(self, id: int) -> bytes:
        text, bounds, _ = self._arrays
        return text[bounds[id] : bounds[id + 1]].tobytes()

    def _get(self, word: str, default: int) -> int:
        """The id of a word, as of a dict."""
        order, sought = self._arrays[2], word.encode(errors="surrogatepass")
        place = bisect_left(order, sought, key=self._bytes)
        return int(order[place]) if place < len(order) and self._bytes(order[place]) == sought else default

    @overload
    def __getitem__(self, id: int) -> str: ...
    @overload
    def __getitem__(self, id: slice) -> list[str]: ...
    def __getitem__(self, id: int | slice) -> str | list[str]:
        ids = range(len(self))[id]
        return self._bytes(ids).decode() if isinstance(ids, int) else [self._bytes(id).decode() for id in ids]

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self.get(word, -1) >= 0

    def __len__(self) -> int:
        return len(self._arrays[2])

    def __iter__(self) -> Iterator[str]:
        return iter(self[:])


class Vocabulary(Sequence[str]):
    """Words in the order of their ids: `<unk>`, `<s>`, `</s>`, then the commonest first (as adaptive softmax wants).

    >>> vocabulary = Vocabulary(["THE", "SPEECH"])
    >>> vocabulary.encode(["THE", "NICE", "SPEECH"])
    [3, 0, 4]
    >>> vocabulary[4]
    'SPEECH'
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words: list[str] | PackedWords = [*SPECIAL_WORDS, *words]
        self._ids: dict[str, int] | PackedWords = {word: i for i, word in enumerate(self._words)}
        if len(self._ids) < len(self._words):
            word = Counter(self._words).most_common(1)[0][0]
            raise ValueError(f"vocabulary: {word!r} stands more than once; keep one")

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """A file that `save` wrote: one word a line, commonest first, without the three special words.

        Errors: FileNotFoundError; ValueError naming the first line that holds no word or a word again.
        """
        words = []
        with open_text(path) as file:
            for number, line in enumerate(file, 1):
                word = line.strip()
                if not WORD.fullmatch(word):
                    raise ValueError(f"{path}:{number}: {word!r} is no word of letters A–Z and apostrophes")
                words.append(word)
        try:
            return cls(words)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def save(self, path: Path) -> None:
        with open_text(path, "wt") as file:
            file.writelines(f"{word}\n" for word in self._words[len(SPECIAL_WORDS) :])

    def __getstate__(self) -> dict[str, PackedWords]:
        """What other processes get."""
        packed = PackedWords.of(self._words)
        return {"_words": packed, "_ids": packed}

    def encode(self, words: Iterable[str]) -> list[int]:
        """Ids of the words, UNKNOWN for those that are not in the vocabulary."""
        return [self._ids.get(word, UNKNOWN) for word in words]

    def warn_unknown(self, words: Iterable[str], stacklevel: int = 1) -> None:
        """Warn, by an UnknownWordWarning, of words that it lacks; stacklevel: 1 blames the caller, 2 its caller."""
        unknown = [word for word in dict.fromkeys(words) if word not in self]
        if unknown:
            warnings.warn(UnknownWordWarning(unknown), stacklevel=stacklevel + 1)

    @overload
    def __getitem__(self, id: int) -> str: ...
    @overload
    def __getitem__(self, id: slice) -> list[str]: ...
    def __getitem__(self, id: int | slice) -> str | list[str]:
        return self._words[id]

    def index(self, word: str, start: int = 0, stop: int | None = None) -> int:
        """The id of a word; ValueError if the vocabulary lacks it. Looked up, where a sequence would search."""
        id = self._ids.get(word, -1)
        if id not in range(len(self))[start:stop]:
            raise ValueError(f"{word!r} is not in the vocabulary")
        return id

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __len__(self) -> int:
        return len(self._words)

    def __iter__(self) -> Iterator[str]:
        """All words in the order of their ids, the special ones too."""
        return iter(self._words)


def count_words(lines: Iterable[str]) -> Counter[str]:
    """How often each word stands in normalised sentences (one a line, as `lm.text.normalise` writes them)."""
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line.split())
    return counts


def read_counts(path: Path) -> Counter[str]:
    """A file of `word<tab>count` lines, in either case. Errors: FileNotFoundError; ValueError naming a bad line."""
    counts: Counter[str] = Counter()
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            word, _, count = line.strip().partition("\t")
            if not count.isdigit():
                raise ValueError(f"{path}:{number}: want a word, a tab and its count, not {line.strip()!r}")
            counts[word.upper()] += int(count)
    return counts


def common_words(counts: Sequence[Mapping[str, int]], alone: int) -> Counter[str]:
    """How often words stand in several texts together: those that stand in two of them or more, or `alone` times.

    A name or a slip of the pen that a single source has a few times says nothing of what is said elsewhere.
    """
    total, texts = Counter[str](), Counter[str]()
    for own in counts:
        total.update(own)
        texts.update(own.keys())
    return Counter({word: count for word, count in total.items() if texts[word] > 1 or count >= alone})


def build_vocabulary(
    counts: Mapping[str, int], size: int, speech_counts: Mapping[str, int] | None = None
) -> Vocabulary:
    """The `size` commonest words (the special ones not counted), ties in alphabetical order.

    `counts` come from the text that a language model is to be trained on. `speech_counts` from transcripts are raised
    to the same total and added: transcripts are fewer words but nearer to what is to be recognised. A word that the
    text lacks altogether is left out, since nothing could be learnt of it.
    """
    total, speech_total = sum(counts.values()), sum((speech_counts or {}).values())
    scale = total / speech_total if speech_total else 0.0
    weights = {
        word: count + scale * (speech_counts or {}).get(word, 0)
        for word, count in counts.items()
        if WORD.fullmatch(word)
    }
    return Vocabulary(sorted(weights, key=lambda word: (-weights[word], word))[:size])


def oov_rate(lines: Iterable[str], vocabulary: Vocabulary) -> float:
    """The share of a text's words that the vocabulary lacks. Errors: ValueError for a text without words."""
    counts = count_words(lines)
    if not counts:
        raise ValueError("out-of-vocabulary rate: the text has no words")
    return sum(count for word, count in counts.items() if word not in vocabulary) / counts.total()
