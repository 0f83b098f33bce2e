"""Streams while they are spoken, by the models that ship, on the real recordings of tests/data."""

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio import reading
from asr.audio.errors import AudioError
from asr.live.events import Event, Final, Partial
from asr.live.live import Endpointing, Pieces, mono
from asr.recognizer import Recognizer
from asr.transcript import Segment, Style
from lm.bundle import DEFAULT

Cut = Callable[[np.ndarray], Sequence[np.ndarray]]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    if not (DEFAULT / "config.toml").exists():
        pytest.skip("asr/default_model holds no models")
    return Recognizer()


@pytest.fixture(scope="module")
def sound(recordings: dict[Path, str]) -> np.ndarray:
    """The three recordings with pauses between, 16 kHz."""
    pause = np.zeros(24_000, np.float32)
    return np.concatenate([part for path in recordings for part in (reading.load(path), pause)])


def pieces(size: int) -> Cut:
    return lambda sound: [sound[start : start + size] for start in range(0, len(sound), size)]


def heard(recognizer: Recognizer, sound: np.ndarray, cut: Cut, **options: object) -> list[Event]:
    live = recognizer.live(**options)  # type: ignore[arg-type]
    return [event for block in cut(sound) for event in live.accept(block)] + live.finish()


def finals(events: Sequence[Event]) -> list[Segment]:
    return [event.segment for event in events if isinstance(event, Final)]


@pytest.fixture(scope="module")
def events(recognizer: Recognizer, sound: np.ndarray) -> list[Event]:
    return heard(recognizer, sound, pieces(1600))


def check_grammar(events: Sequence[Event], seconds: float) -> None:
    """What was stable is kept, Finals are ordered, times grow, and each sample is in one segment."""
    begin, stable, shown = 0.0, list[str](), False
    for event in events:
        words = event.words if isinstance(event, Partial) else event.segment.words
        times = [time for word in words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert all(time >= begin for time in times)
        texts = [word.word for word in words]
        if isinstance(event, Partial):
            assert len(stable) <= event.stable <= len(words)
            assert texts[: len(stable)] == stable
            assert words or shown  # what is told first isn't that there is nothing
            stable, shown = texts[: event.stable], True
        else:
            assert texts[: len(stable)] == stable[: len(texts)]  # it may end before the last of them
            assert event.segment.start == begin < event.segment.end
            assert all(word.end <= event.segment.end for word in words)
            begin, stable, shown = event.segment.end, [], False
    assert not shown  # the last is a Final
    assert begin == pytest.approx(seconds, abs=0.01)


def test_words_come_while_they_are_spoken(events: list[Event], sound: np.ndarray, recordings: dict[Path, str]) -> None:
    check_grammar(events, len(sound) / 16_000)
    segments = [segment for segment in finals(events) if segment.words]
    assert len(segments) >= 3
    assert jiwer.wer(" ".join(recordings.values()), " ".join(word.word for s in segments for word in s.words)) < 0.2
    partials = [event for event in events if isinstance(event, Partial)]
    assert len(partials) > 30
    assert any(event.stable for event in partials)
    assert all(segment.nbest[0].lstm is not None for segment in segments)


def test_text_is_readable(recognizer: Recognizer, events: list[Event], sound: np.ndarray) -> None:
    """Finals have marks, Partials case alone."""
    segments = [segment for segment in finals(events) if segment.words]
    assert all(segment.text[0].isupper() and segment.text[-1] in ".?!" for segment in segments)
    partials = [event.text for event in events if isinstance(event, Partial) and event.words]
    assert all(text[0].isupper() and not text.isupper() and text[-1] not in ".,?!" for text in partials)
    plain = heard(recognizer, sound[:64_000], pieces(1600), style=Style.plain)
    assert all(event.text.isupper() or not event.text for event in plain)


def test_sizes_of_blocks_change_nothing(recognizer: Recognizer, events: list[Event], sound: np.ndarray) -> None:
    random = np.random.default_rng(1)

    def at_random(sound: np.ndarray) -> list[np.ndarray]:
        bounds = np.cumsum(np.exp(random.uniform(np.log(16), np.log(160_000), 200))).astype(int)
        return np.split(sound, bounds[bounds < len(sound)])

    assert heard(recognizer, sound, at_random) == events
    some = [heard(recognizer, sound[:64_000], cut) for cut in (pieces(16), pieces(1600), pieces(160_000))]
    assert some[0] == some[1] == some[2]


def test_other_rates_and_kinds_of_samples(recognizer: Recognizer, sound: np.ndarray) -> None:
    sound = sound[:110_000]
    expected = heard(recognizer, sound, pieces(1600))
    words = [segment.text for segment in finals(expected)]
    integers = (sound * 2**15).astype(np.int16)
    assert [segment.text for segment in finals(heard(recognizer, integers, pieces(1600)))] == words
    both = np.stack([sound, sound], axis=1)
    assert [segment.text for segment in finals(heard(recognizer, both, pieces(1600)))] == words
    faster = soxr.resample(sound, 16_000, 44_100)
    for cut in (pieces(441), pieces(100_000)):
        events = heard(recognizer, faster, cut, rate=44_100)
        check_grammar(events, len(sound) / 16_000)
        assert [segment.text for segment in finals(events)] == words


def test_speech_without_a_pause_is_divided_between_words(recognizer: Recognizer, sound: np.ndarray) -> None:
    whole = finals(heard(recognizer, sound[:108_000], pieces(1600), style=Style.plain))
    rules = Endpointing(silence=100, sentence=100, longest=4)
    events = heard(recognizer, sound[:108_000], pieces(1600), endpointing=rules)
    check_grammar(events, 6.75)
    segments = finals(events)
    assert len(segments) > len(whole)
    for segment, following in pairwise(segments):
        assert (segment.text[-1] in ".?!") == following.text[0].isupper()
    words = [word.word for segment in segments for word in segment.words]
    assert jiwer.wer(" ".join(segment.text for segment in whole), " ".join(words)) < 0.2


@pytest.mark.parametrize("kind", ["silence", "noise", "hum"])
def test_where_nobody_speaks_nothing_is_heard(recognizer: Recognizer, kind: str) -> None:
    now = np.arange(12 * 16_000) / 16_000
    made = {
        "silence": np.zeros(len(now)),
        "noise": 0.05 * np.random.default_rng(1).standard_normal(len(now)),
        "hum": sum(0.1 * np.sin(2 * np.pi * 50 * k * now + k) / k for k in (1, 2, 3, 4, 5)),
    }
    events = heard(recognizer, made[kind], pieces(16_000), endpointing=Endpointing(longest=5))
    check_grammar(events, 12)
    assert all(isinstance(event, Final) and not event.segment.words for event in events)
    assert len(events) >= 2  # so that memory is bounded


def test_hot_words_and_one_way_finals(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    path = DEFAULT.parents[1] / "tests/hot_words/5789-70653-0006.flac"
    sound = reading.load(path, start=7, end=11)
    preferred = recognizer.with_hot_words({"Mandersen": 4.0})
    events = heard(preferred, sound, pieces(1600))
    assert any("Mandersen" in event.text for event in events if isinstance(event, Partial))
    assert any("Mandersen" in segment.text for segment in finals(events))
    one_way = finals(heard(Recognizer(streaming=True), sound, pieces(1600)))
    assert any(segment.words for segment in one_way)


def test_a_grammar_hears_its_phrases_and_nothing_else(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    first, *others = (reading.load(path) for path in recordings)
    phrases = ["the week was going by", "Something had to be done.", "turn on the light", "Kubernetes"]
    only = recognizer.with_grammar(phrases)
    events = heard(only, first, pieces(1600))
    check_grammar(events, len(first) / 16_000)
    said = "SOMETHING HAD TO BE DONE THE WEEK WAS GOING BY".split()
    assert [word.word for segment in finals(events) for word in segment.words] == said
    assert all(word.word in said for event in events if isinstance(event, Partial) for word in event.words)
    for sound in others:
        assert only.transcribe(sound).words == []
    for phrases in ([], ["..."]):
        with pytest.raises(ValueError, match=r"needs a phrase|no letters"):
            recognizer.with_grammar(phrases)
    with pytest.raises(TypeError, match="a list of one"):
        recognizer.with_grammar("yes")


def test_threads_share_a_recognizer(recognizer: Recognizer, sound: np.ndarray) -> None:
    results: dict[int, list[Event]] = {}

    def work(number: int) -> None:
        results[number] = heard(recognizer, sound[:80_000], pieces(1600))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1] == heard(recognizer, sound[:80_000], pieces(1600))


def test_what_is_kept_of_the_past_does_not_grow(recognizer: Recognizer, sound: np.ndarray) -> None:
    live = recognizer.live(endpointing=Endpointing(longest=2))
    for block in pieces(1600)(sound[:320_000]):
        live.accept(block)
    assert sum(map(len, live._kept)) < 12 * 16_000
    assert len(live._before) <= 40


def test_ends(recognizer: Recognizer) -> None:
    live = recognizer.live()
    assert live.finish() == []
    assert live.finish() == []
    with pytest.raises(ValueError, match="finished: begin another"):
        live.accept(np.zeros(100))
    live = recognizer.live()
    assert live.accept([0.0] * 100) == []
    (final,) = live.finish()
    assert isinstance(final, Final)
    assert (final.segment.start, final.segment.end, final.segment.words) == (0.0, 0.01, [])


def test_what_is_no_stream(recognizer: Recognizer) -> None:
    with pytest.raises(AudioError, match="a sampling rate of 10 Hz is outside"):
        recognizer.live(rate=10)
    with pytest.raises(ValueError, match="nbest 0: want a whole number from 1"):
        recognizer.live(nbest=0)
    with pytest.raises(ValueError, match="Endpointing: silence -1: want"):
        Endpointing(silence=-1)
    live = recognizer.live()
    for block in (["a"], np.zeros((2, 2, 2)), np.zeros((2, 4000)), np.zeros(3, complex)):
        with pytest.raises(AudioError, match="give numbers"):
            live.accept(block)  # type: ignore[arg-type]
    live.accept(np.full(4000, np.nan))
    assert finals(live.finish())[0].words == []


def test_samples_of_all_kinds() -> None:
    for kind in ("int8", "int16", "int32"):
        info = np.iinfo(kind)
        assert mono(np.array([info.min, 0], kind)).tolist() == [-1, 0]
    assert mono(np.array([0, 128], np.uint8)).tolist() == [-1, 0]
    assert mono([[0.5, 0.0]]).tolist() == [0.25]
    assert mono([]).tolist() == mono(np.zeros((0, 2))).tolist() == []
    assert mono([1e30, np.inf, 0.5]).tolist() == [0, 0, 0.5]


@settings(max_examples=50)
@given(st.lists(st.integers(0, 20)), st.integers(1, 7))
def test_pieces_are_all_of_one_size(sizes: list[int], size: int) -> None:
    whole = np.arange(sum(sizes), dtype=np.float32)
    taken = Pieces(size)
    given_back = [piece for block in np.split(whole, np.cumsum(sizes)[:-1]) for piece in taken.accept(block)]
    assert all(len(piece) == size for piece in given_back)
    assert np.concatenate([*given_back, taken.rest]).tolist() == whole.tolist()
    assert all(one[-1] < other[0] for one, other in pairwise(given_back))
