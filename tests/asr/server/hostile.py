"""Requests that go wrong: what programs send by mistake, and people on purpose. The same ones every time."""

import json
import random
import runpy
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

running = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("running.py"))))
files = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "transcription" / "hostile.py")))

PATHS = ("/v1/audio/transcriptions", "/v1/lm/next", "/v1/lm/score", "/v1/lm/compare", "/v1/models", "/metrics", "/x")
METHODS = ("GET", "PUT", "BREW", "OPTIONS", "DELETE")
PLACES = ("../" * 20 + "etc/passwd", "%00", "%2e%2e/", "?" * 9000, "é")
ORIGINS = ("http://elsewhere.example", "null", "http://[", "\udcff", "x" * 5000)
FIELDS = ("temperature", "language", "stream", "prompt[]")
BODIES = (b"{", b"[" * 100_000, b"\xff\xfe", b"null", b"1e999", b"")
UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
    "Sec-WebSocket-Version: 13",
)
NAMES = (
    "../../../etc/passwd",
    "/etc/shadow",
    "..\\..\\x.wav",
    "a\0b.wav",
    "x" * 5000,
    "\udcff\udcfe",
    '"; rm -rf /',
    "",
)


def head(method: str, path: str, length: object, kind: str, *more: str, key: str = running.KEY) -> bytes:
    """The head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", f"Content-Type: {kind}"]
    lines += [f"Content-Length: {length}"] * (length is not None) + [*more]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n"


def requests(chance: random.Random) -> Iterator[tuple[str, bytes, str]]:
    """Kind, what is sent, and how the client ends, without end: it reads the answer, goes at once, or resets."""
    sounds = [data for _, data in [*files.damaged(chance), *files.mislabelled(), *files.unsound(chance)]]
    good = files.encoded(files.speech(1, 1))
    path = PATHS[0]
    kinds: list[Callable[[], bytes]] = [
        lambda: upload(chance.choice(sounds)),
        lambda: upload(chance.choice(sounds), stream="true"),
        lambda: upload(good, chance.choice(NAMES)),
        lambda: upload(good, response_format=chance.choice(["x", "srt\0", "[]", "diarized_json", "j" * 70_000])),
        lambda: upload(good, **{chance.choice(FIELDS): chance.choice(NAMES)}),
        lambda: upload(good)[: chance.randrange(1, 3000)],  # and nothing more
        lambda: upload(good, length=chance.choice([0, 10, 10**6, 2**31, 2**63, 10**30])),
        lambda: upload(good, length=chance.choice(["-1", "x", "1, 2", "0x10", ""])),
        lambda: head("POST", path, 10, "multipart/form-data") + b"0123456789",  # no boundary
        lambda: head("POST", path, 10, "multipart/form-data; boundary=" + "b" * 300) + b"0123456789",
        lambda: head("POST", path, 60_000, "multipart/form-data; boundary=b") + b"--b\r\nX: y\r\n\r\n" * 5000,
        lambda: head("POST", path, None, "multipart/form-data; boundary=b", "Transfer-Encoding: chunked")
        + chance.choice([b"5\r\nhello\r\n", b"ffffffffffff\r\n", b"zz\r\n", b"-1\r\n", b"0\r\n\r\n"]),
        lambda: head(chance.choice(METHODS), chance.choice(PATHS), 0, "x"),
        lambda: head("GET", "/" + chance.choice(PLACES), 0, "x"),
        lambda: head("POST", chance.choice(PATHS), 4, "application/json", key=chance.choice(NAMES)) + b"null",
        lambda: head("POST", chance.choice(PATHS), 2, "application/json", f"Origin: {chance.choice(ORIGINS)}") + b"{}",
        lambda: head("GET", "/", None, "x", *UPGRADE, f"Origin: {chance.choice(ORIGINS)}") + frame(2, bytes(3200)),
        lambda: question(chance.choice(PATHS[1:4]), chance.choice(BODIES)),
        lambda: question(PATHS[1], json.dumps({"text": "a " * chance.choice([1, 100_000]), "top": -1}).encode()),
        lambda: question(PATHS[2], json.dumps({"texts": [""] * chance.choice([0, 1, 101])}).encode()),
        lambda: question(PATHS[1], json.dumps({"text": "", "word": chance.choice(NAMES)}).encode()),
        lambda: head("GET", "/", 0, "x", *UPGRADE[:2], "Sec-WebSocket-Key: x"),
        lambda: head("GET", "/", None, "x", *UPGRADE, key=chance.choice(NAMES)) + frame(1, b"hello"),
        lambda: stream(chance),  # and nothing more
        lambda: stream(chance, frame(chance.choice([1, 2]), b"hello")),
        lambda: stream(chance, frame(1, chance.choice([b"{}", b'{"config": {"sample_rate": 1e9}}', *BODIES]))),
        lambda: stream(chance, frame(2, bytes(chance.choice([0, 1, 3201, 100_000])))),
        lambda: stream(chance, *[frame(2, chance.randbytes(3200))] * 5, frame(1, b'{"eof": 1}')),
        lambda: stream(chance, frame(1, b'{"type": "input_audio_buffer.append", "audio": "%s"}' % (b"AAAA" * 10_000))),
        lambda: stream(chance, frame(2, b"x", length=chance.choice([10**6, 2**31, 2**63 - 1]))),  # and nothing more
        lambda: stream(chance, frame(2, bytes(1000), masked=False)),
        lambda: stream(chance, frame(1, b"a", end=False), *[frame(0, b"b" * 9000, end=False)] * 600),
        lambda: stream(chance, *[frame(9, b"ping")] * 500, frame(chance.choice([3, 7, 11, 15]), b"x")),
        lambda: stream(chance, frame(8, chance.choice([b"", b"x", b"\x03\xe7", b"\x03\xe8" + b"\xff" * 99]))),
        lambda: head("GET", "/", 0, "x", *(f"X-{number}: {'y' * 800}" for number in range(200))),
        lambda: bytes(chance.randrange(256) for _ in range(chance.randrange(1, 2000))),
        lambda: struct.pack(">HBBHI", 0x1603, 1, 0, 200, 0) * 50,  # TLS where there is none
        lambda: b"",
        lambda: b"GET /health HTTP/1.1\r\nHost: x\r\n" * 1000,
        lambda: b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 50,
    ]  # fmt: skip
    while True:
        for number, make in enumerate(kinds):
            yield f"kind {number}", make(), chance.choice(["read", "read", "go", "reset"])


def stream(chance: random.Random, *frames: bytes) -> bytes:
    """A WebSocket in either protocol, and what is sent at once."""
    return head("GET", chance.choice(["/", "/v1/realtime"]), None, "x", *UPGRADE) + b"".join(frames)


def frame(code: int, content: bytes, *, end: bool = True, masked: bool = True, length: int | None = None) -> bytes:
    """A frame of that opcode, which may lie about its length."""
    size, mask = len(content) if length is None else length, 128 * masked
    sizes = bytes([mask | size]) if size < 126 else struct.pack(">BQ", mask | 127, size)
    return bytes([128 * end | code]) + sizes + bytes(4 * masked) + content  # a mask of zeros changes nothing


def upload(sound: bytes, name: str = "talk.wav", length: object = None, **fields: str) -> bytes:
    body, kind = running.form(sound, name, **fields)
    return head("POST", PATHS[0], len(body) if length is None else length, kind) + body


def question(path: str, body: bytes) -> bytes:
    return head("POST", path, len(body), "application/json") + body


def attack(host: str, port: int, data: bytes, end: str, patience: float) -> bytes:
    """Send a request and end it that way; the answer's beginning, of who reads, or nothing."""
    answer = b""
    with socket.create_connection((host, port), timeout=patience) as connection:
        try:
            connection.sendall(data)
            if end == "read":
                answer = connection.recv(4096)
        except OSError:  # the server has had enough, or waits for more
            pass
        if end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return answer
