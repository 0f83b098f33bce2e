import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lm.bundle import BundleError, open_bundle, write_bundle
from lm.cli import app
from lm.readable import Readable, Written
from lm.readable.marked import ENDS, MARKS
from lm.text.normalise import normalize


@pytest.fixture(scope="session")
def readable(bundle: Path) -> Readable:
    return Readable.open(bundle)


def text(written: list[Written]) -> str:
    return " ".join(token.text for token in written)


def write(readable: Readable, said: str, **options: object) -> str:
    return text(readable.write(said.split(), **options))  # type: ignore[arg-type]


def test_a_tiny_training_learns(readable: Readable) -> None:
    said = "WELL BOB HAS IT I SAW ANNA AND NASA SAW ME ARE YOU IN LONDON WE KNOW THAT CARLA WENT TO LONDON"
    assert write(readable, said) == (
        "Well, Bob has it. I saw Anna, and NASA saw me. Are you in London? We know that Carla went to London."
    )
    assert write(readable, said.lower()) == write(readable, said)


def test_tokens_say_which_words_they_stand_for(readable: Readable) -> None:
    words = "WE KNOW THAT BOB WENT TO LONDON AT THREE THIRTY P M".split()
    written = readable.write(words)
    assert [i for token in written for i in range(token.start, token.end)] == [*range(len(words))]
    assert written[-1][:2] == ("3:30 p.m.", 8)


def test_many_texts_as_each_by_itself(readable: Readable) -> None:
    texts = ["WELL BOB HAS IT".split(), [], "IS IT ANNA OR BOB WELL BOB HAS IT".split() * 40, ["YES"]]
    assert readable.write_all(texts) == [readable.write(words) for words in texts]


def test_numbers_titles_and_letters(readable: Readable) -> None:
    assert write(readable, "WELL MISTER BOB HAS IT").endswith("Mr. Bob has it.")
    assert "3:30 p.m." in write(readable, "BOB HAS IT AT THREE THIRTY P M")
    assert "FBI" in write(readable, "THE F B I HAS IT")


def test_words_of_the_users(readable: Readable) -> None:
    assert "has beachOS" in write(readable, "BOB HAS BEACHOS", forms={"beachos": "beachOS"})
    assert "Us" not in write(readable, "WE KNOW US", forms={"US": "US"})  # it would be read as two letters


def test_pauses_make_marks_likelier(readable: Readable) -> None:
    words = "WE KNOW THAT BOB WENT TO LONDON".split()
    none = readable.write(words, [0.2] * 7)
    assert none == readable.write(words)
    marks = readable.log_probs([words])[0][0][3]
    for pause, gain in ((0.4, 0.2), (0.5, 0.3), (1.5, 0.8)):  # of stops; of commas it is 0.3 at most
        paused = readable.write(words, [0.2, 0.2, 0.2, pause, 0.2, 0.2, 0.2])
        likely = [
            log_prob + readable.config.pause_weight * (gain if mark in ENDS else min(gain, 0.3))
            for mark, log_prob in zip(MARKS[1:], marks[1:], strict=True)
        ]
        assert (paused[3].text != none[3].text) == (max(likely) > marks[0])


def test_no_sentence_goes_on_over_a_long_pause(readable: Readable) -> None:
    words = "WE KNOW THAT BOB WENT TO LONDON".split()
    for place in range(6):
        written = readable.write(words, [2.0 if i == place else 0.2 for i in range(7)])
        assert written[place].text[-1] in ENDS
        assert written[place + 1].text[0].isupper()


HOSTILE = """II XI MS JAN US CO NO DR ST <unk> 3 é - ' I A O MC DOT COM POINT TWENTY HUNDRED AND O'BRIEN'S ROCK'N'ROLL
    CHAPTER PART NUMBER IN MISTER DOCTOR ET CETERA W U S P M FIVE FIRST MAY SECOND DOLLARS CENTS PER CENT VERSION L D
    THE""".split()


@given(st.lists(st.sampled_from(HOSTILE), max_size=12))
def test_hostile_words(readable: Readable, words: list[str]) -> None:
    """All of them are there, in their order; and are read as they were, where they are words and no numerals."""
    written = readable.write(words)
    assert [i for token in written for i in range(token.start, token.end)] == [*range(len(words))]
    spelled = {"".join(words[token.start : token.end]) for token in written}
    plain = normalize(" ".join(words).lower()) == words
    read = [part for word in normalize(text(written)) for part in (word if word in spelled - {*words} else [word])]
    assert read == words or not plain


def test_a_bundle_without_a_tagger_or_with_anothers_words(bundle: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "none", {}, {})
    with pytest.raises(BundleError, match=r"has no \[readable\]"):
        Readable.open(tmp_path / "none")
    opened = open_bundle(bundle)
    (tmp_path / "few.txt").write_text("the\n\n")
    files = {"readable.txt": tmp_path / "few.txt", "readable.safetensors": bundle / "readable.safetensors"}
    write_bundle(tmp_path / "other", {"readable": opened.config["readable"]}, files)
    with pytest.raises(BundleError, match=r"knows \d+ words, readable.txt has 1:"):
        Readable.open(tmp_path / "other")


def test_settings_are_checked(bundle: Path, tmp_path: Path) -> None:
    config = tomllib.loads((bundle / "config.toml").read_text())
    config["readable"]["bias"] = [1.0]
    write_bundle(tmp_path, config, {name: bundle / name for name in config["sha256"]})
    with pytest.raises(BundleError, match="bias has 1 numbers: want 8"):
        Readable.open(tmp_path)


def test_what_is_written_already_is_read_first(bundle: Path) -> None:
    run = CliRunner()
    for before, said in (
        ("Dr. Smith's 3rd", "DOCTOR SMITH'S THIRD"),
        ("DR. SMITH'S 3RD", "DOCTOR SMITH'S THIRD"),
        ("how are you? i am fine!", "HOW ARE YOU I AM FINE"),
        ("I paid $5.50 (twice).", "I PAID FIVE DOLLARS AND FIFTY CENTS TWICE"),
        ("the Caf\u00e9 Na\u00efve", "THE CAFE NAIVE"),
    ):
        written, again = (run.invoke(app, ["readable", item, "--bundle", str(bundle)]) for item in (before, said))
        assert (written.exit_code, written.stdout) == (0, again.stdout)
        assert normalize(written.stdout) == said.split()
    foreign = run.invoke(app, ["readable", "\u041f\u0440\u0438\u0432\u0435\u0442", "", "--bundle", str(bundle)])
    assert (foreign.exit_code, foreign.stdout) == (0, "\n\n")
    assert "left out: \u041f\u0440\u0438\u0432\u0435\u0442" in foreign.stderr


def test_the_commands(folder: Path, bundle: Path) -> None:
    said = "well bob has it"
    result = CliRunner().invoke(app, ["readable", said, "are you in london", "--bundle", str(bundle)])
    assert result.stdout == "Well, Bob has it.\nAre you in London?\n"
    result = CliRunner().invoke(app, ["readable", "-", "--json", "--bundle", str(bundle)], input=f"{said}\n\n")
    assert json.loads(result.stdout)[0][0] == {"text": "Well,", "words": ["WELL"]}
    assert json.loads(result.stdout)[1] == []
    evaluate = ["evaluate-readable", str(folder / "text"), "--heldout-share", "0.01", "--bundle", str(bundle)]
    scores = json.loads(CliRunner().invoke(app, [*evaluate, "--json"]).stdout)
    assert scores["marks"]["."]["f1"] > 0.9
    assert scores["case"] > 0.95
    assert scores["texts"] == 1
    passages = json.loads(CliRunner().invoke(app, [*evaluate, "--passages", "--json"]).stdout)
    assert passages["last_mark"] > 0.9
    assert CliRunner().invoke(app, evaluate).stdout.startswith("mark  precision")
    missing = CliRunner().invoke(app, ["evaluate-readable", str(folder / "none"), "--bundle", str(bundle)])
    assert missing.exit_code == 1
    assert "no such folder" in missing.stderr
