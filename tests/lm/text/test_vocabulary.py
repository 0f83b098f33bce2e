import pickle
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lm.cli import app
from lm.text.vocabulary import (
    END,
    START,
    UNKNOWN,
    Vocabulary,
    build_vocabulary,
    common_words,
    count_words,
    oov_rate,
    read_counts,
)


def test_ids_and_words() -> None:
    vocabulary = Vocabulary(["THE", "SPEECH"])
    assert [vocabulary[i] for i in (UNKNOWN, START, END)] == ["<unk>", "<s>", "</s>"]
    assert vocabulary.encode(["THE", "NICE", "SPEECH"]) == [3, UNKNOWN, 4]
    assert list(vocabulary) == ["<unk>", "<s>", "</s>", "THE", "SPEECH"]
    assert len(vocabulary) == 5
    assert "SPEECH" in vocabulary
    assert "NICE" not in vocabulary


@pytest.mark.parametrize("sent", [False, True], ids=["here", "sent to another process"])
def test_is_a_sequence(sent: bool) -> None:
    words = ["<unk>", "<s>", "</s>", "THE", "SPEECH"]
    vocabulary = Vocabulary(words[3:])
    if sent:
        vocabulary = pickle.loads(pickle.dumps(vocabulary))
    assert isinstance(vocabulary, Sequence)
    assert (vocabulary[1:], vocabulary[-1], list(reversed(vocabulary))) == (words[1:], words[-1], words[::-1])
    assert [vocabulary.index(word) for word in words] == [0, 1, 2, 3, 4]
    assert vocabulary.index("SPEECH", 4) == 4
    for found in (lambda: vocabulary.index("NICE"), lambda: vocabulary.index("THE", 4)):
        with pytest.raises(ValueError, match="is not in the vocabulary"):
            found()
    assert vocabulary.encode(["", "SPEECHES", "\N{SNOWMAN}", "\udcff", "THE"]) == [UNKNOWN] * 4 + [3]
    assert (list(vocabulary), 3 in vocabulary) == (words, False)


def test_comes_back_from_its_file(tmp_path: Path) -> None:
    Vocabulary(["THE", "O'CLOCK"]).save(tmp_path / "words.txt")
    assert list(Vocabulary.load(tmp_path / "words.txt")) == list(Vocabulary(["THE", "O'CLOCK"]))


@pytest.mark.parametrize(
    ("text", "problem"), [("THE\nSP EECH\n", r":2: 'SP EECH'"), ("THE\nTHE\n", "'THE' stands more")]
)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "words.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=problem):
        Vocabulary.load(path)


def test_takes_the_commonest_words_of_text_and_transcripts() -> None:
    counts = count_words(["A B A C", "D B D '"])
    assert list(build_vocabulary(counts, 3))[3:] == ["A", "B", "D"]
    # Transcripts weigh as much as the text, but bring in no word that the text lacks.
    assert list(build_vocabulary(counts, 3, {"C": 3, "X": 3}))[3:] == ["C", "A", "B"]


def test_a_word_of_one_text_alone_must_be_frequent_there() -> None:
    counts = [count_words(["A A B B C"]), count_words(["C D D D"])]
    assert common_words(counts, 3) == {"C": 2, "D": 3}
    assert common_words(counts, 1) == {"A": 2, "B": 2, "C": 2, "D": 3}


def test_command_takes_several_texts(tmp_path: Path) -> None:
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path, text in zip(paths, ("A A B B C\n", "C D D D\n"), strict=True):
        path.write_text(text)
    arguments = ["build-vocabulary", *map(str, paths), "--alone", "3", "--output", str(tmp_path / "words.txt")]
    assert "2 words, 55.56% of the text's" in CliRunner().invoke(app, arguments).stderr
    assert (tmp_path / "words.txt").read_text() == "D\nC\n"


def test_rate_of_words_outside() -> None:
    assert oov_rate(["A B", "C A"], Vocabulary(["A"])) == 0.5
    with pytest.raises(ValueError, match="no words"):
        oov_rate([], Vocabulary(["A"]))


def test_reads_counts(tmp_path: Path) -> None:
    path = tmp_path / "counts.txt"
    path.write_text("the\t3\nspeech\t1\n")
    assert read_counts(path) == {"THE": 3, "SPEECH": 1}
    path.write_text("the 3\n")
    with pytest.raises(ValueError, match=":1: want a word"):
        read_counts(path)


def test_command_reports_what_held_out_texts_lack(tmp_path: Path) -> None:
    text, heldout, output = tmp_path / "text.txt", tmp_path / "heldout.txt", tmp_path / "words.txt"
    text.write_text("A B A C\nA B\n")
    heldout.write_text("A, b.\n\nC? D!\n")
    arguments = ["build-vocabulary", text, "--output", output, "--size", 2, "--heldout", heldout]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert output.read_text() == "A\nB\n"
    assert result.stdout == ""
    assert f"{output}: 2 words, 83.33% of the text's" in result.stderr
    assert f"{heldout}: 50.00% of the words are out of vocabulary" in result.stderr
