"""What rescoring costs beside the first pass, and beside scoring one hypothesis after another. One core.

Lists of 100 and 500 are read to their ends; that of the recogniser as it does, which gives up what falls behind.

python tests/benchmarks/decoder/rescoring.py --data LibriSpeech/dev-clean --limit 20
"""

import argparse
import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy

import numpy as np
from corpus import by_sentence, on_one_core, search_like, with_emissions
from rich.console import Console
from rich.progress import track
from rich.table import Table

from asr.cli.options import read_cuts
from asr.decoder.rescore import rescore, word_scores
from asr.recognizer import Recognizer
from lm.bundle import DEFAULT
from lm.lstm.model import LstmModel
from lm.text.vocabulary import END

SIZES = 100, 500  # of lists that are read whole
REPEATS = 5  # of the first pass and of rescoring; the best counts
SAMPLE = 10  # one hypothesis in so many is scored by itself, and the time multiplied

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", type=Path, required=True, help="a corpus folder or a manifest")
parser.add_argument("--limit", type=int, default=20, help="use so many utterances, evenly spread (20)")
parser.add_argument("--model", type=Path, default=DEFAULT, help="a model folder")


def seconds(run: Callable[[], object]) -> float:
    """The best of REPEATS."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


def by_words(model: LstmModel, words: tuple[str, ...]) -> np.ndarray:
    """The same as `by_sentence`, a call a word."""
    state, scores = model.initial(), []
    for word in [*model.vocabulary.encode(words), END]:
        log_probs, (state,) = model.score([state], [word])
        scores.append(log_probs)
    return np.concatenate(scores)


def main() -> None:
    options = parser.parse_args()
    on_one_core()
    recognizer = Recognizer(options.model)
    model = recognizer.lstm
    corpus = with_emissions(recognizer, read_cuts(options.data, options.limit)[0])
    emissions, tens = corpus.emissions, sum(corpus.seconds) / 10
    columns = []
    own = recognizer.search.config.nbest, recognizer.rescoring_beam
    ways = [*((size, math.inf) for size in SIZES), own]
    for size, beam in ways:
        search = search_like(recognizer.search, {"nbest": size})
        rescored = partial(rescore, model=model, weights=recognizer.weights, beam=beam)
        rescored(search.decode(emissions[0]))  # the first call warms up
        times, found, difference = np.zeros(4), 0, 0.0
        for log_probs in track(emissions, f"{size} best", console=Console(stderr=True)):
            nbest = search.decode(log_probs)
            found += len(nbest)
            times[0] += seconds(partial(search.decode, log_probs))
            times[1] += seconds(partial(rescored, nbest))
            sample = nbest[::SAMPLE]
            expected = [words.sum(dtype=np.float64) for words in word_scores([h.words for h in sample], model)]
            for way, scorer in enumerate((by_sentence, by_words), 2):
                started = time.perf_counter()
                alone = [scorer(model, hypothesis.words).sum(dtype=np.float64) for hypothesis in sample]
                times[way] += (time.perf_counter() - started) * len(nbest) / len(sample)
                difference = max(difference, np.abs(np.subtract(alone, expected)).max())
        first, again, *others = 1000 * times / tens
        columns.append(
            [
                f"{found / len(emissions):.0f}",
                *(f"{milliseconds:.1f}" for milliseconds in (first, again, *others)),
                f"{again / first:.2f}",
                *(f"{other / again:.1f}" for other in others),
                f"{difference:.0e}",
            ]
        )
    table = Table("", *(f"{size} best" for size in SIZES), f"{own[0]}, to {own[1]:g} nats behind")
    rows = (
        "hypotheses",
        "first pass, ms for 10 s of audio",
        "rescoring",
        "  a sentence at a time",
        "  a word at a time",
        "rescoring / first pass (bar: ≤ 1)",
        "a sentence at a time / rescoring (bar: ≥ 8)",
        "a word at a time / rescoring",
        "largest difference of a log P (bar: ≤ 1e-4)",
    )
    for name, *values in zip(rows, *columns, strict=True):
        table.add_row(name, *values)
    console = Console()
    console.print(f"{len(emissions)} utterances, {10 * tens / len(emissions):.1f} s on average")
    console.print(table)


main()
