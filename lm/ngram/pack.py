"""Back-off models as KenLM's binary trie, written without KenLM's tools: of the format that lm.ngram.trie reads.

Probabilities and back-off weights are numbers of bins. Half of the bounds are so that equally many lie between, as all
of `build_binary`'s are, and half at equal distances, so that the few large probabilities, which weigh most in a sum,
lose little. Where there are no more different values than bins, each has its own.
"""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lm.ngram.arpa import LN10, BackoffModel
from lm.ngram.trie import MAGIC, QUANTIZED_TRIE
from lm.text.vocabulary import SPECIAL_WORDS, UNKNOWN

NO_EXTENSION, EXTENSION = np.float32(-0.0), np.float32(0.0)  # back-off weights of 0: whether words are listed to follow
NOTHING = -100.0  # log10 P(<unk>) of a model that lacks it
VERSION = 1  # of KenLM's trie
QUANTIZER = 2  # the version of its bins
BLOCK = 1 << 16  # entries packed at a time, whole bytes of them


def write_trie(model: BackoffModel, path: Path, bits: int = 10, backoff_bits: int = 14) -> None:
    """Write a model; the bits (2 to 25) are those of each probability and back-off weight of two words or more.

    Back-off weights have more: the error of one is that of nearly all of the sum of what follows a history.
    """
    unknown = SPECIAL_WORDS[UNKNOWN]
    words = [word for word in model.vocabulary if word != unknown]
    hashes = np.array([_murmur(word.encode()) for word in words], np.uint64)
    order = np.argsort(hashes)
    ids = {unknown: 0} | {words[row]: id for id, row in enumerate(order.tolist(), 1)}
    id_of_row = np.array([ids[word] for word in model.vocabulary])
    sizes = [len(ids), *map(len, model.orders[1:])]

    # Where each n-gram stands in its level: by the place of its suffix, then by its first word. And the first words.
    places = [id_of_row]
    firsts = [id_of_row]
    for level in model.orders[1:]:
        firsts.append(firsts[-1][level.histories])
        keys = places[-1][level.suffixes].astype(np.int64) * len(ids) + firsts[-1]
        place = np.empty(len(level), np.int64)
        place[np.argsort(keys)] = np.arange(len(level))
        places.append(place)

    with path.open("wb") as file:
        file.write(MAGIC.ljust(56, b"\0") + struct.pack("<3f3IQ", 0, 1, -0.5, 1, 2**32 - 1, 0, 1))
        file.write(struct.pack("<B3xfIB3xI", len(sizes), 1.5, QUANTIZED_TRIE, 1, VERSION))
        file.write(struct.pack(f"<{len(sizes)}Q", *sizes))
        file.write(bytes(-file.tell() % 8))
        file.write(struct.pack("<Q", len(words)) + hashes[order].tobytes() + bytes(8))  # a place for <unk>, unused
        bins, coded = _quantized(model, bits, backoff_bits)
        file.write(bytes([QUANTIZER, bits, backoff_bits]).ljust(8, b"\0") + b"".join(part.tobytes() for part in bins))
        file.write(_unigrams(model, id_of_row, places, sizes))
        for n in range(1, len(sizes)):
            longest = n + 1 == len(sizes)
            at = np.argsort(places[n])
            widths = [bits] if longest else [backoff_bits, bits]
            fields = [(firsts[n][at], sizes[0].bit_length())]
            fields += [(part[at], width) for part, width in zip(coded[n - 1][::-1], widths, strict=True)]
            if not longest:
                fields.append((_next(model, places, n, sizes[n])[:-1], sizes[n + 1].bit_length()))
                last = [np.zeros(1, np.int64) for _ in fields[:-1]] + [np.array([sizes[n + 1]])]
                fields = [(np.append(own, end), width) for (own, width), end in zip(fields, last, strict=True)]
            total = sum(width for _, width in fields)
            size = ((1 + sizes[n]) * total + 7) // 8 + 8
            written = _packed(fields)
            file.write(written.ljust(size, b"\0"))
        strings = [unknown, *(words[row] for row in order.tolist())]
        file.write(b"".join(word.encode() + b"\0" for word in strings))


def _next(model: BackoffModel, places: Sequence[np.ndarray], n: int, size: int) -> np.ndarray:
    """Where the extensions of each entry of the level of index n begin in the next level, and where the last end."""
    extensions = np.bincount(places[n][model.orders[n + 1].suffixes], minlength=size)
    return np.append(0, np.cumsum(extensions))


def _unigrams(model: BackoffModel, id_of_row: np.ndarray, places: Sequence[np.ndarray], sizes: Sequence[int]) -> bytes:
    table = np.zeros(sizes[0] + 2, "<f4, <f4, <u8")
    table["f0"][0] = NOTHING
    table["f1"][0] = NO_EXTENSION
    table["f0"][id_of_row] = model.orders[0].log_probs / LN10
    table["f1"][id_of_row] = _backoffs(model, 0)
    table["f2"][: sizes[0] + 1] = _next(model, places, 0, sizes[0])
    return table.tobytes()


def _backoffs(model: BackoffModel, n: int) -> np.ndarray:
    """Back-off weights of the order of index n, float32 to base 10; zeros say whether a word is listed to follow."""
    extended = np.zeros(len(model.orders[n]), bool)
    extended[model.orders[n + 1].histories] = True
    values = (model.orders[n].backoffs / LN10).astype(np.float32)
    return np.where(extended, np.where(values == 0, EXTENSION, values), NO_EXTENSION)


def _quantized(model: BackoffModel, bits: int, backoff_bits: int) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """The bins in the order of the file; of each order from 2 on, which bin each probability, each back-off is in."""
    bins, coded = [], []
    for n, order in enumerate(model.orders[1:], 1):
        values = np.minimum(order.log_probs / LN10, -1e-7).astype(np.float32)
        centers = _bins(values, 1 << bits)
        bins.append(centers)
        coded.append([_nearest(values, centers)])
        if n + 1 < len(model.orders):
            values = _backoffs(model, n)
            listed = values[values != 0]
            centers = _bins(listed, (1 << backoff_bits) - 2)
            bins.append(np.concatenate(([NO_EXTENSION, EXTENSION], centers)).astype(np.float32))
            coded[-1].append(np.where(values == 0, ~np.signbit(values), 2 + _nearest(values, centers)))
    return bins, coded


def _bins(values: np.ndarray, count: int) -> np.ndarray:
    """The centres of so many bins, rising."""
    distinct = np.unique(values)
    if len(distinct) <= count:
        last = distinct[-1:] if len(distinct) else np.zeros(1, np.float32)
        return np.append(distinct, np.repeat(last, count - len(distinct))).astype(np.float32)
    values = np.sort(values).astype(np.float64)
    equal_counts = len(values) * np.arange(count // 2) // (count // 2)
    equal_widths = np.searchsorted(values, np.linspace(values[0], values[-1], count // 2, endpoint=False))
    bounds = np.unique(np.concatenate((equal_counts, equal_widths)))
    centers = np.add.reduceat(values, bounds) / np.diff(bounds, append=len(values))
    rising: np.ndarray = np.append(centers, np.repeat(centers[-1], count - len(centers))).astype(np.float32)
    return rising


def _nearest(values: np.ndarray, centers: np.ndarray) -> np.ndarray:
    above = np.searchsorted(centers, values).clip(1, len(centers) - 1)
    nearest: np.ndarray = above - (values - centers[above - 1] < centers[above] - values)
    return nearest


def _packed(fields: Sequence[tuple[np.ndarray, int]]) -> bytes:
    """Entries of fields of so many bits, one after another, in little-endian order."""
    parts = []
    for start in range(0, len(fields[0][0]), BLOCK):
        columns = [
            (values[start : start + BLOCK, None].astype(np.uint64) >> np.arange(width, dtype=np.uint64)) & np.uint64(1)
            for values, width in fields
        ]
        parts.append(np.packbits(np.concatenate(columns, 1).astype(np.uint8).ravel(), bitorder="little").tobytes())
    return b"".join(parts)


def _murmur(data: bytes) -> int:
    """MurmurHash64A by Austin Appleby, in the public domain: how KenLM finds words."""
    multiplier, mask = 0xC6A4A7935BD1E995, 2**64 - 1
    value = len(data) * multiplier & mask
    whole = len(data) & ~7
    for (part,) in struct.iter_unpack("<Q", data[:whole]):
        part = part * multiplier & mask
        part = (part ^ part >> 47) * multiplier & mask
        value = (value ^ part) * multiplier & mask
    if data[whole:]:
        value = (value ^ int.from_bytes(data[whole:], "little")) * multiplier & mask
    value = (value ^ value >> 47) * multiplier & mask
    return value ^ value >> 47
