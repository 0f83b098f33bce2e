"""Audio in: any file, stream or array, read in blocks, to a 16 kHz mono waveform."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfileobj
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import soundfile
import soxr

from asr.audio.channels import Channel, one_channel
from asr.audio.errors import AudioError
from asr.audio.features import SAMPLE_RATE

if TYPE_CHECKING:
    from lhotse.cut import Cut

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz; a header outside them is damaged, or wasn't made for speech
LOUDEST = 2.0**31  # full scale is 1, but some tools write integers of up to 32 bits as floats; gain doesn't matter
MOST_CHANNELS = 1024  # libsndfile's own bound
BLOCK_SECONDS = 4
BLOCK = 1 << 22  # samples read at once at most, all channels together: 16 MiB

CONVERT = "convert it to wav, flac, ogg, opus or mp3"
CODECS = "m4a, mp4 and webm need pip install 'nicebeach[codecs]'"
NOT_SOUGHT = ("OGG", "MP3")  # in these libsndfile misses the place, or begins with noise
# What FFmpeg may take a file for. Among the others are playlists, which make it open further files and addresses.
FFMPEG = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,asf,avi,flv,mpegts,amr,ac3,eac3,ape,wv,tta"}
MICROSECONDS = 1_000_000  # FFmpeg's unit of time

Blocks = Iterator[tuple[np.ndarray, int]]  # float32 [n, channels] and their rate, which stays the same


def blocks(
    source: Path | BinaryIO | np.ndarray,
    channel: Channel = Channel.mix,
    start: float = 0.0,
    end: float | None = None,
    rate: int = SAMPLE_RATE,
) -> Iterator[np.ndarray]:
    """Read a recording, from `start` to `end` seconds, a few seconds at a time: float32 [n], 16 kHz, in -1..1.

    source: a file that libsndfile reads (wav, flac, ogg, opus, mp3, ...) or, with the extra `codecs`, FFmpeg (m4a, mp4,
    webm, ...); a stream that holds one, which need not be seekable; or an array [N] or [N, channels] at `rate` Hz, of
    floats or of integers, whose full scale becomes 1.

    Raises AudioError if there is no such file, or no sound in it, as soon as that is known: a NaN an hour after the
    start is found after an hour was given out. A flac that was cut short is an error, because its decoder notices; of
    wav, ogg, opus and mp3, which may be cut anywhere, what is there is read.
    """
    if start < 0 or (end is not None and end <= start):
        until = "on" if end is None else f"to {end:g} s"
        raise AudioError(f"nothing lies from {start:g} s {until}: give a start of at least 0 and a later end")
    try:
        if isinstance(source, np.ndarray):
            yield from _resampled(_array_blocks(source, rate, start, end), channel, start)
        elif isinstance(source, Path):
            with source.open("rb") as file:
                yield from _resampled(_stream_blocks(file, start, end), channel, start)
        elif source.seekable():
            yield from _resampled(_stream_blocks(source, start, end), channel, start)
        else:
            with tempfile.TemporaryFile() as file:
                copyfileobj(source, file)
                file.seek(0)
                yield from _resampled(_stream_blocks(file, start, end), channel, start)
    except FileNotFoundError:
        raise AudioError("no such file: check its name") from None
    except IsADirectoryError:
        raise AudioError("is a folder: name the recordings in it") from None
    except OSError as error:
        raise AudioError(f"can't be read ({error.strerror}): check its name and permissions") from None


def load(
    source: Path | BinaryIO | np.ndarray,
    channel: Channel = Channel.mix,
    start: float = 0.0,
    end: float | None = None,
    rate: int = SAMPLE_RATE,
) -> np.ndarray:
    """All of what `blocks` gives, float32 [N]."""
    return np.concatenate([np.zeros(0, np.float32), *blocks(source, channel, start, end, rate)])


def load_cut(cut: "Cut") -> np.ndarray:
    """The waveform float32 [N] at 16 kHz of a cut's own part of its recording. Raises AudioError, naming the cut."""
    audio = cut.recording.sources[0]
    try:
        # Cuts from shards bring their file along.
        source = io.BytesIO(audio.source) if audio.type == "memory" else Path(audio.source)
        return load(source, start=cut.start, end=cut.start + cut.duration)
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
    try:
        import av
    except ImportError:
        return None
    try:
        with path.open("rb") as file, av.open(file, mode="r", options=FFMPEG) as container:
            return container.duration / MICROSECONDS if container.duration else None
    except (av.FFmpegError, OSError):
        return None


class _SoundFile(soundfile.SoundFile):
    """One that is read onwards. Its parent seeks to where it is after every read, where MP3 then begins anew."""

    def seekable(self) -> bool:
        return False

    @property
    def can_seek(self) -> bool:
        return super().seekable()


def _stream_blocks(stream: BinaryIO, start: float, end: float | None) -> Blocks:
    """What a seekable stream holds, by whichever library reads it."""
    begin = stream.tell()
    if not stream.read(1):
        raise AudioError("empty (0 bytes): record or copy it again")
    stream.seek(begin)
    try:
        file = _SoundFile(stream)
    except TypeError:  # soundfile wants to be told the rate of what is called .raw
        raise AudioError(f"raw samples without a header: {CONVERT}") from None
    except soundfile.LibsndfileError as error:
        problem = _problem(error)
        stream.seek(begin)
        yield from _ffmpeg_blocks(stream, start, end, problem)
        return
    with file:
        try:
            yield from _libsndfile_blocks(file, start, end)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"damaged ({_problem(error)}): {CONVERT}, or copy it again") from None


def _problem(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string.removeprefix("Error : ").strip(" ."))


def _libsndfile_blocks(file: _SoundFile, start: float, end: float | None) -> Blocks:
    _check_rate(rate := file.samplerate)
    place, first, last = 0, round(start * rate), None if end is None else round(end * rate)
    if first and file.can_seek and file.format not in NOT_SOUGHT:
        place = file.seek(min(first, file.frames))
    size = _block_size(rate, file.channels)
    while last is None or place < last:
        # What can't be sought is read over.
        count = min(size, (first if place < first else last or place + size) - place)
        block = file.read(count, dtype="float32", always_2d=True)
        if not len(block):
            break
        if place >= first:
            yield block, rate
        place += len(block)


def _ffmpeg_blocks(stream: BinaryIO, start: float, end: float | None, problem: str) -> Blocks:
    """By PyAV. problem: what libsndfile said of the stream."""
    try:
        import av
    except ImportError:
        message = f"damaged, or not a sound file that libsndfile reads ({problem}): {CONVERT}; {CODECS}"
        raise AudioError(message) from None
    try:
        with av.open(stream, mode="r", options=FFMPEG) as container:
            sound = next(iter(container.streams.audio), None)
            if sound is None:
                raise AudioError("holds no sound, only other things: record it again")
            _check_rate(rate := sound.rate)
            origin = float((sound.start_time or 0) * (sound.time_base or 0))
            first, last = round(start * rate), None if end is None else round(end * rate)
            if first:  # to the nearest place before it from which decoding can begin
                container.seek(round((origin + start) * MICROSECONDS))
            resampler = av.AudioResampler(format="fltp", rate=rate)
            place = -1  # samples of the recording before the next frame; -1: not known yet
            for frame in (frame for decoded in container.decode(sound) for frame in resampler.resample(decoded)):
                if place < 0:
                    place = round(((frame.time or origin) - origin) * rate) if first else 0
                block = frame.to_ndarray().T[max(0, first - place) : None if last is None else max(0, last - place)]
                if len(block):
                    yield block, rate
                place += frame.samples
                if last is not None and place >= last:
                    break
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"damaged, or not a sound file ({problem}): {CONVERT}") from None


def _array_blocks(samples: np.ndarray, rate: int, start: float, end: float | None) -> Blocks:
    _check_rate(rate)
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu":
        raise AudioError(f"an array {samples.dtype} {list(samples.shape)}: give numbers, [N] or [N, channels]")
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.shape[1] > max(1, min(MOST_CHANNELS, len(samples))):
        raise AudioError(f"an array of {samples.shape[1]} channels: give [N, channels], perhaps its transpose")
    middle, scale = 0.0, 1.0
    if samples.dtype.kind in "iu":
        limits = np.iinfo(samples.dtype)
        middle = 0.0 if limits.min else (limits.max + 1) / 2  # eight bits are often unsigned
        scale = limits.max + 1 - middle
    samples = samples[round(start * rate) : None if end is None else round(end * rate)]
    size = _block_size(rate, samples.shape[1])
    for first in range(0, len(samples), size):
        block = samples[first : first + size].astype(np.float64)
        yield (block - middle) / scale, rate


def _block_size(rate: int, channels: int) -> int:
    return max(1, min(BLOCK_SECONDS * rate, BLOCK // channels))


def _check_rate(rate: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioError(
            f"a sampling rate of {rate:,} Hz is outside {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz: "
            "correct the header, or record it again"
        )


def _resampled(source: Blocks, channel: Channel, start: float) -> Iterator[np.ndarray]:
    """One channel of float [n, channels] at any rate, float32 [n] at 16 kHz.

    Raises AudioError on samples that are no sound (NaN, infinite, absurdly loud), and if there are none.
    """
    resampler, heard = None, 0
    for block, rate in source:
        mono = one_channel(block, channel)
        with np.errstate(invalid="ignore"):
            good = np.abs(mono) <= LOUDEST
        if not good.all():
            seconds = start + (heard + int(good.argmin())) / rate
            raise AudioError(f"NaN, infinite or beyond 2^31 at {seconds:.2f} s: export the recording again")
        heard += len(mono)
        mono = np.ascontiguousarray(mono, dtype=np.float32)
        if rate == SAMPLE_RATE:
            yield mono
            continue
        if resampler is None:
            resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
        yield resampler.resample_chunk(mono)
    if not heard:
        raise AudioError(
            f"holds no samples after {start:g} s: give an earlier start"
            if start
            else "holds no samples: record it again"
        )
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
