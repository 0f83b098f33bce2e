import json
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.unpack import download_and_unpack


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """An LJSpeech folder: two good recordings, one too long for --max-seconds 0.5, one without transcript."""
    (tmp_path / "lj/wavs").mkdir(parents=True)
    for name, seconds in (("a", 0.2), ("b", 0.4), ("c", 0.7), ("d", 0.1)):
        soundfile.write(tmp_path / f"lj/wavs/{name}.wav", np.zeros(round(seconds * 16_000)), 16_000)
    (tmp_path / "lj/metadata.csv").write_text("a|One\nb|Two\nc|Three\n")
    return tmp_path / "lj"


def test_manifest_then_show(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "lj.jsonl.gz"
    result = CliRunner().invoke(app, ["manifest", str(corpus), str(output), "--max-seconds", "0.5"])
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "dropped 1: longer than 0.5 s (c)",
        "dropped 1: no transcript (d)",
        f"{output}: 2 utterances",
    ]

    result = CliRunner().invoke(app, ["show", str(output), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "utterances": 2,
        "hours": 0.0002,
        "speakers": 0,
        "utterances_without_speaker": 2,
        "shortest": {"id": "a", "seconds": 0.2},
        "longest": {"id": "b", "seconds": 0.4},
    }
    assert "0.40 s  b" in CliRunner().invoke(app, ["show", str(output)]).stdout


def test_text_is_normalised(corpus: Path) -> None:
    result = CliRunner().invoke(app, ["text", str(corpus), str(corpus)])
    assert (result.exit_code, result.stdout) == (0, "ONE\nTWO\nTHREE\n" * 2)


def test_errors_are_one_line_without_output(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.jsonl"
    for arguments, problem in (
        (["manifest", str(tmp_path / "nowhere"), str(output)], "no such file or folder"),
        (["manifest", str(corpus), str(tmp_path / "m.csv")], "a manifest's name ends in"),
        (["manifest", str(corpus), str(output), "--max-seconds", "0.1"], "no usable utterance"),
        (["show", str(tmp_path)], "no corpus layout recognised"),
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        assert result.stdout == ""
        last = result.stderr.splitlines()[-1]
        assert last.startswith("error: ")
        assert problem in last
        assert not output.exists()


def test_a_python_that_cannot_unpack_safely_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    problem = r"Python 3\.\S+ can't unpack archives safely: use 3\.11\.4 or newer"
    result = CliRunner().invoke(app, ["unpack", str(tmp_path / "train.tar.gz"), str(tmp_path / "data")])
    assert result.exit_code == 1
    assert re.fullmatch(f"error: {problem}\n", result.stderr)
    with pytest.raises(ValueError, match=problem):
        download_and_unpack("ljspeech", tmp_path / "data")
    assert not (tmp_path / "data").exists()
