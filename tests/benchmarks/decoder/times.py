"""How far word times are from the truth, on recordings glued together from pieces whose bounds are known.

    python tests/benchmarks/decoder/times.py --data $DATA/LibriSpeech/dev-mini --digits $DATA/fsdd/recordings

Every utterance's silence is trimmed by its energy, and pieces are glued with pauses of 0 to 0.3 s, filled with noise as
loud as the first piece's quietest moments, to recordings of 25 s at most. Recogniser.transcribe is given these. Of each
piece's first word the start is compared, of its last word the end, if they were recognised at all: what was recognised
is aligned with what was said word by word. Deviations are recognised minus known; "bias" is their median, "median" and
"90 %" are of their absolute values. Bar: a median of 80 ms.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy

import numpy as np
from corpus import on_one_core
from rapidfuzz.distance import Levenshtein
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from asr.audio import reading
from asr.audio.features import SAMPLE_RATE
from asr.cli.options import read_cuts
from asr.evaluation.errors import spelled
from asr.recognizer import Recognizer
from lm.bundle import DEFAULT
from lm.text.normalise import normalize

LONGEST = 25.0  # seconds: a Recognizer cuts no such recording
PAUSE = 0.3  # seconds, at most
STEP = SAMPLE_RATE // 100
# dB below a piece's loudest 10 ms: silence. At 40 breath and echo are taken for speech (30 utterances of dev-mini: ends
# come 97 ms early instead of 38, starts 23 ms late instead of 1); 25 changes little.
QUIET = 30.0
BAR = 80  # ms


@dataclass(frozen=True)
class Piece:
    """What was said, without silence around it."""

    words: tuple[str, ...]
    waveform: np.ndarray  # float32 [N], 16 kHz
    noise: float  # RMS of the quietest moments


@dataclass(frozen=True)
class Known:
    """A piece in a recording; seconds."""

    words: tuple[str, ...]
    start: float
    end: float


def trimmed(waveform: np.ndarray, text: str) -> Piece:
    """The piece from the first 10 ms that aren't silent to the last ones."""
    blocks = waveform[: len(waveform) // STEP * STEP].reshape(-1, STEP)
    loudness = np.sqrt(np.square(blocks, dtype=np.float64).mean(1))
    loud = np.flatnonzero(loudness > loudness.max() * 10 ** (-QUIET / 20))
    return Piece(
        tuple(normalize(text)), waveform[loud[0] * STEP : (loud[-1] + 1) * STEP], float(np.quantile(loudness, 0.05))
    )


def utterances(data: Path, limit: int | None) -> list[Piece]:
    """The pieces of a corpus."""
    cuts, _ = read_cuts(data, limit)
    return [trimmed(reading.load_cut(cut), cut.supervisions[0].text) for cut in cuts]


def digits(folder: Path, limit: int | None) -> list[Piece]:
    """The pieces of the Free Spoken Digit Dataset, DIGIT_SPEAKER_NUMBER.flac: by speakers, else in a random order."""
    paths = sorted(folder.glob("[0-9]_*_*.*"))
    if not paths:
        raise ValueError(f"{folder}: no files named DIGIT_SPEAKER_NUMBER.flac")
    drawn = [paths[index] for index in np.random.default_rng(1).permutation(len(paths))[:limit]]
    drawn.sort(key=lambda path: path.name.split("_")[1])
    return [trimmed(reading.load(path), path.name[0]) for path in drawn]


def glued(pieces: list[Piece]) -> Iterator[tuple[np.ndarray, list[Known]]]:
    """Recordings of LONGEST seconds at most, and what is where; a longer piece makes one alone."""
    random = np.random.default_rng(1)
    parts: list[np.ndarray] = []
    known: list[Known] = []
    length = 0
    for piece in pieces:
        if known and length + len(piece.waveform) > (LONGEST - 2 * PAUSE) * SAMPLE_RATE:
            yield np.concatenate(parts), known
            parts, known, length = [], [], 0
        if not known:
            noise = piece.noise
        pause = random.normal(scale=noise, size=random.integers(int(PAUSE * SAMPLE_RATE) + 1)).astype(np.float32)
        parts += [pause, piece.waveform]
        start = length + len(pause)
        length = start + len(piece.waveform)
        known.append(Known(piece.words, start / SAMPLE_RATE, length / SAMPLE_RATE))
    yield np.concatenate(parts), known


def deviations(recognizer: Recognizer, waveform: np.ndarray, known: list[Known]) -> tuple[list[float], list[float]]:
    """Recognised minus known, in ms: of the starts and of the ends of pieces whose outer words were recognised."""
    found = [word for segment in recognizer.transcribe(waveform).segments for word in segment.words]
    recognised = [(part, word) for word in found for part in spelled(word.word)]
    said = [word for piece in known for word in piece.words]
    places: dict[int, int] = {}  # in `said` to in `recognised`
    for block in Levenshtein.opcodes(said, [part for part, _ in recognised]):
        if block.tag == "equal":
            places.update(
                zip(range(block.src_start, block.src_end), range(block.dest_start, block.dest_end), strict=True)
            )
    starts, ends, first = [], [], 0
    for piece in known:
        last = first + len(piece.words) - 1
        if first in places:
            starts.append(1000 * (recognised[places[first]][1].start - piece.start))
        if last in places:
            ends.append(1000 * (recognised[places[last]][1].end - piece.end))
        first = last + 1
    return starts, ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a corpus folder or a manifest")
    parser.add_argument("--digits", type=Path, help="the recordings of the Free Spoken Digit Dataset")
    parser.add_argument("--limit", type=int, help="use so many pieces of each")
    parser.add_argument("--model", type=Path, default=DEFAULT, help="a model folder")
    options = parser.parse_args()
    on_one_core()
    recognizer = Recognizer(options.model)
    corpora = {options.data.name: utterances(options.data, options.limit)}
    if options.digits:
        corpora["digits"] = digits(options.digits, options.limit)
    table = Table("", "", "pieces", "recognised", "bias ms", "median ms", "90 % ms", f"bar {BAR} ms", box=box.SIMPLE)
    for column in table.columns[2:]:
        column.justify = "right"
    for name, pieces in corpora.items():
        starts: list[float] = []
        ends: list[float] = []
        for waveform, known in track(list(glued(pieces)), name, console=Console(stderr=True)):
            of_starts, of_ends = deviations(recognizer, waveform, known)
            starts += of_starts
            ends += of_ends
        for what, values, bounds in (("starts", starts, 1), ("ends", ends, 1), ("both", starts + ends, 2)):
            share = f"{100 * len(values) / len(pieces) / bounds:.0f} %"
            median = np.median(np.abs(values))
            figures = np.median(values), median, np.quantile(np.abs(values), 0.9)
            met = "met" if median <= BAR else "missed"
            table.add_row(name, what, str(len(pieces)), share, *(f"{value:.0f}" for value in figures), met)
    Console(width=120).print(table)


try:
    main()
except (ValueError, OSError) as error:
    sys.exit(f"error: {error}")
