"""A back-off n-gram as a trie in flat arrays, which compiled code searches without a Python call.

Read from KenLM's binary tries, or made of ARPA files. KenLM's format is that of its lm/trie.cc, lm/quantize.cc and
lm/binary_format.cc (version 5; `build_binary trie`, with or without -q and -b, without -a and -v). The trie is over
reversed n-grams: the path w3 w2 w1 leads from a word to its contexts.
"""

import struct
import warnings
from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lm.ngram.arpa import LN10, BackoffModel, Order, read_arpa
from lm.text.vocabulary import END, SPECIAL_WORDS, START, UNKNOWN, MissingWordsWarning, Vocabulary

MAGIC = b"mmap lm http://kheafield.com/code format version 5\n\0"
_SANITY_BYTES = 88  # the magic bytes and test values
BLOCK = 1 << 16  # entries read at once, so that little memory is needed beside the result
TRIE, QUANTIZED_TRIE = 2, 3  # of KenLM's ModelType
FEW = 0.01  # of a vocabulary: so many words may be missing from a model without a word about it
NO_UNKNOWN = -100 * LN10  # log P(<unk>), as in KenLM, of a model without


class NgramTables(NamedTuple):
    """All n-grams of a model as a trie: unigrams, bigrams, and so on; a sentinel ends each order but the longest.

    `word[i]` is the n-gram's first word (by the model's own id), `log_prob[i]` its natural log-probability given the
    words that come between, `backoff[i]` its back-off weight as a context (natural log; −0.0 if nothing follows); its
    extensions by one more word to the left are the entries first[i] .. first[i + 1], sorted by `word`.
    """

    order: int
    ids: np.ndarray  # int32 [V]: the model's id of each word of the vocabulary; that of <unk> for those it lacks
    word: np.ndarray  # int32 [entries]
    log_prob: np.ndarray  # float32 [entries]
    backoff: np.ndarray  # float32 [entries]
    first: np.ndarray  # int32 [entries]

    @property
    def missing(self) -> np.ndarray:
        """Which words of the vocabulary the model lacks, bool [V]; `<unk>` is none of them."""
        missing = self.ids == self.ids[UNKNOWN]
        missing[UNKNOWN] = False
        return missing

    @property
    def shares(self) -> np.ndarray:
        """What is added to the log-probability of each word, float64 [V].

        The words that the model lacks and `<unk>` share the probability of unknown words equally: each would have all
        of it otherwise, and the vocabulary more than 1.
        """
        unknown = self.ids == self.ids[UNKNOWN]
        return np.where(unknown, -log(unknown.sum()), 0.0)


class _Levels(NamedTuple):
    """The columns of a trie, order by order; firsts count from the beginning of the next longer order."""

    ids: Mapping[str, int]
    words: Sequence[np.ndarray]
    log_probs: Sequence[np.ndarray]
    backoffs: Sequence[np.ndarray]
    firsts: Sequence[np.ndarray]


def warn_missing(tables: NgramTables, path: Path) -> None:
    """Warn, by a MissingWordsWarning, of an n-gram that lacks more than FEW of the vocabulary's words."""
    if tables.missing.sum() > FEW * len(tables.ids):
        mend = "all as improbable; estimate it for this vocabulary, as lm build-ngram does"
        warnings.warn(MissingWordsWarning(f"{missing_words(tables, path)}, {mend}"), stacklevel=3)


def missing_words(tables: NgramTables, path: Path) -> str:
    """How many words of the vocabulary an n-gram lacks, in words."""
    count, words = int(tables.missing.sum()), len(tables.ids) - len(SPECIAL_WORDS)
    return f"{path}: the n-gram lacks {count} of the {words} words of the vocabulary ({count / words:.1%})"


def read_ngram(path: Path, vocabulary: Vocabulary) -> NgramTables:
    """Read a KenLM trie or an ARPA file, to be asked for the words of a vocabulary.

    Errors: FileNotFoundError; ValueError for a file that is neither, or that has no sentence ends.
    """
    with path.open("rb") as file:
        is_arpa = b"\\data\\" in file.read(1 << 12)
    if not is_arpa:
        return read_trie(path, vocabulary)
    return _of_sentences(make_trie(read_arpa(path), vocabulary), path)


def _of_sentences(tables: NgramTables, path: Path) -> NgramTables:
    """The same. Raises ValueError if it wasn't estimated on sentences."""
    for id in START, END:
        if tables.missing[id]:
            raise ValueError(f"{path}: lacks {SPECIAL_WORDS[id]}; estimate it on sentences, as `lm build-ngram` does")
    return tables


def make_trie(model: BackoffModel, vocabulary: Vocabulary) -> NgramTables:
    """The n-grams of an ARPA file, to be asked for the words of a vocabulary."""
    ids = {word: row for row, word in enumerate(model.vocabulary)}
    ids.setdefault(SPECIAL_WORDS[UNKNOWN], len(ids))
    unigrams, *longer = model.orders
    words = [np.arange(len(ids))]
    log_probs = [np.append(unigrams.log_probs, NO_UNKNOWN)[: len(ids)]]
    backoffs = [np.append(unigrams.backoffs, 0)[: len(ids)]]
    firsts = []
    first_words = places = words[0]  # of an order's n-grams: the first word of each, and where it is in the trie
    for order in longer:
        goes_on = np.isin(np.arange(len(places)), places[order.histories])
        backoffs[-1] = np.where(goes_on | (backoffs[-1] != 0), backoffs[-1] + 0.0, -0.0)
        first_words, parents = first_words[order.histories], places[order.suffixes]
        rows = np.lexsort((first_words, parents))
        firsts.append(np.searchsorted(parents[rows], np.arange(len(places) + 1)))
        words.append(first_words[rows])
        log_probs.append(order.log_probs[rows])
        backoffs.append(order.backoffs[rows])
        places = np.argsort(rows)
    firsts.append(np.zeros_like(places))
    for column in words, log_probs, backoffs:
        column[:-1] = [np.append(entries, 0) for entries in column[:-1]]  # the sentinels
    return _tables(_Levels(ids, words, log_probs, backoffs, firsts), vocabulary)


def read_trie(path: Path, vocabulary: Vocabulary) -> NgramTables:
    """Read a KenLM trie, to be asked for the words of a vocabulary. Raises ValueError if the file is no such trie."""
    levels = _read_levels(path)
    return _of_sentences(_tables(levels, vocabulary), path)


def unpack_trie(path: Path) -> BackoffModel:
    """The n-grams of a KenLM trie as those of an ARPA file. Raises ValueError if the file is no such trie."""
    ids, words, log_probs, backoffs, firsts = _read_levels(path)
    model = BackoffModel(sorted(ids, key=ids.__getitem__))
    size = len(ids)
    suffixes = histories = last = np.zeros(size, np.int64)  # places in the level below; the last word of each n-gram
    keys = np.zeros(0, np.int64)  # of a level: the place of the suffix, then the first word; rising
    rows = np.zeros(0, np.int64)  # of a level's entries in the model's order below
    for n, entries in enumerate(words):
        count = len(entries) - (n + 1 < len(words))  # without the sentinel
        entries = entries[:count].astype(np.int64)
        if n == 0:
            last = entries
            columns = [np.zeros(count, np.int32)] * 2
        else:
            extensions: np.ndarray = np.diff(firsts[n - 1].astype(np.int64))
            suffixes = np.repeat(np.arange(len(extensions)), extensions)
            last = last[suffixes]
            if n == 1:
                histories = entries
            else:
                wanted = histories[suffixes] * size + entries
                histories = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
                if (keys[histories] != wanted).any():
                    raise ValueError(f"{path}: lacks beginnings of its n-grams; make it anew of models of lmplz")
            keys = suffixes * size + entries
            columns = [rows[histories].astype(np.int32), rows[suffixes].astype(np.int32)]
        order = np.argsort(columns[0].astype(np.int64) * size + last)
        weights = (log_probs[n][:count], backoffs[n][:count])
        model.orders.append(Order(last[order].astype(np.int32), *(column[order] for column in (*columns, *weights))))
        rows = np.empty(count, np.int64)
        rows[order] = np.arange(count)
    return model


def _read_levels(path: Path) -> _Levels:
    data = path.read_bytes()
    if len(data) < _SANITY_BYTES + 20 or not data.startswith(MAGIC):
        raise ValueError(f"{path}: not a KenLM binary (version 5) or ARPA file; `lm build-ngram` makes one")
    order, _, kind, has_words, _ = struct.unpack_from("<B3xfIB3xI", data, _SANITY_BYTES)
    if kind not in (TRIE, QUANTIZED_TRIE) or not has_words or order < 2:
        raise ValueError(
            f"{path}: not a KenLM trie with its words but a binary of another kind; make it anew of its ARPA file by "
            "KenLM's `build_binary trie`, without -a and -v"
        )
    try:
        levels = _unpack(data, order, kind == QUANTIZED_TRIE)
        levels.ids[SPECIAL_WORDS[UNKNOWN]]
    except (IndexError, KeyError, OverflowError, TypeError, ValueError, struct.error):
        raise ValueError(f"{path}: a damaged KenLM trie; copy it, or make it, anew") from None
    return levels


def _unpack(data: bytes, order: int, quantized: bool) -> _Levels:
    """Raises one of many errors for a damaged file: nothing in it may lead a look-up out of the arrays."""
    counts = struct.unpack_from(f"<{order}Q", data, _SANITY_BYTES + 20)
    if max(counts) > len(data) * 8:  # or it would take memory for what isn't there
        raise ValueError("cut short")
    position = _SANITY_BYTES + 20 + 8 * order
    position += -position % 8 + 8 + 8 * counts[0]  # the hashes of the words, in the order of their ids
    prob_bits, backoff_bits = 31, 32
    bins: list[np.ndarray] = []  # what quantised numbers stand for: log-probs and back-offs of each order in turn
    if quantized:
        prob_bits, backoff_bits = data[position + 1], data[position + 2]
        sizes = [1 << prob_bits, 1 << backoff_bits] * (order - 2) + [1 << prob_bits]
        bins = np.split(np.frombuffer(data, "<f4", sum(sizes), position + 8), np.cumsum(sizes)[:-1])
        position += 8 + 4 * sum(sizes)

    unigrams = np.frombuffer(data, np.dtype("<f4, <f4, <u8"), counts[0] + 1, position)
    position += 16 * (counts[0] + 2)
    words = [np.arange(counts[0] + 1, dtype=np.uint32)]
    log_probs, backoffs, firsts = [unigrams["f0"]], [unigrams["f1"]], [unigrams["f2"].astype(np.uint32)]
    word_bits = int(counts[0]).bit_length()
    for level in range(2, order + 1):
        longest = level == order
        entries = counts[level - 1] + (not longest)  # the sentinel's pointer ends the last entry's extensions
        next_bits = 0 if longest else int(counts[level]).bit_length()
        weight_bits = prob_bits + (0 if longest else backoff_bits)
        bits = _BitFields(data, position, entries, word_bits + weight_bits + next_bits)
        position += ((1 + counts[level - 1]) * bits.width + 7) // 8 + 8
        words.append(bits.read(0, word_bits))
        if not quantized:
            sign = np.uint32(0x80000000)  # left out of the file: log-probabilities are never positive
            log_probs.append((bits.read(word_bits, 31) | sign).view(np.float32))
            if not longest:
                backoffs.append(bits.read(word_bits + 31, 32).view(np.float32))
        elif longest:
            log_probs.append(bins[-1][bits.read(word_bits, prob_bits)])
        else:
            backoffs.append(bins[2 * level - 3][bits.read(word_bits, backoff_bits)])
            log_probs.append(bins[2 * level - 4][bits.read(word_bits + backoff_bits, prob_bits)])
        firsts.append(bits.read(word_bits + weight_bits, next_bits) if not longest else np.zeros(entries, np.uint32))
        if longest:
            backoffs.append(np.zeros(entries, np.float32))

    strings = data[position:].decode("utf-8").split("\0")
    if len(strings) <= counts[0]:
        raise ValueError("cut short")
    ids = {word: index for index, word in enumerate(strings[: counts[0]])}
    for first, count in zip(firsts, counts[1:], strict=False):
        if first[0] or first[-1] != count or (first[1:] < first[:-1]).any():
            raise ValueError("extensions out of range")
    for count, *parts in zip(counts, words, log_probs, backoffs, strict=True):
        word, log_prob, backoff = (part[:count] for part in parts)  # without the sentinel
        if word.max(initial=0) >= counts[0] or not (log_prob <= 0).all() or not np.isfinite(backoff).all():
            raise ValueError("words or weights out of range")
    ln10 = np.float32(LN10)
    log_probs, backoffs = ([entries * ln10 for entries in column] for column in (log_probs, backoffs))
    return _Levels(ids, words, log_probs, backoffs, firsts)


def _tables(levels: _Levels, vocabulary: Vocabulary) -> NgramTables:
    """All orders in one array each."""
    ids, words, log_probs, backoffs, firsts = levels
    starts = np.cumsum([len(entries) for entries in words])
    for first, start in zip(firsts[:-1], starts[:-1], strict=True):
        first += start.astype(first.dtype)
    unknown = ids[SPECIAL_WORDS[UNKNOWN]]
    return NgramTables(
        order=len(words),
        ids=np.array([ids.get(word, unknown) for word in vocabulary], dtype=np.int32),
        word=np.concatenate(words, dtype=np.int32, casting="unsafe"),
        log_prob=np.concatenate(log_probs, dtype=np.float32, casting="same_kind"),
        backoff=np.concatenate(backoffs, dtype=np.float32, casting="same_kind"),
        first=np.concatenate(firsts, dtype=np.int32, casting="unsafe"),
    )


class _BitFields:
    """Entries of `width` bits, one after another, in little-endian order."""

    def __init__(self, data: bytes, position: int, entries: int, width: int) -> None:
        self.entries, self.width = entries, width
        # 64 bits at every byte, so that a field can be read wherever it begins.
        self._words = np.ndarray((len(data) - position - 7,), "<u8", data, position, (1,))

    def read(self, offset: int, bits: int) -> np.ndarray:
        """The field of so many bits (32 at most) at this offset of each entry, uint32."""
        result = np.empty(self.entries, np.uint32)
        for first in range(0, self.entries, BLOCK):
            block = result[first : first + BLOCK]
            at = np.arange(first, first + len(block)) * self.width + offset
            shifted = self._words[at >> 3] >> (at & 7).astype(np.uint64)
            block[:] = shifted & np.uint64((1 << bits) - 1)
        return result
