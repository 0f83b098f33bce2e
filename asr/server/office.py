"""Where the work is done: a process that has read the models and forks others from itself, which may die alone.

The server's own process has threads, from which it isn't safe to fork, so the office is a process started anew. It
only forks and passes messages on; should it die nevertheless, another one is started.
"""

import asyncio
import logging
import os
import signal
from collections import deque
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from queue import SimpleQueue
from socket import SHUT_RDWR, socket
from threading import Thread
from typing import Any

from asr.server.refusal import Refusal
from asr.server.tasks import Answer, Ask, Desk, Fault, Hear, Part, Stream
from asr.workers import Died, Progress, Result, Workers, die_with_parent

AGAIN = 1.0  # seconds until an office is started after one that died before it was open; doubled each time
LONGEST = 60.0  # seconds, of these

log = logging.getLogger("asr.server")


# --- In the office's process ------------------------------------------------------------------------------


def run(pipe: Connection, model: Path | None, most_seconds: float) -> None:
    """Read the models, then work on what the pipe brings until it ends. Says None first, or what is wrong."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server decides
    die_with_parent()
    try:
        desk = Desk(model, most_seconds)
    except (ValueError, OSError) as error:
        pipe.send(str(error))
        return
    pipe.send(None)
    # Those who do other work stand back for streams (`Desk`), and can't undo that: streams have others.
    with closing(Workers(desk.work)) as workers, closing(Workers(desk.live)) as live:
        while True:
            if pipe in wait([pipe, *workers.pipes, *live.pipes]):
                try:
                    key, task = pipe.recv()
                except (EOFError, OSError):
                    return
                if task is None:
                    if workers.cancel(key) or live.cancel(key):
                        pipe.send(Died(key, signal.SIGKILL))
                elif isinstance(task, Part):
                    live.send(key, task)
                else:
                    (live if isinstance(task, Stream) else workers).start(key, task)
            for event in (*workers.wait(0), *live.wait(0)):
                try:
                    pipe.send(event)
                except ConnectionError:
                    return


# --- In the server's --------------------------------------------------------------------------------------


def post(pipe: Connection, outbox: SimpleQueue[Any]) -> None:
    """Send what comes, until None does.

    A thread does, for what the pipe can't hold is sent when the office reads, and that may have to wait itself until
    the server takes a large answer.
    """
    with suppress(OSError):  # if it died, `_read` will notice
        while (message := outbox.get()) is not None:
            pipe.send(message)


@dataclass
class Lane:
    """Tasks of a kind, which others don't hold up. slots: processes that work on them; most: tasks that may wait."""

    slots: int
    most: int
    waiting: deque["Job"] = field(default_factory=deque)
    busy: int = 0


@dataclass(eq=False)
class Job:
    """A task that was handed in. events: what is reported of it, and last an Answer or a Refusal."""

    key: int
    task: Hear | Ask | Stream
    lane: Lane
    events: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)


class Office:
    """Takes tasks in, and tells what becomes of them. For one event loop."""

    def __init__(self, model: Path | None, most_seconds: float, lanes: Mapping[str, Lane]) -> None:
        self.lanes = lanes
        self.deaths = 0  # of processes, but for those of cancelled jobs
        self.open = False
        self._arguments = model, most_seconds
        self._running: dict[int, Job] = {}
        self._cancelled: set[int] = set()
        self._count = 0
        self._again = AGAIN
        self._closed = False
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=run, args=(theirs, *self._arguments), name="office")
        self._process.start()
        theirs.close()
        self._outbox: SimpleQueue[Any] = SimpleQueue()
        self._post = Thread(target=post, args=(self._pipe, self._outbox), daemon=True)
        self._post.start()

    def wait_open(self) -> None:
        """Wait until the models are read. Raises ValueError if they can't be."""
        try:
            problem = self._pipe.recv()
        except EOFError:
            problem = "the process that reads the models died, perhaps for want of memory"
        if problem:
            raise ValueError(problem)
        self.open = True

    def attend(self) -> None:
        """Listen to the office, from the running event loop on."""
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._read)

    def submit(self, lane: str, task: Hear | Ask | Stream) -> Job:
        """Hand a task in. Raises Refusal if too many wait already."""
        self.refuse_if_full(lane)
        job = Job(self._count, task, self.lanes[lane])
        self._count += 1
        job.lane.waiting.append(job)
        self._begin()
        return job

    def refuse_if_full(self, name: str) -> None:
        """Raises Refusal if `submit` would."""
        lane = self.lanes[name]
        if lane.busy + len(lane.waiting) >= lane.slots + lane.most:
            seconds = 1 + len(lane.waiting) // lane.slots
            raise Refusal(429, f"{len(lane.waiting)} requests wait already: try again in {seconds} s", wait=seconds)

    def count_waiting(self, lane: str) -> int:
        """How many tasks wait."""
        return len(self.lanes[lane].waiting)

    def count_busy(self, lane: str) -> int:
        """How many tasks are worked on."""
        return self.lanes[lane].busy

    def send(self, job: Job, part: Part) -> None:
        """Pass on what a stream's client sent. The next only when it was taken: the office waits for nobody."""
        self._send(job.key, part)

    def cancel(self, job: Job) -> None:
        """Have nothing more done about a job; one that is done stays so."""
        if job in job.lane.waiting:
            job.lane.waiting.remove(job)
        elif job.key in self._running and job.key not in self._cancelled:
            self._cancelled.add(job.key)
            self._send(job.key, None)

    def close(self) -> None:
        """End all work."""
        self._closed = True
        self._hang_up()

    def _begin(self) -> None:
        """Begin as many tasks as there are processes for."""
        for lane in self.lanes.values():
            while self.open and lane.waiting and lane.busy < lane.slots:
                job = lane.waiting.popleft()
                lane.busy += 1
                self._running[job.key] = job
                self._send(job.key, job.task)

    def _send(self, key: int, task: Hear | Ask | Stream | Part | None) -> None:
        self._outbox.put((key, task))

    def _hang_up(self) -> None:
        """Have the office end, if it hasn't."""
        with suppress(OSError), socket(fileno=os.dup(self._pipe.fileno())) as line:
            line.shutdown(SHUT_RDWR)  # which ends also what is just being sent
        self._outbox.put(None)
        self._post.join()
        self._pipe.close()
        self._process.join()

    def _read(self) -> None:
        try:
            while self._pipe.poll():
                self._take(self._pipe.recv())
        except (EOFError, OSError):
            self._lost()
        self._begin()

    def _take(self, event: Progress | Result | Died | str | None) -> None:
        if event is None:
            self.open, self._again = True, AGAIN
            log.info("the models are read again")
        elif isinstance(event, str):
            log.error("the models can't be read again: %s", event)
        elif isinstance(event, Progress):
            self._running[event.key].events.put_nowait(event.report)
        else:
            self._finish(event)

    def _finish(self, event: Result | Died) -> None:
        """Tell the client what became of its job; what it isn't told is logged."""
        job = self._running.pop(event.key)
        job.lane.busy -= 1
        if event.key in self._cancelled:
            self._cancelled.remove(event.key)
            return
        outcome: Answer | Refusal
        if isinstance(event, Died):
            self.deaths += 1
            log.error("a worker died of signal %s", event.signal)
            problem = "the process that worked on it died: the recording may be damaged; try again"
            if isinstance(job.task, Stream):
                problem = "the process that listened died: begin again"
            outcome = Refusal(500, problem, code="worker_died")
        elif isinstance(event.value, Fault):
            log.error("a fault of nicebeach: please report it", extra={"fields": {"trace": event.value.trace}})
            outcome = Refusal(500, "a fault of nicebeach, which its log tells: please report it", code="fault")
        else:
            outcome = event.value
        job.events.put_nowait(outcome)

    def _lost(self) -> None:
        """The office died: what it worked on is lost, what waits is not."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pipe.fileno())
        self._hang_up()
        log.error("the process that has the models died (exit code %s): another is started", self._process.exitcode)
        self.open = False
        for key in [*self._running]:
            self._finish(Died(key, signal.SIGKILL))

        def again() -> None:
            if not self._closed:
                self._start()
                self.attend()

        loop.call_later(self._again, again)
        self._again = min(LONGEST, 2 * self._again)
