"""Tables of settings read into dataclasses, whose annotations say what is allowed. By msgspec.

>>> @dataclass(frozen=True)
... class BeamConfig:
...     size: Count = 300
>>> read_table(BeamConfig, {"size": 0}, "config.toml")
Traceback (most recent call last):
    ...
ValueError: config.toml: size = 0: want a whole number from 1
"""

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from numbers import Real
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

T = TypeVar("T")

MOST = 2**31 - 1  # of whole numbers; and no other is larger, unless it may be infinite
Whole = Annotated[int, Meta(ge=0, le=MOST, description="a whole number from 0")]
Count = Annotated[int, Meta(ge=1, le=MOST, description="a whole number from 1")]
Number = Annotated[float, Meta(ge=-MOST, le=MOST, description="a finite number")]
NotNegative = Annotated[float, Meta(ge=0, le=MOST, description="a finite number from 0")]
Positive = Annotated[float, Meta(gt=0, le=MOST, description="a finite number above 0")]
Limit = Annotated[float, Meta(gt=0, description="a number above 0, or inf")]
Cost = Annotated[float, Meta(ge=0, description="a number from 0, or inf")]
Share = Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")]
Between = Annotated[float, Meta(gt=0, lt=1, description="a number between 0 and 1")]
Dropout = Annotated[float, Meta(ge=0, lt=1, description="a number from 0 to below 1")]

LONG = 60  # signs of a value that are shown
KINDS = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}


def read_table(kind: type[T], table: Any, file: object, name: str = "") -> T:
    """A dataclass from a table of TOML. file, and the table's name in it: for errors.

    Raises ValueError with one line that names file, setting, value and what is allowed: for a value that isn't, for a
    setting that the dataclass lacks, or needs.
    """
    _check_names(kind, table, file, name)
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        if not problem.startswith(("Expected", "Invalid")):  # what a __post_init__ says
            raise ValueError(f"{file}: {problem}") from None
        wanted, value = kind, table
        for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
            wanted = get_type_hints(_only(wanted), include_extras=True)[key] if key else get_args(_only(wanted))[0]
            value = value[key or int(index)]
        setting = f"{name}{path.removesuffix('`')}".lstrip(".")
        raise ValueError(f"{file}: {setting} = {_shown(value)}: want {_allowed(wanted)}") from None


def checked(wanted: Any, value: T, name: str) -> T:
    """A value, such as an option's. Raises ValueError if an annotation doesn't allow it; name: for that."""
    # NumPy's numbers are none to msgspec.
    plain = value.item() if isinstance(value, Real) and hasattr(value, "item") else value
    try:
        msgspec.convert(plain, wanted)
    except msgspec.ValidationError:
        raise ValueError(f"{name} {_shown(value)}: want {_allowed(wanted)}") from None
    return value


def check_fields(settings: object) -> None:
    """Raises ValueError if a value of a dataclass isn't what its annotation allows: for a __post_init__."""
    for name, wanted in _annotations(type(settings)).items():  # type: ignore[arg-type]  # a class can be hashed
        checked(wanted, getattr(settings, name), f"{type(settings).__name__}: {name}")


@cache
def _annotations(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _only(wanted: Any) -> Any:
    """A type without what may stand around it: Annotated, and None as another possibility."""
    if get_origin(wanted) is Annotated:
        return _only(get_args(wanted)[0])
    return _only(get_args(wanted)[0]) if get_origin(wanted) in (Union, UnionType) else wanted


def _allowed(wanted: Any) -> str:
    """What an annotation allows, in words."""
    if get_origin(wanted) in (Union, UnionType):
        return _allowed(get_args(wanted)[0])
    for meta in getattr(wanted, "__metadata__", ()):
        if meta.description:
            return str(meta.description)
    wanted = _only(wanted)
    if get_origin(wanted) is Literal:
        return " or ".join(map(_shown, get_args(wanted)))
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return " or ".join(_shown(item.value) for item in wanted)
    if get_origin(wanted) in (list, tuple):
        return f"a list, each {_allowed(get_args(wanted)[0])}"
    return KINDS.get(wanted, "a table")


def _shown(value: Any) -> str:
    shown = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    shown = shown or (f'"{value}"' if isinstance(value, str) else str(value))
    return shown if len(shown) < LONG else f"{shown[:LONG]}…"


def _tables(kind: Any, table: Any, name: str) -> Iterator[tuple[Any, dict[str, Any], str]]:
    """A table and all within it that are read into dataclasses: (dataclass, table, its name)."""
    kind = _only(kind)
    if get_origin(kind) is list and isinstance(table, list):
        for index, part in enumerate(table):
            yield from _tables(get_args(kind)[0], part, f"{name}[{index}]")
    elif is_dataclass(kind) and isinstance(table, dict):
        yield kind, table, name
        types = get_type_hints(kind, include_extras=True)
        for key in table.keys() & types.keys():
            yield from _tables(types[key], table[key], f"{name}.{key}".lstrip("."))


def _check_names(kind: Any, table: Any, file: object, name: str) -> None:
    """Raises ValueError if a table, or one within it, has a setting that its dataclass lacks, or lacks one it needs."""
    for inner, values, place in _tables(kind, table, name):
        prefix = f"{place}." if place else ""
        items = {item.name: item for item in fields(inner)}
        if unknown := [f"{prefix}{key} = {_shown(values[key])}" for key in values if key not in items]:
            raise ValueError(f"{file}: no such setting: {', '.join(unknown)}; there are {', '.join(items)}")
        needed = [key for key, item in items.items() if item.default is MISSING and item.default_factory is MISSING]
        if missing := [f"{prefix}{key}" for key in needed if key not in values]:
            raise ValueError(f"{file}: these settings are missing: {', '.join(missing)}")
