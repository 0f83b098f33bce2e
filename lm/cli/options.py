"""What the commands of `lm` share: options, and how their words and files are read."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer


class Model(StrEnum):
    """The models of lm.query by name."""

    ngram = "ngram"
    lstm = "lstm"
    mixture = "mixture"


ModelOption = Annotated[Model, typer.Option(help="Of the bundle: the n-gram, the LSTM, or the two mixed.")]
BundleOption = Annotated[Path | None, typer.Option(help="A folder of models.", show_default="those that ship")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OutputOption = Annotated[Path, typer.Option(help="The file to write.")]


@contextmanager
def open_lines(path: Path) -> Iterator[TextIO]:
    """A text file, or stdin for `-`, to be read line by line. Errors: ValueError if that isn't UTF-8 text."""
    from lm.files import open_text

    try:
        with io.TextIOWrapper(sys.stdin.buffer, "utf-8-sig") if str(path) == "-" else open_text(path) as file:
            yield file
    except UnicodeDecodeError:
        raise ValueError("standard input: not UTF-8 text, convert it with iconv") from None


def heldout_sentences(path: Path) -> dict[str, list[str]]:
    """The words of a text's lines, by `FILE:LINE`; lines without are skipped. Errors: ValueError if all are."""
    from lm.text.normalise import normalize

    with open_lines(path) as lines:
        sentences = {f"{path}:{number}": words for number, line in enumerate(lines, 1) if (words := normalize(line))}
    if not sentences:
        raise ValueError(f"{path}: the text has no words")
    return sentences


def show_version(wanted: bool) -> None:
    if wanted:
        from lm.front import version

        print(f"nicebeach {version()}")
        raise typer.Exit


def with_version(
    _: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """What all commands of an app have before them: --version. For `app.callback()`."""
