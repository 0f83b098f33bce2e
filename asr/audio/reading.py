"""Audio in: any file, stream or array, read in blocks, to a 16 kHz mono waveform."""

import io
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copyfileobj
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
import soundfile
import soxr

from asr.audio import ffmpeg, libsndfile
from asr.audio.channels import Channel, one_channel
from asr.audio.errors import AudioError
from asr.audio.features import SAMPLE_RATE
from asr.audio.libsndfile import Unreadable
from asr.audio.parts import Part, Piece, parts
from asr.audio.sound import Sound, Warn, add_span, block_size, check_rate, clock, places

if TYPE_CHECKING:
    from lhotse.cut import Cut

LOUDEST = 2.0**31  # full scale is 1, but some tools write integers of up to 32 bits as floats; gain doesn't matter
MOST_CHANNELS = 1024  # libsndfile's own bound
BITS = (16, 24, 32)  # of integers, which lie in types that may hold more
HOLE = 0.1  # seconds; less is no hole between what is heard, but rounding of its times
CUT = 0.25  # seconds; less may be missing at an end, as decoders begin and end where frames do

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

    source: a file that libsndfile reads (wav, flac, ogg, opus, mp3, ...) or, with the extra `codecs`, FFmpeg (m4a, mp4,
    webm, ...); a stream that holds one, which need not be seekable; or an array [N] or [N, channels] at `rate` Hz, of
    floats, or of integers of 8, 16, 24 or 32 bits, in whatever type, whose full scale becomes 1.

    Of a file that holds several recordings, one after the other, all are read. Times are those that a player shows:
    where the sound begins late, or stops for a while, there is silence, and so where it is damaged. `warn` is told, in
    a line each, how many seconds of the file couldn't be read and where, and whether it ends before its header says.

    Raises AudioError if there is no such file, or no sound in it, as soon as that is known: a NaN an hour after the
    start is found after an hour was given out.
    """
    if start < 0 or (end is not None and end <= start):
        until = "on" if end is None else f"to {end:g} s"
        raise AudioError(f"nothing lies from {start:g} s {until}: give a start of at least 0 and a later end")
    try:
        if isinstance(source, np.ndarray):
            yield from _resampled(_within(_array_sounds(source, rate), start, end), channel, start)
        else:
            with _seekable(source) as stream:
                yield from _resampled(_within(_stream_sounds(stream, start, end, warn), start, end), channel, start)
    except FileNotFoundError:
        raise AudioError("no such file: check its name") from None
    except IsADirectoryError:
        raise AudioError("is a folder: name the recordings in it") from None
    except OSError as error:
        raise AudioError(f"can't be read ({error.strerror}): check its name and permissions") from None


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
    """All of what `blocks` gives, float32 [N]."""
    return np.concatenate([np.zeros(0, np.float32), *blocks(source, channel, start, end, rate, warn)])


def load_cut(cut: "Cut") -> np.ndarray:
    """The waveform float32 [N] at 16 kHz of a cut's own part of its recording. Raises AudioError, naming the cut."""
    audio = cut.recording.sources[0]
    try:
        # Cuts from shards bring their file along.
        source = io.BytesIO(audio.source) if audio.type == "memory" else Path(audio.source)
        end = cut.start + cut.duration
        return load(source, start=cut.start, end=end, warn=lambda problem: log.warning("%s: %s", cut.id, problem))
    except AudioError as error:
        raise AudioError(f"{cut.id}: {error}") from None


def duration(path: Path) -> float | None:
    """How many seconds a file holds by what its header says; None if it doesn't say, or can't be read."""
    if not path.is_file():  # a pipe could be read but once
        return None
    try:
        info = soundfile.info(path)
        return info.frames / info.samplerate if 0 < info.frames < 2**62 and info.samplerate else None
    except (soundfile.LibsndfileError, TypeError, OSError):
        pass
    with path.open("rb") as file:
        return ffmpeg.duration(file)


def _stream_sounds(stream: BinaryIO, start: float, end: float | None, warn: Warn) -> Iterator[Sound]:
    """What a seekable stream holds, one after the other, with silence for what is lost, which `warn` is told.

    Some of what lies before `start` or behind `end` seconds may be left out.
    """
    begin = stream.tell()
    if not stream.read(1):
        raise AudioError("empty (0 bytes): record or copy it again")
    place = 0.0  # seconds up to which it was read
    lost: list[tuple[float, float]] = []  # start and seconds of what can't be decoded
    holes: list[tuple[float, float]] = []  # and of what isn't there
    found = parts(stream, begin)
    for part in found:
        whole = part.start == 0 and part.end == stream.seek(0, io.SEEK_END)
        piece = stream if whole else cast(BinaryIO, Piece(stream, part.start, part.end))
        piece.seek(0)
        origin, damaged = place + part.lost, part.lost
        for sound in _part_sounds(piece, part, origin, start - origin, warn):
            gap = max(0.0, origin + sound.time - place)
            damaged += sound.lost
            if damaged and place + gap >= start:
                add_span(lost, place, max(gap, damaged))
            elif gap > HOLE and place + gap > start and place > 0:
                add_span(holes, place, gap)
            if damaged or gap > HOLE:
                yield from _silence(sound, max(place, start), place + gap)
                place += gap
            if len(sound.samples):
                yield replace(sound, time=place)
                place += len(sound.samples) / sound.rate
            damaged = 0.0
            if end is not None and place >= end:
                break
            if sound.missing > CUT:
                warn(
                    f"ends at {clock(place)}, {sound.missing:.1f} s before its header says: it was cut off, or damaged"
                )
        else:
            continue
        break
    if lost:
        warn(f"{places(lost)} can't be decoded: silence stands for it")
    if holes:
        warn(f"{places(holes)} holds no sound, by its time stamps: silence stands for it")


def _part_sounds(stream: BinaryIO, part: Part, origin: float, start: float, warn: Warn) -> Iterator[Sound]:
    """What one recording holds, by whichever library reads it; begins some time before `start` seconds.

    Times are from where it begins, `origin` seconds after the file does.
    """
    place, rate, told, damaged = 0.0, SAMPLE_RATE, False, part.damaged
    problem = "the index of its sound is missing: it was cut off" if part.indexless else ""
    if part.damaged and ffmpeg.available():
        problem = "parts of it are missing"
    if not problem:
        try:
            behind = cast(BinaryIO, Piece(stream, part.header, part.end - part.start)) if part.header else None
            with libsndfile.opened(stream, behind) as file:
                if part.seconds - file.frames / file.samplerate > CUT and ffmpeg.available():
                    raise Unreadable("its header doesn't say how long it is")
                damaged = True  # if it doesn't end well
                for sound in libsndfile.sounds(file, start):
                    yield sound
                    place, rate = sound.end, sound.rate
        except Unreadable as error:
            problem = str(error)
    if problem:
        stream.seek(0)
        before = place
        try:
            for sound in ffmpeg.sounds(stream, max(start, before), problem):
                lost = sound.time - place if damaged and sound.time - place > HOLE else sound.lost
                known = max(0, round((before - sound.time) * sound.rate))  # samples that were read before
                if known < len(sound.samples) or not len(sound.samples):
                    time = max(before, sound.time)
                    yield replace(sound, samples=sound.samples[known:], time=time, lost=lost)
                place, rate, told = max(place, sound.end), sound.rate, sound.missing > CUT
        except AudioError:
            if not place:
                raise
            warn(f"damaged from {clock(origin + place)} on ({problem}): the rest isn't read; convert it to wav")
            told = True
    missing = max(part.promised - place if part.promised else 0.0, place / part.share - place)
    if missing > CUT and not told:
        yield Sound(np.zeros((0, 1), np.float32), rate, place, missing=missing)
    elif part.open_ended and not told:
        warn(f"ends at {clock(origin + place)} without a proper end: it may have been cut off")


def _silence(like: Sound, start: float, end: float) -> Iterator[Sound]:
    """Silence of the same rate and channels."""
    channels = like.samples.shape[1]
    size, left = block_size(like.rate, channels), round((end - start) * like.rate)
    while left > 0:
        samples = np.zeros((min(size, left), channels), np.float32)
        yield Sound(samples, like.rate, start)
        start, left = start + len(samples) / like.rate, left - size


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
        scale = next(
            2.0 ** (bits - 1) for bits in (*BITS, 64) if bits >= 8 * samples.itemsize or peak < 1 << (bits - 1)
        )
    size = block_size(rate, samples.shape[1])
    for first in range(0, len(samples), size):
        block = samples[first : first + size].astype(np.float64)
        yield Sound((block - middle) / scale, rate, first / rate)


def _resampled(sounds: Iterator[Sound], channel: Channel, start: float) -> Iterator[np.ndarray]:
    """One channel of sound of any rate and number of channels, which may change: float32 [n] at 16 kHz.

    Raises AudioError on samples that are no sound (NaN, infinite, absurdly loud), and if there are none.
    """
    resampler, rate = None, 0
    end = np.zeros(0, np.float32)
    for sound in sounds:
        # Where a recording of two channels goes on with one, that is the one to hear.
        heard = Channel.left if rate and sound.samples.shape[1] == 1 else channel
        with np.errstate(invalid="ignore", over="ignore"):
            mono = one_channel(sound.samples, heard)
            good = np.abs(mono) <= LOUDEST
        if not good.all():
            seconds = sound.time + int(good.argmin()) / sound.rate
            raise AudioError(f"NaN, infinite or beyond 2^31 at {seconds:.2f} s: export the recording again")
        if sound.rate != rate:
            if resampler is not None:
                yield resampler.resample_chunk(end, last=True)
            rate = sound.rate
            resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
        mono = np.ascontiguousarray(mono, dtype=np.float32)
        yield mono if resampler is None else resampler.resample_chunk(mono)
    if not rate:
        raise AudioError(
            f"holds no samples after {start:g} s: give an earlier start"
            if start
            else "holds no samples: record it again"
        )
    if resampler is not None:
        yield resampler.resample_chunk(end, last=True)
