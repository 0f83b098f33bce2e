from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from asr.transcript import Segment, Transcript, Word
from asr.transcript.formats import ctm, cues, srt, tsv, txt, vtt

WORDS = [Word("RECOGNIZE", 0.1, 0.6, 0.9), Word("SPEECH", 0.6, 1.1, 0.8)]


def spoken(text: str, seconds: float = 0.3, pauses: dict[int, float] | None = None) -> list[Word]:
    """Words that last so long each, and the pauses before some of them."""
    words, time = [], 0.5
    for place, word in enumerate(text.split()):
        time += (pauses or {}).get(place, 0.0)
        words.append(Word(word, time, time + seconds, 0.5))
        time += seconds
    return words


def test_text() -> None:
    assert txt(WORDS) == "RECOGNIZE SPEECH\n"
    assert txt([*WORDS, *WORDS]) == "RECOGNIZE SPEECH RECOGNIZE SPEECH\n"
    assert txt([]) == "\n"
    assert txt(WORDS, word_times=True) == "0.10\t0.60\tRECOGNIZE\n0.60\t1.10\tSPEECH\n"
    assert txt(WORDS, confidence=True) == "0.900\tRECOGNIZE\n0.800\tSPEECH\n"


def test_tsv() -> None:
    assert tsv(WORDS) == "start\tend\ttext\n100\t1100\tRECOGNIZE SPEECH\n"
    assert tsv(WORDS, True, True).splitlines() == [
        "start\tend\ttext\tconfidence",
        "100\t600\tRECOGNIZE\t0.900",
        "600\t1100\tSPEECH\t0.800",
    ]
    assert tsv([]) == "start\tend\ttext\n"


def test_ctm() -> None:
    assert ctm(WORDS, "a talk", "2").splitlines() == [
        "a_talk 2 0.10 0.50 RECOGNIZE 0.900",
        "a_talk 2 0.60 0.50 SPEECH 0.800",
    ]


def test_subtitles() -> None:
    long = [*WORDS, Word("NICE", 3661.5, 3661.9, 0.5)]
    assert srt(long) == (
        "1\n00:00:00,100 --> 00:00:01,100\nRECOGNIZE SPEECH\n\n2\n01:01:01,500 --> 01:01:02,500\nNICE\n\n"
    )
    assert vtt(long).startswith("WEBVTT\n\n00:00:00.100 --> 00:00:01.100\nRECOGNIZE SPEECH\n\n")
    assert srt(long, word_times=True).count("-->") == 3
    assert (srt([]), vtt([])) == ("", "WEBVTT\n\n")
    assert Transcript(7200, [Segment(0, 7200, long, [])]).to_srt() == srt(long)


def test_cues_end_at_pauses() -> None:
    words = spoken("ONE TWO THREE FOUR FIVE SIX", pauses={2: 0.7, 4: 0.3})
    assert [cue.text for cue in cues(words)] == ["ONE TWO", "THREE FOUR FIVE SIX"]
    # What is too long for one is cut where the speaker drew breath, if that is near the middle.
    words = spoken("NUMBER " * 20, pauses={9: 0.1, 1: 0.4})
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
    for cue, block in zip(found, srt(words).split("\n\n"), strict=False):
        lines = block.split("\n")[2:]
        assert cue.start < cue.end
        assert " ".join(lines) == cue.text
        if len(cue.words) > 1:
            assert len(lines) <= 2
            assert cue.words[-1].end - cue.words[0].start <= 7
        for line in lines:
            assert len(line) <= 42 or " " not in line
