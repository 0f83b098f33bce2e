"""The evaluation of a recogniser as a picture: who is misheard, and how, and whether confidences can be believed."""

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm.pictures import COLOURS, HATCHES, STYLE

NAMED = 30  # speakers that have room for their names
KINDS = ("substitutions", "deletions", "insertions")


def draw(summary: dict[str, Any], decodings: tuple[str, ...]) -> Figure:
    """Draw what `asr.evaluation.evaluate.Evaluation.summary` tells. decodings: the names of those in it."""
    with rc_context(STYLE):
        figure = Figure(figsize=(18, 6), layout="constrained")
        speakers, reliability, kinds = figure.subplots(1, 3, width_ratios=[1.6, 1, 1])
        _draw_speakers(speakers, summary["speakers"])
        _draw_reliability(reliability, summary["confidence"])
        _draw_kinds(kinds, {name: summary[name] for name in decodings}, summary["words"])
    return figure


def _draw_speakers(axes: Axes, speakers: list[dict[str, Any]]) -> None:
    ranked = sorted(speakers, key=lambda speaker: speaker["wer"])
    rates = [speaker["wer"] for speaker in ranked]
    axes.bar(range(len(ranked)), rates, color=COLOURS[0])
    axes.set(title=f"word error rate of {len(ranked)} known speakers", ylabel="WER, %", ylim=(0, None))
    if not ranked:
        return
    axes.axhline(float(np.median(rates)), color="0.3", linestyle="--", label=f"median {np.median(rates):.1f} %")
    if len(ranked) <= NAMED:
        labels = [f"{speaker['speaker']} ({speaker['words']})" for speaker in ranked]
        axes.set_xticks(range(len(ranked)), labels, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
        axes.set_xlabel("speakers, and how many words they said")
    else:
        axes.set(xticks=(), xlabel="speakers, from the best understood on")
    axes.legend(frameon=False, loc="upper left")


def _draw_reliability(axes: Axes, quality: dict[str, Any]) -> None:
    bins = quality["reliability"]
    axes.plot((0, 1), (0, 1), color="0.6", linestyle=":", label="as sure as right")
    sure, right, words = ([item[name] for item in bins] for name in ("confidence", "right", "words"))
    axes.plot(sure, right, color=COLOURS[0], marker="o", label="words of each tenth")
    for x, y, count in zip(sure, right, words, strict=True):
        axes.annotate(str(count), (x, y), (4, -10), textcoords="offset points", fontsize=8, color="0.3")
    title = f"confidences: calibration error {quality['calibration_error']:.3f}"
    axes.set(title=title, xlabel="confidence", ylabel="share of words that are right", xlim=(0, 1.05), ylim=(0, 1.05))
    axes.legend(frameon=False, loc="upper left")


def _draw_kinds(axes: Axes, decodings: dict[str, Any], words: int) -> None:
    below = np.zeros(len(decodings))
    for kind, colour, hatch in zip(KINDS, COLOURS, HATCHES, strict=True):
        shares = np.array([100 * decoding[kind] / words for decoding in decodings.values()])
        look: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white"}
        axes.bar(list(decodings), shares, bottom=below, label=kind, width=0.6, **look)
        below += shares
    for place, total in enumerate(below):
        axes.text(place, total, f"{total:.1f} %", ha="center", va="bottom")
    axes.set(title="errors by kind and decoding", ylabel="% of the words said", ylim=(0, max(1.0, 1.1 * below.max())))
    axes.legend(frameon=False)
