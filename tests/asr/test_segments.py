import numpy as np

from asr.segments import LONGEST, SHORTEST, cut_at_silence, is_silent

RATE = 16_000


def noise(seconds: float, loudness: float = 0.1) -> np.ndarray:
    return (loudness * np.random.default_rng(1).standard_normal(round(seconds * RATE))).astype(np.float32)


def test_short_recordings_stay_whole() -> None:
    assert cut_at_silence(noise(30)) == [(0, 30 * RATE)]
    assert cut_at_silence(noise(1 / RATE)) == []  # one sample is a constant
    assert cut_at_silence(noise(2 / RATE)) == [(0, 2)]


def test_segments_are_the_whole() -> None:
    waveform = noise(100)
    segments = cut_at_silence(waveform)
    assert segments[0][0] == 0
    assert segments[-1][1] == len(waveform)
    assert [first for first, _ in segments[1:]] == [end for _, end in segments[:-1]]
    lengths = [(end - first) / RATE for first, end in segments]
    assert max(lengths) <= LONGEST
    assert min(lengths[:-1]) >= SHORTEST


def test_cuts_where_it_is_quiet() -> None:
    waveform = noise(40)
    waveform[20 * RATE : 20 * RATE + RATE // 2] /= 100
    ((_, cut), _) = cut_at_silence(waveform)
    assert 20 * RATE < cut < 20 * RATE + RATE // 2


def test_silent_segments_are_left_out() -> None:
    assert cut_at_silence(np.zeros(100 * RATE, dtype=np.float32)) == []
    assert cut_at_silence(np.full(RATE, 0.5, dtype=np.float32)) == []
    assert cut_at_silence(np.zeros(0, dtype=np.float32)) == []
    kept = cut_at_silence(np.concatenate([noise(10), np.zeros(100 * RATE, dtype=np.float32), noise(10)]))
    assert kept[0][0] == 0
    assert kept[-1][1] == 120 * RATE
    assert sum(end - first for first, end in kept) < 80 * RATE


def test_quiet_is_not_silent() -> None:
    assert is_silent(noise(1, 1e-5))
    assert not is_silent(noise(1, 1e-4))
