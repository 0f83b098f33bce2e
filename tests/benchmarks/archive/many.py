"""What an archive of many recordings costs beside `asr transcribe`.

    python tests/benchmarks/archive/many.py --data dev-clean clips --count 300 --damaged 5 [--processes 2]

Copies of recordings and pieces of others are written to a folder, half and half, so that no two are the same, some of
them damaged, and transcribed by both. Prints the wall-clock and processor seconds of each; of `asr archive` also of
what an archive of a recording a process takes, which is Ray's start, and then the overhead without that; rows and
errors; and the most memory that an actor had of its own, beside what it shares (USS; Linux), in MB.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile
from pyarrow.parquet import ParquetFile

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of recordings, taken from alike")
parser.add_argument("--count", type=int, default=300)
parser.add_argument("--damaged", type=int, default=5)
parser.add_argument("--processes", type=int, default=2)
arguments = parser.parse_args()
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")  # as asr transcribe has; Ray's is 15
TICKS = os.sysconf("SC_CLK_TCK")


def recordings(folder: Path, count: int, damaged: int) -> None:
    """So many recordings, whole or of 3 to 8 seconds; some are no sound any more."""
    chance = random.Random(1)
    sources = [sorted(path for path in data.rglob("*") if path.suffix in (".flac", ".opus")) for data in arguments.data]
    whole = [chance.sample(paths, len(paths)) for paths in sources]
    for number in range(count):
        choice = chance.randrange(len(sources))
        if number % 2 and whole[choice]:
            source = whole[choice].pop()
            path = folder / f"{number:05}{source.suffix}"
            shutil.copy(source, path)
        else:
            waveform, rate = soundfile.read(chance.choice(sources[choice]), dtype="int16")
            start = chance.randrange(max(1, len(waveform) - 3 * rate))
            path = folder / f"{number:05}.flac"
            soundfile.write(path, waveform[start : start + chance.randint(3 * rate, 8 * rate)], rate)
        if number < damaged:
            path.write_bytes(path.read_bytes()[:4] + bytes(999))


def processes() -> dict[int, tuple[int, float, str]]:
    """The parent, processor seconds and title of each."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            title = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        found[int(folder.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS, title
    return found


def own_memory(process: int) -> float:
    """MB that nobody else has."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def run(*command: object) -> tuple[float, float, float]:
    """Wall-clock and processor seconds of a command and all that descends from it, and an actor's peak of memory."""
    began, peak = time.monotonic(), 0.0
    process = subprocess.Popen([sys.executable, "-m", "asr.cli", *map(str, command)], stderr=subprocess.DEVNULL)
    family, seconds = {process.pid}, dict[int, float]()
    while process.poll() is None:
        for number, (parent, used, title) in sorted(processes().items()):
            if parent in family or number in family:
                family.add(number)
                seconds[number] = used
                if title.startswith("ray::Reader"):
                    peak = max(peak, own_memory(number))
        time.sleep(0.2)
    return time.monotonic() - began, sum(seconds.values()), peak


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    for part, size, damaged in (("many", arguments.count, arguments.damaged), ("few", arguments.processes, 0)):
        (folder / part).mkdir()
        recordings(folder / part, size, damaged)
    both = ["--format", "json"]
    plain = run(
        "transcribe", folder / "many", "--output-dir", folder / "plain", *both, "--threads", arguments.processes
    )
    start = run("archive", folder / "few", folder / "first", *both, "--actors", arguments.processes)
    whole = run("archive", folder / "many", folder / "out", *both, "--actors", arguments.processes)
    print(f"asr transcribe: {plain[0]:.1f} s, {plain[1]:.1f} of processors")
    print(f"asr archive: {whole[0]:.1f} s, {whole[1]:.1f} of processors, {whole[2]:.0f} MB an actor")
    print(f"a recording a process: {start[0]:.1f} s, {start[1]:.1f} of processors")
    for kind, place in (("wall-clock", 0), ("processor", 1)):
        print(f"overhead, {kind}: {100 * ((whole[place] - start[place]) / plain[place] - 1):.1f} % without Ray's start")
    made = [ParquetFile(path).read().to_pylist()[0] for path in (folder / "out").rglob("*.parquet")]
    print(f"{len(made)} rows of {arguments.count}, {sum(bool(row['error']) for row in made)} errors")
    size = sum(path.stat().st_size for path in (folder / "out").rglob("*.parquet"))
    print(f"{size / len(made):.0f} bytes a row, {sum(row['duration'] or 0 for row in made):.0f} s of sound")
