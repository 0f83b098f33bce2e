from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from asr.cli import app
from asr.decoder.hypothesis import Hypothesis
from asr.transcript import Segment, Transcript, Word

pytest.importorskip("matplotlib", reason="pictures need pip install 'nicebeach[pictures]'")
pytest.importorskip("librosa", reason="pictures need pip install 'nicebeach[pictures]'")

from asr.audio.features import SAMPLE_RATE
from asr.pictures.recording import MELS, as_html, draw, log_mel, spoken
from lm.pictures import write

WORDS = [Word("NICE", 10.5, 11.0, 0.95), Word("<unk>", 11.0, 11.4, 0.3), Word("BEACH", 12.4, 12.9, 0.5)]
NBEST = [Hypothesis(("NICE", "<unk>", "BEACH"), 0, 0), Hypothesis(("NICE", "A", "PEACH"), 0, 0)]
TRANSCRIPT = Transcript(9.0, [Segment(10.0, 13.0, WORDS, NBEST), Segment(13.0, 19.0, [], [Hypothesis((), 0, 0)])])
NOISE = np.random.default_rng(1).normal(0, 0.1, 9 * SAMPLE_RATE).astype(np.float32)


def test_words_stand_at_their_times_and_doubtful_ones_have_runners_up() -> None:
    figure = draw(NOISE, TRANSCRIPT, start=10.0)
    rows = figure.axes[2:6:3]  # the panels of words
    assert [panel.get_xlim() for panel in rows] == [(10.0, 14.5), (14.5, 19.0)]
    places = {text.get_text(): text.get_position()[0] for text in rows[0].texts}
    assert places == pytest.approx({"NICE": 10.75, "<unk>": 11.2, "A": 11.2, "BEACH": 12.65, "PEACH": 12.65})


def test_pauses_are_marked() -> None:
    assert list(spoken(WORDS)) == [(10.5, 11.4), (12.4, 12.9)]
    assert list(spoken([])) == []
    marks = [text.get_text() for text in draw(NOISE, TRANSCRIPT, start=10.0).axes[0].texts]
    assert marks == ["1.0 s"]


def test_a_tone_is_in_its_band() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    loudest = log_mel(tone).mean(1).argmax()
    assert loudest == log_mel(0.01 * tone).mean(1).argmax()
    assert 0 < loudest < MELS / 2  # 1000 Hz lies at 15 of 40 mels


@pytest.mark.parametrize("samples", [0, 1, 100, SAMPLE_RATE])
def test_nothing_said(samples: int) -> None:
    figure = draw(np.zeros(samples, np.float32), Transcript(samples / SAMPLE_RATE, []))
    assert [text.get_text() for text in figure.axes[2].texts] == ["no words found"]


def test_a_page_tells_in_words_what_the_picture_shows(tmp_path: Path) -> None:
    write(draw(NOISE, TRANSCRIPT, 10.0), tmp_path / "a.html", "<talk>.wav", as_html(TRANSCRIPT))
    page = (tmp_path / "a.html").read_text()
    assert "<title>&lt;talk&gt;.wav</title>" in page
    assert "<talk>" not in page
    assert '<mark title="11.00 s, confidence 0.30, or: A">&lt;unk&gt;</mark>' in page
    assert ">PEACH</text>" in page


@pytest.mark.parametrize("suffix", ["png", "svg", "html"])
def test_the_command_draws_a_recording(suffix: str, tmp_path: Path, recordings: dict[Path, str]) -> None:
    output = tmp_path / f"picture.{suffix}"
    result = CliRunner().invoke(app, ["show", str(next(iter(recordings))), "--end", "1.5", "--output", str(output)])
    assert (result.exit_code, result.output) == (0, "")
    begun = output.read_bytes()[:200]
    assert {"png": b"\x89PNG", "svg": b"<?xml", "html": b"<!doctype"}[suffix] in begun


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--output", "a.bmp"], "a.bmp: pictures are written as .png, .svg, .html"),
        (["--output", "nowhere/a.png"], "there is no folder nowhere"),
        (["--output", "{tmp}/a.png", "--end", "1:00:00"], "3600 s are too long for a picture"),
        (["--output", "{tmp}/a.png", "--start", "99"], "holds no samples after 99 s"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_a_line(
    arguments: list[str], told: str, tmp_path: Path, recordings: dict[Path, str]
) -> None:
    given = [argument.format(tmp=tmp_path) for argument in arguments]
    result = CliRunner().invoke(app, ["show", str(next(iter(recordings))), *given])
    assert result.exit_code == 1
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
