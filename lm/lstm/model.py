"""The LSTM word language model, with adaptive softmax (Grave et al. 2017) tied to adaptive embeddings.

Frequent words have long embeddings, rare ones short; the output layer shares the weights of the input layer (Press and
Wolf 2017; Baevski and Auli 2019). The sentence end `</s>` also starts the next sentence, so that a document is one
sequence; `<s>` has no probability.

Regularised as AWD-LSTM (Merity, Keskar and Socher 2018): dropout masks that stay the same along a sequence (Gal and
Ghahramani 2016), whole words dropped, recurrent weights dropped. Plain RNN and GRU cells are there to compare with.

Here it is asked, in NumPy; lm.training.network has it to be trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from lm.bundle import Bundle, BundleError, Dequantized, Shapes, rows_of
from lm.lstm.cells import LAYOUTS, Layer, layer_shapes
from lm.lstm.prefix_tree import Choose, PrefixTree
from lm.lstm.product import Product
from lm.settings import Count, Dropout
from lm.text.vocabulary import END, START, Vocabulary


@dataclass(frozen=True)
class LstmConfig:
    """Sizes of a word LSTM; stored in the bundle beside its weights."""

    vocabulary: Count  # words, the special ones included
    hidden: Count = 512  # cells, and length of the embeddings of the most frequent words
    layers: Count = 1
    cell: Literal["lstm", "gru", "rnn"] = "lstm"  # "rnn": Elman's, with tanh
    cutoffs: tuple[Count, ...] = (4000, 20000)  # the word ids at which embeddings shrink by `shrink`
    shrink: Count = 4
    dropout: Dropout = 0.1  # of embeddings and of each layer's outputs, the same ones all along a sequence
    word_dropout: Dropout = 0.0  # of whole words' embeddings
    weight_drop: Dropout = 0.0  # of the recurrent weights

    def __post_init__(self) -> None:
        if list(self.cutoffs) != sorted(set(self.cutoffs)) or not self.cutoffs:
            raise ValueError(f"cutoffs = {list(self.cutoffs)}: want one word id or more, each above the one before")
        if min(self.cutoffs) >= self.vocabulary:
            raise ValueError(f"a vocabulary of {self.vocabulary} words needs a cutoff below that: {self.cutoffs}")

    @property
    def bounds(self) -> list[int]:
        """The cutoffs that the vocabulary reaches, and its size: a cluster of words ends at each."""
        return [*(cutoff for cutoff in self.cutoffs if cutoff < self.vocabulary), self.vocabulary]


ROWS = 64  # sequences read side by side
POSITIONS = 2048  # words read at once, of all rows together; longer sequences in several pieces
LOGITS = 600_000  # made at once: few enough to be normalised while still in a core's cache

# What the LSTM remembers of the words so far, each [layers, hidden]: (h, c) of LSTM cells, (h,) of the others.
LstmState = tuple[np.ndarray, ...]
Memory = tuple[np.ndarray, ...]  # several states, each [layers, batch, hidden]


class LstmModel:
    """A trained word LSTM as a LanguageModel (see lm.model).

    After `</s>` it goes on remembering: the state at the start of a sentence depends on the sentences before it.
    """

    def __init__(self, config: LstmConfig, weights: Mapping[str, np.ndarray], vocabulary: Vocabulary) -> None:
        """weights: float32, by the names that they have in an lm.training.network.WordLstm."""
        if config.vocabulary != len(vocabulary):
            raise ValueError(
                f"the LSTM knows {config.vocabulary} words, its vocabulary {len(vocabulary)}: "
                "they are of different models"
            )
        self.config = config
        self.vocabulary = vocabulary
        self._network = _Network(config, weights)

    def initial(self) -> LstmState:
        return self.read(_one(self._network.empty_memory(1)), [END])

    def read(self, state: LstmState, words: Sequence[int]) -> LstmState:
        memory = tuple(part[:, None] for part in state)
        for start in range(0, len(words), POSITIONS):
            _, memory = self._network.read(np.array(words[start : start + POSITIONS])[:, None], memory)
        return _one(memory)

    def score(self, states: Sequence[LstmState], words: Sequence[int]) -> tuple[np.ndarray, list[LstmState]]:
        memory = tuple(np.stack(parts, axis=1) for parts in zip(*states, strict=True))
        ids = np.array(words)
        log_probs = self._network.foretold(memory[0][-1], ids)
        _, memory = self._network.read(ids[None], memory)
        return log_probs, list(zip(*(part.swapaxes(0, 1) for part in memory), strict=True))

    def next_words(self, state: LstmState) -> np.ndarray:
        return self._network.distribution(state[0][-1])

    def outputs(self, sequence: Sequence[int]) -> np.ndarray:
        """The top outputs float32 [words, hidden] that foretell each word of a sequence."""
        read, memory, pieces = np.array([END, *sequence[:-1]])[:, None], self._network.empty_memory(1), []
        for start in range(0, len(read), POSITIONS):
            top, memory = self._network.read(read[start : start + POSITIONS], memory)
            pieces.append(top[:, 0])
        return np.concatenate(pieces)

    def log_probs(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        result = [np.empty(len(sequence), np.float32) for sequence in sequences]
        long_first = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]))
        for first in range(0, len(sequences), ROWS):
            rows = long_first[first : first + ROWS]
            lengths = np.array([len(sequences[i]) for i in rows])
            read = np.full((1 + lengths[0], len(rows)), END)
            for column, i in zip(read.T, rows, strict=True):
                column[1 : 1 + len(sequences[i])] = sequences[i]
            memory, steps = self._network.empty_memory(len(rows)), POSITIONS // len(rows)
            for start in range(0, len(read) - 1, steps):
                piece = read[start : start + steps + 1]
                top, memory = self._network.read(piece[:-1], memory)
                there = np.arange(start, start + len(top))[:, None] < lengths
                scores = np.zeros(there.shape, np.float32)
                scores[there] = self._network.foretold(top[there], piece[1:][there])
                for i, column, here in zip(rows, scores.T, there.T, strict=True):
                    result[i][start : start + len(top)] = column[here]
        return result

    def score_tree(self, tree: PrefixTree, state: LstmState, choose: Choose | None = None) -> np.ndarray:
        """log P of each node's word after its prefix, `state` before that: float32 [nodes], 0 for node 0.

        choose: where to go on, asked at every depth; what is below other nodes is 0, too. What `score` says word by
        word, but many times as fast.
        """
        if choose:
            return self._network.chosen_log_probs(tree, state, choose)
        return self._network.tree_log_probs(tree, state)


def _one(memory: Memory) -> LstmState:
    """The state in a memory of one."""
    return tuple(part[:, 0] for part in memory)


def load_lstm(bundle: Bundle, vocabulary: Vocabulary) -> LstmModel:
    """The LSTM of a bundle, which knows the words of its vocabulary."""
    config = bundle.read(LstmConfig, "lstm")
    if config.vocabulary != len(vocabulary):
        raise BundleError(f"{bundle.folder}: an LSTM of {config.vocabulary} words, a vocabulary of {len(vocabulary)}")
    return LstmModel(config, Dequantized(bundle.file("lstm.safetensors"), shapes(config)), vocabulary)


def shapes(config: LstmConfig) -> Shapes:
    """The shapes of all weights, as in lm.training.network."""
    hidden, gates = config.hidden, len(LAYOUTS[config.cell])
    first, *bounds = config.bounds
    yield "softmax.head.weight", (first + len(bounds), hidden)
    for k, (low, high) in enumerate(pairwise(config.bounds)):
        short = hidden // config.shrink ** (k + 1)
        yield f"softmax.tail.{k}.0.weight", (short, hidden)
        yield f"softmax.tail.{k}.1.weight", (high - low, short)
    for k in range(config.layers):
        yield from layer_shapes(f"layers.{k}.{{}}_l0", gates, hidden, hidden)


class _Network:
    """Embeddings, recurrent layers, adaptive softmax; the weights laid out for products of rows with them.

    Nearly all of the time goes into products with matrices. In a tree none is made twice: what a layer sees of a word
    is computed once for all places where it stands, recurrent products once for all children of a prefix, a softmax
    once for all words that follow a prefix, and no state after a leaf. Only the recurrent products wait for each other.
    """

    def __init__(self, config: LstmConfig, weights: Mapping[str, np.ndarray]) -> None:
        self._config = config
        self._layers = [Layer(config.cell, weights, f"layers.{k}.{{}}_l0") for k in range(config.layers)]
        self._head = Product(rows_of(weights, "softmax.head.weight"))  # words, and clusters of rare ones
        # Of each cluster of rare words: what shortens a hidden vector for it [short, hidden], its words, its first id
        # and the one after its last.
        self._tails = [
            (weights[f"softmax.tail.{k}.0.weight"], Product(rows_of(weights, f"softmax.tail.{k}.1.weight")), low, high)
            for k, (low, high) in enumerate(pairwise(config.bounds))
        ]

    def empty_memory(self, batch: int) -> Memory:
        """The memory before anything was read."""
        shape = (self._config.layers, batch, self._config.hidden)
        return tuple(np.zeros(shape, np.float32) for _ in range(2 if self._config.cell == "lstm" else 1))

    def embed(self, words: np.ndarray) -> np.ndarray:
        """Word ids [N] to embeddings [N, hidden]: the rows of the output layer's matrices.

        A tail's are lengthened by the transpose of the projection that shortens the hidden vector for it.
        """
        embedded = np.empty((len(words), self._config.hidden), np.float32)
        common = np.flatnonzero(words < self._config.bounds[0])
        embedded[common] = self._head.rows(words[common])
        for shortening, short, low, high in self._tails:
            rare = np.flatnonzero((words >= low) & (words < high))
            if len(rare):
                embedded[rare] = short.rows(words[rare] - low) @ shortening
        return embedded

    def read(self, words: np.ndarray, memory: Memory) -> tuple[np.ndarray, Memory]:
        """words [T, B], memory -> top outputs [T, B, hidden], memory."""
        outputs = self.embed(words.ravel()).reshape(*words.shape, -1)
        after = tuple(part.copy() for part in memory)
        for k, layer in enumerate(self._layers):
            outputs = layer.read(outputs, [part[k] for part in after])
        return outputs, after

    def tree_log_probs(self, tree: PrefixTree, state: LstmState) -> np.ndarray:
        """See LstmModel.score_tree."""
        inner = np.unique(tree.parents.clip(min=0))  # the nodes that have children, numbered anew from here on
        parents = np.searchsorted(inner, tree.parents, side="right") - 1
        top = self._tree_outputs(tree.words[inner], parents[inner], np.searchsorted(inner, tree.starts), state)
        return np.append(np.float32(0), self.foretold(top, tree.words[1:], parents[1:]))

    def chosen_log_probs(self, tree: PrefixTree, state: LstmState, choose: Choose) -> np.ndarray:
        """See LstmModel.score_tree. Depth by depth, as what is read depends on what was found."""
        log_probs = np.zeros(len(tree.words), np.float32)
        reached, memory = np.array([0]), tuple(part[:, None] for part in state)
        for depth in range(1, len(tree.starts) - 1):
            nodes, rows = tree.children(reached, depth)
            log_probs[nodes] = self.foretold(memory[0][-1], tree.words[nodes], rows)
            reached = choose(depth, log_probs)
            if not len(reached):
                break
            rows = rows[np.searchsorted(nodes, reached)]
            _, memory = self.read(tree.words[reached][None], tuple(part[:, rows] for part in memory))
        return log_probs

    def _tree_outputs(self, words: np.ndarray, parents: np.ndarray, starts: np.ndarray, state: LstmState) -> np.ndarray:
        """The top outputs [N, hidden] of nodes; words, parents, starts are a PrefixTree's, `state` is node 0's."""
        distinct = np.unique(words[1:])
        inputs, rows = self.embed(distinct), np.searchsorted(distinct, words)
        eldest = np.diff(parents, prepend=-2) > 0  # of each parent's children
        family = eldest.cumsum()
        for k, layer in enumerate(self._layers):
            seen = layer.seen(inputs)
            memory = tuple(np.empty((len(words), part.shape[1]), np.float32) for part in state)
            for part, initial in zip(memory, state, strict=True):
                part[0] = initial[k]
            for start, end in pairwise(np.unique(starts[1:]).tolist()):  # at the last depth all are leaves
                before, siblings = parents[start:end], family[start:end]
                products = layer.recurrent(memory[0][before[eldest[start:end]]])
                layer.step(
                    seen[rows[start:end]],
                    products[siblings - siblings[0]],
                    memory[-1][before],
                    [part[start:end] for part in memory],
                )
            inputs, rows = memory[0], np.arange(len(words))
        return memory[0]

    def foretold(self, top: np.ndarray, words: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """log P of words [N] after these rows (rising; None: all) of the top outputs [M, hidden]: float32 [N]."""
        rows = np.arange(len(words)) if rows is None else rows
        first, *bounds = self._config.bounds
        cluster = np.searchsorted([first, *bounds], words, side="right")
        columns = np.where(cluster == 0, words, first + cluster - 1)
        result = _log_softmax(self._head, top, rows, columns, never=START)
        for k, (shortening, short, low, _) in enumerate(self._tails, 1):
            rare = np.flatnonzero(cluster == k)
            before, short_rows = np.unique(rows[rare], return_inverse=True)
            result[rare] += _log_softmax(short, top[before] @ shortening.T, short_rows, words[rare] - low)
        return result

    def distribution(self, top: np.ndarray) -> np.ndarray:
        """log P of all words after a top output [hidden]: float64 [vocabulary]."""
        first = self._config.bounds[0]
        head = self._head(top[None])[0].astype(np.float64)
        head[START] = -np.inf  # no weight could say so exactly
        head -= np.logaddexp.reduce(head)
        result = np.empty(self._config.vocabulary)
        result[:first] = head[:first]
        for k, (shortening, short, low, high) in enumerate(self._tails):
            tail = short(top[None] @ shortening.T)[0].astype(np.float64)
            result[low:high] = tail - np.logaddexp.reduce(tail) + head[first + k]
        return result


def _log_softmax(
    product: Product, inputs: np.ndarray, rows: np.ndarray, columns: np.ndarray, never: int | None = None
) -> np.ndarray:
    """What the log-softmax of product(inputs) has in rows (rising) and columns, float32 [N].

    never: the column of what has no probability.
    """
    block = max(1, LOGITS // product.outputs)
    result = np.empty(len(rows), np.float32)
    for first in range(0, len(inputs), block):
        here = slice(*np.searchsorted(rows, (first, first + block)))
        logits = product(inputs[first : first + block])
        if never is not None:
            logits[:, never] = -np.inf
        logits -= logits.max(1, keepdims=True)
        result[here] = logits[rows[here] - first, columns[here]]
        result[here] -= np.log(np.exp(logits, out=logits).sum(1))[rows[here] - first]
    return result
