import json
from dataclasses import replace
from pathlib import Path

import pytest
from lhotse import CutSet
from typer.testing import CliRunner

from asr.audio.reading import load_cut
from asr.cli import app
from asr.evaluation.errors import error_rates
from asr.evaluation.evaluate import DECODINGS, Decoded, Evaluation, evaluate, read_transcribed
from asr.recognizer import Recognizer
from data_prep.layouts import read

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def cuts() -> CutSet:
    return read(DATA).cuts


@pytest.fixture(scope="module")
def recognizer(tiny_bundle: Path) -> Recognizer:
    return Recognizer(tiny_bundle)


def decoded(name: str, reference: str, ngram: str, lstm: str) -> Decoded:
    return Decoded(name, 2.0, reference, "", ngram, lstm, [0.5] * len(lstm.split()), oracle_errors=0)


@pytest.fixture
def small() -> Evaluation:
    """Two utterances; of the first the LSTM mends the n-gram's error."""
    utterances = [decoded("a", "One two.", "ONE TOO", "ONE TWO"), decoded("b", "Three", "FREE", "FREE")]
    return Evaluation(utterances, [], {"emissions": 0.5, "first_pass": 0.25, "rescoring": 0.25})


def test_evaluation(recognizer: Recognizer, cuts: CutSet) -> None:
    good = next(iter(cuts))
    sources = [replace(source, source="nowhere.flac") for source in good.recording.sources]
    broken = replace(good, id="broken", recording=replace(good.recording, sources=sources))
    evaluation = evaluate(recognizer, [broken, *cuts])
    assert [item.id for item in evaluation.utterances] == [cut.id for cut in cuts]
    assert evaluation.unreadable == ["broken: no such file: check its name"]
    for item, cut in zip(evaluation.utterances, cuts, strict=True):
        # What `asr transcribe` makes of it.
        transcript = recognizer.transcribe(load_cut(cut))
        words = [word for segment in transcript.segments for word in segment.words]
        assert item.lstm == transcript.text
        assert item.confidences == [word.confidence for word in words]
    summary = evaluation.summary()
    assert summary["utterances"] == 3
    assert summary["words"] == 42
    assert summary["hours"] == pytest.approx(16.4 / 3600, abs=1e-4)
    references = [item.reference for item in evaluation.utterances]
    for decoding in DECODINGS:
        rates = error_rates(references, [getattr(item, decoding) for item in evaluation.utterances])
        low, high = summary[decoding].pop("wer_interval")
        assert summary[decoding] == vars(rates)
        assert low <= rates.wer <= high
    assert summary["oracle_wer"] <= min(summary["ngram"]["wer"], summary["lstm"]["wer"])


def test_summary(small: Evaluation) -> None:
    summary = small.summary(top=1)
    assert summary["rtf"] == 0.25
    assert summary["seconds_first_pass"] == 0.25
    assert (summary["ngram"]["wer"], summary["lstm"]["wer"]) == (66.67, 33.33)
    (comparison,) = summary["comparisons"]
    assert (comparison["before"], comparison["after"], comparison["wer_difference"]) == ("ngram", "lstm", -33.33)
    assert summary["confidence"] == {
        "words": 3,
        "calibration_error": 0.1667,
        "auc": 0.5,
        "normalized_cross_entropy": -0.089,
        "reliability": [{"words": 3, "confidence": 0.5, "right": 0.6667}],
    }
    assert summary["confusions"] == {"substitutions": [("THREE", "FREE", 1)], "insertions": [], "deletions": []}


def test_error_rates_by_speaker(small: Evaluation) -> None:
    said = [replace(item, speaker=speaker) for item, speaker in zip(small.utterances, ("b", "a"), strict=False)]
    alone = Evaluation(
        [*said, replace(said[0], id="again"), replace(said[0], id="whose", speaker=None)], [], small.spent
    )
    speakers = alone.summary()["speakers"]
    assert [speaker["speaker"] for speaker in speakers] == ["a", "b"]
    assert sum(speaker["words"] for speaker in speakers) == 2 * len(said[0].reference.split()) + len(
        said[1].reference.split()
    )
    assert small.summary()["speakers"] == []


def test_an_earlier_evaluation_is_what_to_compare_with(small: Evaluation, tmp_path: Path) -> None:
    small.write(tmp_path, small.summary())
    assert (tmp_path / "alignments.txt").read_text().startswith("b\n\nREF: THREE\n")
    now = replace(small, utterances=[replace(item, lstm=item.ngram) for item in small.utterances])
    summary = now.summary(earlier=("old", read_transcribed(tmp_path)))
    assert [(item["before"], item["wer_difference"]) for item in summary["comparisons"]] == [
        ("ngram", 0.0),
        ("old", 33.33),
    ]


def test_only_evaluations_of_the_same_are_compared(small: Evaluation, tmp_path: Path) -> None:
    small.write(tmp_path, small.summary())
    earlier = read_transcribed(tmp_path)
    with pytest.raises(ValueError, match=r"old: .* \(1 differ, b for one\)"):
        replace(small, utterances=small.utterances[:1]).summary(earlier=("old", earlier))
    other_text = [*small.utterances[:1], replace(small.utterances[1], reference="FOUR")]
    with pytest.raises(ValueError, match="b for one"):
        replace(small, utterances=other_text).summary(earlier=("old", earlier))


def test_what_is_no_evaluation_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"utterances.jsonl: no such file; name the --output"):
        read_transcribed(tmp_path)
    (tmp_path / "utterances.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(ValueError, match="not what asr evaluate writes"):
        read_transcribed(tmp_path)


def test_nothing_to_evaluate(recognizer: Recognizer) -> None:
    with pytest.raises(ValueError, match="nothing to evaluate"):
        evaluate(recognizer, [])


def test_a_cut_is_its_part_of_the_recording(cuts: CutSet) -> None:
    cut = next(iter(cuts))
    part = cut.truncate(offset=1.0, duration=0.5)
    assert load_cut(part) == pytest.approx(load_cut(cut)[16_000:24_000])


def test_the_command_compares_with_its_own_output(tiny_bundle: Path, tmp_path: Path) -> None:
    command = ["evaluate", "--model", str(tiny_bundle), "--data", str(DATA)]
    result = CliRunner().invoke(app, [*command, "--output", str(tmp_path), "--confusions", "2"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "oracle: WER" in result.stdout
    assert "lstm against ngram: WER" in result.stdout
    assert len(json.loads((tmp_path / "summary.json").read_text())["confusions"]["substitutions"]) == 2
    result = CliRunner().invoke(app, [*command, "--json", "--against", str(tmp_path)])
    assert (result.exit_code, result.stderr) == (0, "")
    same = json.loads(result.stdout)["comparisons"][1]
    assert (same["before"], same["wer_difference"]) == (str(tmp_path), 0.0)
    result = CliRunner().invoke(app, [*command, "--limit", "2", "--against", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "1 differ" in result.stderr
