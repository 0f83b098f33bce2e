from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lm.cli import app
from lm.query import MODELS, open_models, places, score_sentences

WORDS = ["HOW", "TO", "RECOGNIZE", "SPEECH"]


def test_probabilities_are_those_of_score() -> None:
    models = open_models()
    sentence = places(models, WORDS)
    assert [place.word for place in sentence] == [*WORDS, "</s>"]
    for name in MODELS:
        score = next(iter(score_sentences(models[name], [WORDS])))
        assert np.log([place.probabilities[name] for place in sentence]) == pytest.approx(score.log_probs, abs=1e-5)


def test_what_is_likelier_is_so_and_ranked() -> None:
    for place in places(open_models(), WORDS, top=4):
        chances = [p for _, p in place.likelier]
        assert chances == sorted(chances, reverse=True)
        assert all(p > place.probabilities["mixture"] for p in chances)
        assert place.word not in dict(place.likelier)


def test_a_table_without_a_picture() -> None:
    lines = CliRunner().invoke(app, ["show", "how to recognize speech", "--top", "1"]).stdout.splitlines()
    assert lines[0].split() == ["ngram", "lstm", "mixture", "likelier"]
    assert [line.split()[0] for line in lines[1:]] == [*WORDS, "</s>"]


def test_nothing_to_show() -> None:
    result = CliRunner().invoke(app, ["show", "..."])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: '...': has no words")


def test_the_picture_has_all_words_and_bars(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need pip install 'nicebeach[pictures]'")
    output = tmp_path / "a.svg"
    result = CliRunner().invoke(app, ["show", "how to recognize speech", "--output", str(output)])
    assert (result.exit_code, result.output) == (0, "")
    drawn = output.read_text()
    assert all(f">{word}</text>" in drawn or f">{word}<" in drawn for word in [*WORDS, *MODELS])
