"""What else may have been said."""

from collections.abc import Sequence
from itertools import groupby

from rapidfuzz.distance import Levenshtein

from asr.decoder.hypothesis import Hypothesis


def runners_up(nbest: Sequence[Hypothesis]) -> list[str | None]:
    """For each word of the best hypothesis what the next one that differs there has in its place.

    That may be several words, or none (""), where as many words don't stand against each other. None where all agree.
    """
    if not nbest:
        return []
    best = nbest[0].words
    found: list[str | None] = [None] * len(best)
    for hypothesis in nbest[1:]:
        blocks = Levenshtein.opcodes(best, hypothesis.words)
        for equal, run in groupby(blocks, lambda block: block.tag == "equal"):
            if equal:
                continue
            differing = list(run)
            first, last = differing[0], differing[-1]
            places = range(first.src_start, last.src_end)
            others = list(hypothesis.words[first.dest_start : last.dest_end])
            if len(others) != len(places):
                others = [" ".join(others)] * len(places)
            for place, other in zip(places, others, strict=True):
                if found[place] is None:
                    found[place] = other
    return found
