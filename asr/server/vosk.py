"""Vosk's protocol for live streams, as its own server speaks it: github.com/alphacep/vosk-server, folder websocket.

A client may send settings first; then each message of samples is answered by the words so far or, when an utterance has
ended, by all of it, and {"eof": 1} by the last one. What isn't supported is refused by its name.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from asr.acoustic.model import FRAME_SECONDS
from asr.audio.errors import AudioError
from asr.live.events import Event, Final, Partial
from asr.live.live import Endpointing, Live
from asr.recognizer import Recognizer, has_letters
from asr.server.protocol import Samples
from asr.server.refusal import Refusal
from asr.transcript.word import Style, tokens

ANYTHING_ELSE = "[unk]"  # in Vosk's lists of phrases; ours are always open to it, and leave it out


class Config(Struct, forbid_unknown_fields=True, frozen=True):
    """What a client may set, with what Vosk's server has otherwise."""

    sample_rate: Annotated[float, Meta(gt=0, le=1_000_000)] = 8000.0
    words: bool = True
    phrase_list: Annotated[tuple[str, ...], Meta(max_length=10_000)] = ()
    max_alternatives: Annotated[int, Meta(ge=0, le=100)] = 0
    style: Style | None = Style.plain  # ours: Vosk has nothing else; None: readable if the model can


class Message(Struct, forbid_unknown_fields=True):
    """What is said in JSON."""

    config: dict[str, Any] | UnsetType = UNSET
    eof: int = 0


def _changed(config: Config, given: dict[str, Any]) -> Config:
    """The settings, but for those that are given; null changes nothing but the style. Raises Refusal for others."""
    new = {name: value for name, value in given.items() if value is not None or name == "style"}
    try:
        # Vosk takes 1 for true, and "8000" for 8000.
        return msgspec.convert(msgspec.to_builtins(config) | new, Config, strict=False)
    except msgspec.ValidationError as error:
        raise Refusal(400, f"config: {error}") from None


class Vosk:
    """See `Protocol`."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.over, self.seconds = False, 0.0
        self._recognizer, self._config = recognizer, Config()
        self._live: Live | None = None  # from the first samples on
        self._samples = Samples()
        self._partial = ""

    def begin(self) -> list[str]:
        return []

    def accept(self, message: str | bytes) -> list[str]:
        if isinstance(message, bytes):
            samples = self._samples.accept(message)
            self.seconds += len(samples) / self._config.sample_rate
            return [self._answer(self._begun().accept(samples))]
        try:
            said = msgspec.json.decode(message, type=Message, strict=False)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise Refusal(400, f"{error}: send config, eof or samples") from None
        if said.config is not UNSET:
            if self._live:
                raise Refusal(400, "config: came after samples: send it first")
            self._config = _changed(self._config, said.config)
        return self.end() if said.eof else []

    def end(self) -> list[str]:
        self.over = True
        return [self._result([event for event in self._begun().finish() if isinstance(event, Final)])]

    def _begun(self) -> Live:
        """The stream, made by the settings when it is needed."""
        if self._live is None:
            config, recognizer = self._config, self._recognizer
            phrases = [phrase for phrase in config.phrase_list if phrase != ANYTHING_ELSE and has_letters(phrase)]
            if config.style != Style.plain and config.max_alternatives:
                raise Refusal(400, "style: alternatives are plain alone: leave it out, or max_alternatives")
            try:
                # Behind any phrase of a list its end is likely.
                endpointing = Endpointing(likely=0.0 if config.phrase_list else Endpointing.likely)
                if config.phrase_list:
                    recognizer = recognizer.with_grammar(phrases)
                rate, nbest = round(config.sample_rate), max(1, config.max_alternatives)
                self._live = recognizer.live(rate, endpointing=endpointing, nbest=nbest, style=config.style)
            except (AudioError, ValueError) as error:
                raise Refusal(400, f"config: {error}") from None
            self._recognizer = recognizer
        return self._live

    def _answer(self, events: Sequence[Event]) -> str:
        """To a message of samples: utterances that ended within it are one."""
        finals = []
        for event in events:
            if isinstance(event, Partial):
                self._partial = self._written(event.text)
            else:
                self._partial = ""
                if event.segment.words:
                    finals.append(event)
        return self._result(finals) if finals else json.dumps({"partial": self._partial})

    def _result(self, finals: Sequence[Final]) -> str:
        if most := self._config.max_alternatives:
            count = max((min(most, len(final.segment.nbest)) for final in finals), default=1)
            return json.dumps({"alternatives": [self._alternative(finals, rank) for rank in range(count)]})
        words = [word for final in finals for word in final.segment.words]
        said: list[dict[str, Any]] = [
            {"conf": token.confidence, "end": token.end, "start": token.start, "word": self._written(token.text)}
            for token in tokens(words)
        ]
        text = {"text": " ".join(item["word"] for item in said)}
        return json.dumps(({"result": said} | text) if said and self._config.words else text)

    def _alternative(self, finals: Sequence[Final], rank: int) -> dict[str, Any]:
        """The hypotheses of that rank, or the last there are, joined; confidence: the score, as Vosk has it."""
        total, said = 0.0, list[dict[str, Any]]()
        for segment in (final.segment for final in finals):
            hypothesis = segment.nbest[min(rank, len(segment.nbest) - 1)]
            total += hypothesis.total(self._recognizer.weights)
            for word, times in zip(hypothesis.words, hypothesis.times, strict=True):
                start, end = (round(segment.start + frame * FRAME_SECONDS, 2) for frame in times)
                said.append({"end": end, "start": start, "word": self._written(word)})
        result = {"result": said} if said and self._config.words else {}
        return {"confidence": total} | result | {"text": " ".join(item["word"] for item in said)}

    def _written(self, text: str) -> str:
        return text.lower() if self._config.style == Style.plain else text
