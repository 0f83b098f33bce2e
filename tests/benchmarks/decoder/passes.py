"""The second pass and its rivals: what each reads better, and what it costs. One core.

    python tests/benchmarks/decoder/passes.py --data $DATA/speech/LibriSpeech/dev-mini

The n-gram alone has the bundle's weights of the first pass; what the LSTM takes part in has those of the second. With
memory, the LSTM begins an utterance at what it remembers of those before it in the chapter (an utterance's name without
its last number), as they were recognised. The LSTM reads once what the hypotheses of a list begin with; with "prefixes
unshared" it reads each by itself, which must find the same. One-pass fusion has the LSTM score every word within the
search, and no second pass. Times are of the processor, emissions apart; "oracle" is the WER of the best hypotheses in
the lists, "difference" that to the n-gram alone, both with their 95 % bootstrap intervals. Bar: the second pass makes
fewer errors than the n-gram alone.
"""

import argparse
import os
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy

import numpy as np
from corpus import by_sentence, on_one_core, search_like, with_emissions
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from asr.cli.options import read_cuts
from asr.decoder.beam import BeamSearch
from asr.decoder.hypothesis import Hypothesis
from asr.decoder.rescore import rank, rescore, state_after
from asr.evaluation.errors import aligned, compare, error_counts, oracle_errors, wer_interval
from asr.recognizer import Recognizer
from lm.bundle import DEFAULT
from lm.text.normalise import normalize

SIZES = 10, 100, 500
USUAL = 100  # the size with which memory and prefixes are tried
Pass = Callable[[np.ndarray, bool], list[Hypothesis]]  # log-probs [T, units]; does a chapter begin? Best first


def first_pass(search: BeamSearch) -> Pass:
    return lambda log_probs, _: search.decode(log_probs)


def second_pass(recognizer: Recognizer, search: BeamSearch) -> Pass:
    return lambda log_probs, _: rescore(search.decode(log_probs), recognizer.lstm, recognizer.weights)


def without_prefixes(recognizer: Recognizer, search: BeamSearch) -> Pass:
    def decode(log_probs: np.ndarray, _: bool) -> list[Hypothesis]:
        nbest = search.decode(log_probs)
        scores = [by_sentence(recognizer.lstm, hypothesis.words) for hypothesis in nbest]
        return rank(nbest, scores, recognizer.weights)

    return decode


def with_memory(recognizer: Recognizer, search: BeamSearch) -> Pass:
    remembered: Any = None

    def decode(log_probs: np.ndarray, begins: bool) -> list[Hypothesis]:
        nonlocal remembered
        before = None if begins else remembered
        nbest = rescore(search.decode(log_probs), recognizer.lstm, recognizer.weights, before)
        remembered = state_after(nbest[0].words, recognizer.lstm, before)
        return nbest

    return decode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a corpus folder or a manifest")
    parser.add_argument("--limit", type=int, help="use the first so many utterances")
    parser.add_argument("--model", type=Path, default=DEFAULT, help="a model folder")
    options = parser.parse_args()
    on_one_core()
    recognizer = Recognizer(options.model)
    corpus = with_emissions(recognizer, read_cuts(options.data, None)[0][: options.limit])
    chapters = [cut.id.rpartition("-")[0] for cut in corpus.cuts]
    begins = [True, *(before != chapter for before, chapter in pairwise(chapters))]

    given, weights = recognizer.search, recognizer.weights
    searches = {size: search_like(given, {"nbest": size}) for size in SIZES}
    usual = searches[USUAL]
    fused = search_like(given, {"nbest": USUAL}, weights, recognizer.lstm)
    passes = {
        f"n-gram alone, {USUAL}-best": first_pass(usual),
        **{f"LSTM, {size}-best": second_pass(recognizer, search) for size, search in searches.items()},
        f"LSTM, {USUAL}-best, with memory": with_memory(recognizer, usual),
        f"LSTM, {USUAL}-best, prefixes unshared": without_prefixes(recognizer, usual),
        f"one-pass fusion, {USUAL}-best": first_pass(fused),
    }
    table = Table("", "WER %", "interval", "difference", "interval", "oracle %", "ms a second", box=box.SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right"
    alone: np.ndarray | None = None
    for name, decode in passes.items():
        decode(corpus.emissions[0], True)  # the first call warms up
        started = time.process_time()
        work = zip(corpus.emissions, begins, strict=True)
        nbests = [decode(*one) for one in track(list(work), name, console=Console(stderr=True))]
        spent = time.process_time() - started
        errors, words = error_counts(aligned(corpus.references, [nbest[0].text for nbest in nbests]))
        alone = errors if alone is None else alone
        compared = compare(alone, errors, words)
        oracle = sum(
            oracle_errors(normalize(text), [[hypothesis.words for hypothesis in nbest]])
            for text, nbest in zip(corpus.references, nbests, strict=True)
        )
        table.add_row(
            name,
            f"{100 * errors.sum() / words.sum():.2f}",
            "{:.2f} to {:.2f}".format(*wer_interval(errors, words)),
            f"{compared.wer_difference:+.2f}",
            "{:+.2f} to {:+.2f}".format(*compared.interval),
            f"{100 * oracle / words.sum():.2f}",
            f"{1000 * spent / sum(corpus.seconds):.1f}",
        )
    console = Console(width=120)
    console.print(
        f"{len(errors)} utterances, {sum(begins)} chapters, {sum(corpus.seconds) / 60:.1f} min; processor time"
    )
    console.print(table)


main()
