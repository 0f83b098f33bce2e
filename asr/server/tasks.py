"""What the child processes do: recordings to words, and what language models say."""

import json
import os
import signal
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from asr.audio.errors import AudioError
from asr.audio.reading import duration
from asr.recognizer import USUAL_NATS, Recognizer, hot_word, total
from asr.server import openai
from asr.server.protocol import Protocol
from asr.server.realtime import Agreed, Realtime
from asr.server.refusal import Refusal
from asr.server.vosk import Vosk
from asr.transcript import Segment, Transcript
from asr.workers import Report
from lm.answers import next_answer, score_answer
from lm.bundle import DEFAULT
from lm.query import Models, open_models
from lm.text.normalise import normalize

STANDING_BACK = 5  # niceness of those who work on recordings and questions, so that streams stay in time
FREQUENT = -9.2  # log P by the n-gram without a context: words above it (900) need no help to be heard


@dataclass(frozen=True)
class Hear:
    """A recording to transcribe. Of a stream each segment's event is reported, as JSON."""

    path: Path
    want: openai.Wanted


@dataclass(frozen=True)
class Ask:
    """A question to the language models: an answer of lm.answers and its arguments."""

    question: Literal["next", "score"]
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Stream:
    """A client's live stream, of which `Told` is reported: once at first, and for each `Part` that is sent then."""

    protocol: Literal["vosk", "realtime"]
    agreed: Agreed = field(default_factory=Agreed)  # of realtime


@dataclass(frozen=True)
class Part:
    """Of a message of a stream's client, or all of it; None: nothing more will come."""

    data: str | bytes | None
    last: bool = True


@dataclass(frozen=True)
class Told:
    """What a stream's client is told."""

    messages: tuple[str, ...] = ()
    sound: float = 0.0  # seconds that the part brought
    busy: float = 0.0  # seconds of a processor that it cost
    over: bool = False  # was that all?


@dataclass(frozen=True)
class Answer:
    """A body of that media type. seconds: how long the recording was."""

    media: str
    body: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Fault:
    """What went wrong through no fault of the client: a traceback."""

    trace: str


class Desk:
    """The models, read once, before processes are forked to work with them."""

    def __init__(self, model: Path | None, most_seconds: float) -> None:
        """Raises ValueError or OSError for a folder without them. most_seconds: of a recording."""
        self.recognizer = Recognizer(model)
        self.models: Models = open_models(model or DEFAULT)
        for name in self.models:
            _ = self.models[name]
        self._most = most_seconds

    def work(self, task: Hear | Ask, report: Report) -> Answer | Refusal | Fault:
        """What becomes of a task."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to everybody, perhaps; what is begun is finished
        os.setpriority(os.PRIO_PROCESS, 0, max(STANDING_BACK, os.getpriority(os.PRIO_PROCESS, 0)))
        try:
            return self._hear(task, report) if isinstance(task, Hear) else self._ask(task)
        except Refusal as refusal:
            return refusal
        except AudioError as error:
            return Refusal(400, f"file: {error}", "file", "invalid_value")
        except MemoryError:
            return Refusal(500, "not enough memory: try a shorter recording", code="out_of_memory")
        except Exception:
            return Fault(traceback.format_exc())

    def live(self, task: Stream, report: Report) -> Fault:
        """Attend to a stream. Returns only what is our fault: who has been told the rest cancels this."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            self._attend(task, report)
        except Refusal as refusal:
            report(refusal)
        except MemoryError:
            report(Refusal(500, "not enough memory: begin again", code="out_of_memory"))
        except Exception:
            return Fault(traceback.format_exc())
        while True:
            report.receive()

    def _attend(self, task: Stream, report: Report) -> None:
        realtime = task.protocol == "realtime"
        protocol: Protocol = Realtime(self._listening, task.agreed) if realtime else Vosk(self.recognizer)
        report(Told(tuple(protocol.begin())))
        while not protocol.over:
            message = _message(report)
            began, heard = time.process_time(), protocol.seconds
            answers = protocol.end() if message is None else protocol.accept(message)
            busy = time.process_time() - began
            report(Told(tuple(answers), protocol.seconds - heard, busy, protocol.over))

    def _hear(self, task: Hear, report: Report) -> Answer:
        want, path = task.want, task.path
        too_long = Refusal(400, f"file: lasts longer than {self._most:g} s: divide it", "file", "audio_too_long")
        if (duration(path) or 0.0) > self._most:
            raise too_long
        recognizer = self._listening(want.prompt, want.keywords)
        found: list[Segment] = []
        warnings: list[str] = []
        said = False
        # Headers may lie, so a second more is heard than is allowed.
        for segment in recognizer.listen(path, end=self._most + 1, warn=warnings.append):
            if segment.end > self._most:
                raise too_long
            found.append(segment)
            if want.stream and (segment.words or want.form == openai.OWN):
                report(json.dumps(openai.delta(segment, want, not said)))
            said |= bool(segment.words)
        transcript = Transcript(total(found, 0.0), found, warnings)
        if want.stream:
            event = openai.done(transcript, want, recognizer.weights)
            return Answer(openai.JSON, json.dumps(event), transcript.duration)
        return Answer(*openai.render(transcript, want, recognizer.weights), transcript.duration)

    @lru_cache(maxsize=2)  # noqa: B019  # of one desk; who transcribes many recordings has one list of names
    def _listening(self, prompt: str, keywords: tuple[str, ...]) -> Recognizer:
        boosts = dict.fromkeys(rare_words(self.recognizer, prompt), USUAL_NATS)
        for keyword in keywords:
            try:
                hot_word(keyword, USUAL_NATS)
            except ValueError as error:
                raise Refusal(400, f"keywords: {error}", "keywords", "invalid_value") from None
            boosts[keyword] = USUAL_NATS
        if len(boosts) > openai.MOST_KEYWORDS:
            raise Refusal(400, f"prompt: has more than {openai.MOST_KEYWORDS} rare words: shorten it", "prompt")
        return self.recognizer.with_hot_words(boosts) if boosts else self.recognizer

    def _ask(self, task: Ask) -> Answer:
        ask = next_answer if task.question == "next" else score_answer
        try:
            return Answer(openai.JSON, json.dumps(ask(self.models, **task.arguments)))
        except ValueError as error:
            raise Refusal(400, str(error), code="invalid_value") from None


def _message(report: Report) -> str | bytes | None:
    """The next one of a stream's client, put together; None: none will come."""
    part: Part = report.receive()
    message = part.data
    while not part.last:
        report(Told())
        part = report.receive()
        message += part.data  # type: ignore[operator]  # both are of one type
    return message


def rare_words(recognizer: Recognizer, prompt: str) -> list[str]:
    """The words of a prompt, as written, that are rare or unknown; frequent ones would only be heard too often."""
    ngram, vocabulary = recognizer.search.ngram, recognizer.search.vocabulary
    unigram = ngram.log_prob[ngram.ids] + ngram.shares
    rare = []
    for text in prompt.split():
        text = text.strip(".,;:!?\"'()[]")
        words = normalize(text)
        if any(word not in vocabulary or unigram[vocabulary.encode([word])[0]] < FREQUENT for word in words):
            rare.append(text)
    return [*dict.fromkeys(rare)]
