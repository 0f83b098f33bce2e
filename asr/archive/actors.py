"""Who transcribes: a recogniser an actor, whose weights all actors of a machine share, in Ray's object store."""

import ctypes
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from asr.archive import places, rows
from asr.archive.places import Item
from asr.audio.channels import Channel
from asr.audio.errors import problem_of
from asr.recognizer import Recognizer
from asr.transcription.outputs import as_text
from asr.workers import Died, Progress, Result, outcome


@dataclass(frozen=True)
class Orders:
    """What is written of every recording, and where."""

    folder: str  # of the rows of this model
    texts: tuple[tuple[str, str], ...]  # a form of rows.TEXTS and the folder for it
    channel: Channel


@dataclass(frozen=True)
class Task:
    """A recording to be done, and the results of it that are out of date then."""

    item: Item
    stale: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """What became of a recording: seconds of sound, or what is wrong with it, and what couldn't be read or heard."""

    seconds: float
    problem: str = ""
    warnings: Sequence[str] = ()


def text_address(folder: str, address: str, form: str) -> str:
    """Where a text of a recording lies: under the whole of its address, so that no two have the same."""
    return f"{folder}/{address.partition('://')[2] or address.lstrip('/')}.{form}"


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of mallopt(3)
# A thread for each kind of work: who leads a recording must be able to do parts of it meanwhile, and to answer.
THREADS: dict[str, Any] = {"concurrency_groups": {"whole": 1, "parts": 1, "talk": 1}}


@ray.remote(num_cpus=1, **THREADS)
class Reader:
    """Transcribes recordings one by one, and parts of those that others lead."""

    def __init__(self, recognizer: Recognizer, orders: Orders) -> None:
        _give_memory_back()
        self._recognizer, self._orders = recognizer, orders
        self._crew = Crew(ray.get_runtime_context().current_actor)
        self._seconds = 0.0

    @ray.method(concurrency_group="talk")
    def ready(self) -> None:
        """Returns once it can be given work."""

    @ray.method(concurrency_group="talk")
    def help(self, readers: Sequence[Any]) -> None:
        """From now on these do parts of the recording; none: it is done alone."""
        self._crew.others = list(readers)

    @ray.method(concurrency_group="talk")
    def progress(self) -> float:
        """How many seconds of the recording are done."""
        return self._seconds

    @ray.method(concurrency_group="parts")
    def part(self, method: str, argument: Any) -> tuple[Any, Exception | None]:
        return outcome(self._recognizer, method, argument)

    @ray.method(concurrency_group="whole")
    def read(self, task: Task) -> Done:
        """Write the row of a recording, and its texts, unless they are there."""
        began, item, content = time.monotonic(), task.item, None
        self._seconds = 0.0
        try:
            with places.opened(item) as (source, content):
                same = self._rows_of(content)
                if same:
                    row = rows.unpacked(places.get(same[0])) | {"file": as_text(item.address)}
                else:
                    transcript = self._recognizer.transcribe(
                        source,
                        channel=self._orders.channel,
                        nbest=rows.NBEST,
                        jobs=(self._crew.size, self._crew),
                        progress=self._tell,
                    )
                    seconds = time.monotonic() - began
                    row = rows.heard(item, content, transcript, self._recognizer.weights, seconds)
        except MemoryError:
            row = rows.failed(item, content, "not enough memory: cut the recording", time.monotonic() - began)
        except Exception as error:
            row = rows.failed(item, content, problem_of(error), time.monotonic() - began)
        write(self._orders, task, content, row)
        _trim()
        return Done(row["duration"] or 0.0, row["error"] or "", row["warnings"])

    def _tell(self, seconds: float) -> None:
        self._seconds = seconds

    def _rows_of(self, content: str) -> list[str]:
        """The rows that there are of recordings with this content."""
        prefix = f"part={content[:2]}/{content[:32]}-"
        found = places.names_like(f"{self._orders.folder}/{prefix}*.parquet")
        return [path for path in found if (name := rows.Name.parsed(path)) and not name.failed]


def _give_memory_back() -> None:
    """Have the C library keep less of what is freed: 25 MB an actor. Lower bounds would take a quarter of its time."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, 1 << 20)
        library.mallopt(M_TRIM_THRESHOLD, 1 << 24)
        library.mallopt(M_ARENA_MAX, 1)


def _trim() -> None:
    """Have it give back what a recording left free: 5 MB that the next would find in the way."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def write(orders: Orders, task: Task, content: str | None, row: rows.Row) -> None:
    """Write what becomes of a recording: its row last, so that nothing lacks then; and delete what is out of date."""
    if not row["error"]:
        for form, folder in orders.texts:
            places.put(text_address(folder, task.item.address, form), rows.text(form, row).encode())
    address = f"{orders.folder}/{rows.Name.of(task.item, content, bool(row['error'])).path}"
    places.put(address, rows.packed(row))
    for stale in task.stale:
        if stale != address:
            places.remove(stale)


class Crew:
    """Readers that do parts of a recording, as `asr.workers.Helpers` wants it: the one that leads, and others."""

    def __init__(self, leader: Any) -> None:
        self._leader = leader
        self.others: list[Any] = []
        self._begun: dict[Any, tuple[int, Any]] = {}  # by the reference to the result: its key, and who does it

    def size(self) -> int:
        return 1 + len(self.others)

    def start(self, key: int, item: tuple[str, Any]) -> None:
        busy = [reader for _, reader in self._begun.values()]
        reader = next((reader for reader in self.others if reader not in busy), self._leader)
        self._begun[reader.part.remote(*item)] = key, reader

    def wait(self, seconds: float | None = None) -> Iterator[Progress | Result | Died]:
        if not self._begun:
            return
        for reference in ray.wait(list(self._begun), num_returns=1, timeout=seconds)[0]:
            key, reader = self._begun.pop(reference)
            try:
                yield Result(key, ray.get(reference))
            except RayError:  # it died, or the machine with its result did
                self.others = [other for other in self.others if other != reader]
                yield Died(key, signal.SIGKILL)

    def close(self) -> None:
        self._begun.clear()
