"""Products of a few rows with a large matrix."""

import numpy as np

from lm.bundle import Rows
from lm.lstm import core

COLUMNS = 64  # of a block; as in product.hpp
# Where in a block's lines the columns lie, by the type of what is stored; see core.pyi.
PLACES = {"f": np.arange(COLUMNS), "i": np.arange(COLUMNS).reshape(-1, 4).T.ravel()}


class Product:
    """x [N, inputs] -> x @ weight.T, [N, outputs]. The weight is kept in blocks of outputs, in bytes if it came so."""

    def __init__(self, weight: Rows) -> None:
        """weight: [outputs, inputs], as PyTorch has it"""
        self.outputs, inputs = weight.values.shape
        count = -(-self.outputs // COLUMNS)
        self._places = PLACES[weight.values.dtype.kind]
        self._scales = np.zeros(count * COLUMNS, np.float32)
        self._scales[: self.outputs] = weight.scales
        self._blocks = np.zeros((count, inputs, COLUMNS), weight.values.dtype)
        for block, start in zip(self._blocks, range(0, self.outputs, COLUMNS), strict=True):
            rows = weight.values[start : start + COLUMNS]
            block[:, self._places[: len(rows)]] = rows.T

    def __call__(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """x, out: float32, each row behind the one before."""
        if out is None:
            out = np.empty((len(x), self.outputs), np.float32)
        core.multiply(np.ascontiguousarray(x), self._blocks, self._scales, out)
        return out

    def rows(self, which: np.ndarray) -> np.ndarray:
        """Rows [N] of the weight: float32 [N, inputs]."""
        rows: np.ndarray = self._blocks[which // COLUMNS, :, self._places[which % COLUMNS]]
        return rows * self._scales[which, None]
