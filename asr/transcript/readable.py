"""Words as they are written: with case, marks and numbers, segment by segment as they are found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from asr.transcript.transcript import Segment
from asr.transcript.word import Word
from lm.readable import Readable
from lm.readable.marked import ENDS
from lm.readable.readable import LONG_PAUSE

CONTEXT = 40  # words before and after a segment that tell how its own are written


def readable(segments: Iterable[Segment], writer: Readable, forms: Mapping[str, str]) -> Iterator[Segment]:
    """The segments of one channel with `Word.written`, each as soon as the next one is there.

    forms: how some words are written, by the words.
    """
    before: list[Word] = []
    left = 0  # words that the segment before has written with its own
    pending: Segment | None = None
    for segment in segments:
        if pending:
            words, left = written(before, pending.words, segment.words, left, writer, forms)
            before = [*before, *words][-CONTEXT:]
            yield replace(pending, words=words)
        pending = segment
    if pending:
        yield replace(pending, words=written(before, pending.words, [], left, writer, forms)[0])


def written(
    before: Sequence[Word],
    words: Sequence[Word],
    after: Sequence[Word],
    left: int,
    writer: Readable,
    forms: Mapping[str, str],
) -> tuple[list[Word], int]:
    """Words with how they are written, and how many of those after them are written with the last of them.

    left: how many words are written with one of those before.
    """
    if left >= len(words):
        return [replace(word, written="") for word in words], left - len(words)
    context = [*before, *words, *after[:CONTEXT]]
    pauses = [max(0.0, following.start - word.end) for word, following in pairwise(context)]
    first, end = len(before) + left, len(before) + len(words)
    ended = has_ended(before)
    texts = [""] * len(words)
    over = 0
    for token in writer.write([word.word for word in context], [*pauses, LONG_PAUSE], forms):
        if first <= token.start < end:
            text = token.text
            if token.start == first and ended and text.islower():  # this context may have ended nothing there
                text = text[:1].upper() + text[1:]
            texts[token.start - len(before)] = text
            over = max(0, token.end - end)
        elif token.start < first < token.end:  # the segment before has written its words otherwise
            for place in range(first, min(token.end, end)):
                texts[place - len(before)] = context[place].word.lower()
    return [replace(word, written=text) for word, text in zip(words, texts, strict=True)], over


def has_ended(words: Sequence[Word]) -> bool:
    """Whether a sentence has ended with written words, as it has before the first."""
    last = next((word.written for word in reversed(words) if word.written), "")
    return not last or last.rstrip("\"')")[-1:] in ENDS
