"""OpenAI's interface to transcription: what a form asks for, and transcripts as it has them.

As of https://developers.openai.com/api/reference/resources/audio: what isn't supported is refused by its name.
"""

import json
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from asr.decoder.hypothesis import Weights
from asr.server.refusal import Refusal
from asr.transcript import Segment, Transcript, Word, formats, scored
from asr.transcript.alternatives import runners_up
from asr.transcript.word import tokens

MODEL = "nicebeach"
JSON, TEXT = "application/json", "text/plain; charset=utf-8"
OWN = "nicebeach_json"  # what `asr transcribe --format json` prints, and what else each word may have been
FORMATS = ("json", "text", "srt", "verbose_json", "vtt", OWN)
STREAMED = ("json", "text", OWN)
GRANULARITY = "timestamp_granularities"
LEAST = 1e-4  # confidence, of which a logarithm is told
MOST_KEYWORDS = 200

KNOWN = frozenset(
    "model language languages prompt keywords response_format timestamp_granularities stream include temperature "
    "chunking_strategy".split()
)


@dataclass(frozen=True)
class Wanted:
    """What a request asks for."""

    form: str = "json"  # of FORMATS
    stream: bool = False
    words: bool = False  # in verbose_json
    segments: bool = True  # likewise
    logprobs: bool = False
    prompt: str = ""  # whose rare words are listened for
    keywords: tuple[str, ...] = ()  # that are listened for


def wanted(fields: Iterable[tuple[str, str]]) -> Wanted:
    """What the fields of a form, but for the file, ask for. Raises Refusal if that can't be served."""
    given: dict[str, list[str]] = {}
    for name, value in fields:
        given.setdefault(name.removesuffix("[]"), []).append(value)
    for name in given.keys() - KNOWN:
        raise _refusal(name, "is not supported: leave it out", "unsupported_parameter")

    def one(name: str, default: str) -> str:
        values = given.get(name, [default])
        if len(values) > 1:
            raise _refusal(name, "is given more than once: give it once")
        return values[0]

    def among(name: str, value: str, choices: Sequence[str]) -> str:
        if value not in choices:
            raise _refusal(name, f"{value[:60]!r} is not supported: give {' or '.join(choices)}", "unsupported_value")
        return value

    if "model" not in given:
        raise _refusal("model", f"is missing: give {MODEL}", "missing_required_parameter")
    check_model(one("model", MODEL))
    for name in ("language", "languages"):
        for value in given.get(name, []):
            among(name, value.lower(), ("en", "english"))
    among("temperature", one("temperature", "0"), ("0", "0.0"))
    among("chunking_strategy", one("chunking_strategy", "auto"), ("auto",))
    form = among("response_format", one("response_format", "json"), FORMATS)
    stream = among("stream", one("stream", "false").lower(), ("true", "false")) == "true"
    if stream and form not in STREAMED:
        raise _refusal("stream", f"{form} is written when all is heard: give response_format json or text")
    kinds = {among(GRANULARITY, kind, ("word", "segment")) for kind in given.get(GRANULARITY, [])}
    if kinds and form != "verbose_json":
        raise _refusal(GRANULARITY, "are of response_format verbose_json alone")
    logprobs = [among("include", item, ("logprobs",)) for item in given.get("include", [])]
    if logprobs and form != "json":
        raise _refusal("include", "logprobs are of response_format json alone")
    keywords = given.get("keywords", [])
    if len(keywords) > MOST_KEYWORDS:
        raise _refusal("keywords", f"are more than {MOST_KEYWORDS}: give fewer")
    return Wanted(
        form,
        stream,
        words="word" in kinds,
        segments=kinds != {"word"},
        logprobs=bool(logprobs),
        prompt=one("prompt", ""),
        keywords=tuple(keywords),
    )


def check_model(name: str) -> None:
    """Raises Refusal for a model that there isn't."""
    if name != MODEL:
        raise Refusal(404, f"model {name[:60]!r} does not exist here: give {MODEL}", "model", "model_not_found")


def _refusal(param: str, problem: str, code: str = "invalid_value") -> Refusal:
    return Refusal(400, f"{param[:60]}: {problem}", param[:60], code)


# --- Answers ----------------------------------------------------------------------------------------------


def render(transcript: Transcript, want: Wanted, weights: Weights) -> tuple[str, str]:
    """The media type and the body of a transcript. weights: of the second pass."""
    match want.form:
        case "text":
            return TEXT, formats.txt(transcript.words)
        case "srt":
            return TEXT, formats.srt(transcript.words)
        case "vtt":
            return "text/vtt; charset=utf-8", formats.vtt(transcript.words)
        case "verbose_json":
            return JSON, json.dumps(_verbose(transcript, want))
        case _ if want.form == OWN:
            return JSON, json.dumps(own(transcript, weights))
    answer = {"text": transcript.text} | _logprobs(transcript.words, want) | _usage(transcript)
    return JSON, json.dumps(answer)


def delta(segment: Segment, want: Wanted, first: bool) -> dict[str, Any]:
    """The event of a segment. first: is nothing said before it?"""
    space = "" if first else " "
    event = {"type": "transcript.text.delta", "delta": space + segment.text}
    return event | _logprobs(segment.words, want, space) | ({"end": segment.end} if want.form == OWN else {})


def done(transcript: Transcript, want: Wanted, weights: Weights) -> dict[str, Any]:
    """The event that ends a stream."""
    event = {"type": "transcript.text.done", "text": transcript.text} | _logprobs(transcript.words, want)
    return event | _usage(transcript) | ({"transcript": own(transcript, weights)} if want.form == OWN else {})


def own(transcript: Transcript, weights: Weights) -> dict[str, Any]:
    """The object of `asr transcribe --format json`, where each segment has its own n-best list, and what else words
    may have been: in `alternatives`, one for each of its words.
    """
    item = scored.as_json("", transcript, weights)
    del item["file"], item["error"]
    if len(item["segments"]) == 1:
        item["segments"][0]["nbest"] = item["nbest"]
    for segment, described in zip(transcript.segments, item["segments"], strict=True):
        described["alternatives"] = runners_up(segment.nbest)
    return item | {"weights": {"ngram": weights.ngram, "lstm": weights.lstm, "word": weights.word}}


def _verbose(transcript: Transcript, want: Wanted) -> dict[str, Any]:
    answer: dict[str, Any] = {"task": "transcribe", "language": "english", "duration": transcript.duration}
    answer["text"] = transcript.text
    if want.words:
        answer["words"] = [
            {"word": token.text, "start": token.start, "end": token.end} for token in tokens(transcript.words)
        ]
    if want.segments:
        spoken = [segment for segment in transcript.segments if segment.words]
        answer["segments"] = [_segment(number, segment) for number, segment in enumerate(spoken)]
    return answer | _usage(transcript)


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    text = segment.text.encode()
    return {
        "id": number,
        "seek": 0,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "tokens": [],  # there are none: words are units
        "temperature": 0.0,
        "avg_logprob": sum(_log(word.confidence) for word in segment.words) / len(segment.words),
        "compression_ratio": len(text) / len(zlib.compress(text)),
        "no_speech_prob": 0.0,  # only segments with words are told
    }


def _usage(transcript: Transcript) -> dict[str, Any]:
    return {"usage": {"type": "duration", "seconds": math.ceil(transcript.duration)}}


def _logprobs(words: Sequence[Word], want: Wanted, space: str = "") -> dict[str, Any]:
    return {"logprobs": token_logprobs(words, space)} if want.logprobs else {}


def token_logprobs(words: Sequence[Word], space: str = "") -> list[dict[str, Any]]:
    """The logarithms of confidences, a token each; joined, the tokens are the text. space: before the first."""
    items = []
    for token in tokens(words):
        text = space + token.text
        items.append({"token": text, "logprob": _log(token.confidence), "bytes": list(text.encode())})
        space = " "
    return items


def _log(confidence: float) -> float:
    return round(math.log(max(confidence, LEAST)), 4)
