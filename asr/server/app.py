"""The routes: OpenAI's transcription, language models, and how the server is."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, Response
from msgspec import Meta, Struct
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from asr.server import openai, realtime
from asr.server.door import GONE, Keys, Metrics, refused
from asr.server.live import Streams
from asr.server.office import Office
from asr.server.refusal import Refusal
from asr.server.tasks import Answer, Ask, Hear, Stream
from lm.front import version

TRANSCRIPTIONS = "/v1/audio/transcriptions"
PAGE = (
    ("/", "page.html", "text/html; charset=utf-8"),
    ("/page.css", "page.css", "text/css; charset=utf-8"),
    ("/page.js", "page.js", "text/javascript; charset=utf-8"),
    ("/microphone.js", "microphone.js", "text/javascript; charset=utf-8"),
)
# The page loads nothing from elsewhere, nor stands in others' frames.
POLICY = (
    "default-src 'self'; img-src data:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {"content-security-policy": POLICY, "x-content-type-options": "nosniff", "cache-control": "no-cache"}
REFERENCE = "#/components/schemas/{name}"  # of OpenAPI
SETTLED = 16_000  # bytes of a session that is kept with a key
FIELDS = {"max_files": 1, "max_fields": 512, "max_part_size": 64 * 1024}  # of a form

Body = TypeVar("Body", bound=Struct)
Text = Annotated[str, Meta(max_length=10_000)]
Model = Literal["ngram", "lstm", "mixture"]


class Next(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What `lm next` is asked."""

    text: Text
    word: Text | None = None
    model: Model | None = None
    top: Annotated[int, Meta(ge=1)] | None = None
    min_probability: Annotated[float, Meta(ge=0, le=1)] | None = None


class Expiry(Struct, forbid_unknown_fields=True):
    """When a client secret expires."""

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Meta(ge=10, le=7200)] = 600


class Secret(Struct, forbid_unknown_fields=True):
    """What a client secret is asked with."""

    expires_after: Expiry = msgspec.field(default_factory=Expiry)
    session: realtime.Session = realtime.Session()


class Score(Struct, forbid_unknown_fields=True):
    """What `lm score` is asked."""

    texts: Annotated[list[Text], Meta(min_length=1, max_length=100)]
    model: Model = "mixture"


class Compare(Struct, forbid_unknown_fields=True):
    """What `lm compare` is asked."""

    texts: Annotated[list[Text], Meta(min_length=2, max_length=100)]
    model: Model = "mixture"


def make(office: Office, streams: Streams, keys: Keys, metrics: Metrics, created: int) -> FastAPI:
    """The app. created: when the model was made, in seconds since 1970."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        office.attend()
        yield

    # FastAPI's own pages of documentation load scripts from elsewhere.
    app = FastAPI(title="nicebeach", version=version(), lifespan=lifespan, docs_url=None, redoc_url=None)
    _watch(office, metrics)

    @app.exception_handler(Refusal)
    async def refuse(_: Request, refusal: Refusal) -> Response:
        return refused(refusal)

    @app.exception_handler(HTTPException)
    async def failed(request: Request, error: HTTPException) -> Response:
        problem = str(error.detail)
        if error.status_code in (404, 405):
            problem = f"{request.method} {request.url.path}"[:100] + ": there is no such route: see /openapi.json"
        return refused(Refusal(error.status_code, problem))

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=GONE)

    @app.exception_handler(Exception)
    async def fault(_: Request, error: Exception) -> Response:
        return refused(Refusal(500, "a fault of nicebeach, which its log tells: please report it", code="fault"))

    for path, name, media in PAGE:
        app.add_api_route(path, _file(name, media), include_in_schema=False)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Is the server there?"""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> Response:
        """Are the models read, so that work would begin at once or soon?"""
        if not office.open:
            raise Refusal(503, "the models are being read: try again soon", wait=2)
        return JSONResponse({"status": "ready"})

    @app.get("/metrics")
    async def tell() -> Response:
        """For Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    def described() -> dict[str, Any]:
        return {"id": openai.MODEL, "object": "model", "created": created, "owned_by": "nicebeach"}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The model there is."""
        return {"object": "list", "data": [described()]}

    @app.get("/v1/models/{name}")
    async def model(name: str) -> dict[str, Any]:
        """The same by its name."""
        openai.check_model(name)
        return described()

    @app.post(TRANSCRIPTIONS, openapi_extra=_form())
    async def transcriptions(request: Request) -> Response:
        """A recording to words, as OpenAI's: see docs/server.md."""
        office.refuse_if_full("speech")
        async with AsyncExitStack() as stack:
            try:
                form = await request.form(**FIELDS)
                stack.push_async_callback(form.close)
                file = form.get("file")
                path = on_disk(file) if isinstance(file, UploadFile) else None
            except OSError as error:
                raise Refusal(507, f"no room for the recording ({error.strerror}): try again later") from None
            if path is None:
                raise Refusal(400, "file: is missing: send a recording", "file", "missing_required_parameter")
            want = openai.wanted((name, value) for name, value in form.multi_items() if isinstance(value, str))
            work = stack.enter_context(Work(request, office, "speech", Hear(path, want)))
            first = await work.next()  # what is no recording, say, has a status of its own
            if want.stream:
                return Events(work, first, stack.pop_all(), metrics)
        assert isinstance(first, Answer)
        metrics.audio.inc(first.seconds)
        return Response(first.body, media_type=first.media)

    async def asked(request: Request, question: Literal["next", "score"], body: Struct) -> Response:
        arguments = msgspec.to_builtins(body)
        with Work(request, office, "text", Ask(question, arguments)) as work:
            answer = await work.next()
        assert isinstance(answer, Answer)
        return Response(answer.body, media_type=answer.media)

    @app.post("/v1/lm/next", openapi_extra=_json(Next))
    async def next_(request: Request) -> Response:
        """What `lm next --json` prints."""
        return await asked(request, "next", await _read(request, Next))

    @app.post("/v1/lm/score", openapi_extra=_json(Score))
    async def score(request: Request) -> Response:
        """What `lm score --json` prints."""
        return await asked(request, "score", await _read(request, Score))

    @app.post("/v1/lm/compare", openapi_extra=_json(Compare))
    async def compare(request: Request) -> Response:
        """What `lm compare --json` prints."""
        return await asked(request, "score", await _read(request, Compare))

    @app.post("/v1/realtime/client_secrets", openapi_extra=_json(Secret))
    async def client_secrets(request: Request) -> dict[str, Any]:
        """A key for a while, with which a page may open live streams, as OpenAI's."""
        asked = await _read(request, Secret)
        if len(await request.body()) > SETTLED:
            raise Refusal(413, f"session: has more than {SETTLED} bytes: say the rest by session.update", "session")
        seconds, agreed = asked.expires_after.seconds, realtime.Agreed().changed(asked.session)
        value, expires = keys.lend(seconds, agreed), int(time.time()) + seconds
        return {"value": value, "expires_at": expires, "session": realtime.described(value, expires, agreed)}

    @app.websocket("/v1/realtime")
    async def live(socket: WebSocket) -> None:
        try:
            realtime.check_query(socket.query_params)
        except Refusal as refusal:
            await socket.send_denial_response(refused(refusal))
            return
        await streams.serve(socket, Stream("realtime", keys.agreed(socket.scope) or realtime.Agreed()))

    @app.websocket("/{path:path}")  # as Vosk's server, which looks at none
    async def vosk(socket: WebSocket, path: str) -> None:
        if path.startswith("v1/"):
            await socket.send_denial_response(refused(Refusal(404, "no such live stream: /v1/realtime, or /")))
            return
        await streams.serve(socket, Stream("vosk"))

    _complete(app.openapi())  # which is kept
    for route in app.routes:
        if isinstance(route, Route) and route.methods and "GET" in route.methods:
            route.methods.add("HEAD")
    return app


class Work:
    """A task that is done for a client, unless he goes before."""

    def __init__(self, request: Request, office: Office, lane: str, task: Hear | Ask) -> None:
        """Raises Refusal if too many wait."""
        self._office, self._job = office, office.submit(lane, task)
        self._gone = asyncio.ensure_future(_until_gone(request.receive))

    def __enter__(self) -> "Work":
        return self

    def __exit__(self, *_: object) -> None:
        self._gone.cancel()
        self._office.cancel(self._job)

    async def next(self) -> str | Answer:
        """What is reported, or the answer. Raises Refusal if there is none, ClientDisconnect if nobody waits for it."""
        event = asyncio.ensure_future(self._job.events.get())
        try:
            await asyncio.wait({event, self._gone}, return_when=asyncio.FIRST_COMPLETED)
            if not event.done():
                raise ClientDisconnect
        finally:
            event.cancel()
        outcome: str | Answer | Refusal = event.result()
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome


class Events(Response):
    """A transcript as server-sent events, as segments come."""

    def __init__(self, work: Work, first: str | Answer, stack: AsyncExitStack, metrics: Metrics) -> None:
        """stack: what is to be closed behind it."""
        super().__init__(media_type="text/event-stream", headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._work, self._event, self._stack, self._metrics = work, first, stack, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(text: str, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": more})

        async with self._stack:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            try:
                while isinstance(self._event, str):
                    await tell(f"data: {self._event}\n\n")
                    self._event = await self._work.next()
                await tell(f"data: {self._event.body}\n\n", more=False)
                self._metrics.audio.inc(self._event.seconds)
            except Refusal as refusal:
                await tell(f"event: error\ndata: {json.dumps(refusal.body)}\n\n", more=False)
            except ClientDisconnect:
                pass


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def on_disk(file: UploadFile) -> Path:
    """Under which name other processes can open what was sent; it has none in any folder, so nothing can be left."""
    held: SpooledTemporaryFile[bytes] = file.file  # type: ignore[assignment]
    held.rollover()
    held.flush()
    return Path(f"/proc/{os.getpid()}/fd/{held.fileno()}")


def _file(name: str, media: str) -> Callable[[], Awaitable[Response]]:
    """Answers with a file of the page."""
    content = (Path(__file__).parent / "page" / name).read_bytes()

    async def answer() -> Response:
        return Response(content, headers=PAGE_HEADERS, media_type=media)

    return answer


async def _read(request: Request, kind: type[Body]) -> Body:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"the body: {error}", code="invalid_json") from None


def _watch(office: Office, metrics: Metrics) -> None:
    """Have Prometheus told of the office's state."""
    waiting = Gauge("nicebeach_waiting", "Tasks that wait.", ("lane",), registry=metrics.registry)
    busy = Gauge("nicebeach_busy", "Tasks that are worked on.", ("lane",), registry=metrics.registry)
    for name in office.lanes:
        waiting.labels(name).set_function(partial(office.count_waiting, name))
        busy.labels(name).set_function(partial(office.count_busy, name))
    deaths = Gauge("nicebeach_deaths", "Workers that died at work.", registry=metrics.registry)
    deaths.set_function(lambda: office.deaths)


# --- For /openapi.json ------------------------------------------------------------------------------------


def _json(kind: type[Struct]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": REFERENCE.format(name=kind.__name__)}}}
    return {"requestBody": {"required": True, "content": content}}


def _complete(described: dict[str, Any]) -> None:
    """What FastAPI's description lacks: what is in bodies."""
    _, kinds = msgspec.json.schema_components([Next, Score, Compare, Secret], ref_template=REFERENCE)
    described.setdefault("components", {}).setdefault("schemas", {}).update(kinds)


def _form() -> dict[str, Any]:
    text, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
    fields = {
        "file": {"type": "string", "format": "binary"},
        "model": {"type": "string", "enum": [openai.MODEL]},
        "language": {"type": "string", "enum": ["en"]},
        "prompt": text | {"description": "Its rare words are listened for."},
        "keywords[]": texts | {"description": "Words and phrases that are listened for."},
        "response_format": {"type": "string", "enum": [*openai.FORMATS]},
        "timestamp_granularities[]": {"type": "array", "items": {"type": "string", "enum": ["word", "segment"]}},
        "stream": {"type": "boolean"},
        "include[]": {"type": "array", "items": {"type": "string", "enum": ["logprobs"]}},
    }
    schema = {"type": "object", "required": ["file", "model"], "properties": fields}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
