"""Requests that go wrong, thousands of them, against the server with the models that ship.

    python tests/benchmarks/server/hostile.py [COUNT]

COUNT is 10,000 unless it is given. They are those of tests/asr/server/hostile.py: truncated and lying multipart, wrong
lengths, claims of gigabytes, paths in file names, wrong keys, damaged recordings, noise, and WebSockets that send text,
huge frames, noise, nothing, or half of something; clients read, go or reset. Every hundredth is a good one, whose text
must be right, half of them recordings, half streams. Prints how they were answered and, before and after, the server's
memory (PSS, MB), open files, processes, and files in its temporary folder; then what its log tells.
"""

import io
import json
import random
import runpy
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import soundfile
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

TESTS = Path(__file__).parents[2]
running = SimpleNamespace(**runpy.run_path(str(TESTS / "asr/server/running.py")))
hostile = SimpleNamespace(**runpy.run_path(str(TESTS / "asr/server/hostile.py")))
TALK = (TESTS / "data/5789-70653-0013.flac").read_bytes()
SAMPLES = soundfile.read(io.BytesIO(TALK), dtype="int16")[0].tobytes()
WARM = 500  # attacks before the first count: pages and files that are needed once are no leak

count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
with tempfile.TemporaryDirectory() as folder:
    options = "--workers 2 --queue 64 --max-upload 5 --max-seconds 60 --patience 2".split()
    server = running.Server(Path(folder), *options)
    address = server.url.replace("http", "ws")
    expected = json.loads(server.send(TALK)[2])["text"]
    attacks = [*islice(hostile.requests(random.Random(1)), WARM + count)]

    def hear() -> str:
        """What a stream of the recording becomes, as soon as there is room for one."""
        while True:
            try:
                headers = {"Authorization": f"Bearer {server.key}"}
                with connect(address, additional_headers=headers, ping_timeout=None, open_timeout=60) as socket:
                    socket.send(json.dumps({"config": {"sample_rate": 16_000, "words": False}}))
                    for start in range(0, len(SAMPLES), 6400):
                        socket.send(SAMPLES[start : start + 6400])
                    socket.send('{"eof": 1}')
                    return " ".join(json.loads(message).get("text", "") for message in socket).strip()
            except InvalidStatus:
                time.sleep(0.1)

    def attack(number: int) -> str:
        """How a request was answered; number: every hundredth is a good one."""
        if number % 200 == 100:
            return "good stream" if hear() == spoken else "wrong stream"
        if number % 100 == 0:
            status, _, body = server.send(TALK)
            return f"good, {status}" if status == 200 and json.loads(body)["text"] == expected else f"wrong, {status}"
        _, data, end = attacks[number]
        answer = hostile.attack(server.host, server.port, data, end, 1)
        return (
            f"hostile, {answer[9:12].decode()}" if answer.startswith(b"HTTP/1.1 ") else "hostile, no answer or unread"
        )

    def counts() -> str:
        """What could leak."""
        running.until(lambda: not any(server.metric(f'nicebeach_busy{{lane="{lane}"}}') for lane in ("speech", "live")))
        time.sleep(5)  # longer than patience lasts
        left = len([*server.temporary.iterdir()])
        sizes = f"{server.memory():.0f} MB, {server.files()} open files, {len(server.processes())} processes"
        return f"{sizes}, {left} temporary files"

    spoken = hear()
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(attack, range(WARM)))
        print(f"before: {counts()}", flush=True)
        started = time.monotonic()
        answers = Counter(threads.map(attack, range(WARM, WARM + count)))
    print(f"after:  {counts()}; {time.monotonic() - started:.0f} s")
    for answer, number in sorted(answers.items()):
        print(f"{number:6}  {answer}")
    told = Counter(line["message"][:100] for line in server.lines() if line["message"] != "request")
    statuses = Counter(line["status"] for line in server.lines() if line["message"] == "request")
    print("log:", dict(told), dict(statuses))
    print("exit code", server.end())
