"""How often n-grams stand in a text of any size: by shards, in processes of this machine or on a Ray cluster.

They are counted order by order, since n-grams that are seen often hold only n-grams that are (R. Agrawal, R. Srikant,
"Fast algorithms for mining association rules", 1994): what a cut-off dropped isn't looked for again. Of each order the
shards' counts are divided among some processes that add them up, so that none holds all that is seen but once. What
stays is in memory, as the model will be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from os import cpu_count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lm.files import open_text
from lm.ngram.arpa import BackoffModel, Order, find_keys
from lm.ngram.prune import CHUNK, Counts
from lm.text.vocabulary import END, SPECIAL_WORDS, START, UNKNOWN, Vocabulary

SUFFIX = ".counts"
PARTS = 64  # at most, among which the counts of an order are divided


@dataclass(frozen=True)
class NgramCounts:
    """N-grams of a text, and how often each stands there.

    keys: of each order from the bigrams on, sorted, int64 [N]: its history's row in the order below, times the size of
    the vocabulary, plus its last word's id. counts: of each order from single words on, int64 [N].
    """

    vocabulary: Vocabulary
    keys: list[np.ndarray]
    counts: list[np.ndarray]

    def save(self, path: Path) -> None:
        arrays = {f"counts{n}": array for n, array in enumerate(self.counts, 1)}
        arrays |= {f"keys{n}": array for n, array in enumerate(self.keys, 2)}
        path.touch()
        mode = path.stat().st_mode
        save_file(arrays, path, {"vocabulary": _digest(self.vocabulary)})
        path.chmod(mode)  # safetensors lets nobody else read what it writes

    @classmethod
    def load(cls, path: Path, vocabulary: Vocabulary) -> NgramCounts:
        """What `save` wrote of this vocabulary's words. Raises ValueError for anything else."""
        try:
            with safe_open(path, "np") as file:
                words = (file.metadata() or {})["vocabulary"]
                order = len(file.keys()) // 2 + 1
                counts = [file.get_tensor(f"counts{n}") for n in range(1, order + 1)]
                keys = [file.get_tensor(f"keys{n}") for n in range(2, order + 1)]
        except (SafetensorError, KeyError):
            raise ValueError(f"{path}: no counts of n-grams; `lm count-ngrams` makes such") from None
        if words != _digest(vocabulary):
            raise ValueError(f"{path}: counts of other words than the vocabulary's: count again with that")
        return cls(vocabulary, keys, counts)

    def model(self) -> tuple[BackoffModel, Counts]:
        """The n-grams, for `lm.ngram.prune.estimate` to give them probabilities."""
        model = BackoffModel(list(self.vocabulary))
        followed = []
        for n, (keys, counts) in enumerate(
            zip([np.arange(len(self.vocabulary)), *self.keys], self.counts, strict=True)
        ):
            histories, words = np.divmod(keys, len(self.vocabulary))
            suffixes = self._suffixes(model, n, histories, words)
            columns = (column.astype(np.int32) for column in (words, histories, suffixes))
            model.append(Order(*columns, *np.zeros((2, len(keys)))))
            followed.append(np.where(words == END, 0, counts))  # a word follows all others
        return model, Counts(self.counts, followed[:-1])

    @staticmethod
    def _suffixes(model: BackoffModel, n: int, histories: np.ndarray, words: np.ndarray) -> np.ndarray:
        if n < 2:
            return words * (n > 0)
        return model.find(n - 1, model.orders[n - 1].suffixes[histories], words)


def _digest(vocabulary: Vocabulary) -> str:
    return sha256("\n".join(vocabulary).encode()).hexdigest()


def count_ngrams(
    text: Path,
    vocabulary: Vocabulary,
    longest: int = 4,
    prune: Sequence[int] = (0, 0, 1),
    jobs: int | None = None,
    ray: str | None = None,
    temporary: Path | None = None,
) -> NgramCounts:
    """Count the n-grams of a text: normalised, one sentence a line; .gz and .xz are read.

    Words that the vocabulary lacks are `<unk>`. longest: words of the longest n-grams. prune: for each order,
    the last for the rest, the count up to which n-grams are left out, 0 for single words. The result depends neither on
    `jobs`, the number of processes (by default all cores), nor on `ray`, the address of a cluster that works instead.
    The text is read once; its words are kept under `temporary`, 4 bytes each, or in Ray's object store. Raises
    ValueError for cut-offs that fall, or a text without words.
    """
    cutoffs = [*prune, *[prune[-1]] * longest][:longest] if prune else []
    if not cutoffs or cutoffs[0] or any(a > b for a, b in pairwise(cutoffs)):
        raise ValueError(f"cut-offs {' '.join(map(str, prune))}: want 0 for single words, and never less than before")
    with _machines(ray) if ray else _processes(jobs or cpu_count() or 1, temporary) as workers:
        shards, counts = _shards(text, vocabulary, workers, 2 * (jobs or cpu_count() or 1))
        keys: list[np.ndarray] = []
        shared: list[Any] = []
        parts = min(PARTS, len(shards))
        for cutoff in cutoffs[1:]:
            seen = [workers.call(_seen, parts, len(vocabulary), shard, *shared, results=parts) for shard in shards]
            sums = [workers.call(_sum, cutoff, *of_part, results=1)[0] for of_part in zip(*seen, strict=True)]
            found = np.concatenate([workers.value(handle) for handle in sums], axis=1)
            order = np.argsort(found[0])
            keys.append(found[0][order])
            counts.append(found[1][order])
            shared.append(workers.share(keys[-1]))
    return NgramCounts(vocabulary, keys, counts)


def _shards(text: Path, vocabulary: Vocabulary, workers: _Workers, ahead: int) -> tuple[list[Any], list[np.ndarray]]:
    """Where the ids of the text's words are, piece by piece, and how often each word stands in it."""
    total = np.zeros(len(vocabulary), np.int64)
    shards, waiting = [], deque[Any]()
    known = workers.share(vocabulary)
    with open_text(text) as file:
        while piece := file.read(CHUNK):
            shard, counts = workers.call(_encode, piece + file.readline(), known, results=2)
            shards.append(shard)
            waiting.append(counts)
            if len(waiting) == ahead:
                total += workers.value(waiting.popleft())
    for counts in waiting:
        total += workers.value(counts)
    if not total[UNKNOWN] and not total[END + 1 :].any():
        raise ValueError(f"{text}: the text has no words")
    return shards, [total]


# --- What is done with a shard, in whatever process ---------------------------------------------------------


def _encode(text: str, vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """The ids of a text's words, int32 [N], and how often each stands there."""
    ids = {word: id for id, word in enumerate(vocabulary) if word not in SPECIAL_WORDS}
    stream: list[int] = []
    for line in text.split("\n"):
        if words := line.split():
            stream += [START, *(ids.get(word, UNKNOWN) for word in words), END]
    found = np.array(stream, np.int32)
    return found, np.bincount(found, minlength=len(vocabulary))


def _seen(parts: int, size: int, stream: np.ndarray, *keys: np.ndarray) -> list[np.ndarray]:
    """N-grams of the next order in a shard, by the remainders of their keys: int64 [2, N] each of keys and counts.

    size: of the vocabulary. keys: of the orders that are counted.
    """
    rows = stream.astype(np.int64)  # of the n-gram of the order below that ends at each place; -1: none
    for shorter in keys:
        rows = find_keys(shorter, _keys(rows, stream, size))
    found, counts = np.unique(_keys(rows, stream, size), return_counts=True)
    listed = np.stack([found, counts])[:, found >= 0]
    return [listed[:, listed[0] % parts == part] for part in range(parts)]


def _keys(rows: np.ndarray, stream: np.ndarray, size: int) -> np.ndarray:
    """Keys of the n-grams that end at each place; -1 where the history or the suffix isn't listed, or before <s>."""
    before = np.append(-1, rows[:-1])
    return np.where((before >= 0) & (rows >= 0) & (stream != START), before * size + stream, -1)


def _sum(cutoff: int, *counts: np.ndarray) -> tuple[np.ndarray]:
    """The counts of several shards together, without those up to the cut-off."""
    together = np.concatenate(counts, axis=1)
    keys, first = np.unique(together[0], return_inverse=True)
    total = np.zeros(len(keys), np.int64)
    np.add.at(total, first, together[1])
    return (np.stack([keys, total])[:, total > cutoff],)


# --- Who does it --------------------------------------------------------------------------------------------


class _Workers(Protocol):
    """Call functions that return arrays, which stay where they are until another call or this process wants them."""

    def call(self, function: Callable[..., Sequence[np.ndarray]], *arguments: Any, results: int) -> Sequence[Any]:
        """Handles of so many results. The arguments may be handles."""

    def share(self, value: Any) -> Any:
        """A handle of a value for several calls."""

    def value(self, handle: Any) -> np.ndarray:
        """Wait for a result."""


@contextmanager
def _machines(ray: str) -> Iterator[_Workers]:
    from lm.cluster import Cluster, connected

    with connected(ray):
        yield Cluster()


@contextmanager
def _processes(jobs: int, temporary: Path | None) -> Iterator[_Workers]:
    with TemporaryDirectory(prefix="count-ngrams-", dir=temporary) as folder, ProcessPoolExecutor(jobs) as pool:
        yield _Processes(pool, Path(folder))


@dataclass(frozen=True)
class _File:
    """A result of a call that may not have been made yet."""

    path: Path
    made: Future[None]


class _Processes:
    """In processes of this machine, which leave results in files."""

    def __init__(self, pool: ProcessPoolExecutor, folder: Path) -> None:
        self._pool, self._folder, self._calls = pool, folder, 0

    def call(self, function: Callable[..., Sequence[np.ndarray]], *arguments: Any, results: int) -> Sequence[_File]:
        self._calls += 1
        paths = [self._folder / f"{self._calls}-{number}.npy" for number in range(results)]
        for argument in arguments:
            if isinstance(argument, _File):
                argument.made.result()
        sent = [argument.path if isinstance(argument, _File) else argument for argument in arguments]
        made = self._pool.submit(_leave, function, sent, paths)
        return [_File(path, made) for path in paths]

    def share(self, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return self.call(_same, value, results=1)[0]

    def value(self, handle: _File) -> np.ndarray:
        handle.made.result()
        array: np.ndarray = np.load(handle.path)
        return array


def _same(value: np.ndarray) -> tuple[np.ndarray]:
    return (value,)


def _leave(function: Callable[..., Sequence[np.ndarray]], arguments: Sequence[Any], paths: Sequence[Path]) -> None:
    """Call a function, with the arrays that lie in files, and put what it returns into others."""
    there = [np.load(argument, mmap_mode="r") if isinstance(argument, Path) else argument for argument in arguments]
    for path, array in zip(paths, function(*there), strict=True):
        np.save(path, array)
