"""Where the recordings lie in a file: there may be several, one after the other, and not all may be there.

Whoever joins files with `cat`, or records a stream that begins anew with each title, makes such; decoders take the
first end for the end. And headers may promise what isn't there, or know nothing of what is.
"""

import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO

from asr.audio import frames, ogg

FLAC_START = re.compile(rb"fLaC[\0\x80]\0\0\x22")  # with the header of the first block, whose size is fixed
# What may end a FLAC, whose frames can't be followed: another one, a wav, an Ogg or a tag before frames of mp3.
BEHIND_FLAC = re.compile(FLAC_START.pattern + rb"|RIFF.{4}WAVEfmt |OggS\0\x02|ID3[\x02-\x04]\0", re.DOTALL)
OLD_TAG = 128  # bytes of an ID3v1 tag, which ends an mp3
NO_SOUND = re.compile(rb"[\w ]{4}|ID3|$")  # the name of a chunk, a tag, or nothing
PIECE = 1 << 20  # bytes searched at once
LITTLE = 1 << 15  # bytes that may follow the sound without being any
UNKNOWN_SIZE = 0x7FFF_0000  # what isn't known yet is written as about 2 or 4 GiB by those who can't go back
WRAP = 1 << 32  # where sizes of 32 bits begin anew
# By these begin files in which frames of mp3 may lie, too, but in pieces.
OTHERS = (b"\0\0\1", b"FLV", b"\x30\x26\xb2\x75", b"G", b".RMF", b"#!AMR", b"MAC ", b"wvpk", b"TTA", b"PK")


@dataclass(frozen=True)
class Part:
    """A recording in a file, from byte to byte."""

    start: int
    end: int
    lost: float = 0.0  # seconds before it that are damaged, and belong to it
    share: float = 1.0  # of its bytes that are there
    seconds: float = 0.0  # that it lasts, if that was counted; else 0
    promised: float = 0.0  # seconds, by its header, where decoders don't know; 0 if it doesn't say
    damaged: bool = False
    indexless: bool = False  # what tells where its sound lies is missing
    open_ended: bool = False  # it lacks the mark of its end
    format: str = ""  # FFmpeg's name of it, if it must be told
    header: int = 0  # the size of the header, if all behind it is sound, whatever the header says


class Piece(io.RawIOBase):
    """A part of a stream as a stream of its own, in which whoever is misled by what is damaged may seek anywhere."""

    def __init__(self, stream: BinaryIO, start: int, end: int) -> None:
        self._stream, self._start, self._size, self._place = stream, start, end - start, 0
        self.name = getattr(stream, "name", "")  # by whose end libsndfile knows raw samples

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        left = max(0, self._size - self._place)
        data = _bytes(self._stream, self._start + self._place, min(len(buffer), left)) if left else b""
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


def parts(stream: BinaryIO, start: int) -> list[Part]:
    """The recordings that lie in a seekable stream from byte `start` on, in their order; at least one."""
    size = stream.seek(0, io.SEEK_END)
    found = _of_a_kind(stream, start, size)
    while begins(stream, found[-1].end, size):
        found += _of_a_kind(stream, found[-1].end, size)
    return found


def _of_a_kind(stream: BinaryIO, start: int, size: int) -> list[Part]:
    """Recordings of one kind from a byte on, at least one; the last ends where one of another kind begins, if any."""
    head = _bytes(stream, start + _tag(stream, start), 12)
    if head.startswith(b"OggS"):
        found = _ogg(stream, start, size)
    elif head.startswith(b"fLaC"):
        found = _flac(stream, start, size)
    elif head[:4] in ENDS or head[4:8] in ENDS:
        found = _sized(stream, start, size)
    elif head.startswith(OTHERS):
        found = []
    else:
        found = _framed(stream, start, size) or _flac_behind_junk(stream, start, size)
    return found if found and found[-1].end > start else [Part(start, size)]


def begins(stream: BinaryIO, place: int, size: int) -> bool:
    """Whether a recording of any kind begins at this byte of a stream."""
    sound = place + _tag(stream, place)
    head = _bytes(stream, sound, 12)
    if len(head) < 12:
        return False
    marked = FLAC_START.match(head) or head.startswith(ogg.BEGIN) or head[:4] in ENDS or head[4:8] in ENDS
    return bool(marked) or frames.begin(stream, sound, size)


def _bytes(stream: BinaryIO, place: int, count: int) -> bytes:
    stream.seek(place)
    return stream.read(count)


# --- Files that mark where they begin -----------------------------------------------------------------------


def _ogg(stream: BinaryIO, start: int, size: int) -> list[Part]:
    found: list[Part] = []
    for link in ogg.links(stream, start, size):
        if found and begins(stream, found[-1].end, size):
            break
        if found:
            found[-1] = replace(found[-1], end=link.start, open_ended=False)
        begin = link.start if found else start
        found.append(Part(begin, link.end, damaged=not link.whole, open_ended=not link.ended, format="ogg"))
    if found and not begins(stream, found[-1].end, size):
        found[-1] = replace(found[-1], end=size)
    return found


def _flac(stream: BinaryIO, start: int, size: int) -> list[Part]:
    first, place = start, start + _tag(stream, start) + 4
    found: list[Part] = []
    while place < size:
        data = _bytes(stream, place, PIECE + 16)
        for match in BEHIND_FLAC.finditer(data):
            mark = place + match.start()
            if match.start() < PIECE and begins(stream, mark, size):
                found.append(Part(first, mark))
                if not match[0].startswith(b"fLaC"):
                    return found
                first = mark
        place += PIECE
    return [*found, Part(first, size)]


def _flac_behind_junk(stream: BinaryIO, start: int, size: int) -> list[Part]:
    mark = FLAC_START.search(_bytes(stream, start, PIECE))
    return _flac(stream, start + mark.start(), size) if mark else []


def _tag(stream: BinaryIO, start: int) -> int:
    """How many bytes of an ID3v2 tag come first."""
    head = _bytes(stream, start, 10)
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    return 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])


def _framed(stream: BinaryIO, start: int, size: int) -> list[Part]:
    found: list[Part] = []
    seconds, bytes_read = 0.0, 0  # of a recording up to now
    for run in frames.runs(stream, start, size):
        form = "aac" if run.first.kind[0] == "aac" else "mp3"
        promised = run.promised or 0.0
        # If it counts less than there is, decoders leave out where they take the end to be.
        miscounted = 0 < promised < run.seconds - 2 * run.first.seconds
        begin = run.start + (run.first.length if miscounted else 0)
        part = Part(begin, run.end, 0.0, 1.0, run.seconds, promised, open_ended=run.cut, format=form)
        if run.joined:
            seconds, bytes_read = 0.0, 0
        elif seconds:
            # What was promised of the whole is promised of its last part.
            lost = (run.start - found[-1].end) * seconds / bytes_read
            promised = max(0.0, found[-1].promised - found[-1].seconds - lost)
            found[-1] = replace(found[-1], promised=0.0, damaged=True)
            part = replace(part, lost=lost, promised=promised, damaged=True)
        found.append(part)
        seconds += run.seconds
        bytes_read += run.end - run.start
        end = run.end + OLD_TAG * (_bytes(stream, run.end, 3) == b"TAG")
        if not frames.begin(stream, end, size) and begins(stream, end, size):
            found[-1] = replace(part, end=end)
            break
    if len(found) == 1 and found[0].start == start + _tag(stream, start):
        # With the tags before and behind it, which decoders know; but not with half a frame.
        alone = not found[0].open_ended and not begins(stream, found[0].end, size)
        return [replace(found[0], start=start, end=size if alone else found[0].end)]
    return found


# --- Files whose sizes are in their headers -----------------------------------------------------------------


def _sized(stream: BinaryIO, start: int, size: int) -> list[Part]:
    found: list[Part] = []
    while start < size:
        head = _bytes(stream, start, 12)
        end = ENDS.get(head[:4]) or ENDS.get(head[4:8])
        if end is None or len(head) < 12:
            break
        part = end(stream, start, size)
        found.append(part)
        if part.end <= start:
            break
        start = part.end
    # What follows the last may be no recording, but decoders may know it.
    if found and not found[-1].header and not begins(stream, found[-1].end, size):
        found[-1] = replace(found[-1], end=max(found[-1].end, size))
    return found


def _riff(stream: BinaryIO, start: int, size: int) -> Part:
    """A wav, or what else has its chunks, up to the next file."""
    head = _bytes(stream, start, 12)
    order = ">" if head[:4] == b"RIFX" else "<"
    if head[8:] != b"WAVE":
        return replace(_whole(stream, start, size, 8 + struct.unpack(order + "I", head[4:8])[0]), end=size)
    whole, place, rate = Part(start, size), start + 12, 0
    first, more = None, 0  # what lies in a first chunk of sound, and the bytes in further ones
    while place + 8 <= size:
        name, length = struct.unpack(order + "4sI", _bytes(stream, place, 8))
        if begins(stream, place, size):
            return replace(whole, end=place)
        place += 8
        if name == b"fmt " and length >= 16:
            rate = int.from_bytes(_bytes(stream, place + 8, 4), "big" if order == ">" else "little")  # bytes a second
        if name == b"data" and first:  # decoders take the last of several, or none
            more += min(length, size - place)
            whole = replace(first, promised=(first.end - start - first.header + more) / max(1, rate))
        elif name == b"data":
            there = size - place
            first = Part(start, place + length, header=place - start) if 0 < length < there else None
            behind = place + length + length % 2
            sound = not NO_SOUND.match(_bytes(stream, behind, 4)) and not begins(stream, behind, size)
            if there - length >= max(1, rate) and sound:
                # Whoever wrote it didn't come to write its size, or had no room for all of it.
                wraps = (there - length) // WRAP
                return replace(whole, end=place + length + wraps * WRAP if wraps else size, header=place - start)
            if 0 < there < length < UNKNOWN_SIZE:
                return replace(whole, share=there / length)
        place += length + length % 2
    return whole


def _rf64(stream: BinaryIO, start: int, size: int) -> Part:
    """A wav of any size."""
    return _whole(stream, start, size, 8 + int.from_bytes(_bytes(stream, start + 20, 8), "little"))


def _w64(stream: BinaryIO, start: int, size: int) -> Part:
    return _whole(stream, start, size, int.from_bytes(_bytes(stream, start + 16, 8), "little"))


def _aiff(stream: BinaryIO, start: int, size: int) -> Part:
    return _whole(stream, start, size, 8 + int.from_bytes(_bytes(stream, start + 4, 4), "big"))


def _au(stream: BinaryIO, start: int, size: int) -> Part:
    header, length = struct.unpack(">II", _bytes(stream, start + 4, 8).ljust(8, b"\0"))
    part = _whole(stream, start, size, header + length)
    more = part.end == size and size - start - header - length > LITTLE
    return replace(part, header=header) if more else part


def _whole(stream: BinaryIO, start: int, size: int, length: int) -> Part:
    """A file that is so long by its header."""
    if start + length > size:
        unknown = length >= UNKNOWN_SIZE and length < 2 * WRAP
        return Part(start, size, share=1.0 if unknown else (size - start) / length)
    follows = length > 0 and begins(stream, start + length, size)
    return Part(start, start + length if follows else size)


def _mp4(stream: BinaryIO, start: int, size: int) -> Part:
    """Boxes up to the next that begins a file."""
    place, indexless = start, True
    while place + 8 <= size:
        length, name = struct.unpack(">I4s", _bytes(stream, place, 8))
        if place > start and begins(stream, place, size):
            return Part(start, place, indexless=indexless)
        indexless &= name != b"moov"
        if length == 1:
            length = int.from_bytes(_bytes(stream, place + 8, 8), "big")
        if length < 8:  # to the end of the file
            break
        place += length
    return Part(start, size, indexless=indexless)


def _matroska(stream: BinaryIO, start: int, size: int) -> Part:
    """A header and what it heads, of which the size may be unknown."""
    header = _element_end(stream, start)
    end = header and header < size and _element_end(stream, header)
    follows = end and begins(stream, end, size)
    return Part(start, end if end and follows else size)


def _element_end(stream: BinaryIO, place: int) -> int | None:
    """Where the element of Matroska ends that begins there, named by four bytes; None if that is unknown."""
    head = _bytes(stream, place + 4, 8)
    if not head or not head[0]:
        return None
    width = 9 - head[0].bit_length()
    length = int.from_bytes(head[:width], "big") & ((1 << 7 * width) - 1)
    return None if length == (1 << 7 * width) - 1 else place + 4 + width + length


def _caf(stream: BinaryIO, start: int, size: int) -> Part:
    """Chunks up to the next file."""
    place = start + 8
    while place + 12 <= size:
        length = int.from_bytes(_bytes(stream, place + 4, 8), "big", signed=True)
        if begins(stream, place, size):
            return Part(start, place)
        if length < 0:  # to the end of the file
            break
        place += 12 + length
    return Part(start, size)


ENDS: dict[bytes, Callable[[BinaryIO, int, int], Part]] = {
    b"RIFF": _riff,
    b"RIFX": _riff,
    b"RF64": _rf64,
    b"BW64": _rf64,
    b"riff": _w64,
    b"FORM": _aiff,
    b".snd": _au,
    b"ftyp": _mp4,
    b"\x1a\x45\xdf\xa3": _matroska,
    b"caff": _caf,
}
