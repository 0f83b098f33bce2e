import contextlib
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from asr.audio import reading
from asr.cli import app
from asr.cli.transcribe import read_time
from asr.recognizer import Recognizer
from asr.transcription.transcribe import FORMATS, STREAMED
from lm.bundle import DEFAULT

DATA = Path(__file__).parents[1] / "data"
ROOT = Path(__file__).parents[2]

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


def test_one_bad_file_does_not_spoil_the_others(
    transcribe: Transcribe, expected: dict[Path, str], tmp_path: Path
) -> None:
    path, text = next(iter(expected.items()))
    result = transcribe("missing.wav", path, tmp_path)
    assert result.exit_code == 1
    assert result.stdout == f"{path}: {text}\n"
    assert result.stderr.splitlines() == [
        "error: missing.wav: no such file: check its name",
        f"error: {tmp_path}: holds no recordings: name a folder with wav, flac, ogg, opus, mp3, m4a, ...",
        "2 of 3 files failed",
    ]
    result = transcribe("--format", "json", "missing.wav", path)
    assert result.exit_code == 1
    missing, good = json.loads(result.stdout)
    assert missing["text"] is None
    assert missing["error"] == "no such file: check its name"
    assert good["text"] == text


def test_what_is_lost_is_told(transcribe: Transcribe, expected: dict[Path, str], tmp_path: Path) -> None:
    """A recording that isn't whole hasn't failed: as much as there is of it is written, and what isn't is told."""
    path, text = next(iter(expected.items()))
    cut = tmp_path / "cut.wav"
    soundfile.write(cut, *soundfile.read(path))
    cut.write_bytes(cut.read_bytes()[: -2 * 40_000])
    line = "ends at 0:04.3, 2.5 s before its header says: it was cut off, or is damaged"
    result = transcribe("--quiet", path, cut)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{path}: {text}\n{cut}: ")
    assert result.stderr == f"warning: {cut}: {line}\n"
    whole, part = json.loads(transcribe("--format", "json", path, cut).stdout)
    assert (whole["warnings"], part["warnings"]) == ([], [line])
    assert part["error"] is None
    result = transcribe("--output-dir", tmp_path / "out", cut)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"warning: {cut}: {line}\n")
    assert (tmp_path / "out" / "cut.txt").exists()
    assert transcribe("--end", "4", cut).stderr == ""  # what wasn't asked for isn't missed


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
    assert "leave out the other options" in result.stderr


def started(tiny_bundle: Path, *arguments: object, stderr: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """The command as a process, in a group of its own, whose standard input nobody writes to."""
    command = [sys.executable, "-m", "asr.cli", "transcribe", "--model", tiny_bundle, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        list(map(str, command)),
        stdin=pipe,
        stdout=pipe,
        stderr=stderr,
        cwd=ROOT,
        start_new_session=True,
    )


def children(process: subprocess.Popen[bytes]) -> list[int]:
    return below(process.pid)


def below(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_standard_input(tiny_bundle: Path, expected: dict[Path, str]) -> None:
    path, text = next(iter(expected.items()))
    for name in ("-", "/dev/stdin"):
        out, err = started(tiny_bundle, name).communicate(path.read_bytes())
        assert (out.decode(), err) == (f"{text}\n", b"")
    process = started(tiny_bundle, "-")
    _, err = process.communicate(b"")
    assert process.returncode == 1
    assert err.startswith(b"error: -: empty (0 bytes)")


def test_ctrl_c_keeps_what_is_finished(tiny_bundle: Path, expected: dict[Path, str], tmp_path: Path) -> None:
    path, text = next(iter(expected.items()))
    process = started(tiny_bundle, "--format", "json", "--threads", "2", path, "-")
    begin = process.stdout.readline()  # comes with the first transcript, when nothing but standard input is left
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() == 130
    assert [item["text"] for item in json.loads(begin + process.stdout.read())] == [text]
    assert process.stderr.read() == b"interrupted: 1 of 2 files were done\n"
    process.stdin.close()
    process.stdout.close()
    process.stderr.close()


def test_ctrl_c_keeps_files(tiny_bundle: Path, expected: dict[Path, str], tmp_path: Path) -> None:
    path, text = next(iter(expected.items()))
    process = started(tiny_bundle, "--output-dir", tmp_path, "--threads", "1", path, "-")
    done = tmp_path / f"{path.stem}.txt"
    wait_for(done.exists)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert [path.name for path in tmp_path.glob("[!.]*")] == [done.name]
    assert done.read_text() == text + "\n"


def test_a_process_that_dies_costs_its_file(tiny_bundle: Path, expected: dict[Path, str]) -> None:
    path, text = next(iter(expected.items()))
    process = started(tiny_bundle, "--threads", "1", "-", path)
    wait_for(lambda: children(process))
    os.kill(children(process)[0], signal.SIGKILL)
    out, err = process.communicate()
    assert (process.returncode, out.decode()) == (1, f"{path}: {text}\n")
    assert err.decode().splitlines() == [
        "error: -: its process was killed, perhaps for want of memory: take parts of it by --start and --end",
        "1 of 2 files failed",
    ]


def test_a_killed_command_leaves_no_process(tiny_bundle: Path) -> None:
    process = started(tiny_bundle, "-")
    wait_for(lambda: children(process))
    (child,) = children(process)
    process.kill()
    process.wait()
    wait_for(lambda: not alive(child))
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


@pytest.fixture(scope="module")
def long(recordings: dict[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that takes long enough to be interrupted: an hour, 8 bits at 8 kHz."""
    speech = np.concatenate([reading.load(path) for path in recordings])[::2]
    path = tmp_path_factory.mktemp("long") / "hour.wav"
    soundfile.write(path, np.tile(speech, 3600 * 8000 // len(speech)), 8000, subtype="ULAW")
    return path


@pytest.mark.parametrize("form", STREAMED)
def test_a_stream_is_what_is_printed_at_the_end(transcribe: Transcribe, long: Path, form: str) -> None:
    command = ["--format", form, "--end", "90", "--threads", "2", long]
    whole, streamed = transcribe(*command), transcribe("--stream", *command)
    assert (streamed.exit_code, streamed.stderr) == (0, "")
    if form == "txt":  # it has a line a segment
        assert streamed.stdout.count("\n") > 2
        assert streamed.stdout.split() == whole.stdout.split()
    else:
        assert streamed.stdout == whole.stdout


def shown_on_a_terminal(model: Path, *arguments: Path | str) -> bytes:
    command = [sys.executable, "-m", "asr.cli", "transcribe", "--model", *map(str, [model, *arguments])]
    ours, theirs = pty.openpty()
    subprocess.run(command, stdout=theirs, stderr=theirs, cwd=ROOT, check=True)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal's end
        while data := os.read(ours, 4096):
            shown += data
    os.close(ours)
    return shown


def test_a_terminal_is_streamed_to(tiny_bundle: Path, long: Path) -> None:
    shown = shown_on_a_terminal(tiny_bundle, "--end", "60", long)
    assert shown.count(b"\n") > 2
    assert b"0/1" not in shown  # no bar between its lines


def test_no_bar_is_drawn_below_the_last_text(tiny_bundle: Path, long: Path, expected: dict[Path, str]) -> None:
    for paths in ([*expected], ["--channel", "each", "--end", "20", long]):
        shown = shown_on_a_terminal(tiny_bundle, *paths)
        assert b"0/" in shown  # there was one
        text = shown.decode().rpartition("\x1b[2K")[2]  # after the last line that was cleared
        assert text.strip()
        assert "\x1b" not in text


def test_what_cannot_be_streamed(transcribe: Transcribe, long: Path, tmp_path: Path) -> None:
    for options, what in (
        (["--format", "json"], "json"),
        (["--explain"], "--explain"),
        (["--output-dir", tmp_path], "--output-dir"),
        ([long.parent, DATA], "these are 4"),
    ):
        result = transcribe("--stream", *options, long)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("error: --stream")
        assert what in result.stderr


def test_ctrl_c_keeps_what_is_done_of_a_recording(tiny_bundle: Path, long: Path, tmp_path: Path) -> None:
    """Streamed, or in files that nobody takes for whole ones."""
    process = started(tiny_bundle, "--stream", "--threads", "2", long)
    first = process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert first.strip()
    interrupted, count = err.decode().splitlines()
    assert interrupted.startswith(f"warning: {long}: interrupted: its transcript ends at ")
    assert count == "interrupted: 0 of 1 files were done"

    partials = [tmp_path / f"hour.{form}.partial" for form in FORMATS]
    terminal, theirs = pty.openpty()
    command = ["--format", "all", "--output-dir", tmp_path, "--threads", "2", long]
    process = started(tiny_bundle, *command, stderr=theirs)
    os.close(theirs)
    shown = b""
    while b" left" not in shown:  # so a part is done
        shown += os.read(terminal, 4096)
    os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(OSError):  # the terminal's end
        while data := os.read(terminal, 4096):
            shown += data
    os.close(terminal)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"what was done of it is in {', '.join(map(str, partials))}\r\n" in shown.decode()
    assert {*tmp_path.glob("[!.]*")} == {*partials}
    item = json.loads((tmp_path / "hour.json.partial").read_text())
    assert item["duration"] == item["segments"][-1]["end"] < 3600
    assert "interrupted" in item["warnings"][0]

    short = ["--end", "20", "--format", "all", "--output-dir", tmp_path, long]
    process = started(tiny_bundle, *short)
    process.communicate(timeout=60)
    assert process.returncode == 0  # it wasn't taken for done
    assert {*tmp_path.glob("[!.]*")} == {tmp_path / f"hour.{form}" for form in FORMATS}


def test_a_helper_that_is_killed_costs_nothing(tiny_bundle: Path, long: Path) -> None:
    whole = started(tiny_bundle, "--threads", "1", "--end", "300", long).communicate(timeout=60)
    process = started(tiny_bundle, "--threads", "2", "--end", "300", long)
    wait_for(lambda: any(below(child) for child in children(process)))
    next(os.kill(below(child)[0], signal.SIGKILL) for child in children(process) if below(child))
    assert process.communicate(timeout=60) == whole
    assert process.returncode == 0


def test_a_killed_command_leaves_no_helper(tiny_bundle: Path, long: Path) -> None:
    process = started(tiny_bundle, "--threads", "2", long)
    wait_for(lambda: any(below(child) for child in children(process)))
    (child,) = children(process)
    helpers = below(child)
    process.kill()
    process.communicate()
    wait_for(lambda: not any(map(alive, [child, *helpers])))


def alive(pid: int) -> bool:
    """Whether there is a process that wasn't ended; nobody may have asked yet how one did."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_closed_pipe_is_no_error(tiny_bundle: Path, recordings: dict[Path, str]) -> None:
    process = started(tiny_bundle, "--threads", "1", *recordings, "-")
    process.stdout.close()
    assert process.wait() == 1
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()


def test_several_at_a_time_are_printed_in_order(transcribe: Transcribe, expected: dict[Path, str]) -> None:
    result = transcribe("--threads", "3", *expected)
    assert result.stdout.splitlines() == [f"{path}: {text}" for path, text in expected.items()]


@pytest.mark.parametrize("form", ["srt", "vtt", "tsv", "ctm"])
def test_other_formats(transcribe: Transcribe, expected: dict[Path, str], form: str) -> None:
    path, text = next(iter(expected.items()))
    result = transcribe("--format", form, path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert set(text.split()) <= set(result.stdout.split())


def test_words_with_times_and_confidences(transcribe: Transcribe, expected: dict[Path, str]) -> None:
    path, text = next(iter(expected.items()))
    rows = [line.split("\t") for line in transcribe("--word-times", "--confidence", path).stdout.splitlines()]
    assert [word for *_, word in rows] == text.split()
    for begin, end, confidence, _ in rows:
        assert 0 <= float(begin) < float(end) < 7
        assert 0 <= float(confidence) <= 1


def test_as_many_readings_as_asked_for(transcribe: Transcribe, recordings: dict[Path, str]) -> None:
    path = next(iter(recordings))
    (item,) = json.loads(transcribe("--format", "json", "--nbest", "3", path).stdout)
    assert len(item["nbest"]) == 3


def test_a_part_of_a_recording(transcribe: Transcribe, recordings: dict[Path, str]) -> None:
    path = next(iter(recordings))
    (item,) = json.loads(transcribe("--format", "json", "--start", "0:02", "--end", "3.5", path).stdout)
    assert item["duration"] == 1.5
    assert [(segment["start"], segment["end"]) for segment in item["segments"]] == [(2, 3.5)]


def test_one_channel_of_two(transcribe: Transcribe, expected: dict[Path, str], tmp_path: Path) -> None:
    (one, one_text), (other, other_text), *_ = expected.items()
    left, right = soundfile.read(one)[0], soundfile.read(other)[0]
    both = np.zeros((max(len(left), len(right)), 2))
    both[: len(left), 0], both[: len(right), 1] = left, right
    soundfile.write(tmp_path / "both.flac", both, 16_000)
    for channel, length, text in (("left", len(left), one_text), ("right", len(right), other_text)):
        end = str(length / 16_000)
        result = transcribe("--channel", channel, "--end", end, tmp_path / "both.flac")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == f"{text}\n"


@pytest.fixture
def call(expected: dict[Path, str], tmp_path: Path) -> Path:
    """A recording on the left, then another one on the right."""
    left, right = (soundfile.read(path)[0] for path in list(expected)[:2])
    both = np.zeros((len(left) + len(right), 2))
    both[: len(left), 0], both[-len(right) :, 1] = left, right
    soundfile.write(tmp_path / "call.flac", both, 16_000)
    return tmp_path / "call.flac"


def test_both_sides_of_a_call(transcribe: Transcribe, call: Path) -> None:
    sides = {side: transcribe("--channel", side, call).stdout.split() for side in ("left", "right")}
    result = transcribe("--channel", "each", call)
    assert (result.exit_code, result.stderr) == (0, "")
    turns = [line.split(": ", 1) for line in result.stdout.splitlines()]
    for side, words in sides.items():
        assert " ".join(text for label, text in turns if label == side).split() == words
    (item,) = json.loads(transcribe("--channel", "each", "--format", "json", call).stdout)
    assert {segment["channel"] for segment in item["segments"]} == {"left", "right"}
    assert [word["word"] for word in item["words"] if word["channel"] == "right"] == sides["right"]
    assert item["text"] == result.stdout.rstrip("\n")
    for form, marks in {
        "srt": ["\nleft: ", "\nright: "],
        "vtt": ["\n<v Left>", "\n<v Right>"],
        "tsv": ["\tleft\n", "\tright\n"],
        "ctm": ["call 1 ", "call 2 "],
    }.items():
        printed = transcribe("--channel", "each", "--format", form, call).stdout
        assert all(mark in printed for mark in marks), form
    explained = transcribe("--channel", "each", "--explain", call).stdout
    assert "left, 0.00 to " in explained
    assert explained.count("total = acoustic") == 1, "a legend for all tables"


def test_a_picture_is_of_one_channel(call: Path) -> None:
    result = CliRunner().invoke(app, ["show", str(call), "--output", "x.png", "--channel", "each"])
    assert (result.exit_code, result.stderr) == (
        1,
        "error: --channel each: a picture is of one channel: give left, right or mix\n",
    )


def test_a_call_that_is_mixed_gets_a_hint(transcribe: Transcribe, call: Path, recordings: dict[Path, str]) -> None:
    result = transcribe(call, *recordings)
    hint = "its channels differ: two sides of a call? --channel each transcribes both"
    assert (result.exit_code, result.stderr) == (0, f"warning: {call}: {hint}\n")
    (item,) = json.loads(transcribe("--format", "json", "--quiet", call).stdout)
    assert item["warnings"] == [hint]


def test_a_folder_of_transcripts(transcribe: Transcribe, expected: dict[Path, str], tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "new/out"
    (path, text), *_ = expected.items()
    for name in ("a.flac", "more/a.flac", "more/.hidden.flac"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, source / name)
    (source / "b.mp3").write_text("no sound")
    (source / "notes.txt").write_text("no recording")
    result = transcribe("--format", "all", "--output-dir", output, source)
    assert (result.exit_code, result.stdout) == (1, "")
    assert [line.split(":")[1] for line in result.stderr.splitlines()[:-1]] == [f" {source / 'b.mp3'}"]
    assert result.stderr.splitlines()[-1] == "1 of 3 files failed"
    names = {str(path.relative_to(output)) for path in output.rglob("[!.]*.*")}
    assert names == {f"{name}.{form}" for name in ("a", "more/a") for form in FORMATS}
    assert (output / "more/a.txt").read_text() == f"{text}\n"
    assert json.loads((output / "a.json").read_text())["text"] == text

    # The second time there is less to do, and nothing is overwritten that somebody may have corrected.
    (output / "a.txt").write_text("CORRECTED")
    (output / "more/a.ctm").unlink()
    (source / "b.mp3").unlink()
    result = transcribe("--format", "all", "--output-dir", output, source)
    assert (result.exit_code, result.stderr) == (0, "1 of 2 transcribed before (--overwrite makes them anew)\n")
    assert (output / "more/a.ctm").exists()
    result = transcribe("--output-dir", output, source, "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")
    assert (output / "a.txt").read_text() == "CORRECTED"
    transcribe("--output-dir", output, "--overwrite", source)
    assert (output / "a.txt").read_text() == f"{text}\n"


def test_a_transcript_that_cannot_be_written(
    transcribe: Transcribe, recordings: dict[Path, str], tmp_path: Path
) -> None:
    paths = [shutil.copy(path, tmp_path / f"{number}.flac") for number, path in enumerate(recordings)]
    (tmp_path / "out/0.txt/in_the_way").mkdir(parents=True)
    result = transcribe("--output-dir", tmp_path / "out", "--overwrite", *paths)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {paths[0]}: its transcript can't be written (Is a directory)")
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == ["0.txt", "1.txt", "2.txt"]


def test_hot_words_of_a_file(transcribe: Transcribe, recordings: dict[Path, str], tmp_path: Path) -> None:
    path, words = next(iter(recordings)), tmp_path / "words.txt"
    words.write_text("# names\nzebra:40\n\nBeach  # known\n")
    assert "ZEBRA" in transcribe("--hot-words", words, path).stdout
    for bad, encoding, problem in (
        ("okapi:x", "utf-8", "line 2: okapi:x: left out: want WORD or WORD:NATS"),
        ("?", "utf-8-sig", "line 2: ?: left out: hot word '?': has no letters"),
        ("okapi:nan", "utf-16", "nats nan: want a number from -50 to 50"),
        ("okapi:1000", "utf-16", "nats 1000.0: want a number from -50 to 50"),
    ):
        words.write_text(f"zebra:40\n{bad}\n", encoding=encoding)
        result = transcribe("--hot-words", words, path)
        assert result.exit_code == 0
        assert "ZEBRA" in result.stdout
        (line,) = result.stderr.splitlines()
        assert problem in line


@pytest.mark.parametrize(
    ("options", "mend"),
    [
        ("--format all", "give --output-dir"),
        ("--format srt x y", "give --output-dir"),
        ("--overwrite", "--output-dir"),
        ("--nbest 2", "give --format json"),
        ("--format vtt --confidence", "give --format"),
        ("--start noon", "want seconds or h:mm:ss"),
        ("--start 1:99", "minutes and seconds go up to 59 behind a colon"),
        ("--end 1:60:00", "minutes and seconds go up to 59 behind a colon"),
        ("--end 0:60", "minutes and seconds go up to 59 behind a colon"),
        ("--top 3", "--explain"),
        ("--explain --word-times", "leave out"),
        ("--hot-words missing.txt", "check its name"),
        ("--unknown-words nan", "want a number from 0, or inf"),
        ("--unknown-words=-1", "want a number from 0, or inf"),
    ],
)
def test_options_that_mean_nothing(transcribe: Transcribe, options: str, mend: str) -> None:
    result = transcribe(*options.split(), "talk.wav")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert mend in result.stderr


def test_a_bar_on_terminals_only(tiny_bundle: Path, expected: dict[Path, str]) -> None:
    (path, text), *_ = expected.items()
    command = [sys.executable, "-m", "asr.cli", "transcribe", "--model", str(tiny_bundle), str(path)]
    for quiet in ([], ["--quiet"]):
        ours, theirs = pty.openpty()
        done = subprocess.run([*command, *quiet], stdout=subprocess.PIPE, stderr=theirs, cwd=ROOT, check=True)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal's end
            while data := os.read(ours, 4096):
                shown += data
        os.close(ours)
        assert done.stdout.decode() == f"{text}\n"
        assert (b"0/1" in shown) != bool(quiet)


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
    assert "error: half: ends at 0:00.8, 6.0 s before its header says" in result.stderr
    assert "1 of 2 utterances could not be read" in result.stderr


SETTINGS = 'dev = "dev.jsonl"\nmax_steps = 1\n[[corpora]]\nmanifest = "some.jsonl"\n'


def test_train_says_which_files_its_units_need(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(SETTINGS)
    for units, option in (("phones", "--letter-to-sound"), ("pieces", "--pieces")):
        result = CliRunner().invoke(app, ["train", str(settings), "--output", "out", "--units", units])
        assert result.exit_code == 1
        assert option in result.stderr
        result = CliRunner().invoke(
            app, ["train", str(settings), "--output", "out", "--units", units, option, str(DATA / "tiny.arpa")]
        )
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: {DATA / 'tiny.arpa'}: not a ")


@pytest.mark.parametrize(
    ("text", "seconds"), [("99", 99), ("1:39.5", 99.5), ("90:00", 5400), ("1:30:00", 5400), ("100:00:01", 360_001)]
)
def test_times(text: str, seconds: float) -> None:
    assert read_time("--start", text) == seconds


@pytest.mark.parametrize("command", ["train x.toml --output out", "export out --acoustic x --language-models y"])
@pytest.mark.parametrize(("units", "option"), [("characters", "--pieces"), ("pieces", "--letter-to-sound")])
def test_files_of_other_units_are_refused(command: str, units: str, option: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--units", units, option, "x"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {option} is for ")


# What stands for a folder and a file where the other is wanted, and for nothing.
MISPLACED = [
    ("transcribe --output-dir FILE SOUND", "FILE: is there, but is no folder"),
    ("transcribe --output-dir FILE/x SOUND", "FILE/x: is no folder, or lies in none"),
    ("transcribe --hot-words FOLDER SOUND", "FOLDER: is a folder: name a file"),
    ("transcribe --hot-words NONE SOUND", "NONE: no such file"),
    ("transcribe --model FILE SOUND", "FILE: no model there"),
    ("rescore FOLDER", "FOLDER: is a folder: name a file"),
    ("rescore --model FILE FILE", "FILE: no model there"),
    ("evaluate --data DATA --against FILE", "FILE/utterances.jsonl: is no folder, or lies in none"),
    ("train FOLDER --units characters --output out", "FOLDER: is a folder: name a file"),
    ("train SETTINGS --letter-to-sound FOLDER --output out", "FOLDER: is a folder: name a file"),
    ("train SETTINGS --units pieces --pieces FOLDER --output out", "FOLDER: not a SentencePiece model"),
    ("train-letter-to-sound FILE/x", "FILE: is there, but is no folder"),
    ("train-pieces FILE FILE/x", "FILE: is there, but is no folder"),
    ("tune FILE --data DATA", "FILE: no model there"),
]


@pytest.mark.parametrize(("command", "problem"), MISPLACED)
def test_folders_for_files_and_files_for_folders(command: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("A TEXT\n")
    (tmp_path / "settings.toml").write_text(SETTINGS)
    names = {name: tmp_path / name.lower() for name in ("FOLDER", "FILE", "NONE")}
    names["SETTINGS"] = tmp_path / "settings.toml"
    names |= {"SOUND": DATA / "1970-28415-0034.flac", "DATA": DATA}

    def named(text: str) -> str:
        return re.sub("|".join(names), lambda match: str(names[match[0]]), text)

    result = CliRunner().invoke(app, named(command).split())
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {named(problem)}")


def test_help_loads_no_models() -> None:
    script = "import asr.cli, sys; sys.exit(bool({'torch', 'lhotse', 'jiwer'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.skipif(not (DEFAULT / "config.toml").exists(), reason="asr/default_model holds no models")
@pytest.mark.parametrize(
    ("command", "lines"),
    [
        ("asr transcribe --hot-word Kubernetes tests/data/5789-70653-0013.flac", 1),
        ("lm next recognize --model mixture", 10),
        ("lm score recognize --model mixture", 3),
    ],
)
def test_what_only_trains_is_not_imported(command: str, lines: int) -> None:
    """Nor tried to be: Python asks the hook before it looks for a module, in forked processes too."""
    script = """if True:
        import importlib, os, sys
        forbidden = {"torch", "torchaudio", "lightning", "lhotse", "kenlm", "jiwer", "sentencepiece"}
        def stop(event, arguments):
            if event == "import" and arguments[0].partition(".")[0] in forbidden:
                os._exit(99)
        sys.addaudithook(stop)
        importlib.import_module(f"{sys.argv[1]}.cli").app(sys.argv[2:], standalone_mode=False)
        assert not forbidden & sys.modules.keys()
    """
    done = subprocess.run([sys.executable, "-c", script, *command.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == lines


@pytest.mark.skipif(not (DEFAULT / "config.toml").exists(), reason="asr/default_model holds no models")
def test_the_models_that_ship(recordings: dict[Path, str]) -> None:
    result = CliRunner().invoke(app, ["evaluate", "--data", str(DATA), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["lstm"]["wer"] < 30
    result = CliRunner().invoke(app, ["transcribe", "--explain", str(next(iter(recordings)))])
    assert result.exit_code == 0
    assert "first pass" in result.stdout


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_as_windows_writes_them(
    transcribe: Transcribe, expected: dict[Path, str], tmp_path: Path, encoding: str
) -> None:
    (first, one), (second, two), *_ = expected.items()
    umlaut = tmp_path / "größe.flac"
    shutil.copy(first, umlaut)
    (tmp_path / "list.txt").write_bytes(f"{umlaut}\r\n{second}\r\n".encode(encoding))
    result = transcribe(f"@{tmp_path / 'list.txt'}")
    assert (result.exit_code, result.stdout) == (0, f"{umlaut}: {one}\n{second}: {two}\n")


@pytest.mark.parametrize("name", ["grün.flac", "日本.flac"])
def test_a_terminal_without_the_signs_gets_escapes(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    for copy in (name, "plain.flac"):
        shutil.copy(next(DATA.glob("*.flac")), tmp_path / copy)
    command = [sys.executable, "-m", "asr.cli", "transcribe", "--model", str(tiny_bundle), name, "ü.flac", "plain.flac"]
    path = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": path}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    names = [line.partition(": ")[0] for line in done.stdout.decode("ascii").splitlines()]
    assert names == [name.encode("ascii", "backslashreplace").decode(), "plain.flac"]
    assert done.stderr.decode("ascii").splitlines() == [
        "error: \\xfc.flac: no such file: check its name",
        "1 of 3 files failed",
    ]
    assert done.returncode == 1


@pytest.fixture
def folders(tmp_path: Path, recordings: dict[Path, str]) -> tuple[Path, Path]:
    """Two recordings of one name."""
    files = tmp_path / "a/talk.flac", tmp_path / "b/talk.flac"
    for file, source in zip(files, recordings, strict=False):
        file.parent.mkdir()
        shutil.copy(source, file)
    return files


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_a_recording_of_the_name_of_another_is_not_taken_for_done(
    transcribe: Transcribe, folders: tuple[Path, Path], tmp_path: Path, quiet: list[str]
) -> None:
    out = tmp_path / "out"
    assert transcribe("--output-dir", out, folders[0], *quiet).exit_code == 0
    text = (out / "talk.txt").read_text()
    result = transcribe("--output-dir", out, folders[1], *quiet)
    assert result.exit_code == 1
    assert result.stderr == (
        f"error: {folders[1]}: not transcribed, for {out}/talk.txt is of {folders[0]}: "
        "give --overwrite, or another --output-dir\n"
    )
    assert (out / "talk.txt").read_text() == text
    assert transcribe("--output-dir", out, folders[1], "--overwrite").exit_code == 0
    assert (out / "talk.txt").read_text() != text
    assert transcribe("--output-dir", out, folders[1]).exit_code == 0


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        (["--channel", "left"], ["--channel", "right"], "channel"),
        ([], ["--end", "1"], "end"),
        ([], ["--hot-word", "zebra:9"], "hot-words"),
        (["--start", "1"], ["--word-times"], "start, word-times"),
        (["--channel", "each"], [], "channel"),
    ],
)
def test_other_options_are_not_taken_for_done(
    transcribe: Transcribe, recordings: dict[Path, str], tmp_path: Path, first: list[str], second: list[str], named: str
) -> None:
    samples, rate = soundfile.read(next(iter(recordings)))
    sound = tmp_path / "talk.wav"
    soundfile.write(sound, np.stack([samples, samples], 1), rate)
    out = tmp_path / "out"
    assert transcribe("--output-dir", out, *first, sound).exit_code == 0
    result = transcribe("--output-dir", out, *second, sound)
    assert result.exit_code == 1
    assert f"was made with other options ({named}): give --overwrite" in result.stderr
    assert transcribe("--output-dir", out, *first, sound).exit_code == 0


@pytest.mark.parametrize("change", [lambda path: path.touch(), lambda path: path.write_bytes(path.read_bytes() + b"x")])
def test_a_recording_that_was_replaced_is_not_taken_for_done(
    transcribe: Transcribe, folders: tuple[Path, Path], tmp_path: Path, change: Callable[[Path], object]
) -> None:
    out = tmp_path / "out"
    assert transcribe("--output-dir", out, *folders).exit_code == 0
    change(folders[1])
    result = transcribe("--output-dir", out, *folders)
    assert result.exit_code == 1
    assert "is of this file before it changed" in result.stderr.splitlines()[0]
    assert "1 of 2 transcribed before" in result.stderr


def test_what_a_killed_process_left_is_cleared(
    transcribe: Transcribe, recordings: dict[Path, str], tmp_path: Path
) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / "below").mkdir()
    host = socket.gethostname()
    lost = [tmp_path / f".asr-{host}-{dead.pid}", tmp_path / f"below/.asr-{host}-{dead.pid}"]
    others = [tmp_path / f".asr-{host}-{os.getppid()}", tmp_path / ".asr-elsewhere-1"]
    for file in (*lost, *others):
        file.write_text("half")
    name = next(iter(recordings)).stem
    odd = [{"output": name}, {"output": [name]}, {"output": name, "source": 3, "size": 0, "time": 0, "options": []}, 7]
    record = "".join(json.dumps(line) + "\n" for line in odd) + 100_000 * "[" + '\n{"outp'
    (tmp_path / ".asr-transcribed.jsonl").write_text(record)
    assert transcribe("--output-dir", tmp_path, next(iter(recordings))).exit_code == 0
    assert [file.exists() for file in (*lost, *others)] == [False, False, True, True]
