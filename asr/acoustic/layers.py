"""An LSTM layer over one sequence, forwards and backwards, in NumPy."""

from collections.abc import Mapping, Sequence

import numpy as np

from lm.lstm.cells import Layer, lstm_step


class LstmLayer:
    """[T, inputs] to [T, directions * hidden]. Its directions are walked side by side."""

    def __init__(self, weights: Mapping[str, np.ndarray], names: Sequence[str]) -> None:
        """names: of forwards and, if there are two, of backwards (see lm.lstm.cells.Layer)."""
        self._directions = [Layer("lstm", weights, name) for name in names]

    def initial(self) -> np.ndarray:
        """What the cells remember before the first frame: h and c, float32 [2, directions, hidden]."""
        return np.zeros((2, len(self._directions), self._directions[0].hidden), np.float32)

    def __call__(self, inputs: np.ndarray, memory: np.ndarray, keep: int | None = None) -> np.ndarray:
        """memory: as `initial` has it; becomes that of forwards after the frame `keep`, or the last, to go on from.

        Backwards always begins anew.
        """
        seen = np.stack([direction.seen(inputs) for direction in self._directions], 1)
        seen[:, 1:] = seen[::-1, 1:].copy()
        outputs = np.empty((len(inputs), *memory.shape[1:]), np.float32)
        memory[:, 1:] = 0
        hidden, cells = memory[0], memory[1].copy()
        kept = len(inputs) if keep is None else keep
        products = np.empty(seen.shape[1:], np.float32)
        for step, (now, after) in enumerate(zip(seen, outputs, strict=True), 1):
            for number, direction in enumerate(self._directions):
                direction.recurrent(hidden[number : number + 1], products[number : number + 1])
            lstm_step(now, products, cells, (after, cells))
            hidden = after
            if step == kept:
                memory[0], memory[1] = hidden, cells
        outputs[:, 1:] = outputs[::-1, 1:].copy()
        return outputs.reshape(len(inputs), memory[0].size)
