import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.acoustic.model import output_length
from asr.audio.features import HOP
from asr.decoder.segments import (
    AROUND,
    BRIEF,
    FRAME,
    GAP,
    LONGEST,
    SHORTEST,
    blanks,
    chunks,
    first_pause,
    is_loud,
    is_silent,
    seam,
    speech_only,
    windows,
)

RATE = 16_000
UNITS = 4


def noise(seconds: float, loudness: float = 0.1) -> np.ndarray:
    return (loudness * np.random.default_rng(1).standard_normal(round(seconds * RATE))).astype(np.float32)


def speech(frames: int, seed: int = 1) -> np.ndarray:
    """Emissions of a unit in every other frame."""
    log_probs = np.log(np.tile([0.97, 0.01, 0.01, 0.01], (frames, 1))).astype(np.float32)
    units = np.random.default_rng(seed).integers(1, UNITS, len(log_probs[::2]))
    log_probs[::2] = np.log(0.01)
    log_probs[::2][np.arange(len(units)), units] = np.log(0.97)
    return log_probs


def kept(log_probs: np.ndarray, begun: bool = False, unfinished: bool = False) -> np.ndarray:
    return (speech_only(log_probs, begun, unfinished) == log_probs).all(1)


@settings(deadline=None)
@given(
    samples=st.integers(0, 200 * FRAME),
    block=st.integers(FRAME // 3, 50 * FRAME),
    size=st.integers(24, 60),
    around=st.integers(0, 2),
)
def test_the_wanted_frames_of_windows_are_those_of_the_whole(samples: int, block: int, size: int, around: int) -> None:
    whole = np.arange(samples, dtype=np.float32)
    blocks = [whole[first : first + block] for first in range(0, samples, block)]
    heard: list[int] = []
    for window in windows(blocks, size * FRAME / RATE, around * FRAME / RATE):
        assert len(window.waveform) <= size * FRAME
        # A frame is known by the sample that it is centred at.
        frames = np.arange(output_length(len(window.waveform) // HOP + 1)) * FRAME + int(window.waveform[0])
        heard += frames[window.frames].tolist()
    if samples:
        assert len(window.waveform) > min(samples, size * FRAME) - FRAME  # the last is no stub
        assert heard == [frame * FRAME for frame in range(output_length(samples // HOP + 1))]


def test_short_recordings_are_one_window_and_one_chunk() -> None:
    (window,) = windows([noise(10), noise(20)])
    assert len(window.waveform) == 30 * RATE
    (chunk,) = chunks([speech(LONGEST)])
    assert chunk.pause
    assert (chunk.log_probs == speech(LONGEST)).all()
    assert list(windows([])) == list(chunks([])) == []


@pytest.mark.parametrize("block", [100, 751, 10_000])
def test_chunks_are_the_whole_and_end_in_pauses(block: int) -> None:
    parts = [speech(400), blanks(15, UNITS), speech(900), blanks(3, UNITS), speech(600)]
    emissions = np.concatenate(parts)
    found = list(chunks(emissions[first : first + block] for first in range(0, len(emissions), block)))
    assert (np.concatenate([chunk.log_probs for chunk in found]) == emissions).all()
    lengths = [len(chunk.log_probs) for chunk in found]
    assert max(lengths) <= LONGEST
    assert min(lengths[:-1]) >= SHORTEST
    assert lengths[0] == 407
    assert [chunk.pause for chunk in found] == [True, *[False] * (len(found) - 2), True]


def test_the_first_pause() -> None:
    short, long, word = blanks(10, UNITS), blanks(14, UNITS), speech(39)
    assert first_pause(np.concatenate([word, long, speech(99), short, word, long, word])) == 208
    assert first_pause(np.concatenate([speech(115), blanks(19, UNITS), word])) == 0  # not before five seconds
    assert first_pause(np.concatenate([speech(115), blanks(20, UNITS), word])) == 125
    assert first_pause(np.concatenate([speech(199), long])) == 0
    assert first_pause(np.concatenate([blanks(300, UNITS), word])) == 0
    # Five seconds are counted from the first sound, and don't matter where a pause is long.
    assert first_pause(np.concatenate([blanks(100, UNITS), speech(99), long, word])) == 0
    assert first_pause(np.concatenate([blanks(100, UNITS), speech(119), long, word])) == 226
    assert first_pause(np.concatenate([blanks(100, UNITS), word, blanks(24, UNITS), word])) == 0
    assert first_pause(np.concatenate([blanks(100, UNITS), word, blanks(25, UNITS), word])) == 151


def test_a_seam_is_laid_in_a_gap_that_is_not_too_near_the_end() -> None:
    times = [(0, 10), (20, 630), (640, 650), (652, 680), (681, 720), (735, 750)]
    assert seam(times, 750) == 635  # the longest of the last five seconds but one
    assert seam([*times[:3], (652, 750)], 750) == 635
    assert seam([(0, 10), (20, 750)], 750) == 20  # what reaches the end goes on
    assert seam([(0, 10), (20, 500)], 750) == 750
    assert seam([(0, 750)], 750) == 750  # one without end must be cut somewhere
    assert seam([], 750) == 750


def test_speech_is_kept_as_it_is() -> None:
    assert kept(speech(300)).all()
    assert kept(np.concatenate([speech(40), blanks(2 * GAP, UNITS), speech(40)])).all()


def test_what_sounds_little_like_speech_is_taken_out() -> None:
    murmur = np.full((300, UNITS), np.log(0.2), np.float32)
    murmur[:, 0] = np.log(0.19)
    murmur[:, 1] = np.log(0.41)
    murmur[::2, 1] = np.log(0.1)
    bark = np.full((300, 40), np.log(0.99 / 39), np.float32)  # some unit, but which?
    bark[:, 0] = np.log(0.01)
    blip = np.concatenate([blanks(50, UNITS), speech(2), blanks(50, UNITS)])
    for log_probs in (murmur, bark, blip):
        assert (speech_only(log_probs, False, False) == blanks(*log_probs.shape)).all()
    # But where it is the rest of a word.
    assert kept(blip[50:], begun=True).all()
    assert kept(blip[:52], unfinished=True).all()
    assert not kept(blip[:52], begun=True).all()


def test_a_short_word_is_speech_if_it_is_clear() -> None:
    around = blanks(50, UNITS)
    word = np.concatenate([around, speech(4), around])  # of two sounds, such as NO
    assert kept(word).all()
    units = 40
    unclear = blanks(4, units)
    unclear[::2] = np.log((1 - 0.12 - 0.003) / (units - 2))
    unclear[::2, :2] = np.log([0.003, 0.12])  # no blank, but which unit?
    around, pause = blanks(50, units), blanks(4, units)
    assert not kept(np.concatenate([around, unclear, around])).all()
    assert kept(np.concatenate([around, *[unclear, pause] * 6, around])).all()


def test_a_brief_recording_is_speech() -> None:
    unsure = np.log(np.tile([0.3, 0.4, 0.2, 0.1], (BRIEF, 1))).astype(np.float32)
    (brief,) = chunks([unsure[:20], unsure[20:]])
    np.testing.assert_array_equal(brief.log_probs, unsure)
    (longer,) = chunks([unsure, unsure[:1]])
    assert (longer.log_probs.argmax(1) == 0).all()


def test_what_is_uncertain_is_kept_near_speech_alone() -> None:
    unsure = np.log(np.tile([0.7, 0.1, 0.1, 0.1], (100, 1))).astype(np.float32)
    log_probs = np.concatenate([unsure, speech(40), unsure])
    assert np.flatnonzero(kept(log_probs)).tolist() == list(range(100 - AROUND, 139 + AROUND))


def test_silence() -> None:
    assert is_silent(np.zeros(RATE, dtype=np.float32))
    assert is_silent(np.full(RATE, 0.5, dtype=np.float32))
    assert is_silent(np.zeros(0, dtype=np.float32))
    assert is_silent(noise(1, 1e-5))
    assert not is_silent(noise(0.5))  # too short to tell


def test_what_is_always_the_same_is_no_speech() -> None:
    time = np.arange(5 * RATE) / RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * time + k) / k for k in (1, 2, 3, 5)).astype(np.float32)
    speech_like = noise(5) * (1 + np.sin(2 * np.pi * 3 * time)).astype(np.float32)
    for steady in (hum, noise(5), 0.001 * noise(5)):
        assert is_silent(steady)
        assert not is_silent(steady * 0.02 + speech_like)
    quiet_speech = speech_like * 0.5 * noise(5).std() / speech_like.std()  # 6 dB below the noise
    assert not is_silent(noise(5) + np.roll(quiet_speech, 77))


def test_speech_is_heard_beside_what_is_always_the_same() -> None:
    time = np.arange(5 * RATE) / RATE
    speech_like = 0.05 * noise(5) * (1 + np.sin(2 * np.pi * 3 * time)).astype(np.float32)
    hum = np.sin(2 * np.pi * 50 * time).astype(np.float32)
    buzz = sum(np.sin(2 * np.pi * 60 * k * time + k) / k for k in range(1, 12)).astype(np.float32)
    for steady in (np.float32(0.2), np.float32(-0.7), hum, buzz, 0.3 * buzz + np.float32(0.2)):
        assert not is_silent(speech_like + steady)
        assert is_silent(steady + 0.001 * noise(5))


def test_only_what_is_heard_is_loud() -> None:
    assert not is_loud(np.full(RATE, 0.5, np.float32))
    assert not is_loud(noise(1, 0.001))
    assert is_loud(noise(1, 0.05))
    assert not is_loud(np.zeros(0, np.float32))
