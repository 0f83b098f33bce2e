"""What every request passes: it is counted, logged and bounded, and shows its key."""

import asyncio
import base64
import binascii
import hmac
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from asr.server.origins import Origins
from asr.server.refusal import Refusal
from asr.server.scope import Message, header

if TYPE_CHECKING:
    from asr.server.realtime import Agreed

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

OPEN = "/health"  # answers without a key
MEGABYTE = 1_000_000  # bytes
OTHERS = MEGABYTE  # bytes of a body that holds no recording, or of the fields beside one
SLOWEST = 4_000  # bytes a second that a client must send, after PATIENCES times the patience
PATIENCES = 2
LINGER = 2.0  # seconds in which the rest of a refused body is read, so that the client sees why
METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
GONE = 499  # nginx' status of a client that didn't wait for the answer
SHOWN = 200  # characters of a path that are logged
KEY_PROTOCOL = "openai-insecure-api-key."  # before a key among the subprotocols of a WebSocket
MOST_LENT = 2000  # keys

log = logging.getLogger("asr.server")


@dataclass(frozen=True)
class Bounds:
    """Of what clients may send."""

    upload: int  # bytes of a recording
    all_uploads: int  # bytes of all recordings that are sent, wait or are worked on
    patience: float  # seconds in which a client may send nothing


class Metrics:
    """For Prometheus."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        labels = ("route", "method", "status")
        self.requests = Counter("nicebeach_requests", "Requests that were answered.", labels, registry=registry)
        buckets = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
        self.seconds = Histogram(
            "nicebeach_request_seconds", "How long they took.", ("route",), buckets=buckets, registry=registry
        )
        self.audio = Counter("nicebeach_audio_seconds", "Sound that was transcribed.", registry=registry)
        self.uploaded = Counter("nicebeach_received_bytes", "Bodies of requests.", registry=registry)


class Keys:
    """Any of which opens; none: nobody needs one. Some are lent for a while, and open WebSockets alone."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys
        self._lent: dict[bytes, tuple[float, Agreed]] = {}  # until when, on the monotonic clock, and for which session

    def lend(self, seconds: float, agreed: "Agreed") -> str:
        """A key for so long, which browsers can send and pages may know. Raises Refusal if too many are lent."""
        now = time.monotonic()
        self._lent = {key: loan for key, loan in self._lent.items() if loan[0] > now}
        if len(self._lent) >= MOST_LENT:
            raise Refusal(429, f"{MOST_LENT} client secrets are in use: try again later", wait=60)
        key = f"ek_{secrets.token_hex(16)}"
        self._lent[key.encode()] = now + seconds, agreed
        return key

    def open(self, scope: Message) -> bool:
        """Whether a request shows one."""
        shown = _shown(scope)
        fitting = [hmac.compare_digest(shown, key) for key in self._keys]  # all, so that the time tells nothing
        return not self._keys or any(fitting) or self.agreed(scope) is not None

    def agreed(self, scope: Message) -> "Agreed | None":
        """What the session is to be like of who shows a key that is lent."""
        lent = self._lent.items() if scope["type"] == "websocket" else ()
        shown, now = _shown(scope), time.monotonic()
        fitting = [agreed for key, (end, agreed) in lent if hmac.compare_digest(shown, key) and end > now]
        return fitting[0] if fitting else None


class Door:
    """Before an app."""

    def __init__(
        self, app: App, keys: Keys, origins: Origins, bounds: Bounds, metrics: Metrics, recordings: str
    ) -> None:
        """recordings: the path to which these are sent."""
        self._app, self._keys, self._origins = app, keys, origins
        self._bounds, self._metrics, self._recordings = bounds, metrics, recordings
        self._held = 0  # bytes of bodies

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._visit(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._call(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _visit(self, scope: Message, receive: Receive, send: Send) -> None:
        started, status, sent = time.monotonic(), GONE, 0
        body = Body(self, scope, receive, self._limit(scope))

        async def sending(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                if message["status"] >= 400:
                    await body.discard()
                status = message["status"]
                message["headers"] = [*message["headers"], *self._origins.headers(scope)]
            sent += len(message.get("body", b""))
            await send(message)

        try:
            app: App | None = self._origins.preflight(scope)  # which has no key
            if app is None:
                self._check(scope)
                body.check_claim()
                app = self._app
            await app(scope, body.receive, sending)
        except Refusal as refusal:
            await refused(refusal)(scope, body.receive, sending)
        except ClientDisconnect:
            pass
        except Exception:  # which the app has answered
            log.exception("a fault of nicebeach: please report it")
        finally:
            self._held -= body.bytes
            self._metrics.seconds.labels(_route(scope)).observe(time.monotonic() - started)
            self._tell(scope, started, status, body.bytes, sent)

    async def _call(self, scope: Message, receive: Receive, send: Send) -> None:
        """A WebSocket. Its bounds are those of live streams, and of the protocol."""
        started, status, code, received, sent = time.monotonic(), GONE, None, 0, 0

        async def receiving() -> Message:
            nonlocal received, code
            message = await receive()
            received += _size(message)
            if message["type"] == "websocket.disconnect":
                code = message["code"]
            return message

        async def sending(message: Message) -> None:
            nonlocal status, code, sent
            if message["type"] == "websocket.accept":
                status = 101
            status = message.get("status", status)
            code = message["code"] if message["type"] == "websocket.close" else code
            sent += _size(message)
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, receiving, sending)
        except Refusal as refusal:
            await refused(refusal)(scope, receiving, sending)
        except Exception:
            log.exception("a fault of nicebeach: please report it")
        finally:
            self._tell(scope, started, status, received, sent, code=code)

    def _tell(self, scope: Message, started: float, status: int, received: int, sent: int, **more: object) -> None:
        """Count a request, and log it."""
        asked = scope.get("method", "GET")
        method = asked if asked in METHODS else "other"
        self._metrics.requests.labels(_route(scope), method, status).inc()
        self._metrics.uploaded.inc(received)
        fields = {
            "client": (scope["client"] or [None])[0],
            "method": asked[:SHOWN],
            "path": scope["path"][:SHOWN],
            "status": status,
            "seconds": round(time.monotonic() - started, 3),
            "received": received,
            "sent": sent,
            **more,
        }
        log.info("request", extra={"fields": fields})

    def _limit(self, scope: Message) -> int:
        return OTHERS + (self._bounds.upload if scope["path"] == self._recordings else 0)

    def _check(self, scope: Message) -> None:
        """Raises Refusal for who has no key, or should not have had it sent."""
        is_open = scope["type"] == "http" and scope["path"] == OPEN
        if not is_open and not self._keys.open(scope):
            raise Refusal(401, "a key is needed: send it as Authorization: Bearer KEY", code="invalid_api_key")
        self._origins.check(scope)

    def hold(self, count: int) -> None:
        """Take note of bytes that are kept. Raises Refusal if there is no room for them."""
        self._held += count
        if self._held > self._bounds.all_uploads:
            raise Refusal(429, "too many recordings are being sent: try again later", wait=5)

    @property
    def patience(self) -> float:
        return self._bounds.patience


class Body:
    """The body of a request, bounded in size and time."""

    def __init__(self, door: Door, scope: Message, receive: Receive, limit: int) -> None:
        self.bytes = 0
        self._door, self._scope, self._receive, self._limit = door, scope, receive, limit
        self._begun = time.monotonic()
        self._over = False  # was all of it received, or shall no more be?

    def check_claim(self) -> None:
        """Raises Refusal if the header says that it is too large."""
        if int(header(self._scope, b"content-length") or 0) > self._limit:
            raise self._too_large()

    async def receive(self) -> Message:
        """The next message; of a body that is over, that the client went."""
        if self._over:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._door.patience)
        except TimeoutError:
            raise self._too_slow() from None
        self._over = not message.get("more_body", False)
        self.bytes += (count := len(message.get("body", b"")))
        self._door.hold(count)
        if self.bytes > self._limit:
            raise self._too_large()
        late = time.monotonic() - self._begun - PATIENCES * self._door.patience
        if not self._over and self.bytes < late * SLOWEST:
            raise self._too_slow()
        return message

    async def discard(self) -> None:
        """Read what is still on its way, and forget it: who closes before resets the connection, answer and all."""
        if self._over or header(self._scope, b"expect"):  # such a client waits for a word before it sends anything
            return
        self._over = True
        try:
            async with asyncio.timeout(LINGER):
                while (await self._receive()).get("more_body"):
                    pass
        except TimeoutError:
            pass

    def _too_large(self) -> Refusal:
        return Refusal(413, f"more than {self._limit / MEGABYTE:g} MB: send less at once", code="too_large")

    def _too_slow(self) -> Refusal:
        self._over = True
        return Refusal(408, "the request came too slowly: send it again")


def subprotocol(scope: Message) -> str | None:
    """What a WebSocket's client speaks, of what it names: the first that is no key."""
    return next((name for name in scope["subprotocols"] if not name.startswith(KEY_PROTOCOL)), None)


def _shown(scope: Message) -> bytes:
    """The key of a request."""
    authorization = header(scope, b"authorization")
    if scope["type"] == "http":
        return _bearer(authorization) or _password(authorization)
    # Browsers send passwords along by themselves, also with WebSockets that pages from elsewhere open.
    named = (name for name in scope["subprotocols"] if name.startswith(KEY_PROTOCOL))
    return _bearer(authorization) or next(named, "").removeprefix(KEY_PROTOCOL).encode()


def _bearer(authorization: bytes) -> bytes:
    kind, _, value = authorization.partition(b" ")
    return value.strip() if kind.lower() == b"bearer" else b""


def _password(authorization: bytes) -> bytes:
    """Of a user of any name, as browsers ask for it."""
    kind, _, value = authorization.partition(b" ")
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2] if kind.lower() == b"basic" else b""
    except binascii.Error:
        return b""


def _route(scope: Message) -> str:
    return getattr(scope.get("route"), "path", "none")


def _size(message: Message) -> int:
    """Of what a WebSocket's message has, bytes or characters."""
    return len(message.get("bytes") or message.get("text") or b"")


def refused(refusal: Refusal) -> Response:
    """The response that tells it."""
    response = JSONResponse(refusal.body, refusal.status)
    if refusal.wait:
        response.headers["retry-after"] = str(refusal.wait)
    for way in ('Basic realm="nicebeach"', "Bearer") if refusal.status == 401 else ():  # browsers want a line each
        response.headers.append("www-authenticate", way)
    return response


class JsonLines(logging.Formatter):
    """A log line as an object: time, level, message, what else is known, and a fault's traceback."""

    def format(self, record: logging.LogRecord) -> str:
        item = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            item["trace"] = self.formatException(record.exc_info)
        return json.dumps(item)
