"""180 inputs that go wrong, and twenty good ones to be found among them. The same ones every time.

Without the extra codecs there are 42 fewer. By hand, to try them on the models that ship:

    python tests/asr/transcription/hostile.py hostile && asr transcribe hostile hostile-pipe hostile/folder.wav
"""

import gzip
import importlib.util
import io
import os
import random
import runpy
import socket
import struct
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile

made = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "audio" / "made.py")))

DATA = Path(__file__).parents[2] / "data"
RATE = 16_000
HAS_CODECS = importlib.util.find_spec("av") is not None

FORMATS = {  # suffix: libsndfile's names
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def speech(start: float, seconds: float) -> np.ndarray:
    """A part of a real recording, float [N]."""
    samples, _ = soundfile.read(DATA / "1970-28415-0034.flac", dtype="float32")
    first = round(start * RATE)
    return samples[first : first + round(seconds * RATE)]


def encoded(samples: np.ndarray, suffix: str = "wav", rate: int = RATE, subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    form, usual = FORMATS[suffix]
    soundfile.write(buffer, samples, rate, format=form, subtype=subtype or usual)
    return buffer.getvalue()


def wav(samples: bytes, tag: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16, size: int = -1) -> bytes:
    """A wav file whose header tells whatever it is told to."""
    align = channels * bits // 8
    size = len(samples) if size < 0 else size
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * align % 2**32, align % 2**16, bits)
    return (
        b"RIFF"
        + struct.pack("<I", (36 + size) % 2**32)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + (b"data" + struct.pack("<I", size) + samples)
    )


def good() -> Iterator[tuple[str, bytes]]:
    """Name and content of 20 recordings of a second or two, in five formats."""
    for number in range(20):
        suffix = list(FORMATS)[number % len(FORMATS)]
        yield f"good-{number:02}.{suffix}", encoded(speech(0.5 + number / 5, 1 + number / 20), suffix)


def damaged(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """50 files that were cut short or have some bits changed: some still hold sound."""
    whole = {suffix: encoded(speech(1, 1.5), suffix) for suffix in FORMATS}
    for suffix, data in whole.items():
        for number in range(5):
            yield f"short-{number}.{suffix}", data[: chance.randrange(1, len(data))]
        for number in range(5):
            flipped = bytearray(data)
            # Half of them in the header, where it hurts.
            for _ in range(10):
                flipped[chance.randrange(60 if number % 2 else len(data))] ^= 1 << chance.randrange(8)
            yield f"flipped-{number}.{suffix}", bytes(flipped)


def mislabelled() -> Iterator[tuple[str, bytes]]:
    """20 wav files whose headers lie, or tell what is unusual but true."""
    samples = encoded(speech(1, 1))[44:]
    for name, changes in {
        "0-hertz": {"rate": 0},
        "1-hertz": {"rate": 1},
        "384-kilohertz": {"rate": 384_000},
        "4-gigahertz": {"rate": 2**32 - 1},
        "0-channels": {"channels": 0},
        "32-channels": {"channels": 32},
        "65535-channels": {"channels": 65_535},
        "0-bits": {"bits": 0},
        "7-bits": {"bits": 7},
        "8-bits": {"bits": 8},
        "24-bits": {"bits": 24},
        "64-bits": {"bits": 64},
        "unknown-encoding": {"tag": 0xFFFE},
        "adpcm": {"tag": 2},
        "mp3-within": {"tag": 0x55},
        "2-gibibytes": {"size": 2**31 - 1},
        "4-gibibytes": {"size": 2**32 - 1},
        "0-bytes": {"size": 0},
        "floats": {"tag": 3, "bits": 32},
        "doubles": {"tag": 3, "bits": 64},
    }.items():
        yield f"header-{name}.wav", wav(samples, **changes)


def unsound(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """20 files of too few samples, samples that are none, and what isn't sound at all."""
    for name, value in (("nan", np.nan), ("infinite", np.inf), ("loud", 1e30)):
        samples = speech(1, 1).copy()
        samples[5000] = value
        yield f"{name}.wav", encoded(samples, subtype="FLOAT")
    for count in (0, 1):
        yield f"{count}-samples.wav", encoded(np.zeros(count))
        yield f"{count}-samples.ogg", encoded(np.zeros(count), "ogg")
    yield "empty.wav", b""
    yield "byte.mp3", b"R"
    yield "text.wav", b"This is no sound.\n" * 500
    yield "page.mp3", b"<!doctype html><title>404 Not Found</title>" * 100
    yield "playlist.m4a", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    yield "random.flac", chance.randbytes(65_536)
    yield "zeros.mp3", bytes(65_536)
    yield "picture.ogg", b"\x89PNG\r\n\x1a\n" + chance.randbytes(5000)
    yield "program.mp4", b"\x7fELF\x02\x01\x01" + chance.randbytes(5000)
    sound = encoded(speech(1, 1))
    yield "packed.wav", gzip.compress(sound)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("talk.wav", sound)
    yield "archive.wav", buffer.getvalue()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("talk.wav"))
    yield "archive.mp3", buffer.getvalue()
    yield "flac-within.mp3", encoded(speech(1, 1), "flac")


CODECS = {  # suffix: FFmpeg's names of container and codec, and the rate
    "m4a": ("mp4", "aac", 16_000),
    "mp4": ("mov", "alac", 16_000),
    "webm": ("webm", "libopus", 48_000),
    "mkv": ("matroska", "aac", 16_000),
    "aac": ("adts", "aac", 16_000),
    "ts": ("mpegts", "mp2", 48_000),
    "caf": ("caf", "alac", 16_000),
}


def mutated(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """42 files of which parts are missing, moved, doubled, or other than they were."""
    for suffix, (container, codec, rate) in CODECS.items() if HAS_CODECS else ():
        whole = made.by_ffmpeg(speech(1, 1.5), container, codec, rate)
        places = sorted(chance.randrange(len(whole)) for _ in range(3))
        first, middle, last = places
        yield f"mutated-cut.{suffix}", whole[:middle]
        yield f"mutated-removed.{suffix}", whole[:first] + whole[last:]
        yield f"mutated-moved.{suffix}", whole[:first] + whole[middle:last] + whole[first:middle] + whole[last:]
        yield f"mutated-doubled.{suffix}", whole[:last] + whole[first:]
        for name, most in (("header", 200), ("anywhere", len(whole))):
            flipped = bytearray(whole)
            for _ in range(10):
                flipped[chance.randrange(most)] ^= 1 << chance.randrange(8)
            yield f"mutated-{name}.{suffix}", bytes(flipped)


def joined() -> Iterator[tuple[str, bytes]]:
    """12 files of several recordings, or of one and what is none."""
    parts = {suffix: [encoded(speech(start, 1), suffix) for start in (0.6, 2)] for suffix in FORMATS}
    for suffix, (one, other) in parts.items():
        yield f"joined-twice.{suffix}", one + other
    yield "joined-often.opus", b"".join(parts["opus"] * 20)
    yield "joined-rates.mp3", parts["mp3"][0] + encoded(speech(1, 1), "mp3", 24_000) + parts["mp3"][1]
    yield "joined-codecs.ogg", parts["ogg"][0] + parts["opus"][0]
    yield "joined-formats.wav", parts["wav"][0] + parts["flac"][0] + parts["mp3"][0]
    yield "joined-junk.mp3", bytes(3000) + parts["mp3"][0] + b"<html>502</html>" * 50 + parts["mp3"][1]
    yield "joined-nothing.flac", parts["flac"][0] + b"fLaC\0\0\0\x22" * 100
    yield "joined-itself.wav", parts["wav"][0][:44] * 1000 + parts["wav"][0][44:]


def sized() -> Iterator[tuple[str, bytes]]:
    """10 wav and other files whose sizes wrapped, were never written, or are of other things."""
    samples = encoded(speech(1, 1.5))[44:]
    for name, size in (("never", 0), ("early", 9000), ("odd", 9001), ("late", 2**31 - 2**20), ("minus", 2**32 - 2)):
        yield f"sized-{name}.wav", wav(samples, size=size)
    yield "sized-rates.wav", wav(samples, size=100, rate=2**32 - 1)
    yield "sized-more.rf64", made.encoded(speech(1, 1), "RF64").replace(b"ds64\x1c\0\0\0", b"ds64\x1c\0\0\x7f")
    yield "sized-all.aiff", made.encoded(speech(1, 1), "AIFF")[:4] + b"\xff\xff\xff\xff" + bytes(8)
    yield "sized-none.au", b".snd" + struct.pack(">IIIII", 24, 0, 3, RATE, 1) + samples
    yield "sized-huge.mp4", struct.pack(">I4sQ", 1, b"ftyp", 2**63 - 1) + bytes(100)


def stamped(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """12 films whose time stamps aren't what they should be."""
    good = [number / 10 for number in range(15)]
    for name, stamps in {
        "repeated": [0.0] * 15,
        "backwards": good[::-1],
        "again": good[:8] + good[:7],
        "jump": [*good[:8], *(time + 5 for time in good[8:])],
        "days": [*good[:8], *(time + 86_400 * 20 for time in good[8:])],
        "hours": [*good[:8], *(time + 3600 for time in good[8:])],
        "often": [time * 2000 for time in good],
        "to-and-fro": [time + 1000 * (number % 2) for number, time in enumerate(good)],
        "slow": [time * 1.5 for time in good],
        "fast": [time / 3 for time in good],
        "late": [time + 7 for time in good],
        "random": [chance.random() * 1e5 for _ in good],
    }.items():
        blocks = [(time, speech(1 + number / 10, 0.1)) for number, time in enumerate(stamps)]
        yield f"stamped-{name}.mkv", made.matroska(blocks)


def bombs() -> Iterator[tuple[str, bytes]]:
    """4 small files of much silence."""
    hour = encoded(np.zeros(3600 * 8000, np.int16), "flac", 8000)
    yield "bomb-hour.flac", hour
    yield "bomb-channels.flac", encoded(np.zeros((192_000 * 20, 8), np.int16), "flac", 192_000)
    yield "bomb-joined.flac", b"".join([encoded(np.zeros(600 * 8000, np.int16), "flac", 8000)] * 6)
    yield "bomb-claimed.flac", hour[:21] + bytes([hour[21] | 0x0F, 255, 255, 255, 255]) + hour[26:]


def no_files(folder: Path) -> list[Path]:
    """10 things that lie in folders as if they were recordings; of those beside the folder, the paths."""
    (folder / "loop.wav").symlink_to("loop.wav")
    (folder / "to-other.wav").symlink_to("from-other.wav")
    (folder / "from-other.wav").symlink_to("to-other.wav")
    (folder / "dangling.wav").symlink_to("nowhere.wav")
    (folder / "again").symlink_to(".")  # a folder that holds itself
    (folder / "memory.wav").symlink_to("/proc/self/mem")
    os.mkfifo(folder / "pipe.wav")
    with (folder / "sparse.wav").open("wb") as file:
        file.truncate(2**31)
    (folder / "folder.wav").mkdir()
    pipe = folder.with_name(folder.name + "-pipe")
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listener:
        directory = os.open(folder, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{directory}/socket.wav")  # whose whole path may be too long
        os.close(directory)
    return [pipe, folder / "folder.wav"]


def make(folder: Path) -> list[str]:
    """Fill a new folder; returns the arguments for asr transcribe that name all."""
    chance = random.Random(8)
    folder.mkdir()
    old = (*good(), *damaged(chance), *mislabelled(), *unsound(chance))
    for name, data in (*old, *mutated(chance), *joined(), *sized(), *stamped(chance), *bombs()):
        (folder / name).write_bytes(data)
    return [str(path) for path in (folder, *no_files(folder))]


if __name__ == "__main__":
    make(Path(sys.argv[1]))
