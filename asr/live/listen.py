"""Sound as it comes, to captions as it is spoken, until it ends or somebody ends it."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

from asr.live.captions import Captions, Kept
from asr.live.events import Event
from asr.live.live import Live, mono
from asr.live.sources import Reader, Source


def listen(
    live: Live,
    source: Source,
    captions: Sequence[Captions],
    kept: Kept | None,
    stop: threading.Event,
    warn: Callable[[str], None],
) -> None:
    """Hear a source to its end, or to the stop; in both cases what was begun becomes a Final."""
    outputs: list[Captions] = [*captions, *([kept] if kept else [])]

    def heard() -> Iterator[list[Event]]:
        for block in Reader(source, stop, warn).blocks():
            samples = mono(block)
            if kept:
                kept.hear(samples)
            yield live.accept(samples)
        yield live.finish()

    for event in chain.from_iterable(heard()):
        for output in outputs:
            output.write(event)


@contextmanager
def stopped_by_interrupt() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets; a second one interrupts."""
    stop = threading.Event()

    def interrupt(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
