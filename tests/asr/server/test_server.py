"""`asr serve` as its clients see it: OpenAI's, curl, and those that behave badly."""

import base64
import json
import os
import random
import re
import runpy
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.recognizer import Recognizer
from asr.transcript import Transcript

running = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("running.py"))))
KEY, TRANSCRIPTIONS, form, until = running.KEY, running.TRANSCRIPTIONS, running.form, running.until

DATA = Path(__file__).parents[2] / "data"
TALK = DATA / "5789-70653-0013.flac"
WORKING = 'nicebeach_busy{lane="speech"}'
WAITING = 'nicebeach_waiting{lane="speech"}'
LIVE = 'nicebeach_busy{lane="live"}'


@pytest.fixture(scope="module")
def transcript(tiny_bundle: Path) -> Transcript:
    """What the model makes of TALK."""
    return Recognizer(tiny_bundle).transcribe(TALK)


@pytest.fixture(scope="module")
def long() -> bytes:
    """A recording of two minutes and a half, which is worked on for seconds."""
    import io

    samples, rate = soundfile.read(DATA / "1970-28415-0034.flac", dtype="float32")
    buffer = io.BytesIO()
    soundfile.write(buffer, np.tile(samples, 22), rate, format="flac")
    return buffer.getvalue()


@pytest.fixture
def client(server: Any) -> Any:
    openai = pytest.importorskip("openai", reason="no openai: its package is the client")
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)


# --- OpenAI's package -------------------------------------------------------------------------------------


def test_openai_formats(client: Any, transcript: Transcript) -> None:
    def create(**options: Any) -> Any:
        with TALK.open("rb") as file:
            return client.audio.transcriptions.create(file=file, model="nicebeach", **options)

    answer = create(language="en", temperature=0)
    assert (answer.text, answer.usage.type, answer.usage.seconds) == (transcript.text, "duration", 5)
    assert create(response_format="text") == f"{transcript.text}\n"
    assert create(response_format="srt") == transcript.to_srt()
    assert create(response_format="vtt") == transcript.to_vtt()
    answer = create(response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert [word.word for word in answer.words] == transcript.text.split()
    assert [(word.start, word.end) for word in answer.words] == [(word.start, word.end) for word in transcript.words]
    assert [segment.text for segment in answer.segments] == [segment.text for segment in transcript.segments]
    assert answer.duration == transcript.duration
    assert create(response_format="verbose_json", timestamp_granularities=["word"]).segments is None
    assert create(response_format="verbose_json").words is None
    answer = create(include=["logprobs"])
    assert "".join(item.token for item in answer.logprobs) == transcript.text
    assert all(item.logprob <= 0 and bytes(map(int, item.bytes)).decode() == item.token for item in answer.logprobs)


def test_openai_stream(client: Any, transcript: Transcript, long: bytes) -> None:
    *deltas, done = client.audio.transcriptions.create(file=TALK, model="nicebeach", stream=True)
    assert "".join(event.delta for event in deltas) == done.text == transcript.text
    *deltas, done = client.audio.transcriptions.create(file=("a.flac", long), model="nicebeach", stream=True)
    assert len(deltas) > 1
    assert "".join(event.delta for event in deltas) == done.text


def test_openai_hot_words(client: Any, tiny_bundle: Path) -> None:
    """Of a prompt, those words that are rare; and all keywords."""
    word = "Kubernetes"
    expected = Recognizer(tiny_bundle).with_hot_words({word: 4.0}).transcribe(TALK)
    for options in ({"prompt": f"The {word}."}, {"keywords": [word]}):
        assert client.audio.transcriptions.create(file=TALK, model="nicebeach", **options).text == expected.text


def test_openai_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["nicebeach"]
    assert client.models.retrieve("nicebeach").owned_by == "nicebeach"


@pytest.mark.parametrize(
    ("options", "status", "param", "code"),
    [
        ({"model": "whisper-1"}, 404, "model", "model_not_found"),
        ({"file": ("a.wav", b"no sound")}, 400, "file", "invalid_value"),
        ({"file": ("a.wav", b"no sound"), "stream": True}, 400, "file", "invalid_value"),
        ({"file": ("a.wav", b"")}, 400, "file", "invalid_value"),
        ({"language": "fr"}, 400, "language", "unsupported_value"),
        ({"temperature": 0.7}, 400, "temperature", "unsupported_value"),
        ({"response_format": "diarized_json"}, 400, "response_format", "unsupported_value"),
        ({"response_format": "srt", "stream": True}, 400, "stream", "invalid_value"),
        ({"timestamp_granularities": ["word"]}, 400, "timestamp_granularities", "invalid_value"),
        ({"include": ["logprobs"], "response_format": "text"}, 400, "include", "invalid_value"),
        ({"keywords": ["!!!"]}, 400, "keywords", "invalid_value"),
        ({"keywords": ["word"] * 201}, 400, "keywords", "invalid_value"),
        ({"known_speaker_names": ["Ann"]}, 400, "known_speaker_names", "unsupported_parameter"),
        ({"chunking_strategy": {"type": "server_vad"}}, 400, "chunking_strategy[type]", "unsupported_parameter"),
    ],
)
def test_openai_errors(client: Any, options: dict[str, Any], status: int, param: str, code: str) -> None:
    import openai

    with pytest.raises(openai.APIStatusError) as error:
        client.audio.transcriptions.create(**{"file": TALK, "model": "nicebeach", **options})
    assert (error.value.status_code, error.value.param, error.value.code) == (status, param, code)
    assert param in error.value.message


# --- Others -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_curl(server: Any, transcript: Transcript) -> None:
    command = ["curl", "-s", "-H", f"Authorization: Bearer {KEY}", "-F", f"file=@{TALK}", "-F", "model=nicebeach"]
    printed = subprocess.run([*command, server.url + TRANSCRIPTIONS], capture_output=True, check=True).stdout
    assert json.loads(printed)["text"] == transcript.text


def test_own_format_has_what_the_command_line_prints(server: Any, transcript: Transcript, tiny_bundle: Path) -> None:
    from typer.testing import CliRunner

    from asr.cli import app

    answer = json.loads(server.send(TALK.read_bytes(), response_format="nicebeach_json")[2])
    command = ["transcribe", "--format", "json", "--model", str(tiny_bundle), str(TALK)]
    printed = json.loads(CliRunner().invoke(app, command).stdout)[0]
    for name in ("text", "duration", "words", "nbest", "warnings"):
        assert answer[name] == printed[name]
    assert len(answer["segments"][0]["alternatives"]) == len(transcript.words)


@pytest.mark.parametrize(
    ("command", "path", "question"),
    [
        (["next", "the", "--top", "3"], "next", {"text": "the", "top": 3}),
        (["next", "the", "--word", "of"], "next", {"text": "the", "word": "of"}),
        (["next", "the", "--model", "lstm"], "next", {"text": "the", "model": "lstm"}),
        (["next", "", "--min-probability", "0.05"], "next", {"text": "", "min_probability": 0.05}),
        (["score", "The man.", "a"], "score", {"texts": ["The man.", "a"]}),
        (["compare", "the", "a", "--model", "ngram"], "compare", {"texts": ["the", "a"], "model": "ngram"}),
    ],
)
def test_language_models(
    server: Any, tiny_bundle: Path, command: list[str], path: str, question: dict[str, Any]
) -> None:
    from typer.testing import CliRunner

    from lm.cli import app

    printed = CliRunner().invoke(app, [*command, "--json", "--bundle", str(tiny_bundle)]).stdout
    assert server.ask(f"/v1/lm/{path}", **question) == (200, json.loads(printed))


@pytest.mark.parametrize(
    ("path", "question", "problem"),
    [
        ("next", {"txt": "a"}, "txt"),
        ("next", {}, "text"),
        ("next", {"text": "a", "top": 0}, "top"),
        ("next", {"text": "a", "word": "two words"}, "want one word"),
        ("next", {"text": "a", "word": "a", "top": 3}, "--word"),
        ("next", {"text": "a " * 6000}, "text"),
        ("score", {"texts": "a"}, "array"),
        ("score", {"texts": ["a"], "model": "gpt"}, "gpt"),
        ("compare", {"texts": ["a"]}, "texts"),
    ],
)
def test_language_models_refuse(server: Any, path: str, question: dict[str, Any], problem: str) -> None:
    status, answer = server.ask(f"/v1/lm/{path}", **question)
    assert status == 400
    assert problem in answer["error"]["message"]


def test_who_answers_questions_stands_back_for_streams(server: Any) -> None:
    """Even one who has worked on no recording yet."""
    workers = server.workers()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(running.alive, workers)))
    assert server.ask("/v1/lm/next", text="the")[0] == 200
    assert server.streams() == []


def test_the_routes_are_described(server: Any) -> None:
    """With all that is referred to; what may be got answers HEAD, too, as monitors ask; others say what there is."""
    text = server.request("GET", "/openapi.json")[2].decode()
    described = json.loads(text)
    for name in re.findall(r'"\$ref":"([^"]*)"', text):
        found = described
        for part in name.removeprefix("#/").split("/"):
            found = found[part]
    session = described["components"]["schemas"]["Session"]
    assert session["properties"]["type"]["enum"] == ["transcription"]
    for path in ("/", "/health", "/v1/models"):
        status, headers, body = server.request("HEAD", path)
        assert (status, int(headers["content-length"]) > 0, body) == (200, True, b"")
    for method, path, expected in (("POST", "/v1/audio/translations", 404), ("GET", "/v1/lm/next", 405)):
        status, _, body = server.request(method, path)
        assert status == expected
        assert f"{method} {path}: there is no such route" in json.loads(body)["error"]["message"]


# --- Keys -------------------------------------------------------------------------------------------------


def test_no_route_but_health_answers_without_a_key(server: Any) -> None:
    assert server.request("GET", "/health", key=None)[0] == 200
    described = json.loads(server.request("GET", "/openapi.json")[2])["paths"]
    assert len(described) > 8
    for path in [*described, "/", "/openapi.json", "/no-such"]:
        for method in ("GET", "POST", "HEAD"):
            for key in (None, "wrong", KEY[:-1], f"{KEY}x", "clé"):
                status, headers, body = server.request(method, path, key=key and key.encode().decode("latin-1"))
                if path != "/health":
                    assert (status, "Bearer" in headers["www-authenticate"]) == (401, True), (method, path, key)
                    assert method == "HEAD" or json.loads(body)["error"]["code"] == "invalid_api_key"


def test_browsers_show_the_key_as_a_password(server: Any) -> None:
    def basic(text: str) -> str:
        return f"Basic {base64.b64encode(text.encode()).decode()}"

    def status(value: str) -> int:
        return int(server.request("GET", "/v1/models", key=None, Authorization=value)[0])

    assert status(basic(f"anybody:{KEY}")) == 200
    assert [status(value) for value in (basic("anybody:x"), basic(KEY), "Basic é", "Basic", "x", "")] == [401] * 6


# --- Bounds -----------------------------------------------------------------------------------------------


def test_what_is_too_large_or_too_long_is_refused(server: Any, long: bytes) -> None:
    import io

    status, _, body = server.send(bytes(7_000_000))
    assert (status, json.loads(body)["error"]["code"]) == (413, "too_large")
    status, _, body = server.send(b"x", prompt="y" * 70_000)
    assert status == 400
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(8000 * 201, np.int16), 8000, format="flac")
    for stream in ("true", "false"):
        status, _, body = server.send(buffer.getvalue(), stream=stream)
        assert (status, json.loads(body)["error"]["code"]) == (400, "audio_too_long")


def test_a_claim_of_two_gibibytes_is_refused_at_once(server: Any) -> None:
    with raw(server, 2**31) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_the_server_does_not_wait_for_slow_clients(server: Any) -> None:
    """Neither for bodies that stop, nor for those that drip, nor for heads that don't end, nor for silence."""
    with (
        raw(server, 5000) as stopped,
        raw(server, 10**6) as dripping,
        raw(server, None) as begun,
        raw(server, None) as idle,
    ):
        begun.send(b"POST / HT")
        stopped.send(b"--b")
        assert b" 408 " in stopped.recv(100)
        with suppress(ConnectionError):  # it is closed on the way
            for _ in range(100):
                dripping.send(b"x")
                time.sleep(0.1)
        assert b" 408 " in dripping.recv(100)
        assert begun.recv(100) == idle.recv(100) == b""


def test_clients_that_vanish_leave_nothing(server: Any, long: bytes) -> None:
    """Before, while, and after all is sent; nobody works for them, and others are answered."""
    body, kind = form(long)
    deaths = server.metric("nicebeach_deaths")
    for sent in (0, 10, 1000, len(body) - 5, len(body)):
        for reset in (False, True):
            with raw(server, len(body), kind) as connection:
                connection.sendall(body[:sent])
                if sent == len(body):
                    until(lambda: server.metric(WORKING) > 0)
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            until(lambda: server.metric(WORKING) == 0)
    assert server.send(TALK.read_bytes())[0] == 200
    assert server.metric("nicebeach_deaths") == deaths
    assert not [*server.temporary.iterdir()]


@contextmanager
def raw(server: Any, length: int | None, kind: str = "multipart/form-data; boundary=b") -> Iterator[socket.socket]:
    """A connection over which the head of a request for a transcript has gone."""
    with socket.create_connection((server.host, server.port), timeout=60) as connection:
        if length is not None:
            head = f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
            connection.sendall(f"{head}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode())
        yield connection


@contextmanager
def standing_still(server: Any, long: bytes, count: int) -> Iterator[list[socket.socket]]:
    """So many requests, all workers being stopped."""
    body, kind = form(long)
    connections = []
    for number in range(count):
        connection = socket.create_connection((server.host, server.port), timeout=120)
        head = f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n"
        connection.sendall(f"{head}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        connections.append(connection)
        until(lambda number=number: server.metric(WORKING) + server.metric(WAITING) > number)
        for pid in server.workers():
            os.kill(pid, signal.SIGSTOP)
    try:
        yield connections
    finally:
        for pid in server.workers():
            os.kill(pid, signal.SIGCONT)
        for connection in connections:
            connection.close()
        until(lambda: server.metric(WORKING) == 0)


def test_who_comes_when_too_many_wait_is_told_when_to_try_again(server: Any, long: bytes) -> None:
    with standing_still(server, long, 4) as connections:
        status, headers, body = server.send(TALK.read_bytes())
        assert (status, headers["retry-after"]) == (429, "2")
        assert json.loads(body)["error"]["type"] == "rate_limit_error"
        assert server.request("GET", "/ready")[0] == 200
        connections.pop().close()  # a place is free again
        until(lambda: server.metric(WAITING) == 1)
    assert server.send(TALK.read_bytes())[0] == 200


# --- Deaths -----------------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_costs_its_request_alone(server: Any, long: bytes) -> None:
    before = server.metric("nicebeach_deaths")
    with standing_still(server, long, 1) as (connection,):
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
        answer = connection.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 500")
        assert b"worker_died" in answer
    assert server.send(TALK.read_bytes())[0] == 200
    assert server.metric("nicebeach_deaths") == before + 1
    assert "a worker died of signal 9" in [line["message"] for line in server.lines()]


def test_idle_workers_that_are_killed_cost_nothing(server: Any) -> None:
    assert server.send(TALK.read_bytes())[0] == 200
    workers = server.workers()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(running.alive, workers)))
    assert server.send(TALK.read_bytes())[0] == 200


def test_the_models_are_read_again_where_their_process_is_killed(server: Any, long: bytes) -> None:
    with ThreadPoolExecutor() as threads:
        request = threads.submit(server.send, long)
        until(lambda: server.metric(WORKING) > 0)
        os.kill(server.office(), signal.SIGKILL)
        assert request.result()[0] == 500
        assert server.send(TALK.read_bytes())[0] == 200  # it waited
    assert server.request("GET", "/ready")[0] == 200


def test_what_no_pipe_holds_holds_up_nobody(server: Any) -> None:
    """A question that the process with the models doesn't take yet."""
    office = server.office()
    with ThreadPoolExecutor() as threads:
        os.kill(office, signal.SIGSTOP)
        try:
            asked = threads.submit(server.ask, "/v1/lm/score", texts=["x" * 10_000] * 40)
            until(lambda: server.metric('nicebeach_busy{lane="text"}') == 1)
            assert server.request("GET", "/health")[0] == 200
        finally:
            os.kill(office, signal.SIGCONT)
        assert asked.result()[0] == 200


# --- Attacks ----------------------------------------------------------------------------------------------


def test_hostile_requests(server: Any) -> None:
    """Good ones are answered meanwhile, nothing is left, and no 500 is without a line in the log."""
    hostile = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("hostile.py"))))
    attacks = [*islice(hostile.requests(random.Random(1)), 280)]
    files, logged = server.files(), len(server.lines())

    def attack(request: tuple[str, bytes, str]) -> bytes:
        return bytes(hostile.attack(server.host, server.port, *request[1:], 0.5))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(attack, attacks))
        assert server.ask("/v1/lm/next", text="the")[0] == 200
    until(lambda: server.metric(WORKING) + server.metric(WAITING) + server.metric(LIVE) == 0)
    assert server.send(TALK.read_bytes())[0] == 200
    until(lambda: server.files() <= files + 1)
    assert not [*server.temporary.iterdir()]
    lines = server.lines()[logged:]
    assert sum(400 <= line.get("status", 0) < 499 for line in lines) > 60
    failed = [line for line in lines if line.get("status") == 500]
    assert len(failed) <= sum(line["level"] == "error" for line in lines)
    assert not [line for line in lines if "trace" in line]


def test_the_log_tells_who_asked_what_but_nothing_of_the_contents(server: Any) -> None:
    server.request("GET", "/v1/models?private=1", X_Header="private")
    server.ask("/v1/lm/score", texts=["a private"])
    server.send(b"private", "private.wav", prompt="private")
    websockets = pytest.importorskip("websockets.sync.client", reason="no websockets")
    headers = {"Authorization": f"Bearer {KEY}"}
    with websockets.connect(f"ws://{server.host}:{server.port}/?private", additional_headers=headers) as stream:
        stream.send('{"config": {"style": "private"}}')  # which is refused
    server.request("GET", "/" + "x" * 1000)
    text = server.log_file.read_text()
    assert "private" not in text
    assert KEY not in text
    assert "x" * 300 not in text
    line = [line for line in server.lines() if line["message"] == "request"][-2]
    assert {"time", "client", "method", "path", "status", "seconds", "received", "sent"} <= line.keys()


# --- Beginning and end ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if not shutil.which("openssl"):
        pytest.skip("no openssl: it makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"
    subprocess.run([*command.split(), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


def test_at_the_end_what_was_begun_is_answered(
    server: Any, tiny_bundle: Path, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """Here over TLS. Requests that wait, and streams, too; all processes are sent SIGTERM, as service managers do."""
    websockets = pytest.importorskip("websockets.sync.client", reason="no websockets")
    exceptions = pytest.importorskip("websockets.exceptions")
    cert, key = certificate
    options = [
        "--model",
        tiny_bundle,
        "--workers",
        1,
        "--queue",
        8,
        "--tls-cert",
        cert,
        "--tls-key",
        key,
        "--patience",
        6,  # on busy cores TLS has taken more than 2 s
    ]
    other = running.Server(tmp_path, *options, key=None)
    assert other.url.startswith("https://")
    context = ssl.create_default_context(cafile=cert)
    context.check_hostname = False

    def get(path: str, body: bytes | None = None, kind: str = "") -> bytes:
        request = urllib.request.Request(other.url + path, body, {"Content-Type": kind} if kind else {})
        with urllib.request.urlopen(request, context=context, timeout=120) as response:
            return bytes(response.read())

    def begun() -> bool:
        lines = get("/metrics").decode().splitlines()
        tasks = [line for line in lines if line.startswith((WORKING, WAITING))]
        return sum(float(line.split()[1]) for line in tasks) == 4

    sound = (DATA / "1970-28415-0034.flac").read_bytes()
    address = other.url.replace("https", "wss")
    silent = socket.create_connection(
        (other.host, other.port), timeout=30
    )  # no TLS comes, for which asyncio waits 60 s
    with silent, ThreadPoolExecutor() as threads, websockets.connect(address, ssl=context) as stream:
        stream.send(bytes(3200))
        stream.recv(60)
        get(TRANSCRIPTIONS, *form(sound))  # so that there is a worker
        assert silent.recv(1) == b""
        [worker] = set(other.workers()) - set(other.streams())
        os.kill(worker, signal.SIGSTOP)
        requests = [threads.submit(get, TRANSCRIPTIONS, *form(sound)) for _ in range(4)]
        until(begun)
        for pid in other.processes():
            os.kill(pid, signal.SIGTERM)
        os.kill(worker, signal.SIGCONT)
        texts = {json.loads(request.result())["text"] for request in requests}
        assert json.loads(stream.recv(60)) == {"text": ""}
        with pytest.raises(exceptions.ConnectionClosedError):
            stream.recv(60)
        assert (stream.close_code, stream.close_reason) == (1012, "the server ends")
    assert len(texts) == 1
    assert other.process.wait(60) == 0
    assert not [*other.temporary.iterdir()]
    assert "Exception" not in other.log_file.read_text()


def test_a_signal_that_comes_at_once_ends_it(tiny_bundle: Path, tmp_path: Path, server: Any) -> None:
    assert running.Server(tmp_path, "--model", tiny_bundle).end() == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--host", "0.0.0.0"], "--no-key"),
        (["--host", "::"], "--no-key"),
        (["--api-key-file", "empty"], "has no key"),
        (["--api-key-file", "missing"], "no such file"),
        (["--api-key-file", "keys", "--no-key"], "leave out one or other"),
        (["--tls-cert", "keys"], "give both"),
        (["--tls-cert", "keys", "--tls-key", "keys"], "no certificate with its key"),
        (["--host", "no.such.host.invalid", "--no-key"], "give another"),
        (["--port", "taken"], "in use"),
        (["--model", "missing"], "missing"),
        (["--origin", "example.org"], "is no origin"),
    ],
)
def test_what_cannot_be_begun_is_told_in_a_line(
    options: list[str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from typer.testing import CliRunner

    from asr.cli import app

    monkeypatch.chdir(tmp_path)
    Path("empty").write_text("\n")
    Path("keys").write_text("one\ntwo\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, ["serve", *(port if word == "taken" else word for word in options)])
    assert result.exit_code == 1
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert capfd.readouterr().err == ""  # of its processes
    assert not result.stdout


def test_loopback_needs_no_key_and_others_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from asr.server.serve import read_keys

    keys: Callable[..., tuple[bytes, ...]] = read_keys
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        assert keys(None, host, False) == ()
    for host in ("0.0.0.0", "::", "192.168.1.1", "example.org", ""):
        with pytest.raises(ValueError, match="others could use it"):
            keys(None, host, False)
        assert keys(None, host, True) == ()
    (tmp_path / "keys").write_text("one\n\n two \n")
    assert keys(tmp_path / "keys", "0.0.0.0", False) == (b"one", b"two")
    monkeypatch.setenv("NICEBEACH_API_KEY", "three")
    assert keys(None, "0.0.0.0", False) == (b"three",)
