"""An LSTM layer over one sequence, forwards and backwards, in NumPy."""

from collections.abc import Mapping, Sequence

import numpy as np

from lm.lstm.cells import PARTS, laid_out, lstm_step


class LstmLayer:
    """[T, inputs] to [T, directions * hidden]. Its directions are walked side by side."""

    def __init__(self, weights: Mapping[str, np.ndarray], names: Sequence[str]) -> None:
        """names: what PARTS of forwards and, if there are two, of backwards are called by (see lm.lstm.cells)."""
        inputs, recurrent, *biases = (
            [laid_out("lstm", weights[name.format(part)]) for name in names] for part in PARTS
        )
        self._input, self._recurrent = np.hstack(inputs), np.stack(recurrent)
        self._bias = np.hstack(biases[0]) + np.hstack(biases[1])

    def initial(self) -> np.ndarray:
        """What the cells remember before the first frame: h and c, float32 [2, directions, 1, hidden]."""
        directions, size, _ = self._recurrent.shape
        return np.zeros((2, directions, 1, size), np.float32)

    def __call__(self, inputs: np.ndarray, memory: np.ndarray, keep: int | None = None) -> np.ndarray:
        """memory: as `initial` has it; becomes that of forwards after the frame `keep`, or the last, to go on from.

        Backwards always begins anew.
        """
        directions, size, gates = self._recurrent.shape
        seen = inputs @ self._input
        seen += self._bias
        seen = seen.reshape(len(inputs), directions, 1, gates)
        seen[:, 1:] = seen[::-1, 1:].copy()
        outputs = np.empty((len(inputs), directions, 1, size), np.float32)
        memory[:, 1:] = 0
        hidden, cells = memory[0], memory[1].copy()
        kept = len(inputs) if keep is None else keep
        products = np.empty((directions, 1, gates), np.float32)
        for step, (now, after) in enumerate(zip(seen, outputs, strict=True), 1):
            np.matmul(hidden, self._recurrent, out=products)
            lstm_step(now, products, cells, (after, cells))
            hidden = after
            if step == kept:
                memory[0], memory[1] = hidden, cells
        outputs[:, 1:] = outputs[::-1, 1:].copy()
        return outputs.reshape(len(inputs), directions * size)
