"""How far an archive is: a line on standard error, and gauges that Prometheus reads from Ray."""

import sys
import time
from collections.abc import Sequence

from ray.util.metrics import Gauge

from asr.archive.places import Item
from asr.transcription.outputs import tell

EVERY, LOGGED = 1.0, 60.0  # seconds between lines: on a terminal, where each replaces the last, and elsewhere


class Progress:
    """Counts recordings and seconds of sound; how long it takes still is told by the sizes of files."""

    def __init__(self, shown: bool) -> None:
        """shown: are lines written? Gauges are set anyway."""
        self._shown = shown
        self._terminal = sys.stderr.isatty()

    def begin(self, sizes: Sequence[int]) -> None:
        """So many recordings are to be done, of so many bytes each; 0 if nobody knows."""
        self._count, self._bytes = len(sizes), sum(sizes)
        self._done = self._failed = self._bytes_done = 0
        self._seconds = 0.0
        self._began = self._told = self._set = time.monotonic()
        self._hours = Gauge("nicebeach_archive_hours", "Hours of sound that are done.")
        self._speed = Gauge("nicebeach_archive_speed", "Seconds of sound that are done a second.")
        self._recordings = Gauge("nicebeach_archive_recordings", "Recordings by their state.", ("state",))

    def finish(self, item: Item, seconds: float, problem: str, warnings: Sequence[str]) -> None:
        """A recording of so many seconds is done, well or not; warnings: what of it couldn't be read or heard."""
        self._done += 1
        self._failed += bool(problem)
        self._bytes_done += item.size
        self._seconds += seconds
        if warnings or problem:
            self._clear()
        for warning in warnings:
            tell(item.address, warning, "warning")
        if problem:
            tell(item.address, problem)

    @property
    def due(self) -> bool:
        """Is it time to tell?"""
        return time.monotonic() - self._set >= EVERY

    def tell(self, under_way: float) -> None:
        """Set the gauges, and write a line if one is due. under_way: seconds of sound, of what isn't finished."""
        now = time.monotonic()
        self._set = now
        elapsed, seconds = now - self._began, self._seconds + under_way
        self._hours.set(seconds / 3600)
        self._speed.set(seconds / elapsed)
        states = {"done": self._done - self._failed, "failed": self._failed, "left": self._count - self._done}
        for state, number in states.items():
            self._recordings.set(number, {"state": state})
        if not self._shown or now - self._told < (EVERY if self._terminal else LOGGED):
            return
        self._told = now
        share = self._bytes_done / self._bytes if self._bytes else self._done / self._count
        line = f"{self._done:,} of {self._count:,} recordings, {seconds / 3600:,.1f} h"
        line += f", {seconds / elapsed:,.0f} × real time"
        if share:
            left = round(elapsed * (1 - share) / share)
            line += f", {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"
        line += f", {self._failed:,} failed" * bool(self._failed)
        self._clear()
        print(line, end="" if self._terminal else "\n", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the line away."""
        self._clear()

    def _clear(self) -> None:
        if self._shown and self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
