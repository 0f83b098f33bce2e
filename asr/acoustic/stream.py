"""Acoustic models fed piece by piece, as a live stream comes."""

from collections.abc import Iterable, Iterator

import numpy as np

from asr.acoustic.model import SUBSAMPLING, AcousticModel, output_length, running_mean
from asr.audio.features import HOP, MELS, WINDOW, uncentred

# Output frames of a bidirectional model: that it emits at once, and that it hears beyond them. 57 utterances of
# dev-mini have 12.6 % errors by the first pass so, and 10.4 % where each is heard as a whole; 12.2 % with 3 and 4,
# which takes a quarter more time, and comes later.
STEP, AHEAD = 4, 3
LEVEL = 3000  # feature frames whose mean levels a bidirectional model's: as many as a window of a recording has


class AcousticStream:
    """A one-way model that hears a recording piece by piece: what its pieces become together is what the whole would.

    A frame comes out as soon as 43 ms after its centre are there, which its convolutions look ahead.
    """

    def __init__(self, model: AcousticModel) -> None:
        """Raises ValueError if the model isn't one-way."""
        if model.config.bidirectional:
            raise ValueError("a bidirectional model must hear the end first: streams need a one-way model")
        self._begin(model)

    def _begin(self, model: AcousticModel) -> None:
        self._model, self._memories = model, model.initial()
        self._samples = np.zeros(WINDOW // 2, np.float32)  # beyond the start is silence, as in log_mel
        self._heard = 0  # feature frames
        self._sum, self._summed = np.zeros(MELS), 0  # of all of them, and their number
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
        centred = features - running_mean(features, self._sum, self._summed)
        self._sum += features.sum(0, dtype=np.float64)
        self._heard += len(features)
        self._summed += len(features)
        self._features = np.concatenate([self._features, centred])

    def _emit(self, frames: int, end: float) -> np.ndarray:
        convolved = self._model.convolve(self._features[: 4 * frames + 3], self._done, end)
        self._features = self._features[4 * frames :]
        self._done += frames
        return self._recur(convolved, end < np.inf)

    def _recur(self, convolved: np.ndarray, last: bool) -> np.ndarray:
        return self._model.recur(convolved, self._memories)


class AheadStream(AcousticStream):
    """A bidirectional model that hears a recording piece by piece, STEP frames at a time and AHEAD beyond them.

    Forwards it goes on from where it was, backwards it begins anew AHEAD of what it emits: what lies further off
    matters little (Zhang et al. 2016, "Highway long short-term memory RNNs for distant speech recognition", section 3).
    """

    def __init__(self, model: AcousticModel) -> None:
        self._begin(model)
        self._waiting = np.zeros((0, model.inputs), np.float32)  # what the convolutions made and nobody has heard yet

    def restart(self) -> None:
        """In a pause: forget what was said before, as at the beginning of a recording, but for how loud it was."""
        self._memories = self._model.initial()

    def _hear(self, waveform: np.ndarray) -> None:
        super()._hear(waveform)
        if self._summed > LEVEL:
            self._sum *= LEVEL / self._summed
            self._summed = LEVEL

    def _recur(self, convolved: np.ndarray, last: bool) -> np.ndarray:
        self._waiting = np.concatenate([self._waiting, convolved])
        heard = []
        while len(self._waiting) >= STEP + AHEAD:
            heard.append(self._model.recur(self._waiting[: STEP + AHEAD], self._memories, STEP)[:STEP])
            self._waiting = self._waiting[STEP:]
        rest = len(self._waiting) if last else 0
        heard.append(self._model.recur(self._waiting[:rest], self._memories))
        return np.concatenate(heard)
