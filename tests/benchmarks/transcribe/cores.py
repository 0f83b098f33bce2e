"""A long recording on one core and on several: how much faster, how much more memory, and whether the text is the same.

    python tests/benchmarks/transcribe/cores.py --data $DATA/speech/LibriSpeech/dev-mini --minutes 60

The recording is the corpus's utterances one after the other, and again until it is as long. The command transcribes it
to JSON with --threads 1, then with more; seconds are those of the whole command by the clock, memory is the peak of
all its processes together, what they share counted once (PSS, looked at twice a second; Linux only). Bars for two
cores: at least 1.7 times faster, at most 1.6 times the memory, the same JSON byte for byte. The other programs of the
machine shall rest meanwhile: how many seconds of the processors they took is told, too.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile

from asr.audio.features import SAMPLE_RATE
from asr.audio.reading import load_cut
from asr.cli.options import read_cuts


def family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it ended
        return
    for child in children:
        yield from family(int(child))


def memory(pid: int) -> float:
    """PSS, in MiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0)


def others() -> float:
    """Seconds of all processors that others than this process and its children took, up to now."""
    fields = Path("/proc/stat").read_text().split()[1:9]
    busy = sum(int(field) for place, field in enumerate(fields) if place not in (3, 4))  # idle, waiting for a disk
    return busy / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])


def transcribe(path: str, threads: int) -> tuple[bytes, float, float, float]:
    """JSON, seconds, MiB at the peak, and what others took."""
    command = [sys.executable, "-m", "asr.cli", "transcribe", "--format", "json", "--quiet", "--threads", str(threads)]
    with tempfile.TemporaryFile() as out:
        start, peak, before = time.monotonic(), 0.0, others()
        process = subprocess.Popen([*command, path], stdout=out)
        while process.poll() is None:
            peak = max(peak, sum(map(memory, family(process.pid))))
            time.sleep(0.5)
        seconds = time.monotonic() - start
        if process.returncode:
            sys.exit(process.returncode)
        out.seek(0)
        return out.read(), seconds, peak, others() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a corpus folder or a manifest")
    parser.add_argument("--minutes", type=float, default=60, help="of the recording (60)")
    parser.add_argument("--threads", type=int, default=2, help="processes to compare with one (2)")
    options = parser.parse_args()
    wanted = round(options.minutes * 60 * SAMPLE_RATE)
    cuts, _ = read_cuts(options.data, None)
    with tempfile.NamedTemporaryFile(suffix=".flac") as file:
        with soundfile.SoundFile(file.name, "w", SAMPLE_RATE, 1) as sound:
            for cut in cycle(cuts):
                if wanted <= sound.frames:
                    break
                sound.write(np.asarray(load_cut(cut)[: wanted - sound.frames]))
        alone, together = transcribe(file.name, 1), transcribe(file.name, options.threads)
    print(f"{options.minutes:g} minutes, 1 process and {options.threads}")
    print(f"seconds: {alone[1]:.1f}, {together[1]:.1f}: {alone[1] / together[1]:.2f} times faster")
    print(f"MiB: {alone[2]:.0f}, {together[2]:.0f}: {together[2] / alone[2]:.2f} times")
    print(f"seconds of the processors that others took: {alone[3]:.1f}, {together[3]:.1f}")
    print("the same JSON" if alone[0] == together[0] else "other JSON")


main()
