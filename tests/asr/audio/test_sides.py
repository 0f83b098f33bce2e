"""Two channels: each by itself, and whether they are the two sides of a call."""

import io
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from asr.audio.channels import Channel
from asr.audio.errors import AudioError
from asr.audio.reading import MOST_EACH, blocks, load

made = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("made.py"))))
A, B, C = (made.speech(number) for number in range(3))
GAP = np.zeros(made.RATE // 2, np.float32)
HINT = "its channels differ: two sides of a call? --channel each transcribes both"
random = np.random.default_rng(1)


def silence(like: np.ndarray) -> np.ndarray:
    return np.zeros_like(like)


def hiss(level: float, shape: tuple[int, ...]) -> np.ndarray:
    return level * random.standard_normal(shape)


def dialogue() -> np.ndarray:
    """The left side speaks, then the right one, and again the left."""
    left = np.concatenate([A, GAP, silence(B), C])
    right = np.concatenate([silence(A), GAP, B, silence(C)])
    return np.stack([left, right], axis=1)


def monologue() -> np.ndarray:
    return np.concatenate([A, GAP, B, C])


def music() -> np.ndarray:
    """Forty plucked notes in chords, each somewhere between left and right."""
    time = np.arange(20 * made.RATE) / made.RATE
    sound = np.zeros((len(time), 2))
    for note in range(40):
        since = time - note // 2
        pluck = np.exp(-2 * since) * np.sin(2 * np.pi * 110 * 2 ** (random.integers(36) / 12) * since) * (since > 0)
        place = random.uniform(0.1, 0.9)
        sound += 0.2 * pluck[:, None] * np.sqrt([place, 1 - place])
    return sound


def told(samples: np.ndarray, channel: Channel = Channel.mix, rate: int = made.RATE) -> list[str]:
    warnings: list[str] = []
    load(samples, channel, rate=rate, warn=warnings.append)
    return warnings


DIALOGUE, MONOLOGUE = dialogue(), monologue()
CALLS = {
    "a dialogue": DIALOGUE,
    "one side much louder": DIALOGUE * [1, 0.05],
    "noise on both": DIALOGUE + hiss(0.002, DIALOGUE.shape),
    "an offset and hum on one": DIALOGUE + np.stack([np.full(len(DIALOGUE), 0.1), 0 * DIALOGUE[:, 0]], axis=1),
    "each hears the other a little": DIALOGUE + 0.05 * DIALOGUE[:, ::-1],
    "one side says little": np.concatenate([DIALOGUE, np.stack([np.tile(A, 3), np.tile(silence(A), 3)], axis=1)]),
}
NO_CALLS = {
    "the same twice": np.stack([MONOLOGUE, MONOLOGUE], axis=1),
    "one quieter": np.stack([MONOLOGUE, 0.05 * MONOLOGUE], axis=1),
    "one upside down": np.stack([MONOLOGUE, -MONOLOGUE], axis=1),
    "a noise floor each": np.stack([MONOLOGUE, MONOLOGUE], axis=1) + hiss(0.003, (len(MONOLOGUE), 2)),
    "one a little later": np.stack([MONOLOGUE, np.roll(MONOLOGUE, 800)], axis=1),
    "one silent": np.stack([MONOLOGUE, silence(MONOLOGUE)], axis=1),
    "one silent but for noise": np.stack([MONOLOGUE, hiss(0.003, MONOLOGUE.shape)], axis=1),
    "one silent but for a click": np.stack([MONOLOGUE, np.where(np.arange(len(MONOLOGUE)) == 9999, 0.5, 0)], axis=1),
    "noise of two kinds": hiss(0.1, (160_000, 2)),
    "silence": np.zeros((160_000, 2)),
    "music": music(),
    "three channels": np.concatenate([DIALOGUE, DIALOGUE[:, :1]], axis=1),
    "one channel": MONOLOGUE[:, None],
    "next to nothing": DIALOGUE[:20],
}


@pytest.mark.parametrize("name", CALLS)
def test_two_sides_of_a_call_are_told_from_one_another(name: str) -> None:
    assert told(CALLS[name]) == [HINT]
    assert told(CALLS[name], Channel.left) == told(CALLS[name], Channel.each) == []


@pytest.mark.parametrize("name", NO_CALLS)
def test_channels_of_one_sound_are_not(name: str) -> None:
    assert told(NO_CALLS[name]) == []


@pytest.mark.parametrize(("form", "rate"), [("wav", 44_100), ("ogg", 48_000), ("mp3", 44_100)])
def test_calls_in_files(form: str, rate: int) -> None:
    buffer, warnings = io.BytesIO(), list[str]()
    soundfile.write(buffer, DIALOGUE, rate, format=form)
    buffer.seek(0)
    load(buffer, warn=warnings.append)
    assert warnings == [HINT]


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_each_channel_is_as_if_alone(rate: int, channels: int) -> None:
    sound = random.uniform(-0.5, 0.5, (9 * rate, channels))
    heard = load(sound, Channel.each, start=1, end=8.5, rate=rate)
    assert heard.shape == (7.5 * 16_000, channels)
    for number in range(channels):
        assert heard[:, number] == pytest.approx(load(sound[:, number], start=1, end=8.5, rate=rate), abs=1e-6)


def test_the_number_of_channels_may_change() -> None:
    """In files that were joined; what is heard stays where it was."""
    stereo, mono, six = (made.encoded(np.stack([A] * count, axis=1), "WAV") for count in (2, 1, 6))
    for data, channels, silent in ((stereo + mono, 2, [1]), (mono + stereo, 1, [])):
        heard = np.concatenate(list(blocks(io.BytesIO(data), Channel.each)))
        assert heard.shape == (2 * len(A), channels)
        for number in range(channels):
            assert heard[: len(A), number] == pytest.approx(A, abs=1e-4)
            assert heard[len(A) :, number] == pytest.approx(0 * A if number in silent else A, abs=1e-4)
    with pytest.raises(AudioError, match=r"has 2 channels, and 6 from 0:06\.8 on: ask for mix"):
        load(io.BytesIO(stereo + six), Channel.each)


def test_as_many_channels_as_one_can_do() -> None:
    assert load(np.zeros((100, MOST_EACH)), Channel.each).shape == (100, MOST_EACH)
    with pytest.raises(AudioError, match="has 65 channels, of which each of 64 is transcribed at most: ask for mix"):
        load(np.zeros((100, MOST_EACH + 1)), Channel.each)
