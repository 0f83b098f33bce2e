"""An archive, by actors of Ray's: what is missing in it is shared among them until each recording has its row."""

import json
import os
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from asr.archive import places, rows
from asr.archive.actors import Done, Orders, Reader, Task, text_address, write
from asr.archive.places import Item
from asr.archive.progress import Progress
from asr.audio.channels import Channel
from asr.recognizer import Recognizer
from asr.transcription.outputs import clear_parts
from lm.bundle import DEFAULT, open_bundle
from lm.cluster import connected

TRIES = 3  # actors that may die of a recording, or with their machine, until it counts as failed
LOOK = 1.0  # seconds after which progress is told, and asked of those at work
BYTES = 1 << 20  # of sound for which a further actor is worth its start: minutes
LONG = 5.0  # seconds at work from which on an actor is asked


@dataclass(frozen=True)
class Settings:
    """What an archive is transcribed with, and what is written beside the rows."""

    model: Path | None = None  # None: the one that ships
    texts: tuple[str, ...] = ()  # of rows.TEXTS
    channel: Channel = Channel.mix
    retry_failed: bool = False


@dataclass(frozen=True)
class Summary:
    """How many recordings were done now, how many of them failed; and how many were there, or had failed, before."""

    done: int
    failed: int
    before: int
    failed_before: int
    hours: float  # of sound, done now
    interrupted: bool = False


def archive(
    source: str,
    output: str,
    settings: Settings,
    address: str | None = None,
    actors: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Transcribe what `places.find` finds at `source` and isn't done yet; docs/archives.md says what is written.

    output: a folder, or an address of fsspec's. address: of a Ray cluster; None: Ray is started on this machine, for as
    long as it takes, unless this process is connected already. actors: how many, at most; None: one a core of the
    cluster. Raises ValueError or OSError if the source or the model can't be read, or the output not be written.
    """
    output = output.removeprefix("file://").rstrip("/")
    output = output if places.is_remote(output) else os.path.abspath(output)
    items = places.find(source)
    bundle = open_bundle(settings.model or DEFAULT)
    made_with = {"channel": settings.channel.value}
    model = rows.identity(bundle, made_with)
    texts = tuple((form, f"{output}/{form}") for form in settings.texts)
    orders = Orders(f"{output}/recordings/model={model}", texts, settings.channel)
    tasks, before, failed_before = plan(items, orders, settings.retry_failed)
    if not tasks:
        return Summary(0, 0, before, failed_before, 0.0)
    about = {"model": str(bundle.folder), "settings": made_with, "config": bundle.config}
    places.put(f"{output}/models/{model}.json", json.dumps(about, indent=1).encode())
    recognizer = Recognizer(settings.model)
    with connected(address, actors):
        cores = int(ray.cluster_resources().get("CPU", 1))
        return Pool(recognizer, orders, actors or cores, progress or Progress(False)).run(tasks, before, failed_before)


def plan(items: Sequence[Item], orders: Orders, retry_failed: bool) -> tuple[list[Task], int, int]:
    """What is to be done, the largest first; and how many recordings are there already, and have failed.

    Deletes what a run that was killed has left behind: half a file, or the result of what a recording was before.
    """
    for folder in (orders.folder, *dict(orders.texts).values()):
        if not places.is_remote(folder):
            clear_parts(Path(folder))
    found: defaultdict[str, list[tuple[rows.Name, str]]] = defaultdict(list)
    for path in places.names_below(orders.folder):
        if name := rows.Name.parsed(path):
            found[name.address].append((name, path))
    written = {form: set(places.names_below(folder)) for form, folder in orders.texts}
    tasks, before, failed = [], 0, 0
    for item in items:
        results = found[rows.Name.of(item).address]
        current = sorted((result for result in results if result[0].is_of(item)), key=lambda result: result[0].failed)
        lacks = any(text_address(folder, item.address, form) not in written[form] for form, folder in orders.texts)
        if not current or (retry_failed if current[0][0].failed else lacks):
            tasks.append(Task(item, tuple(path for _, path in results)))
            continue
        for _, path in results:
            if path != current[0][1]:
                places.remove(path)
        before += 1
        failed += current[0][0].failed
    return sorted(tasks, key=lambda task: -task.item.size), before, failed


@dataclass
class _Work:
    """A recording with an actor."""

    actor: Any
    task: Task
    began: float
    seconds: float = 0.0  # of it that are done, as far as is known
    asked: Any = None  # the reference to the answer how many these are


class Pool:
    """Actors, and the recordings that they work on."""

    def __init__(self, recognizer: Recognizer, orders: Orders, size: int, progress: Progress) -> None:
        self._orders, self._size, self._progress = orders, size, progress
        self._recognizer = ray.put(recognizer)  # once; each machine fetches it once
        self._starting: dict[Any, Any] = {}  # actors by the reference that they are ready
        self._idle: list[Any] = []
        self._busy: dict[Any, _Work] = {}  # by the reference to what becomes of it
        self._helped: dict[Any, list[Any]] = {}  # who helps whom
        self._unready = 0  # actors in a row that never became so

    def run(self, tasks: Sequence[Task], before: int, failed_before: int) -> Summary:
        """Do all tasks."""
        waiting, tries = deque(tasks), defaultdict[str, int](int)
        done = failed = 0
        seconds = 0.0
        interrupted = False
        self._progress.begin([task.item.size for task in tasks])
        try:
            # Enough for those who help with long ones.
            sizes = [task.item.size for task in tasks]
            for _ in range(min(self._size, len(tasks) + sum(sizes) // BYTES) if all(sizes) else self._size):
                self._start()
            while waiting or self._busy:
                while waiting and self._idle:
                    actor, task = self._idle.pop(), waiting.popleft()
                    self._busy[actor.read.remote(task)] = _Work(actor, task, time.monotonic())
                self._share_out(bool(waiting))
                for work, result in self._finished():
                    if not isinstance(result, Done):
                        tries[work.task.item.address] += 1
                        if tries[work.task.item.address] < TRIES:
                            waiting.appendleft(work.task)
                            continue
                        if result:
                            raise result
                        result = Done(0.0, f"the processes that read it died, {TRIES} times: it may be damaged")
                        write(self._orders, work.task, None, rows.failed(work.task.item, None, result.problem, 0.0))
                    done, failed, seconds = done + 1, failed + bool(result.problem), seconds + result.seconds
                    self._progress.finish(work.task.item, result.seconds, result.problem, result.warnings)
                if self._progress.due:
                    self._progress.tell(self._under_way())
        except KeyboardInterrupt:
            interrupted = True
        self._progress.close()
        return Summary(done, failed, before, failed_before, seconds / 3600, interrupted)

    def _start(self) -> None:
        actor = Reader.remote(self._recognizer, self._orders)  # type: ignore[attr-defined]
        self._starting[actor.ready.remote()] = actor

    def _finished(self) -> Iterator[tuple[_Work, Done | Exception | None]]:
        """What became of recordings, or why that can't be written; None if the actor died. Waits a little.

        Actors that are ready join the idle.
        """
        ready, _ = ray.wait([*self._starting, *self._busy], num_returns=1, timeout=LOOK)
        for reference in ready:
            if reference in self._starting:
                actor = self._starting.pop(reference)
                try:
                    ray.get(reference)
                except RayError as error:  # with its machine, or it can't work there at all
                    self._unready += 1
                    if self._unready > TRIES * self._size:
                        reason = str(error).strip().splitlines()[-1].strip()
                        mend = "have all machines the same nicebeach, with the extra cluster, and the same Python?"
                        raise ValueError(f"no actor can be started: {reason[:200]}: {mend}") from None
                    self._start()
                else:
                    self._unready = 0
                    self._idle.append(actor)
                continue
            work = self._busy.pop(reference)
            self._helped.pop(work.actor, None)
            result: Done | Exception | None
            try:
                result = ray.get(reference)
                self._idle.append(work.actor)
            except RayTaskError as error:
                result = error.cause
                self._idle.append(work.actor)
            except RayError:
                result = None
                self._start()
                # Its machine may have died, and others with it: they have to answer before they get more.
                self._starting |= {actor.ready.remote(): actor for actor in self._idle}
                self._idle.clear()
            yield work, result

    def _share_out(self, waiting: bool) -> None:
        """Have the idle help those at work, once no recording waits."""
        leaders = [work.actor for work in self._busy.values()]
        idle = [] if waiting else self._idle
        for place, leader in enumerate(leaders):
            helpers = idle[place :: len(leaders)]
            if helpers != self._helped.get(leader, []):
                self._helped[leader] = helpers
                leader.help.remote(helpers)

    def _under_way(self) -> float:
        """Seconds of sound that are done of recordings under way."""
        now = time.monotonic()
        for work in self._busy.values():
            if work.asked is None and now - work.began >= LONG:
                work.asked = work.actor.progress.remote()
            elif work.asked is not None and ray.wait([work.asked], timeout=0)[0]:
                with suppress(RayError):  # what it works on is told to have failed soon
                    work.seconds = ray.get(work.asked)
                work.asked = None
        return sum(work.seconds for work in self._busy.values())
