"""The one-way acoustic model fed piece by piece, as a live stream comes."""

from collections.abc import Iterable, Iterator

import numpy as np

from asr.acoustic.model import SUBSAMPLING, AcousticModel, output_length, running_mean
from asr.audio.features import HOP, MELS, WINDOW, uncentred


class AcousticStream:
    """A one-way model that hears a recording piece by piece: what its pieces become together is what the whole would.

    A frame comes out as soon as 43 ms after its centre are there, which its convolutions look ahead.
    """

    def __init__(self, model: AcousticModel) -> None:
        """Raises ValueError if the model isn't one-way."""
        if model.config.bidirectional:
            raise ValueError("a bidirectional model must hear the end first: streams need a one-way model")
        self._model, self._memories = model, model.initial()
        self._samples = np.zeros(WINDOW // 2, np.float32)  # beyond the start is silence, as in log_mel
        self._sum, self._heard = np.zeros(MELS), 0  # of all feature frames, and their number
        self._features = np.zeros((3, MELS), np.float32)  # those that the next output frames need
        self._done = 0  # output frames

    def accept(self, waveform: np.ndarray) -> np.ndarray:
        """The next float32 [N] at 16 kHz to log-probs float32 [T', units] of the frames that are certain now."""
        self._hear(waveform)
        return self._emit((len(self._features) - 3) // SUBSAMPLING, np.inf)

    def finish(self) -> np.ndarray:
        """The last frames, after which nothing can be accepted: log-probs float32 [T', units]."""
        if len(self._samples) > WINDOW // 2 or self._heard:
            self._hear(np.zeros(WINDOW // 2, np.float32))
        frames = output_length(self._heard) - self._done
        missing = 4 * frames + 3 - len(self._features)
        self._features = np.pad(self._features, ((0, max(0, missing)), (0, 0)))
        return self._emit(frames, self._heard)

    def run(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """What `accept` makes of each block of a recording, and `finish` of its end."""
        yield from map(self.accept, blocks)
        yield self.finish()

    def _hear(self, waveform: np.ndarray) -> None:
        self._samples = np.append(self._samples, waveform)
        if len(self._samples) < WINDOW:
            return
        features = uncentred(self._samples)
        self._samples = self._samples[HOP * len(features) :]
        centred = features - running_mean(features, self._sum, self._heard)
        self._sum += features.sum(0, dtype=np.float64)
        self._heard += len(features)
        self._features = np.concatenate([self._features, centred])

    def _emit(self, frames: int, end: float) -> np.ndarray:
        convolved = self._model.convolve(self._features[: 4 * frames + 3], self._done, end)
        self._features = self._features[4 * frames :]
        self._done += frames
        return self._model.recur(convolved, self._memories)
