"""What several commands of `asr` share: options, and how corpora are read."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_prep.cli import report_drops

if TYPE_CHECKING:
    from lhotse.cut import Cut


ModelOption = Annotated[Path | None, typer.Option(help="A model folder.", show_default="the one that ships")]
DataOption = Annotated[
    Path, typer.Option(help="A corpus folder in a known layout, a Common Voice .tsv or a manifest.", show_default=False)
]
LimitOption = Annotated[int | None, typer.Option(help="Use so many utterances, evenly spread.", min=1)]


def multiply_on_one_core() -> None:
    """Before NumPy: products are of few rows; threads that share them would wait for each other, and for processes."""
    for library in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # which reads it when it is imported
        os.environ.setdefault(library, "1")


def read_cuts(data: Path, limit: int | None) -> tuple[list["Cut"], bool]:
    """The utterances of a corpus with known text, and whether that is all of them; what is not is told on stderr."""
    from data_prep.layouts import read
    from data_prep.manifest import NO_TRANSCRIPT

    prepared = read(data, float("inf"))
    report_drops(prepared)
    cuts = list(prepared.cuts)
    if not cuts:
        raise ValueError(f"{data}: no usable utterance")
    if limit and limit < len(cuts):
        cuts = [cuts[index * len(cuts) // limit] for index in range(limit)]
    return cuts, not prepared.dropped.keys() - {NO_TRANSCRIPT}
