from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="pictures need pip install 'nicebeach[pictures]'")

from asr.pictures.evaluation import draw


def summary(speakers: int) -> dict[str, Any]:
    errors = {"substitutions": 6, "deletions": 3, "insertions": 1}
    reliability = [{"words": 20, "confidence": 0.55, "right": 0.5}, {"words": 80, "confidence": 0.95, "right": 0.9}]
    return {
        "words": 100,
        "speakers": [{"speaker": f"s{number}", "words": 10, "wer": float(number)} for number in range(speakers)],
        "confidence": {"calibration_error": 0.05, "reliability": reliability},
        "ngram": errors,
        "lstm": {kind: count / 2 for kind, count in errors.items()},
    }


@pytest.mark.parametrize("speakers", [0, 1, 5, 200])
def test_what_is_drawn_is_what_was_measured(speakers: int) -> None:
    figure = draw(summary(speakers), ("ngram", "lstm"))
    by_speaker, reliability, kinds = figure.axes
    assert [bar.get_height() for bar in by_speaker.patches] == list(range(speakers))
    assert reliability.lines[1].get_xydata().tolist() == [[0.55, 0.5], [0.95, 0.9]]
    assert [text.get_text() for text in kinds.texts] == ["10.0 %", "5.0 %"]
    assert sum(bar.get_height() for bar in kinds.patches) == 15
