import io
import os
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio import AudioError, load, to_mono_16k


def tone(rate: int = 16_000, seconds: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


def encoded(samples: np.ndarray, rate: int = 16_000, format: str = "WAV", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=format, subtype=subtype)
    return buffer.getvalue()


def with_rate(rate: int) -> bytes:
    """A wav whose header tells another rate."""
    data = encoded(tone())
    return data[:24] + struct.pack("<I", rate) + data[28:]


def pitch(waveform: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(spectrum.argmax()) * 16_000 / len(waveform)


@pytest.mark.parametrize(
    ("name", "format", "subtype"),
    [
        ("a.wav", "WAV", "PCM_16"),
        ("a.wav", "WAV", "FLOAT"),
        ("a.flac", "FLAC", None),
        ("a.ogg", "OGG", "VORBIS"),
        ("a.opus", "OGG", "OPUS"),
        ("a.mp3", "MP3", None),
    ],
)
def test_formats(tmp_path: Path, name: str, format: str, subtype: str | None) -> None:
    path = tmp_path / name
    path.write_bytes(encoded(tone(), 16_000, format, subtype))
    waveform = load(path)
    assert waveform.dtype == np.float32
    assert len(waveform) == 8000
    assert pitch(waveform) == pytest.approx(440, abs=2)
    assert load(io.BytesIO(path.read_bytes())) == pytest.approx(waveform, abs=1e-6)


@pytest.mark.parametrize("rate", [1000, 8000, 11_025, 15_999, 22_050, 44_100, 44_101, 48_000, 384_000, 768_000])
def test_rates(rate: int) -> None:
    waveform = to_mono_16k(tone(rate), rate)
    assert len(waveform) == pytest.approx(8000, abs=3)
    assert pitch(waveform) == pytest.approx(440, abs=2)


def test_channels_are_averaged() -> None:
    channels = np.stack([tone() * index / 16 for index in range(32)], axis=1)
    assert load(io.BytesIO(encoded(channels, subtype="FLOAT"))) == pytest.approx(tone() * 31 / 32, abs=1e-6)


def test_a_pipe(tmp_path: Path) -> None:
    read, write = os.pipe()
    data = encoded(tone())  # less than a pipe holds
    with os.fdopen(read, "rb") as pipe:
        os.write(write, data)
        os.close(write)
        assert len(load(pipe)) == 8000


def test_what_is_left_of_a_wav_is_read() -> None:
    data = encoded(tone())
    assert len(load(io.BytesIO(data[: len(data) // 2]))) == pytest.approx(4000, abs=30)


def test_tiny_inputs() -> None:
    assert len(load(io.BytesIO(encoded(tone()[:1])))) == 1
    assert len(load(io.BytesIO(encoded(tone()[:50], 48_000)))) == 17


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"hello\n", "not a sound file"),
        (encoded(tone(), format="FLAC")[:3000], "damaged"),
        (encoded(tone()[:0]), "holds no samples"),
        (encoded(np.append(tone(), np.nan), subtype="FLOAT"), "1 of 8001 samples are NaN"),
        (encoded(np.append(tone(), -np.inf), subtype="FLOAT"), "1 of 8001 samples are NaN, infinite"),
        (encoded(np.append(tone(), 1e30), subtype="FLOAT"), "1 of 8001 samples are NaN, infinite or beyond"),
        (with_rate(1), "a sampling rate of 1 Hz is outside"),
        (with_rate(2**31 - 1), "a sampling rate of 2,147,483,647 Hz is outside"),
    ],
)
def test_unusable_input(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "recording.wav"
    path.write_bytes(data)
    sources: list[Path | BinaryIO] = [path, io.BytesIO(data)]
    for source in sources:
        with pytest.raises(AudioError, match=problem) as error:
            load(source)
        assert "\n" not in str(error.value)
        assert ": " in str(error.value)  # before the mend


def test_unusable_paths(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(encoded(tone()))
    for name, problem in (
        ("", "is a folder"),
        ("missing.wav", "no such file"),
        ("a.raw", "without a header"),
        ("x" * 300, "File name too long"),
    ):
        with pytest.raises(AudioError, match=problem):
            load(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.wav"
    path.write_bytes(encoded(tone()))
    path.chmod(0)
    with pytest.raises(AudioError, match="Permission denied"):
        load(path)


WAV, FLAC = encoded(tone(seconds=0.02)), encoded(tone(seconds=0.02), format="FLAC")


@settings(max_examples=200, derandomize=True, deadline=None)
@given(data=st.sampled_from([WAV, FLAC]), place=st.integers(0, 120), patch=st.binary(min_size=1, max_size=8))
def test_damaged_headers_give_sound_or_an_error(data: bytes, place: int, patch: bytes) -> None:
    try:
        waveform = load(io.BytesIO(data[:place] + patch + data[place + len(patch) :]))
    except AudioError:
        return
    assert np.isfinite(waveform).all()
