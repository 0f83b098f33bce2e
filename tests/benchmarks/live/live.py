"""Streams as they are spoken: how late words come, how many are taken back, errors, time of the processor, memory.

python tests/benchmarks/live/live.py --data $DATA/speech/LibriSpeech/dev-mini

Each chapter, its utterances glued together, is a stream in blocks of 100 ms. The clock is simulated: a block comes when
its last sample is spoken, and what it brings is there when the processor has spent on it what it really takes.
--streams plays so many at once to one core, which they share as processes do; --hours plays one for so long, as fast as
can be, and tells how memory and time grow; --sounds plays what is no speech, so many minutes of each.

shown: words that a Partial shows, each counted once, be it shown ever so often; a word that another takes the place of
is a new one. delay: from the end of a word, by the file's transcript, until it was first shown, of those that were.
lost by Partials, by Finals: shares of the shown words that a later Partial, or the Final, hasn't got. stable: share of
the Finals' words that were stable before, and how many of those the Final hasn't got. Final: from the end of an
utterance's last word, and from the block that ended it, to its Final.

Bars: delay 0.45 s, 0.8 s for nine of ten; 12 % of the words lost, 1 % of the stable ones; a Final within 0.8 s; within
0.5 points of the file's word error rate; 0.10 of a core; the same delays with 8 streams; 20 MB more after 10 hours; one
word a minute where nobody speaks. Linux only.
"""

import argparse
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy

import jiwer
import numpy as np
from lhotse.cut import Cut
from rapidfuzz.distance import Levenshtein
from rich import box
from rich.console import Console
from rich.table import Table

from asr import Recognizer, Word
from asr.audio.features import SAMPLE_RATE
from asr.audio.reading import load_cut
from asr.cli.options import read_cuts
from asr.live.events import Final, Partial
from asr.live.live import Live

BLOCK = SAMPLE_RATE // 10


@dataclass
class Shown:
    """A word on the screen."""

    word: Word
    since: float
    was_stable: bool = False


@dataclass
class Watcher:
    """Looks at the screen of one stream, and counts."""

    now: list[Shown] = field(default_factory=list)
    shown: int = 0
    lost_by_partials: int = 0
    lost_by_finals: int = 0
    stable: int = 0
    stable_lost: int = 0
    partial_words: list[str] = field(default_factory=list)
    finals: list[Shown] = field(default_factory=list)  # their words, since when they were shown; nan: not before
    final_delays: list[tuple[float, float]] = field(default_factory=list)  # from the last word, from the rules' moment
    lengths: list[float] = field(default_factory=list)

    def see(self, event: Partial | Final, clock: float, heard: float) -> None:
        """Take an event that is there at `clock`, when `heard` seconds had been spoken."""
        if isinstance(event, Partial):
            lost = self._go_on(event.words, clock)
            self.lost_by_partials += len(lost)
            for shown in self.now[: event.stable]:
                shown.was_stable = True
            return
        end = event.segment.end
        # What is said behind a seam goes on in the next utterance.
        later = [shown for shown in self.now if shown.word.start >= end]
        self.now = [shown for shown in self.now if shown.word.start < end]
        self.partial_words += [shown.word.word for shown in self.now]
        self.stable += sum(shown.was_stable for shown in self.now)
        lost = self._go_on(event.segment.words, float("nan"))
        self.lost_by_finals += len(lost)
        self.stable_lost += sum(shown.was_stable for shown in lost)
        self.finals += self.now
        self.lengths.append(end - event.segment.start)
        if self.now:
            self.final_delays.append((clock - self.now[-1].word.end, clock - heard))
        self.now = later

    def _go_on(self, words: list[Word], clock: float) -> list[Shown]:
        """Put other words on the screen; those that aren't there any more."""
        before, after = self.now, [Shown(word, clock) for word in words]
        kept = set()
        for block in Levenshtein.opcodes([shown.word.word for shown in before], [word.word for word in words]):
            if block.tag == "equal":
                pairs = zip(range(*_source(block)), range(block.dest_start, block.dest_end), strict=True)
                for old, new in pairs:
                    after[new] = Shown(words[new], before[old].since, before[old].was_stable)
                    kept.add(old)
        if clock == clock:
            self.shown += len(after) - len(kept)
        self.now = after
        return [shown for place, shown in enumerate(before) if place not in kept]


def _source(block: "Levenshtein.Opcode") -> tuple[int, int]:
    return block.src_start, block.src_end


@dataclass
class Stream:
    """A speaker."""

    sound: np.ndarray
    text: str
    file: list[Word]  # what the transcript of the file has
    live: Live
    watcher: Watcher = field(default_factory=Watcher)


@dataclass
class Job:
    """A block of a stream."""

    come: float  # when it was spoken
    left: float  # seconds of the processor that it needs still
    events: list[Partial | Final]
    done: float = 0.0


def play(streams: list[Stream]) -> float:
    """Play streams side by side to one core, each a little later than the one before; the seconds it is busy."""
    offsets = [0.1 * number / len(streams) for number in range(len(streams))]
    blocks = sorted(
        (offset + min(start + BLOCK, len(stream.sound)) / SAMPLE_RATE, number, start)
        for number, (stream, offset) in enumerate(zip(streams, offsets, strict=True))
        for start in range(0, len(stream.sound), BLOCK)
    )
    jobs: list[list[Job]] = [[] for _ in streams]
    for come, number, start in blocks:
        stream = streams[number]
        before = time.process_time()
        events = stream.live.accept(stream.sound[start : start + BLOCK])
        if start + BLOCK >= len(stream.sound):
            events += stream.live.finish()
        jobs[number].append(Job(come, time.process_time() - before, events))
    busy = sum(job.left for queue in jobs for job in queue)
    share(jobs)
    for stream, offset, queue in zip(streams, offsets, jobs, strict=True):
        for job in queue:
            for event in job.events:
                stream.watcher.see(event, job.done - offset, job.come - offset)
    return busy


def share(jobs: list[list[Job]]) -> None:
    """Tell when each job is done: a stream takes one after the other, and all that have one share the processor."""
    clock, queues = 0.0, [deque(queue) for queue in jobs]
    while first := [queue[0] for queue in queues if queue]:
        active = [job for job in first if job.come <= clock]
        changes = [clock + job.left * len(active) for job in active] + [job.come for job in first if job.come > clock]
        for job in active:
            job.left -= (min(changes) - clock) / len(active)
        clock = min(changes)
        for queue in queues:
            if queue and queue[0].left < 1e-9:
                queue.popleft().done = clock


def delays(stream: Stream) -> Iterator[float]:
    """Of the words that Finals and the file's transcript have both: from when they were said until they were shown."""
    finals = stream.watcher.finals
    said, file = [shown.word.word for shown in finals], [word.word for word in stream.file]
    for block in Levenshtein.opcodes(said, file):
        if block.tag == "equal":
            for place, other in zip(range(*_source(block)), range(block.dest_start, block.dest_end), strict=True):
                yield finals[place].since - stream.file[other].end


def chapters(data: Path) -> list[list[Cut]]:
    """The utterances of each chapter."""
    cuts, _ = read_cuts(data, None)
    groups = groupby(sorted(cuts, key=lambda cut: cut.id), key=lambda cut: cut.id.rpartition("-")[0])
    return [list(group) for _, group in groups]


def glued(cuts: list[Cut], seconds: float) -> tuple[np.ndarray, str]:
    """Sound and text, cut off behind the utterance that goes beyond so many seconds."""
    sounds, texts = [], []
    for cut in cuts:
        sounds.append(load_cut(cut))
        texts.append(cut.supervisions[0].text)
        if sum(map(len, sounds)) >= seconds * SAMPLE_RATE:
            break
    return np.concatenate(sounds), " ".join(texts)


def report(console: Console, title: str, streams: list[Stream], busy: float) -> None:
    seen = [stream.watcher for stream in streams]
    found = np.array([delay for stream in streams for delay in delays(stream)])
    before = found[~np.isnan(found)]
    shown = sum(one.shown for one in seen)
    by_partials, by_finals = sum(one.lost_by_partials for one in seen), sum(one.lost_by_finals for one in seen)
    stable, words = sum(one.stable for one in seen), sum(len(one.finals) for one in seen)
    last, moment = np.array([delay for one in seen for delay in one.final_delays]).T
    texts = [stream.text for stream in streams]

    def wer(said: list[list[str]]) -> str:
        return f"{100 * jiwer.wer(texts, [' '.join(words) for words in said]):.2f}"

    table = Table(title, "median", "9 of 10", "share", box=box.SIMPLE)
    table.add_row("delay of words shown, s", *(f"{np.percentile(before, p):.2f}" for p in (50, 90)))
    table.add_row("words no Partial showed, %", "", "", f"{100 * (1 - len(before) / len(found)):.1f}")
    table.add_row("shown, lost by Partials, %", "", "", f"{100 * by_partials / shown:.1f}")
    table.add_row("shown, lost by Finals, %", "", "", f"{100 * by_finals / shown:.1f}")
    table.add_row("stable, %", "", "", f"{100 * stable / words:.1f}")
    table.add_row("stable, lost by Finals, %", "", "", f"{100 * sum(one.stable_lost for one in seen) / stable:.1f}")
    table.add_row("Final behind the last word, s", *(f"{np.percentile(last, p):.2f}" for p in (50, 90)))
    table.add_row("Final behind the utterance's end, s", *(f"{np.percentile(moment, p):.2f}" for p in (50, 90)))
    table.add_row(
        "utterance, s", *(f"{np.percentile(np.concatenate([o.lengths for o in seen]), p):.1f}" for p in (50, 90))
    )
    table.add_row("WER of the file, %", "", "", wer([[word.word for word in stream.file] for stream in streams]))
    table.add_row("WER of Finals, %", "", "", wer([[one.word.word for one in watcher.finals] for watcher in seen]))
    table.add_row("WER of the last Partials, %", "", "", wer([watcher.partial_words for watcher in seen]))
    seconds = sum(len(stream.sound) for stream in streams) / SAMPLE_RATE
    table.add_row("core a stream", "", "", f"{busy / seconds:.3f}")
    console.print(table)


def resident() -> float:
    """MiB of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def long(recognizer: Recognizer, sound: np.ndarray, hours: float) -> None:
    """A stream for so long: memory and time of each tenth."""
    live, seconds = recognizer.live(), 0.0
    for tenth in range(10):
        before = time.process_time()
        begun = seconds
        while seconds < (tenth + 1) * 360 * hours:
            for start in range(0, len(sound), BLOCK):
                live.accept(sound[start : start + BLOCK])
            seconds += len(sound) / SAMPLE_RATE
        share = (time.process_time() - before) / (seconds - begun)
        print(f"after {seconds / 3600:.2f} h: {resident():.0f} MiB, {share:.3f} of a core", flush=True)


def no_speech(recognizer: Recognizer, minutes: float) -> None:
    random = np.random.default_rng(1)
    now = np.arange(round(60 * minutes) * SAMPLE_RATE) / SAMPLE_RATE
    notes = 220 * 2 ** (random.choice([0, 2, 4, 5, 7, 9, 11, 12], len(now) // 4000 + 1) / 12)
    phase = 2 * np.pi * np.cumsum(np.repeat(notes, 4000)[: len(now)]) / SAMPLE_RATE
    envelope = np.exp(-4 * (now % 0.25))
    made = {
        "silence": np.zeros(len(now)),
        "white noise": 0.05 * random.standard_normal(len(now)),
        "hum": 0.1 * sum(np.sin(2 * np.pi * 50 * k * now + k) / k for k in (1, 2, 3, 4, 5, 6, 8, 10)),
        "melody": 0.1 * envelope * sum(np.sin(k * phase) / k**1.3 for k in range(1, 7)),
    }
    for name, sound in made.items():
        live, watcher = recognizer.live(), Watcher()
        for start in range(0, len(sound), BLOCK):
            for event in live.accept(sound[start : start + BLOCK]):
                watcher.see(event, 0.0, 0.0)
        for event in live.finish():
            watcher.see(event, 0.0, 0.0)
        print(
            f"{name}: {len(watcher.finals) / minutes:.1f} words a minute in Finals, {watcher.shown / minutes:.1f} shown"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a corpus folder or a manifest")
    parser.add_argument("--model", type=Path, help="a model folder; the default is the one that ships")
    parser.add_argument("--seconds", type=float, default=100, help="of each chapter (100)")
    parser.add_argument("--streams", type=int, help="play so many at once, too")
    parser.add_argument("--hours", type=float, help="then one for so long")
    parser.add_argument("--sounds", type=float, help="then what is no speech, so many minutes of each kind")
    options = parser.parse_args()
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    recognizer, console = Recognizer(options.model), Console(width=100)
    spoken = chapters(options.data)

    def stream(number: int) -> Stream:
        """Beyond the last chapter the first again, from another utterance on."""
        again, number = divmod(number, len(spoken))
        first = again * len(spoken[number]) // 4
        sound, text = glued(spoken[number][first:] + spoken[number][:first], options.seconds)
        return Stream(sound, text, recognizer.transcribe(sound).words, recognizer.live())

    streams = [stream(number) for number in range(len(spoken))]
    report(console, "one at a time", streams, sum(play([one]) for one in streams))
    if options.streams:
        streams = [stream(number) for number in range(options.streams)]
        report(console, f"{options.streams} at once", streams, play(streams))
    if options.hours:
        long(recognizer, np.concatenate([stream.sound for stream in streams]), options.hours)
    if options.sounds:
        no_speech(recognizer, options.sounds)


if __name__ == "__main__":
    main()
