"""All the sound that a file holds, one after the other, with silence for what is lost."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO, cast

import numpy as np

from asr.audio import ffmpeg, libsndfile
from asr.audio.errors import AudioError
from asr.audio.features import SAMPLE_RATE
from asr.audio.libsndfile import Unreadable
from asr.audio.parts import Part, Piece, parts
from asr.audio.sound import Sound, Span, Warn, add_span, block_size, clock, places

HOLE = 0.1  # seconds; less is no hole between what is heard, but rounding of its times
DRIFT = 0.3  # seconds that the times may be ahead of the sound, by many roundings
CUT = 0.25  # seconds; less may be missing at an end, as decoders begin and end where frames do


@dataclass
class _Losses:
    """Spans of a file that aren't heard."""

    damaged: list[Span] = field(default_factory=list)  # can't be decoded
    absent: list[Span] = field(default_factory=list)  # aren't in the file, by its time stamps
    ends: list[str] = field(default_factory=list)  # of recordings that aren't whole, in words
    tracks: list[str] = field(default_factory=list)  # that lie beside those which are heard, in words

    def tell(self, warn: Warn) -> None:
        """A line each."""
        for told in self.tracks[:1]:
            warn(told)
        if self.ends:
            others = len(self.ends) - 1
            warn(self.ends[0] + (f" (and so for {others} more of the recordings in it)" if others else ""))
        if self.damaged:
            warn(f"{places(self.damaged)} can't be decoded: silence stands for it")
        if self.absent:
            warn(f"{places(self.absent)} holds no sound, by its time stamps: silence stands for it")


def sounds(stream: BinaryIO, start: float, end: float | None, warn: Warn) -> Iterator[Sound]:
    """What a seekable stream holds, without holes; what lies before `start` or behind `end` seconds may be left out.

    warn: is told what is lost between the two. Raises AudioError if there is no sound in it, as soon as that is known.
    """
    first_byte = stream.tell()
    if not stream.read(1):
        raise AudioError("empty (0 bytes): record or copy it again")
    losses = _Losses()
    place = 0.0  # seconds up to which it was read
    for part in parts(stream, first_byte):
        if end is not None and place >= end:
            break
        piece = cast(BinaryIO, Piece(stream, part.start, part.end))
        for sound in _filled(_of_part(piece, part, place, start, losses), place, start, end, losses):
            yield sound
            place = sound.end
            if sound.missing > CUT and (end is None or place < end):
                early = f"{sound.missing:.1f} s before its header says"
                losses.ends.append(f"ends at {clock(place)}, {early}: it was cut off, or is damaged")
    losses.tell(warn)


def _filled(sounds: Iterator[Sound], place: float, start: float, end: float | None, losses: _Losses) -> Iterator[Sound]:
    """Sounds one after the other from `place` on, with silence between them where they leave a hole."""
    expected = place  # when the next would begin that leaves none
    for sound in sounds:
        hole, jump = max(0.0, sound.time - place), sound.time - expected
        heard = max(place, start)  # from where on the hole is
        if sound.lost and place + hole >= heard:
            add_span(losses.damaged, heard, max(place + hole - heard, sound.lost))
        elif jump > HOLE and place + hole > heard + HOLE and place > HOLE:  # a late beginning is no loss
            add_span(losses.absent, heard, place + hole - heard)
        sought = not len(sound.samples) and sound.time <= start  # tells where a search for the start led to
        if jump > HOLE or sound.lost or hole > DRIFT or sought:
            yield from _silence(sound, heard, place + hole)
            place += hole
        expected = sound.end
        yield replace(sound, time=place)
        place += len(sound.samples) / sound.rate
        if end is not None and place >= end:
            break


def _silence(like: Sound, start: float, end: float) -> Iterator[Sound]:
    """Silence of the same rate and channels."""
    channels = like.samples.shape[1]
    size, left = block_size(like.rate, channels), round((end - start) * like.rate)
    while left > 0:
        samples = np.zeros((min(size, left), channels), np.float32)
        yield Sound(samples, like.rate, start)
        start, left = start + len(samples) / like.rate, left - size


def _of_part(stream: BinaryIO, part: Part, origin: float, start: float, losses: _Losses) -> Iterator[Sound]:
    """What one of the recordings in a file holds, which begins at `origin` seconds; times are those of the file."""
    origin += part.lost
    lost, last = part.lost, Sound(np.zeros((0, 1), np.float32), SAMPLE_RATE, 0.0)
    try:
        for sound in _read(stream, part, start - origin, losses):
            yield replace(sound, time=origin + sound.time, lost=lost + sound.lost)
            lost, last = 0.0, sound
    except AudioError as error:
        if not origin + last.end:
            raise
        losses.ends.append(f"what begins at {clock(origin + last.end)} isn't read: {error}")
        return
    missing = max(part.promised, part.seconds, last.end / part.share) - last.end
    if last.missing <= CUT < missing:
        yield replace(last, samples=last.samples[:0], time=origin + last.end, lost=0.0, missing=missing)
    elif last.missing <= CUT and part.open_ended:
        losses.ends.append(f"ends at {clock(origin + last.end)} without a proper end: it may have been cut off")


def _read(stream: BinaryIO, part: Part, start: float, losses: _Losses) -> Iterator[Sound]:
    """A recording by libsndfile, or what that can't read of it by FFmpeg; times are its own.

    FFmpeg, which goes on after what is damaged, reads what is known to be, if it is there.
    """
    place, damaged = 0.0, part.damaged
    stream.seek(0)
    try:
        if part.indexless:
            raise Unreadable("the index of its sound is missing: it was cut off")
        if part.damaged and ffmpeg.available():
            raise Unreadable("parts of it are missing")
        behind = Piece(stream, part.header, part.end - part.start) if part.header else None
        with libsndfile.opened(stream, cast("BinaryIO | None", behind)) as file:
            if part.seconds - file.frames / file.samplerate > CUT and ffmpeg.available():
                raise Unreadable("its header doesn't say how long it is")
            damaged = True  # if it doesn't end well
            size = part.end - part.start
            for sound in libsndfile.sounds(file, start, lambda: size - stream.tell()):
                yield sound
                place = sound.end
        return
    except Unreadable as error:
        problem = str(error)
    stream.seek(0)
    before = place
    for sound in ffmpeg.sounds(stream, max(start, before), problem, losses.tracks.append, part.format):
        lost = sound.time - place if damaged and sound.time - place > HOLE else sound.lost
        known = max(0, round((before - sound.time) * sound.rate))  # samples that were read before
        if known < len(sound.samples) or not len(sound.samples):
            yield replace(sound, samples=sound.samples[known:], time=max(before, sound.time), lost=lost)
        place = max(place, sound.end)
