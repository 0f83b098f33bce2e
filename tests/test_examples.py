"""The examples run as they are called in their first lines, and do what these say."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from asr.audio import reading

ROOT = Path(__file__).resolve().parents[1]
SAID = "BUT SOMETHING HAD TO BE DONE THE PRIESTS"


def run(program: str, *arguments: Path | str, sound: bytes = b"") -> str:
    """What an example prints."""
    command = [sys.executable, ROOT / "examples" / program, *arguments]
    done = subprocess.run(command, input=sound, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_all_examples_are_tested() -> None:
    assert {path.name for path in (ROOT / "examples").iterdir() if path.is_file()} == {
        "autocomplete.py",
        "captions.py",
        "rescoring.py",
        "subtitles.py",
        "train_on_your_own.py",
    }


def test_subtitles_of_a_folder(recordings: dict[Path, str], tmp_path: Path) -> None:
    for path in recordings:
        shutil.copy(path, tmp_path)
    (tmp_path / "damaged.wav").write_text("no sound")
    printed = run("subtitles.py", tmp_path)
    assert printed.count(".srt: ") == len(recordings)
    assert "\nBut something had to be done" in (tmp_path / "1970-28415-0034.srt").read_text()


def test_captions_of_a_file_and_of_a_microphone(recordings: dict[Path, str]) -> None:
    path = next(path for path, text in recordings.items() if text.startswith(SAID))
    printed = run("captions.py", path)
    assert SAID in printed
    samples = (32768 * reading.load(path)).astype(np.int16)
    assert run("captions.py", "-", sound=samples.tobytes()) == printed


def test_autocompletion_of_a_word_and_of_a_sentence() -> None:
    words = [line.split()[1] for line in run("autocomplete.py", "how to rec").splitlines()]
    assert len(words) == 5
    assert all(word.startswith("REC") for word in words)
    assert not run("autocomplete.py", "how to ").split()[1].startswith("REC")


def test_rescoring_prefers_speech() -> None:
    assert run("rescoring.py").splitlines()[1].endswith("It is hard to recognize speech.")


def test_training_on_recordings_of_ones_own(recordings: dict[Path, str], tmp_path: Path) -> None:
    (tmp_path / "mine/wavs").mkdir(parents=True)
    for path in recordings:
        shutil.copy(path, tmp_path / "mine/wavs")
    lines = [f"{path.stem}|{text.capitalize()}.\n" for path, text in recordings.items()]
    (tmp_path / "mine/metadata.csv").write_text("".join(lines))
    printed = run("train_on_your_own.py", tmp_path / "mine", tmp_path / "made", "1")
    assert [line.split(":")[0] for line in printed.splitlines()] == ["the model that ships", "yours"]
    assert (tmp_path / "made/model/config.toml").exists()
