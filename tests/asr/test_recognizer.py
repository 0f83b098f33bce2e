"""The models that ship, on the real recordings of tests/data; and what becomes of segments, with tiny models."""

import copy
import errno
import io
import math
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
import soundfile
import soxr
from rapidfuzz.distance import Levenshtein

from asr.acoustic.model import FRAME_SECONDS
from asr.audio import reading
from asr.audio.channels import Channel
from asr.audio.errors import AudioError
from asr.decoder import segments
from asr.decoder.rescore import rescore, state_after
from asr.recognizer import NOTHING_SAID, Context, Recognizer
from asr.transcript import Segment, Style
from lm.bundle import DEFAULT, BundleError, Dequantized, open_bundle
from lm.text.normalise import normalize


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    if not (DEFAULT / "config.toml").exists():
        pytest.skip("asr/default_model holds no models")
    return Recognizer()


def test_real_recordings(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    texts = {path: recognizer.transcribe(path, style=Style.plain).text for path in recordings}
    for path, plain in texts.items():
        readable = recognizer.transcribe(path).text
        assert readable[0].isupper()
        assert readable[-1] in ".?!"
        assert normalize(readable) == plain.split()
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
    for segment in recognizer.transcribe(next(iter(recordings)), nbest=100, style=Style.plain).segments:
        totals = [hypothesis.total(recognizer.weights) for hypothesis in segment.nbest]
        assert totals == sorted(totals, reverse=True)
        assert segment.text == segment.nbest[0].text
        assert len({hypothesis.words for hypothesis in segment.nbest}) == len(segment.nbest)


def test_two_runs_give_the_same(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    path = next(iter(recordings))
    assert recognizer.transcribe(path) == recognizer.transcribe(path)


def test_all_kinds_of_sources(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    path = next(iter(recordings))
    expected = recognizer.transcribe(path)
    sound, rate = soundfile.read(path, dtype="int16")
    assert recognizer.transcribe(str(path)) == expected
    assert recognizer.transcribe(io.BytesIO(path.read_bytes())) == expected
    assert recognizer.transcribe(sound) == expected
    assert recognizer.transcribe(sound / 2**15) == expected
    stereo = np.stack([sound, np.zeros_like(sound)], axis=1)
    assert recognizer.transcribe(stereo, channel=Channel.left) == expected
    assert recognizer.transcribe(stereo, channel=Channel.right).text == ""
    assert recognizer.transcribe(sound[:1], rate=768_000).segments == []
    doubled = soxr.resample(sound / 2**15, rate, 2 * rate)
    assert recognizer.transcribe(doubled, rate=2 * rate).text == expected.text


def test_a_quiet_recording_is_read_as_a_usual_one(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    path = next(iter(recordings))
    sound = reading.load(path)
    assert recognizer.transcribe(sound / 1000).text == recognizer.transcribe(path).text


def test_faults_of_recorders_cost_no_words(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    path = list(recordings)[2]
    sound, expected = reading.load(path), recognizer.transcribe(path).text
    hum = np.sin(2 * np.pi * 50 * np.arange(len(sound)) / 16_000)
    for faulty in (
        sound + 0.2,
        sound / 20 - 0.3,
        sound + 0.5 * hum,
        np.stack([sound, -sound], axis=1),
        (sound * 2**15).astype(np.int64),
    ):
        transcript = recognizer.transcribe(faulty)
        assert Levenshtein.distance(transcript.text.split(), expected.split()) <= 1
        assert not transcript.warnings


def test_what_is_loud_but_no_speech_is_told(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    random = np.random.default_rng(1)
    time = np.arange(160_000) / 16_000
    hiss, hum = 0.1 * random.standard_normal(160_000), 0.3 * np.sin(2 * np.pi * 50 * time)
    for steady in (hiss, hum):
        (warning,) = recognizer.transcribe(steady).warnings
        assert warning.startswith("10.0 s from 0:00.0 on is loud, but always the same")
        (warning,) = recognizer.transcribe(steady, start=4).warnings
        assert warning.startswith("6.0 s from 0:04.0 on is loud")
    waves = hiss * (1 + np.sin(2 * np.pi * 0.3 * time))
    transcript = recognizer.transcribe(waves)
    assert transcript.text or "nothing in it sounds like speech" in transcript.warnings[0]
    assert not recognizer.transcribe(hiss / 100).warnings
    speech = reading.load(next(iter(recordings)))
    assert not recognizer.transcribe(speech).warnings
    # Once a file, however often.
    (warning,) = recognizer.transcribe(
        np.concatenate([np.tile(hiss, 4), np.tile(speech, 2), np.tile(hiss, 4)])
    ).warnings
    assert "in 2 places" in warning


def test_times_of_a_part_are_those_of_the_whole(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    path = next(iter(recordings))
    whole = recognizer.transcribe(path)
    part = recognizer.transcribe(path, start=2.5, end=5.3)
    assert part.duration == pytest.approx(2.8)
    assert (part.segments[0].start, part.segments[-1].end) == (2.5, 5.3)
    inside = [word for word in whole.words if word.start > 2.9 and word.end < 4.9]
    found = {word.word: word for word in part.words}
    assert len(inside) > 2
    for word in inside:
        assert found[word.word].start == pytest.approx(word.start, abs=0.081)


def test_formats(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    transcript = recognizer.transcribe(next(iter(recordings)))
    words = transcript.words
    assert transcript.to_srt().startswith("1\n00:00:00,")
    assert transcript.to_vtt().startswith("WEBVTT\n\n00:00:00.")
    for text in (transcript.to_srt(), transcript.to_vtt(), transcript.to_tsv()):
        assert words[0].written in text
        assert words[-1].written in text
    assert [line.split()[4] for line in transcript.to_ctm("talk").splitlines()] == [word.word for word in words]


def test_both_sides_of_a_call(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    left, right, *_ = (reading.load(path) for path in recordings)
    # They speak at the same time, then the left one alone.
    call = np.zeros((2 * len(left) + 16_000, 2), np.float32)
    call[: len(left), 0], call[8000 : 8000 + len(right), 1], call[-len(left) :, 0] = left, right, left
    done: list[float] = []
    transcript = recognizer.transcribe(call, channel=Channel.each, start=0.25, progress=done.append)
    for channel in (Channel.left, Channel.right):
        alone = recognizer.transcribe(call, channel=channel, start=0.25)
        segments = [segment for segment in transcript.segments if segment.channel == channel]
        words = [word for segment in segments for word in segment.words]
        assert [(segment.start, segment.end, segment.nbest) for segment in segments] == [
            (segment.start, segment.end, segment.nbest) for segment in alone.segments
        ]
        assert [replace(word, channel=None) for word in words] == alone.words
        assert {word.channel for word in words} == {str(channel)}
        assert transcript.duration == alone.duration == done[-1]
    assert done == sorted(done)
    starts = [word.start for word in transcript.words]
    assert starts == sorted(starts)
    assert transcript.warnings == []
    assert {line.split(": ")[0] for line in transcript.text.splitlines()} == {"left", "right"}
    for text in (transcript.to_srt(), transcript.to_vtt(), transcript.to_tsv()):
        for word in transcript.words:
            assert word.written in text
    assert {line.split()[1] for line in transcript.to_ctm().splitlines()} == {"1", "2"}


def test_one_channel_has_no_sides(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    path = next(iter(recordings))
    transcript = recognizer.transcribe(path, channel=Channel.each)
    assert transcript.warnings == ["has one channel, so there are no sides to tell apart: transcribed as one"]
    assert replace(transcript, warnings=[]) == recognizer.transcribe(path)


def test_what_is_told_of_a_channel_names_it(recognizer: Recognizer) -> None:
    noise = 0.2 * np.random.default_rng(1).standard_normal((5 * 16_000, 3))
    warnings = recognizer.transcribe(noise, channel=Channel.each).warnings
    assert [warning.split(" is loud")[0] for warning in warnings] == [
        f"{number} channel: 5.0 s from 0:00.0 on" for number in (1, 2, 3)
    ]


def test_transcripts_are_shown_in_short(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    transcript = recognizer.transcribe(next(iter(recordings)))
    count = len(transcript.words)
    assert str(transcript) == transcript.text
    assert repr(transcript) == f"<Transcript: 6.78 s, 1 segment, {count} words>"
    assert repr(replace(transcript, warnings=["?"])) == f"<Transcript: 6.78 s, 1 segment, {count} words, 1 warning>"
    (segment,) = transcript.segments
    assert str(segment) == segment.text
    assert repr(segment) == f"<Segment: 0.00 to 6.78 s, {count} words>"
    assert repr(replace(segment, channel="left")) == f"<Segment: left, 0.00 to 6.78 s, {count} words>"


@pytest.mark.parametrize("nbest", [0, -1, 2.5, math.nan])
def test_so_few_hypotheses_are_none(recognizer: Recognizer, nbest: float) -> None:
    with pytest.raises(ValueError, match=r"nbest .*: want a whole number from 1"):
        recognizer.transcribe(np.zeros(100), nbest=nbest)  # type: ignore[arg-type]


def test_progress_is_told(recognizer: Recognizer, talk: np.ndarray) -> None:
    told: list[float] = []
    transcript = recognizer.transcribe(talk, start=1, progress=told.append)
    assert len(told) == len(transcript.segments) > 1
    assert told == sorted(told)
    assert told[-1] == transcript.duration == pytest.approx(len(talk) / 16_000 - 1, abs=0.01)


@pytest.mark.parametrize("sound", ["silence", "white noise", "hum", "chords"])
def test_no_words_where_nobody_speaks(recognizer: Recognizer, sound: str) -> None:
    time = np.arange(15 * 16_000) / 16_000
    if sound == "silence":
        waveform = np.zeros(len(time))
    elif sound == "white noise":
        waveform = np.random.default_rng(1).normal(0, 0.05, len(time))
    elif sound == "hum":
        waveform = sum(0.1 / k * np.sin(2 * np.pi * 50 * k * time) for k in (1, 2, 3, 5))
    else:
        beat = time % 0.5
        hertz = 220 * 2 ** (np.array([0, 5, 7, 3])[(time // 2).astype(int) % 4] / 12)
        waveform = sum(0.1 * np.exp(-3 * beat) * np.sin(2 * np.pi * hertz * k * time) / k for k in (1, 1.25, 1.5, 2, 3))
    transcript = recognizer.transcribe(waveform)
    assert transcript.text == ""
    assert transcript.duration == 15


@pytest.mark.parametrize("word", ["DONE", "PASS", "SHE", "TIME"])
def test_a_word_between_pauses_is_heard(recognizer: Recognizer, recordings: dict[Path, str], word: str) -> None:
    path = next(path for path, text in recordings.items() if word in text.split())
    said = next(found for found in recognizer.transcribe(path).words if found.word == word)
    whole, rate = soundfile.read(path, dtype="float32")
    pause = 1e-4 * np.random.default_rng(1).standard_normal(2 * rate, np.float32)
    alone = whole[round((said.start - 0.06) * rate) : round((said.end + 0.06) * rate)]
    found = recognizer.transcribe(np.concatenate([pause, alone, pause]), style=Style.plain)
    assert found.text == word
    assert found.words[0].start == pytest.approx(2.0, abs=0.2)


def test_threads_may_share_a_recognizer(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    paths = list(recordings) * 2
    expected = [recognizer.transcribe(path) for path in paths]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(recognizer.transcribe, paths)) == expected


@pytest.fixture(scope="module")
def talk(recordings: dict[Path, str]) -> np.ndarray:
    """Longer than what is searched at once."""
    pause = np.zeros(8000, dtype=np.float32)
    return np.concatenate([part for path in recordings for part in (reading.load(path), pause)] * 2)


def test_long_recordings_are_divided_and_keep_their_words(
    recognizer: Recognizer, recordings: dict[Path, str], talk: np.ndarray
) -> None:
    transcript = recognizer.transcribe(talk, style=Style.plain)
    ends = [segment.end for segment in transcript.segments]
    assert [segment.start for segment in transcript.segments] == [0, *ends[:-1]]
    assert len(ends) > 1
    parts = [recognizer.transcribe(path, style=Style.plain).text for path in recordings] * 2
    assert jiwer.wer(" ".join(parts), transcript.text) < 0.1
    times = [time for word in transcript.words for time in (word.start, word.end)]
    assert times == sorted(times)


def test_no_word_is_lost_or_doubled_at_a_seam(
    recognizer: Recognizer, recordings: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seams between words of every kind."""
    speech = np.concatenate([reading.load(path) for path in recordings])
    monkeypatch.setattr(segments, "PAUSE", 1000)  # every end of a chunk is taken for the middle of speech
    whole = recognizer.transcribe(speech).words
    monkeypatch.setattr(segments, "SEAM", 40)
    seams: set[float] = set()
    others = 0  # a word may be taken for another, as it is heard with less around it; once one isn't heard
    for longest in range(94, 190, 8):
        monkeypatch.setattr(segments, "LONGEST", longest)
        monkeypatch.setattr(segments, "SHORTEST", longest * 2 // 3)
        transcript = recognizer.transcribe(speech)
        seams |= {segment.end for segment in transcript.segments[:-1]}
        edits = Levenshtein.editops([word.word for word in whole], [word.word for word in transcript.words])
        others += sum(edit.tag != "replace" for edit in edits)
        assert len(edits) <= 3
    assert len(seams) > 10
    assert others <= 1


def test_windows_are_stitched_to_what_the_whole_would_give(
    recognizer: Recognizer, recordings: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = np.concatenate([reading.load(path) for path in recordings])
    whole = recognizer.emissions(speech)
    windows = list(segments.windows([speech], 8, 1))
    assert len(windows) > 3
    stitched = np.concatenate([recognizer.emissions(window.waveform)[window.frames] for window in windows])
    assert stitched.shape == whole.shape
    assert (stitched.argmax(1) == whole.argmax(1)).mean() > 0.95


def segments_of(bundle: Path, talk: np.ndarray, carry_context: bool) -> tuple[Recognizer, list[Segment]]:
    recognizer = Recognizer(bundle)
    recognizer.carry_context = carry_context
    found = list(recognizer.segments([talk], nbest=100))
    assert len(found) > 1
    assert found[0].words  # so that there is something to remember
    return recognizer, found


@pytest.mark.parametrize("carry_context", [False, True])
@pytest.mark.parametrize("pause", [0, 1000])
def test_the_language_models_go_on_where_a_sentence_does(
    tiny_bundle: Path, talk: np.ndarray, carry_context: bool, pause: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the middle of a sentence always, from sentence to sentence if they are told to."""
    monkeypatch.setattr(segments, "PAUSE", pause)
    monkeypatch.setattr(segments, "SEAM", segments.LONGEST)
    recognizer, found = segments_of(tiny_bundle, talk, carry_context)
    emissions = np.concatenate([chunk.log_probs for chunk in recognizer.chunks([talk])])
    context, first = NOTHING_SAID, 0
    for segment in found:
        goes_on = bool(pause) and segment is not found[-1]
        end = round(segment.end / FRAME_SECONDS) if segment is not found[-1] else len(emissions)
        search = copy.copy(recognizer.search)
        search.reset(context.words)
        search.accept(emissions[first:end])
        nbest = search.finish(sentence_end=not goes_on)
        assert segment.nbest == rescore(nbest, recognizer.lstm, recognizer.weights, context.lstm, not goes_on)
        words, first = segment.nbest[0].words, end
        context = NOTHING_SAID
        if goes_on or carry_context:
            before = (*context.words, *words) if goes_on else ()
            context = Context(before, state_after(words, recognizer.lstm, context.lstm, not goes_on))


@pytest.mark.parametrize(("carry_context", "pause"), [(False, 0), (False, 12), (True, 12), (False, 1000)])
def test_processes_change_nothing(
    tiny_bundle: Path, talk: np.ndarray, carry_context: bool, pause: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether segments may be decoded side by side or each needs the one before."""
    monkeypatch.setattr(segments, "PAUSE", pause)
    monkeypatch.setattr(segments, "LONGEST", 250)
    monkeypatch.setattr(segments, "SHORTEST", 125)
    recognizer = Recognizer(tiny_bundle)
    recognizer.carry_context = carry_context
    alone = recognizer.transcribe(talk)
    assert len(alone.segments) > 3
    assert recognizer.transcribe(talk, jobs=2) == alone
    growing = iter([*[1] * 7, *[3] * 1000])
    assert recognizer.transcribe(talk, jobs=lambda: next(growing)) == alone


def test_every_recording_begins_without_context(tiny_bundle: Path, talk: np.ndarray) -> None:
    recognizer, found = segments_of(tiny_bundle, talk, carry_context=True)
    assert list(recognizer.segments([talk], nbest=100)) == found
    assert [len(segment.nbest) for segment in recognizer.segments([talk], nbest=3)] == [3] * len(found)


def test_pytorch_gives_what_numpy_gives(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    from asr.acoustic.device import TorchAcousticModel

    bundle = open_bundle(DEFAULT)
    weights = Dequantized(bundle.file("acoustic.safetensors"))
    model = TorchAcousticModel(recognizer.acoustic.config, weights, "cpu")
    for path in recordings:
        waveform = reading.load(path)
        assert model.log_probs(waveform) == pytest.approx(recognizer.emissions(waveform), abs=1e-2)  # of floats
    assert model.log_probs(waveform[:0]).shape == (0, recognizer.acoustic.config.units)


def test_devices_that_there_are_not(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="device 'warp' can't be used"):
        Recognizer(tiny_bundle, device="warp")
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "asr.acoustic.device")
    with pytest.raises(ValueError, match="pip install torch"):
        Recognizer(tiny_bundle, device="cuda")


def test_importing_asr_imports_no_models() -> None:
    script = "import sys, asr.lexicon.units; assert 'asr.recognizer' not in sys.modules; from asr import Recognizer"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("size = 200", "size = 0", "decoder.beam.size = 0: want a whole number from 1"),
        ("score = 18.0", "score = nan", "decoder.beam.score = nan: want a number above 0, or inf"),
        ("nbest = 20", "nbest = 20\nlook_ahead = 2", "no such setting: decoder.beam.look_ahead = 2; there are size"),
        ("lstm = 0.4", "lstm = nan", "decoder.second_pass.lstm = nan: want a finite number"),
        ("lstm = 0.4", "", "these settings are missing: decoder.second_pass.lstm"),
        ('units = "characters"', 'units = "graphemes"', 'units = "graphemes": want "phones" or'),
        ('units = "characters"', "", "has language models alone"),
        ("units = 29", "units = 40", "acoustic emits 40 units, characters are 29"),
        ("layers = 1", "layers = 2", "acoustic.safetensors: has no layers.1"),
        ("version = 1", "version = 2", "version = 2: a model of a newer format; this nicebeach reads up to 1"),
    ],
)
def test_a_bundle_that_says_what_is_not_allowed_is_refused(
    tiny_bundle: Path, tmp_path: Path, before: str, after: str, problem: str
) -> None:
    shutil.copytree(tiny_bundle, tmp_path, dirs_exist_ok=True)
    config = tmp_path / "config.toml"
    text = config.read_text()
    assert before in text
    config.write_text(text.replace(before, after))
    with pytest.raises(BundleError, match=re.escape(problem)) as error:
        Recognizer(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("cost", [math.nan, -1.0, -math.inf])
def test_unknown_words_at_no_cost_are_refused(tiny_bundle: Path, cost: float) -> None:
    with pytest.raises(ValueError, match="want a number from 0, or inf"):
        Recognizer(tiny_bundle).with_unknown_words(cost)


def test_whatever_holds_a_recording_is_taken(tiny_bundle: Path, recordings: dict[Path, str]) -> None:
    import torch

    path = next(iter(recordings))
    samples, rate = soundfile.read(path, dtype="float32")
    tiny = Recognizer(tiny_bundle)
    expected = tiny.transcribe(path).text
    for source in (str(path), path.read_bytes(), bytearray(path.read_bytes())):
        assert tiny.transcribe(source).text == expected
    for source in (torch.from_numpy(samples).requires_grad_(), samples.tolist()):
        assert tiny.transcribe(source, rate=float(rate), end=math.inf).text == expected


@pytest.mark.parametrize(
    ("source", "options", "problem"),
    [
        (None, {}, "give"),
        (3, {}, "give"),
        ([[0.1], [0.2, 0.3]], {}, "a list is no recording: give a path, bytes, a stream or an array"),
        ({"a": 1}, {}, "give"),
        (b"", {}, "empty"),
        (b"no sound", {}, "not a sound file"),
        ([0.1] * 99, {"rate": 16000.5}, r"rate of 16000\.5 Hz: give a whole number"),
        ([0.1] * 99, {"rate": math.nan}, "rate of nan Hz: give a whole number"),
        ([0.1] * 99, {"rate": math.inf}, "rate of inf Hz: give a whole number"),
        ([0.1] * 99, {"start": math.nan}, "give a start of at least 0"),
        ([0.1] * 99, {"start": math.inf}, "give a start of at least 0"),
        ([0.1] * 99, {"end": math.nan}, "give a start of at least 0 and a later end"),
        ([0.1] * 99, {"end": -math.inf}, "give a start of at least 0 and a later end"),
    ],
    ids=str,
)
def test_what_is_no_recording_is_told_in_one_line(
    tiny_bundle: Path, source: object, options: dict[str, float], problem: str
) -> None:
    with pytest.raises(AudioError, match=problem) as error:
        Recognizer(tiny_bundle).transcribe(source, **options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_folder_for_temporary_files_is_told(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    pipe, end = os.pipe()
    os.close(end)
    with open(pipe, "rb") as source, pytest.raises(AudioError, match=r"no room for a copy of it .*set TMPDIR"):
        Recognizer(tiny_bundle).transcribe(source)


def test_readable_text_is_refused_by_a_model_without_it(tiny_bundle: Path, recordings: dict[Path, str]) -> None:
    with pytest.raises(ValueError, match="can't write readable text: give style plain"):
        Recognizer(tiny_bundle).transcribe(next(iter(recordings)), style=Style.readable)


def test_hot_words_are_written_as_given(recognizer: Recognizer, recordings: dict[Path, str]) -> None:
    path = next(path for path, text in recordings.items() if "PRIESTS" in text)
    assert "PRIests and the rulers" in recognizer.with_hot_words({"PRIests": 4.0}).transcribe(path).text
    assert "priests and the rulers" in recognizer.with_hot_words({"priests": 4.0}).transcribe(path).text


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_midway(recognizer: Recognizer, recordings: dict[Path, str], jobs: int) -> None:
    """What was found before it has been given out."""
    sound = np.tile(reading.load(next(iter(recordings))), 20)

    def blocks() -> Iterator[np.ndarray]:
        yield from np.array_split(sound, 100)
        raise AudioError("its disk is gone")

    found: list[Segment] = []
    with pytest.raises(AudioError, match="its disk is gone"):
        found.extend(recognizer.segments(blocks(), jobs=jobs))
    assert found


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"style": "fancy"}, 'style "fancy": want "readable" or "plain"'),
        ({"channel": "up"}, 'channel "up": want "left" or "right" or "mix" or "each"'),
        ({"jobs": 0}, "jobs 0: want a whole number from 1"),
    ],
)
def test_options_that_mean_nothing(recognizer: Recognizer, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        recognizer.transcribe(np.zeros(160, np.float32), **options)


def test_another_process_may_be_sent_one(tiny_bundle: Path, recordings: dict[Path, str]) -> None:
    """Without what a copy of it for another utterance needs to be made anew."""
    recognizer = Recognizer(tiny_bundle).with_hot_words({"wreck a nice": 3.0})
    sent = pickle.loads(pickle.dumps(recognizer))
    path = next(iter(recordings))
    assert sent.transcribe(path).segments == recognizer.transcribe(path).segments
    assert copy.copy(sent.search)._graph is sent.search._graph
