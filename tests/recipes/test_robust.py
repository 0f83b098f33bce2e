"""What a teacher's labels must be like to be trained on, and what becomes of them."""

import importlib.util
import json
from pathlib import Path

import pytest
from lhotse import MonoCut

PROGRAM = Path(__file__).parents[2] / "recipes/robust/label.py"
specification = importlib.util.spec_from_file_location("label", PROGRAM)
assert specification is not None
assert specification.loader is not None
label = importlib.util.module_from_spec(specification)
specification.loader.exec_module(label)


@pytest.mark.parametrize(
    ("text", "seconds", "score", "kept"),
    [
        ("He went home.", 2.0, -0.1, True),
        ("He went home.", 2.0, -0.6, False),  # unsure
        ("In 1984 he went home.", 3.0, -0.1, False),  # nineteen eighty-four, or a thousand nine hundred …?
        ("He paid 5$.", 2.0, -0.1, False),
        ("He went home and he went home and he went home.", 4.0, -0.1, False),  # as a decoder that is stuck says
        ("He went home.", 0.5, -0.1, False),  # too fast to be true
        ("Yes.", 9.0, -0.1, False),  # most of it wasn't heard
        ("A cliché.", 2.0, -0.1, False),
        ("", 2.0, -0.1, False),
    ],
)
def test_only_what_is_sure_is_kept(text: str, seconds: float, score: float, kept: bool) -> None:
    assert label.sure(text, seconds, score) == kept


def test_a_clip_is_an_utterance_as_lhotse_has_it(recordings: dict[Path, str]) -> None:
    path, text = next(iter(recordings.items()))
    cut = MonoCut.from_dict(json.loads(json.dumps(label.cut(str(path), text))))
    assert cut.supervisions[0].text == text
    assert cut.load_audio().shape[1] == cut.num_samples
    assert cut.duration == cut.supervisions[0].duration
