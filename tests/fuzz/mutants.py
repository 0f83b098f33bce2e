"""What the fuzz tests share: how bytes are changed, and a process for readers that might crash or fill the memory.

FUZZ_CASES=20000 FUZZ_SEED=7 python -m pytest tests/fuzz   # by hand, for minutes to an hour

The first is the number of recordings; other readers get a share of it. Where a test fails, what was read is kept in
the folder that its message names.
"""

import os
import random
import re
import resource
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

CASES, SEED = int(os.environ.get("FUZZ_CASES", "300")), int(os.environ.get("FUZZ_SEED", "1"))
EDGES = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f")
ODD = "nan inf -inf -1 0 1e999 1152921504606846976 -0.0 true null {} [] 0x10 '' \"\" \u00e9 \u2028 \0 \t \n".split(" ")
WORD = re.compile(rb"[\w.+-]+")
SECONDS = 30  # that one case may take, on a slow machine
MEMORY = 1 << 30  # bytes that it may take beside what is loaded

Change = Callable[[bytes, random.Random], bytes]


def flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 20)):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def edged(data: bytes, chance: random.Random) -> bytes:
    """With what sizes and counts seldom are, mostly in the header."""
    place, value = chance.randrange(min(len(data), chance.choice((64, 512, len(data))))), chance.choice(EDGES)
    return data[:place] + value + data[place + len(value) :]


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def removed(data: bytes, chance: random.Random) -> bytes:
    first, last = sorted(chance.randrange(len(data)) for _ in range(2))
    return data[:first] + data[last:]


def doubled(data: bytes, chance: random.Random) -> bytes:
    first, last = sorted(chance.randrange(len(data)) for _ in range(2))
    return data[:last] + data[first:]


def reworded(data: bytes, chance: random.Random) -> bytes:
    """With another word or number in place of one."""
    places = [match.span() for match in WORD.finditer(data[: 1 << 14])]
    if not places:
        return data + b"x"
    first, last = chance.choice(places)
    return data[:first] + chance.choice(ODD).encode() + data[last:]


def relined(data: bytes, chance: random.Random) -> bytes:
    """With a line less, twice, or elsewhere."""
    lines = data.split(b"\n")
    line = lines.pop(chance.randrange(len(lines)))
    for _ in range(chance.randrange(3)):
        lines.insert(chance.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


BYTES: tuple[Change, ...] = (flipped, edged, edged, cut, removed, doubled)
TEXT: tuple[Change, ...] = (*BYTES, reworded, reworded, reworded, reworded, relined)


def mutant(data: bytes, changes: tuple[Change, ...], chance: random.Random) -> bytes:
    """Data changed one to three times."""
    for _ in range(chance.randrange(1, 4)):
        data = chance.choice(changes)(data, chance) or b"\0"
    return data


class TookTooLong(BaseException):
    """Which no reader takes for what a file happens to hold."""


def in_child(run: Callable[[], None], folder: Path) -> None:
    """Have a process of its own run something, of whose end, whatever it is, this one will know."""
    trace = folder / "trace.txt"
    if (process := os.fork()) == 0:
        status = 1
        try:
            here = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (here + MEMORY, here + MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            run()
            status = 0
        except BaseException:
            trace.write_text(traceback.format_exc())
        finally:
            os._exit(status)
    ended = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    told = trace.read_text() if trace.exists() else ""
    if ended:
        pytest.fail(f"exit code {ended}, having read {folder}\n{told}", pytrace=False)


def timed(run: Callable[[], object]) -> object:
    """What something gives within SECONDS. Raises TookTooLong."""

    def late(*_: object) -> None:
        raise TookTooLong(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        return run()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
