import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from asr.cli import app
from asr.decoder.nbest import rescore_texts
from asr.recognizer import Recognizer
from lm.bundle import DEFAULT
from lm.query import open_models

TWO = "u1\t-3\tWreck a nice beach!\nu1\t-8\trecognize speech\nu2\t-1\tthe nice beach\n"


def rescore(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["rescore", *map(str, arguments)], input=stdin)


def test_prints_the_best_text_as_it_came_in(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "nbest.tsv").write_text(TWO)
    result = rescore(tmp_path / "nbest.tsv", "--model", tiny_bundle)
    best = rescore_texts(open_models(tiny_bundle), ["Wreck a nice beach!", "recognize speech"], [-3, -8])[0]
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"u1\t{best.text}\nu2\tthe nice beach\n"
    without_ids = rescore("-", "--model", tiny_bundle, stdin=TWO.replace("u1\t", "").replace("u2\t", "\n"))
    assert without_ids.stdout == f"{best.text}\nthe nice beach\n"


def test_what_top_prints_can_be_read_again(tiny_bundle: Path) -> None:
    first = rescore("-", "--top", 2, "--model", tiny_bundle, stdin=TWO)
    nothing = ("--weight-ngram", 0, "--weight-lstm", 0)
    assert rescore("-", "--top", 2, "--model", tiny_bundle, *nothing, stdin=first.stdout).stdout == first.stdout
    assert len(first.stdout.splitlines()) == 4  # one of them empty
    columns = [line.split("\t") for line in first.stdout.splitlines() if line]
    assert float(columns[0][1]) >= float(columns[1][1])


def test_json_has_all_scores_and_weights_count(tiny_bundle: Path) -> None:
    nbest = [{"text": "Wreck a nice\nbeach", "score": 3}, {"text": "recognize speech", "score": 8}]
    lines = json.dumps({"id": 7, "nbest": nbest}) + "\n" + json.dumps({"nbest": []}) + "\n"
    weights = {"score": -2.0, "ngram": 0.25, "lstm": 0.5, "word": 1.0}
    options = [argument for name, weight in weights.items() for argument in (f"--weight-{name}", weight)]
    result = rescore("-", "--json", "--model", tiny_bundle, *options, stdin=lines)
    first, second = map(json.loads, result.stdout.splitlines())
    assert second == {"nbest": []}
    assert first["id"] == 7
    assert {item["text"] for item in first["nbest"]} == {item["text"] for item in nbest}
    for item in first["nbest"]:
        by_weights = sum(weight * item[name] for name, weight in weights.items() if name != "word")
        assert item["total"] == pytest.approx(by_weights + len(item["text"].split()))
    top = rescore("-", "--json", "--top", 1, "--model", tiny_bundle, *options, stdin=lines)
    assert json.loads(top.stdout.splitlines()[0])["nbest"] == first["nbest"][:1]
    text = rescore("-", "--model", tiny_bundle, *options, stdin=lines)  # a line a list, whatever the texts hold
    assert text.stdout == f"7\t{' '.join(first['nbest'][0]['text'].split())}\n\n"


def test_unknown_words_are_named_once_on_stderr(tiny_bundle: Path) -> None:
    result = rescore("-", "--model", tiny_bundle, stdin="the nowhere zorglub\n\nno nowhere\n")
    assert result.stdout == "the nowhere zorglub\nno nowhere\n"
    named = [line.removeprefix("not in the vocabulary, taken as <unk>: ") for line in result.stderr.splitlines()]
    assert named == ["NOWHERE, ZORGLUB", "NO"]


def test_errors_are_one_line(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("café\n".encode("latin-1"))
    for file, stdin, problem in (
        ("-", "-1\ta\n-inf\tb\n", "-, line 2: score '-inf': want a finite number, a log-probability"),
        (tmp_path / "latin.txt", None, "latin.txt: not UTF-8 text"),
        (tmp_path / "none.txt", None, "none.txt: no such file: check its name"),
    ):
        result = rescore(file, "--model", tiny_bundle, stdin=stdin)
        (line,) = result.stderr.splitlines()
        assert (result.exit_code, result.stdout) == (1, "")
        assert line.startswith("error: ")
        assert problem in line


def test_our_own_lists_are_ranked_as_before(tiny_bundle: Path, recordings: dict[Path, str]) -> None:
    weights = Recognizer(tiny_bundle).weights
    transcribed = CliRunner().invoke(
        app, ["transcribe", "--format", "json", "--model", str(tiny_bundle), *map(str, recordings)]
    )
    result = rescore("-", "--json", "--weight-word", weights.word, "--model", tiny_bundle, stdin=transcribed.stdout)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for before, after in zip(json.loads(transcribed.stdout), found, strict=True):
        assert after["id"] == before["file"]
        for old, new in zip(before["nbest"], after["nbest"], strict=True):
            assert old["text"] == new["text"]
            assert [old[name] for name in ("acoustic", "ngram", "lstm", "total")] == pytest.approx(
                [new[name] for name in ("score", "ngram", "lstm", "total")], abs=1e-3
            )


def test_the_models_that_ship_prefer_to_recognize_speech() -> None:
    heard_alike = "Wreck a nice beach.\nRecognize speech.\n\nHow to wreck a nice beach\nHow to recognize speech\n"
    result = rescore("-", "--model", DEFAULT, stdin=heard_alike)
    assert result.stdout == "Recognize speech.\nHow to recognize speech\n"
