"""Whatever bytes a recording is made of, readers give finite samples or raise AudioError, a line each."""

import importlib.util
import io
import random
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from asr.audio.errors import AudioError
from asr.audio.reading import blocks

made = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "asr" / "audio" / "made.py")))
mutants = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "mutants.py")))


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


def test_any_bytes_are_sound_or_an_error(whole: list[bytes], tmp_path: Path) -> None:
    chance = random.Random(mutants.SEED)
    kept = tmp_path / "latest"  # for whoever looks for what crashed
    outcomes = set()
    for _ in range(mutants.CASES):
        data = chance.choice(whole)
        if chance.random() < 0.2:
            data += chance.choice(whole)
        data = mutants.mutant(data, mutants.BYTES, chance)
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
        assert len(warnings) <= 4  # a line a kind
    assert outcomes == {"sound", "error"}
