"""N-gram scoring through our interface beside raw calls of kenlm, and that both say the same. One core.

python tests/benchmarks/lm/ngram.py librispeech-dev-clean.txt
"""

import argparse
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import kenlm
import numpy as np

from lm.bundle import DEFAULT
from lm.query import open_models, score_sentences
from lm.text.normalise import normalize

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("text", type=Path, help="sentences, one a line")
sentences = [words for line in parser.parse_args().text.read_text().splitlines() if (words := normalize(line))][:1000]

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
model = open_models()["ngram"]
raw = kenlm.Model(str(DEFAULT / "ngram.bin"))
words = sum(len(sentence) + 1 for sentence in sentences)


def ours() -> list[float]:
    return [score.log_prob / math.log(10) for score in score_sentences(model, sentences)]


def by_sentence() -> list[float]:
    return [raw.score(" ".join(sentence)) for sentence in sentences]


def word_scores() -> list[float]:
    return [sum(score for score, _, _ in raw.full_scores(" ".join(sentence))) for sentence in sentences]


def by_word() -> list[float]:
    totals = []
    for sentence in sentences:
        before, after, total = kenlm.State(), kenlm.State(), 0.0
        raw.BeginSentenceWrite(before)
        for word in [*sentence, "</s>"]:
            total += raw.BaseScore(before, word, after)
            before, after = after, before
        totals.append(total)
    return totals


def speed(score: Callable[[], list[float]]) -> float:
    """Words a second, the best of five."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        score()
        times.append(time.perf_counter() - started)
    return words / min(times)


print(f"lm.query.score_sentences: {speed(ours):,.0f} words/s")
for name, score in (
    ("kenlm's BaseScore, a call a word", by_word),
    ("kenlm's full_scores, a call a sentence, a score a word", word_scores),
    ("kenlm's score, a call a sentence, no scores of words", by_sentence),
):
    print(f"{name}: {speed(score):,.0f} words/s; ours is {speed(ours) / speed(score):.2f} times as fast")
print("(bar: ≥ 0.5; ours also marks unknown words)")
print(
    f"largest difference of log10 P of {len(sentences)} sentences: {np.abs(np.subtract(ours(), by_word())).max():.1e}"
)
