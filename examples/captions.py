"""Captions while the sound still comes: each line is printed as soon as the speaker pauses.

    python examples/captions.py talk.flac
    arecord -f S16_LE -r 16000 -c 1 -t raw | python examples/captions.py -

A file is read as a microphone would give it, in blocks of a quarter of a second. The one-way model hears each block at
once; the two-way model, which makes a third fewer errors, would wait for many seconds of what comes after.
"""

import sys
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from asr import Recognizer

RATE = 16_000  # Hz, what the recogniser hears; asr.audio.reading.blocks brings other rates to it
BLOCK = RATE // 4  # samples


def file_blocks(path: str) -> Iterator[np.ndarray]:
    """A sound file of 16 kHz and one channel, block by block."""
    yield from soundfile.blocks(path, BLOCK, dtype="float32")


def raw_blocks(stream: BinaryIO) -> Iterator[np.ndarray]:
    """Raw 16-bit samples, as microphones give them, scaled to -1..1."""
    while data := stream.read(2 * BLOCK):
        yield np.frombuffer(data, "<i2").astype(np.float32) / 32768


def main(source: str) -> None:
    blocks = raw_blocks(sys.stdin.buffer) if source == "-" else file_blocks(source)
    for segment in Recognizer(streaming=True).segments(blocks):
        if segment.words:
            print(f"{segment.words[0].start:7.2f}  {segment.text}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1])
