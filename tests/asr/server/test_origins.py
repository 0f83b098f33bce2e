"""Whose pages may use the server."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("starlette", reason="no starlette: the extra server is not installed")

from asr.server.origins import Origins
from asr.server.refusal import Refusal

running = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("running.py"))))
ALLOWED = "https://app.example"  # as `server` is started
ELSEWHERE = "http://elsewhere.example"


def may(origin: str | None, host: str, scheme: str = "http", keyed: bool = False, others: tuple[str, ...] = ()) -> bool:
    """Whether a page may open a WebSocket, and just as well post."""
    origins = Origins(others, keyed)
    headers = [(b"host", host.encode()), *([(b"origin", origin.encode("latin-1"))] if origin is not None else [])]
    refusals: list[Refusal | None] = []
    for scope in (
        {"type": "websocket", "scheme": scheme.replace("http", "ws"), "headers": headers},
        {"type": "http", "method": "POST", "scheme": scheme, "headers": headers},
    ):
        try:
            origins.check(scope)
            refusals.append(None)
        except Refusal as refusal:
            refusals.append(refusal)
    origins.check({"type": "http", "method": "GET", "scheme": scheme, "headers": headers})
    assert len({refusal and (refusal.status, refusal.code, refusal.message) for refusal in refusals}) == 1
    return refusals[0] is None


def test_only_the_servers_own_pages_may() -> None:
    for host in ("127.0.0.1:8000", "localhost:8000", "[::1]:8000", "192.168.1.2", "nice.localhost:8000"):
        assert may(f"http://{host}", host)
        assert may(f"https://{host}", host)  # a proxy speaks TLS
        assert may(None, host)  # no browser
        for origin in (ELSEWHERE, "null", "http://127.0.0.1:8001", f"http://{host}.example", "é"):
            assert not may(origin, host)
    assert may("http://localhost:8000", "LOCALHOST:8000")
    assert not may("http://localhost:8000", "localhost:8000", scheme="https")
    assert not may("http://localhost:8000", "127.0.0.1:8000")


def test_a_name_that_may_be_made_to_mean_this_machine_is_no_own_one() -> None:
    """Unless a key is needed, which pages of such a name haven't; or it is said that it is one."""
    for host in ("evil.example:8000", "127.0.0.1.example:8000", "localhost.example", "[", "[::1", ""):
        origin = f"http://{host}"
        assert not may(origin, host)
        assert may(origin, host, keyed=True)
    assert may("https://me.example", "me.example", others=("https://me.example",))
    assert not may("https://me.example:8000", "me.example:8000", others=("https://me.example",))


def test_others_may_that_are_named() -> None:
    for given in ("https://app.example", "HTTPS://App.example:443"):
        assert may("https://app.example", "localhost", others=("http://x:1", given))
    for origin in ("http://app.example", "https://app.example:444", "https://app.example.org", "null"):
        assert not may(origin, "localhost", others=("https://app.example",))
    assert may("chrome-extension://abc", "localhost", others=("chrome-extension://abc",))
    for wrong in (
        "app.example",
        "https://app.example/",
        "https://",
        "null",
        "*",
        "",
        "https://a b",
        "https://é.example",
    ):
        with pytest.raises(ValueError, match="is no origin"):
            Origins((wrong,), keyed=False)


def test_over_http(server: Any) -> None:
    """A key that a browser sends along doesn't help a page from elsewhere. Pages that may also read the answers."""
    for method, path in (("POST", "/v1/lm/score"), ("POST", running.TRANSCRIPTIONS), ("DELETE", "/v1/models")):
        status, headers, body = server.request(method, path, Origin=ELSEWHERE)
        assert (status, json.loads(body)["error"]["code"]) == (403, "origin_not_allowed")
        assert not [name for name in headers if name.startswith("access-control")]
    assert server.request("GET", "/v1/models", Origin=ELSEWHERE)[0] == 200
    question = json.dumps({"texts": ["a"]}).encode()
    assert server.request("POST", "/v1/lm/score", question, Origin=server.url)[0] == 200
    for body, expected in ((question, 200), (b"", 400)):
        status, headers, _ = server.request("POST", "/v1/lm/score", body, Origin=ALLOWED)
        assert (status, headers["access-control-allow-origin"]) == (expected, ALLOWED)
    status, headers, _ = server.request("GET", "/v1/models", key=None, Origin=ALLOWED)
    assert (status, headers["access-control-allow-origin"]) == (401, ALLOWED)
    asks = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization,x-y"}
    status, headers, _ = server.request("OPTIONS", "/v1/lm/score", key=None, Origin=ALLOWED, **asks)
    assert (status, headers["access-control-allow-headers"]) == (204, "authorization,x-y")
    assert server.request("OPTIONS", "/v1/lm/score", key=None, Origin=ELSEWHERE, **asks)[0] == 401
    running.until(lambda: {204, 401} <= {line["status"] for line in server.lines() if line.get("method") == "OPTIONS"})
