"""What the trainings of `lm` and `asr` share: a budget of time or steps, the learning rate, checkpoints; on Lightning.

Everything random is a function of the seed and the step, so that a run killed at any moment and resumed from its last
checkpoint takes the same steps as one that was never stopped.

Started by torchrun, its processes, one a device, share every step: see `processes` and `fit`.
"""

import logging
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.environments import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from lm.files import read_toml
from lm.settings import Count, NotNegative, Positive, Share, Whole, read_table

CHECKPOINT_SECONDS = 120.0  # a kill loses no more than this
OPTIMIZERS: dict[str, Any] = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}

T = TypeVar("T", bound="Budget")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Settings of any training; the TOML file has the same names."""

    max_minutes: Positive | None = None  # of training, over all runs; the learning rate falls to zero with it
    max_steps: Count | None = None  # or a number of steps, or of times through the data; whichever ends first
    max_epochs: Positive | None = None
    validate_every: Count = 200  # steps
    learning_rate: Positive = 2e-3  # the highest; it rises over `warmup_steps`, then falls by a cosine
    warmup_steps: Count = 200
    accumulate: Count = 1  # batches whose gradients make a step, each as large as one alone would be
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: Share = 0.9  # of sgd
    nesterov: bool = False  # of sgd: the gradient is that of where the momentum leads
    weight_decay: NotNegative = 1e-2
    gradient_norm: Positive = 1.0  # gradients are scaled down to it
    # "auto": "bf16-mixed" where there are instructions for it, or else "32-true".
    precision: Literal["auto", "bf16-mixed", "16-mixed", "32-true", "64-true"] = "auto"
    seed: Whole = 1

    def __post_init__(self) -> None:
        if self.max_minutes is None and self.max_steps is None and self.max_epochs is None:
            raise ValueError("the settings say neither max_minutes nor max_steps nor max_epochs: when shall it end?")
        if self.nesterov and not (self.optimizer == "sgd" and self.momentum):
            raise ValueError('nesterov = true is a kind of momentum: it needs optimizer = "sgd" and momentum above 0')


def read_settings(path: Path, kind: type[T], model: type, **known: int) -> T:
    """The settings of a TOML file, for the dataclass `kind`, with a table [model] for the dataclass `model`.

    A file that says base = "other.toml" replaces settings of that file, which is looked for beside it. known: sizes of
    the model that aren't settings, such as how many units it has. Raises ValueError for a setting that the dataclasses
    lack, or need, or a value that they don't allow.
    """
    table = read_toml(path)
    settings = read_table(kind, table, path)
    sizes = table.get("model", {})
    if known.keys() & sizes.keys():
        raise ValueError(f"{path}: leave out model.{', model.'.join(known)}: the data tell")
    read_table(model, {**sizes, **known}, path, "model")
    return settings


def processes() -> tuple[int, int]:
    """The rank of this process, from 0, and how many there are: (0, 1) unless torchrun started several."""
    environment = TorchElasticEnvironment()
    return (environment.global_rank(), environment.world_size()) if environment.detect() else (0, 1)


def make_once(file: Path, make: Callable[[], None]) -> None:
    """Have rank 0 make a file that is not there yet; the other processes wait for it, however long it takes."""
    if processes()[0] == 0 and not file.exists():
        make()
    while not file.exists():  # if rank 0 fails, torchrun ends all
        time.sleep(0.2)


class Loader(Protocol):
    """Batches for one process, in an order that its state fixes; an epoch is a whole number of steps."""

    @property
    def epochs(self) -> float:
        """How often it has gone through the data, parts included."""

    def __len__(self) -> int:
        """Batches an epoch."""

    def __iter__(self) -> Iterator[Any]:
        """The batches from the present state to the end of the epoch."""

    def state_dict(self) -> dict[str, int]:
        """The same on all ranks."""

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from there."""


class Windows:
    """Where the batches of a text lie that is cut into `ranks * rows` equal pieces, read side by side.

    A batch is a window of `words` words in each of this rank's rows. A pass is a whole number of steps, of `accumulate`
    batches each. `state_dict` lets Lightning resume in the middle.
    """

    def __init__(
        self, count: int, rows: int, words: int, accumulate: int = 1, rank: int = 0, ranks: int = 1, ahead: int = 0
    ) -> None:
        """count: the words of the text. ahead: how many words behind a window are needed with it."""
        steps = (count - ahead) // (ranks * rows * words * accumulate)
        if steps < 1:
            step = f"{ranks * rows} x {accumulate * words}"
            raise ValueError(f"the text has {count} words, fewer than one step of {step}")
        self._words, self._batches = words, steps * accumulate
        self._starts = np.arange(rank * rows, (rank + 1) * rows) * self._batches * words
        self._epoch, self._done = 0, 0

    @property
    def epochs(self) -> float:
        return self._epoch + self._done / self._batches

    def __len__(self) -> int:
        return self._batches

    def _left(self) -> Iterator[int]:
        """The numbers of the batches that are left of the pass."""
        if self._done == self._batches:  # noticed only now: Lightning never asks for a batch past the last
            self._epoch, self._done = self._epoch + 1, 0
        while self._done < self._batches:
            self._done += 1
            yield self._done - 1

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self._epoch, "done": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._epoch, self._done = state["epoch"], state["done"]


class Training(lightning.LightningModule):
    """A module with a budget. Subclasses define `loss(batch)`, `validation_step`, and self.model."""

    model: Any  # a torch module with its sizes in `config`, a dataclass
    every_parameter = True  # is used in every batch

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.budget = budget
        self.seconds = 0.0  # spent in training steps, earlier runs included
        self._losses: list[Tensor] = []  # of the batches of the step so far
        self._non_finite = 0  # losses in a row

    def loss(self, batch: Any) -> Tensor:
        """The loss of one batch, per label.

        A step's gradient and loss are the mean over its batches, of all processes and as many as `accumulate` says.
        """
        raise AssertionError("a subclass says what the loss is")

    def progress(self) -> float:
        """The share of the budget that is spent, 0..1."""
        steps = self.global_step / self.budget.max_steps if self.budget.max_steps else 0.0
        minutes = self.seconds / 60 / self.budget.max_minutes if self.budget.max_minutes else 0.0
        loader: Any = self.trainer.train_dataloader
        epochs = loader.epochs / self.budget.max_epochs if self.budget.max_epochs else 0.0
        return min(1.0, max(steps, minutes, epochs))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        budget = self.budget
        settings: dict[str, Any] = {"lr": budget.learning_rate, "weight_decay": budget.weight_decay}
        if budget.optimizer == "sgd":
            settings |= {"momentum": budget.momentum, "nesterov": budget.nesterov}
        return OPTIMIZERS[budget.optimizer](self.model.parameters(), **settings)

    def on_train_start(self) -> None:
        if self.progress() >= 1:  # of a training that is resumed though it had come to its end
            self.trainer.should_stop = True

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self._started = time.monotonic()
        part = self.global_rank * self.budget.accumulate + batch_idx % self.budget.accumulate
        torch.manual_seed(self.budget.seed * 1_000_003 + self.global_step + part * 1_000_000_007)
        warmup = min(1.0, (self.global_step + 1) / self.budget.warmup_steps)
        cosine = 0.5 + 0.5 * math.cos(math.pi * self.progress())
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.budget.learning_rate * warmup * max(cosine, 0.01)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        self._losses.append(loss.detach())
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        loss = self.trainer.strategy.reduce(torch.stack(self._losses).mean(), reduce_op="mean")
        self._losses.clear()
        if torch.isfinite(loss):
            self._non_finite = 0
            self.log("train/loss", loss, prog_bar=True)
            return
        self._non_finite += 1
        self.log("train/non_finite", float(self._non_finite))
        if self._non_finite == 10:
            raise ValueError("10 losses in a row are not finite: lower learning_rate, or look at the data")
        optimizer.zero_grad()  # so that this step, on all ranks, changes nothing

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        # A paused process (SIGSTOP, a sleeping laptop) doesn't spend its budget.
        seconds = torch.tensor(min(time.monotonic() - self._started, 30.0), device=self.device)
        # One time for all ranks, so that their learning rates agree, and the step that is their last.
        self.seconds += float(self.trainer.strategy.reduce(seconds, reduce_op="max"))
        self.log("train/progress", self.progress(), prog_bar=True)
        if step_ends(self.trainer, batch_idx) and self.progress() >= 1:
            self.trainer.should_stop = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["seconds"] = self.seconds
        checkpoint["sizes"] = asdict(self.model.config)  # what `export` needs besides the weights
        checkpoint["optimizer"] = self.budget.optimizer

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.seconds = checkpoint["seconds"]


def step_ends(trainer: lightning.Trainer, batch_idx: int) -> bool:
    """Whether a batch was the last of its step."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


class LastCheckpoint(ModelCheckpoint):
    """Written between steps only: a checkpoint has no place for gradients that are still being added up."""

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if step_ends(trainer, batch_idx):
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)


class PlainLog(Callback):
    """One line on stderr for every validation, where there is no terminal for a progress bar."""

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        figures = {name: f"{float(value):.4g}" for name, value in trainer.callback_metrics.items()}
        line = "  ".join(f"{name} {value}" for name, value in figures.items())
        print(f"{time.strftime('%H:%M:%S')}  step {trainer.global_step}  {line}", file=sys.stderr, flush=True)


def fit(module: Training, training: Loader, dev: Loader, output: Path, monitor: str) -> Path:
    """Train until the budget is spent; resume if `output` holds last.ckpt.

    On the processes of torchrun, each with one device (DistributedDataParallel): `training` and `dev` yield the share
    of this process, as many batches in each. All of them must see `output`.

    Writes last.ckpt every two minutes and at the end, best.ckpt (lowest `monitor`), and TensorBoard logs. Returns
    best.ckpt's path.
    """
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    best = ModelCheckpoint(output, "best", monitor=monitor, save_on_train_epoch_end=False, enable_version_counter=False)
    last = LastCheckpoint(
        output, "last", train_time_interval=timedelta(seconds=CHECKPOINT_SECONDS), enable_version_counter=False
    )
    _, ranks = processes()
    devices = int(os.environ["LOCAL_WORLD_SIZE"]) if ranks > 1 else 1
    shared = DDPStrategy(find_unused_parameters=not module.every_parameter, broadcast_buffers=False)
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=devices,
        num_nodes=ranks // devices,
        strategy=shared if ranks > 1 else "auto",
        precision=best_precision() if module.budget.precision == "auto" else module.budget.precision,  # type: ignore[arg-type]
        max_epochs=-1,
        # Without a number Lightning wouldn't give `training` its state back between two epochs.
        max_steps=module.budget.max_steps or sys.maxsize,
        accumulate_grad_batches=module.budget.accumulate,
        val_check_interval=module.budget.validate_every * module.budget.accumulate,
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
    if resume.exists():
        check_resumable(resume, module)
    trainer.fit(module, training, dev, ckpt_path=resume if resume.exists() else None, weights_only=True)
    trainer.save_checkpoint(resume)  # before validation, for which Lightning lets go of the training data's state
    trainer.validate(module, dev, verbose=False)
    final = float(trainer.callback_metrics[monitor])
    if best.best_model_score is None or final <= float(best.best_model_score):
        trainer.save_checkpoint(output / "best.ckpt")
    return output / "best.ckpt"


def best_precision() -> str:
    """How numbers are multiplied fastest here: bfloat16 takes three times as long where it has to be emulated."""
    if torch.cuda.is_available():
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        supported = any(there for name, there in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
    return "bf16-mixed" if supported else "32-true"


def open_checkpoint(path: Path) -> dict[str, Any]:
    """What `fit` wrote. Nothing in it is executed: of pickled objects only tensors, numbers, texts and collections.

    Raises FileNotFoundError; ValueError if it isn't a whole checkpoint.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; a training writes best.ckpt into its output folder")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # anything, depending on what a file happens to hold
        checkpoint = None
    whole = isinstance(checkpoint, dict) and all(isinstance(checkpoint.get(k), dict) for k in ("state_dict", "sizes"))
    if not whole or not all(isinstance(weight, torch.Tensor) for weight in checkpoint["state_dict"].values()):
        raise ValueError(f"{path}: not a checkpoint that asr train or lm train wrote, or a damaged one")
    return checkpoint


def check_resumable(path: Path, module: Training) -> None:
    """Raises ValueError unless a checkpoint is of a training of this kind: as large a model, by the same optimizer."""
    checkpoint = open_checkpoint(path)
    mend = "take the settings that it began with, or another --output"
    sizes, own = checkpoint["sizes"], asdict(module.model.config)
    shapes, needed = ({name: t.shape for name, t in m.items()} for m in (checkpoint["state_dict"], module.state_dict()))
    if shapes != needed:
        other = [f"{name} = {sizes.get(name)}, now {size}" for name, size in own.items() if sizes.get(name) != size]
        raise ValueError(f"{path}: of a model of other sizes ({', '.join(other) or 'of another kind'}): {mend}")
    before = checkpoint.get("optimizer", module.budget.optimizer)  # older ones don't tell
    if before != module.budget.optimizer:
        raise ValueError(f"{path}: of a training by {before}, not {module.budget.optimizer}: {mend}")


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The sizes and the weights of `self.model` in a checkpoint that `fit` wrote. Nothing in it is executed."""
    checkpoint = open_checkpoint(path)
    prefix = "model."
    weights = {
        name.removeprefix(prefix): weight.numpy()
        for name, weight in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }
    return checkpoint["sizes"], weights
