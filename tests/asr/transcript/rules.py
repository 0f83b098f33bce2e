"""What is wrong with subtitles, by the rules of those who make them, told by another's reader of SubRip."""

from itertools import pairwise

import pysubs2

ROUNDED = 0.002  # seconds: SubRip has milliseconds


def broken_rules(srt: str) -> list[str]:
    """A line each: more than two lines of 42 characters, not 1 to 7 seconds, less than two frames (of 24) between."""
    found = []
    cues = list(pysubs2.SSAFile.from_string(srt, format_="srt"))
    for number, cue in enumerate(cues, 1):
        rows = cue.plaintext.split("\n")
        if len(rows) > 2 or max(map(len, rows)) > 42:
            found.append(f"{number}: {rows}")
        if not 1 - ROUNDED <= cue.duration / 1000 <= 7 + ROUNDED:
            found.append(f"{number}: {cue.duration / 1000} s")
    for number, (cue, following) in enumerate(pairwise(cues), 2):
        if following.start - cue.end < 1000 * (2 / 24 - ROUNDED):
            found.append(f"{number}: {following.start - cue.end} ms after the one before")
    return found


def too_fast(srt: str) -> float:
    """The share of cues with more than 17 characters a second."""
    fast = [
        len(cue.plaintext) > 17 * (cue.duration / 1000 + ROUNDED)
        for cue in pysubs2.SSAFile.from_string(srt, format_="srt")
    ]
    return sum(fast) / len(fast)
