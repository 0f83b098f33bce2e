"""The LSTM word language model, with adaptive softmax (Grave et al. 2017) tied to adaptive embeddings.

Frequent words have long embeddings, rare ones short; the output layer shares the weights of the input layer (Press and
Wolf 2017; Baevski and Auli 2019). The sentence end `</s>` also starts the next sentence, so that a document is one
sequence; `<s>` has no probability.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lm.bundle import Bundle, dequantized
from lm.vocabulary import END, START, Vocabulary


@dataclass(frozen=True)
class LstmConfig:
    """Sizes of a WordLstm; stored in the bundle beside its weights."""

    vocabulary: int  # words, the special ones included
    hidden: int = 512  # cells, and length of the embeddings of the most frequent words
    layers: int = 1
    cutoffs: tuple[int, ...] = (4000, 20000)  # the word ids at which embeddings shrink by `shrink`
    shrink: int = 4
    dropout: float = 0.1


class WordLstm(nn.Module):
    """Embeddings, LSTM layers, adaptive softmax. Word ids must be in the order of falling frequency."""

    def __init__(self, config: LstmConfig) -> None:
        super().__init__()
        self.config = config
        self.lstm = nn.LSTM(
            config.hidden, config.hidden, config.layers, dropout=config.dropout if config.layers > 1 else 0.0
        )
        self.dropout = nn.Dropout(config.dropout)
        cutoffs = [cutoff for cutoff in config.cutoffs if cutoff < config.vocabulary]
        if not cutoffs:
            raise ValueError(f"a vocabulary of {config.vocabulary} words needs a cutoff below that: {config.cutoffs}")
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(config.hidden, config.vocabulary, cutoffs, div_value=config.shrink)

    def embed(self, words: Tensor) -> Tensor:
        """Word ids of any shape [...] to embeddings [..., hidden]: the rows of the output layer's matrices.

        A tail's rows are lengthened by the transpose of the projection that shortens the hidden vector for it.
        """
        flat = words.flatten()
        first = self.softmax.cutoffs[0]
        embedded = nn.functional.embedding(flat.clamp(max=first - 1), self.softmax.head.weight)
        for tail, low, high in zip(self.softmax.tail, self.softmax.cutoffs, self.softmax.cutoffs[1:], strict=False):
            rows = ((flat >= low) & (flat < high)).nonzero().squeeze(1)
            shortening, short = tail.get_parameter("0.weight"), tail.get_parameter("1.weight")
            rare = nn.functional.embedding(flat[rows] - low, short) @ shortening
            embedded = embedded.index_copy(0, rows, rare.to(embedded.dtype))
        return embedded.view(*words.shape, -1)

    def forward(self, words: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """words [T, B], state (h, c) each [layers, B, hidden] -> top outputs [T, B, hidden], state."""
        output, state = self.lstm(self.dropout(self.embed(words)), state)
        return self.dropout(output), state

    def zero_state(self, batch: int) -> tuple[Tensor, Tensor]:
        """The state before anything was read, (h, c) each [layers, batch, hidden]."""
        zeros = self.softmax.head.weight.new_zeros(self.config.layers, batch, self.config.hidden)
        return zeros, zeros.clone()


class LstmState(NamedTuple):
    """The LSTM's cells after some words, each [layers, hidden]."""

    h: Tensor
    c: Tensor


class LstmModel:
    """A trained WordLstm as a LanguageModel (see lm.model); states are LstmState."""

    def __init__(self, network: WordLstm, vocabulary: Vocabulary) -> None:
        if network.config.vocabulary != len(vocabulary):
            raise ValueError(
                f"the LSTM knows {network.config.vocabulary} words, its vocabulary {len(vocabulary)}: "
                "they are of different models"
            )
        self.network = network.eval()
        self.vocabulary = vocabulary

    @torch.inference_mode()
    def initial(self) -> LstmState:
        h, c = self.network.zero_state(1)
        _, (h, c) = self.network(torch.tensor([[END]]), (h, c))
        return LstmState(h[:, 0], c[:, 0])

    @torch.inference_mode()
    def score(self, states: Sequence[LstmState], words: Sequence[int]) -> tuple[np.ndarray, list[LstmState]]:
        ids = torch.tensor(words)
        h = torch.stack([state.h for state in states], dim=1)
        c = torch.stack([state.c for state in states], dim=1)
        log_probs = self._allowed(self.network.softmax(h[-1], ids).output, h[-1])
        log_probs[ids == START] = -torch.inf
        _, (h, c) = self.network(ids[None], (h, c))
        return log_probs.numpy(), [LstmState(h[:, row], c[:, row]) for row in range(len(states))]

    @torch.inference_mode()
    def next_words(self, state: LstmState) -> np.ndarray:
        log_probs = self._allowed(self.network.softmax.log_prob(state.h[-1:])[0].double(), state.h[-1:])
        log_probs[START] = -torch.inf
        result: np.ndarray = log_probs.numpy()
        return result

    def _allowed(self, log_probs: Tensor, top: Tensor) -> Tensor:
        """Without the probability of `<s>`, which was never seen in training but isn't quite 0 in a softmax."""
        start = self.network.softmax.head(top).log_softmax(-1)[:, START]
        return log_probs - torch.log1p(-start.exp())


def load_lstm(bundle: Bundle) -> WordLstm:
    """The LSTM of a bundle."""
    sizes = bundle.config["lstm"]
    network = WordLstm(LstmConfig(**{**sizes, "cutoffs": tuple(sizes["cutoffs"])}))
    weights = load_file(bundle.file("lstm.safetensors"))
    network.load_state_dict(dequantized(weights))
    return network
