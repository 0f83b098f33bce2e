"""Several processes under torchrun take the same steps as one. Run as a script, this file is such a process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer import Typer

from asr.cli import app as asr
from asr.training.train import AcousticTraining
from data_prep.manifest import Item, prepare, write
from lm.cli import app as lm
from lm.text.vocabulary import Vocabulary
from lm.training.engine import Training
from lm.training.train import LstmTraining

STEPS = 50
KILLED_AT = 26  # the step; in the midst of an epoch of either training

ACOUSTIC = """
dev = "{folder}/recordings.jsonl.gz"
max_steps = {steps}
batch_seconds = {seconds}
validate_every = 20
warmup_steps = 5
learning_rate = 1e-2
precision = "32-true"
# What is drawn at random can't be the same.
slowest = 1.0
fastest = 1.0
frequency_masks = 0
time_masks = 0

[[corpora]]
manifest = "{folder}/recordings.jsonl.gz"
weight = 3.5

[model]
hidden = 16
layers = 1
channels = 4
dropout = 0.0
"""
LANGUAGE = """
text = "{folder}/text.txt"
dev = "{folder}/text.txt"
vocabulary = "{folder}/vocabulary.txt"
max_steps = {steps}
rows = {rows}
words = 5
validate_every = 20
warmup_steps = 5
learning_rate = 3e-2
precision = "32-true"

[model]
hidden = 8
cutoffs = [4]
shrink = 2
dropout = 0.0
"""


class Killed(Exception):
    """As if by SIGKILL: nothing is written any more."""


def loss_curve(app: Typer, arguments: list[str], module: type[Training], killed_at: int | None) -> list[float]:
    """Run a command that trains, and once more if it is killed; the losses of all steps."""

    def log(self: Training, name: str, value: Any, **options: Any) -> None:
        if name == "train/loss":
            losses[self.global_step] = float(value)
        original_log(self, name, value, **options)

    def loss(self: Training, batch: Any) -> Any:
        if self.global_step in kills:
            kills.clear()
            raise Killed
        return original_loss(self, batch)

    losses: dict[int, float] = {}
    kills = [killed_at]
    original_log, original_loss = Training.log, module.loss
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "log", log)
        patch.setattr(module, "loss", loss)
        patch.setattr("lm.training.engine.CHECKPOINT_SECONDS", 0.0)
        if killed_at:
            with pytest.raises(Killed):
                app(arguments, standalone_mode=False)
        app(arguments, standalone_mode=False)
    return [losses[step] for step in range(STEPS)]


def loss_curves(folder: Path, run: str, killed_at: int | None = None) -> dict[str, list[float]]:
    """Train an acoustic and a language model with the settings of a run."""
    settings = folder / run
    acoustic = ["train", f"{settings}/acoustic.toml", "--output", f"{settings}/acoustic", "--units", "characters"]
    language = ["train", f"{settings}/language.toml", "--output", f"{settings}/language"]
    return {
        "acoustic": loss_curve(asr, acoustic, AcousticTraining, killed_at),
        "language": loss_curve(lm, language, LstmTraining, killed_at),
    }


def test_two_processes_killed_and_resumed_take_the_steps_of_one(recordings: dict[Path, str], tmp_path: Path) -> None:
    items = [Item(path.stem, path, text) for path, text in recordings.items()]
    write(prepare(items).cuts, tmp_path / "recordings.jsonl.gz")
    Vocabulary("ABCDEF").save(tmp_path / "vocabulary.txt")
    (tmp_path / "text.txt").write_text("A B C D\nA B E F\n" * 50)
    for run, processes in ("one", 1), ("two", 2):
        (tmp_path / run).mkdir()
        settings = {"folder": tmp_path, "steps": STEPS, "seconds": 20 / processes, "rows": 8 // processes}
        (tmp_path / run / "acoustic.toml").write_text(ACOUSTIC.format(**settings))
        (tmp_path / run / "language.toml").write_text(LANGUAGE.format(**settings))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*torchrun, __file__, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"{tmp_path}/two/{name}/best.ckpt" for name in ("acoustic", "language")]
    one, two = loss_curves(tmp_path, "one"), json.loads((tmp_path / "two/losses.json").read_text())
    for name in one:
        assert one[name][-1] < 0.8 * one[name][0]
        largest = max(abs(first - second) for first, second in zip(one[name], two[name], strict=True))
        figure = f"{name} model: largest difference over {STEPS} steps = {largest:.2g}"
        print(figure)  # pytest -rP shows it
        assert largest < 1e-3, figure


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "two/losses.json").write_text(json.dumps(loss_curves(place, "two", KILLED_AT)))
