"""Products of a few rows with a large matrix."""

import numpy as np

from lm.bundle import Rows
from lm.lstm import core

COLUMNS = 64  # of a block; as in product.hpp


class Product:
    """x [N, inputs] -> x @ weight.T, [N, outputs].

    A weight that came in bytes is kept so, and x rounded to integers of two bytes; one in single precision is NumPy's.
    """

    def __init__(self, weight: Rows) -> None:
        """weight: [outputs, inputs], as PyTorch has it"""
        self.outputs, self._inputs = weight.values.shape
        self._matrix = weight.values * weight.scales[:, None] if weight.values.dtype != np.int8 else None
        self.packed = _packed(weight) if self._matrix is None else None  # blocks and scales; see core.pyi

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """x: float32."""
        if self._matrix is not None:
            return x @ self._matrix.T
        assert self.packed
        out = np.empty((len(x), self.outputs), np.float32)
        core.multiply(np.ascontiguousarray(x), *self.packed, out)
        return out

    def rows(self, which: np.ndarray) -> np.ndarray:
        """Rows [N] of the weight: float32 [N, inputs]."""
        if self._matrix is not None:
            return self._matrix[which]
        assert self.packed
        blocks, scales = self.packed
        pairs = blocks[which // COLUMNS, :, which % COLUMNS]
        return pairs.reshape(len(which), 2 * pairs.shape[1])[:, : self._inputs] * scales[which, None]


def _packed(weight: Rows) -> tuple[np.ndarray, np.ndarray]:
    """A weight in bytes as blocks of outputs, and the outputs' scales."""
    outputs, inputs = weight.values.shape
    count, pairs = -(-outputs // COLUMNS), -(-inputs // 2)
    scales = np.zeros(count * COLUMNS, np.float32)
    scales[:outputs] = weight.scales
    blocks = np.zeros((count, pairs, COLUMNS, 2), np.int8)
    for block, start in zip(blocks, range(0, outputs, COLUMNS), strict=True):
        columns = weight.values[start : start + COLUMNS].T
        for place in range(2):
            ours = columns[place::2]
            block[: len(ours), : ours.shape[1], place] = ours
    return blocks, scales
