"""KenLM's binary trie, unpacked into flat arrays that compiled code can search without a Python call.

The format is that of KenLM's lm/trie.cc, lm/quantize.cc and lm/binary_format.cc (version 5; `build_binary trie`, with
or without -q and -b, without -a and -v). The trie is over reversed n-grams: the path w3 w2 w1 leads from a word to its
contexts.
"""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lm.text.vocabulary import SPECIAL_WORDS, UNKNOWN, Vocabulary

_MAGIC = b"mmap lm http://kheafield.com/code format version 5\n\0"
_SANITY_BYTES = 88  # the magic bytes and test values
BLOCK = 1 << 16  # entries read at once, so that little memory is needed beside the result
_TRIE, _QUANTIZED_TRIE = 2, 3  # of KenLM's ModelType


class NgramTables(NamedTuple):
    """All n-grams of a model as a trie: unigrams, bigrams, and so on; a sentinel ends each order but the longest.

    `word[i]` is the n-gram's first word (KenLM's id), `log_prob[i]` its natural log-probability given the words that
    come between, `backoff[i]` its back-off weight as a context (natural log); its extensions by one more word to the
    left are the entries first[i] .. first[i + 1], sorted by `word`.
    """

    order: int
    ids: np.ndarray  # int32 [V]: KenLM's id of each word of the vocabulary; that of <unk> for those it lacks
    word: np.ndarray  # int32 [entries]
    log_prob: np.ndarray  # float32 [entries]
    backoff: np.ndarray  # float32 [entries]
    first: np.ndarray  # int32 [entries]


def read_trie(path: Path, vocabulary: Vocabulary) -> NgramTables:
    """Read a KenLM trie, to be asked for the words of a vocabulary. Raises ValueError if the file is no such trie."""
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        raise ValueError(f"{path}: not a KenLM binary (version 5); build it with 'lm build-ngram'")
    order, _, kind, has_words, _ = struct.unpack_from("<B3xfIB3xI", data, _SANITY_BYTES)
    if kind not in (_TRIE, _QUANTIZED_TRIE) or not has_words or order < 2:
        raise ValueError(f"{path}: not a KenLM trie with its vocabulary; build it with 'lm build-ngram'")
    counts = struct.unpack_from(f"<{order}Q", data, _SANITY_BYTES + 20)
    position = _SANITY_BYTES + 20 + 8 * order
    position += -position % 8 + 8 + 8 * counts[0]  # the hashes of the words, in the order of their ids
    prob_bits, backoff_bits = 31, 32
    bins: list[np.ndarray] = []  # what quantised numbers stand for: log-probs and back-offs of each order in turn
    if kind == _QUANTIZED_TRIE:
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
        if kind == _TRIE:
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

    starts = np.cumsum([len(level) for level in words])  # of each order's extensions in the joined arrays
    for first, start in zip(firsts[:-1], starts[:-1], strict=True):
        first += np.uint32(start)
    strings = data[position:].decode("utf-8").split("\0")[: counts[0]]
    kenlm_ids = {word: index for index, word in enumerate(strings)}
    unknown = kenlm_ids[SPECIAL_WORDS[UNKNOWN]]
    return NgramTables(
        order=order,
        ids=np.array([kenlm_ids.get(word, unknown) for word in vocabulary], dtype=np.int32),
        word=np.concatenate(words, dtype=np.int32, casting="unsafe"),
        log_prob=np.concatenate(log_probs) * np.float32(np.log(10)),
        backoff=np.concatenate(backoffs) * np.float32(np.log(10)),
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
