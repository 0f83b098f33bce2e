"""Which channel of a recording is heard; without the libraries that read sound, which help pages needn't load."""

from enum import StrEnum
from typing import TYPE_CHECKING

from asr.audio.errors import AudioError

if TYPE_CHECKING:
    import numpy as np


class Channel(StrEnum):
    """Which channel to hear: mix is the mean of all."""

    left = "left"
    right = "right"
    mix = "mix"


def one_channel(block: "np.ndarray", channel: Channel) -> "np.ndarray":
    """[n, channels] to [n]. Raises AudioError where there is no such channel."""
    channels = block.shape[1]
    if channel is Channel.mix:
        mono: np.ndarray = block.mean(axis=1)
        return mono
    if channel is Channel.right and channels < 2:
        raise AudioError("has one channel, so no right one: ask for left or mix")
    return block[:, 1 if channel is Channel.right else 0]
