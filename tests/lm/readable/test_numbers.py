"""Numbers as people write them: golden cases, and that nothing is added or lost."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lm.readable.numbers import NUMERIC, Token, written_together
from lm.text.normalise import normalize
from lm.text.numbers import MONTHS

GOLDEN = [line.split(" = ") for line in (Path(__file__).parent / "golden.txt").read_text().splitlines()]


def written(words: list[str]) -> str:
    """With small letters where no rule has it otherwise."""
    result, done = [], 0
    for token in written_together(words):
        result += [*map(str.lower, words[done : token.start]), token.text]
        done = token.end
    return " ".join([*result, *map(str.lower, words[done:])])


def test_golden_cases() -> None:
    """What each of them is called, and is to look like; a number that would be read otherwise stays in words."""
    assert len(GOLDEN) >= 200
    found = [(said, written(said.split())) for said, _ in GOLDEN]
    assert found == [(said, wanted) for said, wanted in GOLDEN]


def test_golden_cases_are_read_as_they_were_said() -> None:
    letters = re.compile(r"(?<![^ ])(?:[A-Z] )+[A-Z](?![^ ])")
    for said, wanted in GOLDEN:
        if not letters.search(said):
            assert normalize(wanted) == said.split()


def test_no_token_goes_across_the_end_of_a_clause() -> None:
    words = "NINETEEN EIGHTY FOUR PEOPLE".split()
    assert written_together(words) == [Token("1984", 0, 3)]
    assert [token.text for token in written_together(words, [False, True, False, False])] == ["1980"]
    assert [token.text for token in written_together(words, [True, False, False, False])] == ["19", "84"]


NUMBERS = st.one_of(
    st.integers(0, 10**9).map("{:,}".format),
    st.integers(1000, 2100).map(str),
    st.tuples(st.integers(0, 10**6), st.integers(0, 999)).map("{0[0]}.{0[1]}".format),
    st.tuples(st.integers(1, 10**5), st.integers(1, 99)).map("${0[0]}.{0[1]:02}".format),
    st.tuples(st.integers(1, 999), st.sampled_from("million billion trillion".split())).map("${0[0]} {0[1]}".format),
    st.tuples(st.integers(1, 12), st.integers(1, 59), st.sampled_from(["a.m.", "p.m."])).map(
        "{0[0]}:{0[1]:02} {0[2]}".format
    ),
    st.tuples(st.sampled_from(MONTHS.split("|")), st.integers(1, 31), st.integers(1100, 2099)).map(
        "{0[0]} {0[1]}, {0[2]}".format
    ),
    st.integers(2, 10**4).map("{}th".format),
    st.integers(10**9, 10**10 - 1).map(lambda n: f"{n}"[:3] + "-" + f"{n}"[3:6] + "-" + f"{n}"[6:]),
    st.tuples(st.integers(2, 999), st.sampled_from("km kg mph GB MHz ml".split())).map("{0[0]} {0[1]}".format),
    st.integers(0, 100).map("{}%".format),
)


@given(st.lists(NUMBERS, min_size=1, max_size=3))
def test_generated_numbers_come_back(texts: list[str]) -> None:
    said = normalize(" and then ".join(texts))
    assert normalize(written(said)) == said


@given(st.lists(st.sampled_from(sorted([*NUMERIC, "AND", "POINT", "O", "FIRST", "DOLLARS", "A", "M"])), max_size=8))
def test_whatever_is_said_of_numbers_comes_back(words: list[str]) -> None:
    """Nonsense too: it stays in words."""
    spelled = {"AM", "OM", "MO", "OO", "MM"}
    tokens = [token for token in written_together(words) if token.text not in spelled]
    for token in tokens:
        if not token.text.isalpha():  # letters, that are one name
            assert normalize(token.text) == words[token.start : token.end]
