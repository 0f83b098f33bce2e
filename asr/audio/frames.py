"""Files of nothing but frames, each with a header: MPEG audio (mp3) and AAC (ADTS).

They have no index, and decoders take what they find: behind what is damaged they go on as if nothing had been there,
and what was joined to the end of a recording they may leave out. So the headers are followed from one to the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

# MPEG audio, ISO 11172-3 and 13818-3: kbit/s by layer and, for layers 1 to 3, by version 1 or a later one.
BITRATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}  # Hz by version bits
ADTS_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
HEADER = 7  # bytes that tell all
SURE = 20  # frames one after the other that make a file one of frames; fewer, if it ends with them
AGAIN = 4  # and that end a search for the next of them
PIECE = 1 << 16  # bytes searched at once
MOST_JUNK = 1 << 20  # bytes before the first frame
TAGS = (b"ID3", b"TAG", b"APE")  # titles and pictures, at the begin or the end of a recording


@dataclass(frozen=True)
class Frame:
    """What a header says."""

    length: int  # bytes
    samples: int
    kind: tuple[str, int, int, int]  # codec, version or profile, rate, channels: where it changes, decoders begin anew

    @property
    def seconds(self) -> float:
        return self.samples / self.kind[2]


@dataclass
class Run:
    """Frames of one kind that lie together, from byte to byte."""

    start: int
    end: int
    first: Frame
    joined: bool  # does it begin a recording, or go on after what is damaged?
    promised: float | None = None  # seconds, by the Xing header that encoders put into a first frame without sound
    frames: int = 0
    cut: bool = False  # does its last frame reach beyond the end of the file?

    @property
    def seconds(self) -> float:
        return (self.frames - (self.promised is not None)) * self.first.seconds


def runs(stream: BinaryIO, start: int, size: int) -> list[Run]:
    """The runs of frames in what lies in the stream from `start` to `size`; none, if it's another kind of file."""
    found: list[Run] = []
    place = _next(stream, start, min(size, start + MOST_JUNK), size, SURE)
    while place is not None:
        tagged = bool(found) and _bytes(stream, found[-1].end, 3) in TAGS
        for run in _followed(stream, place, size):
            run.joined |= not found or tagged or run.first.kind != found[-1].first.kind
            found.append(run)
        place = _next(stream, found[-1].end, size, size, AGAIN)
    return found


def begin(stream: BinaryIO, place: int, size: int) -> bool:
    """Whether frames lie at this byte, one after the other."""
    first = header(_bytes(stream, place, HEADER))
    return first is not None and _follow(stream, place, first, size) >= AGAIN


def header(data: bytes) -> Frame | None:
    """What the header says that data begin with; None if they begin with none."""
    if len(data) < HEADER or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return None
    version, layer = data[1] >> 3 & 3, 4 - (data[1] >> 1 & 3)
    if layer == 4:  # ADTS, which calls itself MPEG-2 or 4
        length = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
        rate, channels = data[2] >> 2 & 15, (data[2] & 1) << 2 | data[3] >> 6
        if data[1] & 0xF6 != 0xF0 or rate >= len(ADTS_RATES) or length < HEADER:
            return None
        return Frame(length, 1024 * ((data[6] & 3) + 1), ("aac", data[2] >> 6, ADTS_RATES[rate], channels))
    bitrate, rate, padding = data[2] >> 4, data[2] >> 2 & 3, data[2] >> 1 & 1
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return None
    family = 1 if version == 3 else 2
    samples = {1: 384, 2: 1152, 3: 1152 if family == 1 else 576}[layer]
    hertz, bits = RATES[version][rate], 1000 * BITRATES[family, layer][bitrate - 1]
    length = (12 * bits // hertz + padding) * 4 if layer == 1 else samples // 8 * bits // hertz + padding
    return Frame(length, samples, (f"mp{layer}", version, hertz, 1 if data[3] >> 6 == 3 else 2))


def _followed(stream: BinaryIO, place: int, size: int) -> Iterator[Run]:
    """The runs that follow one another without a byte between them, from a frame on."""
    run: Run | None = None
    while (frame := header(_bytes(stream, place, HEADER))) is not None:
        promised = _xing(stream, place, frame)
        if run is None or frame.kind != run.first.kind or promised is not None:
            if run:
                yield run
            run = Run(place, place, frame, promised is not None, promised)
        if place + frame.length > size:
            run.cut = True
            break
        place += frame.length
        run.end, run.frames = place, run.frames + 1
    if run:
        yield run


def _next(stream: BinaryIO, place: int, until: int, size: int, enough: int) -> int | None:
    """Where the next frame begins that so many others of its kind follow; or, if fewer do, the end of the file."""
    while place < until:
        data = _bytes(stream, place, PIECE + HEADER)
        at = data.find(b"\xff")
        while 0 <= at < PIECE and place + at < until:
            first = header(data[at : at + HEADER])
            if first and _follow(stream, place + at, first, size) >= enough:
                return place + at
            at = data.find(b"\xff", at + 1)
        place += PIECE
    return None


def _follow(stream: BinaryIO, place: int, first: Frame, size: int) -> int:
    """How many frames of a kind lie together from a place on, as far as matters."""
    frame: Frame | None = first
    for count in range(SURE):
        if frame is None or frame.kind[:3] != first.kind[:3] or place + frame.length > size:
            return count
        place += frame.length
        if place == size and count + 1 >= AGAIN:
            break
        frame = header(_bytes(stream, place, HEADER))
    return SURE


def _xing(stream: BinaryIO, place: int, frame: Frame) -> float | None:
    """How many seconds the Xing or Info header promises that is in an mp3's first frame; None if it isn't one."""
    codec, version, rate, channels = frame.kind
    if codec != "mp3":
        return None
    side = {(3, 2): 32, (3, 1): 17, (2, 2): 17, (0, 2): 17}.get((version, channels), 9)
    tag = _bytes(stream, place + 4 + side, 12)
    if tag[:4] not in (b"Xing", b"Info"):
        return None
    return int.from_bytes(tag[8:12], "big") * frame.samples / rate if tag[7] & 1 else 0.0


def _bytes(stream: BinaryIO, place: int, count: int) -> bytes:
    stream.seek(place)
    return stream.read(count)
