"""Divides recordings without end: sound into windows for the acoustic model, emissions into chunks for the search.

The acoustic model reads in both directions, so windows overlap, and each gives the emissions of its middle. Those are
one stream, in which the search's chunks end at pauses: where the model itself hears blanks only. What it makes of
noise and music is taken out there: a little of this and that, where speech is much of one unit after the other.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from asr.acoustic.model import FRAME_SECONDS, SUBSAMPLING
from asr.audio.features import HOP, SAMPLE_RATE
from asr.lexicon.units import BLANK

WINDOW = 30.0  # seconds that the acoustic model reads at once, at most
CONTEXT = 1.0  # seconds of a window, on either side of what it is read for
QUIET = 12  # frames
FRAME = HOP * SUBSAMPLING  # samples an output frame
SILENCE = 1e-4  # -80 dBFS, three steps of 16 bits: no microphone is so quiet, only a recorder that recorded nothing
MOMENT = SAMPLE_RATE // 10  # samples whose loudness is taken: five periods of 50 Hz, six of 60
MOMENTS = 10  # that tell whether it changes
STEADY = 10**0.2  # times the power; speech 5 dB below white noise still makes 3
# Times the power of bands, each by its own median, or by a share of the mean one where it is less: speech 40 dB below
# hum makes 17, steady noise 1.2.
STEADY_BANDS, BAND_FLOOR = 3.0, 1e-3
LOUD = 0.01  # root mean square: -40 dBFS

LONGEST = round(30 / FRAME_SECONDS)  # frames of a chunk
SHORTEST = LONGEST // 2  # its end is looked for between the two, if it has no pause
# A chunk ends in the first pause so long, in frames, that comes so many after its first sound; or in a long one,
# however soon. dev-mini as one recording has 6.9 % errors so, and 7.8 % in chunks as long as possible: the language
# models take their ends for those of sentences. Common Voice dev, twenty utterances a recording and a second between
# them, has 19.8 %, and 22.3 % where a long pause is a pause like others.
PAUSE, LEAST, LONG_PAUSE = 12, round(5 / FRAME_SECONDS), round(1 / FRAME_SECONDS)
SEAM, NEAR = round(5 / FRAME_SECONDS), round(1 / FRAME_SECONDS)  # frames before the end; a seam is laid between them
GAP = round(0.5 / FRAME_SECONDS)  # frames without a sound that a run of speech may hold
AROUND = round(1 / FRAME_SECONDS)  # frames around speech in which weak sounds are taken for some, too
# Nats by which a run of speech must beat blanks, altogether and for every frame of it. Speech has 2 to 7 a frame, 1 or
# 2 at a signal-to-noise ratio of 0 to 5 dB, and no run of it under 50. Noise, hum and music have a few in all, or 0.3 a
# frame.
RUN_COST, FRAME_COST = 15.0, 0.5
# What barks, crows or cries sounds like no unit in particular. By how many nats the best unit of a frame with a sound
# beats the blank, and twice its log-prob, come to 1.0 on average in a run of speech, or more: to -1.2 in 98 of 100 that
# are beside loud noise, rooms and telephones; in 19 of 20 of the long runs that are no speech to less.
CLEAR = -1.2
# A short word has too few sounds to beat the blanks by so much: what it lacks of RUN_COST, MOST_LACKING at most,
# clearness must make up for. Of 88 runs in digits with pauses 73 are heard so, 24 without; of 1,440 in 2.3 hours of
# noise 10, and 4.
UNLIKELY, MOST_LACKING = 0.14, 10.0
BRIEF = round(2 / FRAME_SECONDS)  # frames of a recording that was cut to hold a word: whatever sounds in it is speech
NEVER = -1e4  # log P of what can't be
IS_BLANK = 0.9  # the probability of a blank that counts as one


@dataclass(frozen=True)
class Window:
    """Sound float32 [N] that the acoustic model reads, and which of the frames that it gives are wanted."""

    waveform: np.ndarray
    frames: slice


def windows(blocks: Iterable[np.ndarray], longest: float = WINDOW, context: float = CONTEXT) -> Iterator[Window]:
    """Windows over a recording given in blocks float32 [n]; their wanted frames are those of it all.

    One of `longest` seconds at most is one window. Of a longer one each window is wanted for a quarter to two thirds of
    that, up to the quietest moment there, so that speakers mix little: the front end levels out what is common to all
    of a window. The last is as long as may be, whatever is new in it: there might be nothing to level by.
    """
    most, around = (round(seconds * SAMPLE_RATE) // FRAME * FRAME for seconds in (longest, context))
    sound, done = np.zeros(0, np.float32), 0  # what is kept, and how much of that was read for
    for block in blocks:
        sound = np.concatenate([sound, block])
        while len(sound) - (start := max(0, done - around)) > most:
            low, high = (done + most * part // 12 // FRAME * FRAME for part in (3, 8))
            end = low + FRAME * quietest(sound[low - QUIET // 2 * FRAME : high + QUIET // 2 * FRAME])
            yield Window(sound[start : end + around], slice((done - start) // FRAME, (end - start) // FRAME))
            forget = max(0, end - most)
            sound, done = sound[forget:], end - forget
    if len(sound) > done:
        start = done - min(done, most - (len(sound) - done)) // FRAME * FRAME
        yield Window(sound[start:], slice((done - start) // FRAME, None))


def quietest(waveform: np.ndarray) -> int:
    """At which frame of [N] the QUIET quietest ones begin."""
    energy = np.square(waveform).reshape(-1, FRAME).sum(1)
    return int(np.convolve(energy, np.ones(QUIET), mode="valid").argmin())


def is_silent(waveform: np.ndarray) -> bool:
    """Whether [N] holds nothing that could be speech; true of an empty one.

    Not even noise, that is, which the acoustic model would level up to speech; or what is loud, but always the same.
    """
    return not len(waveform) or float(np.abs(waveform - waveform.mean()).max()) <= SILENCE or is_steady(waveform)


def is_steady(waveform: np.ndarray) -> bool:
    """Whether [N] sounds always the same: the acoustic model hears phones in hum, and may be sure of them.

    Speech may be weak beside a hum that is always the same; so it is looked for in each band of frequencies, too.
    """
    count = len(waveform) // MOMENT
    if count < MOMENTS:
        return False
    moments = (waveform - waveform.mean())[: count * MOMENT].reshape(count, MOMENT)
    low, high = np.percentile(np.square(moments).mean(1), (5, 95))
    if high >= STEADY * low:
        return False
    power = np.square(np.abs(np.fft.rfft(moments * np.hanning(MOMENT).astype(np.float32))))
    usual = np.median(power, 0)
    low, high = np.percentile((power / (usual + BAND_FLOOR * usual.mean())).mean(1), (5, 95))
    return bool(high < STEADY_BANDS * low)


def is_loud(waveform: np.ndarray) -> bool:
    """Whether somebody who listens to [N] would wonder why no word is written of it."""
    return len(waveform) > 0 and float(waveform.std()) >= LOUD


@dataclass(frozen=True)
class Chunk:
    """Emissions [T, units] that are searched at once."""

    log_probs: np.ndarray
    pause: bool  # does it end in a pause, or with the recording?


def chunks(emissions: Iterable[np.ndarray]) -> Iterator[Chunk]:
    """Divide emissions without end, given in chunks [t, units], whatever their sizes.

    A chunk ends in the first pause after LEAST frames; if LONGEST come without one, at the longest run of blanks in
    the second half of them.
    """
    pending: np.ndarray | None = None
    begun = False  # in the middle of speech?
    alone = True  # is all that there was still pending?
    for chunk in emissions:
        pending = chunk if pending is None else np.concatenate([pending, chunk])
        while cut := first_pause(pending[:LONGEST]) or (LONGEST if len(pending) > LONGEST else 0):
            pause = cut < LONGEST
            if not pause:
                runs = blank_runs(pending[SHORTEST:LONGEST])
                first, end = runs[np.diff(runs)[:, 0].argmax()].tolist() if len(runs) else (LONGEST - SHORTEST,) * 2
                cut, pause = SHORTEST + (first + end) // 2, end - first >= PAUSE
            yield Chunk(speech_only(pending[:cut], begun, not pause), pause)
            pending, begun, alone = pending[cut:], not pause, False
    if pending is not None and len(pending):
        brief = alone and len(pending) <= BRIEF
        yield Chunk(pending if brief else speech_only(pending, begun, False), True)


def first_pause(log_probs: np.ndarray) -> int:
    """The middle of the first pause between sounds in emissions [T, units] that ends a chunk.

    0 if there is none: silence at an end is not cut off.
    """
    begin = 0
    for first, end in blank_runs(log_probs).tolist():
        if first == 0:
            begin = end
        elif end < len(log_probs) and end - first >= PAUSE:
            middle = (first + end) // 2
            if middle - begin >= LEAST or end - first >= LONG_PAUSE:
                return int(middle)
    return 0


def blank_runs(log_probs: np.ndarray) -> np.ndarray:
    """First and past-the-end frames [runs, 2] of the runs of blanks in emissions [T, units]."""
    is_blank = np.exp(log_probs[:, BLANK]) > IS_BLANK
    return np.flatnonzero(np.diff(is_blank, prepend=False, append=False)).reshape(-1, 2)


def speech_only(log_probs: np.ndarray, begun: bool, unfinished: bool) -> np.ndarray:
    """Emissions [T, units], but where nothing near sounds like speech the blank is certain."""
    return np.where(is_speech(log_probs, begun, unfinished)[:, None], log_probs, blanks(*log_probs.shape))


def is_speech(log_probs: np.ndarray, begun: bool, unfinished: bool, clear: float = CLEAR) -> np.ndarray:
    """Which frames of emissions [T, units] are near what sounds like speech, bool [T].

    Speech is a run of sounds, each GAP from the next at most, in which the best units beat the blank by many nats, and
    other units, too.
    begun, unfinished: is the beginning, or the end, in the middle of speech? What sounds there is more than is seen.
    """
    evidence = sounding(log_probs)
    clearness = 3 * evidence + 2 * log_probs[:, BLANK]  # evidence, and twice the best unit's log-prob
    sounds = np.flatnonzero(evidence > 0)
    speech = np.zeros(len(log_probs), dtype=bool)
    for run in np.split(sounds, np.flatnonzero(np.diff(sounds) > GAP) + 1):
        if not len(run):
            continue
        first, end = int(run[0]), int(run[-1]) + 1
        cut_off = (begun and first <= GAP) or (unfinished and end >= len(log_probs) - GAP)
        lacking = max(0.0, RUN_COST + FRAME_COST * (end - first) - evidence[run].sum())
        sure = lacking <= MOST_LACKING and clearness[run].mean() >= clear + UNLIKELY * lacking
        if cut_off or sure:
            speech[max(0, first - AROUND) : end + AROUND] = True
    return speech


def sounding(log_probs: np.ndarray) -> np.ndarray:
    """By how many nats the best unit beats the blank in each frame of emissions [T, units]: float32 [T]."""
    return np.asarray(log_probs[:, BLANK + 1 :].max(1) - log_probs[:, BLANK])


def blanks(frames: int, units: int) -> np.ndarray:
    """Emissions in which the blank is certain, float32 [frames, units]."""
    log_probs = np.full((frames, units), NEVER, np.float32)
    log_probs[:, BLANK] = 0.0
    return log_probs


def seam(times: Sequence[tuple[int, int]], frames: int) -> int:
    """Where to divide a chunk of so many frames that ends in no pause: between words, of these first and end frames.

    In the longest gap of its last SEAM frames, but before NEAR: a word that is cut off there may have been taken for
    another, and has yet to be read with what follows.
    """
    gaps = [(end, first) for (_, end), (first, _) in pairwise(times) if frames - SEAM <= first <= frames - NEAR]
    if gaps:
        end, first = max(gaps, key=lambda gap: gap[1] - gap[0])
        return (end + first + 1) // 2
    # There is one word, at most: it goes to what follows, if it may go on there.
    return times[-1][0] if times and times[-1][0] > 0 and times[-1][1] > frames - NEAR else frames
