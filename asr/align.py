"""Times for words whose text is known: the best CTC path that spells them."""

from collections.abc import Sequence

import numpy as np

from asr.units import BLANK


def align(log_probs: np.ndarray, words: Sequence[Sequence[list[int]]]) -> list[tuple[int, int]]:
    """The first and the past-the-end frame of each word on the best CTC path through log_probs [T, units].

    `words` holds each word's pronunciations, of which the path takes the best. A word begins where its first unit is
    emitted and ends with its last. Raises ValueError if the words don't fit into so few frames.
    """
    # The states, in order: a blank, then for each word its pronunciations (units with blanks between) and a blank.
    unit, word_of, before = [BLANK], [-1], [[0]]  # `before`: the states from which each can be reached
    ends = [0]  # the states that stand where the next word may begin
    for index, pronunciations in enumerate(words):
        new_ends = []
        for pronunciation in pronunciations:
            previous = ends
            for place, phone in enumerate(pronunciation):
                if place:
                    unit.append(BLANK)
                    word_of.append(index)
                    before.append([len(unit) - 1, len(unit) - 2])
                    previous = [len(unit) - 2, len(unit) - 1]
                unit.append(phone)
                word_of.append(index)
                # Equal units in a row need the blank between them.
                before.append([len(unit) - 1, *(state for state in previous if unit[state] != phone)])
            new_ends.append(len(unit) - 1)
        unit.append(BLANK)
        word_of.append(-1)
        before.append([len(unit) - 1, *new_ends])
        ends = [*new_ends, len(unit) - 1]

    width = max(map(len, before))
    sources = np.array([[*states, *states[:1] * (width - len(states))] for states in before])
    emission = log_probs[:, unit]
    score = np.full(len(unit), -np.inf)
    score[0] = 0.0
    came_from = np.empty((len(log_probs), len(unit)), dtype=np.int32)
    everyone = np.arange(len(unit))
    for frame, row in enumerate(emission):
        choice = score[sources].argmax(1)
        came_from[frame] = sources[everyone, choice]
        score = score[came_from[frame]] + row
    state = max(ends, key=lambda end: score[end])
    if score[state] == -np.inf:
        raise ValueError(f"{len(words)} words don't fit into {len(log_probs)} frames")
    spans = [(len(log_probs), 0)] * len(words)
    for frame in range(len(log_probs) - 1, -1, -1):
        if word_of[state] >= 0:
            first, end = spans[word_of[state]]
            spans[word_of[state]] = (min(first, frame), max(end, frame + 1))
        state = int(came_from[frame, state])
    return spans
