"""Processes that work, and those that die of it."""

import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import wait

import pytest

from asr.workers import Died, HelperDied, Helpers, Progress, Report, Result, Workers

PARENT = os.getpid()


class Owner:
    """Whose methods helpers call."""

    def square(self, number: int) -> tuple[int, int]:
        return number * number, os.getpid()

    def fail(self, number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    def copy(self, item: bytes) -> bytes:
        return item

    def die(self, number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGUSR1)
        return number

    def be_killed(self, number: int) -> tuple[int, int]:
        if number == 3 and os.getpid() != PARENT:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.square(number)


@pytest.fixture
def helpers() -> Iterator[Helpers]:
    made = Helpers(Owner(), lambda: 3)
    yield made
    made.close()


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_come_in_order(jobs: int) -> None:
    helpers = Helpers(Owner(), lambda: jobs)
    squares, processes = zip(*helpers.map(Owner().square, range(100)), strict=True)
    helpers.close()
    assert list(squares) == [number * number for number in range(100)]
    assert (set(processes) == {os.getpid()}) == (jobs == 1)
    assert len(set(processes)) <= jobs


@pytest.mark.parametrize(("jobs", "ahead"), [(1, 1), (2, 5), (4, 9)])
def test_only_a_few_are_taken_ahead(jobs: int, ahead: int) -> None:
    """Or a long recording would lie in memory."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield number

    helpers = Helpers(Owner(), lambda: jobs)
    for done, _ in enumerate(helpers.map(Owner().square, items())):
        assert taken <= done + ahead
    helpers.close()


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_a_part_raises_is_raised(jobs: int) -> None:
    helpers = Helpers(Owner(), lambda: jobs)
    found = helpers.map(Owner().fail, range(10))
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(found)
    helpers.close()


def test_a_helper_that_dies_is_told(helpers: Helpers) -> None:
    found = helpers.map(Owner().die, range(10))
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(HelperDied) as death:
        next(found)
    assert death.value.signal == signal.SIGUSR1
    assert list(helpers.map(Owner().fail, [7, 8])) == [7, 8]  # another takes its place


def test_what_a_helper_did_that_was_killed_is_done_here(helpers: Helpers) -> None:
    squares, processes = zip(*helpers.map(Owner().be_killed, range(10)), strict=True)
    assert list(squares) == [number * number for number in range(10)]
    assert processes[3] == os.getpid() not in (*processes[:3], *processes[4:])


def test_large_parts_block_nobody(helpers: Helpers) -> None:
    """Neither side may wait for the other to read what a pipe can't hold."""
    large = [bytes([number]) * 5_000_000 for number in range(12)]
    assert list(helpers.map(Owner().copy, large)) == large


def test_workers_report_and_end() -> None:
    def work(item: int, report: Report) -> int:
        report("begun")
        if item == 2:
            os.kill(os.getpid(), signal.SIGUSR1)
        return 10 * item

    workers = Workers(work)
    workers.start(0, 1)
    workers.start(1, 2)
    events = []
    while workers.busy:
        events += workers.wait()
    workers.close()
    assert {event for event in events if event.key == 0} == {Progress(0, "begun"), Result(0, 10)}
    assert {event for event in events if event.key == 1} == {Progress(1, "begun"), Died(1, signal.SIGUSR1)}


def test_workers_take_what_is_sent_meanwhile() -> None:
    def work(item: int, report: Report) -> int:
        while (sent := report.receive()) is not None:
            report(item + sent)
        return item

    workers = Workers(work)
    workers.start(0, 10)
    workers.start(1, 20)
    for key, value in ((0, 1), (1, 2), (2, 3), (0, 4), (0, None), (1, None)):
        workers.send(key, value)
    events = []
    while workers.busy:
        events += workers.wait()
    workers.send(0, 5)  # nobody listens any more
    workers.close()
    assert [event for event in events if event.key == 0] == [Progress(0, 11), Progress(0, 14), Result(0, 10)]
    assert [event for event in events if event.key == 1] == [Progress(1, 22), Result(1, 20)]


def test_what_is_cancelled_tells_nothing_more() -> None:
    """Be its result under way or not; and who is killed while idle gets nothing more to do."""

    def work(item: int, _: Report) -> int:
        if item < 0:
            signal.pause()
        return os.getpid()

    workers = Workers(work)
    workers.start(0, -1)
    workers.start(1, 1)
    assert wait([pipe for pipe in workers.pipes if pipe.poll(10)])  # the result of 1 is there, but not taken
    assert [workers.cancel(key) for key in (0, 1, 2)] == [True, True, False]
    assert not workers.busy
    workers.start(3, 3)
    (event,) = workers.wait(10)
    assert isinstance(event, Result)
    os.kill(event.value, signal.SIGKILL)
    os.waitid(os.P_PID, event.value, os.WEXITED | os.WNOWAIT)
    workers.start(4, 4)
    (event,) = workers.wait(10)
    workers.close()
    assert isinstance(event, Result)
