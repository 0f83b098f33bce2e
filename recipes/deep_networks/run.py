"""Why deep networks are hard to train, and what helps: all experiments, their tables and pictures."""

import math
import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated

import pictures
import typer
from experiments import (
    EXPERIMENTS,
    SEEDS,
    SHARES,
    SPEAKERS,
    Experiment,
    Result,
    Row,
    Rows,
    Run,
    Setting,
    part_manifest,
    perform,
)

from asr.training.corpus import FeatureStore
from asr.workers import die_with_parent
from lm.cli.errors import one_line_errors
from lm.progress import progress_bar

T_95 = {2: 4.303, 3: 3.182, 4: 2.776}  # Student's t of so many degrees of freedom that 2.5 % exceed

Perform = Callable[[list[Run], str], Iterator[Result]]


def interval(values: list[float]) -> tuple[float, float]:
    """The mean, and how far the bounds of its 95 % interval are from it, by Student's t."""
    freedom = len(values) - 1
    return statistics.fmean(values), T_95[freedom] * statistics.stdev(values) / math.sqrt(len(values))


def perform_all(experiment: Experiment, perform_runs: Perform) -> Rows:
    """Every setting with the best of its choices, by all seeds.

    The best has the fewest errors on the speakers to train on, each left out of a training by the first seed in turn.
    """
    tried = [
        Run(experiment.name, setting, choice, SEEDS[0], speaker)
        for setting in experiment.settings
        if len(setting.choices) > 1
        for choice in range(len(setting.choices))
        for speaker in SPEAKERS
    ]
    errors: dict[str, dict[int, float]] = {setting.name: {} for setting in experiment.settings}
    for run, result in zip(tried, perform_runs(tried, f"{experiment.name}, choices"), strict=True):
        mean = result["test_error"] / len(SPEAKERS)
        errors[run.setting.name][run.choice] = errors[run.setting.name].get(run.choice, 0.0) + mean
    best = [min(found, key=found.__getitem__, default=0) for found in errors.values()]
    runs = [
        Run(experiment.name, setting, choice, seed)
        for setting, choice in zip(experiment.settings, best, strict=True)
        for seed in SEEDS
    ]
    results = perform_runs(runs, f"{experiment.name}, seeds")
    return [
        Row(setting, list(islice(results, len(SEEDS))), errors[setting.name].get(choice))
        for setting, choice in zip(experiment.settings, best, strict=True)
    ]


def described(setting: Setting, result: Result) -> str:
    """What was chosen, of how many."""
    choice = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in result["choice"].items())
    return f"{choice} (of {len(setting.choices)})" if len(setting.choices) > 1 else choice or "–"


def table(experiment: Experiment, rows: Rows) -> str:
    """A table in Markdown."""
    lines = [f"## {experiment.title}", ""]
    header = ["setting", "chosen", "speakers left out", "training", "held out", "processor, s a run"]
    lines += [f"| {' | '.join(header)} |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    for setting, results, left_out in rows:
        cells = [setting.name, described(setting, results[0]), "–" if left_out is None else f"{left_out:.1f}"]
        for name in "train_error", "test_error":
            mean, beyond = interval([result[name] for result in results])
            cells.append(f"{mean:.1f} ± {beyond:.1f}")
        if diverged := sum(result.get("diverged", False) for result in results):
            cells[0] += f" (diverged {diverged} of {len(results)})"
        cells.append(f"{statistics.fmean(result['seconds'] for result in results):.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    if experiment.pairs:
        lines += [
            "",
            "Differences of held-out errors at the same seeds:",
            "",
            "| from | to | points |",
            "| --- | --- | ---: |",
        ]
        errors = {setting.name: [result["test_error"] for result in results] for setting, results, _ in rows}
    for first, other in experiment.pairs:
        mean, beyond = interval([b - a for a, b in zip(errors[first], errors[other], strict=True)])
        lines.append(f"| {first} | {other} | {mean:+.1f} ± {beyond:.1f} |")
    return "\n".join(lines) + "\n"


HEAD = f"""# Results

Digits taken for others, %: means over seeds {", ".join(map(str, SEEDS))} and 95 % intervals by Student's t. These tell
how much initial weights, the order and the choice of recordings matter, not how much speakers do. "Speakers left out":
the errors of what was chosen, a mean over trainings without each of the speakers. `run.py` wrote this.

"""

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def main(
    folder: Annotated[Path, typer.Argument(help="Has train.jsonl, heldout.jsonl and apc/best.ckpt.")],
    jobs: Annotated[int, typer.Option(help="Trainings at a time, each on a core.", min=1)] = os.cpu_count() or 1,
    only: Annotated[list[str] | None, typer.Option(help="An experiment's name; several together.")] = None,
) -> None:
    """Train all that experiments.py lists, as far as it isn't done yet; write RESULTS.md and the pictures.

    A run's result is kept under FOLDER/runs, so that a command that was killed goes on.

    Examples:

        python recipes/deep_networks/run.py exp/deep_networks --jobs 2

        python recipes/deep_networks/run.py exp/deep_networks --only optimizers --only depth
    """
    with one_line_errors():
        experiments = tuple(item for item in EXPERIMENTS if not only or item.name in only)
        if not experiments:
            raise ValueError(f"--only {only}: there are {', '.join(item.name for item in EXPERIMENTS)}")
        # Features are computed before there are several who would.
        for manifest in (
            folder / "heldout.jsonl",
            *(part_manifest(folder, share, seed) for share in SHARES for seed in SEEDS),
        ):
            FeatureStore(manifest, folder / "features")
        seconds = 0.0
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), die_with_parent) as pool:

            def perform_runs(runs: list[Run], what: str) -> Iterator[Result]:
                nonlocal seconds
                for result in progress_bar(pool.map(partial(perform, folder=folder), runs), what, len(runs)):
                    seconds += result["seconds"]
                    yield result

            found = {item.name: perform_all(item, perform_runs) for item in experiments}
        tables = [table(item, found[item.name]) for item in experiments]
        results = folder / (f"RESULTS-{'-'.join(found)}.md" if only else "RESULTS.md")  # make waits for the whole
        results.write_text(HEAD + "\n".join(tables))
        pictures.draw_all(found, folder)
        print(f"{results}: {seconds / 60:.1f} minutes of processor time, in this run or earlier ones")


if __name__ == "__main__":
    app()
