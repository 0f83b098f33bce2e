"""Both passes of the decoder on frozen emissions, against what they found when these were frozen.

When another n-gram, LSTM or lexicon ships: `python tests/asr/test_golden.py` writes the golden results anew; with the
argument `emissions` the frozen emissions as well (needed only if the units change).
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.decoder.beam import BeamConfig, BeamSearch
from asr.decoder.hypothesis import Weights
from asr.decoder.rescore import rescore
from asr.recognizer import Recognizer
from lm.bundle import DEFAULT

DATA = Path(__file__).parents[2] / "data"
EMISSIONS, GOLDEN = DATA / "emissions.npz", DATA / "golden.json"
# Not those of the bundle: these get tuned.
CONFIG = BeamConfig(size=300, score=18.0, nbest=100, add=True, skip_blank=0.999)
FIRST_PASS = Weights(ngram=0.9, lstm=0.0, word=-0.25)
SECOND_PASS = Weights(ngram=0.1, lstm=0.9, word=-0.5)
LISTED = 5
NAMES = [line.split()[0] for line in (DATA / "librispeech.trans.txt").read_text().splitlines()]

pytestmark = pytest.mark.skipif(
    not (DEFAULT / "config.toml").exists(), reason=f"{DEFAULT} holds no models: there's nothing to compare"
)


def emissions() -> dict[str, np.ndarray]:
    with np.load(EMISSIONS) as stored:
        return {name: stored[name].astype(np.float32) for name in stored}


def decode(recognizer: Recognizer, log_probs: np.ndarray, config: BeamConfig = CONFIG) -> dict[str, Any]:
    """What both passes find, rounded, as the golden file has it."""
    own = recognizer.search
    first = BeamSearch(own.tree, own.ngram, own.vocabulary, config, FIRST_PASS).decode(log_probs)
    return {
        "first": [
            {
                "words": found.text,
                "acoustic": round(found.acoustic, 6),
                "ngram": round(found.ngram, 6),
                "total": round(found.total(FIRST_PASS), 6),
                "times": [list(time) for time in found.times],
                "posteriors": [round(posterior, 6) for posterior in found.posteriors],
            }
            for found in first[:LISTED]
        ],
        "rescored": [
            {"words": found.text, "lstm": round(found.lstm or 0.0, 6), "total": round(found.total(SECOND_PASS), 6)}
            for found in rescore(first, recognizer.lstm, SECOND_PASS)[:LISTED]
        ],
    }


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", NAMES)
def test_decoding_finds_what_it_found(recognizer: Recognizer, golden: dict[str, Any], name: str) -> None:
    found = decode(recognizer, emissions()[name])
    for stage, expected in golden[name].items():
        assert [entry["words"] for entry in found[stage]] == [entry["words"] for entry in expected]
        for entry, right in zip(found[stage], expected, strict=True):
            for score in right.keys() - {"words", "times"}:
                assert entry[score] == pytest.approx(right[score], abs=1e-4), score
            assert entry.get("times") == right.get("times")


@pytest.mark.parametrize("name", NAMES)
def test_what_no_step_is_left_for_is_not_missed(
    recognizer: Recognizer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With few steps what waits is thinned out, with many it isn't; these few are enough."""
    found = []
    for steps in (2000, 10_000_000):
        monkeypatch.setattr("asr.decoder.beam.MOST_STEPS", steps)
        monkeypatch.setattr("asr.decoder.beam.MOST_STEPS_EACH", 0)
        own = recognizer.search
        search = BeamSearch(own.tree, own.ngram, own.vocabulary, CONFIG, FIRST_PASS)
        found.append(search.decode(emissions()[name]))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_wider_beam_finds_the_same(recognizer: Recognizer, golden: dict[str, Any], name: str) -> None:
    """The golden hypotheses aren't an accident of pruning."""
    wider = decode(recognizer, emissions()[name], replace(CONFIG, size=2 * CONFIG.size, score=CONFIG.score + 4))
    best, expected = wider["first"][0], golden[name]["first"][0]
    assert best["words"] == expected["words"]
    assert best["total"] == pytest.approx(expected["total"], abs=1e-3)


def write(new_emissions: bool) -> None:
    from asr.audio import reading

    recognizer = Recognizer()
    if new_emissions:
        frozen = {name: recognizer.emissions(reading.load(DATA / f"{name}.flac")).astype(np.float16) for name in NAMES}
        np.savez_compressed(EMISSIONS, **frozen)
    golden = {name: decode(recognizer, log_probs) for name, log_probs in emissions().items()}
    # A line for each hypothesis, so that a difference can be read.
    GOLDEN.write_text(json.dumps(golden).replace("[{", "[\n{").replace("}, {", "},\n{") + "\n")


if __name__ == "__main__":
    write("emissions" in sys.argv[1:])
