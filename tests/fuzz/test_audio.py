"""Whatever bytes a recording is made of, readers give finite samples or raise AudioError, a line each.

FUZZ_CASES=20000 FUZZ_SEED=7 python -m pytest tests/fuzz/test_audio.py   # by hand, for half an hour
"""

import importlib.util
import io
import os
import random
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from asr.audio.errors import AudioError
from asr.audio.reading import blocks

made = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "asr" / "audio" / "made.py")))

CASES, SEED = int(os.environ.get("FUZZ_CASES", "300")), int(os.environ.get("FUZZ_SEED", "1"))
EDGES = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f")


@pytest.fixture(scope="module")
def whole() -> list[bytes]:
    """Half a second in each format."""
    sound = made.speech(0)[16_000:24_000]
    names = ("WAV", "AIFF", "AU", "RF64", "W64", "CAF", "FLAC", "MP3", "OGG")
    recordings = [made.encoded(sound, name) for name in names]
    recordings += [made.encoded(sound, "OGG", "OPUS"), made.encoded(sound, "WAV", "MS_ADPCM")]
    recordings.append(made.matroska([(0.0, sound[:4000]), (0.25, sound[4000:])]))
    if importlib.util.find_spec("av"):
        for container, codec, rate in (
            ("adts", "aac", 16_000),
            ("mp4", "aac", 16_000),
            ("matroska", "aac", 16_000),
            ("webm", "libopus", 48_000),
            ("mpegts", "mp2", 48_000),
            ("vob", "ac3", 48_000),
            ("caf", "alac", 16_000),
            ("wav", "aac", 16_000),
            ("avi", "libmp3lame", 16_000),
            ("flv", "aac", 44_100),
            ("ogg", "flac", 16_000),
        ):
            recordings.append(made.by_ffmpeg(sound, container, codec, rate))
    return recordings


def flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 20)):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def edged(data: bytes, chance: random.Random) -> bytes:
    """With what sizes and counts seldom are, mostly in the header."""
    place, value = chance.randrange(min(len(data), chance.choice((64, 512, len(data))))), chance.choice(EDGES)
    return data[:place] + value + data[place + len(value) :]


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def removed(data: bytes, chance: random.Random) -> bytes:
    first, last = sorted(chance.randrange(len(data)) for _ in range(2))
    return data[:first] + data[last:]


def doubled(data: bytes, chance: random.Random) -> bytes:
    first, last = sorted(chance.randrange(len(data)) for _ in range(2))
    return data[:last] + data[first:]


CHANGES: list[Callable[[bytes, random.Random], bytes]] = [flipped, edged, edged, cut, removed, doubled]


def test_any_bytes_are_sound_or_an_error(whole: list[bytes], tmp_path: Path) -> None:
    chance = random.Random(SEED)
    kept = tmp_path / "latest"  # for whoever looks for what crashed
    outcomes = set()
    for _ in range(CASES):
        data = chance.choice(whole)
        if chance.random() < 0.2:
            data += chance.choice(whole)
        for _ in range(chance.randrange(1, 4)):
            data = chance.choice(CHANGES)(data, chance) or b"\0"
        kept.write_bytes(data)
        start, end = chance.choice(((0.0, None), (0.2, None), (0.1, 0.3)))
        warnings: list[str] = []
        try:
            for block in blocks(io.BytesIO(data), start=start, end=end, warn=warnings.append):
                assert block.dtype == np.float32
                assert np.isfinite(block).all()
            outcomes.add("sound")
        except AudioError as error:
            outcomes.add("error")
            problem = str(error)
        else:
            problem = "none: needs no mend"
        assert ": " in problem  # before the mend
        assert "\n" not in "".join([problem, *warnings])
        assert len(warnings) <= 3  # a line a kind
    assert outcomes == {"sound", "error"}
