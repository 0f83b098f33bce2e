"""Live streams of `asr serve` as clients see them: Vosk's, OpenAI's, and those that behave badly."""

import asyncio
import base64
import json
import os
import runpy
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.live.events import Event, Final, Partial
from asr.live.live import Endpointing
from asr.recognizer import Recognizer
from asr.server.realtime import Agreed, Realtime
from asr.transcript import Segment, Word
from asr.transcript.word import Style

client = pytest.importorskip("websockets.sync.client", reason="no websockets: the extra server is not installed")
exceptions = pytest.importorskip("websockets.exceptions")

running = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("running.py"))))
KEY, until = running.KEY, running.until
DATA = Path(__file__).parents[2] / "data"
RUNNING = 'nicebeach_busy{lane="live"}'
RATE = 16_000
CHUNK = RATE // 5


@pytest.fixture(scope="module")
def recognizer(tiny_bundle: Path) -> Recognizer:
    return Recognizer(tiny_bundle)


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """int16, some seconds of speech."""
    return soundfile.read(DATA / "5789-70653-0013.flac", dtype="int16")[0]


@pytest.fixture
def unused(server: Any) -> Iterator[None]:
    """No stream runs before a test, nor after it."""
    until(lambda: server.metric(RUNNING) == 0)
    yield
    until(lambda: server.metric(RUNNING) == 0)


def connect(server: Any, path: str = "/", key: str | None = KEY, **options: Any) -> Any:
    """A WebSocket, with the key unless another is given, or None."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    headers |= options.pop("additional_headers", {})
    return client.connect(f"ws://{server.host}:{server.port}{path}", additional_headers=headers, **options)


def chunks(samples: np.ndarray) -> list[bytes]:
    """Of 0.2 s, as Vosk's clients send them."""
    return [samples[start : start + CHUNK].tobytes() for start in range(0, len(samples), CHUNK)]


def heard(recognizer: Recognizer, samples: np.ndarray, **options: Any) -> list[list[Event]]:
    """What a stream tells after each chunk, and at its end."""
    live = recognizer.live(RATE, **options)
    events = [live.accept(samples[start : start + CHUNK]) for start in range(0, len(samples), CHUNK)]
    return [*events, live.finish()]


def finals(events: Sequence[Sequence[Event]]) -> list[Final]:
    return [event for some in events for event in some if isinstance(event, Final) and event.segment.words]


# --- Vosk -------------------------------------------------------------------------------------------------


def spoken(socket: Any, samples: np.ndarray, **config: Any) -> list[Any]:
    """The answers to settings, chunks and the end, each awaited, as by test.py of Vosk's server."""
    socket.send(json.dumps({"config": {"sample_rate": RATE, **config}}))
    answers = []
    for message in (*chunks(samples), '{"eof" : 1}'):
        socket.send(message)
        answers.append(json.loads(socket.recv(60)))
    with pytest.raises(exceptions.ConnectionClosedOK):
        socket.recv(60)
    return answers


@pytest.mark.usefixtures("unused")
def test_vosk(server: Any, recognizer: Recognizer, samples: np.ndarray) -> None:
    """Partials while an utterance goes on, its words when it has ended."""
    with connect(server) as socket:
        answers = spoken(socket, samples)
    partial, results = "", []
    for events, answer in zip(heard(recognizer, samples, style=Style.plain), answers, strict=True):
        for event in events:
            partial = event.text.lower() if isinstance(event, Partial) else ""
        if any(isinstance(event, Final) and event.segment.words for event in events):
            results.append(answer)
            assert answer["text"] == " ".join(word["word"] for word in answer["result"])
        elif answer is not answers[-1]:
            assert answer == {"partial": partial}
    expected = finals(heard(recognizer, samples, style=Style.plain))
    assert [result["text"] for result in results] == [final.text.lower() for final in expected]
    said = [word for result in results for word in result["result"]]
    assert said == [
        {"conf": word.confidence, "end": word.end, "start": word.start, "word": word.word.lower()}
        for final in expected
        for word in final.segment.words
    ]
    assert said


@pytest.mark.usefixtures("unused")
def test_vosk_settings(server: Any, recognizer: Recognizer, samples: np.ndarray) -> None:
    samples = samples[: 2 * RATE]
    with connect(server, "/any/path") as socket:
        answers = spoken(socket, samples, words=0, sample_rate=str(RATE))
    assert "result" not in answers[-1]
    with connect(server) as socket:
        socket.send(json.dumps({"config": {"words": False, "phrase_list": None}}))
        assert spoken(socket, samples) == answers  # which sets the rate alone
    with connect(server) as socket:
        *_, last = spoken(socket, samples, max_alternatives=3)
    (expected,) = finals(heard(recognizer, samples, nbest=3))
    alternatives = last["alternatives"]
    assert [item["text"] for item in alternatives] == [one.text.lower() for one in expected.segment.nbest]
    assert alternatives[0]["confidence"] == max(item["confidence"] for item in alternatives)
    assert [word["word"] for word in alternatives[0]["result"]] == alternatives[0]["text"].split()
    phrases = ["the man", "a", "[unk]", "日本"]
    with connect(server) as socket:
        *_, last = spoken(socket, samples, phrase_list=phrases)
    grammar, endpointing = recognizer.with_grammar(phrases[:2]), Endpointing(likely=0.0)
    found = finals(heard(grammar, samples, endpointing=endpointing, style=Style.plain))
    assert last["text"] == (found[-1].text.lower() if found else "")
    with connect(server) as socket:  # at 8000 Hz, as Vosk's server has it otherwise, and divided anywhere
        for half in (bytes(8001), bytes(7999)):
            socket.send(half)
            assert json.loads(socket.recv(60)) == {"partial": ""}
    before = server.metric("nicebeach_live_audio_seconds_total")
    with connect(server) as socket:
        socket.send(bytes(16_000))
        socket.send('{"eof": 1}')
        assert [json.loads(text) for text in socket] == [{"partial": ""}, {"text": ""}]
    assert server.metric("nicebeach_live_audio_seconds_total") == pytest.approx(before + 1)


@pytest.mark.usefixtures("unused")
@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        (["hello"], "JSON"),
        (["[]"], "object"),
        (["[" * 100_000], "send config"),
        (['{"config": {"partial_words": true}}'], "partial_words"),
        (['{"config": {"max_alternatives": -1}}'], "max_alternatives"),
        (['{"config": {"sample_rate": 10}}', b"xx"], "10 Hz"),
        (['{"config": {"sample_rate": 0}}', b"xx"], "sample_rate"),
        (['{"config": {"phrase_list": ["[unk]", "日本"]}}', b"xx"], "phrase"),
        (['{"config": {"style": "readable", "max_alternatives": 2}}', b"xx"], "max_alternatives"),
        ([b"xx", '{"config": {"words": true}}'], "send it first"),
    ],
)
def test_vosk_refuses_by_name(server: Any, messages: Sequence[str | bytes], problem: str) -> None:
    with connect(server) as socket:
        for message in messages:
            socket.send(message)
        with pytest.raises(exceptions.ConnectionClosedError):
            list(socket)
    assert socket.close_code == 1008
    assert problem in socket.close_reason


# --- OpenAI -----------------------------------------------------------------------------------------------


def realtime(server: Any, talk: Callable[[Any], Any], **query: str) -> None:
    """Have a connection of the official package talked over."""
    openai = pytest.importorskip("openai", reason="no openai: its package is the client")

    async def run() -> None:
        made = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)
        async with made, made.realtime.connect(extra_query=query) as connection:
            created = await connection.recv()
            assert (created.type, created.session.type) == ("session.created", "transcription")
            await talk(connection)

    asyncio.run(asyncio.wait_for(run(), 60))


async def append(connection: Any, samples: np.ndarray) -> None:
    for chunk in chunks(samples):
        await connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())


async def events_to(connection: Any, last: str) -> list[Any]:
    """What comes up to an event of that type, which ends so."""
    events = []
    async for event in connection:
        events.append(event)
        if event.type.endswith(last):
            return events
    raise AssertionError("it never came")


def audio(rate: int = RATE, **more: Any) -> dict[str, Any]:
    """Settings of a session."""
    return {"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcm", "rate": rate}, **more}}}


ITEM = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.completed",
]


@pytest.mark.usefixtures("unused")
def test_openai_turns(server: Any, recognizer: Recognizer, samples: np.ndarray) -> None:
    """With turn detection an utterance is an item: begun, told by deltas, ended, committed, completed."""
    rule = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 600}
    (final,) = finals(heard(recognizer, samples, endpointing=Endpointing(silence=0.6, sentence=0.6)))

    async def talk(connection: Any) -> None:
        include = ["item.input_audio_transcription.logprobs"]
        await connection.session.update(session={**audio(turn_detection=rule), "include": include})
        updated = (await events_to(connection, "session.updated"))[-1]
        assert updated.session.audio.input.format.rate == RATE
        assert updated.session.audio.input.turn_detection.silence_duration_ms == 600
        await append(connection, samples)
        await connection.input_audio_buffer.commit()  # for these models hear no pause
        events = await events_to(connection, "transcription.completed")
        assert [event.type for event in events if not event.type.endswith(".delta")] == ITEM
        (item,) = {event.item_id for event in events if hasattr(event, "item_id")}
        by_kind = {event.type.split(".")[-1]: event for event in events}
        assert by_kind["speech_stopped"].audio_end_ms == round(1000 * final.segment.words[-1].end)
        assert by_kind["added"].item.id == by_kind["done"].item.id == item
        assert by_kind["completed"].transcript == final.text
        assert "".join(token.token for token in by_kind["completed"].logprobs) == final.text

    realtime(server, talk, intent="transcription", model="nicebeach")


class Scripted:
    """A recogniser whose streams tell what is written, a list of events a chunk."""

    def __init__(self, *script: list[Event]) -> None:
        self.script = [*script]

    def live(self, rate: int, **_: Any) -> "Scripted":
        return self

    def accept(self, _: np.ndarray) -> list[Event]:
        return self.script.pop(0)

    def finish(self) -> list[Event]:
        return self.accept(np.zeros(0))


def words(text: str, start: float = 0.0) -> list[Word]:
    """A second each."""
    return [Word(word, start + place, start + place + 1, 0.5) for place, word in enumerate(text.split())]


def final(text: str, start: float, end: float) -> Final:
    return Final(Segment(start, end, words(text, start), []))


def test_openai_deltas_are_what_stays() -> None:
    """Unless the Final has other words. An item whose Final has none is empty; noise that none was shown of is none."""
    script: list[list[Event]] = [
        [Partial(words("A"), 0)],
        [Partial(words("A B C"), 2)],
        [Partial(words("A B C D"), 3), final("A B C D", 0, 4), Partial(words("E", 4), 1)],
        [final("F", 4, 5), final("", 5, 6), Partial(words("G", 6), 0), final("", 6, 7)],
        [final("H I", 7, 9)],
    ]
    protocol = Realtime(lambda *_: Scripted(*script), Agreed())  # type: ignore[arg-type, return-value]
    append = json.dumps({"type": "input_audio_buffer.append", "audio": ""})
    told = [[json.loads(event) for event in protocol.accept(append)] for _ in script[:-1]]
    told.append([json.loads(event) for event in protocol.end()])
    assert protocol.over

    def brief(event: dict[str, Any]) -> Any:
        return event.get("delta") or event.get("transcript") or event["type"].split(".")[-1]

    shown = [[brief(event) for event in events if event["type"] != ITEM[4]] for events in told]
    ended = ["speech_stopped", "committed", "added"]
    assert shown == [
        ["speech_started"],
        ["A B"],
        [" C", " D", *ended, "A B C D", "speech_started", "E"],
        [*ended, "F", "speech_started", *ended, "completed"],
        ["speech_started", "H I", *ended, "H I"],
    ]
    events = [event for some in told for event in some]
    assert [event["audio_start_ms"] for event in events if "audio_start_ms" in event] == [0, 4000, 6000, 7000]
    assert [event["audio_end_ms"] for event in events if "audio_end_ms" in event] == [4000, 5000, 7000, 9000]
    committed = [event for event in events if event["type"] == ITEM[2]]
    assert [event["previous_item_id"] for event in committed] == [None, *(one["item_id"] for one in committed[:-1])]


@pytest.mark.usefixtures("unused")
def test_openai_commits(server: Any, recognizer: Recognizer, samples: np.ndarray) -> None:
    """Without turn detection the client says what is an item; deltas, joined, are it, or its beginning."""
    text = " ".join(final.text for final in finals(heard(recognizer, samples)))

    async def talk(connection: Any) -> None:
        await connection.session.update(session=audio(turn_detection=None))
        await events_to(connection, "session.updated")
        for _ in range(2):
            await append(connection, samples)
            await connection.input_audio_buffer.commit()
            events = await events_to(connection, "transcription.completed")
            assert not [event for event in events if "speech" in event.type]
            deltas = [event for event in events if event.type.endswith(".delta")]
            assert events[-1].transcript == text
            assert {event.item_id for event in deltas} <= {events[-1].item_id}
            assert events[-1].usage.seconds == pytest.approx(len(samples) / RATE, abs=0.2)
        await connection.input_audio_buffer.commit()
        assert (await events_to(connection, "error"))[-1].error.code == "input_audio_buffer_commit_empty"
        await append(connection, samples)
        await connection.input_audio_buffer.clear()
        await events_to(connection, "cleared")
        await connection.input_audio_buffer.commit()
        await events_to(connection, "error")

    realtime(server, talk)


@pytest.mark.usefixtures("unused")
def test_openai_listens_for_words_and_on_the_telephone(
    server: Any, recognizer: Recognizer, samples: np.ndarray
) -> None:
    import io

    buffer = io.BytesIO()
    soundfile.write(buffer, samples[::2], 8000, format="RAW", subtype="ULAW")
    telephone = soundfile.read(
        io.BytesIO(buffer.getvalue()), format="RAW", subtype="ULAW", samplerate=8000, channels=1, dtype="int16"
    )[0]
    live = recognizer.with_hot_words({"Kubernetes": 4.0}).live(8000)
    text = " ".join(final.text for final in finals([live.accept(telephone), live.finish()]))

    async def talk(connection: Any) -> None:
        transcription = {"model": "nicebeach", "language": "en", "prompt": "The Kubernetes."}
        session = audio(turn_detection=None, transcription=transcription)
        session["audio"]["input"]["format"] = {"type": "audio/pcmu"}
        await connection.session.update(session=session)
        await connection.input_audio_buffer.append(audio=base64.b64encode(buffer.getvalue()).decode())
        await connection.input_audio_buffer.commit()
        assert (await events_to(connection, "transcription.completed"))[-1].transcript == text

    realtime(server, talk)


@pytest.mark.usefixtures("unused")
def test_openai_errors(server: Any, samples: np.ndarray) -> None:
    """Told by the name of what is wrong and of the event that asked it; the session goes on."""
    wrong: list[tuple[Any, str]] = [
        ("no JSON", "JSON"),
        ("null", "object"),
        ({"type": "response.create"}, "response.create"),
        ({"type": "input_audio_buffer.append", "audio": "é"}, "base64"),
        ({"type": "input_audio_buffer.append"}, "audio"),
        ({"type": "session.update", "session": {"type": "realtime"}}, "realtime"),
        ({"type": "session.update", "session": audio(noise_reduction={"type": "near_field"})}, "noise_reduction"),
        ({"type": "session.update", "session": audio(transcription={"model": "whisper-1"})}, "whisper-1"),
        ({"type": "session.update", "session": audio(transcription={"language": "fr"})}, "fr"),
        ({"type": "session.update", "session": audio(transcription={"delay": "low"})}, "delay"),
        ({"type": "session.update", "session": audio(transcription={"keywords": ["!!!"]})}, "keywords"),
        ({"type": "session.update", "session": audio(turn_detection={"type": "server_vad", "threshold": 0.9})}, "0.5"),
        (
            {"type": "session.update", "session": audio(turn_detection={"type": "semantic_vad", "eagerness": 1})},
            "eager",
        ),
        ({"type": "session.update", "session": audio(rate=10)}, "10 Hz"),
    ]
    with connect(server, "/v1/realtime") as socket:
        assert json.loads(socket.recv(60))["type"] == "session.created"
        for number, (event, problem) in enumerate(wrong):
            named = {**event, "event_id": f"mine {number}"} if isinstance(event, dict) else None
            socket.send(json.dumps(named) if named else event)
            answer = json.loads(socket.recv(60))
            assert answer["type"] == "error", event
            assert problem in answer["error"]["message"]
            assert answer["error"]["event_id"] == (named and named["event_id"])
        socket.send(json.dumps({"type": "session.update", "session": audio(turn_detection=None)}))
        session = json.loads(socket.recv(60))["session"]["audio"]["input"]
        assert (session["turn_detection"], session["transcription"]["model"]) == (None, "nicebeach")
    for query in ("model=whisper-1", "intent=conversation", "call_id=1"):
        with pytest.raises(exceptions.InvalidStatus) as error:
            connect(server, f"/v1/realtime?{query}")
        assert error.value.response.status_code in (400, 404)


# --- Keys -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unused")
def test_no_stream_without_a_key(server: Any) -> None:
    basic = "Basic " + base64.b64encode(f":{KEY}".encode()).decode()
    ways: list[dict[str, Any]] = [
        {"key": None},
        {"key": "wrong"},
        {"key": None, "additional_headers": {"Authorization": basic}},  # which browsers send for pages from elsewhere
        {"key": None, "subprotocols": ["realtime", "openai-insecure-api-key.wrong"]},
        {"key": None, "subprotocols": ["openai-insecure-api-key."]},
    ]
    for path in ("/", "/v1/realtime", "/v1/other", "/health"):
        for way in ways:
            with pytest.raises(exceptions.InvalidStatus) as error:
                connect(server, path, **way)
            assert error.value.response.status_code == 401


@pytest.mark.usefixtures("unused")
def test_browsers_borrow_a_key(server: Any) -> None:
    """For streams alone, as OpenAI's client secrets; and send it as a subprotocol, as they can't send headers."""
    openai = pytest.importorskip("openai", reason="no openai: its package is the client")
    owner = openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY)
    secret = owner.realtime.client_secrets.create(session={"type": "transcription"})
    assert secret.session.type == "transcription"
    for path in ("/", "/v1/realtime"):
        protocols = ["realtime", f"openai-insecure-api-key.{secret.value}"]
        with connect(server, path, key=None, subprotocols=protocols) as socket:
            assert socket.subprotocol == "realtime"
    with connect(server, key=secret.value):
        pass
    assert server.request("GET", "/v1/models", key=secret.value)[0] == 401
    with pytest.raises(exceptions.InvalidStatus) as error:
        connect(server, key=None, subprotocols=protocols, origin="https://elsewhere.example")
    assert error.value.response.status_code == 403
    assert server.request("POST", "/v1/realtime/client_secrets", b"{}", key=secret.value)[0] == 401


@pytest.mark.usefixtures("unused")
def test_a_borrowed_key_has_its_session_settled(server: Any) -> None:
    """As whoever lent it said; what isn't supported is refused by its name, then or when the session begins."""
    openai = pytest.importorskip("openai", reason="no openai: its package is the client")
    owner = openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)
    rule = {"type": "server_vad", "silence_duration_ms": 700}
    session = audio(24_000, turn_detection=rule, transcription={"model": "nicebeach", "prompt": "Kubernetes"})
    session["include"] = ["item.input_audio_transcription.logprobs"]
    secret = owner.realtime.client_secrets.create(session=session)
    assert secret.session.audio.input.turn_detection.silence_duration_ms == 700
    with connect(server, "/v1/realtime", key=secret.value) as socket:
        begun = json.loads(socket.recv(60))["session"]
        assert begun["audio"] == secret.session.audio.to_dict()
        assert begun["include"] == session["include"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"type": "realtime"}, "realtime"),
        ({"type": "transcription", "audio": {"output": {}}}, "output"),
        (audio(rate=10), "10 Hz"),
        (audio(noise_reduction={"type": "near_field"}), "noise_reduction"),
        (audio(transcription={"model": "whisper-1"}), "whisper-1"),
        (audio(transcription={"delay": "low"}), "delay"),
    ]
    for session, problem in wrong:
        with pytest.raises(openai.APIStatusError, match=problem):
            owner.realtime.client_secrets.create(session=session)
    long = [f"word {number}" for number in range(200)] + ["x" * 9000] * 2
    with pytest.raises(openai.APIStatusError, match="16000 bytes"):
        owner.realtime.client_secrets.create(session=audio(transcription={"keywords": long[2:]}))
    unheard = owner.realtime.client_secrets.create(session=audio(transcription={"keywords": ["!!!"]}))
    with connect(server, "/v1/realtime", key=unheard.value) as socket:
        assert "keywords" in json.loads(socket.recv(60))["error"]["message"]
        with pytest.raises(exceptions.ConnectionClosedError):
            socket.recv(60)


# --- Bounds and ends --------------------------------------------------------------------------------------


@contextmanager
def many(server: Any, count: int) -> Iterator[list[Any]]:
    """So many streams, which are heard."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(connect(server)) for _ in range(count)]
        for socket in sockets:
            socket.send(bytes(CHUNK))
            socket.recv(60)
        yield sockets


@pytest.mark.usefixtures("unused")
def test_who_finds_no_room_is_told_and_vanished_ones_make_some(server: Any) -> None:
    refused = server.metric("nicebeach_live_refused_total")
    assert server.metric("nicebeach_live_most") == 3
    with many(server, 3) as sockets:
        assert server.metric(RUNNING) == 3
        for path in ("/", "/v1/realtime"):
            with pytest.raises(exceptions.InvalidStatus) as error:
                connect(server, path)
            response = error.value.response
            assert (response.status_code, response.headers["retry-after"]) == (429, "5")
            assert json.loads(response.body)["error"]["code"] == "too_many_streams"
        assert server.metric("nicebeach_live_refused_total") == refused + 2
        sockets[0].socket.shutdown(2)  # without a word
        until(lambda: server.metric(RUNNING) == 2)
        with connect(server) as another:
            another.send('{"eof": 1}')
            assert json.loads(another.recv(60)) == {"text": ""}
    until(lambda: not server.streams())


@pytest.mark.usefixtures("unused")
def test_a_process_that_is_killed_costs_its_stream_alone(server: Any, samples: np.ndarray) -> None:
    deaths = server.metric("nicebeach_deaths")
    with connect(server) as first, connect(server, "/v1/realtime") as second:
        assert json.loads(second.recv(60))["type"] == "session.created"
        before = server.streams()
        with connect(server) as other:
            other.send(bytes(CHUNK))
            other.recv(60)
            (kept,) = set(server.streams()) - set(before)
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            with pytest.raises(exceptions.ConnectionClosedError) as error:
                first.recv(60)
            assert (error.value.rcvd.code, "died" in error.value.rcvd.reason) == (1011, True)
            assert json.loads(second.recv(60))["error"]["code"] == "worker_died"
            with pytest.raises(exceptions.ConnectionClosedError):
                second.recv(60)
            assert server.streams() == [kept]
            other.send(bytes(CHUNK))
            assert "partial" in json.loads(other.recv(60))
    assert server.metric("nicebeach_deaths") == deaths + 2
    with connect(server) as socket:
        spoken(socket, samples[:RATE])


@pytest.mark.usefixtures("unused")
def test_clients_that_say_nothing_or_too_much_are_closed(server: Any) -> None:
    with connect(server) as silent, connect(server, max_size=None) as loud:
        loud.send(bytes(1_100_000))
        with pytest.raises(exceptions.ConnectionClosedError) as error:
            loud.recv(60)
        assert error.value.rcvd.code == 1009
        with pytest.raises(exceptions.ConnectionClosedError) as error:
            silent.recv(60)
        assert (error.value.rcvd.code, "nothing came" in error.value.rcvd.reason) == (1008, True)


@pytest.mark.usefixtures("unused")
def test_what_no_pipe_holds_is_heard(server: Any) -> None:
    """Messages as long as may be, of both kinds; of clients that don't wait for answers, too."""
    sound = np.zeros(300_000, "<i2")
    with connect(server) as socket:
        socket.send(json.dumps({"config": {"sample_rate": 48_000}}))
        for _ in range(3):
            socket.send(sound.tobytes())
        socket.send('{"eof": 1}')
        *answers, last = [json.loads(text) for text in socket]
    assert (len(answers), "text" in last) == (3, True)
    with connect(server, "/v1/realtime") as socket:
        socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(sound).decode()}))
        socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
        kinds: list[str] = []
        while ITEM[-1] not in kinds:
            kinds.append(json.loads(socket.recv(60))["type"])
        assert "input_audio_buffer.committed" in kinds
