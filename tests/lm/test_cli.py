import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from lm.cli import app
from lm.cli.options import Model
from lm.ngram.model import NgramModel
from lm.ngram.trie import read_trie
from lm.query import MODELS, Models, fill, next_words, perplexity, score_sentences, word_probability
from lm.text.vocabulary import Vocabulary

# They are named on stderr; what they are compared with warns.
pytestmark = pytest.mark.filterwarnings("ignore::lm.text.vocabulary.UnknownWordWarning")

REPOSITORY = Path(__file__).parents[2]


def run(*arguments: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def parsed(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_names_of_models_are_the_librarys() -> None:
    assert tuple(Model) == MODELS


@pytest.mark.parametrize("name", MODELS)
def test_next_words(bundle: Path, models: Models, name: str) -> None:
    result = run("next", "The nice", "--model", name, "--top", 4, "--json", "--bundle", bundle)
    answer = parsed(result)
    assert (answer["history"], answer["model"]) == ("THE NICE", name)
    assert answer["total"] == pytest.approx(1, abs=1e-5)
    words = next_words(models[name], ["THE", "NICE"], top=4)
    assert answer["words"] == [{"word": word, "probability": probability} for word, probability in words]


def test_next_words_by_default_are_ten_of_the_mixture(bundle: Path, models: Models) -> None:
    words = next_words(models["mixture"], ["THE", "NICE"], top=10)
    lines = run("next", "the nice", "--bundle", bundle).stdout.splitlines()
    assert [line.split()[1] for line in lines] == [word for word, _ in words]
    assert [float(line.split()[0]) for line in lines] == pytest.approx([p for _, p in words], rel=1e-3)


def test_one_word_by_all_models_or_one(bundle: Path, models: Models) -> None:
    answers = parsed(run("next", "the nice", "--word", "beach", "--json", "--bundle", bundle))
    assert [answer["model"] for answer in answers] == list(MODELS)
    for answer in answers:
        probability = word_probability(models[answer["model"]], ["THE", "NICE"], "BEACH")
        assert answer["words"] == [{"word": "BEACH", "probability": probability}]
        assert answer["total"] == pytest.approx(1, abs=1e-5)
    one = run("next", "the nice", "--word", "beach", "--model", "lstm", "--json", "--bundle", bundle)
    assert parsed(one) == answers[1]
    lines = run("next", "the nice", "--word", "beach", "--bundle", bundle).stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(MODELS)
    assert {line.split()[2] for line in lines} == {"BEACH"}


def test_fills_a_gap(bundle: Path, models: Models) -> None:
    text = "The nice ___ will sing."
    for name in MODELS:
        words = parsed(run("fill", text, "--model", name, "--top", 4, "--json", "--bundle", bundle))["words"]
        assert [(item["word"], item["probability"]) for item in words] == fill(models, text, name, top=4)
    lines = run("fill", text, "--bundle", bundle).stdout.splitlines()
    assert [line.split()[1] for line in lines] == [word for word, _ in fill(models, text)]
    result = run("fill", "The ___ and ___", "--bundle", bundle)
    assert result.exit_code == 1
    assert result.stderr == "error: 2 gaps in the text: mark the one word that is wanted, once, by ___\n"


def test_adapts(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("The old man wishes to speak to Zorblax.\n\nZorblax knows how to sing.")
    result = run("adapt", tmp_path / "text.txt", "--output", tmp_path / "mine", "--bundle", bundle)
    assert result.exit_code == 0, result.stderr
    assert "new words: 1 (ZORBLAX), spelled: 0" in result.stderr
    answer = parsed(run("next", "speak to", "--word", "Zorblax", "--json", "--bundle", tmp_path / "mine"))
    assert all(item["words"][0]["word"] == "ZORBLAX" for item in answer)
    missing = run("adapt", tmp_path / "none.txt", "--output", tmp_path / "mine", "--bundle", bundle)
    assert missing.exit_code == 1
    assert missing.stderr == f"error: {tmp_path}/none.txt: no such file: check its name\n"


def test_special_words_can_be_asked_for(bundle: Path) -> None:
    end, start = (
        parsed(run("next", "", "--word", word, "--model", "ngram", "--json", "--bundle", bundle))
        for word in ("</s>", "<s>")
    )
    assert end["words"][0]["probability"] > 0
    assert start["words"][0]["probability"] == 0


def test_unknown_words_are_named_on_stderr(bundle: Path) -> None:
    result = run("next", "the nowhere man", "--word", "nothing", "--model", "lstm", "--json", "--bundle", bundle)
    assert parsed(result)["words"][0]["word"] == "<unk>"
    assert result.stderr.splitlines() == [
        "not in the vocabulary, taken as <unk>: NOWHERE",
        "not in the vocabulary, taken as <unk>: NOTHING",
    ]


@pytest.mark.parametrize("command", ["score", "compare"])
def test_scored_words_that_are_unknown_are_named_on_stderr(bundle: Path, command: str) -> None:
    result = run(command, "the nowhere zorglub", "nowhere, man", "--json", "--bundle", bundle)
    assert [item["oov"] for item in parsed(result)] == [2, 1]
    assert result.stderr.endswith("not in the vocabulary, taken as <unk>: NOWHERE, ZORGLUB\n")


@pytest.mark.parametrize("command", ["score", "compare", "next", "generate", "show"])
def test_text_in_other_scripts_is_told(bundle: Path, command: str) -> None:
    texts = ["Привет,", "the man"] if command in ("score", "compare") else ["Привет, the"]
    result = run(command, *texts, "--bundle", bundle)
    assert result.exit_code == 0
    assert "in no letters of English, left out: Привет," in result.stderr.splitlines()


def test_next_word_of_a_new_sentence(bundle: Path, models: Models) -> None:
    answer = parsed(run("next", "The nice beach. The", "--model", "lstm", "--json", "--bundle", bundle))
    assert answer["history"] == "THE NICE BEACH </s> THE"
    assert answer["words"][0]["word"] == next_words(models["lstm"], "The nice beach. The", 1)[0][0]


def test_score(bundle: Path, models: Models) -> None:
    result = run("score", "Wreck a nice beach.", "", "the nowhere man", "--model", "lstm", "--json", "--bundle", bundle)
    sentences = [["WRECK", "A", "NICE", "BEACH"], [], ["THE", "NOWHERE", "MAN"]]
    for found, score in zip(parsed(result), score_sentences(models["lstm"], sentences), strict=True):
        assert found["text"] == " ".join(score.words[:-1])
        assert found["model"] == "lstm"
        assert found["log_probability"] == pytest.approx(score.log_prob, abs=1e-4)
        assert found["log10_probability"] == pytest.approx(found["log_probability"] / math.log(10))
        assert found["perplexity"] == pytest.approx(score.perplexity, rel=1e-4)
        assert found["oov"] == int("NOWHERE" in found["text"])
        assert [(word["word"], word["oov"]) for word in found["words"]] == [
            (word, word == "NOWHERE") for word in score.words
        ]
        assert sum(word["log_probability"] for word in found["words"]) == pytest.approx(found["log_probability"])


def test_score_reads_sentences_from_stdin(bundle: Path) -> None:
    by_argument = run("score", "the nowhere man", "speech", "--bundle", bundle)
    from_stdin = run("score", "-", "--bundle", bundle, stdin="the nowhere man\nspeech\n")
    assert from_stdin.exit_code == 0
    assert from_stdin.stdout == by_argument.stdout
    assert "NOWHERE  (not in the vocabulary)" in from_stdin.stdout


@pytest.mark.parametrize("name", MODELS)
def test_perplexity(bundle: Path, models: Models, name: str, tmp_path: Path) -> None:
    text = "The nice beach.\n\nThe nowhere man will sing!\n"
    (tmp_path / "text.txt").write_text(text)
    answer = parsed(run("perplexity", tmp_path / "text.txt", "--model", name, "--json", "--bundle", bundle))
    expected = perplexity(models[name], text.splitlines())
    assert answer == {"model": name, **vars(expected)}
    assert (answer["sentences"], answer["tokens"], answer["oov"]) == (2, 10, 1)
    from_stdin = run("perplexity", "-", "--model", name, "--json", "--bundle", bundle, stdin=text)
    assert parsed(from_stdin) == answer


def test_errors_are_one_line_without_output(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("café\n".encode("latin-1"))
    (tmp_path / "blank.txt").write_text("\n***\n")
    (tmp_path / "cut.gz").write_bytes(b"\x1f\x8b\x08\x00")
    (tmp_path / "bad.toml").write_text("speed = 3\n")
    for arguments, problem in (
        (["next", "the", "--bundle", tmp_path], "no model there"),
        (["next", "the", "--word", "two words", "--bundle", bundle], "want one word"),
        (["next", "the", "--word", "...", "--bundle", bundle], "want one word"),
        (["perplexity", tmp_path / "none.txt", "--bundle", bundle], "none.txt"),
        (["perplexity", tmp_path, "--bundle", bundle], f"{tmp_path}: is a folder: name a file"),
        (["next", "the", "--bundle", tmp_path / "blank.txt"], "blank.txt: no model there"),
        (["build-vocabulary", tmp_path, "--output", tmp_path / "out"], f"{tmp_path}: is a folder: name a file"),
        (["build-vocabulary", tmp_path / "blank.txt", "--output", tmp_path], f"{tmp_path}: is a folder: name a file"),
        (["prepare-text", tmp_path / "blank.txt", "--output", tmp_path], f"{tmp_path}: is a folder: name a file"),
        (["prepare-text", "x", "--output", tmp_path / "blank.txt/x"], "blank.txt: is there, but is no folder"),
        (["prepare-text", "x", "--output", "y", "--heldout-share", "0.5"], "give it, too"),
        (["prepare-text", "x", "--output", "y", "--heldout-books", "2"], "give it, too"),
        (["blend", tmp_path / "blank.txt", "--output", tmp_path / "blank.txt/x", "--words", 1], "is no folder"),
        (
            ["blend", f"{tmp_path / 'blank.txt'}:nan", "--output", "x", "--words", "1"],
            "share nan: want a finite number",
        ),
        (["train", tmp_path, "--output", tmp_path / "out"], f"{tmp_path}: is a folder: name a file"),
        (["next", "the", "--word", "man", "--top", "3", "--bundle", bundle], "leave out one or other"),
        (["next", "the", "--word", "man", "--min-probability", "0", "--bundle", bundle], "leave out one or other"),
        (["mix", "x", "--words", "3", "--bundle", bundle], "--log-linear"),
        (["perplexity", tmp_path / "latin.txt", "--bundle", bundle], "latin.txt: not UTF-8 text"),
        (["perplexity", tmp_path / "blank.txt", "--bundle", bundle], "blank.txt: the text has no words"),
        (["perplexity", tmp_path / "cut.gz", "--bundle", bundle], "cut.gz: not a whole compressed file"),
        (["prepare-text", tmp_path / "none", "--output", tmp_path / "out"], "none"),
        (["build-vocabulary", tmp_path / "latin.txt", "--output", tmp_path / "out"], "latin.txt: not UTF-8 text"),
        (["build-ngram", "x", "--vocabulary", "y", "--output", "z", "--prune", "0 x"], "--prune 0 x"),
        (["build-ngram", "x", "--vocabulary", "y", "--output", "z"], "x: no such file"),
        (["train", tmp_path / "bad.toml", "--output", tmp_path], "no such setting: speed"),
        (["generate", "--temperature", "nan", "--bundle", bundle], "temperature nan: want a finite number above 0"),
        (["generate", "--temperature", "inf", "--bundle", bundle], "temperature inf: want a finite number above 0"),
        (["export", tmp_path / "out", "--vocabulary", "x", "--mixture-weight", "nan"], "--mixture-weight nan: want"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert result.stdout == ""
        (line,) = (line for line in result.stderr.splitlines() if "the n-gram lacks 1 of" not in line)
        assert line.startswith("error: ")
        assert problem in line
    assert not (tmp_path / "out").exists()


def test_from_a_book_to_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book, text, words = tmp_path / "book.txt", tmp_path / "text.txt", tmp_path / "words.txt"
    book.write_text("The beach was nice. The sea was wild, but the beach was nice!\n\n" * 30)
    result = run("prepare-text", book, "--output", text)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.splitlines()[0] == f"{text}: 1 books, 60 sentences, 390 words"
    assert text.read_text().startswith("THE BEACH WAS NICE\nTHE SEA WAS WILD BUT THE BEACH WAS NICE\n")

    result = run("build-vocabulary", text, "--output", words, "--size", 4)
    assert result.exit_code == 0, result.stderr
    assert list(Vocabulary.load(words))[3:] == ["THE", "WAS", "BEACH", "NICE"]
    assert result.stderr == f"{words}: 4 words, 76.92% of the text's\n"

    if (REPOSITORY / "build/kenlm/bin/lmplz").is_file():
        monkeypatch.chdir(REPOSITORY)
        ngram = tmp_path / "ngram.bin"
        arguments = ["--vocabulary", words, "--output", ngram, "--order", 3, "--memory", "50M"]
        result = run("build-ngram", text, *arguments)
        assert result.exit_code == 0, result.stderr
        assert NgramModel(ngram, Vocabulary.load(words)).order == 3
        assert read_trie(ngram, Vocabulary.load(words)).order == 3
        assert "3-grams: " in result.stderr

    settings = tmp_path / "lstm.toml"
    settings.write_text(
        f"text = '{text}'\ndev = '{text}'\nvocabulary = '{words}'\n"
        "max_steps = 2\nrows = 4\nwords = 8\nprecision = '32-true'\n[model]\nhidden = 8\ncutoffs = [4]\n"
    )
    result = run("train", settings, "--output", tmp_path / "lstm")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{tmp_path}/lstm/best.ckpt\n"


def test_words_of_some_probability(bundle: Path, models: Models) -> None:
    words = [word for word, probability in next_words(models["lstm"], ["THE"]) if probability >= 0.02]
    answer = parsed(run("next", "the", "--model", "lstm", "--min-probability", 0.02, "--json", "--bundle", bundle))
    assert [item["word"] for item in answer["words"]] == words
    assert 1 < len(words) < len(models.vocabulary)


def test_compare(bundle: Path, models: Models) -> None:
    texts = "recognize speech", "wreck a nowhere beach"
    scores = list(score_sentences(models["ngram"], [text.upper().split() for text in texts]))
    result = run("compare", *texts, "--model", "ngram", "--bundle", bundle)
    rows = result.stdout.splitlines()
    assert [row.split()[0] for row in rows[:2]] == ["RECOGNIZE", "SPEECH"]
    assert "NOWHERE*" in rows[2]
    totals = rows[-4].split()
    assert [float(totals[i]) for i in (2, 5)] == pytest.approx([s.log_prob / math.log(10) for s in scores], abs=1e-3)
    likelier = max(scores, key=lambda score: score.log_prob)
    assert rows[-1].startswith(f"{' '.join(likelier.words[:-1])}: ")
    objects = parsed(run("compare", *texts, "--json", "--bundle", bundle))
    assert [item["text"] for item in objects] == [text.upper() for text in texts]
    assert run("compare", "one alone", "--bundle", bundle).exit_code == 1


def test_generate(bundle: Path) -> None:
    arguments = ("generate", "the nice", "--sentences", 3, "--max-words", 5, "--bundle", bundle)
    lines = run(*arguments).stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("THE NICE") and len(line.split()) <= 7 for line in lines)
    assert run(*arguments).stdout.splitlines() == lines
    assert run(*arguments, "--seed", 2).stdout.splitlines() != lines


def test_perplexity_of_a_document(bundle: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("The nice beach.\nThe nice speech.\n" * 5)
    figures = [
        parsed(run("perplexity", text, "--model", "lstm", "--json", "--bundle", bundle, *options))["perplexity"]
        for options in ([], ["--document"], ["--document", "--cache", 50])
    ]
    assert len(set(figures)) == 3
    assert figures[2] < figures[0]
    assert run("perplexity", text, "--cache", 50, "--bundle", bundle).exit_code == 1


def test_interactive_needs_a_terminal(bundle: Path) -> None:
    result = run("interactive", "--bundle", bundle)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "needs a terminal" in result.stderr


@pytest.mark.parametrize("words", [(4, 400), (400, 1), (2, 2000)])
def test_sentences_of_any_lengths_are_compared(bundle: Path, words: tuple[int, int]) -> None:
    result = run("compare", *("the beach " * (count // 2) + "nice" for count in words), "--bundle", bundle)
    assert result.exit_code == 0, result.stderr
    assert re.search(r": (10\^\d+|\d\S*) times as probable as the next", result.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("redirection", "problem"),
    [
        (">&-", "error: standard output: it is closed"),
        (">/dev/full", "error: standard output: No space left"),
        ("| :", ""),
    ],
)
@pytest.mark.parametrize("package", ["lm.cli", "asr.cli", "data_prep.cli"])
def test_an_output_that_takes_nothing(package: str, redirection: str, problem: str) -> None:
    command = f"{sys.executable} -m {package} --help {redirection}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(problem)
    assert len(done.stderr.splitlines()) == bool(problem)


@pytest.mark.parametrize("more", [["OKAPI"], ["OKAPI", "QUAGGA", "ZEBU"]])
def test_an_n_gram_of_another_vocabulary_is_told(bundle: Path, tmp_path: Path, more: list[str]) -> None:
    """In exporting it, and whenever it is asked."""
    known = [*Vocabulary.load(bundle / "vocabulary.txt")][3:]
    held = (bundle / "ngram.bin").read_bytes().split(b"\0")
    lacks = sum(word.encode() not in held for word in known) + len(more)
    Vocabulary([*known, *more]).save(tmp_path / "vocabulary.txt")
    model = tmp_path / "model"
    given = "--vocabulary", tmp_path / "vocabulary.txt", "--ngram", bundle / "ngram.bin"
    for command in ("export", model, *given), ("next", "the", "--model", "ngram", "--bundle", model):
        result = run(*command)
        assert result.exit_code == 0, result.stderr
        (line,) = result.stderr.splitlines()
        assert re.match(rf"warning: .*ngram.bin: the n-gram lacks {lacks} of the {len(known) + len(more)} words", line)
