"""Where live sound comes from: a microphone, standard input, or a file at its own pace."""

import io
import queue
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from asr.audio import reading
from asr.audio.errors import AudioError
from asr.audio.features import SAMPLE_RATE
from asr.audio.sound import check_rate

BLOCK = 0.1  # seconds that are handed on at once
WAITING = 600.0  # seconds of sound that may wait to be heard; a pipe that brings more has to wait, too
LATE = 2.0  # seconds behind that are told, and then each time they have doubled
WAV = b"RIFF", b"RIFX", b"RF64"


@dataclass(frozen=True)
class Source:
    """Blocks [n] or [n, channels] of sound, each as it comes, at `rate` Hz."""

    rate: int
    blocks: Iterator[np.ndarray]


def microphone(device: str | None, warn: Callable[[str], None]) -> Source:
    """A microphone, the system's own or one by number or part of its name, at the rate that it has.

    Raises AudioError if there is none, ValueError without sounddevice.
    """
    devices = _sounddevice()
    name: int | str | None = int(device) if device and device.isdecimal() else device
    try:
        rate = int(devices.query_devices(name, "input")["default_samplerate"])
        stream = devices.InputStream(device=name, channels=1, samplerate=rate, dtype="int16")
    except (devices.PortAudioError, ValueError) as error:
        raise AudioError(
            f"microphone {device or ''}: {error}: asr listen --list-devices names those there are"
        ) from None

    def blocks() -> Iterator[np.ndarray]:
        with stream:
            while True:
                block, lost = stream.read(round(BLOCK * rate))
                if lost:
                    warn("the system lost some sound of the microphone: it is too busy")
                yield block

    return Source(rate, blocks())


def devices() -> str:
    """A table of what sound can come from, an input a line: its number and name."""
    found = enumerate(_sounddevice().query_devices())
    lines = [f"{number}\t{device['name']}\n" for number, device in found if device["max_input_channels"] > 0]
    if not lines:
        raise AudioError("no microphone is there: connect one, or give a file, or - for standard input")
    return "".join(lines)


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise ValueError(
            "a microphone needs sounddevice: pip install 'nicebeach[live]'; or give - and pipe the sound, as "
            "arecord -f S16_LE -r 16000 | asr listen -"
        ) from None
    except OSError as error:
        raise ValueError(f"sounddevice: {error}: install PortAudio, as by apt install libportaudio2") from None
    return sounddevice


def standard_input(stream: BinaryIO | io.RawIOBase, rate: int, channels: int) -> Source:
    """A wav as it comes, or raw samples, 16 bits, little-endian, of this rate and number of channels.

    stream: one without a buffer, so that nobody waits for it to fill up, gives what there is. Raises AudioError for a
    wav of other samples than integers of 16 bits, another file, or nothing at all.
    """
    begin = _read(stream, 4)
    if not begin:
        raise AudioError("standard input: is empty: what should have written to it tells why, or wrote elsewhere")
    if begin in WAV:
        rate, channels = _wav_header(stream, begin)
        begin = b""
    elif begin in (b"fLaC", b"OggS") or begin[:3] == b"ID3":
        raise AudioError("standard input: is no wav: pipe it through ffmpeg -i - -f wav -, or give the file's name")
    try:
        check_rate(rate)
    except AudioError as error:
        raise AudioError(f"standard input: {error}") from None
    return Source(rate, _raw(stream, begin, rate, channels))


def _wav_header(stream: BinaryIO | io.RawIOBase, begin: bytes) -> tuple[int, int]:
    """Rate and channels of a wav whose first bytes were read; the stream is at its samples then."""
    _exactly(stream, 8)  # its size, which who writes to a pipe doesn't know, and WAVE
    rate = channels = 0
    while True:
        name, size = struct.unpack("<4sI", _exactly(stream, 8))
        if name == b"data":
            break
        chunk = _exactly(stream, size + size % 2)
        if name == b"fmt " and size >= 16:
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
            if begin == b"RIFX" or kind not in (1, 0xFFFE) or bits != 16:
                raise AudioError("standard input: its samples aren't integers of 16 bits: ffmpeg writes -c:a pcm_s16le")
    if not channels:
        raise AudioError("standard input: a wav without a header of its samples: make it again")
    return rate, channels


def _read(stream: BinaryIO | io.RawIOBase, count: int) -> bytes:
    """So many bytes, or those up to the end."""
    data = b""
    while len(data) < count and (more := stream.read(count - len(data))):
        data += more
    return data


def _exactly(stream: BinaryIO | io.RawIOBase, count: int) -> bytes:
    data = _read(stream, count)
    if len(data) < count:
        raise AudioError("standard input: ends in the header of its wav: nothing was recorded")
    return data


def _raw(stream: BinaryIO | io.RawIOBase, begin: bytes, rate: int, channels: int) -> Iterator[np.ndarray]:
    frame, rest = 2 * channels, begin
    while data := stream.read(round(BLOCK * rate) * frame):
        data = rest + data
        whole = len(data) // frame * frame
        rest = data[whole:]
        yield np.frombuffer(data[:whole], "<i2").reshape(-1, channels)


def file(path: Path, pace: bool, warn: Callable[[str], None]) -> Source:
    """A sound file; with pace as if it were spoken now. Raises AudioError if it can't be read."""
    blocks = _named(path, reading.blocks(path, warn=warn))
    first = next(blocks)  # tells at once if there is none
    size = round(BLOCK * SAMPLE_RATE)
    pieces = (block[start : start + size] for block in chain([first], blocks) for start in range(0, len(block), size))
    return Source(SAMPLE_RATE, _paced(pieces) if pace else pieces)


def _named(path: Path, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same; what is wrong with them names the file."""
    try:
        yield from blocks
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from None


def _paced(pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    begin, seconds = time.monotonic(), 0.0
    for piece in pieces:
        seconds += len(piece) / SAMPLE_RATE
        time.sleep(max(0.0, begin + seconds - time.monotonic()))
        yield piece


class Reader:
    """Reads a source in a thread of its own, so that no sound is lost while what came before is heard."""

    def __init__(self, source: Source, stop: threading.Event, warn: Callable[[str], None]) -> None:
        """stop: ends it early. warn: is told how far behind the listener is."""
        self._source, self._stop, self._warn = source, stop, warn
        self._queue: queue.Queue[np.ndarray | Exception | None] = queue.Queue(round(WAITING / BLOCK))
        self._come = 0.0  # seconds of sound

    def blocks(self) -> Iterator[np.ndarray]:
        """What was read, up to the end, or the stop. Raises what reading raised."""
        threading.Thread(target=self._read, daemon=True).start()
        begin, heard, told = time.monotonic(), 0.0, LATE
        while not isinstance(block := self._next(), Exception | None):
            yield block
            heard += len(block) / self._source.rate
            # What came faster than it can have been spoken is no reason to hurry, and isn't heard after a stop.
            behind = min(self._come, time.monotonic() - begin) - heard
            if self._stop.is_set() and behind <= 0:
                return
            if behind >= told:
                self._warn(f"{behind:.0f} s behind: this machine is too busy, but no sound is lost")
                told = 2 * behind
        if block is not None:
            raise block

    def _next(self) -> np.ndarray | Exception | None:
        while True:
            try:
                return self._queue.get(timeout=BLOCK)
            except queue.Empty:
                if self._stop.is_set():  # a pipe may bring nothing for hours
                    return None

    def _read(self) -> None:
        last: Exception | None = None
        try:
            for block in self._source.blocks:
                if self._stop.is_set():
                    break
                self._come += len(block) / self._source.rate
                self._queue.put(block)
        except Exception as error:  # is raised where it is waited for
            last = error
        self._queue.put(last)
