"""Recordings as few programs write them, which others read all the same: they come out whole, or the rest is told."""

import importlib.util
import io
import runpy
import struct
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from asr.audio.reading import load

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("made.py"))))
A, B = make.speech(0), make.speech(2)
FORMAT = struct.pack("<HHIIHH", 1, 1, make.RATE, 2 * make.RATE, 2, 16)
needs_codecs = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="the extra codecs is not installed")


def heard(data: bytes) -> tuple[np.ndarray, list[str]]:
    """The waveform, and the warnings."""
    warnings: list[str] = []
    return load(io.BytesIO(data), warn=warnings.append), warnings


def assert_all(data: bytes, *parts: np.ndarray) -> None:
    """That a file holds these one after the other, nothing else, and gives no warnings."""
    waveform, warnings = heard(data)
    assert not warnings
    assert len(waveform) == pytest.approx(sum(map(len, parts)), abs=2500)
    begin = 0
    for part in parts:
        place, likeness = make.place(waveform, part)
        assert likeness > 0.9
        assert place == pytest.approx(begin / make.RATE, abs=0.15)
        begin += len(part)


# --- Wav and its kin --------------------------------------------------------------------------------------


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def extensible(shift: int) -> bytes:
    """24 bits in 32, in the higher or the lower of them."""
    guid = bytes.fromhex("0100000000001000800000aa00389b71")
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, make.RATE, 4 * make.RATE, 4, 32, 22, 24, 4) + guid
    return riff((b"fmt ", form), (b"data", ((B * 2**23).astype("<i4") << shift).tobytes()))


def aiff_c(kind: bytes, data: bytes, bits: int) -> bytes:
    rate = bytes.fromhex("400cfa00000000000000")  # 16000 in 80 bits
    common = struct.pack(">hIh", 1, len(B), bits) + rate + kind + bytes(2)
    chunks = b"COMM" + struct.pack(">I", len(common)) + common
    chunks += b"SSND" + struct.pack(">III", len(data) + 8, 0, 0) + data
    return b"FORM" + struct.pack(">I", 4 + len(chunks)) + b"AIFC" + chunks


ODD_CHUNKS = ((b"JUNK", b"abc"), (b"bext", bytes(603)), (b"fmt ", FORMAT), (b"fact", bytes(5)))


@pytest.mark.parametrize(
    "data",
    [
        extensible(0),
        extensible(8),
        make.encoded(B, "RF64").replace(b"RF64", b"BW64", 1),
        riff(
            *ODD_CHUNKS, (b"data", make.pcm(B)), (b"LIST", b"INFOISFT\x05\0\0\0abcde\0"), (b"id3 ", b"ID3" + bytes(9))
        ),
        b"ID3\x04\0\0\0\0\1\0" + bytes(128) + riff((b"fmt ", FORMAT), (b"data", make.pcm(B))),
        aiff_c(b"sowt", make.pcm(B), 16),
        aiff_c(b"fl32", B.astype(">f4").tobytes(), 32),
        make.encoded(B * 3, "WAV", "PCM_U8"),
        make.encoded(30 * B / np.abs(B).max(), "WAV", "FLOAT"),
    ],
    ids=["24 in 32", "24 in 32, high", "BW64", "odd chunks", "ID3 before", "sowt", "fl32", "8 bits", "peaks of 30"],
)
def test_wav_and_its_kin(data: bytes) -> None:
    assert_all(data, B)


@pytest.mark.parametrize("between", [(), ((b"LIST", b"INFO"), (b"JUNK", b"abc"))])
def test_more_chunks_of_sound_in_a_wav_are_told(between: tuple[tuple[bytes, bytes], ...]) -> None:
    data = riff((b"fmt ", FORMAT), (b"data", make.pcm(A)), *between, (b"data", make.pcm(B)))
    waveform, (warning,) = heard(data)
    np.testing.assert_allclose(waveform, A, atol=1e-4)
    assert "ends at 0:06.8, 4.9 s before its header says" in warning


# --- Channels ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "channels", [(B, 0 * B), (0 * B, B), (B + 0.3, B), (0 * B + 0.3, B), (B / 9, B / 9, B, 0 * B, B / 50, B / 50)]
)
def test_what_is_said_in_one_channel_is_heard(channels: tuple[np.ndarray, ...]) -> None:
    waveform, _ = heard(make.encoded(np.stack(channels, 1), "WAV", "FLOAT"))
    assert make.place(waveform, B)[1] > 0.99


# --- Mp3 and FLAC -----------------------------------------------------------------------------------------

PICTURE = b"ID3\x04\0\0\0\x40\0\0" + np.random.default_rng(1).bytes(1 << 20)
APE = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0x80000000) + bytes(8)
FLAC = make.encoded(B, "FLAC")


def promising(samples: int) -> bytes:
    """A FLAC whose header claims so many samples."""
    fields = int.from_bytes(FLAC[18:26], "big") >> 36 << 36 | samples
    return FLAC[:18] + fields.to_bytes(8, "big") + FLAC[26:]


@pytest.mark.parametrize(
    "data",
    [
        PICTURE + make.encoded(B, "MP3") + APE + b"TAG" + bytes(125),
        promising(0),
        promising(make.RATE),
        FLAC[:26] + bytes(range(16)) + FLAC[42:],
        b"ID3\x04\0\0\0\0\1\0" + bytes(128) + FLAC,
        FLAC + b"TAG" + bytes(125),
        pytest.param(bytes(1000) + FLAC, marks=needs_codecs),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + FLAC, marks=needs_codecs),
    ],
    ids="ID3+APE,FLAC unknown,FLAC more,FLAC MD5,FLAC ID3,FLAC TAG,FLAC behind zeros,FLAC behind text".split(","),
)
def test_mp3_and_flac(data: bytes) -> None:
    assert_all(data, B)


@needs_codecs
@pytest.mark.parametrize("count", [0, 3, 20])
def test_an_mp3_that_counts_too_few_frames(count: int) -> None:
    data = make.by_ffmpeg(B, "mp3", "libmp3lame")
    place = max(data.find(b"Xing"), data.find(b"Info")) + 8
    assert_all(data[:place] + count.to_bytes(4, "big") + data[place + 4 :], B)


@pytest.mark.parametrize("samples", [1 << 20, 1 << 35])
def test_a_flac_that_promises_too_much(samples: int) -> None:
    waveform, (warning,) = heard(promising(samples))
    assert make.place(waveform, B)[1] > 0.99
    assert "before its header says" in warning


# --- Films ------------------------------------------------------------------------------------------------


@needs_codecs
def test_flac_in_ogg_whose_rate_changes() -> None:
    assert_all(make.by_ffmpeg(A, "ogg", "flac", 16_000) + make.by_ffmpeg(B, "ogg", "flac", 48_000), A, B)


@needs_codecs
def test_an_edit_list_leaves_out_what_it_says() -> None:
    data = make.by_ffmpeg(np.concatenate([A, B]), "mp4", "aac")
    place = data.index(b"elst") + 12
    seconds = (len(A) + len(B)) / make.RATE - 2
    edit = struct.pack(">Ii", round(1000 * seconds), 2 * make.RATE + 1024)  # in the film's unit, in the sound's
    assert_all(data[:place] + edit + data[place + 8 :], A[2 * make.RATE :], B)


@needs_codecs
@pytest.mark.parametrize("late", [7.0, 3600.0])
def test_a_film_without_pictures_that_begins_late_misses_nothing(late: float) -> None:
    assert_all(make.by_ffmpeg(B, "matroska", "aac", moved=lambda time: time + late), B)


def tracks(container: str, *sounds: np.ndarray) -> bytes:
    """Several sounds at a time."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        streams = [output.add_stream("aac", rate=make.RATE) for _ in sounds]
        for stream in streams:
            stream.layout = "mono"
        packets = []
        for stream, samples in zip(streams, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = make.RATE, 0, Fraction(1, make.RATE)
            resampler = av.AudioResampler(stream.format, "mono", make.RATE, stream.codec_context.frame_size)
            for part in (*resampler.resample(frame), *resampler.resample(None), None):
                packets += [packet for packet in stream.encode(part) if packet.dts is not None]
        for packet in sorted(packets, key=lambda packet: packet.dts):
            output.mux(packet)
    return buffer.getvalue()


@needs_codecs
@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_other_tracks_of_sound_are_told(container: str) -> None:
    waveform, warnings = heard(tracks(container, A, B))
    assert make.place(waveform, A)[1] > 0.9
    assert warnings == ["holds 2 tracks of sound, of which one is heard: save the others by themselves"]
    waveform, warnings = heard(tracks(container, A, B, B) * 2)  # joined: told once
    assert len([warning for warning in warnings if "3 tracks" in warning]) == 1
