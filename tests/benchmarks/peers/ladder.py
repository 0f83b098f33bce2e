"""The ladder: word error rates of the default model, version after version, beside other recognisers, as a picture.

    python tests/benchmarks/peers/ladder.py

Reads the rows of "The ladder" in docs/results.md, so that the picture can't say what they don't, and draws
docs/ladder.svg. A row of a version is a step; any other row is a line.
"""

import re
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from lm.pictures import COLOURS, STYLE, write

DOCS = Path(__file__).parents[3] / "docs"
TABLE = re.compile(r"^## The ladder$.*?^(\|.*?)\n\n", re.DOTALL | re.MULTILINE)


def rows(text: str) -> tuple[list[str], list[tuple[str, list[float]]]]:
    """The corpora, and of each row its name and its word error rates, from the text of docs/results.md."""
    found = TABLE.search(text)
    if not found:
        raise ValueError("no table under '## The ladder'")
    head, _, *body = [[cell.strip() for cell in line[1:-1].split("|")] for line in found[1].split("\n")]
    return head[2:4], [(name, [float(cell) for cell in cells[:2]]) for name, _, *cells in body]


def draw(corpora: list[str], ladder: list[tuple[str, list[float]]]) -> Figure:
    """One panel a corpus."""
    steps = [(name.removeprefix("version "), rates) for name, rates in ladder if name.startswith("version ")]
    peers = [(name, rates) for name, rates in ladder if not name.startswith("version ")]
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        panels: Any = figure.subplots(1, len(corpora))
        for column, (axes, corpus) in enumerate(zip(panels, corpora, strict=True)):
            names, heights = [name for name, _ in steps], [rates[column] for _, rates in steps]
            axes.plot(names, heights, color=COLOURS[0], marker="o")
            for name, height in zip(names, heights, strict=True):
                axes.annotate(
                    f"{height:.1f}", (name, height), (0, 6), textcoords="offset points", ha="center", fontsize=8
                )
            for name, rates in peers:
                axes.axhline(rates[column], color="0.5", linestyle="--", linewidth=1)
                axes.annotate(
                    f"{name} {rates[column]:.1f}",
                    (1, rates[column]),
                    (-2, 3),
                    ha="right",
                    fontsize=8,
                    color="0.3",
                    xycoords=("axes fraction", "data"),
                    textcoords="offset points",
                )
            axes.set(title=corpus, xlabel="version of the default model", ylabel="WER, %", ylim=(0, None))
            axes.margins(y=0.12)
    return figure


if __name__ == "__main__":
    ladder = draw(*rows((DOCS / "results.md").read_text(encoding="utf-8")))
    write(ladder, DOCS / "ladder.svg", "The ladder")
