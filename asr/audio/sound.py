"""What the readers of files hand on: sound that knows when it is heard, and what couldn't be read."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from asr.audio.errors import AudioError

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz; a header outside them is damaged, or wasn't made for speech
BLOCK_SECONDS = 4
BLOCK = 1 << 22  # samples read at once at most, all channels together: 16 MiB
NEAR = 0.1  # seconds between spans that are told as one
SHOWN = 4  # places that a warning names

CONVERT = "convert it to wav, flac, ogg, opus or mp3"

Span = tuple[float, float]  # of a recording: start and length in seconds
Warn = Callable[[str], None]  # takes a line about what was lost or left out, without the recording's name


@dataclass(frozen=True)
class Sound:
    """A block of a recording, float [n, channels], of which n may be 0, at `rate` Hz.

    time: at which second of its file it is heard. lost: how many seconds before it are there, but can't be decoded.
    missing: how many after it aren't there, although the file's header says so.
    """

    samples: np.ndarray
    rate: int
    time: float
    lost: float = 0.0
    missing: float = 0.0

    @property
    def end(self) -> float:
        return self.time + len(self.samples) / self.rate


def block_size(rate: int, channels: int) -> int:
    """How many samples of each channel are read at once."""
    return max(1, min(BLOCK_SECONDS * rate, BLOCK // channels))


def check_rate(rate: int) -> None:
    """Raises AudioError for what no recorder of speech writes."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioError(
            f"a sampling rate of {rate:,} Hz is outside {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz: "
            "correct the header, or record it again"
        )


def clock(seconds: float) -> str:
    """A time of a recording as m:ss.t or h:mm:ss.t."""
    tenths = round(10 * seconds)
    hours, minutes, rest = tenths // 36_000, tenths // 600 % 60, tenths % 600 / 10
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def add_span(spans: list[Span], start: float, seconds: float) -> None:
    """Add one to those before it; if it goes on where the last ends, it is one with it."""
    if spans and start - sum(spans[-1]) < NEAR:
        start, seconds = spans[-1][0], start + seconds - spans.pop()[0]
    spans.append((start, seconds))


def places(spans: list[Span]) -> str:
    """Spans as "0.2 s from 0:08.0 on"; of several their number and the first."""
    total = f"{max(0.1, sum(seconds for _, seconds in spans)):.1f} s"
    if len(spans) == 1:
        return f"{total} from {clock(spans[0][0])} on"
    some = ", ".join(clock(start) for start, _ in spans[:SHOWN])
    return f"{total} in {len(spans)} places ({some}{', ...' if len(spans) > SHOWN else ''})"
