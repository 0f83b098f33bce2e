"""Copies of a manifest's speech as it is heard in rooms, in noise and over telephones: see data_prep.conditions."""

import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from lhotse import CutSet, MonoCut, Recording
from lhotse.audio import AudioSource

from data_prep.conditions import RATE, Shares, Surroundings, room_response
from data_prep.manifest import write
from lm.progress import progress_bar

ROOM_T60, ROOM_DISTANCE = (0.2, 0.8), (0.3, 3.0)  # seconds, metres


@dataclass(frozen=True)
class Job:
    """What each process needs to know."""

    surroundings: Surroundings
    version: int


def augment(
    corpora: Mapping[str, Sequence[MonoCut]],
    output: Path,
    noises: Sequence[Path],
    version: int,
    shares: Shares,
    rooms: int = 400,
    jobs: int = 1,
) -> None:
    """Write changed copies of corpora: manifests output/NAME.jsonl.gz, and their audio, FLAC, in output/NAME.

    Voices in the background are drawn from all of them. The same version of the same cut is the same whatever the
    number of `jobs`; what befell it stands in the field `conditions` of its supervision. `rooms` are simulated.
    """
    # Not forked: this process may have threads of its own.
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, context) as pool:
        seeds = [[version, number] for number in range(rooms)]
        responses = list(progress_bar(pool.map(_response, seeds, chunksize=4), "rooms", rooms))
    voices = Voices([cut for cuts in corpora.values() for cut in cuts])
    job = Job(Surroundings(shares, responses, noises, voices), version)
    with ProcessPoolExecutor(jobs, context, _begin, (job,)) as pool:
        for name, cuts in corpora.items():
            folder = output / name
            folder.mkdir(parents=True, exist_ok=True)
            files = [folder / f"{number:06d}.flac" for number in range(len(cuts))]
            copies = pool.map(_copy, files, cuts, chunksize=16)
            made = list(progress_bar(copies, f"copies of {name}", len(cuts)))
            write(CutSet.from_cuts(made), output / f"{name}.jsonl.gz")


class Voices:
    """Draws what someone says, of many cuts."""

    def __init__(self, cuts: Sequence[MonoCut]) -> None:
        self._cuts = cuts

    def __call__(self, random: np.random.Generator) -> np.ndarray:
        return waveform(self._cuts[int(random.integers(len(self._cuts)))])


def waveform(cut: MonoCut) -> np.ndarray:
    """The first channel of a cut, float32 [N] at 16 kHz."""
    samples = cut.load_audio()[0]
    return soxr.resample(samples, cut.sampling_rate, RATE) if cut.sampling_rate != RATE else samples


def generator(version: int, cut: MonoCut) -> np.random.Generator:
    """What a copy of a cut is drawn by: the same, whichever others are copied."""
    return np.random.default_rng([version, zlib.crc32(cut.id.encode())])


def _response(seed: list[int]) -> np.ndarray:
    return room_response(np.random.default_rng(seed), ROOM_T60, ROOM_DISTANCE)


_job: Any = None  # what `_begin` was given: too large to come with each cut


def _begin(job: Job) -> None:
    global _job
    _job = job


def _copy(path: Path, cut: MonoCut) -> MonoCut:
    samples, told = _job.surroundings(generator(_job.version, cut), waveform(cut))
    soundfile.write(path, samples, RATE)
    duration = len(samples) / RATE
    identifier = f"{cut.id}-{_job.version}"
    supervision = cut.supervisions[0]
    return MonoCut(
        id=identifier,
        start=0.0,
        duration=duration,
        channel=0,
        recording=Recording(
            id=identifier,
            sources=[AudioSource(type="file", channels=[0], source=str(path.absolute()))],
            sampling_rate=RATE,
            num_samples=len(samples),
            duration=duration,
        ),
        supervisions=[
            replace(
                supervision,
                id=identifier,
                recording_id=identifier,
                start=0.0,
                duration=duration,
                custom={**(supervision.custom or {}), "conditions": told},
            )
        ],
    )
