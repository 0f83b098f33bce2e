"""Sound as it comes, to captions as it is spoken, until it ends or somebody ends it."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

from asr.live.captions import Captions, Kept
from asr.live.events import Event, Final
from asr.live.live import Live, mono
from asr.live.sources import Reader, Source


def listen(
    live: Live,
    source: Source,
    captions: Sequence[Captions],
    kept: Kept | None,
    stop: threading.Event,
    warn: Callable[[str], None],
) -> bool:
    """Hear a source to its end, or to the stop; in both cases what was begun becomes a Final. Were there words?

    Where captions can't be written, as on a terminal that was closed, that is a stop, too, if something is to be kept.
    """
    words, failure = False, None

    def heard() -> Iterator[list[Event]]:
        for block in Reader(source, stop, warn).blocks():
            samples = mono(block)
            if kept:
                kept.hear(samples)
            yield live.accept(samples)
        yield live.finish()

    for event in chain.from_iterable(heard()):
        words = words or (isinstance(event, Final) and bool(event.segment.words))
        if kept:
            kept.write(event)
        try:
            for output in captions:
                output.write(event)
        except OSError as error:
            if not kept:
                raise
            failure = error
            stop.set()
    if failure:
        raise failure
    return words


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that is set by Ctrl-C, a terminal that is closed, or kill; a second of these interrupts."""
    stop = threading.Event()

    def interrupt(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    before = {number: known for number, known in before.items() if known != signal.SIG_IGN}  # as nohup has it
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield stop
    finally:
        for number, known in before.items():
            signal.signal(number, known)
