"""Texts of several kinds as one, in which any long stretch is a fair sample: what an LSTM is trained on.

A training that reads only a part of its text, from as many places as it has rows, would otherwise learn of one source
here and of another there. Blocks are large, so that nearly all sentences keep those before them.
"""

import random
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

BLOCK = 15_000  # words


def blend(
    texts: Sequence[Path], shares: Sequence[float], output: Path, words: int, block: int = BLOCK, seed: int = 1
) -> list[float]:
    """Write about so many words of normalised texts (not compressed) to `output`, in shuffled blocks of whole lines.

    shares: of each text in the words, in any unit. A text that has fewer than its share is repeated, each time in
    another order; of one that has more, a random part is taken. Returns how often each text was taken, parts included.
    Errors: ValueError for shares that aren't so many and > 0, and for a text without words.
    """
    if len(shares) != len(texts) or min(shares) <= 0:
        raise ValueError(f"{len(texts)} texts need as many shares above 0, not {list(shares)}")
    order = random.Random(seed)
    chosen: list[tuple[int, int, int]] = []  # text, where a block begins, how long it is
    passes = []
    for number, (text, share) in enumerate(zip(texts, shares, strict=True)):
        blocks = _blocks(text, block)
        there = sum(count for _, _, count in blocks)
        if not there:
            raise ValueError(f"{text}: the text has no words")
        taken, wanted = 0, words * share / sum(shares)
        while taken < wanted:
            order.shuffle(blocks)
            for start, size, count in blocks:
                if taken < wanted:
                    chosen.append((number, start, size))
                    taken += count
        passes.append(taken / there)
    order.shuffle(chosen)
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(f"{output.name}.part")
    with ExitStack() as stack:
        files = [stack.enter_context(text.open("rb")) for text in texts]
        out = stack.enter_context(unfinished.open("wb"))
        for number, start, size in chosen:
            files[number].seek(start)
            out.write(files[number].read(size))
    unfinished.rename(output)
    return passes


def _blocks(text: Path, words: int) -> list[tuple[int, int, int]]:
    """Where each block of at least so many words begins in a text, its bytes, and its words; the last has the rest."""
    blocks = []
    start = end = count = 0
    with text.open("rb") as file:
        for line in file:
            end += len(line)
            count += line.count(b" ") + 1
            if count >= words:
                blocks.append((start, end - start, count))
                start, count = end, 0
    if count:
        blocks.append((start, end - start, count))
    return blocks
