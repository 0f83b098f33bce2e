"""Has Whisper write down clips that nobody has transcribed, and keeps what it is sure of as a manifest to train on.

    pip install faster-whisper
    python recipes/robust/label.py CLIPS exp/manifests/taught.jsonl.gz --model WHISPER

CLIPS: a folder of clips of one sentence each, 30 s at most. WHISPER: a folder or name that faster-whisper knows, such
as base. It writes MANIFEST.labels.jsonl beside the manifest as it goes; the same command goes on with that.

A clip is kept if its text has no digits or signs (how they were said isn't known), says no three words twice, has 0.5
to 5 words a second, and a mean log-probability of a token of -0.5 or more. On 96 clips of Common Voice whose text is
known, greedy search of Whisper base makes 8.6 % errors, before anything is left out.
"""

import argparse
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import soundfile

SURE = -0.5  # mean log-probability of a token
SLOWEST, FASTEST = 0.5, 5.0  # words a second
LONGEST = 15.0  # seconds


def labelled(clips: Path, labels: Path, model: str) -> Iterator[dict[str, Any]]:
    """Path, text and score of each clip; those that `labels` has aren't heard again."""
    from faster_whisper import WhisperModel

    done = [json.loads(line) for line in labels.open()] if labels.exists() else []
    yield from done
    known = {label["path"] for label in done}
    whisper = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=1)
    with labels.open("a") as kept:
        for path in sorted(map(str, clips.iterdir())):
            if path in known:
                continue
            segments = list(whisper.transcribe(path, language="en", beam_size=1, without_timestamps=True)[0])
            score = min((segment.avg_logprob for segment in segments), default=-9.0)
            label = {"path": path, "text": "".join(segment.text for segment in segments).strip(), "score": score}
            print(json.dumps(label), file=kept, flush=True)
            yield label


def sure(text: str, seconds: float, score: float) -> bool:
    """Is a label to be trusted, and one that says how each word was said?"""
    words = re.findall(r"[a-z']+", text.lower())
    again = max(Counter(zip(words, words[1:], words[2:], strict=False)).values(), default=0) > 1
    odd = bool(re.search(r"[0-9$%&@#]", text)) or not text.isascii()
    in_time = SLOWEST < len(words) / max(seconds, 0.1) < FASTEST and seconds <= LONGEST
    return score >= SURE and in_time and not odd and not again


def cut(path: str, text: str) -> dict[str, Any]:
    """A clip as lhotse has it. Whose voice it is isn't known, so each clip is a speaker of its own."""
    sound, name = soundfile.info(path), Path(path).stem
    span = {"start": 0.0, "duration": sound.duration, "channel": 0}
    source = {"type": "file", "channels": [0], "source": path}
    recording = {"id": name, "sources": [source], "sampling_rate": sound.samplerate, "num_samples": sound.frames}
    recording |= {"duration": sound.duration, "channel_ids": [0]}
    said = {"id": name, "recording_id": name, **span, "text": text, "speaker": name}
    return {"id": name, **span, "supervisions": [said], "recording": recording, "type": "MonoCut"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--model", required=True)
    options = parser.parse_args()
    options.manifest.parent.mkdir(parents=True, exist_ok=True)
    labels = options.manifest.with_name(options.manifest.name + ".labels.jsonl")
    kept = left_out = 0
    with gzip.open(options.manifest, "wt") as manifest:
        for label in labelled(options.clips, labels, options.model):
            if sure(label["text"], soundfile.info(label["path"]).duration, label["score"]):
                print(json.dumps(cut(label["path"], label["text"])), file=manifest)
                kept += 1
            else:
                left_out += 1
    print(f"{options.manifest}: {kept} clips kept, {left_out} left out")


if __name__ == "__main__":
    main()
