"""N-gram scoring through our interface beside raw calls of kenlm, and that both say the same. One core.

python tests/benchmarks/lm/ngram.py librispeech-dev-clean.txt
"""

import argparse
import os
import time
from pathlib import Path

import kenlm
import numpy as np

from lm.bundle import DEFAULT
from lm.query import open_models
from lm.text.normalise import normalize
from lm.text.vocabulary import END

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("text", type=Path, help="sentences, one a line")
sentences = [words for line in parser.parse_args().text.read_text().splitlines() if (words := normalize(line))][:1000]

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
model = open_models().ngram
raw = kenlm.Model(str(DEFAULT / "ngram.bin"))
all_states, all_words = [], []


def encode(words: list[str]) -> list[int]:
    return [*model.vocabulary.encode(words), END]


for words in sentences:
    ids = encode(words)
    all_states += [model.read(model.initial(), ids[:i]) for i in range(len(ids))]
    all_words += ids


def by_sentence() -> list[np.ndarray]:
    return [model.log_probs([encode(words)])[0] for words in sentences]


def by_word() -> list[list[np.ndarray]]:
    scores = []
    for words in sentences:
        state = model.initial()
        scores.append([])
        for word in encode(words):
            log_prob, (state,) = model.score([state], [word])
            scores[-1].append(log_prob)
    return scores


def all_at_once() -> np.ndarray:
    return model.score(all_states, all_words)[0]


def kenlm_by_sentence() -> list[list[float]]:
    return [[score for score, _, _ in raw.full_scores(" ".join(words))] for words in sentences]


def kenlm_by_word() -> list[list[float]]:
    scores = []
    for words in sentences:
        before, after = kenlm.State(), kenlm.State()
        raw.BeginSentenceWrite(before)
        scores.append([])
        for word in [*words, "</s>"]:
            scores[-1].append(raw.BaseScore(before, word, after))
            before, after = after, before
    return scores


ways = {
    "ours, log_probs, a call a sentence": by_sentence,
    "ours, score, a call for all words and the states before them": all_at_once,
    "ours, score, a call a word": by_word,
    "kenlm's full_scores, a call a sentence": kenlm_by_sentence,
    "kenlm's BaseScore, a call a word": kenlm_by_word,
}
seconds = dict.fromkeys(ways, np.inf)
for _ in range(20):  # in turn, so that what else the machine does is fair to all
    for name, way in ways.items():
        started = time.process_time()
        way()
        seconds[name] = min(seconds[name], time.process_time() - started)
count = sum(len(words) + 1 for words in sentences)
*ours, full_scores, base_score = seconds.values()
for (name, _), own in zip(ways.items(), ours, strict=False):
    print(
        f"{name}: {count / own:,.0f} words/s, {full_scores / own:.2f} × full_scores, {base_score / own:.2f} × BaseScore"
    )
for name in list(ways)[len(ours) :]:
    print(f"{name}: {count / seconds[name]:,.0f} words/s")

# The vocabulary and the model hold the same words; <unk>'s probability is undivided.
differences = [own / np.log(10) - theirs for own, theirs in zip(by_sentence(), kenlm_by_sentence(), strict=True)]
words, totals = (max(abs(f(d)).max() for d in differences) for f in (np.asarray, np.sum))
print(
    f"largest difference of log10 P: {words:.1e} of a word, {totals:.1e} of a sentence, of {len(sentences)} (bar: 1e-5)"
)
