"""OpenAI's realtime transcription: sessions of type transcription, over WebSockets.

As of https://developers.openai.com/api/docs/guides/realtime-transcription: what isn't supported is refused by its name,
by an event of type `error`, after which the session goes on. Deltas are words that will stay, while they are spoken;
the transcript that completes an item comes of hearing all of it, and may differ from them.
"""

import base64
import binascii
import io
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from uuid import uuid4

import msgspec
import numpy as np
import soundfile
from msgspec import UNSET, Meta, Struct, UnsetType

from asr.audio.errors import AudioError
from asr.audio.sound import check_rate
from asr.live.events import Event, Partial
from asr.live.live import USUAL_ENDPOINTING, Endpointing, Live
from asr.recognizer import Recognizer
from asr.server import openai
from asr.server.protocol import Listening, Samples
from asr.server.refusal import Refusal
from asr.transcript import Segment, Word

TRANSCRIPTION = "conversation.item.input_audio_transcription"
RATE = 24_000  # Hz, of PCM
TELEPHONE = 8000  # Hz, of G.711
LAWS = {"audio/pcmu": "ULAW", "audio/pcma": "ALAW"}  # by libsndfile's names
LASTS = 3600  # seconds, which a session is said to last; it may last longer

# --- What clients send ------------------------------------------------------------------------------------

Text = Annotated[str, Meta(max_length=10_000)]


class Strict(Struct, forbid_unknown_fields=True, frozen=True):
    """What isn't known is told by its name."""


class Format(Strict, frozen=True):
    """Of the samples; OpenAI has PCM at 24 kHz alone, we at any rate."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int = RATE

    @property
    def hertz(self) -> int:
        return TELEPHONE if self.type in LAWS else self.rate


class Transcription(Strict, frozen=True):
    """What is listened for."""

    model: str = openai.MODEL
    language: Literal["en"] = "en"
    languages: tuple[Literal["en"], ...] = ()
    prompt: Text = ""
    keywords: Annotated[tuple[Text, ...], Meta(max_length=openai.MOST_KEYWORDS)] = ()


class ServerVad(Strict, frozen=True, tag_field="type", tag="server_vad"):
    """An utterance ends after so much silence. All sound is heard, so that padding changes nothing."""

    silence_duration_ms: Annotated[int, Meta(ge=100, le=20_000)] = 500
    prefix_padding_ms: Annotated[int, Meta(ge=0)] = 300
    threshold: Annotated[float, Meta(ge=0.5, le=0.5)] = 0.5


class SemanticVad(Strict, frozen=True, tag_field="type", tag="semantic_vad"):
    """It ends sooner where a sentence is likely to have ended, as ours do."""

    eagerness: Literal["auto", "medium"] = "auto"


class Input(Strict, frozen=True):
    """Of a session."""

    format: Format = Format()
    transcription: Transcription = Transcription()
    turn_detection: ServerVad | SemanticVad | None = SemanticVad()
    noise_reduction: None = None


class Given(Strict, frozen=True):
    """Of an update; what is unset stays as it was."""

    format: Format | UnsetType = UNSET
    transcription: Transcription | UnsetType = UNSET
    turn_detection: ServerVad | SemanticVad | UnsetType | None = UNSET
    noise_reduction: UnsetType | None = UNSET


class Audio(Strict, frozen=True):
    input: Given = Given()


class Session(Strict, frozen=True, tag_field="type", tag="transcription"):
    """What a client wants of a session."""

    audio: Audio = Audio()
    include: list[Literal["item.input_audio_transcription.logprobs"]] | UnsetType | None = UNSET


class Update(Strict, frozen=True, tag_field="type", tag="session.update"):
    session: Session
    event_id: str | None = None


class Append(Strict, frozen=True, tag_field="type", tag="input_audio_buffer.append"):
    audio: str  # base64
    event_id: str | None = None


class Commit(Strict, frozen=True, tag_field="type", tag="input_audio_buffer.commit"):
    event_id: str | None = None


class Clear(Strict, frozen=True, tag_field="type", tag="input_audio_buffer.clear"):
    event_id: str | None = None


class Named(Struct):
    """Any of them."""

    event_id: Any = None


class Agreed(Strict, frozen=True):
    """What a session is like."""

    input: Input = Input()
    logprobs: bool = False

    def changed(self, session: Session) -> "Agreed":
        """As a client wants it from now on. Raises Refusal if that isn't possible."""
        given = msgspec.structs.asdict(session.audio.input).items()
        new = msgspec.structs.replace(self.input, **{name: value for name, value in given if value is not UNSET})
        openai.check_model(new.transcription.model)
        try:
            check_rate(new.format.hertz)
        except AudioError as error:
            raise Refusal(400, f"session.audio.input.format.rate: {error}", "session.audio.input.format.rate") from None
        return Agreed(new, self.logprobs if session.include is UNSET else bool(session.include))


# --- What they are answered -------------------------------------------------------------------------------


@dataclass
class Item:
    """What becomes one transcript."""

    id: str = field(default_factory=lambda: f"item_{uuid4().hex[:20]}")
    segments: list[Segment] = field(default_factory=list)  # of utterances that ended
    told: str = ""  # by deltas

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments if segment.words)

    @property
    def words(self) -> list[Word]:
        return [word for segment in self.segments for word in segment.words]


class Realtime:
    """See `Protocol`."""

    def __init__(self, listening: Listening, agreed: Agreed) -> None:
        """Raises Refusal for a prompt or keywords that can't be listened for."""
        self.over, self.seconds = False, 0.0
        self._listening = listening
        self._id = f"sess_{uuid4().hex[:20]}"
        self._expires = int(time.time()) + LASTS
        self._agreed, self._recognizer = agreed, _recognizer(listening, agreed)
        self._live: Live | None = None
        self._began = 0.0  # seconds that had come before it
        self._samples = Samples()
        self._heard = False  # did anything come since the last commit?
        self._item: Item | None = None  # that isn't committed yet
        self._last: str | None = None  # item that was
        self._events: list[str] = []

    def begin(self) -> list[str]:
        self._tell("session.created", session=self._session())
        return self._told()

    def accept(self, message: str | bytes) -> list[str]:
        event_id = None
        try:
            event_id = _named(message)
            self._take(msgspec.json.decode(message, type=Update | Append | Commit | Clear))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            self._events.append(fault(_refusal(error), event_id))
        except Refusal as refusal:
            self._events.append(fault(refusal, event_id))
        return self._told()

    def end(self) -> list[str]:
        self.over = True
        self._finish()
        if self._item:
            self._commit()
        return self._told()

    def _take(self, event: Update | Append | Commit | Clear) -> None:
        match event:
            case Update():
                self._update(event.session)
            case Append():
                self._append(event.audio)
            case Commit():
                if not self._heard:
                    problem = "input_audio_buffer.commit: nothing came since the last: append sound first"
                    raise Refusal(400, problem, code="input_audio_buffer_commit_empty")
                self._finish()
                if self._heard:  # and it wasn't committed by the end of an utterance
                    self._begin_item()
                    self._commit()
            case Clear():
                self._live, self._item, self._heard, self._samples = None, None, False, Samples()
                self._tell("input_audio_buffer.cleared")

    def _update(self, session: Session) -> None:
        """What isn't possible changes nothing."""
        new = self._agreed.changed(session)
        recognizer = _recognizer(self._listening, new)
        if new.input != self._agreed.input:
            self._finish()
        self._agreed, self._recognizer = new, recognizer
        self._tell("session.updated", session=self._session())

    def _append(self, audio: str) -> None:
        try:
            data = base64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refusal(400, f"audio: is no base64 ({error})", "audio", "invalid_value") from None
        samples = self._decoded(data)
        if self._live is None:
            self._began = self.seconds
            rate, endpointing = self._agreed.input.format.hertz, self._endpointing()
            self._live = self._recognizer.live(rate, endpointing=endpointing, nbest=1)
        self.seconds += len(samples) / self._agreed.input.format.hertz
        self._heard |= len(samples) > 0
        self._hear(self._live.accept(samples))

    def _decoded(self, data: bytes) -> np.ndarray:
        """int16 [n]"""
        law = LAWS.get(self._agreed.input.format.type)
        if law is None:
            return self._samples.accept(data)
        file = io.BytesIO(data)
        return soundfile.read(file, format="RAW", subtype=law, samplerate=TELEPHONE, channels=1, dtype="int16")[0]

    def _endpointing(self) -> Endpointing:
        rule = self._agreed.input.turn_detection
        if not isinstance(rule, ServerVad):
            return USUAL_ENDPOINTING
        return Endpointing(silence=rule.silence_duration_ms / 1000, sentence=rule.silence_duration_ms / 1000)

    def _finish(self) -> None:
        """Hear the end of what came, as the end of an utterance."""
        if self._live:
            self._hear(self._live.finish())
            self._live = None

    def _hear(self, events: Sequence[Event]) -> None:
        """What deltas tell, and with turn detection what is committed."""
        for event in events:
            if isinstance(event, Partial):
                if event.words:
                    item = self._begin_item(event.words[0].start)
                    stable = Partial(event.words[: event.stable], event.stable).text
                    self._delta(item, " ".join(filter(None, [item.text, stable])))
            elif event.segment.words or self._item:
                item = self._begin_item(event.segment.words[0].start if event.segment.words else 0.0)
                item.segments.append(event.segment)
                self._delta(item, item.text)
                item.told = item.text  # if not, only what follows it is told from now on
                if self._agreed.input.turn_detection:
                    end = max((word.end for word in event.segment.words), default=event.segment.end)
                    self._tell("input_audio_buffer.speech_stopped", item_id=item.id, audio_end_ms=self._ms(end))
                    self._commit()

    def _begin_item(self, start: float = 0.0) -> Item:
        """The item that goes on, or a new one, from that second of the stream on."""
        if self._item is None:
            self._item = Item()
            if self._agreed.input.turn_detection and self._live:
                started = {"item_id": self._item.id, "audio_start_ms": self._ms(start)}
                self._tell("input_audio_buffer.speech_started", **started)
        return self._item

    def _delta(self, item: Item, text: str) -> None:
        """Tell what is new in the text, unless it began otherwise."""
        if len(text) > len(item.told) and text.startswith(item.told):
            self._tell(f"{TRANSCRIPTION}.delta", item_id=item.id, content_index=0, delta=text[len(item.told) :])
            item.told = text

    def _commit(self) -> None:
        item = self._begin_item()
        self._tell("input_audio_buffer.committed", item_id=item.id, previous_item_id=self._last)
        shown = {
            "id": item.id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        for step in ("added", "done"):
            self._tell(f"conversation.item.{step}", item=shown, previous_item_id=self._last)
        seconds = sum(segment.end - segment.start for segment in item.segments)
        self._tell(
            f"{TRANSCRIPTION}.completed",
            item_id=item.id,
            content_index=0,
            transcript=item.text,
            usage={"type": "duration", "seconds": round(seconds, 2)},
            **({"logprobs": openai.token_logprobs(item.words)} if self._agreed.logprobs else {}),
        )
        self._last, self._item, self._heard = item.id, None, False

    def _session(self) -> dict[str, Any]:
        return described(self._id, self._expires, self._agreed)

    def _ms(self, seconds: float) -> int:
        """Of all that came, from seconds of the stream."""
        return round(1000 * (self._began + seconds))

    def _tell(self, kind: str, **fields: Any) -> None:
        self._events.append(json.dumps({"type": kind, "event_id": _event_id(), **fields}))

    def _told(self) -> list[str]:
        events, self._events = self._events, []
        return events


def check_query(query: Mapping[str, str]) -> None:
    """Of the address. Raises Refusal for what isn't supported."""
    for name in query:
        if name not in ("model", "intent"):
            raise Refusal(400, f"{name[:60]}: is not supported: leave it out", name[:60], "unsupported_parameter")
    openai.check_model(query.get("model", openai.MODEL))
    if query.get("intent", "transcription") != "transcription":
        raise Refusal(400, "intent: give transcription: there is nobody to talk to", "intent", "unsupported_value")


def described(name: str, expires: int, agreed: Agreed) -> dict[str, Any]:
    """A session's object. expires: seconds since 1970."""
    return {
        "id": name,
        "object": "realtime.transcription_session",
        "type": "transcription",
        "expires_at": expires,
        "audio": {"input": msgspec.to_builtins(agreed.input)},
        "include": ["item.input_audio_transcription.logprobs"] if agreed.logprobs else None,
    }


def fault(refusal: Refusal, event_id: str | None = None) -> str:
    """The event that tells it. event_id: of what is refused."""
    error = refusal.body["error"] | {"event_id": event_id}
    return json.dumps({"type": "error", "event_id": _event_id(), "error": error})


def _recognizer(listening: Listening, agreed: Agreed) -> Recognizer:
    return listening(agreed.input.transcription.prompt, agreed.input.transcription.keywords)


def _event_id() -> str:
    return f"event_{uuid4().hex[:20]}"


def _named(message: str | bytes) -> str | None:
    """The event_id that a client gave."""
    given = msgspec.json.decode(message, type=Named).event_id
    return given if isinstance(given, str) else None


def _refusal(error: Exception) -> Refusal:
    """What msgspec says is wrong, and where."""
    where = re.search(r"at `\$\.([^`]*)`", str(error))
    return Refusal(400, str(error), where and where[1], "invalid_value")
