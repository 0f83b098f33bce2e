"""Live streams over WebSockets: how many fit, and the way of each to a process of its own and back."""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect
from prometheus_client import Counter, Gauge, Histogram

from asr.server import realtime
from asr.server.door import Metrics, refused, subprotocol
from asr.server.office import Job, Office
from asr.server.refusal import Refusal
from asr.server.tasks import Part, Stream, Told

LANE = "live"
FULL = 0.5  # of the processors may be taken; the rest is for utterances that end at the same time
SHARE = 0.065  # of a processor that a stream takes, until it is measured
KNOWN, LEARNED = 60.0, 1200.0  # seconds of sound for which that counts, and of which half is forgotten then
IDLE = 60.0  # seconds in which a client may send nothing, once it has begun
AHEAD = 2_000_000  # bytes that are read before it is their turn
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
        client = Client(socket)
        try:
            await client.accept()
            try:
                code, reason = await self._talk(client, job)
            except Refusal as refusal:
                if task.protocol == "realtime":
                    await client.send(realtime.fault(refusal))
                code = LATER if refusal.status in (429, 503) else WRONG if refusal.status < 500 else FAULT
                reason = refusal.message
            await client.close(code, reason)
        except (WebSocketDisconnect, TimeoutError):  # it is gone, or doesn't read
            pass
        finally:
            client.forget()
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

    async def _talk(self, client: "Client", job: Job) -> tuple[int, str]:
        """Until it ends; the code and the reason of the close frame. Raises Refusal, WebSocketDisconnect."""
        told = await self._told(client, job)
        patience, code, reason = self._patience, NORMAL, ""
        while True:
            for text in told.messages:
                await client.send(text)
            if told.over:
                return code, reason
            try:
                # A death first, then the server's end, then what came.
                message = await client.first(job.events.get(), self._ending.wait(), client.receive(), patience=patience)
            except TimeoutError:
                raise Refusal(408, f"nothing came for {patience:g} s: begin again") from None
            if isinstance(message, Refusal):
                raise message
            if message is True:
                message, code, reason = None, RESTART, "the server ends"
            started, patience = time.monotonic(), IDLE
            for part in _parts(message):
                self._office.send(job, part)
                told = await self._told(client, job)
            self._seconds.observe(time.monotonic() - started)

    async def _told(self, client: "Client", job: Job) -> Told:
        """What the process answers to a part."""
        told = await client.first(job.events.get())
        if isinstance(told, Refusal):
            raise told
        assert isinstance(told, Told)
        self._heard.inc(told.sound)
        self._sound += told.sound
        self._busy += told.busy
        if self._sound > LEARNED:
            self._sound, self._busy = self._sound / 2, self._busy / 2
        return told


class Client:
    """The other side. It is read ahead, so that its pings are answered, and it is missed when it goes.

    Its methods raise WebSocketDisconnect then, and TimeoutError if nobody takes what is sent.
    """

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._inbox: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._held = 0  # bytes or characters in it
        self._taken = asyncio.Event()
        self._here: asyncio.Task[None] | None = None

    async def accept(self) -> None:
        await self._socket.accept(subprotocol(self._socket.scope))
        self._here = asyncio.create_task(self._read())

    async def _read(self) -> None:
        """Until it is gone."""
        while (message := await self._socket.receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            content: str | bytes = message["bytes"] if text is None else text
            self._held += len(content)
            self._inbox.put_nowait(content)
            while self._held > AHEAD:
                self._taken.clear()
                await self._taken.wait()

    async def receive(self) -> str | bytes:
        """Its next message."""
        content = await self._inbox.get()
        self._held -= len(content)
        self._taken.set()
        return content

    async def send(self, text: str) -> None:
        async with asyncio.timeout(IDLE):
            await self._socket.send_text(text)

    async def close(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason.encode()[:REASON].decode(errors="ignore"))

    async def first(self, *awaited: Coroutine[Any, Any, Any], patience: float | None = None) -> Any:
        """What is there first, or of several the first. Raises TimeoutError if there is nothing for so long."""
        assert self._here
        futures = [asyncio.ensure_future(one) for one in awaited]
        try:
            await asyncio.wait({self._here, *futures}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for future in futures:
                if future.done():
                    return future.result()
            if self._here.done():
                raise WebSocketDisconnect
            raise TimeoutError
        finally:
            for future in futures:
                future.cancel()

    def forget(self) -> None:
        """Read no more."""
        if self._here:
            self._here.cancel()


def _parts(message: str | bytes | None) -> Iterator[Part]:
    """A message, divided so that each part fits in a pipe."""
    if message is None:
        yield Part(None)
        return
    size = PART if isinstance(message, bytes) else PART // 3
    for start in range(0, max(1, len(message)), size):
        yield Part(message[start : start + size], start + size >= len(message))
