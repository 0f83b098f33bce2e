"""An LSTM layer over one sequence, forwards and backwards, in NumPy."""

from collections.abc import Mapping, Sequence

import numpy as np

from lm.lstm.cells import Layer


class LstmLayer:
    """[T, inputs] to [T, directions * hidden]."""

    def __init__(self, weights: Mapping[str, np.ndarray], names: Sequence[str]) -> None:
        """names: of forwards and, if there are two, of backwards (see lm.lstm.cells.Layer)."""
        self._forwards, *self._backwards = (Layer("lstm", weights, name) for name in names)

    def initial(self) -> np.ndarray:
        """What the cells remember of what went before the first frame: h and c, float32 [2, 1, hidden]."""
        return np.zeros((2, 1, self._forwards.hidden), np.float32)

    def __call__(self, inputs: np.ndarray, memory: np.ndarray, keep: int | None = None) -> np.ndarray:
        """memory: as `initial` has it; becomes that of forwards after the frame `keep`, or the last, to go on from.

        Backwards always begins anew.
        """
        frames = inputs[:, None]
        past = self._forwards.read(frames[:keep], memory)
        if keep is not None:
            past = np.concatenate([past, self._forwards.read(frames[keep:], memory.copy())])
        future = [direction.read(frames[::-1], self.initial())[::-1] for direction in self._backwards]
        return np.concatenate([past, *future], axis=2)[:, 0]
