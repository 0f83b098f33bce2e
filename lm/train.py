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

from lm.engine import Budget, Training, fit, read_settings
from lm.files import open_text
from lm.lstm import LstmConfig
from lm.network import Memory, WordLstm
from lm.vocabulary import END, Vocabulary


@dataclass(frozen=True, kw_only=True)
class LstmTrainConfig(Budget):
    """Settings of a training; the TOML file has the same names."""

    text: str  # one normalised sentence a line
    dev: str  # likewise; the model of the lowest perplexity on it is kept
    vocabulary: str
    model: dict[str, Any] = field(default_factory=dict)  # of LstmConfig, but for `vocabulary`
    rows: int = 64  # sequences side by side
    words: int = 32  # of each sequence a step; states are carried over, gradients aren't


def read_config(path: Path) -> LstmTrainConfig:
    """Read a settings file. Raises ValueError for a setting that doesn't exist."""
    return LstmTrainConfig(**read_settings(path, LstmTrainConfig, LstmConfig))


def token_ids(text: Path, vocabulary: Vocabulary, cache: Path) -> np.ndarray:
    """The word ids of a text, each line closed by `</s>`: int32 [N], memory-mapped from a file kept under `cache`."""
    if not text.exists():
        raise FileNotFoundError(f"{text}: no such text; make it with 'lm prepare-text'")
    stamp = f"{text.resolve()} {text.stat().st_size} {text.stat().st_mtime_ns}\n" + "\n".join(vocabulary)
    path = cache / f"{hashlib.sha256(stamp.encode()).hexdigest()[:16]}.i32"
    if not path.exists():
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
    return np.memmap(path, dtype=np.int32, mode="r")


class SequenceLoader:
    """Steps [words + 1, rows] through a text cut into `rows` equal pieces; the last word is only a target.

    Yields (ids, beginning): beginning is true at the first step of a pass, where no state is carried over.
    `state_dict` lets Lightning resume in the middle.
    """

    def __init__(self, ids: np.ndarray, rows: int, words: int) -> None:
        steps = (len(ids) - 1) // (rows * words)
        if steps < 1:
            raise ValueError(f"the text has {len(ids)} words, fewer than one step of {rows} x {words}")
        self._ids, self._rows, self._words, self._steps = ids, rows, words, steps
        self._done = 0

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[tuple[Tensor, bool]]:
        if self._done == self._steps:  # noticed only now: Lightning never asks for a step past the last
            self._done = 0
        starts = np.arange(self._rows) * self._steps * self._words
        while self._done < self._steps:
            positions = starts + self._done * self._words + np.arange(self._words + 1)[:, None]
            self._done += 1
            yield torch.from_numpy(self._ids[positions].astype(np.int64)), self._done == 1

    def state_dict(self) -> dict[str, int]:
        return {"done": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._done = state["done"]


class LstmTraining(Training):
    """Truncated back-propagation through time, the states carried over from step to step."""

    def __init__(self, config: LstmTrainConfig, vocabulary: int) -> None:
        super().__init__(config)
        self.model = WordLstm(LstmConfig(vocabulary=vocabulary, **config.model))
        self._carried: dict[str, Memory] = {}
        self._dev = torch.zeros(2)
        self._words = 0  # read since the last validation
        self._seconds = 0.0  # spent until then

    def _loss(self, batch: tuple[Tensor, bool], which: str) -> Tensor:
        ids, beginning = batch
        memory = self.model.empty_memory(ids.shape[1]) if beginning else self._carried[which]
        output, memory = self.model(ids[:-1], memory)
        self._carried[which] = tuple(part.detach() for part in memory)
        loss: Tensor = self.model.softmax(output.flatten(0, 1), ids[1:].flatten()).loss
        return loss

    def loss(self, batch: tuple[Tensor, bool]) -> Tensor:
        return self._loss(batch, "train")

    def on_train_batch_end(self, outputs: Any, batch: tuple[Tensor, bool], batch_idx: int) -> None:
        super().on_train_batch_end(outputs, batch, batch_idx)
        self._words += batch[0][1:].numel()
        self.log("train/words_per_second", self._words / (self.seconds - self._seconds))

    def validation_step(self, batch: tuple[Tensor, bool], batch_idx: int) -> None:
        self._dev += torch.tensor([float(self._loss(batch, "dev")), 1.0])

    def on_validation_epoch_end(self) -> None:
        self.log("dev/perplexity", math.exp(float(self._dev[0] / self._dev[1])), prog_bar=True)
        self._dev.zero_()
        self._words, self._seconds = 0, self.seconds

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["carried"] = self._carried

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self._seconds = self.seconds
        self._carried = checkpoint["carried"]


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


def train(config: LstmTrainConfig, output: Path) -> Path:
    """Train until the budget is spent; resume if `output` holds a checkpoint. Returns the best checkpoint's path."""
    vocabulary = Vocabulary.load(Path(config.vocabulary))
    cache = output.parent / "tokens"
    training = SequenceLoader(token_ids(Path(config.text), vocabulary, cache), config.rows, config.words)
    dev = SequenceLoader(token_ids(Path(config.dev), vocabulary, cache), 16, config.words)
    torch.manual_seed(config.seed)
    keep_memory()
    module = LstmTraining(config, len(vocabulary))
    return fit(module, training, dev, output, monitor="dev/perplexity")
