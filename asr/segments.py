"""Divides recordings without end: sound into windows for the acoustic model, emissions into stretches for the search.

The acoustic model reads in both directions, so windows overlap, and each gives the emissions of its middle. Those are
one stream, in which the search's stretches end at pauses: where the model itself hears blanks only.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from asr.acoustic import FRAME_SECONDS, SUBSAMPLING
from asr.features import HOP, SAMPLE_RATE
from asr.units import BLANK

WINDOW = 30.0  # seconds that the acoustic model reads at once
CONTEXT = 1.0  # seconds of a window, on either side of what it is read for
FRAME = HOP * SUBSAMPLING  # samples an output frame
SILENCE = 1e-4  # -80 dBFS, three steps of 16 bits: no microphone is so quiet, only a recorder that recorded nothing

LONGEST = round(30 / FRAME_SECONDS)  # frames of a stretch
SHORTEST = LONGEST // 2  # its end is looked for between the two
PAUSE = round(0.4 / FRAME_SECONDS)  # frames of blanks that end a stretch; fewer may stand within a word
IS_BLANK = 0.9  # the probability of a blank that counts as one


@dataclass(frozen=True)
class Window:
    """Sound float32 [N] that the acoustic model reads, and which of the frames that it gives are wanted."""

    waveform: np.ndarray
    frames: slice
    end: int  # samples of the recording before the end of what it is read for


def windows(blocks: Iterable[np.ndarray], size: float = WINDOW, context: float = CONTEXT) -> Iterator[Window]:
    """Windows of `size` seconds over a recording given in blocks float32 [n]; their wanted frames are those of it all.

    The last one is as long as the others, if the recording is: it overlaps with the one before as much as needed.
    """
    longest, around = (round(seconds * SAMPLE_RATE) // FRAME * FRAME for seconds in (size, context))
    # What is kept, how much of that was read for, and what was forgotten.
    sound, done, past = np.zeros(0, np.float32), 0, 0
    for block in blocks:
        sound = np.concatenate([sound, block])
        while len(sound) - (start := max(0, done - around)) > longest:
            end = start + longest - around
            frames = slice((done - start) // FRAME, (end - start) // FRAME)
            yield Window(sound[start : start + longest], frames, past + end)
            forget = max(0, end - longest)
            sound, done, past = sound[forget:], end - forget, past + forget
    if len(sound) > done:
        start = done - min(done, longest - (len(sound) - done)) // FRAME * FRAME
        yield Window(sound[start:], slice((done - start) // FRAME, None), past + len(sound))


def is_silent(waveform: np.ndarray) -> bool:
    """Whether [N] holds nothing that could be speech; true of an empty one.

    The acoustic model would level its rounding noise up to speech and find words in it.
    """
    return not len(waveform) or float(np.abs(waveform - waveform.mean()).max()) <= SILENCE


@dataclass(frozen=True)
class Stretch:
    """Emissions [T, units] that are searched at once."""

    log_probs: np.ndarray
    pause: bool  # does it end in a pause, or with the recording?


def stretches(emissions: Iterable[np.ndarray]) -> Iterator[Stretch]:
    """Divide emissions without end, given in chunks [t, units], at pauses: LONGEST frames each, at most."""
    pending: np.ndarray | None = None
    for chunk in emissions:
        pending = chunk if pending is None else np.concatenate([pending, chunk])
        while len(pending) > LONGEST:
            first, end = longest_pause(pending[SHORTEST:LONGEST])
            cut = SHORTEST + (first + end) // 2
            yield Stretch(pending[:cut], end - first >= PAUSE)
            pending = pending[cut:]
    if pending is not None and len(pending):
        yield Stretch(pending, True)


def longest_pause(log_probs: np.ndarray) -> tuple[int, int]:
    """The first and past-the-end frame of the longest run of blanks in emissions [T, units], the last of equals."""
    edges = np.flatnonzero(np.diff(np.exp(log_probs[:, BLANK]) > IS_BLANK, prepend=False, append=False))
    runs = edges.reshape(-1, 2)
    if not len(runs):
        return len(log_probs), len(log_probs)
    first, end = runs[len(runs) - 1 - int(np.diff(runs)[::-1].argmax())].tolist()
    return first, end
