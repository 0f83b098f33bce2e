"""Recordings in which nobody speaks: which are trained with, and a manifest of stretches of them."""

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from lhotse import CutSet
from lhotse.cut import Cut

from data_prep.manifest import Item, prepare

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
    names = {path.relative_to(folder).with_suffix("").as_posix(): path for path in files}
    prepared = prepare((Item(name, path, NOTHING_SAID) for name, path in names.items()), math.inf)
    for reason, dropped in prepared.dropped.items():
        raise ValueError(f"{names[dropped[0]]}: can't be read; delete it: {reason}")
    random = np.random.default_rng(1)
    return CutSet.from_cuts(stretch for cut in prepared.cuts for stretch in _stretches(cut, random))


def _stretches(whole: Cut, random: np.random.Generator) -> Iterator[Cut]:
    start = 0.0
    while start == 0 or whole.duration - start >= SHORTEST:
        duration = round(min(random.uniform(SHORTEST, LONGEST), whole.duration - start), 2)
        cut = whole.truncate(offset=start, duration=duration).with_id(f"{whole.id}-{start:.2f}")
        yield cut.map_supervisions(lambda said, end=duration: said.trim(end))
        start = round(start + duration, 2)
