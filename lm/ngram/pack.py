"""Back-off models as KenLM's binary trie, written without KenLM's tools: of the format that lm.ngram.trie reads.

Probabilities and back-off weights are numbers of bins. Of probabilities half of the bounds are so that equally many
lie between, as all of `build_binary`'s are, and half at equal distances, so that the few large ones lose little. Where
there are no more different values than bins, each has its own.

That probabilities are rounded makes no sum stray: back-off weights are computed from what is written, to give other
words what the listed ones leave. So what follows a history sums to 1 but for the rounding of its own back-off weight:
to 4e-5 after all of half a million histories, at 15 bits, where `build_binary -q 8 -b 8` strays by 3e-2.
"""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lm.ngram.arpa import LN10, BackoffModel, Order
from lm.ngram.trie import MAGIC, QUANTIZED_TRIE
from lm.text.vocabulary import SPECIAL_WORDS, START, UNKNOWN

NO_EXTENSION, EXTENSION = np.float32(-0.0), np.float32(0.0)  # back-off weights of 0: whether words are listed to follow
NOTHING = -100.0  # log10 P(<unk>) of a model that lacks it
VERSION = 1  # of KenLM's trie
QUANTIZER = 2  # the version of its bins
LEAST = 1e-9  # share of probability that listed words leave to others, of which rounding may leave nothing
SMALL = 0.02  # how dense the bins of small back-off weights are, which alter sums little, beside those of 1
BLOCK = 1 << 16  # entries packed at a time, whole bytes of them


def write_trie(model: BackoffModel, path: Path, bits: int = 8, backoff_bits: int = 15) -> None:
    """Write a model; the bits (2 to 25) are those of each probability and back-off weight of two words or more.

    Of words there are no bins. A model of 2.8 million n-grams has a perplexity higher by 0.04 % at 8 and 15 bits than
    at 12 and 16, and 7 % fewer bytes. Not the model's own back-off weights are written but those that make the sums 1.
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
        log_probs, backoffs, bins, coded = _quantized(model, bits, backoff_bits)
        file.write(bytes([QUANTIZER, bits, backoff_bits]).ljust(8, b"\0") + b"".join(part.tobytes() for part in bins))
        file.write(_unigrams(log_probs, backoffs, id_of_row, _next(model, places, 0, sizes[0])))
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


def _unigrams(log_probs: np.ndarray, backoffs: np.ndarray, id_of_row: np.ndarray, following: np.ndarray) -> bytes:
    table = np.zeros(len(following) + 1, "<f4, <f4, <u8")
    table["f0"][0] = NOTHING
    table["f1"][0] = NO_EXTENSION
    table["f0"][id_of_row] = log_probs
    table["f1"][id_of_row] = backoffs
    table["f2"][:-1] = following
    return table.tobytes()


def _quantized(
    model: BackoffModel, bits: int, backoff_bits: int
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], list[list[np.ndarray]]]:
    """What is written of a model's weights, to base 10.

    log P and back-off weights of the words, which are not rounded; the bins in the order of the file; of each order
    from 2 on, which bin each probability, each back-off weight is in.
    """
    unigrams = np.exp(model.orders[0].log_probs)
    unigrams[model.vocabulary.index(SPECIAL_WORDS[START])] = 0  # nobody says it, whatever an ARPA file has for it
    log_probs = np.minimum((model.orders[0].log_probs - np.log(unigrams.sum())) / LN10, 0).astype(np.float32)
    first, first_backoffs = log_probs, np.zeros(0, np.float32)
    sums = np.ones(1)  # of the probabilities of all words after each suffix of the histories
    bins, coded = [], []
    for n, order in enumerate(model.orders[1:], 1):
        histories = order.histories
        shorter, lower = model.orders[n - 1], log_probs[order.suffixes]
        if n > 1:
            sums = sums[shorter.suffixes]
        log_probs, centers, codes = _rounded(order, len(shorter), 1 << bits)
        bins.append(centers)
        coded.append([codes])
        # What a history leaves to words that aren't listed to follow it, and what its suffix has for these.
        left = np.maximum(1 - _sums(histories, log_probs, len(shorter)), LEAST)
        left_lower = np.maximum(sums - _sums(histories, lower, len(shorter)), LEAST)
        backoffs = np.log10(left / left_lower).astype(np.float32)
        extended = np.bincount(histories, minlength=len(shorter)) > 0
        backoffs = np.where(extended, np.where(backoffs == 0, EXTENSION, backoffs), NO_EXTENSION)
        if n == 1:
            first_backoffs = backoffs
        else:
            centers = _backoff_bins(backoffs[backoffs != 0], (1 << backoff_bits) - 2)
            centers = np.concatenate(([NO_EXTENSION, EXTENSION], centers)).astype(np.float32)
            codes = np.where(backoffs == 0, ~np.signbit(backoffs), 2 + _nearest(backoffs, centers[2:]))
            bins.insert(-1, centers)
            coded[-2].append(codes)
            backoffs = centers[codes]
        sums = np.where(extended, 1 - left + 10.0**backoffs * left_lower, sums)
    return first, first_backoffs, bins, coded


def _sums(histories: np.ndarray, log_probs: np.ndarray, count: int) -> np.ndarray:
    """The probability of the words that are listed to follow each of so many histories."""
    sums: np.ndarray = np.bincount(histories, 10.0**log_probs, count)
    return sums


def _rounded(order: Order, histories: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The probabilities of an order (log10) as so many bins have them, the bins, and which each is in.

    They are rounded to the nearest; but all down after a history that would have little left for other words.
    """
    values = np.minimum(order.log_probs / LN10, -1e-7).astype(np.float32)
    centers = _bins(values, count)
    codes = _nearest(values, centers)
    left, left_rounded = (1 - _sums(order.histories, log_probs, histories) for log_probs in (values, centers[codes]))
    full = (left_rounded < left / 2)[order.histories]
    codes[full] = np.searchsorted(centers, values[full], "right") - 1
    return centers[codes], centers, codes


def _bins(values: np.ndarray, count: int) -> np.ndarray:
    """The centres of so many bins for probabilities, rising; the first is the least value."""
    distinct = np.unique(values)
    if len(distinct) <= count:
        return _filled(distinct, count)
    values = np.sort(values).astype(np.float64)
    equal_counts = len(values) * np.arange(count // 2) // (count // 2)
    equal_widths = np.searchsorted(values, np.linspace(values[0], values[-1], count // 2, endpoint=False))
    bounds = np.unique(np.concatenate((equal_counts, equal_widths)))
    centers = np.add.reduceat(values, bounds) / np.diff(bounds, append=len(values))
    centers[0] = values[0]
    return _filled(centers, count)


def _backoff_bins(values: np.ndarray, count: int) -> np.ndarray:
    """The centres of so many bins for back-off weights, rising; the narrower the more an error can alter a sum.

    A weight's relative error is one of the probability that is left, which is no more than the weight, nor than 1.
    """
    distinct = np.unique(values)
    if len(distinct) <= count:
        return _filled(distinct, count)
    logs = distinct * LN10
    scale = np.where(logs <= 0, np.exp(logs) - 1, logs) + SMALL * logs
    bounds = np.unique(np.searchsorted(scale, np.linspace(scale[0], scale[-1], count, endpoint=False)))
    return _filled((distinct[bounds] + distinct[np.append(bounds[1:], len(distinct)) - 1]) / 2, count)


def _filled(centers: np.ndarray, count: int) -> np.ndarray:
    last = centers[-1:] if len(centers) else np.zeros(1)
    filled: np.ndarray = np.append(centers, np.repeat(last, count - len(centers))).astype(np.float32)
    return filled


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
