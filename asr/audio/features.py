"""Waveform to log-mel features, the same for training and recognition."""

from functools import cache

import numpy as np

SAMPLE_RATE = 16_000  # Hz; every waveform inside the package has it
HOP = 160  # samples between frames: 10 ms
WINDOW = 400  # samples a frame sees: 25 ms
MELS = 80
LOWEST, HIGHEST = 20.0, 7600.0  # Hz; leaves out mains hum and the roll-off of resampled recordings
FLOOR = 1e-6  # added to the mel power before the logarithm: about the noise of 16-bit rounding
FFT = 512
SENTENCE = 120  # frames of the shortest utterance whose mean is that of its speaker and channel
# What lies further than NEAR frames from sound that is louder than the middle between quiet and loud is a pause, if
# these are LEAST nats apart. Pauses are PAUSES of what is levelled at most, as they are where people read sentences:
# with 6 s of silence before and after them dev-mini had 5.9 % errors and Common Voice dev 21.6, where a plain mean was
# removed; 5.3 and 19.1 so.
NEAR, LEAST, PAUSES = 20, 2.0, 0.3
SMOOTH = 5  # frames
BLOCK = 256  # frames transformed at once: few enough for a core's cache


def log_mel(waveform: np.ndarray) -> np.ndarray:
    """float32 [N] in -1..1 at 16 kHz to log-mel power, float32 [T, 80], each bin's mean over the utterance removed.

    That cancels gain and channel colour. Of a word that was cut out tightly it would cancel the word's own sounds, so
    what is shorter than SENTENCE counts as if frames as quiet as its quietest filled it up; and after a long pause all
    speech would be loud, so pauses don't count for more than they do in sentences. Frame centres are at 0, 10 ms, ...;
    beyond the ends is silence.
    """
    if not len(waveform):
        return np.zeros((0, MELS), np.float32)
    result = uncentred(np.pad(waveform.astype(np.float32, copy=False), WINDOW // 2))
    weights = _weights(result.mean(1))
    total = weights.sum()
    further = np.maximum(0, SENTENCE - total)
    result -= (weights @ result + further * result.min(0)) / (total + further)
    return result


def _weights(loudness: np.ndarray) -> np.ndarray:
    """What each frame of an utterance counts for in its mean, float32 [T], by log powers [T]: 1, but pauses less."""
    smooth = np.convolve(np.pad(loudness, SMOOTH // 2, "edge"), np.full(SMOOTH, 1 / SMOOTH), "valid")
    quiet, loud = np.percentile(smooth, (5, 99))
    weights = np.ones(len(loudness), np.float32)
    if loud - quiet < LEAST:
        return weights
    sounds = np.pad(np.cumsum(smooth >= (quiet + loud) / 2), (NEAR + 1, NEAR), "edge")
    sounds[: NEAR + 1] = 0
    pauses = sounds[2 * NEAR + 1 :] == sounds[: -2 * NEAR - 1]
    if count := int(pauses.sum()):
        weights[pauses] = min(1, PAUSES / (1 - PAUSES) * (len(weights) - count) / count)
    return weights


def uncentred(samples: np.ndarray) -> np.ndarray:
    """float32 [N], N >= WINDOW, to the log-mel power of every WINDOW samples that lie in it, HOP apart: [T, 80]."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    result = np.empty((len(frames), MELS), np.float32)
    window, filters = _window(), _filters()
    for first in range(0, len(result), BLOCK):
        spectrum = np.fft.rfft(frames[first : first + BLOCK] * window, FFT)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        np.matmul(power, filters, out=result[first : first + BLOCK])
    result += np.float32(FLOOR)
    return np.log(result, out=result)


@cache
def _window() -> np.ndarray:
    """Hann's window, float32 [WINDOW]."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


@cache
def _filters() -> np.ndarray:
    """float32 [FFT / 2 + 1, MELS]: triangles that are evenly spaced on the mel scale, of height 1."""
    low, high = 2595 * np.log10(1 + np.array([LOWEST, HIGHEST]) / 700)
    corners = 700 * (10 ** (np.linspace(low, high, MELS + 2) / 2595) - 1)
    # How far each frequency is on the way from one corner to the next.
    way = (np.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1)[:, None] - corners[:-1]) / np.diff(corners)
    return np.maximum(0, np.minimum(way[:, :-1], 1 - way[:, 1:])).astype(np.float32)
