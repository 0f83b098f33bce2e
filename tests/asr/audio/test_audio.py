import io
import os
import re
import struct
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio.channels import Channel
from asr.audio.errors import AudioError
from asr.audio.reading import blocks, duration, load


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
    waveform = load(tone(rate), rate=rate)
    assert len(waveform) == pytest.approx(8000, abs=3)
    assert pitch(waveform) == pytest.approx(440, abs=2)


def test_channels_are_averaged() -> None:
    channels = np.stack([tone() * index / 16 for index in range(32)], axis=1)
    assert load(io.BytesIO(encoded(channels, subtype="FLOAT"))) == pytest.approx(tone() * 31 / 32, abs=1e-6)


def test_one_channel_of_two(recordings: dict[Path, str]) -> None:
    left, right = tone(), tone(hertz=880)
    source = encoded(np.stack([left, right], axis=1), subtype="FLOAT")
    assert load(io.BytesIO(source), Channel.left) == pytest.approx(left, abs=1e-6)
    assert load(io.BytesIO(source), Channel.right) == pytest.approx(right, abs=1e-6)
    with pytest.raises(AudioError, match="no right one"):
        load(next(iter(recordings)), Channel.right)


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_part_is_that_of_the_whole(format: str) -> None:
    source = encoded(tone(seconds=10) * np.linspace(0.1, 1, 160_000), format=format)
    whole = load(io.BytesIO(source))
    part = load(io.BytesIO(source), start=2.5, end=9.25)
    assert part == pytest.approx(whole[40_000:148_000], abs=1e-4)
    assert load(io.BytesIO(source), start=9) == pytest.approx(whole[144_000:], abs=1e-4)
    assert len(load(io.BytesIO(source), start=9, end=1000)) == 16_000
    for start in (0.01, 0.05, 0.1, 0.15):  # where a search leads is no hole between sounds
        part = load(io.BytesIO(source), start=start, end=1)
        assert part == pytest.approx(whole[round(16_000 * start) : 16_000], abs=1e-4)


@pytest.mark.parametrize(("start", "end"), [(-1.0, None), (2.0, 2.0), (0.5, None)])
def test_parts_that_hold_nothing(start: float, end: float | None) -> None:
    with pytest.raises(AudioError, match="start"):
        load(io.BytesIO(encoded(tone())), start=start, end=end)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_blocks_are_the_whole(rate: int) -> None:
    sound = np.random.default_rng(1).uniform(-1, 1, round(9.7 * rate)).astype(np.float32)
    parts = list(blocks(io.BytesIO(encoded(sound, rate, subtype="FLOAT"))))
    assert len(parts) > 2
    whole = sound if rate == 16_000 else soxr.resample(sound, rate, 16_000)
    assert np.concatenate(parts) == pytest.approx(whole, abs=1e-6)


def test_arrays() -> None:
    sound = tone()
    for array, accuracy in (
        (sound, 1e-7),
        (sound.astype(np.float32), 1e-7),
        ((sound * 2**15).astype(np.int16), 1e-4),
        ((sound * 2**31).astype(np.int32), 1e-7),
        ((sound * 128 + 128).astype(np.uint8), 1e-2),
        (np.stack([sound, sound], axis=1), 1e-7),
    ):
        waveform = load(array)
        assert waveform.dtype == np.float32
        assert waveform == pytest.approx(sound, abs=accuracy)
    assert load(sound, start=0.125, end=0.25) == pytest.approx(sound[2000:4000], abs=1e-7)


@pytest.mark.parametrize(
    "array", [np.zeros((2, 1600)), np.zeros((1, 2, 3)), np.array(["sound"]), np.zeros(10, complex)]
)
def test_arrays_of_other_things(array: np.ndarray) -> None:
    with pytest.raises(AudioError, match="give"):
        load(array)


CODECS = [("mp4", "aac"), ("adts", "aac"), ("webm", "libopus"), ("matroska", "aac")]


def by_ffmpeg(path: Path, container: str, codec: str, rate: int = 48_000) -> bytes:
    """A recording in a format that libsndfile doesn't read."""
    import av

    sound, own_rate = soundfile.read(path, dtype="float32")
    frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
    frame.sample_rate = own_rate
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=rate)
        stream.layout = "stereo"
        for part in (*resampler.resample(frame), *resampler.resample(None), None):
            output.mux(stream.encode(part))
    return buffer.getvalue()


@pytest.mark.parametrize(("container", "codec"), CODECS)
def test_formats_by_ffmpeg(tmp_path: Path, recordings: dict[Path, str], container: str, codec: str) -> None:
    pytest.importorskip("av", reason="the extra codecs is not installed")
    path = next(iter(recordings))
    data = by_ffmpeg(path, container, codec)
    waveform, expected = load(io.BytesIO(data)), load(path)
    assert len(waveform) == pytest.approx(len(expected), abs=1600)
    likeness = [np.corrcoef(waveform[late:100_000], expected[: 100_000 - late])[0, 1] for late in range(1500)]
    assert max(likeness) > 0.95  # later by what the encoder needed to begin
    part = load(io.BytesIO(data), Channel.left, start=2, end=3.5)
    # Matroska's times are in milliseconds.
    assert max(np.corrcoef(part, waveform[32_000 + late : 56_000 + late])[0, 1] for late in range(-16, 17)) > 0.99
    file = tmp_path / "recording"
    file.write_bytes(data)
    assert duration(file) == pytest.approx(len(expected) / 16_000, abs=0.2)


def test_without_ffmpeg_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match=r"pip install 'nicebeach\[codecs\]'"):
        load(io.BytesIO(b"\0\0\0\x20ftypM4A "))


@pytest.mark.parametrize(
    "data", [b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/hosts\n"]
)
def test_playlists_are_no_sound(data: bytes) -> None:
    """They would make FFmpeg open other files."""
    with pytest.raises(AudioError, match="not a sound file"):
        load(io.BytesIO(data))


def test_durations(tmp_path: Path, recordings: dict[Path, str]) -> None:
    for path in recordings:
        assert duration(path) == pytest.approx(len(load(path)) / 16_000)
    (tmp_path / "a.txt").write_text("hello")
    assert duration(tmp_path / "a.txt") is duration(tmp_path / "missing") is None


def test_a_header_that_promises_too_much(tmp_path: Path) -> None:
    data = bytearray(encoded(tone()))
    data[4:8] = data[40:44] = struct.pack("<I", 2**31 - 1)
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    assert load(path) == pytest.approx(tone(), abs=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_what_is_no_sound_is_silence_and_told(bad: float, rate: int) -> None:
    sound = tone(rate, seconds=9)
    sound[5 * rate : 5 * rate + rate // 2 : 3] = bad
    sound[7 * rate] = bad
    whole = tone(rate, seconds=9)
    whole[~(np.abs(sound) < 1)] = 0.0
    problem = r"0\.5 s in 2 places \(0:05\.0, 0:07\.0\) is no sound \(NaN, infinite or beyond 2\^31\): silence stands"
    told: list[str] = []
    heard = load(io.BytesIO(encoded(sound, rate, subtype="FLOAT")), warn=told.append)
    assert heard == pytest.approx(load(io.BytesIO(encoded(whole, rate, subtype="FLOAT"))), abs=1e-6)
    assert re.match(problem, *told)
    # Of two channels the one that isn't heard may be as it likes.
    both = np.stack([whole, sound], axis=1)
    told.clear()
    assert load(both, Channel.left, rate=rate, warn=told.append) == pytest.approx(heard, abs=1e-6)
    assert not told
    load(both, rate=rate, warn=told.append)
    assert re.match(problem, *told)


def test_what_is_before_a_damage_is_given_out() -> None:
    sound = np.append(tone(seconds=9), np.full(16_000, np.nan))
    heard = blocks(io.BytesIO(encoded(sound, subtype="FLOAT")))
    assert len(next(heard)) + len(next(heard)) == 8 * 16_000


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
        (encoded(tone()[:0]), "holds no samples"),
        (encoded(np.full(8000, np.nan), subtype="FLOAT"), r"is no sound \(NaN, infinite or beyond 2.31\) throughout"),
        (encoded(np.full((8000, 2), -np.inf), subtype="FLOAT"), "is no sound"),
        (encoded(np.full(8000, 1e30), 48_000, subtype="FLOAT"), "is no sound"),
        (encoded(np.where(np.arange(8000) % 99, tone(), np.nan), subtype="FLOAT"), "is no sound"),
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
