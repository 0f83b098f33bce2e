"""Audio in: any file or stream that libsndfile reads, to a 16 kHz mono waveform."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import soundfile
import soxr

from asr.features import SAMPLE_RATE

if TYPE_CHECKING:
    from lhotse.cut import Cut

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz; a header outside them is damaged, or wasn't made for speech
LOUDEST = 2.0**31  # full scale is 1, but some tools write integers of up to 32 bits as floats; gain doesn't matter
BLOCK = 1 << 25  # samples read at once, all channels together: 128 MiB

CONVERT = "convert it to wav, flac, ogg, opus or mp3"


class AudioError(ValueError):
    """An input that holds no usable sound; the message is one line, naming the problem and the mend."""


def load(source: Path | BinaryIO) -> np.ndarray:
    """Read a wav, flac, ogg, opus or mp3 file, of any rate and channel count.

    Returns float32 [N] in -1..1, 16 kHz, the mean of the channels. A stream need not be seekable.
    Raises AudioError if there is no such file, or no sound in it. A flac that was cut short is an error, because its
    decoder notices; of wav, ogg, opus and mp3, which may be cut anywhere, what is there is read.
    """
    try:
        if isinstance(source, Path):
            with source.open("rb") as file:
                return load(file)
        stream = source if source.seekable() else io.BytesIO(source.read())
        mono, rate = _read(stream)
    except FileNotFoundError:
        raise AudioError("no such file: check its name") from None
    except IsADirectoryError:
        raise AudioError("is a folder: name the recordings in it") from None
    except OSError as error:
        raise AudioError(f"can't be read ({error.strerror}): check its name and permissions") from None
    return to_mono_16k(mono, rate)


def load_cut(cut: "Cut") -> np.ndarray:
    """The waveform float32 [N] at 16 kHz of a cut's own part of its recording. Raises AudioError, naming the cut."""
    audio = cut.recording.sources[0]
    try:
        # Cuts from shards bring their file along.
        waveform = load(io.BytesIO(audio.source) if audio.type == "memory" else Path(audio.source))
    except AudioError as error:
        raise AudioError(f"{cut.id}: {error}") from None
    first = round(cut.start * SAMPLE_RATE)
    return waveform[first : first + round(cut.duration * SAMPLE_RATE)]


def _read(stream: BinaryIO) -> tuple[np.ndarray, int]:
    """float32 [N], the mean of the channels, and the rate."""
    start = stream.tell()
    if not stream.read(1):
        raise AudioError("empty (0 bytes): record or copy it again")
    stream.seek(start)
    try:
        with soundfile.SoundFile(stream) as file:
            _check_rate(file.samplerate)
            size = max(1, BLOCK // file.channels)
            blocks = []
            while len(block := file.read(size, dtype="float32", always_2d=True)):
                blocks.append(block.mean(axis=1))
            rate = file.samplerate
    except soundfile.LibsndfileError as error:
        problem = error.error_string.removeprefix("Error : ").strip(" .")
        raise AudioError(f"damaged, or not a sound file that libsndfile reads ({problem}): {CONVERT}") from None
    except TypeError:  # soundfile wants to be told the rate of what is called .raw
        raise AudioError(f"raw samples without a header: {CONVERT}") from None
    if not blocks:
        raise AudioError("holds no samples: record it again")
    return np.concatenate(blocks), rate


def _check_rate(rate: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioError(
            f"a sampling rate of {rate:,} Hz is outside {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz: "
            "correct the header, or record it again"
        )


def to_mono_16k(samples: np.ndarray, rate: int) -> np.ndarray:
    """float [N] or [N, channels] at any rate to float32 [M] at 16 kHz.

    Raises AudioError on samples that are no sound (NaN, infinite, absurdly loud), and on absurd rates.
    """
    _check_rate(rate)
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    with np.errstate(invalid="ignore"):
        bad = len(mono) - np.count_nonzero(np.abs(mono) <= LOUDEST)
    if bad:
        raise AudioError(f"{bad} of {len(mono)} samples are NaN, infinite or beyond 2^31: export the recording again")
    waveform: np.ndarray = np.ascontiguousarray(mono, dtype=np.float32)
    if rate != SAMPLE_RATE:
        waveform = soxr.resample(waveform, rate, SAMPLE_RATE)
    return waveform
