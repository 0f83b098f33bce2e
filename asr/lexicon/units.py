"""What the acoustic model emits: phones, characters or SentencePiece pieces, behind one protocol.

Unit 0 is always the CTC blank. A word is spelled by a sequence of units that doesn't depend on its neighbours, so that
a text is the concatenation of its words' units: characters and pieces mark the beginning of a word by "▁".
"""

from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from asr.lexicon.letter_to_sound import LETTERS, LetterToSound

BLANK = 0
SAID, NEXT = b"\xfe", b"\xff"  # in no UTF-8, nor are there so many phones
WORD_START = "▁"
# ARPAbet without stress, as CMUdict writes it.
PHONES = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split()


class Units(Protocol):
    """The units of one acoustic model."""

    symbols: list[str]  # symbols[0] is the blank

    def pronunciations(self, word: str) -> list[list[int]]:
        """All ways to spell a word in unit ids, the most usual first."""


def encode(units: Units, words: list[str]) -> list[int]:
    """The unit ids of a text, by each word's first pronunciation."""
    return [unit for word in words for unit in units.pronunciations(word)[0]]


class PhoneUnits:
    """39 phones; words outside the dictionary are pronounced by the letter-to-sound model."""

    def __init__(self, dictionary: dict[str, list[str]], letter_to_sound: LetterToSound) -> None:
        """dictionary: word -> pronunciations such as "S P IY CH", the most usual first."""
        self.symbols = ["<blank>", *PHONES]
        self._letter_to_sound = letter_to_sound
        self._ids = {symbol: index for index, symbol in enumerate(self.symbols)}
        # A word's pronunciations, a byte a phone, with blanks between them: a third of the memory of what came in.
        self._known = {word: self._packed(pronunciations) for word, pronunciations in dictionary.items()}
        self._entries: np.ndarray  # the same, in a process that was sent this

    def _packed(self, pronunciations: list[str]) -> bytes:
        units = [bytes(map(self._ids.__getitem__, pronunciation.split())) for pronunciation in pronunciations]
        return bytes([BLANK]).join(units)

    def __getstate__(self) -> dict[str, Any]:
        """What other processes get: bytes, which they may share, and not 13 MB each until one asks for a new word."""
        entries = b"".join(word.encode() + SAID + packed + NEXT for word, packed in self._known.items())
        state = {**self.__dict__, "_entries": np.frombuffer(entries, np.uint8)}
        del state["_known"]
        return state

    @cached_property
    def _known(self) -> dict[str, bytes]:
        entries = (entry.split(SAID) for entry in self._entries.tobytes().split(NEXT)[:-1])
        return {word.decode(): packed for word, packed in entries}

    def pronunciations(self, word: str) -> list[list[int]]:
        known = self._known.get(word)
        if known is None:
            known = self._known[word] = self._packed([self._letter_to_sound.pronounce(word)])
        return [list(units) for units in known.split(bytes([BLANK]))]


class CharacterUnits:
    """Letters and the apostrophe, each word preceded by "▁"."""

    def __init__(self) -> None:
        self.symbols = ["<blank>", WORD_START, *LETTERS]

    def pronunciations(self, word: str) -> list[list[int]]:
        return [[self.symbols.index(letter) for letter in WORD_START + word]]


class PieceUnits:
    """SentencePiece pieces (Kudo and Richardson 2018) of a model trained on upper-case words."""

    def __init__(self, model: Path) -> None:
        try:
            from sentencepiece import SentencePieceProcessor

            self._model = SentencePieceProcessor(model_file=str(model))
        except ImportError:
            raise ValueError(f"{model}: pieces need SentencePiece: pip install sentencepiece") from None
        except RuntimeError:
            raise ValueError(f"{model}: not a SentencePiece model; asr train-pieces makes one") from None
        pieces = [self._model.id_to_piece(index) for index in range(self._model.get_piece_size())]
        self.symbols = ["<blank>", *pieces]

    def pronunciations(self, word: str) -> list[list[int]]:
        return [[index + 1 for index in self._model.encode(word)]]
