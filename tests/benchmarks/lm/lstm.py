"""How fast the LSTM answers: `lm next` warm and cold, sentences scored side by side and one by one. One core.

python tests/benchmarks/lm/lstm.py librispeech-dev-clean.txt
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy

import numpy as np

from lm.query import next_words, open_models, score_sentences
from lm.text.normalise import normalize
from lm.text.vocabulary import END

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("text", type=Path, help="sentences, one a line")
sentences = [words for line in parser.parse_args().text.read_text().splitlines() if (words := normalize(line))][:1000]

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
model = open_models()["lstm"]

# Next words: 10 of them, from the normalised distribution over the whole vocabulary, the history read anew each time.
list(score_sentences(model, sentences[:20]))
times = []
for words in sentences[:200]:
    started = time.perf_counter()
    next_words(model, words[:5], top=10)
    times.append(time.perf_counter() - started)
p50, p90 = 1000 * np.quantile(times, [0.5, 0.9])
print(
    f"lm next, warm: p50 {p50:.1f} ms, p90 {p90:.1f} ms after 5 words, {len(model.vocabulary)} words (bar: p50 ≤ 10 ms)"
)

times = []
command = [str(Path(sys.executable).with_name("lm")), "next", "how to recognize", "--model", "lstm"]
for _ in range(3):
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    times.append(time.perf_counter() - started)
print(f"lm next, as a process: {min(times):.2f} s, the best of 3 (bar: ≤ 3 s)")

# Scoring: the same sentences in three ways.
tokens = sum(len(words) + 1 for words in sentences)
started = time.perf_counter()
batched = [score.log_prob for score in score_sentences(model, sentences)]
batch_seconds = time.perf_counter() - started
print(
    f"{len(sentences)} sentences, {tokens} words side by side: {batch_seconds:.2f} s, "
    f"{tokens / batch_seconds:.0f} words/s"
)

started = time.perf_counter()
alone = [score.log_prob for words in sentences for score in score_sentences(model, [words])]
seconds = time.perf_counter() - started
print(f"a sentence at a time: {seconds:.2f} s; side by side is {seconds / batch_seconds:.1f} times as fast")

few = sentences[:100]  # of this slow way
started = time.perf_counter()
stepped = []
for words in few:
    state, total = model.initial(), 0.0
    for word in [*model.vocabulary.encode(words), END]:
        log_probs, (state,) = model.score([state], [word])
        total += float(log_probs[0])
    stepped.append(total)
seconds = (time.perf_counter() - started) * tokens / sum(len(words) + 1 for words in few)
print(
    f"a word at a time, as decoders ask: {seconds:.2f} s (from {len(few)} sentences); "
    f"side by side is {seconds / batch_seconds:.1f} times as fast (bar: ≥ 10)"
)
difference = max(np.abs(np.subtract(batched, alone)).max(), np.abs(np.subtract(batched[: len(few)], stepped)).max())
print(f"largest difference of a sentence's log P: {difference:.1e}")
