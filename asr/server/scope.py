"""A request as ASGI tells it, https://asgi.readthedocs.io/en/latest/specs/www.html."""

from collections.abc import MutableMapping
from typing import Any

Message = MutableMapping[str, Any]


def header(scope: Message, name: bytes) -> bytes:
    """The value of a header; empty if there is none."""
    return next((value for key, value in scope["headers"] if key == name), b"")
