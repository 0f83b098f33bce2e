"""How fast one long recording is by one actor and by two, and whether the words are those of `asr transcribe`.

    python tests/benchmarks/archive/long.py --data dev-clean --minutes 30

Recordings are joined, with their pauses, to one of so many minutes. The seconds are those of the rows: without Ray's
start.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import chain, repeat
from pathlib import Path

import soundfile
from pyarrow.parquet import ParquetFile

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True, help="a folder of recordings")
parser.add_argument("--minutes", type=float, default=30)
parser.add_argument("--words", action="store_true", help="Compare with asr transcribe, too.")
arguments = parser.parse_args()
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")  # as asr transcribe has; Ray's is 15


def joined(path: Path) -> None:
    with soundfile.SoundFile(path, "w", 16000, 1) as out:
        for source in chain.from_iterable(repeat(sorted(arguments.data.rglob("*.flac")))):
            out.write(soundfile.read(source, dtype="int16")[0])
            if out.frames >= arguments.minutes * 60 * 16000:
                return


def run(*command: object) -> str:
    call = [sys.executable, "-m", "asr.cli", *map(str, command)]
    return subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    joined(folder / "long.flac")
    made = []
    for actors in (1, 2):
        run("archive", folder / "long.flac", folder / f"out{actors}", "--actors", actors, "--quiet")
        [path] = (folder / f"out{actors}").rglob("*.parquet")
        made.append(ParquetFile(path).read().to_pylist()[0])
        print(f"{actors} actors: {made[-1]['seconds']:.1f} s of {made[-1]['duration']:.0f} s of sound", flush=True)
    same = made[0]["words"] == made[1]["words"]
    print(f"{made[0]['seconds'] / made[1]['seconds']:.2f} times as fast, same words: {same}")
    if arguments.words:
        [item] = json.loads(run("transcribe", folder / "long.flac", "--format", "json", "--threads", 2))
        said = [(word["word"], word["start"], word["end"]) for word in item["words"]]
        same = said == [(word["word"], word["start"], word["end"]) for word in made[1]["words"]]
        print(f"as asr transcribe: {same}, {len(said)} words")
