"""The models that ship, on the real recordings of tests/data."""

from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile

from asr.recognizer import Recognizer
from lm.bundle import DEFAULT


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    if not (DEFAULT / "config.toml").exists():
        pytest.skip("asr/default_model holds no models")
    return Recognizer.load()


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
    from asr import audio

    pause = np.zeros(8000, dtype=np.float32)
    parts = [part for path in recordings for part in (audio.load(path), pause)] * 3
    transcript = recognizer.transcribe(np.concatenate(parts))
    assert len(transcript.segments) > 1
    assert jiwer.wer(" ".join([*recordings.values()] * 3), transcript.text) < 0.35
    ends = [segment.end for segment in transcript.segments]
    assert [segment.start for segment in transcript.segments] == [0, *ends[:-1]]
