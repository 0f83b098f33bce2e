import json
from dataclasses import replace

import pytest

from asr.decoder.hypothesis import Hypothesis, Weights
from asr.transcript import Segment, Transcript, Word
from asr.transcript.scored import as_json, failure_as_json, table

FIRST_PASS, SECOND_PASS = Weights(0.5, 0.0, 1.0), Weights(0.5, 0.5, 1.0)
BEST = Hypothesis(("RECOGNIZE", "SPEECH"), acoustic=-12.0, ngram=-10.0, lstm=-6.0)
ACOUSTICS = Hypothesis(("WRECK", "A", "NICE", "BEACH"), acoustic=-9.0, ngram=-20.0, lstm=-24.0)
FIRST = Hypothesis(("RECOGNIZE", "BEACH"), acoustic=-11.5, ngram=-10.0, lstm=-20.0)
WORDS = [Word("RECOGNIZE", 0.1, 0.6, 0.9), Word("SPEECH", 0.6, 1.1, 0.8)]
ONE = Segment(0.0, 1.2, WORDS, [BEST, FIRST, ACOUSTICS])
SILENT = Transcript(10.0, [])
TWICE = Transcript(2.4, [ONE, ONE])


def item(transcript: Transcript) -> dict:
    return json.loads(json.dumps(as_json("1.wav", transcript, SECOND_PASS)))


def test_json_of_one_segment() -> None:
    assert item(Transcript(1.2, [ONE])) == {
        "file": "1.wav",
        "duration": 1.2,
        "text": "RECOGNIZE SPEECH",
        "segments": [{"start": 0.0, "end": 1.2, "text": "RECOGNIZE SPEECH"}],
        "words": [
            {"word": "RECOGNIZE", "start": 0.1, "end": 0.6, "confidence": 0.9},
            {"word": "SPEECH", "start": 0.6, "end": 1.1, "confidence": 0.8},
        ],
        "nbest": [
            {"text": "RECOGNIZE SPEECH", "acoustic": -12.0, "ngram": -10.0, "lstm": -6.0, "total": -18.0},
            {"text": "RECOGNIZE BEACH", "acoustic": -11.5, "ngram": -10.0, "lstm": -20.0, "total": -24.5},
            {"text": "WRECK A NICE BEACH", "acoustic": -9.0, "ngram": -20.0, "lstm": -24.0, "total": -27.0},
        ],
        "warnings": [],
        "error": None,
    }


def test_json_of_several_segments() -> None:
    several = item(TWICE)
    assert [len(segment["nbest"]) for segment in several["segments"]] == [3, 3]
    assert several["nbest"] == [
        {
            "text": "RECOGNIZE SPEECH RECOGNIZE SPEECH",
            "acoustic": -24.0,
            "ngram": -20.0,
            "lstm": -12.0,
            "total": -36.0,
        }
    ]


def test_json_of_channels() -> None:
    left = replace(ONE, channel="left", words=[replace(word, channel="left") for word in WORDS])
    right = replace(ONE, channel="right", words=[replace(word, channel="right") for word in WORDS])
    call = item(Transcript(1.2, [left, right]))
    assert [segment["channel"] for segment in call["segments"]] == ["left", "right"]
    assert [word["channel"] for word in call["words"]] == ["left", "right"] * 2
    assert call["text"] == "left: RECOGNIZE SPEECH\nright: RECOGNIZE SPEECH"
    shown = table("1.wav", Transcript(1.2, [left, right]), FIRST_PASS, SECOND_PASS, 1)
    assert "left, 0.00 to 1.20 s: 3 hypotheses" in shown


def test_json_of_silence_and_failure() -> None:
    nothing: dict[str, object] = {"segments": [], "words": [], "nbest": [], "warnings": []}
    assert item(SILENT) == {"file": "1.wav", "duration": 10.0, "text": "", "error": None} | nothing
    failed = failure_as_json("2.wav", "no such file")
    assert failed == {"file": "2.wav", "duration": None, "text": None, "error": "no such file"} | nothing


@pytest.mark.parametrize("top", [1, 10])
def test_table(top: int) -> None:
    lines = table("1.wav", Transcript(1.2, [ONE]), FIRST_PASS, SECOND_PASS, top).splitlines()
    assert lines[0] == "1.wav: RECOGNIZE SPEECH"
    headings = [line.split() for line in lines[3:5]]
    assert headings == [
        "n-gram LSTM words preferred".split(),
        "rank hypothesis acoustic × 0.5 × 0.5 × 1 total by".split(),
    ]
    # Those that less evidence prefers are shown however low they rank.
    rows = [line.split() for line in lines if line[:7].strip().isdigit()]
    assert rows == [
        "1 RECOGNIZE SPEECH -12.00 -10.00 -6.00 2 -18.00".split(),
        "2 RECOGNIZE BEACH -11.50 -10.00 -20.00 2 -24.50 first pass".split(),
        "3 WRECK A NICE BEACH -9.00 -20.00 -24.00 4 -27.00 acoustics".split(),
    ]
