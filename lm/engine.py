"""What the trainings of `lm` and `asr` share: a budget of time or steps, the learning rate, checkpoints; on Lightning.

Everything random is a function of the seed and the step, so that a run killed at any moment and resumed from its last
checkpoint takes the same steps as one that was never stopped.
"""

import logging
import math
import sys
import time
import tomllib
import warnings
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

CHECKPOINT_SECONDS = 120.0  # a kill loses no more than this
OPTIMIZERS: dict[str, Any] = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Settings of any training; the TOML file has the same names."""

    max_minutes: float | None = None  # of training, over all runs; the learning rate falls to zero with it
    max_steps: int | None = None  # or a number of steps; whichever ends first
    validate_every: int = 200  # steps
    learning_rate: float = 2e-3  # the highest; it rises over `warmup_steps`, then falls by a cosine
    warmup_steps: int = 200
    optimizer: str = "adamw"  # or "adam", "sgd"
    momentum: float = 0.9  # of sgd
    weight_decay: float = 1e-2
    gradient_norm: float = 1.0  # gradients are scaled down to it
    precision: str = "bf16-mixed"  # "32-true" on processors without bfloat16
    seed: int = 1

    def __post_init__(self) -> None:
        if self.max_minutes is None and self.max_steps is None:
            raise ValueError("the settings say neither max_minutes nor max_steps: when shall the training end?")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"no optimizer {self.optimizer!r}; there are {', '.join(OPTIMIZERS)}")


def read_settings(path: Path, kind: type, model: type) -> dict[str, Any]:
    """The settings of a TOML file, for the dataclass `kind`, with a table [model] for the dataclass `model`.

    A file that says base = "other.toml" replaces settings of that file, which is looked for beside it. Raises
    ValueError for a setting that the dataclasses lack, or need.
    """
    settings = _read_toml(path)
    unknown = settings.keys() - {item.name for item in fields(kind)}
    unknown |= settings.get("model", {}).keys() - {item.name for item in fields(model)}
    if unknown:
        raise ValueError(f"{path}: no such setting: {', '.join(sorted(unknown))}")
    needed = {item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING}
    if missing := needed - settings.keys():
        raise ValueError(f"{path}: these settings are missing: {', '.join(sorted(missing))}")
    return settings


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such settings file; see recipes/librispeech") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: not a TOML file: {error}") from None
    base = settings.pop("base", None)
    return {**_read_toml(path.parent / base), **settings} if base else settings


class Training(lightning.LightningModule):
    """A module with a budget. Subclasses define `loss(batch)`, `validation_step`, and self.model."""

    model: Any  # a torch module with its sizes in `config`, a dataclass

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.budget = budget
        self.seconds = 0.0  # spent in training steps, earlier runs included
        self._non_finite = 0  # losses in a row

    def loss(self, batch: Any) -> Tensor:
        """The loss of one batch, per label."""
        raise AssertionError("a subclass says what the loss is")

    def progress(self) -> float:
        """The share of the budget that is spent, 0..1."""
        steps = self.global_step / self.budget.max_steps if self.budget.max_steps else 0.0
        minutes = self.seconds / 60 / self.budget.max_minutes if self.budget.max_minutes else 0.0
        return min(1.0, max(steps, minutes))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        budget = self.budget
        settings: dict[str, Any] = {"lr": budget.learning_rate, "weight_decay": budget.weight_decay}
        if budget.optimizer == "sgd":
            settings["momentum"] = budget.momentum
        return OPTIMIZERS[budget.optimizer](self.model.parameters(), **settings)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self._started = time.monotonic()
        torch.manual_seed(self.budget.seed * 1_000_003 + self.global_step)
        warmup = min(1.0, (self.global_step + 1) / self.budget.warmup_steps)
        cosine = 0.5 + 0.5 * math.cos(math.pi * self.progress())
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.budget.learning_rate * warmup * max(cosine, 0.01)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        loss = self.loss(batch)
        if not torch.isfinite(loss):
            self._non_finite += 1
            self.log("train/non_finite", float(self._non_finite))
            if self._non_finite == 10:
                raise ValueError("10 losses in a row are not finite: lower learning_rate, or look at the data")
            return None
        self._non_finite = 0
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        # A paused process (SIGSTOP, a sleeping laptop) doesn't spend its budget.
        self.seconds += min(time.monotonic() - self._started, 30.0)
        self.log("train/progress", self.progress(), prog_bar=True)
        if self.progress() >= 1:
            self.trainer.should_stop = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["seconds"] = self.seconds
        checkpoint["sizes"] = asdict(self.model.config)  # what `export` needs besides the weights

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.seconds = checkpoint["seconds"]


class PlainLog(Callback):
    """One line on stderr for every validation, where there is no terminal for a progress bar."""

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        figures = {name: f"{float(value):.4g}" for name, value in trainer.callback_metrics.items()}
        line = "  ".join(f"{name} {value}" for name, value in figures.items())
        print(f"{time.strftime('%H:%M:%S')}  step {trainer.global_step}  {line}", file=sys.stderr, flush=True)


def fit(module: Training, training: Iterable[Any], dev: Iterable[Any], output: Path, monitor: str) -> Path:
    """Train until the budget is spent; resume if `output` holds last.ckpt.

    Writes last.ckpt every two minutes and at the end, best.ckpt (lowest `monitor`), and TensorBoard logs. Returns
    best.ckpt's path.
    """
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    best = ModelCheckpoint(output, "best", monitor=monitor, save_on_train_epoch_end=False, enable_version_counter=False)
    last = ModelCheckpoint(
        output, "last", train_time_interval=timedelta(seconds=CHECKPOINT_SECONDS), enable_version_counter=False
    )
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=1,
        precision=module.budget.precision,  # type: ignore[arg-type]
        max_epochs=-1,
        max_steps=module.budget.max_steps or -1,
        val_check_interval=module.budget.validate_every,
        check_val_every_n_epoch=None,
        gradient_clip_val=module.budget.gradient_norm,
        callbacks=[best, last, RichProgressBar(leave=True) if sys.stderr.isatty() else PlainLog()],
        enable_progress_bar=sys.stderr.isatty(),
        logger=TensorBoardLogger(output, name="log"),
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_model_summary=False,
    )
    resume = output / "last.ckpt"
    # Lightning's own checkpoints hold more than weights; only one's own are ever read here.
    trainer.fit(module, training, dev, ckpt_path=resume if resume.exists() else None, weights_only=False)
    trainer.validate(module, dev, verbose=False)
    trainer.save_checkpoint(resume)
    final = float(trainer.callback_metrics[monitor])
    if best.best_model_score is None or final <= float(best.best_model_score):
        trainer.save_checkpoint(output / "best.ckpt")
    return output / "best.ckpt"


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The sizes and the weights of `self.model` in a checkpoint that `fit` wrote. Nothing in it is executed."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; a training writes best.ckpt into its output folder")
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    prefix = "model."
    weights = {
        name.removeprefix(prefix): weight.numpy()
        for name, weight in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }
    return checkpoint["sizes"], weights
