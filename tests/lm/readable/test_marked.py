from collections import Counter
from pathlib import Path

import pytest

from lm.readable.marked import CAPITAL, LOWER, MARKS, OWN, UNSURE, case_of, marked
from lm.readable.texts import excerpts
from lm.text.normalise import normalize, passages


def shown(text: str) -> str:
    """The words of one passage, "~" where the text doesn't tell which mark comes next."""
    (passage,) = passages([text], Counter())
    return " ".join(item.form + (MARKS[item.mark] if item.mark != UNSURE else "~") for item in marked(passage))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("“Well,” he said, “I am off!” She nodded.", "Well, he said, I am off! She nodded."),
        ("It rained at 5 p.m. on May 1st; I left.", "It rained at five p m on May first; I left."),
        ("He paid $2,500 -- Mr. Smith.", "He paid two thousand five hundred dollars— Mister Smith."),
        ("It was great... Which is sad. I know... I do.", "It was great. Which is sad. I know~ I do."),
        ("The U.S. and (so far) NASA: both?", "The U S and~ so far~ NASA: both?"),
    ],
)  # fmt: skip
def test_marks_and_case(text: str, wanted: str) -> None:
    assert shown(text) == wanted
    (passage,) = passages([text], Counter())
    assert [item.word for item in marked(passage)] == normalize(text)


@pytest.mark.parametrize("text", ["CHAPTER ONE", "ALL OF THIS IS A HEADING IN CAPITALS.", "Contents", "dont do it."])
def test_what_is_no_punctuated_english_is_left_out(text: str) -> None:
    assert not marked(text)


def test_ways_to_write_a_word() -> None:
    assert [case_of(form) for form in ("go", "Monday", "I'm", "I", "NASA", "iPhone", "don't")] == [
        LOWER, CAPITAL, CAPITAL, CAPITAL, OWN, OWN, LOWER,
    ]  # fmt: skip


def test_excerpts_are_from_all_over_the_chosen_files(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(
            "".join(f"This is {name} number {name}, and so on.\n" for _ in range(9000))
        )
    found = [*excerpts(tmp_path, 30_000, lambda name: name != "b.txt")]
    words = [item.word for texts in found for text in texts for item in text]
    assert {"A", "C"} <= set(words)
    assert "B" not in words
    assert 10_000 < len(words) < 60_000
