"""An hour as one recording: memory, speed and errors beside those of its utterances; and words where nobody speaks.

python tests/benchmarks/transcribe/long.py --data $DATA/speech/LibriSpeech/dev-mini

The hour is the corpus's utterances one after the other, as they were read, and again until it is full, with no pauses
but their own; with --shuffle in random order, so that speakers change every few seconds. Each is cut to a multiple of
40 ms, so that the acoustic model's frames are of the same sound alone and in the hour. With --uncut they fall
elsewhere, which costs half a point even alone: the model was chosen by its errors on dev-mini's own frames. The hour
and its first minute are transcribed from a file, each in a fresh process; memory is the peak of all that is resident,
time is of the processor, without loading the models. Sounds are made, ten minutes each: silence, white and pink noise,
mains hum with its harmonics, chords and arpeggios of decaying tones.

Bars: memory at most 1.5 times that of the minute, 0.15 s a second of audio, within 0.5 points of the word error rate of
the same utterances one at a time, at most one word a minute of what is no speech. Linux only.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy

import jiwer
import numpy as np
import soundfile
from rich import box
from rich.console import Console
from rich.table import Table

from asr import Recognizer
from asr.audio.features import SAMPLE_RATE
from asr.audio.reading import load_cut
from asr.cli.options import read_cuts
from asr.decoder.segments import FRAME
from asr.transcript import Style

SCALE = 0, 2, 4, 5, 7, 9, 11  # semitones of a major scale


def transcribe(model: str, file: str) -> dict[str, Any]:
    """In a process of its own: text, seconds of the processor, and the most memory that was resident, MiB."""
    recognizer = Recognizer(model or None)
    before = time.process_time()
    transcript = recognizer.transcribe(file, style=Style.plain)
    spent = time.process_time() - before
    # Not what getrusage says: that counts from the process that started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    return {"text": transcript.text, "spent": spent, "peak": peak}


def in_process(model: Path | None, waveform: np.ndarray) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".flac") as file:
        soundfile.write(file.name, waveform, SAMPLE_RATE)
        command = [sys.executable, __file__, "--transcribe", str(model or ""), file.name]
        result: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        return result


def sounds(seconds: float) -> dict[str, np.ndarray]:
    """What is no speech, float32 at 16 kHz."""
    random = np.random.default_rng(1)
    count = round(seconds * SAMPLE_RATE)
    now = np.arange(count) / SAMPLE_RATE
    white = random.standard_normal(count)
    spectrum = np.fft.rfft(random.standard_normal(count))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), count)
    made = {
        "silence": np.zeros(count),
        "white noise": 0.05 * white,
        "pink noise": 0.05 * pink / pink.std(),
        "hum": 0.1 * sum(np.sin(2 * np.pi * 50 * k * now + k) / k for k in (1, 2, 3, 4, 5, 6, 8, 10)),
        "chords, arpeggios": music(random, count),
    }
    return {name: sound.astype(np.float32) for name, sound in made.items()}


def music(random: np.random.Generator, count: int) -> np.ndarray:
    """Bars of four chords or eight notes of one, each with an attack of 10 ms, a decay, and six harmonics."""
    result, place = np.zeros(count), 0
    while place < count:
        root, degree = random.integers(40, 60), random.integers(0, 7)
        notes = [root + 12 * ((degree + third) // 7) + SCALE[(degree + third) % 7] for third in (0, 2, 4, 7)]
        beat, arpeggio = round(SAMPLE_RATE * random.uniform(0.15, 0.5)), bool(random.integers(2))
        for step in range(8 if arpeggio else 4):
            now = np.arange(min(count - place, beat if arpeggio else 2 * beat)) / SAMPLE_RATE
            envelope = np.minimum(1, now / 0.01) * np.exp(-now * random.uniform(1, 6))
            for note in [notes[step % 4]] if arpeggio else notes:
                hertz = 440 * 2 ** ((note - 69) / 12)
                for k in range(1, 7):
                    result[place : place + len(now)] += envelope * np.sin(2 * np.pi * hertz * k * now) / k**1.3
            place += len(now)
    return 0.1 * result / result.std()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a corpus folder or a manifest")
    parser.add_argument("--model", type=Path, help="a model folder; the default is the one that ships")
    parser.add_argument("--minutes", type=float, default=60, help="of the long recording (60)")
    parser.add_argument("--sound-minutes", type=float, default=10, help="of each sound (10)")
    parser.add_argument("--shuffle", action="store_true", help="mix the speakers")
    parser.add_argument("--uncut", action="store_true", help="leave the utterances as they are")
    options = parser.parse_args()
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    random = np.random.default_rng(1)
    cuts, _ = read_cuts(options.data, None)
    waveforms = [load_cut(cut) for cut in cuts]
    if not options.uncut:
        waveforms = [waveform[: len(waveform) // FRAME * FRAME] for waveform in waveforms]
    chosen: list[int] = []
    while sum(len(waveforms[i]) for i in chosen) < options.minutes * 60 * SAMPLE_RATE:
        chosen += random.permutation(len(cuts)).tolist() if options.shuffle else range(len(cuts))
    ends = np.cumsum([len(waveforms[i]) for i in chosen]) / SAMPLE_RATE
    chosen = chosen[: 1 + int(np.searchsorted(ends, options.minutes * 60))]
    whole = np.concatenate([waveforms[i] for i in chosen])
    texts = [cuts[i].supervisions[0].text for i in chosen]

    recognizer = Recognizer(options.model)
    console = Console(width=120)
    print(f"{len(set(chosen))} utterances one at a time", file=sys.stderr)
    alone = {i: recognizer.transcribe(waveforms[i], style=Style.plain).text for i in sorted(set(chosen))}
    print("one minute, then all", file=sys.stderr)
    minute = in_process(options.model, whole[: 60 * SAMPLE_RATE])
    hour = in_process(options.model, whole)
    table = Table("", "one minute", f"{len(whole) / SAMPLE_RATE / 60:.0f} minutes", "bar", box=box.SIMPLE)
    ratio = hour["peak"] / minute["peak"]
    table.add_row("peak memory, MiB", f"{minute['peak']:.0f}", f"{hour['peak']:.0f}, {ratio:.2f} times", "1.5 times")
    speeds = (f"{run['spent'] / seconds:.3f}" for run, seconds in ((minute, 60), (hour, len(whole) / SAMPLE_RATE)))
    table.add_row("real-time factor", *speeds, "0.15")
    one = 100 * jiwer.wer(texts, [alone[i] for i in chosen])
    glued = 100 * jiwer.wer(" ".join(texts), hour["text"])
    table.add_row("WER, %", f"{one:.2f} (one at a time)", f"{glued:.2f}, {glued - one:+.2f}", "+0.5")
    console.print(table)
    table = Table("", "words a minute", "said", box=box.SIMPLE)
    for name, sound in sounds(options.sound_minutes * 60).items():
        print(name, file=sys.stderr)
        transcript = recognizer.transcribe(sound)
        table.add_row(name, f"{len(transcript.words) / options.sound_minutes:.1f}", transcript.text[:80])
    console.print(table)


if sys.argv[1:2] == ["--transcribe"]:  # what main starts
    json.dump(transcribe(*sys.argv[2:]), sys.stdout)
else:
    main()
