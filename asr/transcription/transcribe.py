"""Many recordings to transcripts, several at a time, each told as soon as it is done."""

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from asr.audio.channels import Channel
from asr.audio.errors import AudioError
from asr.audio.reading import duration
from asr.recognizer import Recognizer
from asr.transcript import Transcript, formats, scored
from asr.transcription import workers
from asr.transcription.inputs import Recording, opened
from asr.transcription.outputs import Outcome, Output, as_text, printable
from asr.transcription.progress import Bar
from asr.transcription.workers import Died, Progress, Result

FORMATS = ("txt", "json", "srt", "vtt", "tsv", "ctm")
TABLE = "table"  # the one that explains
CTM_CHANNEL = {Channel.mix: "1", Channel.left: "1", Channel.right: "2", Channel.each: "1"}


@dataclass(frozen=True)
class Options:
    """What is transcribed of every recording, and in what form it is told."""

    formats: tuple[str, ...] = ("txt",)  # of FORMATS, or TABLE
    channel: Channel = Channel.mix
    start: float = 0.0  # seconds
    end: float | None = None
    word_times: bool = False
    confidence: bool = False
    nbest: int = 10  # hypotheses of a segment in JSON
    top: int = 10  # hypotheses of a segment in the table
    terminal: bool = False  # is the table for one?


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

    load: gives the recogniser, the same each time; what it has made before, all processes share.
    Ctrl-C ends it early; what is done by then is told.
    """
    done = failed = 0
    interrupted = False

    def work(recording: Recording, report: workers.Report) -> Outcome:
        return transcribe_one(load, recording, options, report if bar.tick else None)

    try:
        with closing(workers.share(recordings, work, processes, bar.tick)) as events:
            for event in events:
                if isinstance(event, Result | Died):
                    outcome = event.value if isinstance(event, Result) else Outcome({}, _death(event.signal))
                    with bar.hidden(), uninterrupted():
                        failed += not output.write(event.index, recordings[event.index], outcome)
                        done += 1
                    bar.finish(event.index)
                elif isinstance(event, Progress):
                    bar.advance(event.index, *event.report)
                bar.draw()
    except KeyboardInterrupt:
        interrupted = True
    bar.close()
    with suppress(KeyboardInterrupt), uninterrupted():
        output.close()
    return Summary(done, failed, interrupted)


def transcribe_one(
    load: Callable[[], Recognizer], recording: Recording, options: Options, report: workers.Report | None = None
) -> Outcome:
    """Transcribe a recording; whatever goes wrong becomes the outcome's problem."""
    try:
        if recording.problem:
            raise AudioError(recording.problem)
        try:
            recognizer = load()
        except ValueError as error:
            return Outcome({}, str(error))
        with opened(recording.path) as source:
            transcript = recognizer.transcribe(
                source,
                channel=options.channel,
                start=options.start,
                end=options.end,
                nbest=recognizer.search.config.nbest if TABLE in options.formats else options.nbest,
                progress=_steps(recording.path, options, report) if report else None,
            )
        texts = {form: render(form, recognizer, recording, transcript, options) for form in options.formats}
        return Outcome(texts, warnings=tuple(transcript.warnings))
    except AudioError as error:
        return Outcome({}, str(error))
    except MemoryError:
        return Outcome({}, "not enough memory: try --threads 1, or cut the recording")
    except Exception as error:  # a fault of ours shall not cost the other recordings
        described = " ".join(f"{type(error).__name__}: {error}".split())
        return Outcome({}, f"a fault of nicebeach ({described}): please report it")


def render(form: str, recognizer: Recognizer, recording: Recording, transcript: Transcript, options: Options) -> str:
    """A transcript in one of FORMATS, or the TABLE."""
    match form:
        case "txt":
            return formats.txt(transcript.words, options.word_times, options.confidence)
        case "tsv":
            return formats.tsv(transcript.words, options.word_times, options.confidence)
        case "srt":
            return formats.srt(transcript.words, options.word_times)
        case "vtt":
            return formats.vtt(transcript.words, options.word_times)
        case "ctm":
            return formats.ctm(transcript.words, printable(Path(recording.output)), CTM_CHANNEL[options.channel])
        case "json":
            item = scored.as_json(as_text(recording.path), transcript, recognizer.weights)
            return json.dumps(item) + "\n"
    weights = recognizer.search.weights, recognizer.weights
    return scored.table(printable(recording.path), transcript, *weights, options.top, options.terminal)


def _steps(path: Path, options: Options, report: workers.Report) -> Callable[[float], None]:
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


def _death(number: int) -> str:
    """The problem of a recording whose process died of a signal, or of none."""
    if number == signal.SIGKILL:
        return "its process was killed, perhaps for want of memory: try --threads 1"
    cause = signal.strsignal(number) if number else "it ended by itself"
    return f"its process died ({cause}): it may be damaged; convert it to wav"


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until this is over, so that nothing is left half told."""
    came = False

    def wait(*_: object) -> None:
        nonlocal came
        came = True

    before = signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt
