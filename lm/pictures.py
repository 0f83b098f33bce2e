"""Pictures: how they are written, and the one of a sentence's probabilities. Needs the extra `pictures`."""

import io
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from lm.query import Place

SUFFIXES = (".png", ".svg", ".html")
COLOURS = ("#0072B2", "#E69F00", "#009E73")  # Okabe and Ito's, which the colour-blind tell apart
HATCHES = ("", "//", "..")  # and these are told apart in grey
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.5,
}


def check_name(path: Path) -> None:
    """Raises ValueError, before the long work, for a picture of a kind that can't be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: pictures are written as {', '.join(SUFFIXES)}: give one of these endings")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}: make it first")


def write(figure: Figure, path: Path, title: str, text: str = "") -> None:
    """Write a figure as its ending says. An .html page holds the picture, and `text`, HTML that says the same."""
    with rc_context(STYLE):
        if path.suffix.lower() != ".html":
            figure.savefig(path)
            return
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg")
    svg = drawn.getvalue()
    path.write_text(
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        "<style>body { font: 16px/1.5 sans-serif; margin: 1em } svg { max-width: 100%; height: auto }</style>\n"
        f"<h1>{escape(title)}</h1>\n{text}\n{svg[svg.index('<svg') :]}</html>\n",
        encoding="utf-8",
    )


def draw_sentence(sentence: Sequence[Place]) -> Figure:
    """Bars of each word's probability by each model, and below each word what was likelier."""
    names = list(sentence[0].probabilities)
    with rc_context(STYLE):
        figure = Figure(figsize=(max(6.0, 1.6 * len(sentence)), 5.5), layout="constrained")
        axes = figure.subplots()
        width = 0.8 / len(names)
        least = min(p for place in sentence for p in place.probabilities.values())
        floor = 10.0 ** math.floor(math.log10(max(least, 1e-12)) - 0.3)
        for number, name in enumerate(names):
            at = np.arange(len(sentence)) + (number - (len(names) - 1) / 2) * width
            heights = [place.probabilities[name] for place in sentence]
            look: dict[str, Any] = {"color": COLOURS[number], "hatch": HATCHES[number], "edgecolor": "white"}
            axes.bar(at, heights, width, label=name, **look)
        axes.set(yscale="log", ylim=(floor, 1), ylabel="probability after the words before")
        labels = []
        for place in sentence:
            others = "\n".join(f"{word} {p:.2g}" for word, p in place.likelier)
            labels.append(f"{place.word}\n\n{others or '(nothing likelier)'}")
        axes.set_xticks(range(len(sentence)), labels, fontsize=9)
        axes.set_xlabel(f"words, and what {names[-1]} had held likelier", labelpad=10)
        axes.tick_params(axis="x", length=0)
        axes.grid(axis="y", color="0.9")
        axes.set_axisbelow(True)
        axes.legend(frameon=False, ncols=len(names), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure
