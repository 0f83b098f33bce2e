"""A small n-gram model of a text that fits into memory, estimated in NumPy, without KenLM's tools."""

from collections.abc import Sequence

import numpy as np

from lm.ngram.arpa import BackoffModel, Order
from lm.ngram.prune import Counts, estimate
from lm.text.vocabulary import END, START, UNKNOWN, Vocabulary


def estimate_ngram(sentences: Sequence[Sequence[int]], vocabulary: Vocabulary, order: int = 3) -> BackoffModel:
    """All n-grams of some sentences (ids, without `</s>`), smoothed as `lm.ngram.prune.estimate` does.

    It lists the words of the text and `<unk>`, which have a little probability in common if it doesn't hold them all.
    """
    stream = np.array([id for words in sentences for id in (START, *words, END)], np.int64)
    types, words = np.unique(np.concatenate([[UNKNOWN, START, END], stream]), return_inverse=True)
    words = words[3:]
    model = BackoffModel([vocabulary[id] for id in types.tolist()])
    predicted = np.append(stream[1:] != START, False)  # does a word follow
    counts = Counts([], [])
    rows, none = words, np.full(1, -1)  # the n-gram that ends at each place; -1: none, as it would begin before <s>
    for n in range(order):
        if n == 0:
            listed = np.arange(len(types))
            columns = (listed, np.zeros_like(listed), np.zeros_like(listed))
        else:
            before = np.where(stream == START, -1, np.concatenate([none, rows[:-1]]))
            here = np.flatnonzero(before >= 0)
            keys, first, numbers = np.unique(
                before[here] * len(types) + words[here], return_index=True, return_inverse=True
            )
            columns = (keys % len(types), keys // len(types), rows[here[first]])
            rows = np.full(len(stream), -1)
            rows[here] = numbers
        there = rows[rows >= 0]
        counts.ngrams.append(np.bincount(there, minlength=len(columns[0])))
        if n + 1 < order:
            counts.histories.append(np.bincount(rows[predicted & (rows >= 0)], minlength=len(columns[0])))
        weights = np.zeros((2, len(columns[0])))
        model.orders.append(Order(*(column.astype(np.int32) for column in columns), *weights))
    estimate(model, counts)
    return model
