import re
from collections.abc import Callable

import pytest

from asr.transcript import Segment, Transcript, Word
from asr.transcript.formats import ctm, srt, tsv, txt, vtt

WORDS = [Word("RECOGNIZE", 0.1, 0.6, 0.9), Word("SPEECH", 0.6, 1.1, 0.8)]


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


CALL = [
    Word("HELLO", 0.5, 0.9, 0.9, "left"),
    Word("WHO", 1.6, 1.8, 0.8, "right"),
    Word("IS", 1.8, 2.0, 0.7, "right"),
    Word("I", 1.95, 2.0, 0.6, "left"),
    Word("AM", 2.0, 2.2, 0.6, "left"),
    Word("THIS", 2.1, 2.3, 0.5, "right"),
    Word("YES", 3.4, 3.6, 0.5, "right"),
]


def written(text: str, pauses: dict[int, float]) -> list[Word]:
    words, time = [], 0.0
    for place, token in enumerate(text.split()):
        time += pauses.get(place, 0.0)
        words.append(Word(token.strip(".,").upper(), time, time + 0.5, 0.9, written=token))
        time += 0.5
    return words


def test_readable_text_has_paragraphs() -> None:
    words = written("We met. He spoke. Then, after a while, she left. We stayed.", {2: 1.0, 4: 2.5, 5: 3.0, 9: 0.5})
    assert txt(words) == "We met. He spoke.\n\nThen, after a while, she left. We stayed.\n"
    assert txt(words, timestamps=True).startswith("[0:00:00] We met. He spoke.\n\n[0:00:05] Then, after")
    assert txt(words, line_width=20) == ("We met. He spoke.\n\nThen, after a while,\nshe left. We stayed.\n")
    assert (
        txt([Word("HELLO", 0, 1, 0.9, written="Hello."), Word("YOU", 5, 6, 0.9, written="You.")]) == "Hello.\n\nYou.\n"
    )


def test_long_paragraphs_end_where_a_breath_is_drawn() -> None:
    sentences = " ".join(["One two three four."] * 80)
    breaths = dict.fromkeys(range(100, 320, 100), 0.9)
    assert [len(part.split()) for part in txt(written(sentences, breaths)).split("\n\n")] == [100, 100, 100, 20]
    assert [len(part.split()) for part in txt(written(sentences, {})).split("\n\n")] == [160, 160]


def test_words_written_together_have_one_line() -> None:
    words = [Word("TWENTY", 0, 0.5, 0.9, written="23."), Word("THREE", 0.5, 1, 0.7, written="")]
    assert txt(words, word_times=True, confidence=True) == "0.00\t1.00\t0.800\t23.\n"
    assert ctm(words).splitlines() == ["- 1 0.00 0.50 TWENTY 0.900", "- 1 0.50 0.50 THREE 0.700"]


def test_readable_turns() -> None:
    call = [Word("HELLO", 0, 0.5, 0.9, "left", "Hello."), Word("YES", 1, 1.5, 0.9, "right", "Yes?")]
    assert txt(call) == "left: Hello.\n\nright: Yes?\n"


def test_channels_as_text_and_tables() -> None:
    assert txt(CALL) == "left: HELLO\nright: WHO IS THIS\nleft: I AM\nright: YES\n"
    assert txt(CALL, word_times=True, confidence=True).splitlines()[:2] == [
        "left\t0.50\t0.90\t0.900\tHELLO",
        "right\t1.60\t1.80\t0.800\tWHO",
    ]
    assert tsv(CALL).splitlines()[:3] == [
        "start\tend\ttext\tchannel",
        "500\t1500\tHELLO\tleft",
        "1600\t2600\tWHO IS THIS\tright",
    ]
    assert tsv(CALL, True, True).splitlines()[0] == "start\tend\ttext\tconfidence\tchannel"
    assert [line.split()[1::3] for line in ctm(CALL, "call", "9").splitlines()] == [
        *(["1", word.word] for word in CALL if word.channel == "left"),
        *(["2", word.word] for word in CALL if word.channel == "right"),
    ]


def test_channels_as_subtitles() -> None:
    assert srt(CALL).split("\n\n")[:3] == [
        "1\n00:00:00,500 --> 00:00:01,500\nleft: HELLO",
        "2\n00:00:01,600 --> 00:00:02,659\nright: WHO IS THIS",
        "3\n00:00:01,950 --> 00:00:02,950\nleft: I AM",
    ]
    assert vtt(CALL).split("\n\n")[1:3] == [
        "00:00:00.500 --> 00:00:01.500\n<v Left>HELLO",
        "00:00:01.600 --> 00:00:02.600\n<v Right>WHO IS THIS",
    ]
    # With the channel before them, they still fit.
    long = [Word("NUMBERED", 0.3 * number, 0.3 * number + 0.3, 0.5, "right") for number in range(9)]
    for block in srt(long).strip().split("\n\n"):
        lines = block.split("\n")[2:]
        assert len(lines) <= 2
        assert max(map(len, lines)) <= 42
        assert lines[0].startswith("right: ")


def test_more_channels_than_two_are_numbered() -> None:
    words = [Word("A", 10 - number, 10.5 - number, 0.5, str(number)) for number in range(1, 11)]
    assert txt(sorted(words, key=lambda word: word.start)).splitlines()[::9] == ["10: A", "1: A"]
    assert [line.split()[1] for line in ctm(words).splitlines()] == [str(number) for number in range(1, 11)]
    assert "<v 10>A" in vtt(words)


def test_what_players_would_take_for_something_else() -> None:
    words = [Word(word, number, number + 1, 0.5) for number, word in enumerate(["<unk>", "R&B", "-->", "{\\an8}"])]
    assert vtt(words).endswith("\n&lt;unk&gt; R&amp;B --&gt; {\\an8}\n\n")
    assert srt(words).endswith("\n[unk] R&B --] (\\an8)\n\n")
    assert txt(words) == "<unk> R&B --> {\\an8}\n"
    # Lines are as long as they are shown.
    line = "<unk> " * 6 + "AND"
    assert vtt([Word(word, 0, 1, 0.5) for word in line.split()]).split("\n")[3] == line.replace("<unk>", "&lt;unk&gt;")


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        (lambda: Word("A", float("nan"), 1, 0.5), "Word: start nan: want a finite number from 0"),
        (lambda: Word("A", 0, float("inf"), 0.5), "Word: end inf: want a finite number from 0"),
        (lambda: Word("A", -1, 1, 0.5), "Word: start -1: want a finite number from 0"),
        (lambda: Word("A", 0, 1, 1.5), "Word: confidence 1.5: want a number from 0 to 1"),
        (lambda: Word(b"A", 0, 1, 0.5), "Word: word b'A': want text in quotes"),
    ],
)
def test_words_that_are_none(word: Callable[[], Word], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        word()
