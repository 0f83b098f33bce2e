"""The word LSTM as a PyTorch module, to be trained. Once trained it is asked in NumPy: see lm.lstm."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lm.lstm.model import LstmConfig

LAYERS: dict[str, Any] = {"lstm": (nn.LSTM, torch.lstm), "gru": (nn.GRU, torch.gru), "rnn": (nn.RNN, torch.rnn_tanh)}

# What a network remembers of the words so far, each [layers, batch, hidden]: (h, c) of LSTM cells, (h,) of the others.
Memory = tuple[Tensor, ...]


class WordLstm(nn.Module):
    """Embeddings, recurrent layers, adaptive softmax. Word ids must be in the order of falling frequency."""

    def __init__(self, config: LstmConfig) -> None:
        super().__init__()
        self.config = config
        layer, self._run = LAYERS[config.cell]
        self.layers = nn.ModuleList(layer(config.hidden, config.hidden) for _ in range(config.layers))
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(
            config.hidden, config.vocabulary, config.bounds[:-1], div_value=config.shrink
        )

    def embed(self, words: Tensor) -> Tensor:
        """Word ids of any shape [...] to embeddings [..., hidden]: the rows of the output layer's matrices.

        A tail's rows are lengthened by the transpose of the projection that shortens the hidden vector for it.
        """
        flat = words.flatten()
        first = self.softmax.cutoffs[0]
        embedded = nn.functional.embedding(flat.clamp(max=first - 1), self.softmax.head.weight)
        for tail, low, high in self._tails():
            rows = ((flat >= low) & (flat < high)).nonzero().squeeze(1)
            shortening, short = tail.get_parameter("0.weight"), tail.get_parameter("1.weight")
            rare = nn.functional.embedding(flat[rows] - low, short) @ shortening
            embedded = embedded.index_copy(0, rows, rare.to(embedded.dtype))
        return embedded.view(*words.shape, self.config.hidden)

    def forward(self, words: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """words [T, B], memory -> top outputs [T, B, hidden], memory."""
        config = self.config
        output = self._drop(self.embed(words), (*words.shape, 1), config.word_dropout)
        output = self._drop(output, (1, *output.shape[1:]), config.dropout)
        after = []
        for layer, before in zip(self.layers, zip(*memory, strict=True), strict=True):
            weights: dict[str, Tensor] = dict(layer.named_parameters())
            recurrent = weights["weight_hh_l0"]
            weights["weight_hh_l0"] = nn.functional.dropout(recurrent, config.weight_drop, self.training)
            before = tuple(tensor[None] for tensor in before)
            state = before if config.cell == "lstm" else before[0]
            # What layer(output, state) would call, but with these weights.
            output, *state = self._run(output, state, list(weights.values()), True, 1, 0.0, self.training, False, False)
            after.append(state)
            output = self._drop(output, (1, *output.shape[1:]), config.dropout)
        return output, tuple(torch.cat(parts) for parts in zip(*after, strict=True))

    def _drop(self, values: Tensor, mask: Sequence[int], share: float) -> Tensor:
        """Dropout with one mask of the given shape, broadcast over the values."""
        if not self.training or share == 0:
            return values
        return values * nn.functional.dropout(values.new_ones(mask), share)

    def _tails(self) -> Iterator[tuple[nn.Module, int, int]]:
        """Each tail of rare words, its first id and the one after its last."""
        return zip(self.softmax.tail, self.softmax.cutoffs, self.softmax.cutoffs[1:], strict=False)

    def empty_memory(self, batch: int) -> Memory:
        """The memory before anything was read."""
        zeros = self.softmax.head.weight.new_zeros(self.config.layers, batch, self.config.hidden)
        return (zeros, zeros.clone()) if self.config.cell == "lstm" else (zeros,)
