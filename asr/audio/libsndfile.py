"""Sound by libsndfile: wav, flac, ogg, opus, mp3 and others."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from asr.audio.errors import AudioError
from asr.audio.sound import CONVERT, Sound, block_size, check_rate

NOT_SOUGHT = ("OGG", "MP3")  # in these libsndfile misses the place, or begins with noise
UNKNOWN_LENGTH = 1 << 62  # samples
READ_AHEAD = 1 << 15  # bytes that may be left of a FLAC, as tags at its end
SIXTEEN_BITS = 2.0**-16  # of 32: a file whose samples are no larger holds those of 16 bits as they are


class SoundFile(soundfile.SoundFile):
    """One that is read onwards. Its parent seeks to where it is after every read, where MP3 then begins anew."""

    def seekable(self) -> bool:
        return False

    @property
    def can_seek(self) -> bool:
        return super().seekable()


class Unreadable(Exception):
    """What libsndfile says of a file that it can't read, or not further."""


def opened(stream: BinaryIO, behind: BinaryIO | None = None) -> SoundFile:
    """A file to be read. behind: what lies behind the header of a wav, if all of it is sound, whatever the header says.

    Raises AudioError for raw samples, Unreadable for whatever else libsndfile doesn't know.
    """
    try:
        file = SoundFile(stream)
        if behind is None:
            return file
        endian = "BIG" if file.endian == "BIG" or file.format == "AU" else "LITTLE"
        return SoundFile(behind, "r", file.samplerate, file.channels, file.subtype, endian, "RAW")
    except (TypeError, ValueError):  # soundfile wants to be told the rate of what is called .raw
        raise AudioError(f"raw samples without a header: {CONVERT}") from None
    except soundfile.LibsndfileError as error:
        raise Unreadable(_problem(error)) from None


def sounds(file: SoundFile, start: float, unread: Callable[[], int]) -> Iterator[Sound]:
    """What a file holds, some of which before `start` seconds may be left out.

    unread: how many of its bytes weren't read yet.
    Raises AudioError for an absurd rate, Unreadable where it is damaged.
    """
    check_rate(rate := file.samplerate)
    known = 0 < file.frames < UNKNOWN_LENGTH and file.format != "MP3"  # of which it is a guess
    place, gain, size = 0, 0.0, block_size(rate, file.channels)
    try:
        if start > 0 and known and file.can_seek and file.format not in NOT_SOUGHT:
            place = file.seek(min(round(start * rate), file.frames))
            yield Sound(np.zeros((0, file.channels), np.float32), rate, place / rate)
        # What comes behind the last sample may be no sound.
        while len(block := file.read(min(size, file.frames - place) if known else size, "float32", always_2d=True)):
            if file.subtype == "PCM_32" and not gain and (peak := np.abs(block).max()):
                gain = 1 / SIXTEEN_BITS if peak <= SIXTEEN_BITS else 1.0
            yield Sound(block * np.float32(gain) if gain > 1 else block, rate, place / rate)
            place += len(block)
    except soundfile.LibsndfileError as error:
        raise Unreadable(_problem(error)) from None
    if known and place < file.frames:
        raise Unreadable("its sound ends before its header says")
    if file.format == "FLAC" and unread() > READ_AHEAD:
        raise Unreadable("more sound follows than its header says")


def _problem(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string.removeprefix("Error : ").strip(" ."))
