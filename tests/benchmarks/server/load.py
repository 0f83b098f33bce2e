"""How many recordings a server takes in a minute, beside faster-whisper behind a route of FastAPI.

    python tests/benchmarks/server/load.py [--whisper FOLDER] [--minutes N] [--clients N]

Clips of 10 s, cut from a recording of tests/data, are sent by so many clients (4), each of which sends the next when it
has its answer. Columns: from the start to the first answer of /health once the models are read, s; requests a minute;
p50 and p95 of a request, s; memory at the end, all processes together, what they share counted once (PSS), MB.

Both have 2 workers. --whisper: the folder of tiny.en for faster-whisper (see ../peers), which has int8, beam 5, two
replicas of a thread each.
"""

import argparse
import io
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile

TESTS = Path(__file__).parents[2]
running = SimpleNamespace(**runpy.run_path(str(TESTS / "asr/server/running.py")))

PEER = """
import io, sys
import uvicorn
from fastapi import FastAPI, UploadFile
from faster_whisper import WhisperModel

model = WhisperModel(sys.argv[1], device="cpu", compute_type="int8", cpu_threads=1, num_workers=2)
app = FastAPI()

@app.get("/health")
def health():
    return {}

@app.post("/v1/audio/transcriptions")
def transcriptions(file: UploadFile):
    segments, _ = model.transcribe(io.BytesIO(file.file.read()), beam_size=5)
    return {"text": " ".join(segment.text for segment in segments)}

uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""


class Peer(running.Server):  # type: ignore[misc]
    """Whisper, as `running.Server` is ours."""

    def __init__(self, folder: Path, model: str) -> None:
        self.key, self.host, self.port = None, "127.0.0.1", 8764
        (folder / "peer.py").write_text(PEER)
        command = [sys.executable, str(folder / "peer.py"), model, str(self.port)]
        self.process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})

        def there() -> bool:
            try:
                return bool(self.request("GET", "/health")[0] == 200)
            except OSError:
                return False

        running.until(there)


def clips() -> list[bytes]:
    """Ten of 10 s each, wav."""
    samples = np.concatenate([soundfile.read(path)[0] for path in sorted((TESTS / "data").glob("*.flac"))])
    made = []
    for number in range(10):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.roll(samples, -16_000 * number)[:160_000], 16_000, format="wav")
        made.append(buffer.getvalue())
    return made


def measure(name: str, start: float, server: running.Server, minutes: float, clients: int) -> None:
    """Send clips for so long, and print a row."""
    ready = time.monotonic() - start
    sounds, times = clips(), []
    server.send(sounds[0])
    begun = time.monotonic()
    end = begun + 60 * minutes

    def client(number: int) -> None:
        while (sent := time.monotonic()) < end:
            status, _, _ = server.send(sounds[number % 10])
            assert status == 200
            times.append(time.monotonic() - sent)
            number += clients

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = 60 * len(times) / (time.monotonic() - begun)
    p50, p95 = np.quantile(times, [0.5, 0.95])
    print(f"{name:<10} {ready:8.2f} {rate:9.0f} {p50:6.2f} {p95:6.2f} {server.memory():7.0f}", flush=True)
    server.end()


parser = argparse.ArgumentParser()
parser.add_argument("--whisper")
parser.add_argument("--minutes", type=float, default=1)
parser.add_argument("--clients", type=int, default=4)
options = parser.parse_args()
print(f"{'':<10} {'ready s':>8} {'a minute':>9} {'p50 s':>6} {'p95 s':>6} {'MB':>7}")
with tempfile.TemporaryDirectory() as folder:
    start = time.monotonic()
    measure("nicebeach", start, running.Server(Path(folder), "--workers", 2), options.minutes, options.clients)
    if options.whisper:
        start = time.monotonic()
        measure("whisper", start, Peer(Path(folder), options.whisper), options.minutes, options.clients)
