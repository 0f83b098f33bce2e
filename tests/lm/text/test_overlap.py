from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lm.cli import app
from lm.files import open_text
from lm.text.normalise import normalize
from lm.text.overlap import Overlap, find_overlaps, ngrams
from lm.text.prepare import prepare_text

HELDOUT = "A fox, a hen and a goose went over the hill."
WORDS = normalize(HELDOUT)


def test_names_what_is_shared_and_where() -> None:
    text = ["NOTHING HERE\n", "THEN A FOX A HEN AND A GOOSE WENT OVER IT\n", "A FOX A HEN AND A GOOSE WENT HOME\n"]
    assert find_overlaps(text, {"tale": WORDS, "short": WORDS[:7]}) == [
        Overlap("tale", 2, 4, "A FOX A HEN AND A GOOSE WENT", 2)
    ]


def test_sentences_are_not_run_together() -> None:
    assert find_overlaps(["A FOX A HEN AND A\n", "GOOSE WENT OVER THE HILL\n"], {"tale": WORDS}) == []


@given(st.lists(st.lists(st.sampled_from("AB"), max_size=8), max_size=6), st.lists(st.sampled_from("AB"), max_size=8))
def test_finds_every_run_of_words(text: list[list[str]], heldout: list[str]) -> None:
    joined = [f" {' '.join(words)} " for words in text]
    expected = {gram for gram in ngrams(heldout, 3) if any(f" {gram} " in line for line in joined)}
    overlaps = find_overlaps([" ".join(words) for words in text], {"it": heldout}, 3)
    assert sum(overlap.shared for overlap in overlaps) == len(expected)


def test_text_that_is_not_normalised_does_not_pass_unseen() -> None:
    with pytest.raises(ValueError, match="line 2 of the training text is not normalised"):
        find_overlaps(["FINE\n", HELDOUT], {"tale": WORDS})


def test_command_fails_until_the_held_out_words_are_avoided(tmp_path: Path) -> None:
    heldout, book, text = tmp_path / "heldout.txt", tmp_path / "book.txt", tmp_path / "text.txt.gz"
    heldout.write_text(f"Once upon a time.\n\n{HELDOUT}\n")
    book.write_text(f"It begins. Then {HELDOUT} It ends.\n")

    def check(*options: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["check-overlap", str(text), str(heldout), *options])
        return result.exit_code, result.stdout, result.stderr

    prepare_text([book], text)
    code, out, err = check()
    assert code == 1
    assert out == f"{heldout}:3: 4 of 4 8-grams, A FOX A HEN AND A GOOSE WENT in line 2\n"
    assert "1 of 2 sentences" in err
    assert "1 too short" in err
    assert check("--json")[1].startswith("[\n  {")
    assert "3 of 3 9-grams" in check("--words", "9")[1]

    report = prepare_text([book], text, avoid=[WORDS])
    assert report.dropped["held-out words"] == 1
    with open_text(text) as lines:
        assert lines.read() == "IT BEGINS\nIT ENDS\n"
    assert check()[:2] == (0, "")


def test_command_refuses_transcripts_that_cannot_be_checked(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("FINE\n")
    heldout = tmp_path / "heldout.txt"
    for content, problem in ("\n", "the text has no words"), ("Too short.\n", "no sentence of 8 words"):
        heldout.write_text(content)
        result = CliRunner().invoke(app, ["check-overlap", str(tmp_path / "text.txt"), str(heldout)])
        assert result.exit_code == 1
        assert problem in result.stderr
