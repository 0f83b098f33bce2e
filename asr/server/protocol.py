"""What the protocols of live streams have in common."""

import typing

import numpy as np

from asr.recognizer import Recognizer

# The recogniser that listens for a prompt's rare words and for keywords. Raises Refusal for what can't be heard.
Listening = typing.Callable[[str, tuple[str, ...]], Recognizer]


class Protocol(typing.Protocol):
    """One client's stream. What it sends is taken message by message, and answered by any number of them."""

    over: bool  # has it ended?
    seconds: float  # of sound that came

    def begin(self) -> list[str]:
        """What is said before the client says anything."""

    def accept(self, message: str | bytes) -> list[str]:
        """The answers to a message. Raises Refusal for one after which the stream can't go on."""

    def end(self) -> list[str]:
        """What is left to say when nothing more will come."""


class Samples:
    """Bytes, divided anywhere, as samples of 16 bits, little-endian."""

    def __init__(self) -> None:
        self._rest = b""

    def accept(self, data: bytes) -> np.ndarray:
        """int16 [n]"""
        data = self._rest + data
        whole = len(data) // 2 * 2
        self._rest = data[whole:]
        return np.frombuffer(data[:whole], "<i2")
