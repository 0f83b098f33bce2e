"""Where live sound comes from: a microphone, standard input, or a file at its own pace."""

import io
import math
import queue
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
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
WAV = b"RIFF", b"RF64"
PCM, IEEE_FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # kinds of samples that the header of a wav names
SAMPLES = {
    (PCM, 8): "u1",
    (PCM, 16): "<i2",
    (PCM, 24): "<i3",  # which NumPy lacks
    (PCM, 32): "<i4",
    (IEEE_FLOAT, 32): "<f4",
    (IEEE_FLOAT, 64): "<f8",
}
ENDLESS = (
    0x7FFF0000  # bytes of samples: who writes to a pipe doesn't know how many will come, and writes more than that
)
ENDS_EARLY = "standard input: ends in the header of its wav: nothing was recorded"
MARK = 12  # bytes in which a file tells what it is
OTHER_FILES = re.compile(
    rb"fLaC|OggS|ID3|\.snd|RIFX|FORM|\xff[\xfb\xfa\xf3\xf2]|....ftyp|\x1aE\xdf\xa3|caff|#!AMR", re.DOTALL
)


@dataclass(frozen=True)
class Source:
    """Blocks [n] or [n, channels] of sound, each as it comes, at `rate` Hz."""

    rate: int
    blocks: Iterator[np.ndarray]
    raw: bool = False  # samples of which nothing tells what they are


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


@dataclass(frozen=True)
class Raw:
    """What the bytes of a stream are."""

    rate: int
    channels: int
    type: str = "<i2"  # NumPy's name of it
    size: int | None = None  # bytes of samples; None: up to the end


def standard_input(stream: BinaryIO | io.RawIOBase, rate: int, channels: int) -> Source:
    """A wav as it comes, or raw samples, 16 bits, little-endian, of this rate and number of channels.

    stream: one without a buffer, so that nobody waits for it to fill up, gives what there is. Raises AudioError for a
    wav whose samples are packed, another file, or nothing at all.
    """
    begin = _read(stream, MARK)
    if not begin:
        raise AudioError("standard input: is empty: what should have written to it tells why, or wrote elsewhere")
    raw, is_wav = Raw(rate, channels), begin[:4] in WAV
    if is_wav:
        raw, begin = _wav_header(stream, begin), b""
    elif OTHER_FILES.match(begin):
        raise AudioError("standard input: is no wav: pipe it through ffmpeg -i - -f wav -, or give the file's name")
    try:
        check_rate(raw.rate)
    except AudioError as error:
        raise AudioError(f"standard input: {error}") from None
    return Source(raw.rate, _samples(stream, begin, raw), raw=not is_wav)


def _wav_header(stream: BinaryIO | io.RawIOBase, begin: bytes) -> Raw:
    """What the samples are of a wav whose first MARK bytes were read; the stream is at them then."""
    if len(begin) < MARK:
        raise AudioError(ENDS_EARLY)
    raw: Raw | None = None
    while True:
        name, size = struct.unpack("<4sI", _exactly(stream, 8))
        if name == b"data":
            break
        chunk = _exactly(stream, size + size % 2)
        if name == b"fmt " and size >= 16:
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
            if kind == EXTENSIBLE and size >= 26:
                (kind,) = struct.unpack_from("<H", chunk, 24)
            if (kind, bits) not in SAMPLES:
                raise AudioError(
                    "standard input: its samples are packed: ffmpeg -i - -f wav -c:a pcm_s16le - unpacks them"
                )
            raw = Raw(rate, channels, SAMPLES[kind, bits])
    if not raw or not raw.channels:
        raise AudioError("standard input: a wav without a header of its samples: make it again")
    return replace(raw, size=size if 0 < size < ENDLESS else None)


def _read(stream: BinaryIO | io.RawIOBase, count: int) -> bytes:
    """So many bytes, or those up to the end."""
    data = b""
    while len(data) < count and (more := stream.read(count - len(data))):
        data += more
    return data


def _exactly(stream: BinaryIO | io.RawIOBase, count: int) -> bytes:
    data = _read(stream, count)
    if len(data) < count:
        raise AudioError(ENDS_EARLY)
    return data


def _samples(stream: BinaryIO | io.RawIOBase, begin: bytes, raw: Raw) -> Iterator[np.ndarray]:
    """Blocks [n, channels] of what comes; begin: what was read of it."""
    width = int(raw.type[-1])
    frame, rest, left = width * raw.channels, begin, math.inf if raw.size is None else raw.size
    while data := stream.read(int(min(left, round(BLOCK * raw.rate) * frame))):
        left -= len(data)
        data = rest + data
        whole = len(data) // frame * frame
        rest = data[whole:]
        samples = np.frombuffer(data[:whole], "u1" if raw.type == "<i3" else raw.type)
        if raw.type == "<i3":  # as the upper bytes of wider ones
            samples = np.pad(samples.reshape(-1, 3), ((0, 0), (1, 0))).view("<i4")
        yield samples.reshape(-1, raw.channels)


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
