"""The LSTM acoustic model: waveform to log-probabilities of units. In NumPy; .network has it to be trained."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asr.acoustic.layers import LstmLayer
from asr.audio.features import MELS, log_mel
from lm.bundle import Shapes
from lm.lstm.cells import LAYOUTS, layer_shapes
from lm.settings import Count, Dropout

SUBSAMPLING = 4  # two convolutions of stride 2: an output frame lasts 40 ms
FRAME_SECONDS = 0.04
NORM_EPSILON = 1e-5  # added to the variance by layer normalisation
GATES = len(LAYOUTS["lstm"])
BLOCK = 64  # output frames that the convolutions make at once


@dataclass(frozen=True)
class AcousticConfig:
    """Sizes of an acoustic model; stored in the bundle beside its weights."""

    units: Count  # output classes, the CTC blank (id 0) included
    hidden: Count = 320  # cells a direction
    layers: Count = 3
    channels: Count = 32  # of both convolutions
    dropout: Dropout = 0.2  # on the input of every recurrent layer but the first, and of the output layer
    bidirectional: bool = True  # False: a frame sees the past alone, for streams


def shapes(config: AcousticConfig) -> Shapes:
    """The shapes of all weights, as in asr.acoustic.network."""
    channels, inputs = config.channels, config.channels * MELS // SUBSAMPLING
    for name, planes in (("first", 1), ("second", channels)):
        yield f"convolutions.{name}.weight", (channels, planes, 3, 3)
        yield f"convolutions.{name}.bias", (channels,)
    directions = ("forwards", "backwards") if config.bidirectional else ("forwards",)
    size = len(directions) * config.hidden
    yield "output.weight", (config.units, size)
    yield "output.bias", (config.units,)
    for layer in range(config.layers):
        for direction in directions:
            yield from layer_shapes(
                f"layers.{layer}.{direction}.{{}}_l0", GATES, size if layer else inputs, config.hidden
            )
        yield f"norms.{layer}.weight", (size,)
        yield f"norms.{layer}.bias", (size,)


def output_length(frames: int) -> int:
    """Number of output frames for so many feature frames."""
    return -(-frames // SUBSAMPLING)


class AcousticModel:
    """Log-mel front end, two convolutions, LSTM layers with layer normalisation, and a CTC output layer."""

    def __init__(self, config: AcousticConfig, weights: Mapping[str, np.ndarray]) -> None:
        """weights: float32, by the names that they have in an asr.acoustic.network.AcousticNetwork."""
        self.config = config
        self._convolutions = [
            _Convolution(weights[f"convolutions.{name}.weight"], weights[f"convolutions.{name}.bias"])
            for name in ("first", "second")
        ]
        directions = ("forwards", "backwards") if config.bidirectional else ("forwards",)
        self._layers = [
            LstmLayer(weights, [f"layers.{layer}.{direction}.{{}}_l0" for direction in directions])
            for layer in range(config.layers)
        ]
        self._norms = [
            (weights[f"norms.{layer}.weight"], weights[f"norms.{layer}.bias"]) for layer in range(config.layers)
        ]
        self.inputs = config.channels * MELS // SUBSAMPLING  # of the first layer
        self._output, self._bias = np.ascontiguousarray(weights["output.weight"].T), weights["output.bias"]

    def log_probs(self, waveform: np.ndarray) -> np.ndarray:
        """float32 [N] at 16 kHz to float32 [T', units]; T' is 0 if the waveform is empty."""
        return self.encode(log_mel(waveform))

    def encode(self, features: np.ndarray) -> np.ndarray:
        """Log-mel features float32 [T, 80] to log-probs float32 [T', units]."""
        if not self.config.bidirectional:
            features = features - running_mean(features)
        padded = np.zeros((4 * output_length(len(features)) + 3, MELS), np.float32)
        padded[3 : 3 + len(features)] = features
        return self.recur(self.convolve(padded, 0, len(features)), self.initial())

    def convolve(self, features: np.ndarray, first: int, end: float) -> np.ndarray:
        """The convolutions' output frames from `first` on: [T', channels * 20].

        features: [4 T' + 3, 80], from frame 4 * first - 3 on, zeros where the recording has none; end: its frames, or
        infinity where it isn't known to end.
        """
        # Output frames t need frames 2 t - 1 to 2 t + 1 of the first layer, those features 4 t - 3 to 4 t + 3.
        first_layer, second_layer = self._convolutions
        frames = len(features) // SUBSAMPLING
        between = -(-end // 2)
        result = np.empty((frames, self.inputs), np.float32)
        for start in range(0, frames, BLOCK):
            stop = min(start + BLOCK, frames)
            x = first_layer(features[4 * start : 4 * stop + 3, :, None])
            # The second layer must see zeros outside the recording.
            outside = 2 * (first + start) - 1 + np.arange(len(x))
            x[(outside < 0) | (outside >= between)] = 0
            x = second_layer(x)
            result[start:stop] = x.swapaxes(1, 2).reshape(stop - start, -1)
        return result

    def initial(self) -> list[np.ndarray]:
        """What the recurrent layers remember before the first frame."""
        return [layer.initial() for layer in self._layers]

    def recur(self, x: np.ndarray, memories: list[np.ndarray], keep: int | None = None) -> np.ndarray:
        """The convolutions' output [T', channels * 20] to log-probs [T', units].

        The memories, of the past, go on to the last frame, or to the first `keep`.
        """
        for layer, memory, (weight, bias) in zip(self._layers, memories, self._norms, strict=True):
            x = layer(x, memory, keep)
            x -= x.mean(1, keepdims=True)
            x /= np.sqrt(np.square(x).mean(1, keepdims=True) + np.float32(NORM_EPSILON))
            x *= weight
            x += bias
        logits = x @ self._output
        logits += self._bias
        logits -= logits.max(1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(1, keepdims=True))
        return logits


class _Convolution:
    """A 3 x 3 convolution of stride 2 and its ReLU: [2 T + 1, F, inputs] -> [T, F / 2, channels].

    Over frequency it sees a zero beyond either end; over time what it sees there is given.
    """

    def __init__(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """weight: [channels, inputs, 3 frames, 3 bins]"""
        self.channels = len(bias)
        self._weight, self._bias = weight.reshape(self.channels, -1).T.copy(), bias

    def __call__(self, x: np.ndarray) -> np.ndarray:
        padded = np.zeros((len(x), x.shape[1] + 2, x.shape[2]), np.float32)
        padded[:, 1:-1] = x
        views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1))[::2, ::2]
        result = views.reshape(-1, len(self._weight)) @ self._weight
        result += self._bias
        np.maximum(result, 0, out=result)
        return result.reshape(*views.shape[:2], self.channels)


def running_mean(features: np.ndarray, before: np.ndarray | float = 0.0, count: int = 0) -> np.ndarray:
    """[T, 80] to the mean of all frames up to each: what a stream can know of the mean over an utterance.

    before: the sum of so many frames that went before. To subtract the mean makes equal what had another mean
    subtracted before.
    """
    mean = features.cumsum(0, dtype=np.float64)
    mean += before
    mean /= np.arange(count + 1, count + len(features) + 1)[:, None]
    return mean.astype(np.float32)
