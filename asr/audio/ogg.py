"""The pages of Ogg (RFC 3533): where one recording ends and the next begins, and whether all pages are there."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

CAPTURE = b"OggS"
HEADER = struct.Struct("<4sBBqIIIB")  # capture, version, flags, granule, serial, number, checksum, segments
FIRST, LAST = 2, 4  # flags
LARGEST = HEADER.size + 255 + 255 * 255  # bytes of a page

# zlib's checksum has the bits of its bytes and of itself the other way round.
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Page:
    """A page whose checksum is right, and the bytes of the file that it lies in."""

    start: int
    end: int
    flags: int
    serial: int
    number: int


@dataclass
class Link:
    """A recording of those that are chained in a file, from byte to byte."""

    start: int
    end: int
    whole: bool = True  # are all its pages there?
    ended: bool = False  # has it the mark of its end?


def links(stream: BinaryIO, start: int, size: int) -> list[Link]:
    """The recordings in an Ogg file, which lies in the stream from `start` to `size`."""
    found: list[Link] = []
    numbers: dict[int, int] = {}  # of each logical stream the last page's
    beginning = False  # among the first pages, one of each logical stream
    for page in pages(stream, start, size):
        if page.flags & FIRST and not beginning:
            if found:
                found[-1].end = page.start
            found.append(Link(page.start, page.end))
            numbers = {}
        beginning = bool(page.flags & FIRST)
        if found:
            link = found[-1]
            link.whole &= page.start == link.end or beginning
            link.whole &= page.number == numbers.get(page.serial, page.number - 1) + 1
            link.end, link.ended = page.end, link.ended or bool(page.flags & LAST)
            numbers[page.serial] = page.number
    if found:
        found[-1].end = size
    return found


def pages(stream: BinaryIO, start: int, size: int) -> Iterator[Page]:
    """The undamaged pages of a file."""
    place = start
    while place < size:
        stream.seek(place)
        data = stream.read(LARGEST)
        if page := _page(data, place):
            yield page
            place = page.end
        else:
            found = data.find(CAPTURE, 1)
            place += found if found > 0 else max(1, len(data) - len(CAPTURE) + 1)


def _page(data: bytes, place: int) -> Page | None:
    """The page that data begin with, if they do."""
    if len(data) < HEADER.size or not data.startswith(CAPTURE):
        return None
    _, version, flags, _, serial, number, checksum, segments = HEADER.unpack_from(data)
    lengths = data[HEADER.size : HEADER.size + segments]
    length = HEADER.size + segments + sum(lengths)
    if version or len(data) < length:
        return None
    if checksum != _checksum(data[:22] + bytes(4) + data[26:length]):
        return None
    return Page(place, place + length, flags, serial, number)


def _checksum(data: bytes) -> int:
    """CRC-32 as Ogg counts it: from 0, the highest bit first."""
    backwards = zlib.crc32(data.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{backwards:032b}"[::-1], 2)
