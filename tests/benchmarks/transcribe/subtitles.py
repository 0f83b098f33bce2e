"""The subtitles of an hour of recordings, one after the other, by the rules of those who make them by hand.

OMP_NUM_THREADS=1 python tests/benchmarks/transcribe/subtitles.py --data $DATA/speech/LibriSpeech/dev-mini

The corpus's utterances follow each other as they were read, and again until the hour is full; --a-speaker takes so many
minutes of each speaker. Of the cues it tells how many there are, the share that has more than 17 characters a second
(bar: 5 %), and every other rule that is broken (bar: none); of the breaks between cues how many are at a pause, a
mark, or before a conjunction or preposition, and how many within a phrase; of the speech the share of ten seconds in
which more than 17 characters a second are said, which no cue of theirs alone could help; and how long it took to divide
the text, as a share of its transcription.
"""

import argparse
import runpy
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from asr import Recognizer
from asr.audio.features import SAMPLE_RATE
from asr.audio.reading import load_cut
from asr.cli.options import read_cuts
from asr.transcript.subtitles import BEGIN, GAP, PACE, PAUSE, Cue, cues
from asr.transcript.word import tokens

RULES = Path(__file__).parents[2] / "asr/transcript/rules.py"
TEN = 10.0  # seconds


def kind(cue: Cue, following: Cue) -> str:
    """Of the break between two cues."""
    last, first = cue.tokens[-1], following.tokens[0]
    if first.start - last.end >= PAUSE:
        return "a pause"
    if last.text[-1] in ".?!,;:—":
        return "a mark"
    return "before a phrase" if first.text.lower() in BEGIN else "within a phrase"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a corpus folder or a manifest")
    parser.add_argument("--minutes", type=float, default=60, help="of the recording (60)")
    parser.add_argument("--a-speaker", type=float, default=60, help="minutes of each speaker at most (60)")
    options = parser.parse_args()
    cuts, _ = read_cuts(options.data, None)
    waveforms: list[np.ndarray] = []
    length = 0.0
    while length < options.minutes * 60:
        said: Counter[str | None] = Counter()
        for cut in cuts:
            speaker = cut.supervisions[0].speaker
            if said[speaker] < options.a_speaker * 60 and length < options.minutes * 60:
                waveforms.append(load_cut(cut))
                said[speaker] += len(waveforms[-1]) / SAMPLE_RATE
                length += len(waveforms[-1]) / SAMPLE_RATE
    recognizer = Recognizer()
    started = time.process_time()
    transcript = recognizer.transcribe(np.concatenate(waveforms))
    spent = time.process_time() - started

    rules = SimpleNamespace(**runpy.run_path(str(RULES)))
    started = time.process_time()
    found = list(cues(tokens(transcript.words)))
    divided = time.process_time() - started
    broken = rules.broken_rules(transcript.to_srt())
    print(f"{len(found)} cues, {100 * rules.too_fast(transcript.to_srt()):.1f} % too fast, {len(broken)} break a rule")
    print("\n".join(broken[:10]), end="\n" * bool(broken))
    kinds = Counter(kind(cue, following) for cue, following in pairwise(found))
    print("breaks, %:", ", ".join(f"{name} {100 * count / kinds.total():.1f}" for name, count in kinds.most_common()))
    early = np.mean([cue.tokens[0].start - cue.start > 0.05 for cue in found])
    late = np.mean([cue.start - cue.tokens[0].start > 0.05 + GAP for cue in found])
    print(f"begin before their words: {100 * early:.0f} %, after: {100 * late:.0f} %")
    starts = np.array([token.start for token in tokens(transcript.words)])
    characters = np.array([len(token.text) + 1 for token in tokens(transcript.words)])
    paces = np.histogram(starts, np.arange(0, length, TEN), weights=characters)[0] / TEN
    print(f"speech of more than {PACE:.0f} characters a second: {100 * np.mean(paces > PACE):.0f} % of ten seconds")
    print(f"dividing took {100 * divided / spent:.1f} % of the time of transcription ({spent:.0f} s)")


if __name__ == "__main__":
    main()
