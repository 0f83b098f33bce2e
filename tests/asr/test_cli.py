import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from asr.cli import app
from asr.recognizer import Recognizer
from asr.writers import TextWriter
from lm.bundle import DEFAULT

DATA = Path(__file__).parents[1] / "data"

Transcribe = Callable[..., Result]


@pytest.fixture
def transcribe(tiny_bundle: Path) -> Transcribe:
    def call(*arguments: object, **others: Any) -> Result:
        command = ["transcribe", "--model", str(tiny_bundle), *map(str, arguments)]
        return CliRunner().invoke(app, command, **others)

    return call


@pytest.fixture
def expected(tiny_bundle: Path, recordings: dict[Path, str]) -> dict[Path, str]:
    """What the tiny bundle makes of the recordings."""
    recognizer = Recognizer(tiny_bundle)
    return {path: recognizer.transcribe(path).text for path in recordings}


def test_text_has_names_only_if_there_are_several(transcribe: Transcribe, expected: dict[Path, str]) -> None:
    path, text = next(iter(expected.items()))
    result = transcribe(path)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{text}\n", "")
    result = transcribe(*expected)
    assert result.stdout.splitlines() == [f"{path}: {text}" for path, text in expected.items()]


def test_json(transcribe: Transcribe, expected: dict[Path, str]) -> None:
    items = json.loads(transcribe("--format", "json", *expected).stdout)
    assert [item["file"] for item in items] == [str(path) for path in expected]
    for item, (path, text) in zip(items, expected.items(), strict=True):
        assert item["text"] == item["nbest"][0]["text"] == text
        assert item["error"] is None
        assert item["duration"] == pytest.approx(soundfile.info(path).duration)
        assert [word["word"] for word in item["words"]] == text.split()
        assert set(item["nbest"][0]) == {"text", "acoustic", "ngram", "lstm", "total"}
        totals = [hypothesis["total"] for hypothesis in item["nbest"]]
        assert totals == sorted(totals, reverse=True)


def test_one_bad_file_does_not_spoil_the_others(transcribe: Transcribe, expected: dict[Path, str]) -> None:
    path, text = next(iter(expected.items()))
    result = transcribe("missing.wav", path, DATA)
    assert result.exit_code == 1
    assert result.stdout == f"{path}: {text}\n"
    assert result.stderr.splitlines() == [
        "error: missing.wav: no such file: check its name",
        f"error: {DATA}: is a folder: name the recordings in it",
    ]
    result = transcribe("--format", "json", "missing.wav", path)
    assert result.exit_code == 1
    missing, good = json.loads(result.stdout)
    assert missing["text"] is None
    assert missing["error"] == "no such file: check its name"
    assert good["text"] == text


def test_silence_is_an_empty_transcript(transcribe: Transcribe, tmp_path: Path) -> None:
    for name, samples in (("silence.wav", np.zeros(160_000)), ("sample.wav", np.full(1, 0.5))):
        soundfile.write(tmp_path / name, samples, 16_000)
        result = transcribe(tmp_path / name)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "\n", "")


def test_what_is_no_speech_does_no_harm(transcribe: Transcribe, tmp_path: Path) -> None:
    time = np.arange(80_000) / 16_000
    random = np.random.default_rng(1)
    for name, samples in (
        ("tone.wav", 0.3 * np.sin(2 * np.pi * 1000 * time)),
        ("noise.wav", 0.1 * random.standard_normal(16_000)),
        ("click.wav", random.uniform(-1, 1, 50)),
    ):
        soundfile.write(tmp_path / name, samples, 16_000)
        assert transcribe(tmp_path / name).exit_code == 0


def test_standard_input(transcribe: Transcribe, expected: dict[Path, str]) -> None:
    path, text = next(iter(expected.items()))
    result = transcribe("-", input=path.read_bytes())
    assert (result.exit_code, result.stdout) == (0, f"{text}\n")
    result = transcribe("-", input=b"")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: -: empty (0 bytes)")


def test_names_that_are_no_text(transcribe: Transcribe, expected: dict[Path, str], tmp_path: Path) -> None:
    path, text = next(iter(expected.items()))
    odd = tmp_path / "[red]\udcff.flac"
    shutil.copy(path, odd)
    for format in ("txt", "json"):
        result = transcribe("--format", format, odd)
        assert result.exit_code == 0
        assert text in result.stdout


def test_long_recordings_have_segments(transcribe: Transcribe, recordings: dict[Path, str], tmp_path: Path) -> None:
    samples = np.concatenate([soundfile.read(path)[0] for path in recordings] * 3)
    soundfile.write(tmp_path / "long.flac", samples, 16_000)
    (item,) = json.loads(transcribe("--format", "json", tmp_path / "long.flac").stdout)
    assert len(item["segments"]) > 1
    assert item["text"] == " ".join(segment["text"] for segment in item["segments"] if segment["text"])
    assert [hypothesis["text"] for hypothesis in item["nbest"]] == [item["text"]]
    assert item["segments"][-1]["end"] == pytest.approx(item["duration"], abs=0.01)


def test_explain(transcribe: Transcribe, expected: dict[Path, str]) -> None:
    path, text = next(iter(expected.items()))
    result = transcribe("--explain", "--top", "3", path)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{path}: {text}\n")
    assert "× 0.3" in result.stdout
    assert "first pass" in result.stdout
    assert "acoustics" in result.stdout
    result = transcribe("--explain", "--format", "json", path)
    assert result.exit_code == 1
    assert "leave out one of the two" in result.stderr


def test_ctrl_c_ends_with_130(
    transcribe: Transcribe, recordings: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Recognizer, "segments", interrupted)
    result = transcribe("--format", "json", *recordings)
    assert (result.exit_code, json.loads(result.stdout), result.stderr) == (130, [], "")


def test_a_closed_pipe_is_no_error(
    transcribe: Transcribe, recordings: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(TextWriter, "write", closed)
    assert transcribe(*recordings).stderr == ""


def test_a_folder_without_model(recordings: dict[Path, str], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["transcribe", "--model", str(tmp_path), str(next(iter(recordings)))])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {tmp_path}: no model there")


def test_evaluate(tiny_bundle: Path, tmp_path: Path) -> None:
    command = ["evaluate", "--model", str(tiny_bundle), "--data", str(DATA)]
    result = CliRunner().invoke(app, [*command, "--json", "--output", str(tmp_path)])
    assert (result.exit_code, result.stderr) == (0, "")
    summary = json.loads(result.stdout)
    assert summary["utterances"] == 3
    assert {"wer", "cer"} < set(summary["greedy"])
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert len((tmp_path / "utterances.jsonl").read_text().splitlines()) == 3
    result = CliRunner().invoke(app, [*command, "--limit", "1"])
    assert result.exit_code == 0
    assert "WER" in result.stdout
    assert "utterances 1" in result.stdout


def test_evaluate_tells_what_it_could_not_read(tiny_bundle: Path, tmp_path: Path) -> None:
    for path in DATA.glob("1970*"):
        shutil.copy(path, tmp_path)
        (tmp_path / "half.flac").write_bytes(path.read_bytes()[:20_000])
    (tmp_path / "x.trans.txt").write_text("1970-28415-0034 ONE\nhalf TWO\nmissing THREE\n")
    result = CliRunner().invoke(app, ["evaluate", "--model", str(tiny_bundle), "--data", str(tmp_path), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["utterances"] == 1
    assert "dropped 1: missing audio (missing)" in result.stderr
    assert "error: half: damaged" in result.stderr
    assert "1 of 2 utterances could not be read" in result.stderr


def test_train_says_which_files_its_units_need() -> None:
    for units, option in (("phones", "--letter-to-sound"), ("pieces", "--pieces")):
        result = CliRunner().invoke(app, ["train", "settings.toml", "--output", "out", "--units", units])
        assert result.exit_code == 1
        assert option in result.stderr
        result = CliRunner().invoke(
            app, ["train", "settings.toml", "--output", "out", "--units", units, option, str(DATA / "tiny.arpa")]
        )
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: {DATA / 'tiny.arpa'}: not a ")


def test_help_loads_no_models() -> None:
    script = "import asr.cli, sys; sys.exit(bool({'torch', 'lhotse', 'jiwer'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.skipif(not (DEFAULT / "config.toml").exists(), reason="asr/default_model holds no models")
def test_torch_only_trains(recordings: dict[Path, str]) -> None:
    script = """if True:
        import sys
        import asr.cli, lm.cli
        asr.cli.app(["transcribe", "--hot-word", "Kubernetes", sys.argv[1]], standalone_mode=False)
        lm.cli.app(["next", "how to recognize", "--model", "mixture"], standalone_mode=False)
        assert not {"torch", "torchaudio", "lightning", "lhotse"} & sys.modules.keys()
    """
    path = next(iter(recordings))
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 11


@pytest.mark.skipif(not (DEFAULT / "config.toml").exists(), reason="asr/default_model holds no models")
def test_the_models_that_ship(recordings: dict[Path, str]) -> None:
    result = CliRunner().invoke(app, ["evaluate", "--data", str(DATA), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["lstm"]["wer"] < 30
    result = CliRunner().invoke(app, ["transcribe", "--explain", str(next(iter(recordings)))])
    assert result.exit_code == 0
    assert "first pass" in result.stdout
