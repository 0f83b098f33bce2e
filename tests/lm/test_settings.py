"""Tables are read into dataclasses, or it is told in one line what isn't allowed."""

import re
from dataclasses import dataclass, replace
from math import inf, nan
from typing import Any, Literal

import numpy as np
import pytest

from lm.settings import (
    Cost,
    Count,
    Dropout,
    NotNegative,
    Number,
    Positive,
    Share,
    Whole,
    check_fields,
    checked,
    read_table,
)


@dataclass(frozen=True)
class Inner:
    size: Count = 3
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner = Inner()
    parts: list[Inner] | None = None
    limit: Positive | None = None
    cuts: tuple[Count, ...] = (4,)


def test_reads_what_is_allowed() -> None:
    table = {"name": "x", "inner": {"size": 5}, "parts": [{"kind": "b"}], "limit": 2, "cuts": [1, 2]}
    assert read_table(Outer, table, "f.toml") == Outer("x", Inner(5), [Inner(kind="b")], 2.0, (1, 2))
    assert read_table(Outer, {"name": "x"}, "f.toml") == Outer("x")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({}, "these settings are missing: t.name"),
        ({"name": 3}, "t.name = 3: want text in quotes"),
        ({"name": "x", "inner": 3}, "t.inner = 3: want a table"),
        ({"name": "x", "inner": {"size": "3"}}, 't.inner.size = "3": want a whole number from 1'),
        ({"name": "x", "inner": {"kind": "c"}}, 't.inner.kind = "c": want "a" or "b"'),
        ({"name": "x", "inner": {"sise": 3}}, "no such setting: t.inner.sise = 3; there are size, kind"),
        ({"name": "x", "parts": [{}, {"size": 0}]}, "t.parts[1].size = 0: want a whole number from 1"),
        ({"name": "x", "parts": {}}, "t.parts = {}: want a list, each a table"),
        ({"name": "x", "limit": False}, "t.limit = false: want a finite number above 0"),
        ({"name": "x", "cuts": [1, 2.5]}, "t.cuts[1] = 2.5: want a whole number from 1"),
        ({"name": "x", "cuts": "y" * 999}, f't.cuts = "{"y" * 59}…: want a list, each a whole number from 1'),
    ],
    ids=str,
)
def test_names_file_setting_value_and_what_is_allowed(table: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=r"f\.toml") as error:
        read_table(Outer, table, "f.toml", "t")
    assert str(error.value) == f"f.toml: {problem}"


@dataclass(frozen=True)
class Checked:
    size: Count
    share: Positive = 1.0

    def __post_init__(self) -> None:
        check_fields(self)


def test_a_dataclass_that_checks_itself() -> None:
    assert replace(Checked(np.int64(3)), share=np.float32(0.5)) == Checked(3, 0.5)
    for values, problem in (
        ({"size": 0}, "Checked: size 0: want a whole number from 1"),
        ({"size": True}, "Checked: size true: want a whole number from 1"),
        ({"size": 1, "share": nan}, "Checked: share nan: want a finite number above 0"),
        ({"size": 1, "share": np.float64(nan)}, "Checked: share nan: want a finite number above 0"),
        ({"size": 1, "share": "x"}, 'Checked: share "x": want a finite number above 0'),
    ):
        with pytest.raises(ValueError, match=re.escape(problem)):
            Checked(**values)
    with pytest.raises(ValueError, match=r"f\.toml: size = 0: want a whole number from 1"):
        read_table(Checked, {"size": 0}, "f.toml")


@pytest.mark.parametrize(
    ("wanted", "allowed", "refused"),
    [
        (Whole, [0, 7], [-1, 1.0, True, "1", 2**31, nan]),
        (Count, [1, 7], [0, -1, 1.5, True, None]),
        (Number, [-1.5, 0, 3], [nan, inf, -inf, "1", True]),
        (NotNegative, [0, 0.5], [-0.1, nan, inf]),
        (Positive, [1e-9, 3], [0, -1.0, nan, inf]),
        (Cost, [0, 2.2, inf], [-0.1, nan, -inf]),
        (Share, [0, 0.5, 1], [-0.1, 1.1, nan, inf]),
        (Dropout, [0, 0.99], [1.0, nan]),
    ],
)
def test_what_is_allowed(wanted: Any, allowed: list[Any], refused: list[Any]) -> None:
    for value in allowed:
        assert checked(wanted, value, "--x") == value
    for value in refused:
        with pytest.raises(ValueError, match=r"^--x .*: want a (whole|finite)? ?number"):
            checked(wanted, value, "--x")
