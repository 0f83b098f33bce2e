"""An hour decoded as one: what grows with its length, memory or time? Beside the chunks that a Recognizer cuts.

python tests/benchmarks/decoder/long.py --data $DATA/speech/LibriSpeech/dev-mini

The emissions of a corpus, one utterance after the other and from the beginning again, make recordings of 1, 10 and 60
minutes. Each is decoded in a fresh process, fed by the second (`accept`, then `finish`): in utterances of 30 s, the
longest that a Recognizer cuts, and in one, of which the best hypothesis alone is asked for, or as many as usual. Memory
is what is resident beyond models and emissions, at most when an utterance has been searched, and the peak; time is of
the processor, milliseconds a second of audio. One that wants more than MOST gets none. Bar: both times are the same at
any length. Linux only.
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy

import numpy as np
from corpus import on_one_core, search_like, with_emissions
from rich import box
from rich.console import Console
from rich.table import Table

from asr.acoustic.model import FRAME_SECONDS
from asr.cli.options import read_cuts
from asr.decoder.segments import LONGEST
from asr.recognizer import Recognizer
from lm.bundle import DEFAULT

MINUTES = 1, 10, 60
MOST = 4096  # MiB of memory that a decoding may take, beside models and emissions
CHUNK = round(1 / FRAME_SECONDS)  # frames


def memory(which: str) -> float:
    """MiB of this process: `which` is VmRSS, resident now, VmHWM, the peak of that, or VmSize, all addresses."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(which))


def decode(model: Path, emissions: Path, frames: int, longest: int, nbest: int) -> dict[str, Any]:
    """Decode so many frames of emissions float32 [T, units], in utterances of `longest`; see the table of `main`.

    nbest: hypotheses asked for; 0: as many as in the bundle. `peak` is missing if there wasn't memory enough.
    """
    search = Recognizer(model).search
    search = search_like(search, {"nbest": nbest or search.config.nbest})
    log_probs = np.load(emissions)[:frames]
    search.decode(log_probs[:CHUNK])
    search.reset()
    ctypes.CDLL(None).malloc_trim(0)  # or what loading has freed would be used up before anything grows
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    most = round((memory("VmSize") + MOST) * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    spent, words, searched = np.zeros(2), 0, 0.0
    for first in range(0, frames, longest):
        utterance = log_probs[first : first + longest]
        times = [time.process_time()]
        search.reset()
        for second in range(0, len(utterance), CHUNK):
            search.accept(utterance[second : second + CHUNK])
        times.append(time.process_time())
        searched = max(searched, memory("VmRSS") - before)
        try:
            words += len(search.finish()[0].words)
        except MemoryError:
            return {"spent": [times[1] - times[0]], "searched": searched}
        times.append(time.process_time())
        spent += np.diff(times)
    return {"spent": spent.tolist(), "searched": searched, "peak": memory("VmHWM") - before, "words": words}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a corpus folder or a manifest")
    parser.add_argument("--model", type=Path, default=DEFAULT, help="a model folder")
    parser.add_argument("--minutes", type=int, nargs="+", default=MINUTES, help="of the recordings (1 10 60)")
    options = parser.parse_args()
    on_one_core()
    corpus = with_emissions(Recognizer(options.model), read_cuts(options.data, None)[0])
    frames = np.concatenate(corpus.emissions)
    needed = round(60 * max(options.minutes) / FRAME_SECONDS)
    table = Table(
        "", "minutes", "search, ms/s", "finish, ms/s", "search, MiB", "peak, MiB", "words/min", box=box.SIMPLE
    )
    for column in table.columns[1:]:
        column.justify = "right"
    with tempfile.TemporaryDirectory() as folder:
        emissions = Path(folder) / "emissions.npy"
        np.save(emissions, np.resize(frames, (needed, frames.shape[1])))
        ways = ("chunks of 30 s", LONGEST, 0), ("one utterance, the best", needed, 1), ("one utterance", needed, 0)
        for name, longest, nbest in ways:
            for minutes in options.minutes:
                print(f"{name}, {minutes} min", file=sys.stderr)
                count = round(60 * minutes / FRAME_SECONDS)
                numbers = map(str, (count, longest, nbest))
                command = [sys.executable, __file__, "--decode", options.model, emissions, *numbers]
                took = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                times = [f"{1000 * seconds / (60 * minutes):.2f}" for seconds in took["spent"]]
                if "peak" in took:
                    rest = f"{took['peak']:.0f}", f"{took['words'] / minutes:.0f}"
                else:
                    times.append("–")
                    rest = f"more than {MOST}", "–"
                table.add_row(name, str(minutes), *times, f"{took['searched']:.0f}", *rest)
    console = Console(width=120)
    console.print(f"{len(frames) * FRAME_SECONDS / 60:.1f} minutes of speech, repeated; one core, processor time")
    console.print(table)


if sys.argv[1:2] == ["--decode"]:  # what main starts
    json.dump(decode(Path(sys.argv[2]), Path(sys.argv[3]), *map(int, sys.argv[4:])), sys.stdout)
else:
    main()
