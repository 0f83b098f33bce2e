"""The LSTM word language model, with adaptive softmax (Grave et al. 2017) tied to adaptive embeddings.

Frequent words have long embeddings, rare ones short; the output layer shares the weights of the input layer (Press and
Wolf 2017; Baevski and Auli 2019). The sentence end `</s>` also starts the next sentence, so that a document is one
sequence; `<s>` has no probability.

Regularised as AWD-LSTM (Merity, Keskar and Socher 2018): dropout masks that stay the same along a sequence (Gal and
Ghahramani 2016), whole words dropped, recurrent weights dropped. Plain RNN and GRU cells are there to compare with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from lm.bundle import Bundle, dequantized
from lm.prefix_tree import PrefixTree
from lm.vocabulary import END, START, Vocabulary

CELLS: dict[str, Any] = {"lstm": (nn.LSTM, torch.lstm), "gru": (nn.GRU, torch.gru), "rnn": (nn.RNN, torch.rnn_tanh)}

# What a network remembers of the words so far, each [layers, batch, hidden]: (h, c) of LSTM cells, (h,) of the others.
Memory = tuple[Tensor, ...]


@dataclass(frozen=True)
class LstmConfig:
    """Sizes of a WordLstm; stored in the bundle beside its weights."""

    vocabulary: int  # words, the special ones included
    hidden: int = 512  # cells, and length of the embeddings of the most frequent words
    layers: int = 1
    cell: str = "lstm"  # or "gru", or "rnn": Elman's, with tanh
    cutoffs: tuple[int, ...] = (4000, 20000)  # the word ids at which embeddings shrink by `shrink`
    shrink: int = 4
    dropout: float = 0.1  # of embeddings and of each layer's outputs, the same ones all along a sequence
    word_dropout: float = 0.0  # of whole words' embeddings
    weight_drop: float = 0.0  # of the recurrent weights

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ValueError(f"no cell {self.cell!r}; there are {', '.join(CELLS)}")


class WordLstm(nn.Module):
    """Embeddings, recurrent layers, adaptive softmax. Word ids must be in the order of falling frequency."""

    def __init__(self, config: LstmConfig) -> None:
        super().__init__()
        self.config = config
        layer, self._run = CELLS[config.cell]
        self.layers = nn.ModuleList(layer(config.hidden, config.hidden) for _ in range(config.layers))
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

    def distributions(self, top: Tensor) -> Tensor:
        """log P of all words after top outputs [N, hidden] -> [N, vocabulary]."""
        # `<s>` never follows; no weight could say so exactly.
        head = self.softmax.head(top).index_fill(1, torch.tensor(START), -torch.inf).log_softmax(1)
        first = self.softmax.cutoffs[0]
        tails = [tail(top).log_softmax(1) + head[:, first + k, None] for k, (tail, _, _) in enumerate(self._tails())]
        return torch.cat([head[:, :first], *tails], dim=1)

    def _tails(self) -> Iterator[tuple[nn.Module, int, int]]:
        """Each tail of rare words, its first id and the one after its last."""
        return zip(self.softmax.tail, self.softmax.cutoffs, self.softmax.cutoffs[1:], strict=False)

    def empty_memory(self, batch: int) -> Memory:
        """The memory before anything was read."""
        zeros = self.softmax.head.weight.new_zeros(self.config.layers, batch, self.config.hidden)
        return (zeros, zeros.clone()) if self.config.cell == "lstm" else (zeros,)


ROWS = 64  # sequences read side by side
STEPS = 256  # words read at once; longer sequences in several pieces
LstmState = tuple[Tensor, ...]  # a Memory of one sequence, each [layers, hidden]


class LstmModel:
    """A trained WordLstm as a LanguageModel (see lm.model).

    After `</s>` it goes on remembering: the state at the start of a sentence depends on the sentences before it.
    """

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
        return self.read(tuple(part[:, 0] for part in self.network.empty_memory(1)), [END])

    @torch.inference_mode()
    def read(self, state: LstmState, words: Sequence[int]) -> LstmState:
        memory = tuple(part[:, None] for part in state)
        for piece in torch.tensor(words, dtype=torch.long)[:, None].split(STEPS):
            if len(piece):
                _, memory = self.network(piece, memory)
        return tuple(part[:, 0] for part in memory)

    @torch.inference_mode()
    def score(self, states: Sequence[LstmState], words: Sequence[int]) -> tuple[np.ndarray, list[LstmState]]:
        memory = tuple(torch.stack(parts, dim=1) for parts in zip(*states, strict=True))
        log_probs, memory = self._reader.step(np.array(words), memory)
        return log_probs, list(zip(*(part.unbind(1) for part in memory), strict=True))

    @torch.inference_mode()
    def next_words(self, state: LstmState) -> np.ndarray:
        result: np.ndarray = self.network.distributions(state[0][-1:])[0].double().numpy()
        return result

    @torch.inference_mode()
    def outputs(self, sequence: Sequence[int]) -> Tensor:
        """The top outputs [words, hidden] that foretell each word of a sequence."""
        read, memory, pieces = torch.tensor([END, *sequence[:-1]])[:, None], self.network.empty_memory(1), []
        for piece in read.split(STEPS):
            top, memory = self.network(piece, memory)
            pieces.append(top[:, 0])
        return torch.cat(pieces)

    @torch.inference_mode()
    def log_probs(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        result = [np.empty(len(sequence), np.float32) for sequence in sequences]
        long_first = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]))
        for first in range(0, len(sequences), ROWS):
            rows = long_first[first : first + ROWS]
            lengths = torch.tensor([len(sequences[i]) for i in rows])
            read = pad_sequence([torch.tensor([END, *sequences[i]]) for i in rows], padding_value=END)
            memory = self.network.empty_memory(len(rows))
            for start in range(0, len(read) - 1, STEPS):
                piece = read[start : start + STEPS + 1]
                top, memory = self.network(piece[:-1], memory)
                there = torch.arange(start, start + len(top))[:, None] < lengths
                scores = np.zeros(there.shape, np.float32)
                scores[there.numpy()] = self._reader.foretold(top[there], piece[1:][there].numpy())
                for i, column, here in zip(rows, scores.T, there.T.numpy(), strict=True):
                    result[i][start : start + len(top)] = column[here]
        return result

    @torch.inference_mode()
    def score_tree(self, tree: PrefixTree, state: LstmState) -> np.ndarray:
        """log P of each node's word after its prefix, `state` before that: float32 [nodes], 0 for node 0.

        What `score` says word by word, but many times as fast.
        """
        return self._reader.log_probs(tree, state)

    @cached_property
    def _reader(self) -> "_Reader":
        """Made when first asked for; the network's weights must not change after that."""
        return _Reader(self.network)


def load_lstm(bundle: Bundle) -> WordLstm:
    """The LSTM of a bundle."""
    sizes = bundle.config["lstm"]
    network = WordLstm(LstmConfig(**{**sizes, "cutoffs": tuple(sizes["cutoffs"])}))
    weights = load_file(bundle.file("lstm.safetensors"))
    network.load_state_dict(dequantized(weights))
    return network


# --- Search and rescoring ---------------------------------------------------------------------------------

BLOCK = 600_000  # logits made at once: few enough to be normalised while still in a core's cache


class _Reader:
    """A WordLstm for prefix trees and single steps, its weights laid out for that.

    Nearly all of the time goes into products with matrices. In a tree none is made twice: what a layer sees of a word
    is computed once for all places where it stands, recurrent products once for all children of a prefix, a softmax
    once for all words that follow a prefix, and no state after a leaf. Only the recurrent products wait for each other.
    """

    def __init__(self, network: WordLstm) -> None:
        self._network, self._cell_step = network, CELL_STEPS[network.config.cell]
        self._layers = []
        for layer in network.layers:
            weights = dict(layer.named_parameters())
            of_input, recurrent = (_Product(weights[f"weight_{x}_l0"], weights[f"bias_{x}_l0"]) for x in ("ih", "hh"))
            self._layers.append((of_input, recurrent))
        head = network.softmax.head.weight
        self._head = _Product(head, torch.zeros(len(head)).index_fill(0, torch.tensor(START), -torch.inf))
        self._tails = [_Product(tail.get_parameter("1.weight")) for tail, _, _ in network._tails()]

    def log_probs(self, tree: PrefixTree, state: LstmState) -> np.ndarray:
        """See LstmModel.score_tree."""
        inner = np.unique(tree.parents.clip(min=0))  # the nodes that have children, numbered anew from here on
        parents = np.searchsorted(inner, tree.parents, side="right") - 1
        top = self._outputs(tree.words[inner], parents[inner], np.searchsorted(inner, tree.starts), state)
        return np.append(np.float32(0), self.foretold(top, tree.words[1:], parents[1:]))

    def step(self, words: np.ndarray, memory: Memory) -> tuple[np.ndarray, Memory]:
        """log P of each of N words after its memory, float32 [N], and the memory after it."""
        log_probs = self.foretold(memory[0][-1], words)
        inputs, after = self._network.embed(torch.from_numpy(words)), tuple(map(torch.empty_like, memory))
        for k, (of_input, recurrent) in enumerate(self._layers):
            own = [part[k] for part in after]
            self._cell_step(of_input(inputs), recurrent(memory[0][k]), memory[-1][k], own)
            inputs = own[0]
        return log_probs, after

    def foretold(self, top: Tensor, words: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """log P of words [N] after these rows (rising; None: all) of the top outputs [M, hidden]: float32 [N]."""
        rows = np.arange(len(words)) if rows is None else rows
        first, *cutoffs = self._network.softmax.cutoffs
        cluster = np.searchsorted([first, *cutoffs], words, side="right")
        result = _log_softmax(self._head, top, rows, np.where(cluster == 0, words, first + cluster - 1))
        for k, (product, (tail, low, _)) in enumerate(zip(self._tails, self._network._tails(), strict=True), 1):
            rare = np.flatnonzero(cluster == k)
            before, short_rows = np.unique(rows[rare], return_inverse=True)
            shortened = tail.get_submodule("0")(_rows(top, before))
            result[rare] += _log_softmax(product, shortened, short_rows, words[rare] - low)
        return result

    def _outputs(self, words: np.ndarray, parents: np.ndarray, starts: np.ndarray, state: LstmState) -> Tensor:
        """The top outputs [N, hidden] of nodes; words, parents, starts are a PrefixTree's, `state` is node 0's."""
        distinct = np.unique(words[1:])
        inputs, rows = self._network.embed(torch.from_numpy(distinct)), np.searchsorted(distinct, words)
        eldest = np.diff(parents, prepend=-2) > 0  # of each parent's children
        family = eldest.cumsum()
        for k, (of_input, recurrent) in enumerate(self._layers):
            seen = of_input(inputs)
            memory = tuple(part.new_empty(len(words), part.shape[1]) for part in state)
            for part, initial in zip(memory, state, strict=True):
                part[0] = initial[k]
            for start, end in pairwise(np.unique(starts[1:]).tolist()):  # at the last depth all are leaves
                before, siblings = parents[start:end], family[start:end]
                products = recurrent(_rows(memory[0], before[eldest[start:end]]))
                self._cell_step(
                    _rows(seen, rows[start:end]),
                    _rows(products, siblings - siblings[0]),
                    _rows(memory[-1], before),
                    [part[start:end] for part in memory],
                )
            inputs, rows = memory[0], np.arange(len(words))
        return memory[0]


def _rows(values: Tensor, which: np.ndarray) -> Tensor:
    """values[which], faster for few rows."""
    return values.index_select(0, torch.from_numpy(which))


class _Product:
    """x [N, inputs] -> x @ weight.T + bias, [N, outputs], by oneDNN where there is one.

    Once it has the weight in its own layout, it takes 0.7 of the time of torch's product, and half of it for ten rows.
    """

    ROWS = 64  # which the layout is made for; serves any from 2 to 2000

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.outputs, self._bias, self._laid_out = len(weight), bias, torch.backends.mkldnn.is_available()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), self.ROWS) if self._laid_out else weight

    def __call__(self, x: Tensor) -> Tensor:
        if not self._laid_out:
            return nn.functional.linear(x, self._weight, self._bias)
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return result


def _log_softmax(product: _Product, inputs: Tensor, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What the log-softmax of product(inputs) has in rows (rising) and columns: float32 [N]."""
    block = max(1, BLOCK // product.outputs)
    result = np.empty(len(rows), np.float32)
    for first in range(0, len(inputs), block):
        here = slice(*np.searchsorted(rows, (first, first + block)))
        log_probs = product(inputs[first : first + block]).log_softmax(1).numpy()
        result[here] = log_probs[rows[here] - first, columns[here]]
    return result


def _lstm_step(seen: Tensor, products: Tensor, before: Tensor, after: list[Tensor]) -> None:
    """N cells' step: what is seen of the words, recurrent products, c before; to h and c after, all [N, ...]."""
    hidden, cells = after
    gates = seen.add_(products)
    half = gates.shape[1] // 2
    input_gate, forget_gate = gates[:, :half].sigmoid_().chunk(2, 1)
    new, output_gate = gates[:, half:].chunk(2, 1)
    torch.mul(before, forget_gate, out=cells).addcmul_(input_gate, _tanh(new, new))
    _tanh(cells, hidden).mul_(output_gate.sigmoid_())


def _gru_step(seen: Tensor, products: Tensor, before: Tensor, after: list[Tensor]) -> None:
    """Likewise, with h before and after."""
    (reset, update, new), (of_reset, of_update, of_new) = seen.chunk(3, 1), products.chunk(3, 1)
    new = new + of_new * (reset + of_reset).sigmoid_()
    torch.lerp(_tanh(new, new), before, (update + of_update).sigmoid_(), out=after[0])


def _rnn_step(seen: Tensor, products: Tensor, before: Tensor, after: list[Tensor]) -> None:
    """Likewise."""
    _tanh(seen.add_(products), after[0])


def _tanh(values: Tensor, out: Tensor) -> Tensor:
    """By NumPy, which takes a fifth of torch's time for it."""
    np.tanh(values.numpy(), out=out.numpy())
    return out


CELL_STEPS = {"lstm": _lstm_step, "gru": _gru_step, "rnn": _rnn_step}
