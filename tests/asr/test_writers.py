import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.decoder.hypothesis import Hypothesis, Weights
from asr.recognizer import Segment, Transcript, Word
from asr.writers import as_json, ctm, cues, failure_as_json, srt, table, tsv, txt, vtt

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


def spoken(text: str, seconds: float = 0.3, pauses: dict[int, float] | None = None) -> Transcript:
    """A transcript whose words last so long each, and the pauses before some of them."""
    words, time = [], 0.5
    for place, word in enumerate(text.split()):
        time += (pauses or {}).get(place, 0.0)
        words.append(Word(word, time, time + seconds, 0.5))
        time += seconds
    return Transcript(time, [Segment(0, time, words, [])])


def test_text() -> None:
    assert txt(Transcript(1.2, [ONE])) == "RECOGNIZE SPEECH\n"
    assert txt(TWICE) == "RECOGNIZE SPEECH RECOGNIZE SPEECH\n"
    assert txt(SILENT) == "\n"
    assert txt(Transcript(1.2, [ONE]), word_times=True) == "0.10\t0.60\tRECOGNIZE\n0.60\t1.10\tSPEECH\n"
    assert txt(Transcript(1.2, [ONE]), confidence=True) == "0.900\tRECOGNIZE\n0.800\tSPEECH\n"


def test_tsv() -> None:
    assert tsv(Transcript(1.2, [ONE])) == "start\tend\ttext\n100\t1100\tRECOGNIZE SPEECH\n"
    assert tsv(Transcript(1.2, [ONE]), True, True).splitlines() == [
        "start\tend\ttext\tconfidence",
        "100\t600\tRECOGNIZE\t0.900",
        "600\t1100\tSPEECH\t0.800",
    ]
    assert tsv(SILENT) == "start\tend\ttext\n"


def test_ctm() -> None:
    assert ctm(Transcript(1.2, [ONE]), "a talk", "2").splitlines() == [
        "a_talk 2 0.10 0.50 RECOGNIZE 0.900",
        "a_talk 2 0.60 0.50 SPEECH 0.800",
    ]


def test_subtitles() -> None:
    long = Transcript(7200, [replace(ONE, words=[*WORDS, Word("NICE", 3661.5, 3661.9, 0.5)])])
    assert srt(long) == (
        "1\n00:00:00,100 --> 00:00:01,100\nRECOGNIZE SPEECH\n\n2\n01:01:01,500 --> 01:01:02,500\nNICE\n\n"
    )
    assert vtt(long).startswith("WEBVTT\n\n00:00:00.100 --> 00:00:01.100\nRECOGNIZE SPEECH\n\n")
    assert srt(long, word_times=True).count("-->") == 3
    assert (srt(SILENT), vtt(SILENT)) == ("", "WEBVTT\n\n")
    assert long.to_srt() == srt(long)


def test_cues_end_at_pauses() -> None:
    words = spoken("ONE TWO THREE FOUR FIVE SIX", pauses={2: 0.7, 4: 0.3}).words
    assert [cue.text for cue in cues(words)] == ["ONE TWO", "THREE FOUR FIVE SIX"]
    # What is too long for one is cut where the speaker drew breath, if that is near the middle.
    words = spoken("NUMBER " * 20, pauses={9: 0.1, 1: 0.4}).words
    assert [len(cue.words) for cue in cues(words)] == [9, 11]


@given(
    st.lists(
        st.tuples(st.text("AB'", min_size=1, max_size=60), st.floats(-0.1, 2), st.floats(0, 9)), min_size=1, max_size=60
    )
)
def test_cues_fit_the_screen(drawn: list[tuple[str, float, float]]) -> None:
    words, time = [], 0.0
    for word, pause, seconds in drawn:
        start = max(0.0, time + pause)
        time = start + seconds
        words.append(Word(word, start, time, 0.5))
    found = cues(words)
    assert [word for cue in found for word in cue.words] == words
    for cue, following in pairwise(found):
        assert cue.end <= following.start
    for cue, block in zip(found, srt(Transcript(time, [Segment(0, time, words, [])])).split("\n\n"), strict=False):
        lines = block.split("\n")[2:]
        assert cue.start < cue.end
        assert " ".join(lines) == cue.text
        if len(cue.words) > 1:
            assert len(lines) <= 2
            assert cue.words[-1].end - cue.words[0].start <= 7
        for line in lines:
            assert len(line) <= 42 or " " not in line


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


def test_json_of_silence_and_failure() -> None:
    nothing: dict[str, object] = {"segments": [], "words": [], "nbest": []}
    assert item(SILENT) == {"file": "1.wav", "duration": 10.0, "text": "", "error": None} | nothing
    failed = failure_as_json("2.wav", "no such file")
    assert failed == {"file": "2.wav", "duration": None, "text": None, "error": "no such file"} | nothing


@pytest.mark.parametrize("top", [1, 10])
def test_table(top: int) -> None:
    lines = table("1.wav", Transcript(1.2, [ONE]), FIRST_PASS, SECOND_PASS, top).splitlines()
    assert lines[0] == "1.wav: RECOGNIZE SPEECH"
    headings = [line.split() for line in lines[3:5]]
    assert headings == ["n-gram LSTM words preferred".split(), "rank reading acoustic × 0.5 × 0.5 × 1 total by".split()]
    # Those that less evidence prefers are shown however low they rank.
    rows = [line.split() for line in lines if line[:7].strip().isdigit()]
    assert rows == [
        "1 RECOGNIZE SPEECH -12.00 -10.00 -6.00 2 -18.00".split(),
        "2 RECOGNIZE BEACH -11.50 -10.00 -20.00 2 -24.50 first pass".split(),
        "3 WRECK A NICE BEACH -9.00 -20.00 -24.00 4 -27.00 acoustics".split(),
    ]
