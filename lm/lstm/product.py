"""Products of a few rows with a large matrix."""

import numpy as np

COLUMNS = 32  # of a block
# OpenBLAS multiplies matrices as they lie if that takes so many multiplications at most; others it copies into another
# order first, which takes longer than the product with a few rows.
SMALL = 1_000_000


class Product:
    """x [N, inputs] -> x @ matrix, [N, outputs]. The matrix is kept in blocks of columns.

    For up to 60 rows that takes half to two thirds of the time of NumPy's product with the whole matrix.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        """matrix: float32 [inputs, outputs]"""
        inputs, self.outputs = matrix.shape
        self._blocks = np.zeros((-(-self.outputs // COLUMNS), inputs, COLUMNS), np.float32)
        for block, start in zip(self._blocks, range(0, self.outputs, COLUMNS), strict=True):
            columns = matrix[:, start : start + COLUMNS]
            block[:, : columns.shape[1]] = columns

    def __call__(self, x: np.ndarray) -> np.ndarray:
        count, inputs, _ = self._blocks.shape
        result = np.empty((len(x), count * COLUMNS), np.float32)
        blocks = result.reshape(len(x), count, COLUMNS).swapaxes(0, 1)
        rows = max(1, SMALL // (inputs * COLUMNS))
        for first in range(0, len(x), rows):
            np.matmul(x[first : first + rows], self._blocks, out=blocks[:, first : first + rows])
        return result[:, : self.outputs]

    def columns(self, which: np.ndarray) -> np.ndarray:
        """Columns [N] of the matrix, as rows: [N, inputs]."""
        columns: np.ndarray = self._blocks[which // COLUMNS, :, which % COLUMNS]
        return columns
