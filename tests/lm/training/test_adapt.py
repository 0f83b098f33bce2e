import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lm.bundle import open_bundle, write_bundle
from lm.query import MODELS, Models, open_models, word_probability
from lm.text.vocabulary import START
from lm.training import adapt as adapting
from lm.training.adapt import FENCED, adapt

TEXT = """The old man wishes to speak to Zorblax again. Zorblax knows how to sing.

The API of Zorblax is old, and the APIs of the NASA machine will sing. The NVMe will speak to the SQL again.
With ease she will find Zorblax. He can read the words of Kryptonel's machine!
"""


@pytest.fixture
def model(bundle: Path, tmp_path: Path) -> Path:
    """The tiny bundle with a lexicon, as bundles with an acoustic model have one."""
    letters = "".join(f"{letter}\t{letter} {letter}\n" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    (tmp_path / "lexicon.txt").write_text(f"A\tAH\n{letters}")
    opened = open_bundle(bundle)
    files = {name: opened.file(name) for name in opened.config["sha256"]} | {"lexicon.txt": tmp_path / "lexicon.txt"}
    return write_bundle(tmp_path / "model", opened.config, files).folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text.md").write_text(TEXT)
    return tmp_path / "text.md"


def test_new_words_are_expected_where_the_text_has_them(
    model: Path, text: Path, models: Models, tmp_path: Path
) -> None:
    made = adapt([text], tmp_path / "mine", model)
    assert made.new[0] == "ZORBLAX"
    mine = open_models(tmp_path / "mine")
    assert list(mine.vocabulary) == [*models.vocabulary, *made.new]
    for name in ("ngram", "mixture"):
        after = word_probability(mine[name], "Speak to", "zorblax")
        assert after > 2 * word_probability(mine[name], "Speak with", "zorblax")


@pytest.mark.parametrize("name", MODELS)
def test_its_distributions_sum_to_one(name: str, model: Path, text: Path, tmp_path: Path) -> None:
    adapt([text], tmp_path / "mine", model)
    mine = open_models(tmp_path / "mine")[name]
    every = [id for id in range(len(mine.vocabulary)) if id != START]
    for words in ([], ["THE", "OLD"], ["SPEAK", "TO", "ZORBLAX"], ["NVME"]):
        state = mine.read(mine.initial(), mine.vocabulary.encode(words))
        scores, _ = mine.score([state] * len(every), every)
        assert np.exp(scores, dtype=np.float64).sum() == pytest.approx(1, abs=1e-4)
        assert scores == pytest.approx(mine.next_words(state)[every], abs=1e-3)


def test_other_words_lose_a_twentieth_at_most(model: Path, text: Path, models: Models, tmp_path: Path) -> None:
    made = adapt([text], tmp_path / "mine", model)
    assert 0 < made.weight <= 0.05
    mine, words = open_models(tmp_path / "mine"), ["THEY", "LEARNT", "TO", "WRECK", "A", "NICE", "BEACH"]
    before, after = (each.ngram.log_probs([each.vocabulary.encode(words)])[0] for each in (models, mine))
    assert (np.exp(after - before) > 0.95 * 0.95).all()  # tiny.bin is rounded to 8 bits


def test_initialisms_are_spelled(model: Path, text: Path, tmp_path: Path) -> None:
    made = adapt([text], tmp_path / "mine", model)
    assert sorted(made.spelled) == ["API", "APIS", "NVME", "SQL"]
    added = (tmp_path / "mine/lexicon.txt").read_text().splitlines()[27:]
    assert sorted(added) == [
        "API\tA A P P I I",
        "APIS\tA A P P I I Z",
        "NVME\tN N V V M M E E",
        "SQL\tS S Q Q L L",
    ]


def test_the_rest_of_the_model_is_the_same(model: Path, text: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    adapt([text], tmp_path / "mine", model)
    assert before == {path.name: path.read_bytes() for path in model.iterdir()}
    mine = open_bundle(tmp_path / "mine")
    assert mine.config["sha256"].keys() == open_bundle(model).config["sha256"].keys()
    for name in mine.config["sha256"]:
        mine.file(name)  # whose checksum is right
    assert mine.config["mixture"] == open_bundle(model).config["mixture"]


def test_an_adapted_model_can_be_adapted_again(model: Path, text: Path, tmp_path: Path) -> None:
    adapt([text], tmp_path / "mine", model)
    (tmp_path / "more.txt").write_text("Zorblax met Quillan. Quillan knows how to speak.")
    made = adapt([tmp_path / "more.txt"], tmp_path / "more", tmp_path / "mine")
    assert "QUILLAN" in made.new
    assert "ZORBLAX" not in made.new
    assert word_probability(open_models(tmp_path / "more")["mixture"], "Zorblax met", "Quillan") > 0


def test_a_folder_has_its_texts_read(model: Path, text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    (folder / "deep").mkdir(parents=True)
    text.rename(folder / "deep/text.md")
    (folder / "picture.png").write_bytes(b"\x89PNG\0")
    (folder / "notes.txt").write_text("The old machine of Ferrovax knows how.\nFerrovax wishes to sing.\n")
    assert {"ZORBLAX", "FERROVAX"} <= set(adapt([folder], tmp_path / "mine", model).new)


def test_what_stands_between_fences_is_left_out() -> None:
    programs = "```pycon\n>>> go = Go()\n```\n", "````sh\n```\ngo --far\n````\n"
    text = "We go.\n{}They ``` come.\n{}It is open:\n```\nand stays"
    assert FENCED.sub("", text.format(*programs)) == text.format("\n", "\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no sentences of English in it .no words.; give plain text"),
        (b"  \n\n ...\n", "no sentences of English"),
        (b"One sentence alone.", "one sentence alone; give more"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0", "no text .it holds zero bytes."),
        (b"caf\xe9 au lait", "not UTF-8 text"),
        (
            b"Nicht mit dem Kopf durch die Wand, und ich sie nicht.\n\nDas ist nicht ein Haus.",
            "of kind 'foreign'",
        ),
        ("Слово за слово.\n\nИ ещё.".encode(), "no sentences of English"),
        (None, "no such file|No such file"),
    ],
)
def test_what_is_no_text_is_told(content: bytes | None, message: str, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "input.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((ValueError, OSError), match=message) as error:
        adapt([path], tmp_path / "mine", model)
    assert "input.txt" in str(error.value)
    assert not (tmp_path / "mine").exists()


def test_too_much_text_is_told(model: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapting, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match=r"text\.md: 0 MB of text: .* `lm build-ngram` estimates models of so much"):
        adapt([text], tmp_path / "mine", model)


def test_the_model_itself_is_no_place_for_the_new_one(model: Path, text: Path) -> None:
    with pytest.raises(ValueError, match="is the model itself; name another folder"):
        adapt([text], model, model)


def test_an_empty_folder_is_told(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty: no \.txt or \.md files in it"):
        adapt([tmp_path / "empty"], tmp_path / "mine", model)


def test_needs_no_torch() -> None:
    program = "import sys, lm.training.adapt; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
