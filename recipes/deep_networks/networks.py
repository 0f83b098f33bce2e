"""The small networks that are compared, and what training does to them by the project's own engine."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from asr.audio.features import MELS
from asr.training.augment import bin_to_hertz, hertz_to_bin
from lm.training.engine import Budget, Training

FRAMES, BINS = 32, 20  # a recording of one digit, stretched or squeezed to so many frames of so many mel bins
DIGITS = "zero one two three four five six seven eight nine".split()

Initialisation = Literal["PyTorch's", "zero", "too small", "too large", "Xavier", "He", "orthogonal"]
INITIALISATIONS: dict[Initialisation, Callable[[Tensor], Any]] = {
    "zero": nn.init.zeros_,
    "too small": lambda weight: nn.init.normal_(weight, std=0.01),
    "too large": lambda weight: nn.init.normal_(weight, std=1.0),
    "Xavier": nn.init.xavier_normal_,  # Glorot and Bengio 2010: variance 2 / (inputs + outputs)
    "He": nn.init.kaiming_normal_,  # He et al. 2015: variance 2 / inputs, for ReLU takes half of it
    "orthogonal": nn.init.orthogonal_,  # Saxe, McClelland and Ganguli 2014
}
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "ReLU": torch.relu,
}
CELLS: dict[str, type[nn.RNNBase]] = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}


@dataclass(frozen=True)
class NetworkConfig:
    """Which network: without a cell a feed-forward one."""

    cell: Literal["none", "RNN", "GRU", "LSTM"] = "none"
    hidden: int = 64
    layers: int = 2  # hidden ones; a recurrent network has one
    activation: Literal["sigmoid", "tanh", "ReLU"] = "ReLU"
    layer_norm: bool = False
    residual: bool = False  # each hidden layer but the first adds to what it gets
    dropout: float = 0.0
    initialisation: Initialisation = "He"
    bidirectional: bool = False
    forget_bias: float = 1.0  # of an LSTM's forget gates to begin with


class FeedForward(nn.Module):
    """Recordings [B, FRAMES, BINS] -> logits [B, 10], through `layers` hidden layers: f(norm(W x + b))."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        sizes = [FRAMES * BINS, *[config.hidden] * config.layers]  # without layers it is a softmax classifier
        self.hidden = nn.ModuleList(nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes))
        self.norms = nn.ModuleList(nn.LayerNorm(config.hidden) for _ in range(config.layers * config.layer_norm))
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(sizes[-1], len(DIGITS))
        if config.initialisation != "PyTorch's":
            for layer in (*self.hidden, self.output):
                INITIALISATIONS[config.initialisation](layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, recordings: Tensor) -> Tensor:
        x = recordings.flatten(1)
        for number, layer in enumerate(self.hidden):
            y = layer(x)
            if self.config.layer_norm:
                y = self.norms[number](y)
            y = self.dropout(ACTIVATIONS[self.config.activation](y))
            x = x + y if self.config.residual and number else y
        return self.output(x)


class Recurrent(nn.Module):
    """Recordings [B, FRAMES, BINS] -> logits [B, 10], from what a layer's cells hold after its last frame."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.layer = CELLS[config.cell](BINS, config.hidden, batch_first=True, bidirectional=config.bidirectional)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.hidden * (1 + config.bidirectional), len(DIGITS))
        if config.cell == "LSTM":  # its gates are write, forget, cell, read
            for name, values in self.layer.named_parameters():
                if "bias" in name:
                    values.data[config.hidden : 2 * config.hidden] = config.forget_bias if "ih" in name else 0.0

    def forward(self, recordings: Tensor) -> Tensor:
        outputs, _ = self.layer(self.dropout(recordings))
        past = outputs[:, -1, : self.config.hidden]
        return self.output(self.dropout(torch.cat([past, outputs[:, 0, self.config.hidden :]], 1)))


def build(config: NetworkConfig) -> FeedForward | Recurrent:
    return FeedForward(config) if config.cell == "none" else Recurrent(config)


def gradient_sizes(network: FeedForward, recordings: Tensor, digits: Tensor) -> list[float]:
    """For each hidden layer the root mean square of d loss / d W, which doesn't depend on how many weights it has."""
    loss = nn.functional.cross_entropy(network(recordings), digits)
    gradients = torch.autograd.grad(loss, [layer.weight for layer in network.hidden])
    return [float(gradient.square().mean().sqrt()) for gradient in gradients]


class Recordings(NamedTuple):
    """Of some speakers: what is to be heard, [N, FRAMES, BINS], and which digit it is, [N]."""

    heard: Tensor
    digits: Tensor

    def part(self, share: float, seed: int) -> "Recordings":
        """A random part, with as many of each digit as can be."""
        return self.take(stratified(self.digits.numpy(), share, seed))

    def take(self, numbers: np.ndarray) -> "Recordings":
        return Recordings(self.heard[numbers], self.digits[numbers])


def stratified(digits: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The numbers of a random share of all recordings, with as many of each digit as can be."""
    order = np.random.default_rng(seed).permutation(len(digits))
    turn = np.zeros(len(digits), dtype=int)  # how many of the same digit come before
    for digit in range(len(DIGITS)):
        same = digits[order] == digit
        turn[same] = np.arange(same.sum())
    return order[np.argsort(turn, kind="stable")][: max(1, round(share * len(digits)))]


class Batches:
    """Batches of `size` recordings in random order, epoch after epoch; what doesn't fill a batch waits for the next."""

    def __init__(self, data: Recordings, size: int, seed: int) -> None:
        self._data, self._size, self._seed = data, min(size, len(data.digits)), seed
        self._epoch, self._done = 0, 0

    @property
    def epochs(self) -> float:
        return self._epoch + self._done / len(self)

    def __len__(self) -> int:
        return len(self._data.digits) // self._size

    def __iter__(self) -> Iterator[Recordings]:
        if self._done == len(self):
            self._epoch, self._done = self._epoch + 1, 0
        order = np.random.default_rng([self._seed, self._epoch]).permutation(len(self._data.digits))
        while self._done < len(self):
            first = self._done * self._size
            self._done += 1
            yield self._data.take(order[first : first + self._size])

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self._epoch, "done": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._epoch, self._done = state["epoch"], state["done"]


class Warps(nn.Module):
    """Makes other speakers of those there are: a fifth higher or lower at most, beginning and ending a tenth elsewhere.

    As in asr.training.augment.SpeedPerturbation, frequency f is moved to s f on the log-mel picture.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        """mean, deviation [FRAMES, BINS]: what the recordings' numbers have been scaled by."""
        super().__init__()
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation, persistent=False)

    def forward(self, recordings: Tensor) -> Tensor:
        """[B, FRAMES, BINS] to the same shape."""
        count, width = len(recordings), MELS // BINS
        middles = width * torch.arange(BINS) + (width - 1) / 2  # of our bins, counted in the recogniser's
        pitch = torch.empty(count, 1).uniform_(0.8, 1.2)
        bins = (hertz_to_bin(bin_to_hertz(middles) / pitch) - middles[0]) / width
        first, last = torch.empty(2, count, 1).uniform_(-0.1, 0.1)
        times = first + (1 + last - first) * torch.linspace(0, 1, FRAMES)
        # grid_sample wants positions scaled to -1..1; "border" repeats the outermost numbers.
        x = (2 * bins / (BINS - 1) - 1)[:, None, :].expand(-1, FRAMES, -1)
        y = (2 * times - 1)[:, :, None].expand(-1, -1, BINS)
        pictures = (recordings * self.deviation + self.mean)[:, None]
        warped = nn.functional.grid_sample(pictures, torch.stack([x, y], -1), padding_mode="border", align_corners=True)
        return (warped[:, 0] - self.mean) / self.deviation


class DigitTraining(Training):
    """Training of a network to tell digits apart; `curve` is how it went."""

    def __init__(
        self, budget: Budget, config: NetworkConfig, heard: Recordings, test: Recordings, warps: Warps | None = None
    ) -> None:
        super().__init__(budget)
        self.model = build(config)
        self.warps = warps or nn.Identity()
        self._sets = {"train": heard, "test": test}
        self.curve: list[dict[str, float]] = []

    def loss(self, batch: Recordings) -> Tensor:
        return nn.functional.cross_entropy(self.model(self.warps(batch.heard)), batch.digits)

    def validation_step(self, batch: Recordings, batch_idx: int) -> None:
        """Of what is trained on and of other speakers, whose errors decide nothing: the last network is the result."""
        point = {"step": float(self.global_step)}
        for name, data in self._sets.items():
            logits = self.model(data.heard)
            point[f"{name}_loss"] = float(nn.functional.cross_entropy(logits, data.digits))
            point[f"{name}_error"] = error_rate(logits, data.digits)
        self.curve.append(point)
        self.log("test/error", point["test_error"])


def error_rate(logits: Tensor, digits: Tensor) -> float:
    """In per cent."""
    return 100 * float((logits.argmax(1) != digits).double().mean())
