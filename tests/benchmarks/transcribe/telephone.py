"""Recordings as telephones carry them: word error rate at 16 kHz, at 8 kHz, and of the filter and coder of telephones.

python tests/benchmarks/transcribe/telephone.py --data $DATA/speech/LibriSpeech/dev-mini

The telephone is 300 to 3400 Hz at 8 kHz, in µ-law of 8 bits (G.711).
"""

import argparse
import os
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy

import jiwer
import numpy as np
import soxr
from rich import box
from rich.console import Console
from rich.table import Table

from asr import Recognizer
from asr.audio.features import SAMPLE_RATE
from asr.audio.reading import load_cut
from asr.cli.options import read_cuts
from asr.transcript import Style
from lm.progress import progress_bar

MU = 255


def telephone(waveform: np.ndarray) -> np.ndarray:
    """float32 [N] at 8 kHz to the same, filtered and coded."""
    spectrum = np.fft.rfft(waveform)
    frequencies = np.fft.rfftfreq(len(waveform), 1 / 8000)
    spectrum[(frequencies < 300) | (frequencies > 3400)] = 0
    filtered = np.clip(np.fft.irfft(spectrum, len(waveform)), -1, 1)
    coded = np.sign(filtered) * np.log1p(MU * np.abs(filtered)) / np.log1p(MU)
    rounded = np.round(coded * 127) / 127
    return (np.sign(rounded) * np.expm1(np.abs(rounded) * np.log1p(MU)) / MU).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a corpus folder or a manifest")
    parser.add_argument("--model", type=Path, help="a model folder; the default is the one that ships")
    parser.add_argument("--limit", type=int, help="use so many utterances, evenly spread")
    options = parser.parse_args()
    cuts, _ = read_cuts(options.data, options.limit)
    recognizer = Recognizer(options.model)
    heard: dict[str, list[str]] = {"16 kHz": [], "8 kHz": [], "telephone": []}
    for cut in progress_bar(cuts, "transcribing", len(cuts)):
        waveform = load_cut(cut)
        narrow = soxr.resample(waveform, SAMPLE_RATE, 8000)
        heard["16 kHz"].append(recognizer.transcribe(waveform, style=Style.plain).text)
        heard["8 kHz"].append(recognizer.transcribe(narrow, rate=8000, style=Style.plain).text)
        heard["telephone"].append(recognizer.transcribe(telephone(narrow), rate=8000, style=Style.plain).text)
    texts = [cut.supervisions[0].text for cut in cuts]
    table = Table("", "WER, %", box=box.SIMPLE)
    for name, said in heard.items():
        table.add_row(name, f"{100 * jiwer.wer(texts, said):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
