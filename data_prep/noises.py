"""Recordings in which nobody speaks: which are trained with, and a manifest of stretches of them."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource

SHORTEST, LONGEST = 2.0, 12.0  # seconds of a stretch
NOTHING_SAID = "-"  # a manifest needs a text; this one has no words


def noise_files(folder: Path, aside: bool) -> list[Path]:
    """The sound files below a folder that are trained with or, if `aside`, the third that is kept for benchmarks.

    Which they are depends on a file's name below the folder alone; parts of a recording, -A and -B, stay together.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".flac", ".wav", ".ogg", ".opus", ".mp3"))
    return [path for path in files if is_kept_aside(path.relative_to(folder).with_suffix("").as_posix()) == aside]


def is_kept_aside(name: str) -> bool:
    """Whether a noise is one of the third that is not trained with."""
    recording = re.sub(r"-[A-Z]$", "", name)
    return hashlib.sha256(recording.encode()).digest()[0] % 3 == 0


def cut_noise(files: Sequence[Path], folder: Path) -> CutSet:
    """The files, below `folder`, cut into stretches of SHORTEST to LONGEST seconds; what is shorter is one.

    Errors: ValueError for a file that is no sound.
    """
    random = np.random.default_rng(1)
    return CutSet.from_cuts(cut for path in files for cut in _stretches(path, folder, random))


def _stretches(path: Path, folder: Path, random: np.random.Generator) -> Iterator[MonoCut]:
    name = path.relative_to(folder).with_suffix("").as_posix()
    try:
        header = soundfile.info(path)
    except soundfile.SoundFileError as error:
        raise ValueError(f"{path}: can't be read; delete it: {error}") from None
    recording = Recording(
        id=name,
        sources=[AudioSource(type="file", channels=list(range(header.channels)), source=str(path.absolute()))],
        sampling_rate=header.samplerate,
        num_samples=header.frames,
        duration=header.duration,
    )
    start = 0.0
    while start == 0 or header.duration - start >= SHORTEST:
        duration = round(min(random.uniform(SHORTEST, LONGEST), header.duration - start), 2)
        identifier = f"{name}-{start:.2f}"
        said = SupervisionSegment(identifier, name, 0.0, duration, text=NOTHING_SAID)
        yield MonoCut(identifier, start, duration, 0, supervisions=[said], recording=recording)
        start = round(start + duration, 2)
