"""The compiled products, see core.cpp; lm.lstm.product calls them."""

import numpy as np

def multiply(x: np.ndarray, blocks: np.ndarray, scales: np.ndarray, out: np.ndarray, way: int = 0) -> None:
    """Write x [N, inputs] @ blocks [n, inputs, 64] * scales [64 n] to out [N, outputs]; blocks int8, or all float32.

    The bytes of columns c, 16 + c, 32 + c, 48 + c of a block lie side by side. way: which of `ways`, for tests.
    """

def ways() -> int:
    """How many this processor can go, the fastest first: with AVX2, and as all can."""
