"""Noises: which are kept aside, and stretches of them that training may hear."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet

from data_prep.cli import app
from data_prep.noises import LONGEST, SHORTEST, is_kept_aside, noise_files
from lm.text.normalise import normalize


def test_a_third_of_the_noises_is_kept_aside(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}.flac").touch()
    trained, aside = (noise_files(tmp_path, aside=aside) for aside in (False, True))
    assert not set(trained) & set(aside)
    assert len(trained) + len(aside) == 300
    assert 70 < len(aside) < 130
    assert is_kept_aside("rain-1-A") == is_kept_aside("rain-1-B")  # of one recording


def test_cut_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noises, manifest = tmp_path / "noises", tmp_path / "noises.jsonl.gz"
    noises.mkdir()
    random = np.random.default_rng(1)
    for number, seconds in enumerate([0.5, 3, 20, 61, 1, 30]):
        soundfile.write(noises / f"{number}.flac", 0.1 * random.normal(size=int(seconds * 16_000)), 16_000)
    app(["cut-noise", str(noises), str(manifest)], standalone_mode=False)
    cuts = list(CutSet.from_file(manifest))
    trained = noise_files(noises, aside=False)
    assert f"{len(cuts)} stretches of {len(trained)} files" in capsys.readouterr().err
    assert len({cut.id for cut in cuts}) == len(cuts)
    for path in trained:
        its = [cut for cut in cuts if cut.recording.sources[0].source == str(path)]
        ends = [0.0, *(cut.end for cut in its)]
        assert [cut.start for cut in its] == pytest.approx(ends[:-1])  # one after the other
        assert its[0].recording.duration - ends[-1] < SHORTEST
        assert all(SHORTEST <= cut.duration <= LONGEST for cut in its) or len(its) == 1
    assert not any(normalize(cut.supervisions[0].text or "") for cut in cuts)
    assert all(cut.load_audio().shape == (1, cut.num_samples) for cut in cuts)
    assert all((cut.supervisions[0].start, cut.supervisions[0].duration) == (0, cut.duration) for cut in cuts)


def test_what_cannot_be_cut_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, problem in (("", "holds no sounds to train with"), ("a.wav", "can't be read; delete it")):
        if name:
            (tmp_path / name).write_text("no sound")
        assert app(["cut-noise", str(tmp_path), str(tmp_path / "m.jsonl")], standalone_mode=False) == 1
        assert problem in capsys.readouterr().err
