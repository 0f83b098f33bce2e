"""How fast text is normalised, on one core, beside Whisper's normaliser in the same run.

    python tests/benchmarks/lm/normalization.py book.txt
    python tests/benchmarks/lm/normalization.py books/*.txt --peer path/to/python

The bar is 1 million words a minute. The peer is EnglishTextNormalizer of PyPI's whisper-normalizer, in the Python given
by --peer (`pip install whisper-normalizer` into an environment of its own). It does the inverse task, since it turns
number words into digits, but the same kind of work: it spells out abbreviations and contractions, and takes away
accents and punctuation, by regular expressions in pure Python. Both are given the same paragraphs of raw books; words
are counted at their spaces, before either has touched them. Ours cuts them into sentences besides.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lm.text.normalise import sentences

PEER = """
import json, sys, time
from whisper_normalizer.english import EnglishTextNormalizer
paragraphs = json.load(sys.stdin)
normalize = EnglishTextNormalizer()
normalize(paragraphs[0])
started = time.process_time()
for paragraph in paragraphs:
    normalize(paragraph)
print(time.process_time() - started)
"""
ROUNDS = 3


def best(measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(ROUNDS))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("books", type=Path, nargs="+", help="raw books, plain text")
parser.add_argument("--peer", type=Path, help="a Python that has whisper-normalizer")
arguments = parser.parse_args()
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

texts = [path.read_text(errors="replace") for path in arguments.books]
paragraphs = [" ".join(words) for text in texts for paragraph in text.split("\n\n") if (words := paragraph.split())]
words = sum(paragraph.count(" ") + 1 for paragraph in paragraphs)


def ours() -> float:
    started = time.process_time()
    for paragraph in paragraphs:
        list(sentences([paragraph]))
    return time.process_time() - started


def peer() -> float:
    command = [str(arguments.peer), "-c", PEER]
    return float(
        subprocess.run(command, input=json.dumps(paragraphs), capture_output=True, text=True, check=True).stdout
    )


seconds = best(ours)
print(f"{words} words, processor time, the best of {ROUNDS}; Python {sys.version.split()[0]}")
print(f"lm.text.normalise: {60 * words / seconds / 1e6:.1f} million words a minute (bar: ≥ 1)")
if arguments.peer:
    theirs = best(peer)
    print(f"whisper-normalizer: {60 * words / theirs / 1e6:.1f}; ours is {theirs / seconds:.1f} times as fast")
