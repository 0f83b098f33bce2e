"""Divides recordings without end: sound into windows for the acoustic model, emissions into stretches for the search.

The acoustic model reads in both directions, so windows overlap, and each gives the emissions of its middle. Those are
one stream, in which the search's stretches end at pauses: where the model itself hears blanks only. What it makes of
noise and music is taken out there: a little of this and that, where speech is much of one unit after the other.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

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
SEAM, NEAR = round(5 / FRAME_SECONDS), round(1 / FRAME_SECONDS)  # frames before the end; a seam is laid between them
GAP = round(0.5 / FRAME_SECONDS)  # frames without a sound that a run of speech may hold
# Nats by which a run of speech must beat blanks, altogether and for every frame of it. Speech has 2 to 7 a frame, 1 or
# 2 at a signal-to-noise ratio of 0 to 5 dB, and no run of it under 50. Noise, hum and music have a few in all, or 0.3 a
# frame.
RUN_COST, FRAME_COST = 15.0, 0.5
BRIEF = round(2 / FRAME_SECONDS)  # frames of a recording that was cut to hold a word: whatever sounds in it is speech
NEVER = -1e4  # log P of what can't be
IS_BLANK = 0.9  # the probability of a blank that counts as one


@dataclass(frozen=True)
class Window:
    """Sound float32 [N] that the acoustic model reads, and which of the frames that it gives are wanted."""

    waveform: np.ndarray
    frames: slice


def windows(blocks: Iterable[np.ndarray], size: float = WINDOW, context: float = CONTEXT) -> Iterator[Window]:
    """Windows of `size` seconds over a recording given in blocks float32 [n]; their wanted frames are those of it all.

    The last one is as long as the others, if the recording is: it overlaps with the one before as much as needed.
    """
    longest, around = (round(seconds * SAMPLE_RATE) // FRAME * FRAME for seconds in (size, context))
    sound, done = np.zeros(0, np.float32), 0  # what is kept, and how much of that was read for
    for block in blocks:
        sound = np.concatenate([sound, block])
        while len(sound) - (start := max(0, done - around)) > longest:
            end = start + longest - around
            yield Window(sound[start : start + longest], slice((done - start) // FRAME, (end - start) // FRAME))
            forget = max(0, end - longest)
            sound, done = sound[forget:], end - forget
    if len(sound) > done:
        start = done - min(done, longest - (len(sound) - done)) // FRAME * FRAME
        yield Window(sound[start:], slice((done - start) // FRAME, None))


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
    begun = False  # in the middle of speech?
    alone = True  # is all that there was still pending?
    for chunk in emissions:
        pending = chunk if pending is None else np.concatenate([pending, chunk])
        while len(pending) > LONGEST:
            first, end = longest_pause(pending[SHORTEST:LONGEST])
            cut = SHORTEST + (first + end) // 2
            pause = end - first >= PAUSE
            yield Stretch(speech_only(pending[:cut], begun, not pause), pause)
            pending, begun, alone = pending[cut:], not pause, False
    if pending is not None and len(pending):
        brief = alone and len(pending) <= BRIEF
        yield Stretch(pending if brief else speech_only(pending, begun, False), True)


def speech_only(log_probs: np.ndarray, begun: bool, unfinished: bool) -> np.ndarray:
    """Emissions [T, units], but where nothing near sounds like speech the blank is certain.

    Speech is a run of sounds, each GAP from the next at most, in which the best units beat the blank by many nats.
    begun, unfinished: is the beginning, or the end, in the middle of speech? What sounds there is more than is seen.
    """
    evidence = log_probs[:, BLANK + 1 :].max(1) - log_probs[:, BLANK]
    sounds = np.flatnonzero(evidence > 0)
    speech = np.zeros(len(log_probs), dtype=bool)
    for run in np.split(sounds, np.flatnonzero(np.diff(sounds) > GAP) + 1):
        if not len(run):
            continue
        first, end = int(run[0]), int(run[-1]) + 1
        cut_off = (begun and first <= GAP) or (unfinished and end >= len(log_probs) - GAP)
        if cut_off or evidence[run].sum() >= RUN_COST + FRAME_COST * (end - first):
            speech[max(0, first - GAP) : end + GAP] = True
    return np.where(speech[:, None], log_probs, blanks(*log_probs.shape))


def blanks(frames: int, units: int) -> np.ndarray:
    """Emissions in which the blank is certain, float32 [frames, units]."""
    log_probs = np.full((frames, units), NEVER, np.float32)
    log_probs[:, BLANK] = 0.0
    return log_probs


def longest_pause(log_probs: np.ndarray) -> tuple[int, int]:
    """The first and past-the-end frame of the longest run of blanks in emissions [T, units], the last of equals."""
    edges = np.flatnonzero(np.diff(np.exp(log_probs[:, BLANK]) > IS_BLANK, prepend=False, append=False))
    runs = edges.reshape(-1, 2)
    if not len(runs):
        return len(log_probs), len(log_probs)
    first, end = runs[len(runs) - 1 - int(np.diff(runs)[::-1].argmax())].tolist()
    return first, end


def seam(times: Sequence[tuple[int, int]], frames: int) -> int:
    """Where to divide a stretch of so many frames that ends in no pause: between words, of these first and end frames.

    In the longest gap of its last SEAM frames, but before NEAR: a word that is cut off there may have been taken for
    another, and has yet to be read with what follows.
    """
    gaps = [(end, first) for (_, end), (first, _) in pairwise(times) if frames - SEAM <= first <= frames - NEAR]
    if gaps:
        end, first = max(gaps, key=lambda gap: gap[1] - gap[0])
        return (end + first + 1) // 2
    # There is one word, at most: it goes to what follows, if it may go on there.
    return times[-1][0] if times and times[-1][0] > 0 and times[-1][1] > frames - NEAR else frames
