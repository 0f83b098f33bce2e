"""Products of a few rows with a large matrix."""

import numpy as np

from lm.bundle import Rows
from lm.lstm import core

COLUMNS = 64  # of a block; as in product.hpp


class Product:
    """x [N, inputs] -> x @ weight.T, [N, outputs]. A weight that came in bytes is kept so, and x rounded to 13 bits."""

    def __init__(self, weight: Rows) -> None:
        """weight: [outputs, inputs], as PyTorch has it"""
        self.outputs, self._inputs = weight.values.shape
        self._matrix: np.ndarray | None = None
        if weight.values.dtype != np.int8:
            self._matrix = weight.values * weight.scales[:, None]
            return
        count, pairs = -(-self.outputs // COLUMNS), -(-self._inputs // 2)
        self._scales = np.zeros(count * COLUMNS, np.float32)
        self._scales[: self.outputs] = weight.scales
        self._blocks = np.zeros((count, pairs, COLUMNS, 2), np.int8)
        for block, start in zip(self._blocks, range(0, self.outputs, COLUMNS), strict=True):
            rows = weight.values[start : start + COLUMNS].T
            for place in range(2):
                block[: len(rows[place::2]), : rows.shape[1], place] = rows[place::2]

    def __call__(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """x, out: float32, each row behind the one before."""
        if out is None:
            out = np.empty((len(x), self.outputs), np.float32)
        if self._matrix is not None:
            return np.matmul(x, self._matrix.T, out=out)
        core.multiply(np.ascontiguousarray(x), self._blocks, self._scales, out)
        return out

    def rows(self, which: np.ndarray) -> np.ndarray:
        """Rows [N] of the weight: float32 [N, inputs]."""
        if self._matrix is not None:
            return self._matrix[which]
        pairs = self._blocks[which // COLUMNS, :, which % COLUMNS]
        return pairs.reshape(len(which), 2 * pairs.shape[1])[:, : self._inputs] * self._scales[which, None]
