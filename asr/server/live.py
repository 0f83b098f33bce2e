"""Live streams over WebSockets: how many fit, and the way of each to a process of its own and back."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

from fastapi import WebSocket, WebSocketDisconnect
from prometheus_client import Counter, Gauge, Histogram

from asr.server import realtime
from asr.server.door import Message, Metrics, refused, subprotocol
from asr.server.office import Job, Office
from asr.server.refusal import Refusal
from asr.server.tasks import Part, Stream, Told

LANE = "live"
FULL = 0.875  # of the processors may be taken; the rest is for utterances that end at the same time
SHARE = 0.125  # of a processor that a stream takes, until it is measured
KNOWN, LEARNED = 60.0, 1200.0  # seconds of sound for which that counts, and of which half is forgotten then
IDLE = 60.0  # seconds in which a client may send nothing, once it has begun
PART = 48_000  # bytes, or a third as many characters, that fit in a pipe at once
REASON = 120  # bytes of a close frame's reason
NORMAL, WRONG, FAULT, RESTART, LATER = 1000, 1008, 1011, 1012, 1013  # codes of close frames
BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10)


class Streams:
    """All there are. A new one is refused where those that run would fall behind."""

    def __init__(self, office: Office, metrics: Metrics, cores: int, most: int | None, patience: float) -> None:
        """most: at once; None: as many as keep up with `cores` processors. patience: seconds until they begin."""
        self._office, self._cores, self._most, self._patience = office, cores, most, patience
        self._sound, self._busy = KNOWN, KNOWN * SHARE  # seconds heard, and what that took of a processor
        self._ending = asyncio.Event()
        registry = metrics.registry
        self._heard = Counter("nicebeach_live_audio_seconds", "Sound of streams that was heard.", registry=registry)
        self._refused = Counter("nicebeach_live_refused", "Streams for which there was no room.", registry=registry)
        text = "From a message of a stream to its answer."
        self._seconds = Histogram("nicebeach_live_reply_seconds", text, buckets=BUCKETS, registry=registry)
        most_ = Gauge("nicebeach_live_most", "Streams that fit.", registry=registry)
        most_.set_function(lambda: self.most)
        share = Gauge("nicebeach_live_share", "Of a processor that a stream takes.", registry=registry)
        share.set_function(lambda: self._busy / self._sound)

    @property
    def most(self) -> int:
        """How many fit."""
        return self._most or max(1, int(FULL * self._cores * self._sound / self._busy))

    @property
    def running(self) -> int:
        """How many there are."""
        return self._office.count_busy(LANE)

    def end(self) -> None:
        """Have all of them told what is left to say, and closed; no more begin."""
        self._ending.set()

    async def serve(self, socket: WebSocket, task: Stream) -> None:
        """A client's stream, from its request to its end."""
        try:
            job = self._begin(task)
        except Refusal as refusal:
            self._refused.inc()
            await socket.send_denial_response(refused(refusal))
            return
        try:
            await socket.accept(subprotocol(socket.scope))
            await self._close(socket, *await self._talk(socket, job))
        except Refusal as refusal:
            if task.protocol == "realtime":
                await socket.send_text(realtime.fault(refusal))
            code = LATER if refusal.status in (429, 503) else WRONG if refusal.status < 500 else FAULT
            await self._close(socket, code, refusal.message)
        except (WebSocketDisconnect, TimeoutError):  # it is gone, or doesn't read
            pass
        finally:
            self._office.cancel(job)

    def _begin(self, task: Stream) -> Job:
        """Raises Refusal if there is no room."""
        if self._ending.is_set() or not self._office.open:
            state = "the server ends" if self._ending.is_set() else "the models are being read"
            raise Refusal(503, f"{state}: try again soon", wait=2)
        if self.running >= self.most:
            problem = f"{self.running} live streams run, and no more fit: try again later"
            raise Refusal(429, problem, code="too_many_streams", wait=5)
        self._office.lanes[LANE].slots = self.most
        return self._office.submit(LANE, task)

    async def _talk(self, socket: WebSocket, job: Job) -> tuple[int, str]:
        """Until it ends; the code and the reason of the close frame. Raises Refusal, WebSocketDisconnect."""
        told = await self._told(job)
        patience, code, reason = self._patience, NORMAL, ""
        while True:
            for text in told.messages:
                async with asyncio.timeout(IDLE):
                    await socket.send_text(text)
            if told.over:
                return code, reason
            message = await self._next(socket, job, patience)
            patience = IDLE
            if message is None:
                code, reason = RESTART, "the server ends"
            started = time.monotonic()
            for part in _parts(message):
                self._office.send(job, part)
                told = await self._told(job)
            self._seconds.observe(time.monotonic() - started)

    async def _told(self, job: Job) -> Told:
        """What the process answers to a part."""
        told = await job.events.get()
        if isinstance(told, Refusal):
            raise told
        assert isinstance(told, Told)
        self._heard.inc(told.sound)
        self._sound += told.sound
        self._busy += told.busy
        if self._sound > LEARNED:
            self._sound, self._busy = self._sound / 2, self._busy / 2
        return told

    async def _next(self, socket: WebSocket, job: Job, patience: float) -> str | bytes | None:
        """The client's next message; None if the server ends. Raises Refusal if nothing comes, or the process dies."""
        message = asyncio.ensure_future(socket.receive())
        death = asyncio.ensure_future(job.events.get())
        ending = asyncio.ensure_future(self._ending.wait())
        awaited = {message, death, ending}
        try:
            await asyncio.wait(awaited, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if death.done():
                raise death.result()
            if message.done():
                return _content(message.result())
            if ending.done():
                return None
            raise Refusal(408, f"nothing came for {patience:g} s: begin again")
        finally:
            for future in awaited:
                future.cancel()

    async def _close(self, socket: WebSocket, code: int, reason: str) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            await socket.close(code, reason.encode()[:REASON].decode(errors="ignore"))


def _content(message: Message) -> str | bytes:
    """Of what came. Raises WebSocketDisconnect if that is the end."""
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    text = message.get("text")
    content: str | bytes = message["bytes"] if text is None else text
    return content


def _parts(message: str | bytes | None) -> Iterator[Part]:
    """A message, divided so that each part fits in a pipe."""
    if message is None:
        yield Part(None)
        return
    size = PART if isinstance(message, bytes) else PART // 3
    for start in range(0, max(1, len(message)), size):
        yield Part(message[start : start + size], start + size >= len(message))
