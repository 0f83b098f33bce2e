import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.decoder.confidence import Calibration, confidences, evidence
from asr.decoder.hypothesis import Hypothesis, Weights
from asr.recognizer import Recognizer
from lm.bundle import DEFAULT, BundleError

DATA = os.environ.get("NICEBEACH_DATA")
WEIGHTS = Weights(0, 0, 0)
CALIBRATION = Calibration(bias=0.5, both=0.5, listed=0.2, segment=0.3, ngram=0.1, acoustic=1.5)


def hypothesis(words: str, acoustic: float, posteriors: list[float]) -> Hypothesis:
    count = len(words.split())
    return Hypothesis(
        tuple(words.split()),
        acoustic,
        ngram=-3.0 * (count + 1),
        times=tuple((4 * place, 4 * place + 3) for place in range(count)),
        word_ngrams=(-3.0,) * (count + 1),
        posteriors=tuple(posteriors),
    )


def test_without_a_calibration_both_passes_are_believed() -> None:
    nbest = [hypothesis("NICE BEACH", np.log(0.75), [1.0, 0.5]), hypothesis("NICE SPEECH", np.log(0.25), [1.0, 0.5])]
    assert confidences(nbest, WEIGHTS) == pytest.approx([1.0, (0.75 + 0.5) / 2])


def test_evidence_is_of_the_word_and_its_segment() -> None:
    nbest = [hypothesis("NICE BEACH", -12.0, [0.8, 0.5]), hypothesis("NICE SPEECH", -12.0, [0.8, 0.5])]
    nbest[0] = replace(nbest[0], word_ngrams=(-1.0, -2.0, -3.0))
    both = np.log([0.9 / 0.1, 1.0])
    assert evidence(nbest, WEIGHTS) == pytest.approx(
        np.column_stack([both, [np.log(1e5 - 1), 0], [both.mean()] * 2, [-1, -2], [-12 / 6] * 2])
    )
    probable = confidences(nbest, WEIGHTS, Calibration(bias=0, both=1, listed=0, segment=0, ngram=0, acoustic=0))
    assert probable == pytest.approx(confidences(nbest, WEIGHTS))


def test_no_words() -> None:
    assert confidences([hypothesis("", -1.0, [])], WEIGHTS, CALIBRATION) == []


numbers = st.floats(-1e6, 0)
shares = st.floats(0, 1)


@given(
    acoustics=st.lists(numbers, min_size=2, max_size=2),
    posteriors=st.lists(shares, min_size=2, max_size=2),
    more=shares,
    ngram=numbers,
    signed=st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
    others=st.lists(st.floats(0, 1e3), min_size=3, max_size=3),
)
def test_confidences_are_probabilities_that_grow_with_the_posterior(
    acoustics: list[float], posteriors: list[float], more: float, ngram: float, signed: list[float], others: list[float]
) -> None:
    calibration = Calibration(signed[0], *others, *signed[1:])
    best = replace(hypothesis("NICE BEACH", acoustics[0], posteriors), word_ngrams=(ngram, ngram, ngram))
    other = hypothesis("NICE SPEECH", acoustics[1], posteriors)
    before = confidences([best, other], WEIGHTS, calibration)
    surer = replace(best, posteriors=(max(more, posteriors[0]), posteriors[1]))
    after = confidences([surer, other], WEIGHTS, calibration)
    assert all(0 <= value <= 1 for value in before + after)
    assert all(new >= old - 1e-9 for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"both": -0.1}, "confidence.acoustic.both = -0.1: want a finite number from 0"),
        ({"ngram": "many"}, 'confidence.acoustic.ngram = "many": want a finite number'),
        ({"bias": float("nan")}, "confidence.acoustic.bias = nan: want a finite number"),
        ({"loudness": 1.0}, "no such setting: confidence.acoustic.loudness = 1.0; there are bias, both"),
    ],
)
def test_what_can_be_no_calibration_is_told(tiny_bundle: Path, tmp_path: Path, table: dict, problem: str) -> None:
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    values = {**vars(CALIBRATION), **table}
    lines = [f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in values.items()]
    with (bundle / "config.toml").open("a") as config:
        config.write("\n[confidence.acoustic]\n" + "\n".join(lines) + "\n")
    with pytest.raises(BundleError) as error:
        Recognizer(bundle)
    assert problem in str(error.value)


def test_a_calibration_may_lack_nothing_but_there_may_be_none(tiny_bundle: Path, tmp_path: Path) -> None:
    assert Recognizer(tiny_bundle).calibration is None
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    with (bundle / "config.toml").open("a") as config:
        config.write("\n[confidence.acoustic]\nbias = 1.0\n")
    with pytest.raises(BundleError, match=r"missing: confidence\.acoustic\.both, "):
        Recognizer(bundle)


@pytest.mark.skipif(DATA is None, reason="NICEBEACH_DATA names no folder with speech/commonvoice")
@pytest.mark.skipif(not (DEFAULT / "config.toml").exists(), reason="asr/default_model holds no models")
def test_confidences_can_be_believed_on_everyday_speech() -> None:
    from asr.cli.options import read_cuts
    from asr.evaluation.evaluate import evaluate

    recognizer = Recognizer()
    cuts, _ = read_cuts(Path(DATA or "") / "speech/commonvoice/dev.tsv", limit=40)
    calibrated = evaluate(recognizer, cuts).summary()["confidence"]
    recognizer.calibration = None
    as_they_were = evaluate(recognizer, cuts).summary()["confidence"]
    assert calibrated["calibration_error"] < 0.07 < as_they_were["calibration_error"]
    assert calibrated["normalized_cross_entropy"] > as_they_were["normalized_cross_entropy"]
