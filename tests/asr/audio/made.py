"""Recordings as recorders, programs and accidents make them, from the three of tests/data; the same ones every time."""

import io
import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

DATA = Path(__file__).parents[2] / "data"
RATE = 16_000


def speech(number: int) -> np.ndarray:
    """One of the three recordings: 6.78, 4.68 and 4.94 s."""
    names = ("1970-28415-0034", "3664-178355-0019", "5789-70653-0013")
    samples, _ = soundfile.read(DATA / f"{names[number]}.flac", dtype="float32")
    return samples


def place(waveform: np.ndarray, part: np.ndarray) -> tuple[float, float]:
    """Where in a waveform a part of it is, in seconds, and how alike the two are there, -1..1."""
    size = 1 << (len(waveform) + len(part)).bit_length()
    spectrum = np.fft.rfft(waveform, size) * np.conj(np.fft.rfft(part, size))
    first = int(np.fft.irfft(spectrum, size)[: len(waveform)].argmax())
    there = waveform[first : first + len(part)]
    return first / RATE, float(np.corrcoef(there, part[: len(there)])[0, 1])


def encoded(samples: np.ndarray, form: str, subtype: str | None = None, rate: int = RATE) -> bytes:
    """By libsndfile, in a format and subtype that it calls so."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=form, subtype=subtype)
    return buffer.getvalue()


def by_ffmpeg(
    samples: np.ndarray,
    container: str,
    codec: str,
    rate: int = RATE,
    layout: str = "mono",
    moved: Callable[[float], float] = lambda time: time,
    pictures: tuple[str, int] | None = None,
    options: dict[str, str] | None = None,
) -> bytes:
    """By FFmpeg, which needs the extra codecs. moved: time stamps, in seconds, to those that are written.

    pictures: the codec and number of them that are shown, 25 a second, from the beginning on.
    """
    import av

    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=options or {}) as output:
        sound = output.add_stream(codec, rate=rate)
        sound.layout, sound.bit_rate = layout, 64_000 if codec not in ("g726", "pcm_s16le") else 32_000
        resampler = av.AudioResampler(sound.format, layout, rate, sound.codec_context.frame_size or 0)
        if pictures:
            film = output.add_stream(pictures[0], rate=25)
            film.width, film.height, film.pix_fmt = 64, 64, "yuv420p"
            for number in range(pictures[1]):
                picture = av.VideoFrame.from_ndarray(np.full((96, 64), number % 200, np.uint8), format="yuv420p")
                picture.pts = number
                output.mux(film.encode(picture))
            output.mux(film.encode(None))
        for part in (*resampler.resample(frame), *resampler.resample(None), None):
            for packet in sound.encode(part):
                if packet.pts is not None:
                    packet.pts = packet.dts = round(moved(float(packet.pts * packet.time_base)) / packet.time_base)
                    output.mux(packet)
    return buffer.getvalue()


def matroska(blocks: Iterable[tuple[float, np.ndarray]], rate: int = RATE) -> bytes:
    """Samples float [n] with their time stamps in seconds, whatever these are; 16 bits, written by hand."""

    def element(name: str, data: bytes) -> bytes:
        return bytes.fromhex(name) + (1 << 56 | len(data)).to_bytes(8, "big") + data

    def number(name: str, value: int) -> bytes:
        return element(name, value.to_bytes(8, "big"))

    audio = element("e1", element("b5", struct.pack(">d", rate)) + number("9f", 1) + number("6264", 16))
    track = number("d7", 1) + number("73c5", 1) + number("83", 2) + element("86", b"A_PCM/INT/LIT") + audio
    clusters = b"".join(
        element("1f43b675", number("e7", round(1000 * time)) + element("a3", b"\x81\0\0\x80" + pcm(samples)))
        for time, samples in blocks
    )
    head = element("1a45dfa3", element("4282", b"matroska"))
    information = element("1549a966", number("2ad7b1", 1_000_000))
    return head + element("18538067", information + element("1654ae6b", element("ae", track)) + clusters)


def ogg_moved(data: bytes, moved: Callable[[float], float], rate: int) -> bytes:
    """An Ogg file whose pages have other times, in seconds; but its headers."""
    from asr.audio.ogg import checksum

    start, pages = 0, []
    while start < len(data):
        segments = data[start + 26]
        end = start + 27 + segments + sum(data[start + 27 : start + 27 + segments])
        page = bytearray(data[start:end])
        granule = struct.unpack_from("<q", page, 6)[0]
        if granule > 0:
            struct.pack_into("<q", page, 6, round(moved(granule / rate) * rate))
        page[22:26] = bytes(4)
        page[22:26] = checksum(bytes(page)).to_bytes(4, "little")
        pages.append(bytes(page))
        start = end
    return b"".join(pages)


def pcm(samples: np.ndarray) -> bytes:
    """16 bits each, the lower ones first."""
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def wav(data: bytes, size: int | None = None, tag: int = 1, rate: int = RATE, bits: int = 16) -> bytes:
    """A wav of one channel whose header claims so many bytes of sound."""
    size = len(data) if size is None else size
    form = struct.pack("<HHIIHH", tag, 1, rate, rate * bits // 8, bits // 8, bits)
    riff = struct.pack("<4sI4s4sI", b"RIFF", (36 + size) % 2**32, b"WAVE", b"fmt ", 16)
    return riff + form + struct.pack("<4sI", b"data", size) + data


def cut(data: bytes, share: float = 2 / 3) -> bytes:
    """A download that ended early."""
    return data[: round(share * len(data))]


def zeroed(data: bytes, at: float = 0.5, share: float = 0.03) -> bytes:
    """With zeros over a part of it."""
    first, count = round(at * len(data)), round(share * len(data))
    return data[:first] + bytes(count) + data[first + count :]


def noised(data: bytes, at: float = 0.5, share: float = 0.03) -> bytes:
    """With noise over a part of it."""
    first, count = round(at * len(data)), round(share * len(data))
    return data[:first] + np.random.default_rng(1).bytes(count) + data[first + count :]
