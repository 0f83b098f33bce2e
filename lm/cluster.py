"""Ray clusters (extra `cluster`): a connection, and functions that run on their machines."""

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import ray

TRIES = 3
REACHED = 10.0  # seconds in which who listens has to answer

Value = TypeVar("Value")


@contextmanager
def connected(address: str | None, cores: int | None = None) -> Iterator[None]:
    """Within it this process is connected to the cluster of that address, such as "auto" or "host:6379".

    None: one is started on this machine alone, of so many cores; unless the process is connected already. Raises
    ValueError if there is no such cluster.
    """
    if ray.is_initialized():
        yield
        return
    if address:
        _reach(address)
    else:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told what a machine does by itself
    local: dict[str, Any] = {"num_cpus": cores, "include_dashboard": False} if address is None else {}
    for tried in range(TRIES):  # a busy machine may not start it in the half minute that Ray waits
        try:
            ray.init(address or "local", logging_level=logging.ERROR, log_to_driver=False, **local)
            break
        except Exception as error:  # Ray raises these themselves, too
            ray.shutdown()
            if address is None and tried < TRIES - 1:
                continue
            told = f"{'Ray' if address is None else f'--ray {address}'}: {' '.join(str(error).split())[:200]}"
            there = "does `ray start` run there, and is ~/.ray/auth_token that of here?"
            mend = "end what else runs here" if address is None else there
            raise ValueError(f"{told}: {mend}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Raise ValueError if nothing listens there, of which Ray would only be sure after many minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    try:
        if colon:
            socket.create_connection((host.strip("[]"), int(port)), REACHED).close()
    except (OSError, ValueError) as error:
        raise ValueError(f"--ray {address}: {error}: does `ray start` run there? 6379 is its usual port") from None


class Submitted(Generic[Value]):
    """What a function will have returned."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def result(self) -> Value:
        """Wait for it. Raises what the function raised."""
        try:
            value: Value = ray.get(self._reference)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        return value


class Cluster:
    """Calls functions on the machines of the cluster that this process is connected to; results stay there."""

    def call(self, function: Callable[..., Sequence[Any]], *arguments: Any, results: int) -> Sequence[Any]:
        """Handles of so many results of a module's function, which may be arguments of other calls.

        It is called again elsewhere if a machine dies.
        """
        made = ray.remote(_results).options(num_returns=results).remote(function, *arguments)
        return made if results > 1 else [made]

    def share(self, value: Any) -> Any:
        """A handle of a value, which is sent once to each machine."""
        return ray.put(value)

    def value(self, handle: Any) -> Any:
        """Wait for a result. Raises what the function raised."""
        return Submitted[Any](handle).result()


def _results(function: Callable[..., Sequence[Any]], *arguments: Any) -> Any:
    """What Ray wants of a function of several results, and of one with a single."""
    made = function(*arguments)
    return made if len(made) > 1 else made[0]


class Pool(Generic[Value]):
    """Calls a function on the cluster that this process is connected to, as an executor does in processes."""

    def __init__(self, function: Callable[..., Value], *shared: object) -> None:
        """function: of a module. shared: its last arguments, sent once to each machine."""
        self._function = ray.remote(function)
        self._shared = [ray.put(argument) for argument in shared]

    def submit(self, *arguments: object) -> Submitted[Value]:
        """Call it with these arguments and the shared ones, on any machine, as soon as one can.

        It is called again elsewhere if a machine dies.
        """
        return Submitted(self._function.remote(*arguments, *self._shared))
