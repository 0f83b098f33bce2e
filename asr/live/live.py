"""A stream transcribed while it is spoken: words at once, and once more when all of an utterance is there.

Sound is taken in blocks of any size, but heard on one grid of updates, so that the sizes change nothing. In each update
the frames that the acoustic model can tell by now go into a search that goes on through the utterance; the most
probable words in it are the partial result. Where the utterance ends, its sound, which was kept, is heard as a whole
and decoded by both passes.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np
import soxr

from asr.acoustic.model import FRAME_SECONDS
from asr.acoustic.stream import STEP, AcousticStream, AheadStream
from asr.audio.errors import AudioError
from asr.audio.features import SAMPLE_RATE
from asr.audio.reading import cleared
from asr.decoder.beam import BeamSearch
from asr.decoder.passes import NOTHING_SAID, Context, Decoded
from asr.decoder.segments import AROUND, FRAME, Window, is_speech, sounding
from asr.live.events import Event, Final, Partial
from asr.live.growing import Best, Growing
from asr.transcript import Segment, Word
from asr.transcript.readable import CONTEXT, has_ended, written
from lm.readable import Readable
from lm.settings import Positive, Share, check_fields

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

UPDATE = STEP  # frames: words so far are read off every 160 ms
# After so many frames both passes go over what was said so far. A word will stay if they are so sure of it and of all
# before it, and it ended so many frames ago.
LOOK, SURE, SETTLED = round(2 / FRAME_SECONDS), 0.85, round(1 / FRAME_SECONDS)
LEAD = round(1 / FRAME_SECONDS)  # frames before an utterance that are heard again with it
LEAST_HEARD = round(8 / FRAME_SECONDS)  # frames, if there are so many: the front end levels by what it hears
CLEAR = 0.0  # more than what Finals go by: Partials had rather wait than show words of noise
NEAR = 8  # words before those of a Partial that tell how they are written
CHANNELS = 64  # at most: more of them are [channels, n]
PIECE = 0.01  # seconds that are resampled at once


@dataclass(frozen=True)
class Endpointing:
    """When an utterance ends; seconds. Raises ValueError for what is no time."""

    silence: Positive = 1.2  # behind a sound
    sentence: Positive = 0.5  # behind words with which a sentence is likely to end
    likely: Share = 0.1  # from this probability on, by the n-gram
    longest: Positive = 20.0  # from its first sound on; it ends between words then, and the sentence goes on

    def __post_init__(self) -> None:
        check_fields(self)


USUAL_ENDPOINTING = Endpointing()


@dataclass(frozen=True)
class Utterance:
    """What was heard from the end of the one before on."""

    log_probs: np.ndarray  # [T, units] as they were heard live
    window: Window  # its sound, and what came before; the frames that are wanted are the last of the T
    begun: bool  # does it begin in the middle of speech?
    pause: bool  # does it end in a pause?
    context: Context
    promised: tuple[str, ...]  # the words that it begins with, if that can be


Said = tuple[Sequence[str], Sequence[tuple[int, int]], Sequence[float]]  # words, their frames, how sure they are


class Pieces:
    """Samples taken in blocks of any size, given in pieces of one."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.rest = np.zeros(0, np.float32)

    def accept(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """The pieces that are full now."""
        samples = np.concatenate([self.rest, samples])
        whole = len(samples) // self._size * self._size
        self.rest = samples[whole:]
        yield from samples[:whole].reshape(-1, self._size)


class Live:
    """One speaker's stream; `Recognizer.live` makes it. It is no thread's in particular, but one's at a time.

    >>> live = recognizer.live(rate=48_000)
    >>> for block in microphone:
    ...     for event in live.accept(block):
    ...         print(event.text)
    >>> for event in live.finish():
    ...     print(event.text)
    """

    def __init__(
        self,
        stream: AcousticStream,
        search: BeamSearch,
        look: Callable[[BeamSearch, Context], Said],
        decode: Callable[[Utterance], Decoded],
        writer: Readable | None,
        spellings: Mapping[str, str],
        rate: int,
        endpointing: Endpointing,
        hidden: str | None,
    ) -> None:
        """search: of this stream alone. look: what both passes make of it so far. decode: makes finals. writer,
        spellings: how words are written, if at all. hidden: a word that Partials shan't have.
        """
        self._stream, self._search, self._look, self._decode = stream, search, look, decode
        self._writer, self._spellings = writer, spellings
        self._endpointing, self._hidden = endpointing, hidden
        self._resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
        self._pieces = Pieces(max(1, round(PIECE * rate)))  # at the stream's own rate
        self._blocks = Pieces(UPDATE * FRAME)
        self._finished = False
        self._samples = 0  # heard, at 16 kHz
        self._kept: list[np.ndarray] = []  # the last blocks of them
        self._before: list[Word] = []  # the last words of Finals
        self._taken: list[str] = []  # the next words, if the last are written with them
        # Of the utterance: the frame in which it begins, the emissions, and whether it begins in the
        # middle of speech; what is shown, and told.
        self._start, self._log_probs, self._begun = 0, stream.accept(np.zeros(0, np.float32)), False
        self._context = NOTHING_SAID
        self._growing = Growing()
        self._looked = 0  # the frame in which both passes went over it
        self._told: tuple[list[str], int] = ([], 0)
        self._forms: list[str | None] = []  # of the stable words
        search.reset()

    def accept(self, samples: "ArrayLike") -> list[Event]:
        """What is new when the next samples were heard, [n] or [n, channels], floats or integers, of any number.

        Raises AudioError if they are none, ValueError after `finish`.
        """
        if self._finished:
            raise ValueError("the stream is finished: begin another one")
        events: list[Event] = []
        for piece in self._resampled(mono(samples)):
            for block in self._blocks.accept(piece):
                events += self._hear(block)
        return events

    def finish(self) -> list[Event]:
        """The end of the stream: what is new, and the last Final, unless nothing was heard since the one before."""
        if self._finished:
            return []
        self._finished = True
        events: list[Event] = []
        rest = self._pieces.rest
        if self._resampler is not None:
            rest = self._resampler.resample_chunk(rest, last=True)
        for block in self._blocks.accept(rest):
            events += self._hear(block)
        self._keep(self._blocks.rest)
        last = self._stream.accept(self._blocks.rest), self._stream.finish()
        self._log_probs = np.concatenate([self._log_probs, *last])
        return [*events, self._end(len(self._log_probs), pause=True)] if len(self._log_probs) else events

    def _resampled(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        if self._resampler is None:
            yield samples
        else:
            yield from map(self._resampler.resample_chunk, self._pieces.accept(samples))

    def _keep(self, block: np.ndarray) -> None:
        self._samples += len(block)
        self._kept.append(block)

    def _hear(self, block: np.ndarray) -> Iterator[Event]:
        """An update."""
        self._keep(block)
        log_probs = self._stream.accept(block)
        self._log_probs = np.concatenate([self._log_probs, log_probs])
        self._search.accept(log_probs)
        beginning = self._search.best()
        frames, rules = len(self._log_probs), self._endpointing
        words = self._proven(beginning.words, beginning.times, beginning.shares)
        if frames - self._looked >= LOOK and len(words) > len(self._growing.stable):
            self._looked = frames
            self._growing.settle(self._settled(frames))
        self._growing.update(words, frames)
        if partial := self._partial():
            yield partial
        sounds = np.flatnonzero(sounding(self._log_probs) > 0)
        if not len(sounds):
            if frames * FRAME_SECONDS >= rules.longest:
                yield self._end(frames, pause=True)
            return
        quiet = frames - 1 - int(sounds[-1])
        likely = bool(self._growing.shown) and math.exp(beginning.sentence_end) >= rules.likely
        if quiet * FRAME_SECONDS >= (rules.sentence if likely else rules.silence):
            yield self._end(frames - quiet // 2, pause=True)
        elif (frames - int(sounds[0])) * FRAME_SECONDS >= rules.longest:
            yield self._end(frames, pause=not self._growing.shown)

    def _proven(self, words: Sequence[str], times: Sequence[tuple[int, int]], shares: Sequence[float]) -> list[Best]:
        """The words that are said where there is speech: not those that a search makes of noise."""
        speech = is_speech(self._log_probs, self._begun, False, CLEAR)
        found = zip(words, times, shares, strict=True)
        return [
            Best(word, *time, share)
            for word, time, share in found
            if speech[slice(*time)].any() and word != self._hidden
        ]

    def _settled(self, frames: int) -> list[Best]:
        """The words that both passes are sure of."""
        found = self._proven(*self._look(self._search, self._context))
        return list(takewhile(lambda best: best.share >= SURE and frames - best.end >= SETTLED, found))

    def _partial(self) -> Partial | None:
        """What is shown, if that is new."""
        shown, stable = self._growing.shown, len(self._growing.stable)
        told = [best.word for best in shown], stable
        if told == self._told:
            return None
        self._told = told
        forms = self._cased(told[0])
        self._forms = forms[:stable]
        return Partial([self._word(best, written=form) for best, form in zip(shown, forms, strict=True)], stable)

    def _cased(self, words: list[str]) -> list[str | None]:
        """How words of a Partial are written, without marks; those that were stable before, as then."""
        if not self._writer or not words:
            return [None] * len(words)
        done = self._forms
        near = [*(word.word for word in self._before), *words[: len(done)]][-NEAR:]
        marked = self._writer.marked([[*near, *words[len(done) :]]])[0][len(near) :]
        new = [self._spellings.get(item.word, item.form) for item in marked]
        if new and not done and has_ended(self._before):
            new[0] = new[0][:1].upper() + new[0][1:]
        return [*done, *new]

    def _word(self, best: Best, written: str | None = None) -> Word:
        start, end = (self._seconds(self._start + frame) for frame in (best.start, best.end))
        return Word(best.word, start, end, round(best.share, 3), written=written)

    def _end(self, frames: int, pause: bool) -> Final:
        """The Final of so many frames. The next utterance begins with what was heard beyond them."""
        log_probs = self._log_probs[:frames]
        sounds = np.flatnonzero(sounding(log_probs) > 0)
        silent = max(0, int(sounds[0]) - AROUND) if len(sounds) else frames  # these aren't heard again
        begin = self._start + silent
        kept = self._samples - sum(map(len, self._kept))  # samples that were forgotten
        first = max(kept // FRAME, begin - max(LEAD, LEAST_HEARD - (frames - silent)))
        waveform = np.concatenate(self._kept)[first * FRAME - kept :] if silent < frames else self._kept[0][:0]
        window = Window(waveform, slice(begin - first, begin - first + frames - silent))
        promised = tuple(best.word for best in self._growing.stable)
        decoded = self._decode(Utterance(log_probs, window, self._begun, pause, self._context, promised))
        segment = self._segment(decoded, pause)
        self._before = [*self._before, *segment.words][-CONTEXT:]
        self._begin(decoded, pause)
        return Final(segment)

    def _segment(self, decoded: Decoded, pause: bool) -> Segment:
        best = decoded.hypotheses[0]
        found = zip(best.words, best.times, decoded.confidences, strict=True)
        said = self._growing.kept([Best(word, *time, confidence) for word, time, confidence in found], decoded.frames)
        words = [self._word(best) for best in said]
        start, end = (self._seconds(self._start + frame) for frame in (0, decoded.frames))
        if self._writer and words:
            left = len(self._taken) if [word.word for word in words[: len(self._taken)]] == self._taken else 0
            after = [] if pause else [self._word(best) for best in self._growing.shown if best.start >= decoded.frames]
            words, over = written(self._before, words, after, left, self._writer, self._spellings)
            self._taken = [word.word for word in after[:over]]
        return Segment(start, end, words, decoded.hypotheses)

    def _begin(self, decoded: Decoded, pause: bool) -> None:
        """Begin an utterance behind the one that was decoded."""
        self._start += decoded.frames
        self._log_probs = self._log_probs[decoded.frames :]
        self._begun, self._context = not pause, decoded.context
        self._growing, self._looked, self._told, self._forms = Growing(), 0, ([], 0), []
        self._search.reset(decoded.context.words)
        if pause and isinstance(self._stream, AheadStream):
            self._stream.restart()
        self._search.accept(self._log_probs)
        kept = self._samples - sum(map(len, self._kept))
        while kept + len(self._kept[0]) <= (self._start - LEAST_HEARD) * FRAME:
            kept += len(self._kept.pop(0))

    def _seconds(self, frame: int) -> float:
        return round(min(frame * FRAME_SECONDS, self._samples / SAMPLE_RATE), 2)


def mono(samples: "ArrayLike") -> np.ndarray:
    """Samples [n] or [n, channels], floats in -1..1, or integers whose type's full scale becomes 1, as float32 [n].

    What is no sound (NaN, infinite, absurdly loud) becomes silence. Raises AudioError for what are no samples.
    """
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiu" or (array.ndim == 2 and array.shape[1] > CHANNELS):
        raise AudioError(f"a block {array.dtype} {list(array.shape)}: give numbers, [n] or [n, channels]")
    wide = array.astype(np.float64)
    if array.dtype.kind in "iu":
        scale = 2.0 ** (8 * array.itemsize - 1)
        wide = (wide - scale if array.dtype.kind == "u" else wide) / scale
    wide, _ = cleared(wide[:, None] if wide.ndim == 1 else wide)
    return wide.mean(1).astype(np.float32)
