"""Which recordings a command line names, and what their transcripts are called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr.audio.errors import AudioError
from asr.transcription.inputs import expand, opened


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "talk.wav",
        "talk.mp3",
        "more/talk.wav",
        "more/deep/b.FLAC",
        "notes.txt",
        ".git/x.wav",
        "more/._b.flac",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("sound")
    (tmp_path / "more/back").symlink_to("..")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def named(*arguments: str) -> dict[str, str]:
    return {str(recording.path): recording.output for recording in expand(arguments) if not recording.problem}


def test_folders_are_mirrored(folder: Path) -> None:
    assert named("more") == {"more/deep/b.FLAC": "deep/b", "more/talk.wav": "talk"} | {
        "more/back/talk.mp3": "back/talk.mp3",
        "more/back/talk.wav": "back/talk.wav",
    }
    assert list(named(".")) == ["talk.mp3", "talk.wav", "more/talk.wav", "more/deep/b.FLAC"]
    assert named(".")["more/talk.wav"] == "more/talk"


def test_no_two_transcripts_have_the_same_name(folder: Path) -> None:
    assert named("talk.wav") == {"talk.wav": "talk"}
    assert named("talk.wav", "talk.mp3") == {"talk.wav": "talk.wav", "talk.mp3": "talk.mp3"}
    assert named("talk.wav", "more/talk.wav") == {"talk.wav": "talk.wav", "more/talk.wav": "more/talk.wav"}
    (folder / "talk.wav.mp3").write_text("sound")
    outputs = named("talk.wav", "talk.mp3", "talk.wav.mp3").values()
    assert len(set(outputs)) == 3
    assert named("-", "talk.wav") == {"-": "stdin", "talk.wav": "talk"}


def test_each_file_once(folder: Path) -> None:
    assert list(named("talk.wav", "./talk.wav", str(folder / "talk.wav"), "*.wav")) == ["talk.wav"]


def test_globs(folder: Path) -> None:
    assert named("*.wav") == {"talk.wav": "talk"}
    assert named("more/**/*.FLAC") == {"more/deep/b.FLAC": "deep/b"}  # by the shortest way
    (folder / "[1].wav").write_text("sound")
    assert named("[1].wav") == {"[1].wav": "[1]"}


def test_lists(folder: Path) -> None:
    odd = os.fsdecode(b"odd\xff.wav")
    (folder / odd).write_text("sound")
    (folder / "list").write_bytes(b"talk.wav\r\n\nodd\xff.wav\nmore/deep\n*.mp3\n")
    assert list(named("@list")) == ["talk.wav", odd, "more/deep/b.FLAC", "talk.mp3"]


def test_what_leads_to_nothing_is_told(folder: Path) -> None:
    (folder / "empty").mkdir()
    problems = [recording.problem for recording in expand(["empty", "*.ogg", "@missing", "missing.wav"])]
    assert [problem.split(":")[0] for problem in problems[:3]] == [
        "holds no recordings",
        "matches no file",
        "the list can't be read (No such file or directory)",
    ]
    assert problems[3] == ""  # asr.audio.reading tells


def test_what_could_be_read_for_ever_is_refused(tmp_path: Path) -> None:
    for path, problem in (("/dev/zero", "device"), ("/proc/kmsg", "empty"), ("a\0b", "no such file")):
        with pytest.raises(AudioError, match=problem), opened(Path(path)):
            pass


def test_a_file_called_as_standard_input_is(folder: Path) -> None:
    (folder / "-").write_text("sound")
    assert named("./-") == {str(folder / "-"): "-"}
    assert named("-", "./-") == {"-": "stdin", str(folder / "-"): "-"}
    with opened(folder / "-") as source:
        assert source == folder / "-"


def test_a_closed_standard_input_is_told() -> None:
    program = "from asr.transcription.inputs import STDIN, opened\nwith opened(STDIN): pass"
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, preexec_fn=lambda: os.close(0))
    assert "AudioError: standard input can't be read (Bad file descriptor): pipe a recording into it" in result.stderr
