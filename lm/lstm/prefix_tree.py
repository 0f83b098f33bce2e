"""Sentences that begin alike, as one tree, so that a language model reads what they share only once.

>>> tree = PrefixTree([[4, 5, END], [4, 6, END]])
>>> tree.words  # node 0 has none
array([-1,  4,  5,  6,  2,  2])
>>> tree.parents
array([-1,  0,  1,  1,  2,  3])
>>> tree.paths
[array([1, 2, 4]), array([1, 3, 5])]
"""

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

# Told a depth and what is known of all nodes' log-probs so far: from which nodes of that depth to go on, rising.
Choose = Callable[[int, np.ndarray], np.ndarray]


class PrefixTree:
    """All prefixes of some sentences, the shorter first. Node 0 is the empty prefix, a node's parent lacks its word.

    words, parents: int64 [nodes], -1 for node 0; starts: int64 [longest + 2], nodes starts[n] to starts[n + 1] have n
    words; paths: for each sentence the nodes of its prefixes, of 1 word to all. `parents` never falls: siblings stand
    side by side.
    """

    def __init__(self, sentences: Sequence[list[int]]) -> None:
        order = sorted(range(len(sentences)), key=sentences.__getitem__)
        lengths = np.array([len(sentences[i]) for i in order], dtype=np.int64)
        # [sentences, longest], in alphabetical order: rows of a common prefix are neighbours.
        there = np.arange(lengths.max(initial=0)) < lengths[:, None]
        grid = np.full(there.shape, -1, dtype=np.int64)
        grid[there] = np.fromiter(chain.from_iterable(sentences[i] for i in order), np.int64, lengths.sum())
        new = np.ones(there.shape, dtype=bool)
        new[1:] = np.logical_or.accumulate(grid[1:] != grid[:-1], axis=1)
        new = (new & there).T
        nodes = new.cumsum().reshape(new.shape)
        before = np.vstack([np.zeros_like(nodes[:1]), nodes[:-1]])
        self.words = np.concatenate([[-1], grid.T[new]])
        self.parents = np.concatenate([[-1], before[new]])
        self.starts = np.concatenate([[0, 1], 1 + new.sum(1).cumsum()])
        self.paths = [nodes[: lengths[i], i] for i in np.argsort(order)]

    def children(self, nodes: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """The children, of that depth, of some nodes (rising), and the row of each one's parent among them."""
        start, end = self.starts[depth : depth + 2]
        parents = self.parents[start:end]
        rows = np.searchsorted(nodes, parents)
        here = np.flatnonzero(nodes.take(rows, mode="clip") == parents)
        return start + here, rows[here]
