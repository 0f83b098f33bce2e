"""The server as a whole: its socket, its processes, its end."""

import asyncio
import ipaddress
import logging
import os
import resource
import signal
import socket
import ssl
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from asr.server.door import MEGABYTE, Bounds, Door, JsonLines, Keys, Metrics
from asr.server.office import Lane, Office
from asr.server.origins import Origins
from lm.bundle import DEFAULT

if TYPE_CHECKING:
    from asr.server.live import Streams

KEY_VARIABLE = "NICEBEACH_API_KEY"
QUESTIONS = 64  # to the language models, that may wait
MESSAGE = MEGABYTE  # bytes of a WebSocket's message, at most
LOOKS = 10  # in the time of a patience, which may thus last a tenth longer


@dataclass(frozen=True)
class Settings:
    """Of a server."""

    host: str = "127.0.0.1"
    port: int = 8000
    keys: tuple[bytes, ...] = ()  # any of which opens; none: nobody needs one
    origins: tuple[str, ...] = ()  # whose pages may use it, too
    tls: tuple[Path, Path] | None = None  # certificate and key
    model: Path | None = None
    workers: int = 1
    queue: int = 16  # recordings that may wait
    upload: int = 200  # MB of a recording
    seconds: float = 7200.0  # of a recording
    patience: float = 10.0  # seconds in which a client may send nothing
    grace: int = 30  # seconds in which what is running is finished
    live: int | None = None  # live streams at once; None: as many as keep up


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Raises ValueError or OSError if that can't be begun."""
    check_tls(settings.tls)
    origins = Origins(settings.origins, keyed=bool(settings.keys))
    listening = bound(settings.host, settings.port)
    lanes = {"speech": Lane(settings.workers, settings.queue), "text": Lane(1, QUESTIONS), "live": Lane(1, 0)}
    with listening, closing(Office(settings.model, settings.seconds, lanes)) as office:
        # Which take half a second, while the models are read.
        from asr.server import app
        from asr.server.live import Streams

        metrics, keys = Metrics(), Keys(settings.keys)
        cores = len(os.sched_getaffinity(0))
        streams = Streams(office, metrics, cores, settings.live, settings.patience)
        bounds = Bounds(
            upload=settings.upload * MEGABYTE,
            all_uploads=settings.upload * MEGABYTE * (settings.workers + settings.queue),
            patience=settings.patience,
        )
        office.wait_open()
        created = int(((settings.model or DEFAULT) / "config.toml").stat().st_mtime)
        made = app.make(office, streams, keys, metrics, created)
        door = Door(made, keys, origins, bounds, metrics, app.TRANSCRIPTIONS)
        config = uvicorn.Config(
            door,
            http=_patient(settings.patience),
            ws="websockets-sansio",
            ws_max_size=MESSAGE,
            ws_ping_interval=None,  # who sends nothing is not waited for, and who sends much answers late
            log_level="warning",
            loop="asyncio",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=settings.grace,
            ssl_certfile=settings.tls and settings.tls[0],
            ssl_keyfile=settings.tls and settings.tls[1],
        )
        server = _graceful(config, streams, settings.patience)
        # From now on; and when it has ended uvicorn raises again what ended it, which shall be no fault.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)
        _log()
        _raise_limit()
        host, port = listening.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        print(f"http{'s' * bool(settings.tls)}://{host}:{port}", flush=True)
        server.run([listening])


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises ValueError if it can't."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        problem = getattr(error, "strerror", None) or error
        raise ValueError(f"--host {host} --port {port}: {problem}: give another") from None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_keys(path: Path | None, host: str, without: bool) -> tuple[bytes, ...]:
    """The keys of a file, one a line, or of the environment; without: shall nobody need one?

    Raises ValueError if there is none, but should be, or the other way round.
    """
    source, text = (f"{path}", path.read_text()) if path else (KEY_VARIABLE, os.environ.get(KEY_VARIABLE))
    keys = tuple(line.strip().encode() for line in (text or "").splitlines() if line.strip())
    if text is not None and not keys:
        raise ValueError(f"{source}: has no key: give it one, a line, or leave it out")
    if keys and without:
        raise ValueError(f"--no-key, but {source} has keys: leave out one or other")
    if not keys and not without and not is_loopback(host):
        raise ValueError(
            f"--host {host}: others could use it: give --api-key-file, set {KEY_VARIABLE}, or say --no-key"
        )
    return keys


def check_tls(tls: tuple[Path, Path] | None) -> None:
    """Raises ValueError unless certificate and key are such, and fit each other."""
    if tls:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*tls)
        except ssl.SSLError as error:
            files = " and ".join(map(str, tls))
            raise ValueError(f"{files}: no certificate with its key ({error.reason}): give both as PEM") from None


def _log() -> None:
    """Have everything logged as JSON lines on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    # uvicorn says this of WebSockets that were refused properly.
    unfinished = "ASGI callable returned without completing handshake."
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.msg != unfinished)


def _raise_limit() -> None:
    """As many connections as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _graceful(config: uvicorn.Config, streams: "Streams", patience: float) -> uvicorn.Server:
    """A server at whose end live streams are told what they said last. patience: seconds for TLS to begin, or end."""

    class Graceful(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            if config.is_ssl:  # asyncio has a minute, and uvicorn no option
                loop = asyncio.get_running_loop()
                bounds = {"ssl_handshake_timeout": patience, "ssl_shutdown_timeout": patience}
                setattr(loop, "create_server", partial(loop.create_server, **bounds))  # noqa: B010  # of this loop alone
            await super().startup(sockets)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            streams.end()
            last = time.monotonic() + (config.timeout_graceful_shutdown or 0)
            while streams.running and not self.force_exit and time.monotonic() < last:
                await asyncio.sleep(0.05)
            await super().shutdown(sockets)

    return Graceful(config)


def _patient(seconds: float) -> type[asyncio.Protocol]:
    """A protocol that closes connections whose client does nothing for so long, though it is its turn.

    It should send a request, or take the response; uvicorn itself waits forever for the head of the first request,
    and for who reads no further.
    """

    class Patient(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._state: object = None
            self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            self._timer.cancel()
            super().connection_lost(exc)

        def handle_websocket_upgrade(self, event: Any) -> None:
            self._timer.cancel()  # live streams have bounds of their own
            super().handle_websocket_upgrade(event)

        def _look(self) -> None:
            waits = self.cycle is None or self.cycle.response_complete
            unread = self.transport.get_write_buffer_size()
            state, now = (self.cycle, waits, unread), self.loop.time()
            if state != self._state or not (waits or unread):
                self._state, self._since = state, now
            if now - self._since >= seconds:
                self.transport.abort()
            else:
                self._timer = self.loop.call_later(seconds / LOOKS, self._look)

    return Patient
