"""Why deep networks are hard to train, and what helps: all experiments, their tables and pictures."""

import math
import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated

import pictures
import typer
from experiments import EXPERIMENTS, SEEDS, SETS, SHARES, Experiment, Result, Run, Setting, part_manifest, perform

from asr.training.corpus import FeatureStore
from asr.workers import die_with_parent
from lm.cli.errors import one_line_errors
from lm.progress import progress_bar

T_95 = {2: 4.303, 3: 3.182, 4: 2.776}  # Student's t of so many degrees of freedom that 2.5 % exceed

Rows = list[tuple[Setting, list[Result]]]  # settings, and the results of all seeds
Perform = Callable[[list[Run], str], Iterator[Result]]


def interval(values: list[float]) -> tuple[float, float]:
    """The mean, and how far the bounds of its 95 % interval are from it, by Student's t."""
    freedom = len(values) - 1
    return statistics.fmean(values), T_95[freedom] * statistics.stdev(values) / math.sqrt(len(values))


def perform_all(experiment: Experiment, perform_runs: Perform) -> Rows:
    """Every setting: its choices by the first seed, then the best of them on the dev speaker by the other seeds."""
    tried = [
        Run(experiment.name, setting, choice, SEEDS[0])
        for setting in experiment.settings
        for choice in range(len(setting.choices))
    ]
    best: dict[str, tuple[Run, Result]] = {}
    for run, result in zip(tried, perform_runs(tried, f"{experiment.name}, choices"), strict=True):
        name = run.setting.name
        if name not in best or result["dev_error"] < best[name][1]["dev_error"]:
            best[name] = run, result
    more = [replace(run, seed=seed) for run, _ in best.values() for seed in SEEDS[1:]]
    results = perform_runs(more, f"{experiment.name}, seeds")
    return [(run.setting, [result, *islice(results, len(SEEDS) - 1)]) for run, result in best.values()]


def described(setting: Setting, result: Result) -> str:
    """What was chosen, of how many."""
    choice = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in result["choice"].items())
    return f"{choice} (of {len(setting.choices)})" if choice else "–"


def table(experiment: Experiment, rows: Rows) -> str:
    """A table in Markdown."""
    lines = [f"## {experiment.title}", ""]
    header = ["setting", "chosen on the dev speaker", *("training", "dev", "held out"), "processor, s a run"]
    lines += [f"| {' | '.join(header)} |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    for setting, results in rows:
        cells = [setting.name, described(setting, results[0])]
        for name in SETS:
            mean, beyond = interval([result[f"{name}_error"] for result in results])
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
        errors = {setting.name: [result["heldout_error"] for result in results] for setting, results in rows}
    for first, other in experiment.pairs:
        mean, beyond = interval([b - a for a, b in zip(errors[first], errors[other], strict=True)])
        lines.append(f"| {first} | {other} | {mean:+.1f} ± {beyond:.1f} |")
    return "\n".join(lines) + "\n"


HEAD = f"""# Results

Digits taken for others, %: means over seeds {", ".join(map(str, SEEDS))} and 95 % intervals by Student's t. These tell
how much initial weights, the order and the choice of recordings matter, not how much speakers do. `run.py` wrote this.

"""

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def main(
    folder: Annotated[Path, typer.Argument(help="Has train.jsonl, dev.jsonl, heldout.jsonl and apc/best.ckpt.")],
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
        parts = [part_manifest(folder, share, seed) for share in SHARES for seed in SEEDS]
        for manifest in (*parts, *(folder / f"{name}.jsonl" for name in SETS[1:])):
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
