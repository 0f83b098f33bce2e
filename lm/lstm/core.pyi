"""The compiled products, see core.cpp; lm.lstm.product calls them."""

import numpy as np

def multiply(x: np.ndarray, blocks: np.ndarray, scales: np.ndarray, out: np.ndarray) -> None:
    """Write x [N, inputs] @ blocks [n, inputs, 64] * scales [64 n] to out [N, outputs]; blocks int8, or all float32.

    The bytes of columns c, 16 + c, 32 + c, 48 + c of a block lie side by side.
    """

def multiply_anywhere(x: np.ndarray, blocks: np.ndarray, scales: np.ndarray, out: np.ndarray) -> None:
    """The same without AVX2, as on processors that lack it; for tests."""
