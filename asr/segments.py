"""Cuts long recordings at their quietest moments, so that memory and time stay bounded and no word is cut in two."""

import numpy as np

from asr.features import SAMPLE_RATE

LONGEST = 30.0  # seconds
SHORTEST = 15.0  # a cut is looked for between the two
STEP = 0.02  # seconds; the loudness is that of 0.2 s around
SILENCE = 1e-4  # -80 dBFS, three steps of 16 bits: no microphone is so quiet, only a recorder that recorded nothing


def cut_at_silence(waveform: np.ndarray) -> list[tuple[int, int]]:
    """(first, end) samples of consecutive segments of [N], each LONGEST at most.

    Together they are the whole, but for the silent ones: those that never leave their mean by more than SILENCE. The
    acoustic model would level their rounding noise up to speech and find words in it.
    """
    longest, shortest, step = (int(seconds * SAMPLE_RATE) for seconds in (LONGEST, SHORTEST, STEP))
    segments = []
    first = 0
    while len(waveform) - first > longest:
        window = waveform[first + shortest : first + longest]
        energy = np.square(window[: len(window) // step * step]).reshape(-1, step).sum(1)
        loudness = np.convolve(energy, np.ones(10), mode="same")
        # The ends of the window lack neighbours and would look quiet.
        quietest = 5 + int(loudness[5:-5].argmin())
        end = first + shortest + quietest * step
        segments.append((first, end))
        first = end
    segments.append((first, len(waveform)))
    return [(first, end) for first, end in segments if not is_silent(waveform[first:end])]


def is_silent(waveform: np.ndarray) -> bool:
    """Whether [N] holds nothing that could be speech; true of an empty one."""
    return not len(waveform) or float(np.abs(waveform - waveform.mean()).max()) <= SILENCE
