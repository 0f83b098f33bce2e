"""The experiments' pictures. Lines differ in style and marker, so that they are told apart in grey, too."""

import io
import statistics
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from experiments import DEPTHS, SHARES, VARIANTS, Result, Rows
from graph import draw, lstm_graph
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from networks import ACTIVATIONS
from PIL import Image

from lm.pictures import STYLE

COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")  # Okabe and Ito's
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = "os^Dvx"


def look(number: int) -> dict[str, Any]:
    """How the lines of a picture differ."""
    return {"color": COLOURS[number], "linestyle": LINES[number], "marker": MARKERS[number], "markersize": 5}


def draw_all(found: dict[str, Rows], folder: Path) -> None:
    """Draw what was found, each experiment into a file of its name."""
    pictures = {
        "optimizers": partial(draw_curves, fontsize=9),
        "regularisation": draw_regularisation,
        "initialisation": draw_initialisation,
        "depth": draw_depth,
        "pretraining": draw_pretraining,
        "cells": draw_curves,
    }
    with rc_context(STYLE):
        for steps in (1, 3):
            figure = Figure(figsize=(10, 3.2) if steps == 1 else (18, 4), layout="constrained")
            draw(figure.subplots(), lstm_graph(steps))
            save(figure, folder / f"graph-{steps}.png")
        for name, picture in pictures.items():
            if name in found:
                save(picture(found[name]), folder / f"{name}.png")
        if "depth" in found:
            save(draw_gradients(found["depth"]), folder / "gradients.png")


def save(figure: Figure, path: Path) -> None:
    """In 64 colours, which makes a third of the file."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=80)
    Image.open(drawn).convert("RGB").quantize(64).save(path, optimize=True)


def curve(axes: Axes, number: int, label: str, results: list[Result], value: str) -> None:
    """A learning curve, the mean of all seeds; those that diverged end where the first of them did."""
    curves = [result["curve"] for result in results]
    points = list(zip(*curves, strict=False))
    steps = [point[0]["step"] for point in points]
    axes.plot(steps, [statistics.fmean(each[value] for each in point) for point in points], label=label, **look(number))


def bars(
    axes: Axes, number: int, label: str, places: Sequence[float], settings: Iterable[list[Result]], value: str
) -> None:
    """Means of all seeds, and from the best to the worst of them."""
    errors = [[result[value] for result in results] for results in settings]
    means = [statistics.fmean(each) for each in errors]
    below = [mean - min(each) for mean, each in zip(means, errors, strict=True)]
    above = [max(each) - mean for mean, each in zip(means, errors, strict=True)]
    axes.errorbar(places, means, (below, above), label=label, capsize=3, **look(number))


def draw_curves(rows: Rows, fontsize: float | None = None) -> Figure:
    """Learning curves. fontsize: of the legend; None: as ever."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    loss, error = figure.subplots(1, 2)
    for number, (setting, results, _) in enumerate(rows):
        curve(loss, number, setting.name, results, "train_loss")
        curve(error, number, setting.name, results, "test_error")
    loss.set(title="training speakers", xlabel="steps", ylabel="cross-entropy, nats", yscale="log")
    error.set(title="held-out speakers", xlabel="steps", ylabel="digits taken for others, %")
    loss.legend(frameon=False, fontsize=fontsize)
    return figure


def draw_regularisation(rows: Rows) -> Figure:
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    ways = list(dict.fromkeys(setting.name.split(", ")[1] for setting, *_ in rows))
    shares = sorted({setting.share for setting, *_ in rows})
    for number, way in enumerate(ways):
        results = [found for setting, found, _ in rows if setting.name.endswith(f", {way}")]
        # Moved apart a little, so that the bars can be seen.
        places = [100 * share * 1.04 ** (number - 1.5) for share in shares]
        for panel, value in zip(panels, ("train_error", "test_error"), strict=True):
            bars(panel, number, way, places, results, value)
    for panel, title in zip(panels, ("what was trained on", "held-out speakers"), strict=True):
        panel.set(title=title, xlabel="% of the training recordings", xscale="log")
        panel.set(ylim=(-2, None))
        panel.set_xticks([100 * share for share in shares], [f"{100 * share:g}" for share in shares], minor=False)
        panel.minorticks_off()
    panels[0].set(ylabel="digits taken for others, %")
    panels[0].legend(frameon=False)
    return figure


def draw_initialisation(rows: Rows) -> Figure:
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    sizes, loss, lstm = figure.subplots(1, 3)
    feed_forward = [row for row in rows if "gradients" in row.results[0]]
    for number, (setting, results, _) in enumerate(feed_forward):
        gradients(sizes, number, setting.name, results)
        curve(loss, number, setting.name, results, "train_loss")
    for number, (setting, results, _) in enumerate(row for row in rows if "gradients" not in row.results[0]):
        curve(lstm, number, setting.name, results, "train_loss")
    sizes.set(title="8 layers of ReLU, before training")
    loss.set(title="8 layers of ReLU (too large: far above)", xlabel="steps", ylabel="cross-entropy, nats")
    loss.set(yscale="log", ylim=(0.05, 5))  # guessing has 2.3; what begins too large would leave no room for the others
    lstm.set(title="LSTM", xlabel="steps", ylabel="cross-entropy, nats", yscale="log")
    sizes.legend(frameon=False, fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 0.12))
    lstm.legend(frameon=False, fontsize=9)
    return figure


def gradients(axes: Axes, number: int, label: str, results: list[Result]) -> None:
    """The gradients of each hidden layer; those that are exactly 0 can't be drawn on a logarithmic scale."""
    layers = range(1, 1 + len(results[0]["gradients"]))
    means = [statistics.fmean(result["gradients"][layer - 1] for result in results) for layer in layers]
    if not any(means):
        label += " (all 0)"
    axes.plot(layers, [mean or float("nan") for mean in means], label=label, **look(number))
    axes.set(xlabel="hidden layer, from the input on", ylabel="root mean square of d loss / d weight", yscale="log")


def draw_depth(rows: Rows) -> Figure:
    figure = Figure(figsize=(13, 8), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey="row")
    by_name = {setting.name: results for setting, results, _ in rows}
    for column, activation in enumerate(ACTIVATIONS):
        for line, value in enumerate(("train_error", "test_error")):
            panel = panels[line, column]
            for number, variant in enumerate(VARIANTS):
                results = [by_name[f"{activation}, {variant}, {layers} layers"] for layers in DEPTHS]
                places = [depth * 1.04 ** (number - 1) for depth in DEPTHS]
                bars(panel, number, variant, places, results, value)
            panel.set(xscale="log", ylim=(-3, 95))
            panel.set_xticks(DEPTHS, [str(depth) for depth in DEPTHS])
            panel.minorticks_off()
        panels[0, column].set(title=activation)
        panels[1, column].set(xlabel="hidden layers")
    panels[0, 0].set(ylabel="training speakers, errors in %")
    panels[1, 0].set(ylabel="held-out speakers, errors in %")
    panels[0, 2].legend(frameon=False)
    return figure


def draw_gradients(rows: Rows) -> Figure:
    figure = Figure(figsize=(13, 4.3), layout="constrained")
    by_name = {setting.name: results for setting, results, _ in rows}
    for panel, activation in zip(figure.subplots(1, 3, sharey=True), ACTIVATIONS, strict=True):
        for number, variant in enumerate(VARIANTS):
            gradients(panel, number, variant, by_name[f"{activation}, {variant}, {DEPTHS[-1]} layers"])
        panel.set(title=f"{activation}, {DEPTHS[-1]} layers, before training")
        panel.label_outer()
    figure.axes[0].legend(frameon=False)
    return figure


def draw_pretraining(rows: Rows) -> Figure:
    figure = Figure(figsize=(6.5, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, (apc, label) in enumerate(((False, "random weights"), (True, "pre-trained by APC"))):
        results = [found for setting, found, _ in rows if setting.start_from_apc == apc]
        bars(axes, number, label, [100 * share * 1.03 ** (2 * number - 1) for share in SHARES], results, "test_error")
    axes.set(xlabel="% of the labels", ylabel="held-out speakers, errors in %", xscale="log", ylim=(0, 95))
    axes.set_xticks([100 * share for share in SHARES], [f"{100 * share:g}" for share in SHARES])
    axes.minorticks_off()
    axes.legend(frameon=False)
    return figure
