import pickle
import sys
from itertools import product
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from asr.cli import app
from asr.lexicon.letter_to_sound import LetterToSound
from asr.lexicon.letter_to_sound import encode as encode_letters
from asr.lexicon.units import PHONES, CharacterUnits, PhoneUnits, PieceUnits, encode
from asr.training.letter_to_sound import LetterToSoundNetwork, train_letter_to_sound
from asr.training.pieces import train_pieces


def in_numpy(network: LetterToSoundNetwork) -> LetterToSound:
    return LetterToSound({name: weight.numpy() for name, weight in network.state_dict().items()}, PHONES)


def test_phones_come_from_the_dictionary_or_by_letter_to_sound() -> None:
    units = PhoneUnits({"READ": ["R EH D", "R IY D"]}, in_numpy(LetterToSoundNetwork(len(PHONES))))
    sent = pickle.loads(pickle.dumps(units))
    assert [sent.pronunciations(word) for word in ("READ", "NICE")] == list(map(units.pronunciations, ("READ", "NICE")))
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
    text, model = tmp_path / "text.txt", tmp_path / "new/pieces.model"
    text.write_text("HOW TO RECOGNIZE SPEECH\nHOW TO WRECK A NICE BEACH\n" * 20)
    train_pieces(text, model, 33)
    units = PieceUnits(model)
    assert len(units.symbols) == 1 + 33
    words = ["WRECK", "A", "NICE", "SPEECH"]
    assert "".join(units.symbols[unit] for unit in encode(units, words)) == "▁WRECK▁A▁NICE▁SPEECH"
    assert len(encode(units, ["SPEECH"])) < len("▁SPEECH")
    unheard = encode(units, ["JUMP", "X'Q"])  # letters that the text lacks
    assert units.symbols.index("<unk>") not in unheard
    before = model.read_bytes()
    train_pieces(text, model, 33)
    assert model.read_bytes() == before


def test_pieces_without_sentencepiece_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(ValueError, match=r"pieces\.model: pieces need SentencePiece: pip install sentencepiece"):
        PieceUnits(tmp_path / "pieces.model")


def test_a_text_that_has_not_so_many_pieces(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("SPEECH\n")
    for path, size, told in (
        (text, "500", f"error: {text}: can't choose 500 pieces: Vocabulary size too high"),
        (tmp_path / "none", "40", f"error: {tmp_path / 'none'}: no such text"),
    ):
        result = CliRunner().invoke(app, ["train-pieces", str(path), str(tmp_path / "pieces.model"), "--size", size])
        assert result.exit_code == 1
        assert result.stderr.startswith(told)
        assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [text]


def test_letter_to_sound_learns_a_regular_spelling(tmp_path: Path) -> None:
    sounds = dict(zip("ABDEFGHIK", "AE B D EH F G HH IH K".split(), strict=True))
    words = ["".join(letters) for letters in product("BDFGHK", "AEI", "BDFGHK", "AEI")]
    dictionary = {word: [" ".join(sounds[letter] for letter in word)] for word in words}
    model, wrong = train_letter_to_sound(dictionary, PHONES, epochs=60)
    assert wrong < 0.2
    model.save(tmp_path / "model.safetensors")
    loaded = LetterToSound.load(tmp_path / "model.safetensors", PHONES)
    assert [loaded.pronounce(word) for word in ("BADGE", "FIKA")] == ["B AE D G EH", "F IH K AE"]


def test_words_without_letters_are_not_pronounced() -> None:
    assert in_numpy(LetterToSoundNetwork(len(PHONES))).pronounce("") == ""


def test_letter_to_sound_in_numpy_is_the_network() -> None:
    torch.manual_seed(1)
    network = LetterToSoundNetwork(len(PHONES)).eval()
    model = in_numpy(network)
    for word in ("A", "I'LL", "RECOGNIZE"):
        path = network(torch.tensor([encode_letters(word)])).argmax(-1)
        units = torch.unique_consecutive(path).tolist()
        assert model.pronounce(word) == " ".join(PHONES[unit - 1] for unit in units if unit)
