"""Where live sound comes from, and what is written of it; no models are needed, but for the command itself."""

import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.audio.errors import AudioError
from asr.live import sources
from asr.live.captions import Json, Kept, Lines, Terminal
from asr.live.events import Event, Final, Partial
from asr.live.listen import listen, stopped_by_signals
from asr.live.live import mono
from asr.live.sources import Reader, Source, standard_input
from asr.transcript import Segment, Word
from lm.bundle import DEFAULT

SAMPLES = np.arange(-1000, 1000, dtype="<i2")


def partial(text: str, stable: int = 0) -> Partial:
    return Partial([Word(word.upper(), i, i + 1, 1.0, written=word) for i, word in enumerate(text.split())], stable)


def final(text: str) -> Final:
    return Final(Segment(0.0, 9.0, partial(text).words, []))


EVENTS: list[Event] = [partial("We"), partial("We go", 1), final("We go."), final(""), partial("Now")]


# --- Sources ----------------------------------------------------------------------------------------------


def wav(**options: Any) -> bytes:
    file = io.BytesIO()
    soundfile.write(
        file,
        options.pop("samples", SAMPLES),
        options.pop("rate", 44_100),
        format=options.pop("format", "WAV"),
        **options,
    )
    return file.getvalue()


def read(source: Source) -> np.ndarray:
    return np.concatenate(list(source.blocks))


def test_raw_samples() -> None:
    source = standard_input(io.BytesIO(SAMPLES.tobytes()), 8000, 1)
    assert source.rate == 8000
    assert read(source).tolist() == SAMPLES[:, None].tolist()
    source = standard_input(io.BytesIO(SAMPLES.tobytes() + b"x"), 8000, 2)  # the last sample is cut off
    assert read(source).tolist() == SAMPLES.reshape(-1, 2).tolist()


def test_a_wav_as_it_comes() -> None:
    for channels in (1, 2):
        source = standard_input(io.BytesIO(wav(samples=SAMPLES.reshape(-1, channels))), 16_000, 1)
        assert source.rate == 44_100
        assert read(source).tolist() == SAMPLES.reshape(-1, channels).tolist()
    unsized = wav().replace(struct.pack("<I", 2 * len(SAMPLES)), b"\xff\xff\xff\xff")  # as ffmpeg writes to a pipe
    assert read(standard_input(io.BytesIO(unsized), 16_000, 1)).tolist() == SAMPLES[:, None].tolist()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("format", ["WAV", "WAVEX"])
def test_a_wav_of_wide_samples(subtype: str, format: str) -> None:
    data = wav(samples=mono(SAMPLES), subtype=subtype, format=format) + b"LIST\4\0\0\0tags"
    source = standard_input(io.BytesIO(data), 16_000, 1)
    assert mono(read(source)) == pytest.approx(mono(SAMPLES), abs=0.01)


class Trickle(io.RawIOBase):
    """A pipe that gives a byte or three at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._data.read(min(3, len(buffer)))
        buffer[: len(part)] = part
        return len(part)


def test_a_pipe_that_brings_little_at_a_time() -> None:
    source = standard_input(Trickle(wav()), 16_000, 1)
    assert read(source).tolist() == SAMPLES[:, None].tolist()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (wav(subtype="ULAW"), "samples are packed: ffmpeg"),
        (wav()[:30], "ends in the header"),
        (wav()[:10], "ends in the header"),
        (b"fLaC" + bytes(100), "is no wav: pipe it through ffmpeg"),
        (b"OggS" + bytes(100), "is no wav"),
        (b"\xff\xfb\x90\x64" + bytes(100), "is no wav"),  # mp3
        (bytes(3) + b"\x20ftypM4A " + bytes(100), "is no wav"),
        (b"\x1aE\xdf\xa3" + bytes(100), "is no wav"),  # webm
        (b"RIFF" + bytes(4) + b"WAVEdata" + bytes(20), "without a header of its samples"),
        (wav(rate=100), "standard input: a sampling rate of 100 Hz"),
        (b"", "standard input: is empty"),
    ],
)
def test_what_standard_input_can_not_be(data: bytes, problem: str) -> None:
    with pytest.raises(AudioError, match=problem):
        standard_input(io.BytesIO(data), 16_000, 1)


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    path = tmp_path / "some.wav"
    soundfile.write(path, np.zeros(8000), 16_000)
    assert len(read(sources.file(path, False, print))) == 8000
    assert not slept
    assert len(read(sources.file(path, True, print))) == 8000
    assert len(slept) == 5
    with pytest.raises(AudioError, match=r"none\.wav: no such file"):
        sources.file(tmp_path / "none.wav", False, print)


@pytest.fixture
def sounddevice(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """The package, with one microphone, that loses a block."""
    inputs = [
        {"name": "loudspeaker", "max_input_channels": 0, "default_samplerate": 48_000.0},
        {"name": "headset", "max_input_channels": 1, "default_samplerate": 48_000.0},
    ]

    class InputStream:
        def __init__(self, **options: Any) -> None:
            self.options, self.read_before = options, 0

        def __enter__(self) -> "InputStream":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def read(self, count: int) -> tuple[np.ndarray, bool]:
            self.read_before += 1
            return np.zeros((count, 1), np.int16), self.read_before == 2

    def query_devices(device: int | str | None = None, kind: str | None = None) -> Any:
        if kind is None:
            return inputs
        if device not in (None, 1, "headset"):
            raise ValueError(f"No input device matching {device!r}")
        return inputs[1]

    made = types.SimpleNamespace(query_devices=query_devices, InputStream=InputStream, PortAudioError=OSError)
    monkeypatch.setitem(sys.modules, "sounddevice", made)
    return made


def test_microphones(sounddevice: types.SimpleNamespace) -> None:
    assert sources.devices() == "1\theadset\n"
    told: list[str] = []
    for device in (None, "1", "headset"):
        source = sources.microphone(device, told.append)
        assert source.rate == 48_000
        assert [len(next(source.blocks)) for _ in range(3)] == [4800] * 3
    assert len(told) == 3
    with pytest.raises(AudioError, match=r"microphone lamp: No input .*: asr listen --list-devices names"):
        sources.microphone("lamp", print)


def test_without_sounddevice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ValueError, match=r"pip install 'nicebeach\[live\]'; or give -"):
        sources.microphone(None, print)


def test_a_reader_loses_nothing_and_tells_how_late_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    told: list[str] = []
    all_read = threading.Event()

    def seconds() -> Iterator[np.ndarray]:
        yield from np.arange(100).reshape(-1, 10)
        all_read.set()

    heard = []
    for block in Reader(Source(10, seconds()), threading.Event(), told.append).blocks():
        all_read.wait()
        heard += block.tolist()
        now += 3  # of work for a second of sound
    assert heard == list(range(100))
    assert [text.split()[0] for text in told] == ["2", "4"]


def test_a_reader_ends_when_it_is_stopped_and_tells_faults() -> None:
    stop = threading.Event()

    def endless() -> Iterator[np.ndarray]:
        yield np.zeros(10)
        stop.wait()  # a pipe that brings nothing
        time.sleep(60)

    blocks = Reader(Source(10, endless()), stop, print).blocks()
    next(blocks)
    stop.set()
    assert list(blocks) == []

    def faulty() -> Iterator[np.ndarray]:
        yield np.zeros(10)
        raise AudioError("the cable was pulled out")

    blocks = Reader(Source(10, faulty()), threading.Event(), print).blocks()
    next(blocks)
    with pytest.raises(AudioError, match="cable"):
        next(blocks)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_a_stream_and_a_second_one_interrupts(number: int) -> None:
    before = signal.getsignal(number)
    with stopped_by_signals() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) == before


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with stopped_by_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_stop_leaves_out_what_came_faster_than_it_can_have_been_spoken() -> None:
    all_read, stop = threading.Event(), threading.Event()

    def hour() -> Iterator[np.ndarray]:  # of a file
        for _ in range(60):
            yield np.zeros(600)
        all_read.set()

    blocks = Reader(Source(10, hour()), stop, print).blocks()
    next(blocks)
    all_read.wait()
    stop.set()
    assert list(blocks) == []


# --- Captions ---------------------------------------------------------------------------------------------


def test_lines_and_json() -> None:
    out = io.StringIO()
    for event in EVENTS:
        Lines(out).write(event)
    assert out.getvalue() == "We go.\n"
    out = io.StringIO()
    for event in EVENTS:
        Json(out).write(event)
    objects = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [item["type"] for item in objects] == ["partial", "partial", "final", "final", "partial"]
    assert objects[1]["stable"] == 1
    assert objects[1]["words"][1] == {"word": "GO", "start": 1, "end": 2, "confidence": 1.0, "written": "go"}
    assert (objects[2]["start"], objects[2]["end"], objects[2]["text"]) == (0.0, 9.0, "We go.")


def screen(written: str, columns: int) -> list[str]:
    """What a terminal shows; no line may reach its last column, behind which another begins."""
    lines = [""]
    for part in re.split(r"(\r\x1b\[K|\n|\x1b\[\d+m)", written):
        if part == "\n":
            lines.append("")
        elif part.startswith("\r"):
            lines[-1] = ""
        elif not part.startswith("\x1b"):
            lines[-1] += part
    assert all(len(line) < columns for line in lines)
    return lines


def test_on_a_terminal_partials_grow_in_place() -> None:
    out = io.StringIO()
    terminal = Terminal(out, lambda: 20)
    for event in EVENTS:
        terminal.write(event)
    assert screen(out.getvalue(), 20) == ["We go.", "Now"]
    assert "We\x1b[2m go\x1b[0m" in out.getvalue()
    terminal.write(partial("We have been walking for hours", 5))
    assert screen(out.getvalue(), 20)[-1] == "... king for hours"[-19:] or len(screen(out.getvalue(), 20)[-1]) == 19
    terminal.write(partial("One Two", 0))
    assert screen(out.getvalue(), 20) == ["We go.", "One Two"]


def test_a_folder_keeps_sound_and_text(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "new", 16_000, Lines, ".txt")
    kept.hear(np.full(100, 0.5, np.float32))
    for event in EVENTS:
        kept.write(event)
    kept.close()
    text, sound = sorted((tmp_path / "new").iterdir())
    assert text.read_text() == "We go.\n"
    samples, rate = soundfile.read(sound)
    assert rate == 16_000
    assert samples.tolist() == [0.5] * 100


def test_what_is_kept_is_whole_when_the_terminal_is_gone(tmp_path: Path) -> None:
    class Gone:
        def write(self, event: Event) -> None:
            raise OSError("Input/output error")

    live: Any = types.SimpleNamespace(accept=lambda samples: [partial("We")], finish=lambda: [final("We go.")])
    stop = threading.Event()

    def endless() -> Iterator[np.ndarray]:
        while True:
            yield np.zeros(10)

    for kept in (Kept(tmp_path, 16_000, Lines, ".txt"), None):
        with pytest.raises(OSError, match="Input/output error"):
            listen(live, Source(1000, endless()), [Gone()], kept, stop, print)
        if kept:
            kept.close()
            assert stop.is_set()
    assert next(tmp_path.glob("*.txt")).read_text() == "We go.\n"


# --- The command ------------------------------------------------------------------------------------------


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "asr.cli", "listen", *arguments]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--pace"], "--pace: is of files"),
        (["--rate", "8000", "some.wav"], "--rate, --channels: are of raw samples"),
        (["--rate", "0", "some.wav"], "--rate, --channels: are of raw samples"),
        (["none.wav"], "error: none.wav: no such file"),
        (["--device", "1", "-"], "--device: is of microphones"),
        (["--silence", "-1", "-"], "silence -1"),
    ],
)
def test_options_that_mean_nothing(arguments: list[str], problem: str) -> None:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def models() -> None:
    if not (DEFAULT / "config.toml").exists():
        pytest.skip("asr/default_model holds no models")


def test_a_pipe_in_json_and_a_folder(models: None, recordings: dict[Path, str], tmp_path: Path) -> None:
    samples, _ = soundfile.read(next(iter(recordings)), dtype="int16")
    arguments = command("--format", "json", "--output-dir", str(tmp_path), "-")
    done = subprocess.run(arguments, input=samples.tobytes(), capture_output=True, check=True)
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert objects[-1]["type"] == "final"
    assert objects[-1]["text"].startswith("But something had to be done")
    text, sound = sorted(tmp_path.iterdir())
    assert text.read_bytes() == done.stdout
    assert soundfile.read(sound, dtype="int16")[0].tolist() == samples.tolist()


def test_the_sound_need_not_be_kept(tmp_path: Path) -> None:
    kept = Kept(tmp_path, None, Lines, ".txt")
    kept.hear(np.zeros(100, np.float32))
    kept.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".txt"]
    done = subprocess.run(command("--no-copy", "-"), input=b"", capture_output=True, check=False)
    assert done.returncode == 1
    assert b"--output-dir" in done.stderr


def test_where_no_words_are_that_is_told(models: None, tmp_path: Path) -> None:
    (tmp_path / "phrases.txt").write_text("go\n\n?!  # no word\n")
    arguments = command("--grammar", str(tmp_path / "phrases.txt"), "-")
    done = subprocess.run(arguments, input=bytes(32_000), capture_output=True, check=True)
    assert done.stdout == b""
    assert done.stderr.decode().splitlines() == [
        f"warning: {tmp_path}/phrases.txt, line 3: ?!: left out: has no letters",
        "warning: -: no words were heard: are --rate and --channels right?",
    ]


def test_on_a_terminal_ctrl_c_ends_with_the_last_final(models: None, recordings: dict[Path, str]) -> None:
    samples, _ = soundfile.read(next(iter(recordings)), dtype="int16")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(
        command("-"), stdin=subprocess.PIPE, stdout=theirs, stderr=subprocess.PIPE, env=environment
    ) as process:
        os.close(theirs)
        assert process.stdin
        process.stdin.write(samples.tobytes())
        process.stdin.flush()  # and it stays open, as a microphone's does
        written = ""
        while "going" not in written:
            written += os.read(ours, 10_000).decode()
        process.send_signal(signal.SIGINT)
        try:
            while more := os.read(ours, 10_000).decode():
                written += more
        except OSError:  # nobody writes there any more
            pass
        assert process.wait() == 0
    os.close(ours)
    lines = [line.rstrip("\r") for line in screen(written.replace("\r\n", "\n"), 200)]
    assert lines[0].startswith("But something had to be done. The priests")
    assert lines[-1] == ""
