"""What an archive's results are: a row a recording, in a Parquet file of its own; docs/archives.md has the schema."""

import hashlib
import io
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from pyarrow import parquet
from pyarrow.json import ParseOptions, ReadOptions, read_json

from asr.archive.places import Item
from asr.decoder.hypothesis import Weights
from asr.transcript import Transcript, Word, formats, scored
from asr.transcript.alternatives import runners_up
from asr.transcription.outputs import as_text
from lm.bundle import Bundle
from lm.front import version

NBEST = 5  # hypotheses of a segment
TEXTS = ("txt", "srt", "json")  # that may be written beside the rows
VERSION = version()
UNREAD = "unread"  # stands for the content of what can't be read

_HYPOTHESIS = pa.struct([("text", pa.string()), *((score, pa.float64()) for score in scored.SCORES)])
_SEGMENT = pa.struct(
    [
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("channel", pa.string()),
        ("text", pa.string()),
        ("nbest", pa.list_(_HYPOTHESIS)),
    ]
)
_WORD = pa.struct(
    [
        ("word", pa.string()),
        ("written", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("confidence", pa.float64()),
        ("alternative", pa.string()),
        ("channel", pa.string()),
        ("segment", pa.int32()),
    ]
)
SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("content", pa.string()),
        ("bytes", pa.int64()),
        ("duration", pa.float64()),
        ("text", pa.string()),
        ("segments", pa.list_(_SEGMENT)),
        ("words", pa.list_(_WORD)),
        ("warnings", pa.list_(pa.string())),
        ("error", pa.string()),
        ("seconds", pa.float64()),
        ("nicebeach", pa.string()),
    ]
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Name:
    """Of a result: which content it is of, of which address, as that was listed; and whether it failed.

    So what is done can be told from two listings alone, and whatever writes a name twice writes the same.
    """

    content: str  # hexadecimal digits of its hash, or UNREAD
    address: str
    stamp: str
    failed: bool = False

    PATTERN = re.compile(r"([0-9a-f]{32}|unread)-([0-9a-f]{16})-([0-9a-f]{8})(\.failed)?\.parquet")

    @classmethod
    def of(cls, item: Item, content: str | None = None, failed: bool = False) -> "Name":
        """content: SHA-256 of the recording, if it could be read."""
        return cls(content[:32] if content else UNREAD, _short(item.address, 8), _short(item.stamp, 4), failed)

    @classmethod
    def parsed(cls, path: str) -> "Name | None":
        """None of what is no result's."""
        match = cls.PATTERN.fullmatch(path.rpartition("/")[2])
        return cls(match[1], match[2], match[3], bool(match[4])) if match else None

    @property
    def path(self) -> str:
        """Below the folder of the model's results."""
        failed = ".failed" * self.failed
        return f"part={self.content[:2]}/{self.content}-{self.address}-{self.stamp}{failed}.parquet"

    def is_of(self, item: Item) -> bool:
        """Whether it is a result of a recording as it is now."""
        return replace(self, content="", failed=False) == replace(Name.of(item), content="")


def _short(text: str, size: int) -> str:
    return hashlib.blake2b(os.fsencode(text), digest_size=size).hexdigest()


def identity(bundle: Bundle, settings: dict[str, Any]) -> str:
    """A name for what results depend on beside the recording: the model's files and settings, and those of the run."""
    known = json.dumps([bundle.config, settings], sort_keys=True)
    return f"m{hashlib.sha256(known.encode()).hexdigest()[:11]}"


def heard(item: Item, content: str, transcript: Transcript, weights: Weights, seconds: float) -> Row:
    """The row of a recording that was transcribed in so many seconds. weights: of the second pass."""
    segments = [
        {
            "start": segment.start,
            "end": segment.end,
            "channel": segment.channel,
            "text": segment.text,
            "nbest": [scored.scores(hypothesis, weights) for hypothesis in segment.nbest],
        }
        for segment in transcript.segments
    ]
    words = [
        {
            "word": word.word,
            "written": word.written,
            "start": word.start,
            "end": word.end,
            "confidence": word.confidence,
            "alternative": alternative,
            "channel": word.channel,
            "segment": number,
        }
        for number, segment in enumerate(transcript.segments)
        for word, alternative in zip(segment.words, runners_up(segment.nbest), strict=True)
    ]
    return {
        **_origin(item, content),
        "duration": transcript.duration,
        "text": transcript.text,
        "segments": segments,
        "words": words,
        "warnings": transcript.warnings,
        "error": None,
        "seconds": round(seconds, 3),
        "nicebeach": VERSION,
    }


def failed(item: Item, content: str | None, error: str, seconds: float) -> Row:
    """The row of a recording that can't be transcribed."""
    nothing: Row = {"duration": None, "text": None, "segments": [], "words": [], "warnings": []}
    return _origin(item, content) | nothing | {"error": error, "seconds": round(seconds, 3), "nicebeach": VERSION}


def _origin(item: Item, content: str | None) -> Row:
    return {"file": as_text(item.address), "content": content, "bytes": item.size}


def packed(row: Row) -> bytes:
    """A Parquet file of one row."""
    # By way of JSON, as Table.from_pylist imports pandas wherever that is installed: 30 MB in each process.
    data = os.fsencode(json.dumps(row))
    reading = ReadOptions(use_threads=False, block_size=len(data) + 1)
    table = read_json(io.BytesIO(data), reading, ParseOptions(explicit_schema=SCHEMA))
    out = io.BytesIO()
    # Of one row statistics say nothing; what Parquet needs anyway are 7 kB.
    parquet.write_table(table, out, compression="zstd", write_statistics=False)
    return out.getvalue()


def unpacked(data: bytes) -> Row:
    """The row of a file that `packed` made."""
    row: Row = parquet.ParquetFile(io.BytesIO(data)).read().to_pylist()[0]
    return row


def text(form: str, row: Row) -> str:
    """One of TEXTS of a row; JSON is the row itself."""
    if form == "json":
        return json.dumps(row) + "\n"
    names = ("word", "start", "end", "confidence", "channel", "written")
    words: Sequence[Word] = [Word(**{name: word[name] for name in names}) for word in row["words"]]
    if any(word.channel for word in words):  # as Transcript.words has them
        words = sorted(words, key=lambda word: word.start)
    return formats.txt(words) if form == "txt" else formats.srt(words)
