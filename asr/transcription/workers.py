"""Work shared among processes, any of which may die without harm to the rest.

They are forked: the models are read once, and lie in memory once. What is read may be damaged on purpose, and a
process that such a file crashes, or that is killed for want of memory, costs no more than that file.
"""

import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any, TypeVar

Item = TypeVar("Item")

PR_SET_PDEATHSIG = 1  # of prctl(2)

Report = Callable[[Any], None]  # tells the parent how far the work is


@dataclass(frozen=True)
class Progress:
    """What the work on an item reports."""

    index: int
    report: Any


@dataclass(frozen=True)
class Result:
    """What the work on an item returned."""

    index: int
    value: Any


@dataclass(frozen=True)
class Died:
    """The process that worked on an item ended instead, of that signal; 0 if of none."""

    index: int
    signal: int


@dataclass
class _Worker:
    process: ForkProcess
    pipe: Connection
    index: int = -1  # of the item it works on


def share(
    items: Sequence[Item], work: Callable[[Item, Report], Any], processes: int, tick: float | None = None
) -> Generator[Progress | Result | Died | None, None, None]:
    """Do the work on all items; yields what happens to them when it happens, and None every `tick` seconds.

    The work's result and what it reports must be picklable. Whoever ends the iteration early ends the processes.
    """
    waiting = deque(range(len(items)))
    workers: list[_Worker] = []
    try:
        while waiting or any(worker.index >= 0 for worker in workers):
            while waiting and len(workers) < min(processes, len(items)):
                workers.append(_fork(items, work, [worker.pipe for worker in workers]))
            for worker in workers:
                if worker.index < 0 and waiting:
                    worker.index = waiting.popleft()
                    with suppress(ConnectionError):  # if it died meanwhile, that is noticed below
                        worker.pipe.send(worker.index)
            ready = wait([worker.pipe for worker in workers if worker.index >= 0], tick)
            if not ready:
                yield None
            for worker in [worker for worker in workers if worker.pipe in ready]:
                index = worker.index
                try:
                    event = worker.pipe.recv()
                except (EOFError, OSError):  # it ended, perhaps within a message
                    worker.process.join()
                    worker.pipe.close()
                    workers.remove(worker)
                    event = Died(index, max(0, -(worker.process.exitcode or 0)))
                if isinstance(event, Result):
                    worker.index = -1
                yield event
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()


def die_with_parent() -> None:
    """Have the kernel kill this process with its parent, which shall leave nobody at work. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _fork(items: Sequence[Item], work: Callable[[Item, Report], Any], others: Sequence[Connection]) -> _Worker:
    context = get_context("fork")
    ours, theirs = context.Pipe()

    def serve() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
        # Libraries print what they find in damaged files; what is worth telling is in the result.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        die_with_parent()
        # A pipe is at its end once no process holds the other side; so a child that waits sees that the parent died.
        for other in (*others, ours):
            other.close()
        while True:
            try:
                index: int = theirs.recv()
            except EOFError:
                return

            def report(value: Any, index: int = index) -> None:
                theirs.send(Progress(index, value))

            theirs.send(Result(index, work(items[index], report)))

    process = context.Process(target=serve, daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return _Worker(process, ours)
