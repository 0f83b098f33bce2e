"""Recurrent cells: LSTM, compiled, GRU and plain RNN (Elman's, with tanh), with the weights of PyTorch's layers.

Gates go through the logistic function, σ(x) = (1 + tanh(x / 2)) / 2. Where weights are laid out for the steps here,
those of gates are halved and come first, so that one tanh serves for all of a step.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from lm.bundle import Rows, rows_of
from lm.lstm import core
from lm.lstm.product import Product

# PyTorch's blocks of rows in the order in which they are laid out, and the factors.
LAYOUTS = {
    "lstm": ((0, 0.5), (1, 0.5), (3, 0.5), (2, 1.0)),  # input, forget and output gate, new
    "gru": ((0, 0.5), (1, 0.5), (2, 1.0)),  # reset, update, new
    "rnn": ((0, 1.0),),
}


PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def layer_shapes(name: str, gates: int, inputs: int, hidden: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The shapes of PyTorch's weights of a layer in one direction; name: what PARTS of it are called by."""
    rows = gates * hidden
    for part, shape in zip(PARTS, ((rows, inputs), (rows, hidden), (rows,), (rows,)), strict=True):
        yield name.format(part), shape


def laid_out(cell: str, weight: Rows) -> Rows:
    """A weight [gates * hidden, inputs] of PyTorch's, its rows as they are laid out."""
    order, factors = _layout(cell, len(weight.values))
    return Rows(weight.values[order], weight.scales[order] * factors)


def laid_out_bias(cell: str, bias: np.ndarray) -> np.ndarray:
    """Likewise a bias [gates * hidden]."""
    order, factors = _layout(cell, len(bias))
    result: np.ndarray = bias[order] * factors
    return result


def _layout(cell: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of PyTorch's rows stand where, and their factors."""
    blocks, factors = zip(*LAYOUTS[cell], strict=True)
    order = np.arange(rows).reshape(len(blocks), -1)[[*blocks]]
    return order.ravel(), np.repeat(np.array(factors, np.float32), order.shape[1])


class Layer:
    """A layer in one direction. Only its recurrent products have to wait for each other."""

    def __init__(self, cell: str, weights: Mapping[str, np.ndarray], name: str) -> None:
        """name: what weight_ih, weight_hh, bias_ih, bias_hh of the layer are called by, such as "layers.0.{}_l0"."""
        of_input, of_hidden, *of_biases = (name.format(part) for part in PARTS)
        self.step, self._compiled = STEPS[cell], cell == "lstm"
        self._input = Product(laid_out(cell, rows_of(weights, of_input)))
        self._recurrent = Product(laid_out(cell, rows_of(weights, of_hidden)))
        self._bias, *others = (laid_out_bias(cell, weights[bias]) for bias in of_biases)
        self.hidden = len(self._bias) // len(LAYOUTS[cell])
        self._recurrent_bias = None
        if cell == "gru":  # whose reset gates weigh this one
            [self._recurrent_bias] = others
        else:
            self._bias += others[0]

    def seen(self, inputs: np.ndarray) -> np.ndarray:
        """What the cells see of inputs [N, inputs]: [N, gates * hidden]."""
        products = self._input(inputs)
        products += self._bias
        return products

    def recurrent(self, hidden: np.ndarray) -> np.ndarray:
        """What they make of the hidden vectors before [N, hidden]: [N, gates * hidden]."""
        products = self._recurrent(hidden)
        if self._recurrent_bias is not None:
            products += self._recurrent_bias
        return products

    def read(self, inputs: np.ndarray, memory: Iterable[np.ndarray]) -> np.ndarray:
        """Outputs [T, B, hidden] of sequences [T, B, inputs] side by side.

        memory: h, and of LSTM cells c, [B, hidden], before them; becomes that after them.
        """
        seen = self.seen(inputs.reshape(-1, inputs.shape[2]))
        seen = seen.reshape(*inputs.shape[:2], seen.shape[1])
        outputs = np.empty((*inputs.shape[:2], self.hidden), np.float32)
        first, *others = memory
        if self._compiled and self._recurrent.packed:  # all steps in one go
            core.read(seen, *self._recurrent.packed, first, others[0], outputs)
            return outputs
        hidden = first
        for now, following in zip(seen, outputs, strict=True):
            self.step(now, self.recurrent(hidden), (hidden, *others)[-1], (following, *others))
            hidden = following
        first[:] = hidden
        return outputs


def lstm_step(seen: np.ndarray, recurrent: np.ndarray, before: np.ndarray, after: Sequence[np.ndarray]) -> None:
    """The step of cells [N, H]: products with input and hidden vector [N, 4 H], c before; to h and c after.

    c may be the same array before and after. In one go, since the many small operations would take longer than the
    products.
    """
    core.step(seen, recurrent, before, *after)


def gru_step(seen: np.ndarray, recurrent: np.ndarray, before: np.ndarray, after: Sequence[np.ndarray]) -> None:
    """Likewise, with h before and after, and products [..., 3 H], which are overwritten."""
    (hidden,) = after
    size = hidden.shape[-1]
    gates = seen[..., : 2 * size]
    gates += recurrent[..., : 2 * size]
    np.tanh(gates, out=gates)
    _to_logistic(gates)
    new = recurrent[..., 2 * size :]
    new *= gates[..., :size]
    new += seen[..., 2 * size :]
    np.tanh(new, out=new)
    np.subtract(before, new, out=hidden)
    hidden *= gates[..., size:]
    hidden += new


def rnn_step(seen: np.ndarray, recurrent: np.ndarray, before: np.ndarray, after: Sequence[np.ndarray]) -> None:
    """Likewise."""
    np.tanh(np.add(seen, recurrent, out=seen), out=after[0])


def _to_logistic(tanh: np.ndarray) -> None:
    """tanh(x / 2) to σ(x), in place."""
    tanh *= np.float32(0.5)
    tanh += np.float32(0.5)


STEPS = {"lstm": lstm_step, "gru": gru_step, "rnn": rnn_step}
