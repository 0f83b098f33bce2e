"""Recognisers where people are: in rooms, in noise, on telephones. Ours and Whisper's smallest English model.

    data=../shared/data/speech
    python tests/benchmarks/robustness/robustness.py --noise exp/more/noise \\
        --data $data/LibriSpeech/dev-mini --data $data/commonvoice/dev.tsv

Each utterance is heard in every condition (CONDITIONS), made from it by data_prep.conditions with a seed of its own:
always the same, whichever others are there. Noises are those that data-prep augment leaves aside, rooms are of other
seeds than its, the voices of a babble are other utterances of the same corpus. `--noise` is a folder such as
../shared/data/more/gather.py fills.

Those noises are heard alone, too: where nobody speaks, every word is an error.

--model may be given several times. Whisper is as in ../peers: tiny.en, int8, beam 5.

The figures are word error rates in per cent; the mean is that over conditions and corpora, with its 95 % interval by
resampling the utterances.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # the recognisers inherit it

import numpy as np
import soundfile
from rich import box
from rich.console import Console
from rich.table import Table

from asr.audio.reading import load_cut
from asr.cli.options import read_cuts
from asr.evaluation.errors import aligned, error_counts
from data_prep.conditions import (
    RATE,
    Codec,
    Range,
    at_level,
    babble,
    coded,
    noise_excerpt,
    reverberated,
    room_response,
    telephone_band,
    with_noise,
)
from data_prep.noises import noise_files
from lm.bundle import DEFAULT
from lm.progress import progress_bar
from lm.text.normalise import normalize

sys.path.insert(0, str(Path(__file__).parent.parent / "peers"))
from peers import HERE, WHISPER, environment

NEAR, FAR = ((0.25, 0.5), (0.4, 0.9)), ((0.4, 0.7), (1.5, 2.5))  # T60 in s, distance in m
ROOMS = 40  # of either kind
SEED = 1_000_000  # far from the versions of data-prep augment, which seed its rooms
SHIPPED = "shipped"  # the name of our own model
LEVEL = -26.0  # dB of full scale, before coders


class Place:
    """What the conditions are made of."""

    def __init__(self, noises: list[Path], voices: list[np.ndarray], rooms: dict[str, list[np.ndarray]]) -> None:
        self.noises, self.voices, self.rooms = noises, voices, rooms

    def room(self, random: np.random.Generator, speech: np.ndarray, kind: str) -> np.ndarray:
        return reverberated(speech, self.rooms[kind][random.integers(ROOMS)])

    def noise(self, random: np.random.Generator, speech: np.ndarray, snr: float) -> np.ndarray:
        return with_noise(speech, noise_excerpt(random, self.noises, len(speech)), snr)

    def babble(self, random: np.random.Generator, speech: np.ndarray, snr: float, count: int = 4) -> np.ndarray:
        voices = [self.voices[number] for number in random.choice(len(self.voices), count, replace=False)]
        return with_noise(speech, babble(random, voices, len(speech)), snr)


def mixed(place: Place, random: np.random.Generator, speech: np.ndarray) -> np.ndarray:
    noisy = place.noise(random, place.room(random, speech, "near"), 15)
    return coded(at_level(noisy, LEVEL), Codec.opus, 12)


def by_codec(
    codec: Codec, kilobits: float, place: Place, random: np.random.Generator, speech: np.ndarray
) -> np.ndarray:
    narrow = codec in (Codec.gsm, Codec.amr)
    return coded(at_level(telephone_band(speech) if narrow else speech, LEVEL), codec, kilobits)


Condition = Callable[[Place, np.random.Generator, np.ndarray], np.ndarray]
CONDITIONS: dict[str, Condition] = {
    "clean": lambda place, random, speech: speech,
    "noise 10 dB": lambda place, random, speech: place.noise(random, speech, 10),
    "noise 5 dB": lambda place, random, speech: place.noise(random, speech, 5),
    "babble of four, 10 dB": lambda place, random, speech: place.babble(random, speech, 10),
    "near room": lambda place, random, speech: place.room(random, speech, "near"),
    "far room": lambda place, random, speech: place.room(random, speech, "far"),
    "telephone, GSM": partial(by_codec, Codec.gsm, 0),
    "telephone, AMR 12.2": partial(by_codec, Codec.amr, 12.2),
    "lossy, Opus 6k": partial(by_codec, Codec.opus, 6),
    "lossy, MP3 16k": partial(by_codec, Codec.mp3, 16),
    "mixed": mixed,
}


def make_response(seed: tuple[int, int], t60: Range, distance: Range) -> np.ndarray:
    return room_response(np.random.default_rng(seed), t60, distance)


def make_rooms() -> dict[str, list[np.ndarray]]:
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        made = {}
        for number, (kind, (t60, distance)) in enumerate({"near": NEAR, "far": FAR}.items()):
            seeds = [(SEED + number, room) for room in range(ROOMS)]
            made[kind] = list(pool.map(partial(make_response, t60=t60, distance=distance), seeds))
    return made


def write_sounds(names: list[str], speech: list[np.ndarray], place: Place, folder: Path) -> list[str]:
    """The utterances in all conditions, one after the other, as files that the recognisers read."""
    files = []
    for number, condition in enumerate(progress_bar(CONDITIONS, "making conditions", len(CONDITIONS))):
        for name, waveform in zip(names, speech, strict=True):
            random = np.random.default_rng([SEED, zlib.crc32(condition.encode()), zlib.crc32(name.encode())])
            sound = CONDITIONS[condition](place, random, waveform)
            sound = sound * min(1.0, 0.99 / max(float(np.abs(sound).max(initial=0)), 1e-9))
            files.append(str(folder / f"{number}-{len(files)}.wav"))
            soundfile.write(files[-1], (sound * 32767).round().astype(np.int16), RATE)
    return files


def write_noises(noises: list[Path], folder: Path) -> list[str]:
    """Noises as files that the recognisers read."""
    files = [str(folder / f"{number}.wav") for number in range(len(noises))]
    for path, file in zip(noises, files, strict=True):
        sound, _ = soundfile.read(path, dtype="int16", always_2d=True)
        soundfile.write(file, sound[:, 0], RATE)
    return files


def transcribe(recognizer: str, files: list[str]) -> list[str]:
    """By a process of ../peers/run.py. recognizer: WHISPER.key, SHIPPED or one of our model folders."""
    if recognizer == WHISPER.key:
        command = [environment(WHISPER), HERE / "run.py", WHISPER.key]
    else:
        model = DEFAULT if recognizer == SHIPPED else Path(recognizer)
        command = [sys.executable, HERE / "run.py", "nicebeach", str(model.absolute())]
    print(f"{recognizer}:", file=sys.stderr)
    done = subprocess.run(command, check=True, input=json.dumps(files), stdout=subprocess.PIPE, text=True)
    texts: list[str] = json.loads(done.stdout)["texts"]
    return texts


Counts = tuple[np.ndarray, np.ndarray]  # errors and words, [conditions, utterances]


def rates(counts: Counts) -> np.ndarray:
    """WER in per cent of each condition."""
    errors, words = counts
    return 100 * errors.sum(-1) / words.sum(-1)


def mean_interval(corpora: list[Counts], resamples: int = 2000) -> tuple[float, float]:
    """95 % interval of the mean over conditions and corpora, resampling utterances, each with all its conditions."""
    random = np.random.default_rng(1)
    means = []
    for _ in range(resamples):
        drawn = [random.integers(errors.shape[1], size=errors.shape[1]) for errors, _ in corpora]
        means.append(
            np.mean([rates((errors[:, d], words[:, d])) for (errors, words), d in zip(corpora, drawn, strict=True)])
        )
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def report(found: dict[str, dict[str, Counts]]) -> None:
    """found: corpus to recogniser to counts."""
    corpora, recognizers = list(found), list(next(iter(found.values())))
    table = Table("", box=box.MARKDOWN)
    for corpus in corpora:
        for recognizer in recognizers:
            table.add_column(f"{corpus}: {recognizer}", justify="right", overflow="fold")
    columns = [rates(found[corpus][recognizer]) for corpus in corpora for recognizer in recognizers]
    for number, condition in enumerate(CONDITIONS):
        table.add_row(condition, *(f"{column[number]:.1f}" for column in columns))
    table.add_row("mean", *(f"{column.mean():.1f}" for column in columns))
    for kind in ("telephone", "lossy"):
        rows = [number for number, name in enumerate(CONDITIONS) if name.startswith(kind)]
        table.add_row(f"{kind} / clean", *(f"{column[rows].mean() / column[0]:.2f}" for column in columns))
    Console(width=140).print(table)
    for recognizer in recognizers:
        of_all = [found[corpus][recognizer] for corpus in corpora]
        low, high = mean_interval(of_all)
        mean = np.mean([rates(counts) for counts in of_all])
        print(f"{recognizer}: mean over conditions and corpora {mean:.2f} % ({low:.2f} to {high:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="as asr evaluate reads them")
    parser.add_argument("--noise", type=Path, required=True, help="folder of noises, 16 kHz")
    parser.add_argument("--limit", type=int, help="use so many utterances of each corpus, evenly spread")
    parser.add_argument("--model", action="append", help=f"our model folder, {SHIPPED} or whisper; default: these two")
    parser.add_argument("--json", type=Path, help="a file for all texts and counts")
    options = parser.parse_args()
    recognizers = options.model or [SHIPPED, WHISPER.key]

    noises = noise_files(options.noise, aside=True)
    if not noises:
        raise ValueError(f"{options.noise}: no noises in it; ../shared/data/more/gather.py takes some out")
    rooms = make_rooms()
    found: dict[str, dict[str, Counts]] = {}
    everything = {}
    for data in options.data:
        cuts, _ = read_cuts(data, options.limit)
        speech = [load_cut(cut) for cut in cuts]
        references = [cut.supervisions[0].text for cut in cuts]
        found[data.name], texts = {}, {}
        with tempfile.TemporaryDirectory() as folder:
            files = write_sounds([cut.id for cut in cuts], speech, Place(noises, speech, rooms), Path(folder))
            for recognizer in recognizers:
                texts[recognizer] = transcribe(recognizer, files)
                errors, words = error_counts(aligned(references * len(CONDITIONS), texts[recognizer]))
                shape = len(CONDITIONS), len(cuts)
                found[data.name][recognizer] = np.reshape(errors, shape), np.reshape(words, shape)
        print(f"{data}: {len(cuts)} utterances", file=sys.stderr)
        everything[str(data)] = {"ids": [cut.id for cut in cuts], "references": references, "texts": texts}
        if options.json:
            options.json.write_text(
                json.dumps({"conditions": list(CONDITIONS), "corpora": everything}, indent=1) + "\n"
            )
    report(found)
    with tempfile.TemporaryDirectory() as folder:
        files = write_noises(noises, Path(folder))
        for recognizer in recognizers:
            lengths = [len(normalize(text)) for text in transcribe(recognizer, files)]
            print(f"{recognizer}: {sum(lengths)} words in {sum(map(bool, lengths))} of {len(noises)} noises alone")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
