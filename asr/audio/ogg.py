"""The pages of Ogg (RFC 3533): where one recording ends and the next begins, and whether all pages are there."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

CAPTURE = b"OggS"
BEGIN = CAPTURE + b"\0\2"  # of a recording: version 0, and the flag of a first page
HEADER = struct.Struct("<4sBBqIIIB")  # capture, version, flags, granule, serial, number, checksum, segments
FIRST, LAST = 2, 4  # flags
UNEVEN = 3  # times the most samples of a page up to now; more may be a hole in time
LARGEST = HEADER.size + 255 + 255 * 255  # bytes of a page

# zlib's checksum has the bits of its bytes and of itself the other way round.
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Page:
    """A page whose checksum is right, and the bytes of the file that it lies in."""

    start: int
    end: int
    flags: int
    granule: int  # samples up to its end, or -1
    serial: int
    number: int


@dataclass
class Link:
    """A recording of those that are chained in a file, from byte to byte."""

    start: int
    end: int  # of its last page
    whole: bool = True  # are all its pages there, and do their times go on evenly?
    ended: bool = False  # has it the mark of its end?


def links(stream: BinaryIO, start: int, size: int) -> list[Link]:
    """The recordings in an Ogg file, which lies in the stream from `start` to `size`."""
    found: list[Link] = []
    latest: dict[int, Page] = {}  # of each logical stream
    steps: dict[int, list[int]] = {}  # and the samples of its pages up to now
    beginning = False  # among the first pages, one of each logical stream
    for page in pages(stream, start, size):
        if page.flags & FIRST and not beginning:
            found.append(Link(page.start, page.start))
            latest, steps = {}, {}
        beginning = bool(page.flags & FIRST)
        if not found:
            continue
        link, before = found[-1], latest.get(page.serial)
        link.whole &= page.start == link.end
        link.end, link.ended = page.end, link.ended or bool(page.flags & LAST)
        if before:
            link.whole &= page.number == before.number + 1
            if page.granule < 0:
                page = replace(page, granule=before.granule)
            elif before.granule > 0:
                step, earlier = page.granule - before.granule, steps.setdefault(page.serial, [])
                link.whole &= step >= 0 and (not earlier or step <= UNEVEN * max(earlier))
                earlier.append(step)
        latest[page.serial] = page
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
    _, version, flags, granule, serial, number, told, segments = HEADER.unpack_from(data)
    lengths = data[HEADER.size : HEADER.size + segments]
    length = HEADER.size + segments + sum(lengths)
    if version or len(data) < length:
        return None
    if told != checksum(data[:22] + bytes(4) + data[26:length]):
        return None
    return Page(place, place + length, flags, granule, serial, number)


def checksum(data: bytes) -> int:
    """CRC-32 as Ogg counts it: from 0, the highest bit first."""
    backwards = zlib.crc32(data.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{backwards:032b}"[::-1], 2)
