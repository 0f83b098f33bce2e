"""A recording as a picture: waveform and log-mel spectrogram, and below them its words at their times."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import librosa
import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from asr.audio.features import HOP, SAMPLE_RATE
from asr.transcript import Transcript, Word
from asr.transcript.alternatives import runners_up
from lm.pictures import STYLE

LONGEST = 300.0  # seconds of a picture: fifty rows
ROW = 6.0  # seconds, at most: the words of quick speech, too, find their places
WIDTH, HEIGHT = 16.0, 3.6  # inches of a row
POINTS = 72 * WIDTH * 0.9 / ROW  # of a second of sound, within the margins
LETTER = 0.68  # of the size of type: how wide a capital is
SMALLEST, LARGEST = 5.0, 11.0  # type, in points
DOUBTFUL = 0.7  # a word of less confidence has its runner-up below it
PAUSE = 0.3  # seconds between words that are marked as a pause
MELS, FRAME = 80, 400  # bands; samples of a frame, 25 ms
COLOURS = colormaps["RdYlBu"]  # which the colour-blind tell apart


@dataclass(frozen=True)
class Shown:
    """A word, and what may have been said in its place; None if nothing else was found."""

    word: Word
    runner_up: str | None


def shown_words(transcript: Transcript) -> list[Shown]:
    """The words of a transcript, each with its runner-up."""
    return [
        Shown(word, other)
        for segment in transcript.segments
        if segment.words
        for word, other in zip(segment.words, runners_up(segment.nbest), strict=True)
    ]


def spoken(words: list[Word]) -> Iterator[tuple[float, float]]:
    """From when to when somebody speaks, seconds: words with no PAUSE between them."""
    if not words:
        return
    start = words[0].start
    for word, following in pairwise(words):
        if following.start - word.end >= PAUSE:
            yield start, word.end
            start = following.start
    yield start, words[-1].end


def draw(waveform: np.ndarray, transcript: Transcript, start: float = 0.0) -> Figure:
    """Draw float32 [N] at 16 kHz, which begins at `start` seconds of the recording, and what was said in it."""
    seconds = max(len(waveform) / SAMPLE_RATE, HOP / SAMPLE_RATE)
    rows = int(np.ceil(seconds / ROW))
    words = shown_words(transcript)
    mel = log_mel(waveform)
    peak = float(np.abs(waveform).max(initial=1e-6))
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT * rows + 0.7), layout="constrained")
        axes = figure.subplots(3 * rows, 1, squeeze=False, height_ratios=[1, 1.6, 0.8] * rows)[:, 0]
        for row in range(rows):
            sound, bands, text = axes[3 * row : 3 * row + 3]
            first, last = seconds * row / rows, seconds * (row + 1) / rows
            _draw_sound(sound, waveform, first, last, start, peak)
            _mark_speech(sound, transcript, start + first, start + last)
            _draw_bands(bands, mel, seconds, start)
            _draw_words(text, words)
            for panel in (sound, bands, text):
                panel.set_xlim(start + first, start + last)
            sound.tick_params(labelbottom=False)
            bands.tick_params(labelbottom=False)
        axes[-1].set_xlabel("seconds of the recording")
        scale = ScalarMappable(cmap=COLOURS)
        bar = figure.colorbar(scale, ax=axes[-1], location="bottom", shrink=0.25, aspect=40, alpha=0.6)
        bar.set_label(f"confidence; below {DOUBTFUL:g} a dashed frame, and the runner-up in italics")
    return figure


def log_mel(waveform: np.ndarray) -> np.ndarray:
    """Log-mel energies of [N], dB below the loudest, [MELS, frames of 10 ms]."""
    padded = np.pad(waveform, (0, max(0, FRAME - len(waveform))))
    power = librosa.feature.melspectrogram(
        y=padded, sr=SAMPLE_RATE, n_fft=FRAME, hop_length=HOP, n_mels=MELS, fmin=20, fmax=SAMPLE_RATE / 2
    )
    decibels: np.ndarray = librosa.power_to_db(power, ref=np.max, top_db=70)
    return decibels


def _draw_sound(axes: Axes, waveform: np.ndarray, first: float, last: float, start: float, peak: float) -> None:
    part = waveform[round(first * SAMPLE_RATE) : round(last * SAMPLE_RATE)]
    # What a pen would draw: of each few samples, the lowest and the highest.
    bins = max(1, len(part) // 2000)
    part = np.pad(part, (0, -len(part) % bins)).reshape(-1, bins)
    times = start + first + np.arange(len(part)) * bins / SAMPLE_RATE
    axes.fill_between(times, part.min(1), part.max(1), color="0.25", linewidth=0.3)
    axes.set(ylim=(-peak, peak), yticks=(), ylabel="waveform")


def _mark_speech(axes: Axes, transcript: Transcript, first: float, last: float) -> None:
    """Bars below the waveform where somebody speaks, the lengths of pauses between them, and where segments end."""
    spans = list(spoken(transcript.words))
    low = axes.get_ylim()[0]
    for begin, end in spans:
        if begin < last and end > first:
            axes.plot((max(begin, first), min(end, last)), (low, low), color="#0072B2", linewidth=5, clip_on=True)
    for (_, end), (begin, _) in pairwise(spans):
        if first < (middle := (end + begin) / 2) < last:
            axes.text(middle, low * 0.95, f"{begin - end:.1f} s", ha="center", va="bottom", fontsize=8, color="0.4")
    for segment in transcript.segments[1:]:
        if first < segment.start < last:
            axes.axvline(segment.start, color="0.4", linestyle="--", linewidth=0.8)


def _draw_bands(axes: Axes, mel: np.ndarray, seconds: float, start: float) -> None:
    axes.imshow(mel, origin="lower", aspect="auto", cmap="gray_r", extent=(start, start + seconds, 0, MELS))
    hertz = (100, 500, 1000, 2000, 4000, 7000)
    centres = librosa.mel_frequencies(MELS, fmin=20, fmax=SAMPLE_RATE / 2)
    axes.set_yticks(np.interp(hertz, centres, np.arange(MELS) + 0.5), [f"{value:g}" for value in hertz], fontsize=7)
    axes.set_ylabel("Hz, mel scale")


def _draw_words(axes: Axes, words: list[Shown]) -> None:
    axes.set(ylim=(0, 1), yticks=())
    axes.spines["left"].set_visible(False)
    if not words:
        axes.text(0.5, 0.5, "no words found", transform=axes.transAxes, ha="center", color="0.4", style="italic")
    for shown in words:
        word, other = shown.word, shown.runner_up
        middle, length = (word.start + word.end) / 2, word.end - word.start
        doubtful = word.confidence < DOUBTFUL
        axes.axvspan(
            word.start,
            word.end,
            0.55,
            0.95,
            facecolor=(*COLOURS(word.confidence)[:3], 0.6),
            edgecolor="black",
            linewidth=1.2 if doubtful else 0.3,
            linestyle="--" if doubtful else "-",
        )
        look: dict[str, Any] = {"ha": "center", "va": "center", "clip_on": True}
        axes.text(middle, 0.75, word.word, fontsize=_fitting(word.word, length), **look)
        if doubtful and other is not None:
            text = other or "(nothing)"
            axes.text(middle, 0.3, text, fontsize=_fitting(text, length), style="italic", **look)


def _fitting(text: str, seconds: float) -> float:
    """The size of type, in points, in which a text is as wide as so many seconds."""
    return float(np.clip(POINTS * seconds / (LETTER * max(1, len(text))), SMALLEST, LARGEST))


def as_html(transcript: Transcript) -> str:
    """The words as a paragraph for a page: doubtful ones are marked, and tell what else was possible."""
    parts = []
    for shown in shown_words(transcript):
        word, other = shown.word, shown.runner_up
        about = f"{word.start:.2f} s, confidence {word.confidence:.2f}"
        if word.confidence < DOUBTFUL:
            about += f", or: {other or '(nothing)'}" if other is not None else ""
            parts.append(f'<mark title="{escape(about)}">{escape(word.word)}</mark>')
        else:
            parts.append(f'<span title="{escape(about)}">{escape(word.word)}</span>')
    return f"<p>{' '.join(parts) or 'No words found.'}</p>"
