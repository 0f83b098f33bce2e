import os
import runpy
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.transcript import Word
from asr.transcript.formats import srt, vtt
from asr.transcript.subtitles import GAP, LINE, LONGEST, PACE, SHORTEST, Cue, cues, each_token
from asr.transcript.word import Token, tokens
from lm.bundle import DEFAULT

rules = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "rules.py")))
DATA = os.environ.get("NICEBEACH_DATA")


def spoken(text: str, seconds: float = 0.3, pauses: dict[int, float] | None = None) -> list[Token]:
    """Words that last so long each, and the pauses before some of them."""
    words, time = [], 0.5
    for place, word in enumerate(text.split()):
        time += (pauses or {}).get(place, 0.0)
        words.append(Word(word.upper(), time, time + seconds, 0.5, written=word))
        time += seconds
    return list(tokens(words))


def texts(found: Iterable[Cue]) -> list[str]:
    return [cue.lines for cue in found]


def test_cues_end_with_sentences_and_before_phrases() -> None:
    text = "We went there on Monday. The shop was closed, and so we had to come back another day with all our things."
    assert texts(cues(spoken(text))) == [
        "We went there on Monday.",
        "The shop was closed, and so we had to come\nback another day with all our things.",
    ]


@pytest.mark.parametrize("title", ["Mr.", "Mrs.", "Dr."])
def test_a_title_stays_with_its_name(title: str) -> None:
    found = "\n".join(texts(cues(spoken(f"Conduct in the case of persons like {title} Anderson was visited then."))))
    assert f"{title} Anderson" in found


def test_lines_break_at_commas() -> None:
    assert texts(cues(spoken("When it began to rain at noon, we all ran home."))) == [
        "When it began to rain at noon,\nwe all ran home."
    ]


def test_cues_end_at_pauses() -> None:
    assert texts(cues(spoken("one two three four five six seven", pauses={3: 1.0}))) == [
        "one two three",
        "four five six seven",
    ]


def test_a_cue_stays_as_long_as_it_is_read_if_the_next_leaves_it_the_time() -> None:
    text = "understanding nevertheless"  # 26 characters: 1.53 seconds
    alone = list(cues(spoken(text, 0.1)))
    assert alone[0].end - alone[0].start == pytest.approx(len(text) / PACE)
    brief = list(cues(spoken("no", 0.1)))
    assert brief[0].end - brief[0].start == pytest.approx(SHORTEST)
    first, second = cues(spoken(f"{text}. next", 0.1, {2: 1.2}))
    assert second.start - first.end >= GAP - 1e-9


def test_what_is_said_fast_begins_before_its_words_and_stays_into_the_pause() -> None:
    text = "It went slowly on, and on, and on again. Nevertheless everybody understands everything. Then it was over."
    _, fast, _ = cues(spoken(text, 0.4, {9: 1.0, 13: 1.0}))
    assert fast.text == "Nevertheless everybody understands everything."
    assert fast.tokens[-1].end - fast.tokens[0].start == pytest.approx(4 * 0.4)
    assert len(fast.text) / PACE <= fast.end - fast.start < len(fast.text) / PACE + 0.1
    assert fast.start < fast.tokens[0].start
    assert fast.end > fast.tokens[-1].end


def test_no_cue_strays_from_its_words() -> None:
    text = "Of what was said there nobody remembers anything, " * 40
    for seconds in (0.15, 0.25, 0.35):
        for cue in cues(spoken(text, seconds)):
            assert abs(cue.start - cue.tokens[0].start) < 0.51
            assert cue.end > cue.tokens[-1].end - 0.51 - GAP


def test_long_speech_is_divided_while_it_is_heard() -> None:
    taken = 0

    def heard() -> Iterable[Token]:
        nonlocal taken
        for taken, token in enumerate(spoken("and nobody ever came to an end " * 100)):  # noqa: B007
            yield token

    found = cues(heard())
    next(found)
    assert taken < 300
    assert not rules.broken_rules(srt([word for token in spoken("and so we went on " * 300) for word in token.words]))


@pytest.mark.skipif(DATA is None, reason="NICEBEACH_DATA names no folder with speech/LibriSpeech/dev-mini")
@pytest.mark.skipif(not (DEFAULT / "config.toml").exists(), reason="asr/default_model holds no models")
def test_recordings_one_after_the_other_have_subtitles_that_can_be_read() -> None:
    from asr import Recognizer
    from asr.audio.reading import load_cut
    from asr.cli.options import read_cuts

    cuts, _ = read_cuts(Path(str(DATA)) / "speech/LibriSpeech/dev-mini", limit=None)
    text = Recognizer().transcribe(np.concatenate([load_cut(cut) for cut in cuts])).to_srt()
    assert not rules.broken_rules(text)
    assert rules.too_fast(text) < 0.05


def test_what_is_written_together_stays_together() -> None:
    words = [
        Word("ON", 0, 0.2, 0.9, written="On"),
        Word("THE", 0.2, 0.3, 0.9, written="the"),
        Word("TWENTY", 0.3, 0.6, 0.8, written="23rd."),
        Word("THIRD", 0.6, 1.0, 0.6, written=""),
    ]
    found = list(tokens(words))
    assert [(token.text, token.start, token.end, token.confidence) for token in found] == [
        ("On", 0, 0.2, 0.9),
        ("the", 0.2, 0.3, 0.9),
        ("23rd.", 0.3, 1.0, pytest.approx(0.7)),
    ]
    assert texts(cues(found)) == ["On the 23rd."]
    assert srt(words).splitlines()[2] == "On the 23rd."
    assert [cue.text for cue in each_token(found)] == ["On", "the", "23rd."]


@st.composite
def speech(draw: st.DrawFn) -> list[Token]:
    """Words of any length and marks, some of which overlap or last long."""
    word = st.tuples(
        st.text("ab'", min_size=1, max_size=60),
        st.sampled_from(["", ".", ",", "?"]),
        st.floats(-0.1, 2),
        st.floats(0, 9),
    )
    words, time = [], 0.0
    for text, mark, pause, seconds in draw(st.lists(word, min_size=1, max_size=60)):
        start = max(0.0, time + pause)
        time = start + seconds
        words.append(Word(text.upper(), start, time, 0.5, written=text + mark))
    return list(tokens(words))


@given(speech(), st.sampled_from(["", "left: "]))
def test_cues_obey_the_rules(said: list[Token], label: str) -> None:
    found = list(cues(said, label))
    assert [token for cue in found for token in cue.tokens] == said
    for cue, following in pairwise(found):
        assert following.start - cue.end >= GAP - 1e-9
    for cue in found:
        assert 0 < cue.end - cue.start <= LONGEST + 1e-9
        rows = cue.lines.split("\n")
        assert " ".join(rows) == label + cue.text
        assert all(len(row) <= LINE or " " not in row.removeprefix(label) for row in rows)
        if len(cue.tokens) > 1:
            assert len(rows) <= 2


@given(speech())
def test_others_read_them_alike(said: list[Token]) -> None:
    words = [word for token in said for word in token.words]
    for text, form in ((srt(words), "srt"), (vtt(words), "vtt")):
        read = pysubs2.SSAFile.from_string(text, format_=form)
        assert [event.plaintext for event in read] == texts(cues(said))
        assert all(event.start < event.end for event in read)
        assert all(cue.end <= following.start for cue, following in pairwise(read))
