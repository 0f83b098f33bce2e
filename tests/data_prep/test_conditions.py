"""What befalls speech: the same for a seed, as long as before, at the level asked for, and no later than before."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("pyroomacoustics")
pytest.importorskip("av")

from lhotse import CutSet

from data_prep.conditions import (
    AMR_RATES,
    LEAD,
    RATE,
    Codec,
    Shares,
    Surroundings,
    at_level,
    babble,
    coded,
    music,
    noise_excerpt,
    reverberated,
    rms,
    room_response,
    telephone_band,
    with_hum,
    with_noise,
)

SPEECH = Path(__file__).parent.parent / "data/1970-28415-0034.flac"
CODINGS = [
    (Codec.mulaw, 0.0),
    (Codec.gsm, 0.0),
    *((Codec.amr, kilobits) for kilobits in (AMR_RATES[0], AMR_RATES[-1])),
    *((Codec.opus, kilobits) for kilobits in (6.0, 24.0)),
    *((Codec.mp3, kilobits) for kilobits in (16.0, 32.0)),
]


def seeded(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return soundfile.read(SPEECH, dtype="float32")[0]


def lag(reference: np.ndarray, sound: np.ndarray) -> int:
    """By how many samples a sound is late, by correlation."""
    size = 2 * max(len(reference), len(sound))
    spectrum = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(reference, size))
    correlation = np.fft.irfft(spectrum, size)
    place = int(np.argmax(correlation))
    return place if place < size // 2 else place - size


@pytest.mark.parametrize(("codec", "kilobits"), CODINGS)
def test_a_codec_keeps_length_time_and_level(speech: np.ndarray, codec: Codec, kilobits: float) -> None:
    heard = coded(speech, codec, kilobits)
    assert heard.dtype == np.float32
    assert len(heard) == len(speech)
    assert abs(lag(speech, heard)) <= 1  # 0.06 ms
    assert 0.5 < rms(heard) / rms(speech) < 1.5


@pytest.mark.parametrize(("codec", "kilobits"), CODINGS)
@pytest.mark.parametrize("samples", [1, 100, 3201])
def test_a_codec_takes_what_is_short(codec: Codec, kilobits: float, samples: int) -> None:
    assert len(coded(seeded().normal(size=samples).astype(np.float32) / 10, codec, kilobits)) == samples


def test_the_end_of_speech_survives_a_codec() -> None:
    click = np.zeros(RATE, np.float32)
    click[-400:] = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(400) / RATE)
    for codec, kilobits in CODINGS:
        assert rms(coded(click, codec, kilobits)[-400:]) > 0.1, codec


def test_a_lower_rate_loses_more(speech: np.ndarray) -> None:
    for codec, low, high in ((Codec.opus, 6, 24), (Codec.mp3, 16, 32), (Codec.amr, 4.75, 12.2)):
        far, near = (rms(coded(speech, codec, kilobits) - speech) for kilobits in (low, high))
        assert near < far, codec


def test_narrow_codecs_carry_half_of_the_band(speech: np.ndarray) -> None:
    noise = 0.1 * seeded().normal(size=RATE).astype(np.float32)
    for heard in (coded(noise, Codec.mulaw), coded(noise, Codec.amr, 12.2), telephone_band(noise)):
        spectrum = np.abs(np.fft.rfft(heard)) ** 2
        assert spectrum[4200:].sum() < 0.01 * spectrum.sum()


def test_noise_has_the_snr_asked_for(speech: np.ndarray) -> None:
    noise = seeded().normal(size=len(speech))
    for snr in (-5.0, 0.0, 12.5):
        added = with_noise(speech, noise, snr) - speech
        assert 20 * np.log10(rms(speech) / rms(added)) == pytest.approx(snr, abs=0.01)


def test_silence_is_no_noise(speech: np.ndarray) -> None:
    assert np.array_equal(with_noise(speech, np.zeros_like(speech), 0), speech)


def test_room(speech: np.ndarray) -> None:
    near, far = ((room_response(seeded(), (0.5, 0.5), (metres, metres))) for metres in (0.3, 2.0))
    for response in (near, far):
        assert response.dtype == np.float32
        assert np.linalg.norm(response) == pytest.approx(1, abs=1e-5)
        # Nothing comes before the direct sound, but for the filter that places it between two samples.
        assert np.abs(response[: LEAD - 8]).max() < 0.1 * np.abs(response[LEAD - 3 : LEAD + 4]).max()
    direct, total = (np.sum(near[: LEAD + 10] ** 2), np.sum(far[: LEAD + 10] ** 2))
    assert direct > total  # the nearer, the more direct sound
    heard = reverberated(speech, near)
    assert len(heard) == len(speech)
    assert abs(lag(speech, heard)) <= 3


def test_t60() -> None:
    """Energy falls by 60 dB in about as long as was asked for: measured from -5 to -25 dB, as is usual."""
    for wanted in (0.3, 0.6):
        energy = np.cumsum(np.square(room_response(seeded(), (wanted, wanted), (1, 1)))[::-1])[::-1]
        decibels = 10 * np.log10(energy / energy[0] + 1e-12)
        first, last = (int(np.argmax(decibels < level)) for level in (-5, -25))
        assert 0.5 * wanted < 3 * (last - first) / RATE < 1.6 * wanted


def test_a_seed_fixes_everything(speech: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "noise.flac", 0.1 * seeded().normal(size=3 * RATE), RATE)
    shares = Shares(room=0.5, noise=0.9, codec=0.5, hum=0.3)
    place = Surroundings(
        shares, [room_response(seeded(), (0.3, 0.3), (1, 1))], [tmp_path / "noise.flac"], lambda random: speech
    )
    for seed in range(12):
        once, told = place(seeded(seed), speech)
        again, told_again = place(seeded(seed), speech)
        assert told == told_again
        assert np.array_equal(once, again)
        assert len(once) == len(speech)
        assert np.isfinite(once).all()
    assert not np.array_equal(place(seeded(1), speech)[0], place(seeded(2), speech)[0])
    assert np.array_equal(room_response(seeded(5), (0.2, 0.4), (1, 2)), room_response(seeded(5), (0.2, 0.4), (1, 2)))


def test_levels_and_hum(speech: np.ndarray) -> None:
    assert 20 * np.log10(rms(at_level(speech, -30))) == pytest.approx(-30, abs=0.01)
    assert np.abs(at_level(speech, 0)).max() == pytest.approx(0.99, abs=1e-4)  # not clipped
    added = with_hum(seeded(), speech) - speech
    assert rms(added - added.mean()) < 10 ** (-9.9 / 20) * rms(speech)


def test_voices_and_music(speech: np.ndarray) -> None:
    many = babble(seeded(), [speech, 0.01 * speech, np.zeros(0, np.float32)], 2 * len(speech))
    assert len(many) == 2 * len(speech)
    assert rms(many) == pytest.approx(2**0.5, rel=0.2)  # of equal power, whatever they were
    assert len(music(seeded(), 12_345)) == 12_345
    assert rms(music(seeded(), RATE)) > 0


def test_noise_comes_from_files(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.flac", 0.1 * np.sin(np.arange(1000)), RATE)
    assert len(noise_excerpt(seeded(), [tmp_path / "short.flac"], 5000)) == 5000
    soundfile.write(tmp_path / "silent.flac", np.zeros(1000), RATE)
    with pytest.raises(ValueError, match="silent"):
        noise_excerpt(seeded(), [tmp_path / "silent.flac"], 500)
    soundfile.write(tmp_path / "slow.flac", 0.1 * np.sin(np.arange(1000)), 8000)
    with pytest.raises(ValueError, match="8000 Hz"):
        noise_excerpt(seeded(), [tmp_path / "slow.flac"], 500)


def test_augment(tmp_path: Path) -> None:
    """The command: copies with the same words and lengths; another version sounds different, one job as two."""
    noises = tmp_path / "noises"
    noises.mkdir()
    for number in range(6):
        soundfile.write(noises / f"{number}.flac", 0.1 * seeded(number).normal(size=RATE), RATE)
    corpus = tmp_path / "corpus/1/2"
    corpus.mkdir(parents=True)
    for number in range(4):
        sound = soundfile.read(SPEECH, RATE * (number + 1), dtype="float32")[0]
        soundfile.write(corpus / f"1-2-{number:04d}.flac", sound, RATE)
    (corpus / "1-2.trans.txt").write_text("".join(f"1-2-{number:04d} WORD {number}\n" for number in range(4)))
    data_prep = [sys.executable, "-m", "data_prep.cli"]
    manifest = tmp_path / "train.jsonl.gz"
    subprocess.run([*data_prep, "manifest", tmp_path / "corpus", manifest], check=True)

    def augmented(name: str, version: int, jobs: int) -> list:
        options = ["--output", tmp_path / name, "--version", str(version), "--jobs", str(jobs), "--rooms", "3"]
        subprocess.run([*data_prep, "augment", manifest, "--noise", noises, *options], check=True)
        return sorted(CutSet.from_file(tmp_path / name / "train.jsonl.gz"), key=lambda cut: cut.id)

    clean = sorted(CutSet.from_file(manifest), key=lambda cut: cut.id)
    first, same, other = augmented("a", 1, 1), augmented("b", 1, 2), augmented("c", 2, 1)
    for before, a, b, c in zip(clean, first, same, other, strict=True):
        assert a.supervisions[0].text == before.supervisions[0].text
        assert a.supervisions[0].speaker == before.supervisions[0].speaker
        assert a.num_samples == before.num_samples
        assert np.array_equal(a.load_audio(), b.load_audio())
        assert not np.array_equal(a.load_audio(), c.load_audio())
        assert len({before.id, a.id, c.id}) == 3
    assert json.dumps([a.supervisions[0].custom["conditions"] for a in first]) == json.dumps(
        [b.supervisions[0].custom["conditions"] for b in same]
    )
