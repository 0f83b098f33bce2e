"""Many recordings to transcripts, several at a time, each told as soon as it is done."""

import json
import mmap
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from asr.audio.channels import Channel
from asr.audio.errors import AudioError, problem_of
from asr.audio.reading import duration
from asr.audio.sound import clock
from asr.recognizer import Recognizer, total
from asr.transcript import Segment, Style, Transcript, Word, formats, scored
from asr.transcription.inputs import Recording, opened
from asr.transcription.outputs import Outcome, Output, as_text, printable
from asr.transcription.progress import Bar
from asr.workers import Died, HelperDied, Progress, Report, Result, Workers

FORMATS = ("txt", "json", "srt", "vtt", "tsv", "ctm")
STREAMED = ("txt", "srt", "vtt", "tsv", "ctm")  # those that can be written before a recording's end is known
TABLE = "table"  # the one that explains
CTM_CHANNEL = {Channel.mix: "1", Channel.left: "1", Channel.right: "2", Channel.each: "1"}
LOOK = 0.2  # seconds after which Ctrl-C is noticed
LEAVE = 5.0  # seconds that recordings have after it to hand over what is done


@dataclass(frozen=True)
class Options:
    """What is transcribed of every recording, and in what form it is told."""

    formats: tuple[str, ...] = ("txt",)  # of FORMATS, or TABLE
    channel: Channel = Channel.mix
    start: float = 0.0  # seconds
    end: float | None = None
    style: Style | None = None  # of text; None: readable, if the model can
    line_width: int | None = None  # characters of a line of txt
    timestamps: bool = False  # before paragraphs of txt?
    word_times: bool = False
    confidence: bool = False
    nbest: int = 10  # hypotheses of a segment in JSON
    top: int = 10  # hypotheses of a segment in the table
    terminal: bool = False  # is the table for one?
    stream: bool = False  # is the text reported segment by segment? formats is one of STREAMED then


@dataclass(frozen=True)
class Summary:
    """How many recordings were done, how many of them failed, and whether Ctrl-C ended it."""

    done: int
    failed: int
    interrupted: bool


def transcribe_all(
    load: Callable[[], Recognizer],
    recordings: Sequence[Recording],
    options: Options,
    output: Output,
    processes: int,
    bar: Bar,
) -> Summary:
    """Transcribe recordings, so many at a time, each in a process that may die without harm to the others.

    Where there are fewer left than `processes`, several share the work on one. load: gives the recogniser, the same
    each time; what it has made before, all processes share. Ctrl-C ends it early; what is done by then is told, of
    recordings under way as well. Another Ctrl-C doesn't wait for those.
    """
    done = failed = 0
    waiting = deque(range(len(recordings)))
    cores = mmap.mmap(-1, len(recordings) + 1)  # that may work on each, a byte each; shared by the processes
    cores[:-1] = bytes([1]) * len(recordings)

    def work(index: int, report: Report) -> Outcome:
        jobs = partial(cores.__getitem__, index)
        return transcribe_one(load, recordings[index], options, jobs, report, steps=bar.tick is not None)

    with interrupts() as presses, closing(Workers(work, leaders=True)) as workers:
        asked = False  # have those at work been asked for what is done?
        while waiting or workers.busy:
            while waiting and len(workers.busy) < processes:
                index = waiting.popleft()
                workers.start(index, index)
            if not waiting:
                for place, index in enumerate(busy := workers.busy):
                    cores[index] = min(255, processes // len(busy) + (place < processes % len(busy)))
            for event in workers.wait(LOOK):
                if isinstance(event, Progress):
                    if isinstance(event.report, str):
                        with bar.hidden():
                            output.add(event.report)
                    else:
                        bar.advance(event.key, *event.report)
                    continue
                outcome = event.value if isinstance(event, Result) else Outcome({}, _death(event.signal, processes))
                bar.finish(event.key)
                unfinished = outcome.partial or (asked and isinstance(event, Died))
                if not unfinished or outcome.warnings:
                    with bar.hidden():
                        written = output.write(event.key, recordings[event.key], outcome)
                    failed += not written
                done += not unfinished
            bar.draw()
            if presses and not asked:
                asked = True
                waiting.clear()
                workers.terminate()
            if presses and (len(presses) > 1 or time.monotonic() > presses[0] + LEAVE):
                break
        bar.close()
        output.close()
    return Summary(done, failed, bool(presses))


def transcribe_one(
    load: Callable[[], Recognizer],
    recording: Recording,
    options: Options,
    jobs: Callable[[], int],
    report: Report,
    steps: bool,
) -> Outcome:
    """Transcribe a recording; whatever goes wrong becomes the outcome's problem.

    jobs: how many processes may share the work. report: takes the text if it is to be streamed and, with `steps`, pairs
    of the seconds done since the last one and the share of the recording done, 0..1. SIGTERM ends it early.
    """
    try:
        if recording.problem:
            raise AudioError(recording.problem)
        try:
            recognizer = load()
        except ValueError as error:
            return Outcome({}, str(error))
        found: list[Segment] = []
        warnings: list[str] = []
        step = _steps(recording.path, options, report) if steps else None
        nbest = recognizer.search.config.nbest if TABLE in options.formats else options.nbest
        with opened(recording.path) as source:
            segments = _UntilTerminated(
                recognizer.listen(
                    source,
                    channel=options.channel,
                    start=options.start,
                    end=options.end,
                    nbest=nbest,
                    style=Style.plain if {*options.formats} <= {"ctm", TABLE} else options.style,
                    jobs=jobs,
                    warn=warnings.append,
                )
            )

            def kept() -> Iterator[Segment]:
                for segment in segments:
                    found.append(segment)
                    if step:
                        step(segment.end - options.start)
                    yield segment

            if options.stream:
                for text in stream(options.formats[0], recording, kept(), options):
                    report(text)
            else:
                deque(kept(), maxlen=0)
        if segments.terminated and not found:
            return Outcome({}, partial=True)
        if segments.terminated:
            warnings.append(f"interrupted: its transcript ends at {clock(found[-1].end)}")
        transcript = Transcript(total(found, options.start), found, warnings)
        forms = () if options.stream else options.formats
        texts = {form: render(form, recognizer, recording, transcript, options) for form in forms}
        return Outcome(texts, warnings=tuple(warnings), partial=segments.terminated)
    except MemoryError:
        return Outcome({}, "not enough memory: try --threads 1, or cut the recording")
    except HelperDied as death:
        return Outcome({}, _death(death.signal, jobs()))
    except Exception as error:
        return Outcome({}, problem_of(error))


class _Terminated(BaseException):
    pass


class _UntilTerminated:
    """Segments, until SIGTERM comes: the parent wants those that are there."""

    def __init__(self, segments: Iterator[Segment]) -> None:
        self._segments = segments
        self._waits = False  # for the next?
        self.terminated = False

    def __iter__(self) -> Iterator[Segment]:
        signal.signal(signal.SIGTERM, self._terminate)
        try:
            while not self.terminated:
                self._waits = True
                segment = next(self._segments, None)
                self._waits = False
                if segment is None:
                    return
                yield segment
        except (_Terminated, AudioError):  # what reads may take the one for the other
            if not self.terminated:
                raise
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the result comes anyway

    def _terminate(self, *_: object) -> None:
        self.terminated = True
        if self._waits:
            raise _Terminated


def stream(form: str, recording: Recording, segments: Iterator[Segment], options: Options) -> Iterator[str]:
    """A transcript in one of STREAMED, piece by piece as segments come; text has a line a segment."""
    words = chain.from_iterable(segment.words for segment in segments)
    match form:
        case "tsv":
            return formats.tsv_rows(formats.divided(words, options.word_times), options.confidence)
        case "srt":
            return formats.srt_cues(formats.divided(words, options.word_times))
        case "vtt":
            return formats.vtt_cues(formats.divided(words, options.word_times))
        case "ctm":
            return (_ctm(segment.words, recording, options) for segment in segments)
    return (_txt(segment.words, options) for segment in segments if segment.words)


def render(form: str, recognizer: Recognizer, recording: Recording, transcript: Transcript, options: Options) -> str:
    """A transcript in one of FORMATS, or the TABLE."""
    match form:
        case "txt":
            return _txt(transcript.words, options)
        case "tsv":
            return formats.tsv(transcript.words, options.word_times, options.confidence)
        case "srt":
            return formats.srt(transcript.words, options.word_times)
        case "vtt":
            return formats.vtt(transcript.words, options.word_times)
        case "ctm":
            return _ctm(transcript.words, recording, options)
        case "json":
            item = scored.as_json(as_text(recording.path), transcript, recognizer.weights)
            return json.dumps(item) + "\n"
    weights = recognizer.search.weights, recognizer.weights
    return scored.table(printable(recording.path), transcript, *weights, options.top, options.terminal)


def _txt(words: Sequence[Word], options: Options) -> str:
    return formats.txt(words, options.word_times, options.confidence, options.line_width, options.timestamps)


def _ctm(words: Sequence[Word], recording: Recording, options: Options) -> str:
    return formats.ctm(words, printable(Path(recording.output)), CTM_CHANNEL[options.channel])


def _steps(path: Path, options: Options, report: Report) -> Callable[[float], None]:
    """Takes the seconds done; reports those since the last time, and which share of the recording is done (0..1)."""
    known = duration(path) if path.is_file() else None
    end = min((seconds for seconds in (known, options.end) if seconds), default=0.0)
    before = 0.0

    def step(seconds: float) -> None:
        nonlocal before
        share = min(1.0, seconds / (end - options.start)) if end > options.start else 0.0
        report((seconds - before, share))
        before = seconds

    return step


def _death(number: int, processes: int) -> str:
    """The problem of a recording whose process died of a signal, or of none. processes: that were at work."""
    if number == signal.SIGKILL:
        mend = "try --threads 1" if processes > 1 else "take parts of it by --start and --end"
        return f"its process was killed, perhaps for want of memory: {mend}"
    cause = signal.strsignal(number) if number else "it ended by itself"
    return f"its process died ({cause}): it may be damaged; convert it to wav"


@contextmanager
def interrupts() -> Iterator[list[float]]:
    """The times at which Ctrl-C was pressed, by the monotonic clock; it interrupts nothing, so nothing is half told."""
    presses: list[float] = []
    before = signal.signal(signal.SIGINT, lambda *_: presses.append(time.monotonic()))
    try:
        yield presses
    finally:
        signal.signal(signal.SIGINT, before)
