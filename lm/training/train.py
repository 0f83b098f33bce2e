"""Trains an LSTM language model on normalised text, one sentence a line, from a settings file."""

import ctypes
import hashlib
import math
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from lm.files import open_text
from lm.lstm.model import LstmConfig
from lm.settings import MOST, Count
from lm.text.vocabulary import END, Vocabulary
from lm.training import grow
from lm.training.engine import Budget, Training, Windows, fit, make_once, processes, read_settings
from lm.training.network import Memory, WordLstm


@dataclass(frozen=True, kw_only=True)
class LstmTrainConfig(Budget):
    """Settings of a training; the TOML file has the same names.

    With `accumulate` a step has as many batches in a row; so it sees more of each sequence, not more sequences.
    """

    text: str  # one normalised sentence a line
    dev: str  # likewise; the model of the lowest perplexity on it is kept
    vocabulary: str
    model: dict[str, Any] = field(default_factory=dict)  # of LstmConfig, but for `vocabulary`
    rows: Count = 64  # sequences side by side, on each process
    words: Count = 32  # of each sequence a batch; states are carried over, gradients aren't


def read_config(path: Path) -> LstmTrainConfig:
    """Read a settings file. Raises ValueError for a setting that doesn't exist, or a value that isn't allowed."""
    return read_settings(path, LstmTrainConfig, LstmConfig, vocabulary=MOST)


def token_ids(text: Path, vocabulary: Vocabulary, cache: Path) -> np.ndarray:
    """The word ids of a text, each line closed by `</s>`: int32 [N], memory-mapped from a file kept under `cache`."""
    if not text.exists():
        raise FileNotFoundError(f"{text}: no such text; make it with 'lm prepare-text'")
    stamp = f"{text.resolve()} {text.stat().st_size} {text.stat().st_mtime_ns}\n" + "\n".join(vocabulary)
    path = cache / f"{hashlib.sha256(stamp.encode()).hexdigest()[:16]}.i32"

    def make() -> None:
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        console = Console(stderr=True)
        with (
            open_text(text) as lines,
            unfinished.open("wb") as file,
            Progress(console=console, disable=not console.is_terminal) as bar,
        ):
            task = bar.add_task(f"word ids of {text.name}", total=text.stat().st_size)
            for line in lines:
                ids = [*vocabulary.encode(line.split()), END]
                file.write(np.array(ids, dtype=np.int32).tobytes())
                bar.advance(task, len(line))
        unfinished.rename(path)

    make_once(path, make)
    return np.memmap(path, dtype=np.int32, mode="r")


class SequenceLoader(Windows):
    """Batches [words + 1, rows] of a text; the last word is only a target.

    Yields (ids, beginning): beginning is true at the first batch of a pass, where no state is carried over.
    """

    def __init__(
        self, ids: np.ndarray, rows: int, words: int, accumulate: int = 1, rank: int = 0, ranks: int = 1
    ) -> None:
        super().__init__(len(ids), rows, words, accumulate, rank, ranks, ahead=1)
        self._ids = ids

    def __iter__(self) -> Iterator[tuple[Tensor, bool]]:
        for batch in self._left():
            positions = self._starts + batch * self._words + np.arange(self._words + 1)[:, None]
            yield torch.from_numpy(self._ids[positions].astype(np.int64)), batch == 0


class LstmTraining(Training):
    """Truncated back-propagation through time, the states carried over from step to step."""

    every_parameter = False  # an adaptive softmax has some for rare words alone

    def __init__(self, config: LstmTrainConfig, vocabulary: int) -> None:
        super().__init__(config)
        self.model = WordLstm(LstmConfig(vocabulary=vocabulary, **config.model))
        self._carried: dict[str, Memory] = {}
        self._dev = torch.zeros(2)
        self._words = 0  # read since the last validation
        self._seconds = 0.0  # spent until then

    def _loss(self, batch: tuple[Tensor, bool], which: str) -> Tensor:
        ids, beginning = batch
        if beginning:
            memory = self.model.empty_memory(ids.shape[1])
        else:  # of a checkpoint it is in the processor's memory
            memory = tuple(part.to(ids.device) for part in self._carried[which])
        output, memory = self.model(ids[:-1], memory)
        self._carried[which] = tuple(part.detach() for part in memory)
        loss: Tensor = self.model.softmax(output.flatten(0, 1), ids[1:].flatten()).loss
        return loss

    def loss(self, batch: tuple[Tensor, bool]) -> Tensor:
        return self._loss(batch, "train")

    def on_train_batch_end(self, outputs: Any, batch: tuple[Tensor, bool], batch_idx: int) -> None:
        super().on_train_batch_end(outputs, batch, batch_idx)
        self._words += batch[0][1:].numel() * self.trainer.world_size
        self.log("train/words_per_second", self._words / (self.seconds - self._seconds))

    def validation_step(self, batch: tuple[Tensor, bool], batch_idx: int) -> None:
        self._dev += torch.tensor([float(self._loss(batch, "dev")), 1.0])

    def on_validation_epoch_end(self) -> None:
        self.log("dev/perplexity", math.exp(float(self._dev[0] / self._dev[1])), prog_bar=True)
        self._dev.zero_()
        self._words, self._seconds = 0, self.seconds

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        carried: Any = self.all_gather(self._carried.get("train", ()))
        # Rank 0 writes for all: each [ranks, layers, rows, hidden].
        checkpoint["carried"] = tuple(part.view(-1, *part.shape[-3:]) for part in carried)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self._seconds = self.seconds
        carried = checkpoint["carried"]
        if carried and carried[0].shape[::2] != (self.trainer.world_size, self.budget.rows):  # type: ignore[attr-defined]
            ranks, _, rows, _ = carried[0].shape
            raise ValueError(f"the checkpoint is of rows = {rows} on {ranks} processes: resume with these")
        self._carried["train"] = tuple(ranks[self.global_rank] for ranks in carried)


def keep_memory() -> None:
    """Have glibc keep the memory of freed tensors for the next ones.

    Otherwise large tensors are mapped anew at every step, and each of their pages is faulted in: on CPU that cost
    an eighth of the time of a training step here. It suits tensors of the same sizes at every step; others would
    leave holes. Other systems' allocators are left as they are.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        no_mapping, no_trimming = (-4, 0), (-1, 2**31 - 1)  # M_MMAP_MAX, M_TRIM_THRESHOLD in malloc.h
        mallopt(*no_mapping)
        mallopt(*no_trimming)


def train(config: LstmTrainConfig, output: Path, start_from: Path | None = None) -> Path:
    """Train until the budget is spent; resume if `output` holds a checkpoint. Returns the best checkpoint's path.

    N processes of torchrun take the same steps as one process with N times the `rows`, as far as arithmetic goes; but
    each draws its own dropout. Word ids are kept beside `output`, in a folder that all processes must see.

    start_from: a model folder, whose LSTM to begin with instead of random weights; it may be smaller, and of other
    words (see lm.training.grow).
    """
    vocabulary = Vocabulary.load(Path(config.vocabulary))
    cache = output.parent / "tokens"
    ids = token_ids(Path(config.text), vocabulary, cache)
    training = SequenceLoader(ids, config.rows, config.words, config.accumulate, *processes())
    # It is short: every process reads all of it.
    dev = SequenceLoader(token_ids(Path(config.dev), vocabulary, cache), 16, config.words)
    torch.manual_seed(config.seed)
    keep_memory()
    module = LstmTraining(config, len(vocabulary))
    if start_from:
        grow.start_from(module.model, vocabulary, start_from)
    return fit(module, training, dev, output, monitor="dev/perplexity")
