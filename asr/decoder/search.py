"""The compiled core of the beam search: CTC prefixes over the lexicon tree, with the n-gram looked up at every word.

A hypothesis is a pair (word history, tree node) with the log-probability of all CTC paths that spell it, in two parts:
paths that end in a blank, and paths that don't (Hannun et al. 2014, "First-pass large vocabulary continuous speech
recognition using bi-directional recurrent DNNs"). A history is a sequence of whole words, so that two hypotheses merge
only if their words are the same: the n-best list is exact and each entry's scores can be taken apart.

Everything here is a function of plain arrays, compiled by numba on first use and cached on disk.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

MINUS_INFINITY = -np.inf


class Histories(NamedTuple):
    """Word histories as a tree in flat arrays with spare room; history 0 is empty. `used` [1] are in use.

    `score` is what the ranking adds: n-gram weight * `ngram` + word bonus * words. The last words, most recent first,
    with the back-off weights of their contexts, are the n-gram state. `slots` is an open hash table (parent, word) ->
    history, twice as large as the arrays.
    """

    used: np.ndarray  # int64 [1]
    parent: np.ndarray  # int32 [capacity], as is `word`
    word: np.ndarray
    ngram: np.ndarray  # float64 [capacity], as is `score`
    score: np.ndarray
    context: np.ndarray  # int32 [capacity, order - 1], -1 where the context is shorter
    backoff: np.ndarray  # float32 [capacity, order - 1]
    slots: np.ndarray  # int32 [2 * capacity], -1 where free


class Beam(NamedTuple):
    """Hypotheses of one frame, in flat arrays with spare room; `used` [1] are in use."""

    used: np.ndarray  # int64 [1]
    history: np.ndarray  # int32 [capacity], as is `node`
    node: np.ndarray
    blank: np.ndarray  # float64 [capacity]: log-prob of the paths that end in a blank; `label`: of those that don't
    label: np.ndarray
    slots: np.ndarray  # int32 [2 * capacity], -1 where free: open hash table (history, node) -> hypothesis


@njit(cache=True)
def log_add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))"""
    if a < b:
        a, b = b, a
    if b == MINUS_INFINITY:
        return a
    return a + np.log1p(np.exp(b - a))


@njit(cache=True)
def _slot(a, b, size):  # type: ignore[no-untyped-def]
    """Where to start looking for the pair (a, b) in a table of `size` (a power of two) slots."""
    mixed = (np.uint64(a) << np.uint64(32)) ^ np.uint64(b)
    mixed = mixed * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed >> np.uint64(32)) & np.uint64(size - 1))


@njit(cache=True)
def ngram_score(ngram, word, context, backoff, new_context, new_backoff):  # type: ignore[no-untyped-def]
    """log P(word | context), and the context that the word leaves behind, by the tables of lm.kenlm_trie.

    Finds the longest n-gram (context, word), then pays the back-off weights of the contexts longer than its own.
    """
    entry = word
    log_prob = ngram.log_prob[entry]
    matched = 0
    size = len(context)
    new_context[:] = -1
    new_backoff[:] = 0.0
    if size:
        new_context[0] = word
        new_backoff[0] = ngram.backoff[entry]
    while matched < size and context[matched] >= 0:
        low, high = ngram.first[entry], ngram.first[entry + 1]
        while low < high:
            middle = (low + high) // 2
            if ngram.word[middle] < context[matched]:
                low = middle + 1
            else:
                high = middle
        if low == ngram.first[entry + 1] or ngram.word[low] != context[matched]:
            break
        entry = low
        log_prob = ngram.log_prob[entry]
        matched += 1
        if matched < size:
            new_context[matched] = context[matched - 1]
            new_backoff[matched] = ngram.backoff[entry]
    for length in range(matched, size):
        log_prob += backoff[length]
    return log_prob


@njit(cache=True)
def rehash(histories):  # type: ignore[no-untyped-def]
    """Fill the hash table of histories that moved to larger arrays."""
    mask = len(histories.slots) - 1
    for history in range(1, histories.used[0]):
        slot = _slot(histories.parent[history], histories.word[history], len(histories.slots))
        while histories.slots[slot] >= 0:
            slot = (slot + 1) & mask
        histories.slots[slot] = history


@njit(cache=True)
def follow(histories, ngram, parent, word, ngram_weight, word_bonus):  # type: ignore[no-untyped-def]
    """The history that a word makes of another one; scored and stored when first met."""
    mask = len(histories.slots) - 1
    slot = _slot(parent, word, len(histories.slots))
    while histories.slots[slot] >= 0:
        known = histories.slots[slot]
        if histories.parent[known] == parent and histories.word[known] == word:
            return known
        slot = (slot + 1) & mask
    new = histories.used[0]
    histories.used[0] += 1
    histories.slots[slot] = new
    histories.parent[new] = parent
    histories.word[new] = word
    log_prob = ngram_score(
        ngram,
        ngram.ids[word],
        histories.context[parent],
        histories.backoff[parent],
        histories.context[new],
        histories.backoff[new],
    )
    histories.ngram[new] = histories.ngram[parent] + log_prob
    histories.score[new] = histories.score[parent] + ngram_weight * log_prob + word_bonus
    return new


@njit(cache=True)
def _candidate(beam, history, node):  # type: ignore[no-untyped-def]
    """The place of (history, node) in a beam, made with no probability if it is new."""
    mask = len(beam.slots) - 1
    slot = _slot(history, node, len(beam.slots))
    while beam.slots[slot] >= 0:
        known = beam.slots[slot]
        if beam.history[known] == history and beam.node[known] == node:
            return known
        slot = (slot + 1) & mask
    new = beam.used[0]
    beam.used[0] += 1
    beam.slots[slot] = new
    beam.history[new] = history
    beam.node[new] = node
    beam.blank[new] = MINUS_INFINITY
    beam.label[new] = MINUS_INFINITY
    return new


@njit(cache=True)
def advance(  # type: ignore[no-untyped-def]
    log_probs, tree, ngram, histories, old, new, beam_size, beam_score, ngram_weight, word_bonus
):
    """Take one frame, log_probs float32 [units], from the beam `old` to the beam `new`.

    Keeps the `beam_size` best hypotheses and none worse than the best by more than `beam_score`. The rank counts, for
    the word being spelled, the best unigram it can become (LM look-ahead). Returns false, with nothing changed but
    histories added, when `new` or `histories` has too little room.
    """
    new.slots[:] = -1
    new.used[0] = 0
    best = MINUS_INFINITY
    highest = log_probs[1:].max()
    room = len(new.history) - len(log_probs) - 1
    for index in range(old.used[0]):
        history, node = old.history[index], old.node[index]
        blank, label = old.blank[index], old.label[index]
        total = log_add(blank, label)
        unit = tree.unit[node]
        base = histories.score[history]

        same = _candidate(new, history, node)
        new.blank[same] = log_add(new.blank[same], total + log_probs[0])
        if node:
            new.label[same] = log_add(new.label[same], label + log_probs[unit])
        stay = max(total + log_probs[0], label + log_probs[unit])
        best = max(best, stay + base + ngram_weight * tree.look_ahead[node])

        # The last word that can end here is tried as -1: no word ends, the spelling goes on down the tree.
        for position in range(tree.first_word[node] - 1, tree.end_word[node]):
            if position < tree.first_word[node]:
                following, start = history, node
            else:
                if total + highest + base + word_bonus < best - beam_score:
                    continue
                if histories.used[0] >= len(histories.parent):
                    return False
                word = tree.words[position]
                following, start = (
                    follow(histories, ngram, history, word, ngram_weight, word_bonus),
                    0,
                )
            for child in range(tree.first_child[start], tree.end_child[start]):
                # A unit equal to the last one is a new one only after a blank.
                log_prob = (blank if tree.unit[child] == unit else total) + log_probs[tree.unit[child]]
                score = log_prob + histories.score[following] + ngram_weight * tree.look_ahead[child]
                if score < best - beam_score or log_prob == MINUS_INFINITY:
                    continue
                best = max(best, score)
                if new.used[0] > room:
                    return False
                target = _candidate(new, following, child)
                new.label[target] = log_add(new.label[target], log_prob)
    _prune(new, histories, tree, beam_size, beam_score, ngram_weight)
    return True


@njit(cache=True)
def _prune(beam, histories, tree, beam_size, beam_score, ngram_weight):  # type: ignore[no-untyped-def]
    count = beam.used[0]
    scores = np.empty(count)
    for index in range(count):
        scores[index] = (
            log_add(beam.blank[index], beam.label[index])
            + histories.score[beam.history[index]]
            + ngram_weight * tree.look_ahead[beam.node[index]]
        )
    threshold = scores.max() - beam_score
    ties = count
    if count > beam_size:
        nth = np.partition(scores, count - beam_size)[count - beam_size]
        if nth >= threshold:
            threshold = nth
            ties = beam_size - (scores > nth).sum()
    kept = 0
    for index in range(count):
        if scores[index] < threshold:
            continue
        if scores[index] == threshold:
            if ties == 0:
                continue
            ties -= 1
        beam.history[kept] = beam.history[index]
        beam.node[kept] = beam.node[index]
        beam.blank[kept] = beam.blank[index]
        beam.label[kept] = beam.label[index]
        kept += 1
    beam.used[0] = kept


@njit(cache=True)
def finish(tree, ngram, histories, beam, ngram_weight, word_bonus):  # type: ignore[no-untyped-def]
    """End the utterance: histories whose last word is whole, and the log-prob of all their paths.

    Returns (histories int64 [n], acoustic log-probs [n]), each history once, in no particular order.
    """
    found = np.empty(0, dtype=np.int64)
    acoustic = np.empty(0)
    for index in range(beam.used[0]):
        node = beam.node[index]
        total = log_add(beam.blank[index], beam.label[index])
        for position in range(tree.first_word[node] - (node == 0), tree.end_word[node]):
            history = np.int64(beam.history[index])
            if node:
                history = follow(histories, ngram, history, tree.words[position], ngram_weight, word_bonus)
            same = np.flatnonzero(found == history)
            if len(same):
                acoustic[same[0]] = log_add(acoustic[same[0]], total)
            else:
                found = np.append(found, history)
                acoustic = np.append(acoustic, total)
    return found, acoustic
