"""Whose pages may use the server: a browser asks any server for any page, and tells for which by the header Origin.

A page from elsewhere can't read answers unless it is allowed to, but it could send recordings, and talk over
WebSockets, for which browsers have no such rule. That Origin and Host are the same isn't enough where nobody needs a
key: the name that a page came from may mean this machine a moment later (DNS rebinding). An address can't.
"""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.responses import Response

from asr.server.refusal import Refusal
from asr.server.scope import Message, header

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._:\[\]-]+")
USUAL_PORT = re.compile(r"^(http://.*):80$|^(https://.*):443$")  # which browsers leave out
SAFE = {"GET", "HEAD", "OPTIONS"}  # methods that change nothing
REMEMBERED = 600  # seconds for which a browser needn't ask again


class Origins:
    """The server's own pages, and others that are allowed to."""

    def __init__(self, others: Sequence[str], keyed: bool) -> None:
        """others: as browsers write them, https://example.org; keyed: is a key needed? Raises ValueError."""
        self._others = frozenset(map(_written, others))
        self._keyed = keyed

    def check(self, scope: Message) -> None:
        """Raises Refusal where a page from elsewhere would have something done."""
        origin = _origin(scope)
        safe = scope["type"] == "http" and scope["method"] in SAFE
        if origin and not safe and origin not in self._others and not self._is_own(origin, scope):
            shown = origin[:100]
            named = ORIGIN.fullmatch(shown)
            mend = f"start it with --origin {shown}, if it shall" if named else "load it from a server"
            raise Refusal(403, f"a page of {shown} may not use this server: {mend}", code="origin_not_allowed")

    def preflight(self, scope: Message) -> Response | None:
        """What a browser is answered that asks, before it sends what a page that is allowed to wants sent."""
        if scope["method"] != "OPTIONS" or not header(scope, b"access-control-request-method"):
            return None
        if _origin(scope) not in self._others:
            return None
        headers = {
            "access-control-allow-methods": "GET, POST",
            "access-control-allow-headers": header(scope, b"access-control-request-headers").decode("latin-1"),
            "access-control-max-age": str(REMEMBERED),
        }
        return Response(status_code=204, headers=headers)

    def headers(self, scope: Message) -> list[tuple[bytes, bytes]]:
        """By which a browser lets a page that is allowed to read a response."""
        if _origin(scope) not in self._others:
            return []
        allowed = header(scope, b"origin")
        exposed = (b"access-control-expose-headers", b"retry-after")
        return [(b"access-control-allow-origin", allowed), exposed, (b"vary", b"origin")]

    def _is_own(self, origin: str, scope: Message) -> bool:
        host = header(scope, b"host").decode("latin-1").lower()
        # A proxy before the server may be the one that speaks TLS.
        schemes = ("http", "https") if scope["scheme"] in ("http", "ws") else ("https",)
        own = origin in [f"{scheme}://{host}" for scheme in schemes]
        return own and (self._keyed or _is_address(host))


def _origin(scope: Message) -> str:
    return header(scope, b"origin").decode("latin-1")


def _written(origin: str) -> str:
    """As browsers write it."""
    written = USUAL_PORT.sub(r"\1\2", origin.lower())
    if not ORIGIN.fullmatch(written):
        raise ValueError(f"--origin {origin}: is no origin: give one such as https://example.org, without a path")
    return written


def _is_address(host: str) -> bool:
    """Whether no name server says what a Host means."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or bool(ipaddress.ip_address(name))
    except ValueError:
        return False
