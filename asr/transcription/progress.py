"""The bar of a transcription: how far it is, how fast, and how long it takes still."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from asr.transcription.inputs import Recording

REDRAWN = 0.2  # seconds


class Bar:
    """Progress over all recordings on standard error, by the sizes of their files; nothing, if it isn't shown."""

    def __init__(self, recordings: Sequence[Recording], shown: bool) -> None:
        self.tick = REDRAWN if shown else None  # how often it wants to be drawn
        self._names = [recording.path.name for recording in recordings]
        self._sizes = [_size(recording) for recording in recordings]
        self._shares = [0.0] * len(recordings)
        self._finished = 0
        self._seconds = 0.0  # of sound
        self._latest = 0
        self._began = self._drawn = time.monotonic()
        # No thread redraws it, because processes are forked beside it.
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[rate]}", markup=False),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            auto_refresh=False,
            disable=not shown,
        )
        self._task = self._progress.add_task(f"0/{len(recordings)}", total=1.0, rate="")
        self._progress.start()

    def advance(self, index: int, seconds: float, share: float) -> None:
        """So many more seconds of a recording are done, which makes up that share of it, 0..1."""
        self._shares[index] = share
        self._seconds += seconds
        self._latest = index

    def finish(self, index: int) -> None:
        """A recording is done, well or not."""
        self._shares[index] = 1.0
        self._finished += 1

    def draw(self) -> None:
        """Draw it, if that was long ago."""
        now = time.monotonic()
        if self.tick is None or now - self._drawn < self.tick:
            return
        self._drawn = now
        elapsed = now - self._began
        total = sum(self._sizes)
        done = (
            sum(share * size for share, size in zip(self._shares, self._sizes, strict=True)) / total if total else 0.0
        )
        rate = f"{self._seconds / elapsed:.1f} × real time"
        if done:
            left = round(elapsed * (1 - done) / done)
            rate += f", {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"
        name = self._names[self._latest]
        self._progress.update(
            self._task, completed=done, description=f"{self._finished}/{len(self._names)} {name[:30]}", rate=rate
        )
        self._progress.refresh()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take it away while something else is printed; for good, if all are finished."""
        self._progress.stop()
        try:
            yield
        finally:
            if self._finished < len(self._names):
                self._progress.start()

    def close(self) -> None:
        """Take it away for good."""
        self._progress.stop()


def _size(recording: Recording) -> int:
    """Bytes; 0 of what has no size, such as a pipe."""
    try:
        return os.stat(recording.path).st_size
    except (OSError, ValueError):
        return 0
