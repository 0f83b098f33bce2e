"""What a teacher's labels must be like to be trained on, and what becomes of them."""

import importlib.util
import json
from pathlib import Path

import pytest

from data_prep.manifest import open_cuts

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


def test_clips_are_utterances_as_lhotse_has_them(
    recordings: dict[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them have their labels already, so no teacher is needed."""
    (tmp_path / "clips").mkdir()
    labels = []
    for score, (path, text) in zip((-0.1, -0.2, -0.9), recordings.items(), strict=True):
        clip = tmp_path / "clips" / path.name
        clip.symlink_to(path)
        labels.append(json.dumps({"path": str(clip), "text": text, "score": score}))
    (tmp_path / "taught.jsonl.gz.labels.jsonl").write_text("\n".join(labels))
    manifest = tmp_path / "taught.jsonl.gz"
    monkeypatch.setattr("sys.argv", ["label.py", str(tmp_path / "clips"), str(manifest), "--model", "none"])
    label.main()
    cuts = {cut.id: cut for cut in open_cuts(manifest)}
    sure = list(recordings.items())[:2]
    assert set(cuts) == {path.stem for path, _ in sure}
    for path, text in sure:
        cut = cuts[path.stem]
        assert cut.supervisions[0].text == text
        assert cut.load_audio().shape[1] == cut.num_samples
        assert cut.duration == cut.supervisions[0].duration
