"""How many live streams a server keeps in time, and how late their words come.

    python tests/benchmarks/server/live.py [--seconds N] STREAMS...

So many clients at once (14) play the recordings of tests/data, glued together, each from another place, in real time
and chunks of 100 ms, by Vosk's protocol, to a server with the models that ship, on two cores, which the clients share.
Columns: answer, from a chunk to its answer, p50, p95 and the longest, s; word, from the end of a word of a result to
the partial since which it was shown, p50 and p95 of those that were shown before their utterance ended, s; share of
such words; end, from the last chunk to its answer, the longest, s; core, what a stream takes of one, as the server
counts it; memory of all the server's processes, what they share counted once (PSS), MB, while they run.
"""

import argparse
import asyncio
import json
import math
import os
import runpy
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import soundfile
from rapidfuzz.distance import Levenshtein
from websockets.asyncio.client import connect

TESTS = Path(__file__).parents[2]
running = SimpleNamespace(**runpy.run_path(str(TESTS / "asr/server/running.py")))
RATE = 16_000
CHUNK = RATE // 10


@dataclass
class Seen:
    """What clients measure, s."""

    answers: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    words: list[float] = field(default_factory=list)
    unseen: int = 0  # words that no partial showed


async def client(address: str, samples: np.ndarray, delay: float, seen: Seen) -> None:
    """Play samples, int16, after a delay."""
    await asyncio.sleep(delay)
    async with connect(address, ping_interval=None) as socket:  # or too late ones would end it
        await socket.send(json.dumps({"config": {"sample_rate": RATE}}))
        began = time.monotonic()
        sent: list[float] = []

        async def play() -> None:
            for start in range(0, len(samples), CHUNK):
                await asyncio.sleep(max(0.0, began + (start + CHUNK) / RATE - time.monotonic()))
                sent.append(time.monotonic())
                await socket.send(samples[start : start + CHUNK].tobytes())
            sent.append(time.monotonic())
            await socket.send('{"eof": 1}')

        playing = asyncio.create_task(play())
        shown: list[tuple[str, float]] = []  # the words of the utterance, and since when
        count = 0
        async for message in socket:
            now = time.monotonic()
            seen.answers.append(now - sent[count])
            count += 1
            answer: dict[str, Any] = json.loads(message)
            if "partial" in answer:
                shown = go_on(shown, answer["partial"].split(), now - began)
                continue
            result = answer.get("result", [])
            for word, (_, since) in zip(result, go_on(shown, [word["word"] for word in result], math.nan), strict=True):
                seen.words += [] if math.isnan(since) else [since - word["end"]]
                seen.unseen += math.isnan(since)
            shown.clear()
        seen.ends.append(seen.answers[-1])
        await playing


def go_on(shown: list[tuple[str, float]], words: list[str], now: float) -> list[tuple[str, float]]:
    """Words that take the place of those that were shown; since when each is."""
    after = [(word, now) for word in words]
    for block in Levenshtein.opcodes([word for word, _ in shown], words):
        if block.tag == "equal":
            after[block.dest_start : block.dest_end] = shown[block.src_start : block.src_end]
    return after


async def measure(server: Any, streams: int, seconds: float) -> None:
    """Print a row."""
    sounds = [soundfile.read(path, dtype="int16")[0] for path in sorted((TESTS / "data").glob("*.flac"))]
    sound = np.resize(np.concatenate(sounds), round(seconds * RATE))
    seen, address = Seen(), f"ws://{server.host}:{server.port}"
    clients = [
        client(address, np.roll(sound, -number * len(sound) // streams), number * 0.37, seen)
        for number in range(streams)
    ]
    task = asyncio.gather(*clients)
    await asyncio.sleep(seconds / 2)
    memory = server.memory()
    await task
    answers, words = np.quantile(seen.answers, [0.5, 0.95, 1]), np.quantile(seen.words, [0.5, 0.95])
    share = len(seen.words) / (len(seen.words) + seen.unseen)
    core = server.metric("nicebeach_live_share")
    numbers = " ".join(f"{number:6.2f}" for number in (*answers, *words, share, max(seen.ends)))
    print(f"{streams:7} {numbers} {core:6.3f} {memory:6.0f}", flush=True)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("streams", type=int, nargs="*", default=[14])
parser.add_argument("--seconds", type=float, default=60, help="of each stream (60)")
options = parser.parse_args()
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
print("streams answer    p95 longst   word    p95  share    end   core     MB")
for streams in options.streams:
    with tempfile.TemporaryDirectory() as folder:
        server = running.Server(Path(folder), "--live", streams, key=None)
        try:
            asyncio.run(measure(server, streams, options.seconds))
        finally:
            server.end()
