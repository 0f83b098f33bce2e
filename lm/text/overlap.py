"""Whether training text holds what models are to be measured on.

Texts that share a run of eight words share, as a rule, their source: a model that has seen it knows what comes next by
heart, and its perplexity says little. Idioms, prayers and quotations that long are the exception; they go as well.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

WORDS = 8  # of an n-gram that no training text may share

NORMALIZED = re.compile(r"[A-Z' ]*\n?")


@dataclass(frozen=True)
class Overlap:
    """A held-out sentence that shares n-grams with the training text."""

    sentence: str  # its name
    shared: int  # different n-grams that stand in the training text
    ngrams: int  # different n-grams of the sentence
    example: str  # the first of those shared
    line: int  # of the training text, where the example stands first


def ngrams(words: Sequence[str], length: int = WORDS) -> list[str]:
    """The runs of `length` words, each joined by spaces; none where the words are fewer."""
    return [" ".join(words[i : i + length]) for i in range(len(words) - length + 1)]


def find_overlaps(text: Iterable[str], heldout: Mapping[str, Sequence[str]], length: int = WORDS) -> list[Overlap]:
    """The held-out sentences that share n-grams of `length` words with a training text, in their order.

    `text` is normalised, one sentence a line; `heldout` holds the normalised words of each sentence by its name.
    N-grams lie within a sentence, so shorter sentences share none. Memory grows with `heldout` alone.

    Errors: ValueError naming the first line of the text that isn't normalised and would seem to share nothing.
    """
    grams = {name: list(dict.fromkeys(ngrams(words, length))) for name, words in heldout.items()}
    wanted = {gram for of_sentence in grams.values() for gram in of_sentence}
    found: dict[str, int] = {}
    for number, line in enumerate(text, 1):
        if not NORMALIZED.fullmatch(line):
            raise ValueError(
                f"line {number} of the training text is not normalised ({line[:40].strip()!r}); use lm prepare-text"
            )
        of_line = ngrams(line.split(), length)
        if not wanted.isdisjoint(of_line):
            for gram in wanted.intersection(of_line):
                found.setdefault(gram, number)
    overlaps = []
    for name, of_sentence in grams.items():
        shared = [gram for gram in of_sentence if gram in found]
        if shared:
            overlaps.append(Overlap(name, len(shared), len(of_sentence), shared[0], found[shared[0]]))
    return overlaps
