"""Which channel of a recording is heard; without the libraries that read sound, which help pages needn't load."""

from enum import StrEnum
from typing import TYPE_CHECKING

from asr.audio.errors import AudioError

if TYPE_CHECKING:
    import numpy as np

OPPOSITE = 0.5  # correlation, with its sign turned over, at which one channel counts as the other upside down


class Channel(StrEnum):
    """Which channel to hear: mix is the mean of all; each is all of them, one by one."""

    left = "left"
    right = "right"
    mix = "mix"
    each = "each"


def labels(channels: int) -> list[str]:
    """What each of several channels is called: left and right if they are two, else by its number from 1 on."""
    return ["left", "right"] if channels == 2 else [str(number) for number in range(1, channels + 1)]


def chosen(block: "np.ndarray", channel: Channel) -> "np.ndarray":
    """Of [n, channels] those that are to be heard. Raises AudioError where there is no such channel."""
    if channel in (Channel.mix, Channel.each):
        return block
    if channel is Channel.right and block.shape[1] < 2:
        raise AudioError("has one channel, so no right one: ask for left or mix")
    return block[:, 1:2] if channel is Channel.right else block[:, :1]


def mixed(block: "np.ndarray") -> "np.ndarray":
    """[n, channels] to [n, 1], their mean.

    A channel that is another turned upside down, by a plug wired the wrong way, is turned over before they are mixed,
    as they would cancel each other.
    """
    mono: np.ndarray = (block * _signs(block) if block.shape[1] > 1 else block).mean(axis=1, keepdims=True)
    return mono


def _signs(block: "np.ndarray") -> "np.ndarray":
    """1 or -1 for each channel of [n, channels]: -1 for those that are the loudest upside down."""
    # Steps from sample to sample tell little of hum, which may well have other signs than the speech.
    steps = block[1:] - block[:-1]
    power = (steps * steps).sum(0)
    loudest = power.argmax()
    likeness = steps.T @ steps[:, loudest]
    opposite = likeness < -OPPOSITE * (power * power[loudest]) ** 0.5
    return 1 - 2 * opposite.astype(block.dtype)
