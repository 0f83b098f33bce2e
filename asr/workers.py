"""Work shared among processes, any of which may die without harm to the rest.

They are forked: the models are read once, and lie in memory once. What is read may be damaged on purpose, and a
process that such a file crashes, or that is killed for want of memory, costs no more than that file.
"""

import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any, Generic, Protocol, TypeVar, cast

Item = TypeVar("Item")
Value = TypeVar("Value")

PR_SET_PDEATHSIG = 1  # of prctl(2)


@dataclass(frozen=True)
class Progress:
    """What the work on an item reports."""

    key: int
    report: Any


@dataclass(frozen=True)
class Result:
    """What the work on an item returned."""

    key: int
    value: Any


@dataclass(frozen=True)
class Died:
    """The process that worked on an item ended instead, of that signal; 0 if of none."""

    key: int
    signal: int


@dataclass(frozen=True)
class Report:
    """Tells the parent how far the work on an item is, and takes what it sends meanwhile."""

    key: int
    pipe: Connection

    def __call__(self, value: Any) -> None:
        self.pipe.send(Progress(self.key, value))

    def receive(self) -> Any:
        """What `Workers.send` sends next; waits for it. Raises EOFError if the parent is gone."""
        _, value = self.pipe.recv()
        return value


class HelperDied(Exception):
    """A process that worked on a part ended by a fault, of that signal; 0 if of none."""

    def __init__(self, signal: int) -> None:
        super().__init__(f"a process that did a part of the work died (signal {signal})")
        self.signal = signal


@dataclass
class _Worker:
    process: ForkProcess
    pipe: Connection
    key: int = -1  # of the item it works on


class Workers:
    """Processes that do the same work on items, each on one at a time; forked when they are needed."""

    def __init__(self, work: Callable[[Any, Report], Any], leaders: bool = False) -> None:
        """The items, the work's result and what it reports must be picklable. leaders: may it start workers itself?

        SIGTERM ends a worker, unless the work does something else then.
        """
        self._work, self._leaders = work, leaders
        self._workers: list[_Worker] = []

    @property
    def busy(self) -> list[int]:
        """The keys of all items that are worked on."""
        return [worker.key for worker in self._workers if worker.key >= 0]

    @property
    def pipes(self) -> list[Connection]:
        """What can be read once something happens to an item: for `multiprocessing.connection.wait`."""
        return [worker.pipe for worker in self._workers if worker.key >= 0]

    def start(self, key: int, item: Any) -> None:
        """Begin an item, 0 or more its key, in a process that is idle, or else in a new one."""
        for idle in [worker for worker in self._workers if worker.key < 0]:
            if not idle.process.is_alive():
                self._remove(idle)
        worker = next((worker for worker in self._workers if worker.key < 0), None)
        if worker is None:
            worker = _fork(self._work, self._leaders, [worker.pipe for worker in self._workers])
            self._workers.append(worker)
        worker.key = key
        with suppress(ConnectionError):  # if it died meanwhile, `wait` notices
            worker.pipe.send((key, item))

    def send(self, key: int, value: Any) -> None:
        """Something for `Report.receive` of an item; nothing if none is worked on. What a pipe can't hold must wait."""
        for worker in self._workers:
            if worker.key == key:
                with suppress(ConnectionError):  # if it died meanwhile, `wait` notices
                    worker.pipe.send((key, value))

    def wait(self, seconds: float | None = None) -> Iterator[Progress | Result | Died]:
        """What happens to the items; waits so long that something does, or forever."""
        ready = wait(self.pipes, seconds)
        for worker in [worker for worker in self._workers if worker.pipe in ready]:
            event: Progress | Result | Died
            try:
                event = worker.pipe.recv()
            except (EOFError, OSError):  # it ended, perhaps within a message
                self._remove(worker)
                event = Died(worker.key, max(0, -(worker.process.exitcode or 0)))
            if isinstance(event, Result):
                worker.key = -1
            yield event

    def cancel(self, key: int) -> bool:
        """Kill the process that works on an item, of which nothing more is told; False if none does any more."""
        worker = next((worker for worker in self._workers if worker.key == key), None)
        if worker is not None:
            worker.process.kill()
            self._remove(worker)  # at once: it might have sent its result, and be taken for idle
        return worker is not None

    def terminate(self) -> None:
        """SIGTERM to all who are at work."""
        for worker in self._workers:
            if worker.key >= 0:
                worker.process.terminate()

    def close(self) -> None:
        """End all of them, whatever they do."""
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        self._workers.clear()

    def _remove(self, worker: _Worker) -> None:
        """Forget one that ended."""
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)


@dataclass
class Part(Generic[Value]):
    """What becomes of a part of some work: a value, or the error that was raised."""

    value: Value | None = None
    error: Exception | None = None
    done: bool = False


class Crew(Protocol):
    """Who does the tasks of `Helpers`: a method's name and its argument each, whose `outcome` is the result's value."""

    def start(self, key: int, item: tuple[str, Any]) -> None:
        """Begin a task; there are never more at once than may work."""

    def wait(self, seconds: float | None = None) -> Iterator[Progress | Result | Died]:
        """What happens to the tasks; waits so long that something does, or forever."""

    def close(self) -> None:
        """Whatever is still done isn't wanted."""


class Helpers:
    """Workers that call an object's methods. If one process is to work, that is this one.

    This one also does again what a helper has begun that was killed, as the system does for want of memory.
    """

    def __init__(self, owner: object, jobs: Callable[[], int], crew: Crew | None = None) -> None:
        """jobs: how many may work; asked anew for each part. crew: who does; else processes that are forked."""
        self._jobs = jobs
        self._owner = owner
        self._workers = crew or Workers(lambda task, _: outcome(owner, *task))
        self._waiting: deque[tuple[Part[Any], tuple[str, Any]]] = deque()  # parts, each with a method and its argument
        self._begun: dict[int, tuple[Part[Any], tuple[str, Any]]] = {}
        self._count = 0

    def submit(self, method: Callable[[Item], Value], item: Item) -> Part[Value]:
        """Have a method of the owner called, as soon as a helper is free."""
        if self._jobs() <= 1:
            return Part(method(item), done=True)
        part: Part[Value] = Part()
        self._waiting.append((part, (method.__name__, item)))
        self._look(0)
        return part

    def full(self, parts: int) -> bool:
        """Whether so many are enough to have submitted: all helpers have one, and find another when it is done."""
        jobs = self._jobs()
        return parts > (2 * jobs if jobs > 1 else 0)

    def result(self, part: Part[Value]) -> Value:
        """What the method returned. Raises what it raised, HelperDied if its process ended but wasn't killed."""
        while not part.done:
            self._look(None)
        if part.error:
            raise part.error
        return cast(Value, part.value)

    def map(self, method: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
        """The results for all items, in their order; only a few items are taken ahead."""
        parts: deque[Part[Value]] = deque()
        for item in items:
            parts.append(self.submit(method, item))
            while parts and (parts[0].done or self.full(len(parts))):
                yield self.result(parts.popleft())
        yield from map(self.result, parts)

    def close(self) -> None:
        """End all helpers, whatever they do."""
        self._workers.close()

    def _look(self, seconds: float | None) -> None:
        """Take what is done, waiting so long for it, and give the helpers more."""
        for event in self._workers.wait(seconds):
            part, task = self._begun.pop(event.key)
            if isinstance(event, Result):
                part.value, part.error = event.value
            elif isinstance(event, Died) and event.signal == signal.SIGKILL:
                part.value, part.error = outcome(self._owner, *task)
            elif isinstance(event, Died):
                part.error = HelperDied(event.signal)
            part.done = True
        while self._waiting and len(self._begun) < self._jobs():
            part, task = self._waiting.popleft()
            self._begun[self._count] = part, task
            self._workers.start(self._count, task)
            self._count += 1


def outcome(owner: object, method: str, item: Any) -> tuple[Any, Exception | None]:
    """What a method returned, or the error that it raised."""
    try:
        return getattr(owner, method)(item), None
    except Exception as error:
        return None, error


def die_with_parent() -> None:
    """Have the kernel kill this process with its parent, which shall leave nobody at work. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _fork(work: Callable[[Any, Report], Any], leads: bool, others: list[Connection]) -> _Worker:
    context = get_context("fork")
    ours, theirs = context.Pipe()

    def serve() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        # Libraries print what they find in damaged files; what is worth telling is in the result.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        die_with_parent()
        # A pipe is at its end once no process holds the other side; so a child that waits sees that the parent died.
        for other in (*others, ours):
            other.close()
        while True:
            try:
                key, item = theirs.recv()
            except EOFError:
                return
            theirs.send(Result(key, work(item, Report(key, theirs))))

    # What Python ends by itself when it exits mayn't have children.
    process = context.Process(target=serve, daemon=not leads)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return _Worker(process, ours)
