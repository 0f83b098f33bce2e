"""Audio in: any file or stream that libsndfile reads, to a 16 kHz mono waveform."""

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import torch
from torchaudio.functional import resample

from asr.features import SAMPLE_RATE


class AudioError(ValueError):
    """An input that holds no usable sound; the message is one line, naming the problem and the mend."""


def load(source: Path | BinaryIO) -> np.ndarray:
    """Read a wav, flac, ogg, opus or mp3 file, of any rate and channel count.

    Returns float32 [N] in -1..1, 16 kHz, the mean of the channels. A stream need not be seekable.
    Raises AudioError if there is no such file, or no sound in it.
    """
    try:
        if isinstance(source, Path):
            if source.is_dir():
                raise AudioError("is a folder: name the recordings in it")
            samples, rate = soundfile.read(source, dtype="float32", always_2d=True)
        else:
            samples, rate = soundfile.read(io.BytesIO(source.read()), dtype="float32", always_2d=True)
    except FileNotFoundError:
        raise AudioError("no such file") from None
    except soundfile.LibsndfileError as error:
        if isinstance(source, Path) and not source.exists():
            raise AudioError("no such file") from None
        if isinstance(source, Path) and source.stat().st_size == 0:
            raise AudioError("the file is empty (0 bytes)") from None
        raise AudioError(
            f"not a sound file that libsndfile reads ({error.error_string.strip(' .')}): "
            "convert it to wav, flac, ogg, opus or mp3"
        ) from None
    return to_mono_16k(samples, rate)


def to_mono_16k(samples: np.ndarray, rate: int) -> np.ndarray:
    """float [N] or [N, channels] at any rate to float32 [M] at 16 kHz. Raises AudioError on NaN or infinite samples."""
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    if not np.isfinite(mono).all():
        bad = int((~np.isfinite(mono)).sum())
        raise AudioError(f"{bad} of {len(mono)} samples are NaN or infinite: export the recording again")
    waveform = torch.from_numpy(np.ascontiguousarray(mono, dtype=np.float32))
    if rate != SAMPLE_RATE and len(waveform):
        waveform = resample(waveform, rate, SAMPLE_RATE)
    result: np.ndarray = waveform.numpy()
    return result
