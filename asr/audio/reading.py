"""Audio in: any file, stream or array, read in blocks, to a 16 kHz mono waveform."""

import io
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copyfileobj
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import soundfile
import soxr

from asr.audio import ffmpeg, files
from asr.audio.channels import Channel, chosen, mixed
from asr.audio.errors import AudioError, unreadable
from asr.audio.features import SAMPLE_RATE
from asr.audio.sides import Sides
from asr.audio.sound import NEAR, Sound, Span, Warn, add_span, block_size, check_rate, clock, places

if TYPE_CHECKING:
    from lhotse.cut import Cut

LOUDEST = 2.0**31  # full scale is 1, but some tools write integers of up to 32 bits as floats; gain doesn't matter
MOST_CHANNELS = 1024  # libsndfile's own bound
MOST_DAMAGED = 0.9  # of a recording; more isn't damaged, but something else than its header says
MOST_EACH = 64  # channels that are transcribed one by one; mixing desks have as many
BITS = (16, 24, 32)  # of integers, which lie in types that may hold more

log = logging.getLogger("asr")


def blocks(
    source: Path | BinaryIO | np.ndarray,
    channel: Channel = Channel.mix,
    start: float = 0.0,
    end: float | None = None,
    rate: int = SAMPLE_RATE,
    warn: Warn = log.warning,
) -> Iterator[np.ndarray]:
    """Read a recording, from `start` to `end` seconds, a few seconds at a time: float32 [n], 16 kHz, in -1..1.

    Of Channel.each the blocks are [n, channels], always of as many as the recording begins with.

    source: a file that libsndfile reads (wav, flac, ogg, opus, mp3, ...) or, with the extra `codecs`, FFmpeg (m4a, mp4,
    webm, ...); a stream that holds one, which need not be seekable; or an array [N] or [N, channels] at `rate` Hz, of
    floats, or of integers of 8, 16, 24 or 32 bits, in whatever type, whose full scale becomes 1.

    Of a file that holds several recordings, one after the other, all are read. Times are those that a player shows:
    where the sound begins late, or stops for a while, there is silence, and so where it is damaged. `warn` is told, in
    a line each, how many seconds of the file couldn't be read and where, whether it ends before its header says, and
    whether channels that were mixed seem to be the two sides of a call.

    Raises AudioError if there is no such file, or no sound in it, as soon as that is known.
    """
    if start < 0 or (end is not None and end <= start):
        until = "on" if end is None else f"to {end:g} s"
        raise AudioError(f"nothing lies from {start:g} s {until}: give a start of at least 0 and a later end")
    try:
        if isinstance(source, np.ndarray):
            yield from _resampled(_within(_array_sounds(source, rate), start, end), channel, start, warn)
        else:
            with _seekable(source) as stream:
                sounds = files.sounds(stream, start, end, warn)
                yield from _resampled(_within(sounds, start, end), channel, start, warn)
    except IsADirectoryError:
        raise AudioError("is a folder: name the recordings in it") from None
    except OSError as error:
        raise unreadable(error) from None


@contextmanager
def _seekable(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    """A file, opened; a stream, or what it holds in a file if it can't be sought in."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    elif source.seekable():
        yield source
    else:
        with tempfile.TemporaryFile() as file:
            copyfileobj(source, file)
            file.seek(0)
            yield file


def load(
    source: Path | BinaryIO | np.ndarray,
    channel: Channel = Channel.mix,
    start: float = 0.0,
    end: float | None = None,
    rate: int = SAMPLE_RATE,
    warn: Warn = log.warning,
) -> np.ndarray:
    """All of what `blocks` gives, float32 [N], or [N, channels] of Channel.each."""
    return np.concatenate(list(blocks(source, channel, start, end, rate, warn)))


def load_cut(cut: "Cut") -> np.ndarray:
    """The waveform float32 [N] at 16 kHz of a cut's own part of its recording, of its channel.

    The cut is one that data_prep.manifest.unusable lets pass. Raises AudioError, naming the cut.
    """
    audio = cut.recording.sources[0]
    both = cut.recording.num_channels == 2
    channel = (Channel.left, Channel.right)[cut.recording.channel_ids.index(cut.channel)] if both else Channel.mix
    try:
        # Cuts from shards bring their file along.
        source = io.BytesIO(audio.source) if audio.type == "memory" else Path(audio.source)
        return load(source, channel, start=cut.start, end=cut.start + cut.duration, warn=_refuse)
    except AudioError as error:
        raise AudioError(f"{cut.id}: {error}") from None


def _refuse(problem: str) -> None:
    """For speech with known text: what is lost of it would be learnt, or counted, as silence."""
    raise AudioError(problem)


def duration(path: Path) -> float | None:
    """How many seconds a file holds by what its header says; None if it doesn't say, or can't be read."""
    if not path.is_file():  # a pipe could be read but once
        return None
    try:
        info = soundfile.info(path)
        return info.frames / info.samplerate if 0 < info.frames < 2**62 and info.samplerate else None
    except (soundfile.LibsndfileError, TypeError, OSError):
        pass
    try:
        with path.open("rb") as file:
            return ffmpeg.duration(file)
    except OSError:
        return None


def _within(sounds: Iterator[Sound], start: float, end: float | None) -> Iterator[Sound]:
    """What lies between two times."""
    for sound in sounds:
        first = max(0, round((start - sound.time) * sound.rate))
        last = None if end is None else max(0, round((end - sound.time) * sound.rate))
        if len(samples := sound.samples[first:last]):
            yield replace(sound, samples=samples, time=max(start, sound.time))


def _array_sounds(samples: np.ndarray, rate: int) -> Iterator[Sound]:
    check_rate(rate)
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu":
        raise AudioError(f"an array {samples.dtype} {list(samples.shape)}: give numbers, [N] or [N, channels]")
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.shape[1] > max(1, min(MOST_CHANNELS, len(samples))):
        raise AudioError(f"an array of {samples.shape[1]} channels: give [N, channels], perhaps its transpose")
    middle, scale = 0.0, 1.0
    if samples.dtype.kind == "u":  # eight bits are often unsigned
        middle = scale = (np.iinfo(samples.dtype).max + 1) / 2
    elif samples.dtype.kind == "i" and len(samples):
        peak = max(int(samples.max()), -1 - int(samples.min()))
        width = 8 * samples.itemsize
        bits = next((bits for bits in BITS if peak < 1 << (bits - 1)), width)
        scale = 2.0 ** (min(bits, width) - 1)
    size = block_size(rate, samples.shape[1])
    for first in range(0, len(samples), size):
        block = samples[first : first + size].astype(np.float64)
        yield Sound((block - middle) / scale, rate, first / rate)


def _resampled(sounds: Iterator[Sound], channel: Channel, start: float, warn: Warn) -> Iterator[np.ndarray]:
    """Sound of any rate and number of channels, which may change: float32 at 16 kHz, [n], or [n, channels] of each.

    Samples that are no sound (NaN, infinite, absurdly loud) become silence, and `warn` is told of them. Raises
    AudioError if they are everywhere.
    """
    resampler, rate, count, seconds = None, 0, 1, 0.0
    damaged: list[Span] = []
    sides = Sides()

    def shaped(samples: np.ndarray) -> np.ndarray:
        return samples if channel is Channel.each else samples[:, 0]

    def last() -> np.ndarray:
        assert resampler is not None
        return shaped(resampler.resample_chunk(np.zeros((0, count), np.float32), last=True))

    for sound in sounds:
        # Where a recording of two channels goes on with one, that is the one to hear.
        goes_on = rate and sound.samples.shape[1] == 1 and channel is Channel.right
        samples, bad = cleared(chosen(sound.samples, Channel.left if goes_on else channel))
        seconds += len(bad) / sound.rate
        _add_runs(damaged, bad, sound)
        if channel is Channel.mix:
            sides.hear(samples, sound.rate)
            samples = mixed(samples)
        elif channel is Channel.each:
            count = count if rate else samples.shape[1]
            samples = _fitted(samples, count, sound.time)
        if sound.rate != rate:
            if resampler is not None:
                yield last()
            rate = sound.rate
            resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, count, dtype="float32")
        samples = np.ascontiguousarray(samples, dtype=np.float32)
        yield shaped(samples if resampler is None else resampler.resample_chunk(samples))
    if not rate:
        raise AudioError(
            f"holds no samples after {start:g} s: give an earlier start"
            if start
            else "holds no samples: record it again"
        )
    if sum(length for _, length in damaged) > MOST_DAMAGED * seconds:
        raise AudioError("is no sound (NaN, infinite or beyond 2^31) throughout: export the recording again")
    if resampler is not None:
        yield last()
    if damaged:
        warn(f"{places(damaged)} is no sound (NaN, infinite or beyond 2^31): silence stands for it")
    if sides.differ():
        warn("its channels differ: two sides of a call? --channel each transcribes both")


def cleared(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[n, channels] with silence for what is no sound, and in which of the n any is, bool [n]."""
    with np.errstate(invalid="ignore"):
        sound = np.abs(samples) <= LOUDEST
    bad = ~sound.all(axis=1)
    return (np.where(sound, samples, 0) if bad.any() else samples), bad


def _add_runs(spans: list[Span], bad: np.ndarray, sound: Sound) -> None:
    """Add the times at which samples of a sound are bad."""
    places = np.flatnonzero(bad)
    for run in np.split(places, np.flatnonzero(np.diff(places) > NEAR * sound.rate) + 1):
        if len(run):
            add_span(spans, sound.time + run[0] / sound.rate, (run[-1] + 1 - run[0]) / sound.rate)


def _fitted(samples: np.ndarray, count: int, time: float) -> np.ndarray:
    """[n, channels], from a time on, to [n, count]: one that goes on as several is mixed, others fall silent.

    Raises AudioError for too many channels, and where there become more of several.
    """
    channels = samples.shape[1]
    if count > MOST_EACH:
        raise AudioError(f"has {count} channels, of which each of {MOST_EACH} is transcribed at most: ask for mix")
    if channels > count > 1:
        raise AudioError(f"has {count} channels, and {channels} from {clock(time)} on: ask for mix, or cut it there")
    samples = mixed(samples) if channels > count else samples
    return np.pad(samples, ((0, 0), (0, count - samples.shape[1])))
