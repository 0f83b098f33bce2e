"""The compiled products and steps, see core.cpp; lm.lstm.product and lm.lstm.cells call them."""

import numpy as np

def multiply(x: np.ndarray, blocks: np.ndarray, scales: np.ndarray, out: np.ndarray, way: int = 0) -> None:
    """Write x [N, inputs] @ blocks * scales [64 n] to out [N, outputs].

    blocks: int8 [n, ceil(inputs / 2), 64, 2], of each of 64 columns two inputs side by side. way: which of `ways`, for
    tests.
    """

def step(seen: np.ndarray, recurrent: np.ndarray, before: np.ndarray, hidden: np.ndarray, cells: np.ndarray) -> None:
    """The step of LSTM cells, see lm.lstm.cells.lstm_step: products [N, 4 H], c before, and what to write, [N, H]."""

def read(
    seen: np.ndarray,
    blocks: np.ndarray,
    scales: np.ndarray,
    hidden: np.ndarray,
    cells: np.ndarray,
    outputs: np.ndarray,
) -> None:
    """All steps of LSTM cells: seen [T, B, 4 H], hidden and cells [B, H] before and after, to outputs [T, B, H].

    blocks, scales: as for `multiply`, of the recurrent weights.
    """

def ways() -> int:
    """How many this processor can go, the fastest first: with AVX-512's integers, AVX2's, and as all can."""
