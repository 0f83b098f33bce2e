from itertools import product
from pathlib import Path

import pytest

from asr.letter_to_sound import LetterToSound, train_letter_to_sound
from asr.units import PHONES, CharacterUnits, PhoneUnits, PieceUnits, encode


def test_phones_come_from_the_dictionary_or_by_letter_to_sound() -> None:
    units = PhoneUnits({"READ": ["R EH D", "R IY D"]}, LetterToSound(PHONES))
    assert [[units.symbols[unit] for unit in known] for known in units.pronunciations("READ")] == [
        ["R", "EH", "D"],
        ["R", "IY", "D"],
    ]
    assert len(units.pronunciations("NICEBEACH")) == 1
    assert encode(units, ["READ", "READ"]) == units.pronunciations("READ")[0] * 2


def test_characters_mark_where_words_begin() -> None:
    units = CharacterUnits()
    assert "".join(units.symbols[unit] for unit in encode(units, ["IT'S", "ME"])) == "▁IT'S▁ME"


def test_pieces_of_a_text_are_those_of_its_words(tmp_path: Path) -> None:
    import sentencepiece

    text = tmp_path / "text.txt"
    text.write_text("HOW TO RECOGNIZE SPEECH\nHOW TO WRECK A NICE BEACH\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "pieces"), vocab_size=22, minloglevel=2
    )
    units = PieceUnits(tmp_path / "pieces.model")
    words = ["WRECK", "A", "NICE", "SPEECH"]
    assert "".join(units.symbols[unit] for unit in encode(units, words)) == "▁WRECK▁A▁NICE▁SPEECH"
    assert min(encode(units, words)) > 0


def test_letter_to_sound_learns_a_regular_spelling(tmp_path: Path) -> None:
    sounds = dict(zip("ABDEFGHIK", "AE B D EH F G HH IH K".split(), strict=True))
    words = ["".join(letters) for letters in product("BDFGHK", "AEI", "BDFGHK", "AEI")]
    dictionary = {word: [" ".join(sounds[letter] for letter in word)] for word in words}
    model, wrong = train_letter_to_sound(dictionary, PHONES, epochs=60)
    assert wrong < 0.2
    model.save(tmp_path / "model.safetensors")
    assert LetterToSound.load(tmp_path / "model.safetensors", PHONES).pronounce_all(["BADGE", "", "FIKA"]) == [
        model.pronounce("BADGE"),
        "",
        model.pronounce("FIKA"),
    ]


def test_words_without_letters_are_not_pronounced() -> None:
    assert LetterToSound(PHONES).pronounce("") == ""


@pytest.mark.parametrize("word", ["A", "SPEECH"])
def test_pronunciation_does_not_depend_on_the_batch(word: str) -> None:
    model = LetterToSound(PHONES)
    assert model.pronounce_all(["RECOGNIZE", word, "I"])[1] == model.pronounce(word)
