"""The models that ship, on the real recordings of tests/data; and what becomes of segments, with tiny models."""

from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile

from asr import audio
from asr.decoder.rescore import rescore, state_after
from asr.recognizer import Recognizer, Segment
from asr.segments import cut_at_silence
from lm.bundle import DEFAULT


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    if not (DEFAULT / "config.toml").exists():
        pytest.skip("asr/default_model holds no models")
    return Recognizer()


def test_real_recordings(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    texts = {path: recognizer.transcribe(path).text for path in recordings}
    assert jiwer.wer(list(recordings.values()), list(texts.values())) < 0.3


def test_times_and_confidences(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    for path in recordings:
        transcript = recognizer.transcribe(path)
        assert transcript.duration == pytest.approx(soundfile.info(path).duration, abs=0.01)
        words = [word for segment in transcript.segments for word in segment.words]
        times = [time for word in words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert all(word.start < word.end for word in words)
        assert times[0] >= 0
        assert times[-1] <= transcript.duration + 0.04
        assert all(0 <= word.confidence <= 1 for word in words)


def test_scores_taken_apart_add_up(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    (segment,) = recognizer.transcribe(next(iter(recordings))).segments
    totals = [hypothesis.total(recognizer.weights) for hypothesis in segment.nbest]
    assert totals == sorted(totals, reverse=True)
    assert segment.text == segment.nbest[0].text
    assert len({hypothesis.words for hypothesis in segment.nbest}) == len(segment.nbest)


def test_two_runs_give_the_same(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    path = next(iter(recordings))
    assert recognizer.transcribe(path) == recognizer.transcribe(path)


def test_long_recordings_are_cut_and_keep_their_words(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    pause = np.zeros(8000, dtype=np.float32)
    parts = [part for path in recordings for part in (audio.load(path), pause)] * 3
    transcript = recognizer.transcribe(np.concatenate(parts))
    assert len(transcript.segments) > 1
    assert jiwer.wer(" ".join([*recordings.values()] * 3), transcript.text) < 0.35
    ends = [segment.end for segment in transcript.segments]
    assert [segment.start for segment in transcript.segments] == [0, *ends[:-1]]


@pytest.fixture(scope="module")
def talk(recordings: dict[Path, str]) -> np.ndarray:
    """Long enough to be cut into segments."""
    pause = np.zeros(8000, dtype=np.float32)
    return np.concatenate([part for path in recordings for part in (audio.load(path), pause)] * 3)


def segments_of(bundle: Path, talk: np.ndarray, carry_context: bool) -> tuple[Recognizer, list[Segment]]:
    recognizer = Recognizer(bundle)
    recognizer.carry_context = carry_context
    segments = list(recognizer.segments(talk))
    assert len(segments) > 1
    assert segments[0].words  # so that there is something to remember
    return recognizer, segments


def test_a_segment_is_scored_from_the_state_after_those_before(tiny_bundle: Path, talk: np.ndarray) -> None:
    recognizer, segments = segments_of(tiny_bundle, talk, carry_context=True)
    state = None
    for (first, end), segment in zip(cut_at_silence(talk), segments, strict=True):
        found = recognizer.search.decode(recognizer.emissions(talk[first:end]))
        assert segment.nbest == rescore(found, recognizer.lstm, recognizer.weights, state)
        state = state_after(segment.nbest[0].words, recognizer.lstm, state)


def test_segments_are_independent_without_context(tiny_bundle: Path, talk: np.ndarray) -> None:
    recognizer, segments = segments_of(tiny_bundle, talk, carry_context=False)
    for (first, end), segment in zip(cut_at_silence(talk), segments, strict=True):
        assert segment.nbest == recognizer.decode(recognizer.emissions(talk[first:end]))
    # The first never has a context, the second would.
    _, remembering = segments_of(tiny_bundle, talk, carry_context=True)
    assert remembering[0] == segments[0]
    scores = [{found.words: found.lstm for found in some[1].nbest} for some in (segments, remembering)]
    assert scores[0].keys() == scores[1].keys()
    assert scores[0] != scores[1]


def test_every_recording_begins_without_context(tiny_bundle: Path, talk: np.ndarray) -> None:
    recognizer, segments = segments_of(tiny_bundle, talk, carry_context=True)
    assert list(recognizer.segments(talk)) == segments
