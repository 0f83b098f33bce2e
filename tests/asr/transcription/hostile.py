"""A hundred inputs that go wrong, and twenty good ones to be found among them. The same ones every time.

By hand, to try them on the models that ship:

    python tests/asr/hostile.py hostile && asr transcribe hostile hostile-pipe hostile/folder.wav
"""

import gzip
import io
import os
import random
import socket
import struct
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

DATA = Path(__file__).parents[2] / "data"
RATE = 16_000

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
    for name, data in (*good(), *damaged(chance), *mislabelled(), *unsound(chance)):
        (folder / name).write_bytes(data)
    return [str(path) for path in (folder, *no_files(folder))]


if __name__ == "__main__":
    make(Path(sys.argv[1]))
