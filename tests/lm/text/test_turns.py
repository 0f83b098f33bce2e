import textwrap
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.text.normalise import normalize, sentences

CLAUSES = st.sampled_from(
    "we met at the office | it was raining all day | nobody knew what to say to her | they left for the coast"
    " | the meeting went on for hours | I never saw him again".split(" | ")
)
SENTENCES = st.lists(CLAUSES, min_size=1, max_size=3).map(lambda clauses: f"{', and '.join(clauses).capitalize()}.")
PARAGRAPHS = st.lists(SENTENCES, min_size=3, max_size=9).map(" ".join)


@settings(deadline=None)
@given(st.lists(PARAGRAPHS, min_size=1, max_size=6))
def test_a_text_says_the_same_wrapped_or_a_paragraph_a_line(paragraphs: list[str]) -> None:
    wrapped = "\n\n".join(textwrap.fill(paragraph, 72) for paragraph in paragraphs).split("\n")
    expected = [" ".join(normalize(sentence)) for text in paragraphs for sentence in text.split(". ")]
    assert list(sentences(wrapped)) == expected
    assert list(sentences(paragraphs)) == expected
    assert list(sentences("\n\n".join(paragraphs).split("\n"))) == expected


def test_what_is_left_out_of_a_line_costs_no_other_line() -> None:
    # Once a text without blank lines was one paragraph: a word of Project Gutenberg's, or three of French, and it went.
    dropped: Counter[str] = Counter()
    kept = ["How are you today?", "I am fine, thank you."]
    junk = [
        "Je ne sais pas que vous dire.",
        "This Project Gutenberg eBook is free.",
        "fn main() { let x: Vec<u8> = vec![0; 12]; }",
        "12, 14, 16, 18 and 1999, 2001, 2003.",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAA is a picture.",
        "and so on " * 30,
        "They dont know what they didnt see.",
    ]
    assert list(sentences([*kept, *junk, *kept], dropped)) == 2 * ["HOW ARE YOU TODAY", "I AM FINE THANK YOU"]
    assert dropped == {"foreign": 1, "notice": 1, "table": 1, "code": 2, "unpunctuated": 2}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("**Adam Stacoviak:** That was [my first show](https://a.com/b?c=1). *Right?*", "THAT WAS MY FIRST SHOW|RIGHT"),
        ("MS. PSAKI: Thank you. (Laughter.) Next.", "THANK YOU|NEXT"),
        ("Speaker 2: It was [crosstalk 00:12:30] ((inaudible)) late. [12:30]", "IT WAS LATE"),
        (">> Jo (guest): So we {vocalsound} left.Then came", "SO WE LEFT|THEN CAME"),
        ("Note: this goes on. Two things: a cat and a dog.", "NOTE THIS GOES ON|TWO THINGS A CAT AND A DOG"),
        ("## What is new", "WHAT IS NEW"),
        ("- 5 more of them. 2) or so.", "FIVE MORE OF THEM|TWO OR SO"),
        ("Look at <b>this</b>, do n't you ?  Yeah , I do .", "LOOK AT THIS DON'T YOU|YEAH I DO"),
        ("Go to https://example.com/a?b=c&d=e now, or to example.com.", "GO TO NOW OR TO EXAMPLE DOT COM"),
        ("Show me the [glossary:DSKY|a display], please.", "SHOW ME THE DSKY PLEASE"),
        ("The year was 1999, and in it he turned 12.", "THE YEAR WAS NINETEEN NINETY NINE AND IN IT HE TURNED TWELVE"),
    ],
)
def test_a_turn_is_what_was_said(line: str, said: str) -> None:
    assert list(sentences(["So it begins. Does it?", line, "It does."])) == [
        "SO IT BEGINS",
        "DOES IT",
        *said.split("|"),
        "IT DOES",
    ]


def test_a_sentence_may_go_on_in_the_next_line() -> None:
    assert list(sentences(["And then we", "went home.", "Yes.", "no", "No."])) == [
        "AND THEN WE WENT HOME",
        "YES",
        "NO",
        "NO",
    ]


def test_verse_is_not_taken_for_turns() -> None:
    verse = """Tyger Tyger, burning bright,
        In the forests of the night;

        What immortal hand or eye,
        Could frame thy fearful symmetry?""".split("\n")
    assert list(sentences(verse)) == [
        "TYGER TYGER BURNING BRIGHT IN THE FORESTS OF THE NIGHT",
        "WHAT IMMORTAL HAND OR EYE COULD FRAME THY FEARFUL SYMMETRY",
    ]
