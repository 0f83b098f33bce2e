from dataclasses import replace
from pathlib import Path

import pytest
from lhotse import CutSet

from asr.audio import load_cut
from asr.metrics import DECODINGS, ErrorRates, error_rates, evaluate
from asr.recognizer import Recognizer
from data_prep.layouts import read

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def cuts() -> CutSet:
    return read(DATA).cuts


def test_error_rates() -> None:
    assert error_rates(["A B C D"], ["A X D"]) == ErrorRates(wer=50.0, cer=42.86)  # of 7 characters " B" and C → X
    assert error_rates(["ONE TWO", ""], ["ONE TWO", "THREE"]).wer == 50.0
    assert error_rates(["ONE"], [""]) == ErrorRates(100.0, 100.0)


def test_both_sides_are_normalised_alike() -> None:
    assert error_rates(["Mr. Bell paid $5."], ["mister bell paid five dollars"]) == ErrorRates(0.0, 0.0)


def test_references_without_words_have_no_error_rate() -> None:
    with pytest.raises(ValueError, match="no words"):
        error_rates(["...", ""], ["A", "B"])


def test_evaluation(tiny_bundle: Path, cuts: CutSet) -> None:
    recognizer = Recognizer.load(tiny_bundle)
    good = next(iter(cuts))
    sources = [replace(source, source="nowhere.flac") for source in good.recording.sources]
    broken = replace(good, id="broken", recording=replace(good.recording, sources=sources))
    evaluation = evaluate(recognizer, [broken, *cuts])
    assert [item.id for item in evaluation.utterances] == [cut.id for cut in cuts]
    assert evaluation.unreadable == ["broken: no such file: check its name"]
    summary = evaluation.summary()
    assert list(summary) == ["utterances", "words", "hours", "rtf", *DECODINGS]
    assert summary["utterances"] == 3
    assert summary["words"] == 42
    assert summary["hours"] == pytest.approx(16.4 / 3600, abs=1e-4)
    for item, cut in zip(evaluation.utterances, cuts, strict=True):
        # What `asr transcribe` makes of it.
        assert item.lstm == recognizer.transcribe(load_cut(cut)).text
    references = [item.reference for item in evaluation.utterances]
    rates = error_rates(references, [item.lstm for item in evaluation.utterances])
    assert summary["lstm"] == {"wer": rates.wer, "cer": rates.cer}


def test_nothing_to_evaluate(tiny_bundle: Path) -> None:
    with pytest.raises(ValueError, match="nothing to evaluate"):
        evaluate(Recognizer.load(tiny_bundle), [])


def test_a_cut_is_its_part_of_the_recording(cuts: CutSet) -> None:
    cut = next(iter(cuts))
    part = cut.truncate(offset=1.0, duration=0.5)
    assert load_cut(part) == pytest.approx(load_cut(cut)[16_000:24_000])
