import json
import shutil
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from asr.cli import app
from asr.decoder.confidence import Calibration, Calibrations
from asr.evaluation.errors import judged
from asr.recognizer import Recognizer
from asr.training import calibrate
from asr.training.calibrate import UNCALIBRATED, Words, fit, write_calibrations
from asr.training.tune import write_settings
from data_prep.layouts import read
from lm.bundle import open_bundle

DATA = Path(__file__).parents[2] / "data"
TRUE = Calibration(bias=-1.0, both=0.4, listed=0.3, segment=0.2, ngram=0.1, acoustic=1.0)


def words(seed: int, count: int = 4000, true: Calibration = TRUE) -> Words:
    """Words that are right as often as `true` says; what the passes say is far too sure."""
    chance = np.random.default_rng(seed)
    spread = [3.0, 3.0, 1.0, 3.0, 0.5]
    evidence = chance.normal([4.0, 4.0, 4.0, -6.0, -0.5], spread, (count, 5))
    right = chance.random(count) < true.probabilities(evidence)
    return Words(evidence, right, np.arange(count) % 2)


def test_the_calibration_is_found_that_made_the_words() -> None:
    item = words(1, 20_000)
    assert astuple(fit(item.evidence, item.right))[1:] == pytest.approx(astuple(TRUE)[1:], abs=0.05)


def test_confidences_can_be_believed_then_on_other_words() -> None:
    item, others = words(1), words(2)
    before, after = (
        judged(others.right, calibration.probabilities(others.evidence))
        for calibration in (UNCALIBRATED, fit(item.evidence, item.right))
    )
    assert after.calibration_error < 0.03 < before.calibration_error
    assert (after.auc or 0) > (before.auc or 0)


def test_opinions_never_count_against_a_word() -> None:
    item = words(1, true=replace(TRUE, listed=-0.3, ngram=-0.1))
    found = fit(item.evidence, item.right)
    assert found.listed == 0
    assert found.both > 0
    assert found.ngram < 0


def test_words_that_are_easily_told_apart_have_finite_weights() -> None:
    item = words(1)
    found = fit(item.evidence, item.evidence[:, 0] > 4)
    assert np.isfinite(astuple(found)).all()
    assert judged(item.evidence[:, 0] > 4, found.probabilities(item.evidence)).calibration_error < 0.05
    same = fit(np.ones((3, 5)), np.array([True, False, True]))
    assert same.probabilities(np.ones((1, 5))) == pytest.approx([2 / 3], abs=1e-3)


def test_words_all_right_or_all_wrong_tell_nothing() -> None:
    for right, kind in ((True, "right"), (False, "wrong")):
        with pytest.raises(ValueError, match=f"all of 3 words are {kind}"):
            fit(np.ones((3, 5)), np.full(3, right))


def test_a_part_is_judged_by_what_the_others_ask_for() -> None:
    one, two = words(1), words(2)
    # Of the second part of both corpora another calibration is true.
    one, two = (
        replace(item, right=np.where(item.part == 0, item.right, item.evidence[:, 3] > -6)) for item in (one, two)
    )
    found = calibrate.calibrate({"one": one, "two": two})
    assert [judgement.data for judgement in found.judgements] == ["one", "two"]
    of_part = [
        fit(
            np.concatenate([item.evidence[item.part == part] for item in (one, two)]),
            np.concatenate([item.right[item.part == part] for item in (one, two)]),
        )
        for part in (0, 1)
    ]
    expected = np.where(one.part == 0, of_part[1].probabilities(one.evidence), of_part[0].probabilities(one.evidence))
    assert found.judgements[0].after == judged(one.right, expected)
    assert found.judgements[0].before == judged(one.right, UNCALIBRATED.probabilities(one.evidence))


def test_tuning_anew_forgets_the_calibration(tiny_bundle: Path, tmp_path: Path) -> None:
    """It was of other scores."""
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    write_calibrations(bundle, Calibrations(acoustic=TRUE))
    recognizer = Recognizer(bundle)
    assert recognizer.calibration == TRUE
    write_settings(bundle, recognizer.search.weights, recognizer.weights, recognizer.search.config)
    assert Recognizer(bundle).calibration is None


def test_the_command(tiny_bundle: Path, tmp_path: Path) -> None:
    """On what the tiny model hears, every third word taken for another."""
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    recognizer = Recognizer(bundle)
    said = []
    for cut in read(DATA).cuts:
        path = shutil.copy(DATA / f"{cut.id}.flac", tmp_path)
        heard = recognizer.transcribe(path).text.split()
        assert len(heard) > 2
        said.append(f"{cut.id} {' '.join('OTHER' if place % 3 == 1 else word for place, word in enumerate(heard))}")
    (tmp_path / "some.trans.txt").write_text("\n".join(said) + "\n")
    command = ["calibrate", str(bundle), "--data", str(tmp_path)]
    result = CliRunner().invoke(app, [*command, "--json"])
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    (judgement,) = found["acoustic"]["judgements"]
    assert judgement["data"] == str(tmp_path)
    assert judgement["after"]["words"] == judgement["before"]["words"] > 9
    assert open_bundle(bundle).config["confidence"] == {"acoustic": found["acoustic"]["calibration"]}
    assert Recognizer(bundle).calibration == Calibration(**found["acoustic"]["calibration"])
    # Begun anew it finds the same: what the passes say is not calibrated twice.
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0
    error = judgement["after"]["calibration_error"]
    assert f"-> {error:.3f}" in again.stdout
    result = CliRunner().invoke(app, ["calibrate", str(bundle), "--data", str(DATA)])
    assert result.exit_code == 1
    assert "nothing to calibrate by" in result.stderr
