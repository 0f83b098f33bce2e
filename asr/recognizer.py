"""From a recording to words: the models of a bundle, put together."""

import copy
import heapq
import io
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain, compress, islice, product, tee
from operator import eq
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

import numpy as np
from msgspec import Meta

from asr.acoustic.model import FRAME_SECONDS, AcousticConfig, AcousticModel, output_length, shapes
from asr.acoustic.stream import AcousticStream, AheadStream
from asr.audio import reading
from asr.audio.channels import Channel, labels
from asr.audio.errors import AudioError
from asr.audio.features import HOP, SAMPLE_RATE
from asr.audio.sound import Warn, add_span, check_rate, places
from asr.decoder.beam import UNKNOWN_SOUNDS, BeamConfig, BeamSearch, DecoderConfig
from asr.decoder.confidence import Calibrations, confidences
from asr.decoder.hypothesis import Hypothesis, Weights
from asr.decoder.passes import NOTHING_SAID, Context, Decoded
from asr.decoder.rescore import rescore, state_after
from asr.decoder.segments import (
    Chunk,
    Window,
    blanks,
    chunks,
    is_loud,
    is_silent,
    is_steady,
    seam,
    speech_only,
    windows,
)
from asr.lexicon.letter_to_sound import LetterToSound
from asr.lexicon.lexicon import compile_tree, read_lexicon
from asr.lexicon.units import BLANK, PHONES, WORD_START, CharacterUnits, PhoneUnits, PieceUnits, Units
from asr.live.live import USUAL_ENDPOINTING, Endpointing, Live, Said, Utterance
from asr.transcript import Segment, Style, Transcript, Word
from asr.transcript.readable import readable
from asr.workers import Crew, Helpers, Part
from lm.bundle import DEFAULT, Bundle, BundleError, Dequantized, open_bundle
from lm.lstm.model import load_lstm
from lm.ngram.trie import NgramTables, read_trie, warn_missing
from lm.readable import Readable
from lm.settings import Cost, Count, checked
from lm.text.normalise import normalize
from lm.text.vocabulary import SPECIAL_WORDS, UNKNOWN, WORD, Vocabulary

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from asr.acoustic.device import TorchAcousticModel

# Root mean squares. The front end forgets how loud a recording is, but not so far below the rounding of 16 bits that
# quiet ones would come near: what is quieter than nearly all that the model has heard is raised to what was usual.
QUIET, USUAL = 0.005, 0.03
OFFSET = 0.25  # of the deviation; a mean beyond it is no chance, but a fault of the recorder, which hides what is quiet

Boost = Annotated[float, Meta(ge=-50, le=50, description="a number from -50 to 50")]  # nats
USUAL_NATS = 4.0  # by which a hot word is preferred
# Of a grammar: nats that anything else than its phrases costs a frame, and that each phrase, or other word, adds.
REJECTION, PHRASE = 2.0, -4.0
MOST_WAYS = 16  # to pronounce a phrase
LOOKED_AT = 100  # hypotheses of a stream before its utterance has ended: of fewer, words seem surer than they are


@dataclass(frozen=True)
class Heard:
    """What the acoustic model makes of a window."""

    log_probs: np.ndarray  # [T, units] of the frames that are wanted
    steady: bool  # is it loud, but always the same?


@dataclass(frozen=True)
class Undecoded:
    """A chunk and what goes before it, for both passes."""

    log_probs: np.ndarray  # [T, units]
    pause: bool  # does it end in a pause?
    context: Context
    nbest: int  # hypotheses that are wanted
    promised: tuple[str, ...] = ()  # words that it begins with, if that can be


# How many processes may work on a recording, perhaps more later on; and who, if they aren't to be forked.
Jobs = int | Callable[[], int] | tuple[Callable[[], int], Crew]


class Recognizer:
    """All models of a bundle, ready to transcribe. Threads may share one.

    >>> recognizer = Recognizer()
    >>> recognizer.transcribe("talk.flac").text
    """

    def __init__(self, model: Path | str | None = None, *, device: str = "cpu", streaming: bool = False) -> None:
        """Open a model folder; the default is the one that ships.

        device: where the acoustic model runs: "cpu", or what PyTorch calls another, such as "cuda".
        streaming: hear with the one-way model, which makes more errors but needs no future: `chunks` takes what it
        says of a block at once, where the other waits for a window of many seconds.
        Raises BundleError if the folder lacks a part or a part is damaged, ValueError if there is no such device.
        """
        bundle = open_bundle(DEFAULT if model is None else Path(model))
        vocabulary = Vocabulary.load(bundle.file("vocabulary.txt"))
        ngram = read_trie(bundle.file("ngram.bin"), vocabulary)
        warn_missing(ngram, bundle.folder / "ngram.bin")
        decoder = bundle.read(DecoderConfig, "decoder")
        self.units = read_units(bundle)
        name = "streaming" if streaming else "acoustic"
        if (emitted := bundle.read(AcousticConfig, name).units) != (count := len(self.units.symbols)):
            raise BundleError(f"{bundle.folder}: {name} emits {emitted} units, {bundle.config['units']} are {count}")
        self.acoustic = read_acoustic(bundle, name, device)
        self.search = make_search(self.units, ngram, vocabulary, decoder.beam, decoder.first_pass)
        self.lstm = load_lstm(bundle, vocabulary)
        self.weights, self.rescoring_beam = decoder.second_pass, decoder.rescoring_beam
        self.carry_context = decoder.carry_context
        self.readable = Readable.open(bundle.folder) if "readable" in bundle.config else None
        self.spellings: dict[str, str] = {}  # how hot words are written
        self.only_phrases = False  # is it one of `with_grammar`?
        calibrations = bundle.read(Calibrations, "confidence") if "confidence" in bundle.config else Calibrations()
        self.calibration = calibrations.streaming if streaming else calibrations.acoustic

    def with_hot_words(self, boosts: Mapping[str, float]) -> "Recognizer":
        """The same, but words are preferred by so many nats: at e to that power times their probability.

        Words and phrases are plain text, as it is normalised for language models: "Nguyễn" is NGUYEN, "COVID-19" is
        COVID NINETEEN. Those outside the vocabulary are spelled, or pronounced, by the units' own rules. Raises
        ValueError for a text without words, or so many nats that nothing else would be heard.
        """
        spellings = dict(chain.from_iterable(map(spelling, boosts)))
        boosts = dict(hot_word(text, nats) for text, nats in boosts.items())
        # A new word shall be as rare as most of the vocabulary; <unk> is as frequent as all new words together.
        ngram, vocabulary = self.search.ngram, self.search.vocabulary
        unigram = ngram.log_prob[ngram.ids] + ngram.shares
        rarity = np.median(unigram) - unigram[UNKNOWN]
        new = self.search.weights.ngram * min(0.0, float(rarity))
        boosts = {word: nats + (0.0 if word in vocabulary else new) for word, nats in boosts.items()}
        other = self._with_search(self._search(self.search.config, boosts))
        other.spellings = {**self.spellings, **spellings}
        return other

    def with_unknown_words(self, cost: float) -> "Recognizer":
        """The same, but what sounds like no word it knows is written <unk>, at so many nats a frame of sound.

        Raises ValueError for a cost below 0, or that is no number.
        """
        checked(Cost, cost, "unknown words at")
        return self._with_search(self._search(replace(self.search.config, unknown=cost), self.search.boosts))

    def with_grammar(self, phrases: Iterable[str], rejection: float = REJECTION) -> "Recognizer":
        """The same, but nothing is heard other than these words and phrases, each as likely as the others.

        They are plain text, as for `with_hot_words`, and pronounced by the units' own rules. What sounds less like them
        than like anything else is left out; rejection: the nats a frame that anything else costs, so less rejects more.
        Raises ValueError for a text without words, or if there are none.
        """
        checked(Cost, rejection, "rejection")
        if isinstance(phrases, str):
            raise TypeError("with_grammar takes phrases: give it several, or a list of one")
        texts = list(phrases)
        known = dict.fromkeys(hot_word(text, 0.0)[0] for text in texts)
        if not known:
            raise ValueError("a grammar needs a phrase, at least")
        config = replace(self.search.config, unknown=rejection)
        other = self._with_search(make_grammar(self.units, self.search, list(known), config))
        # Neither language model has a say, and confidences are what the search thinks.
        other.weights, other.calibration, other.only_phrases = other.search.weights, None, True
        other.spellings = {**self.spellings, **dict(chain.from_iterable(map(spelling, texts)))}
        return other

    def _search(self, config: BeamConfig, boosts: Mapping[str, float]) -> BeamSearch:
        old = self.search
        return make_search(self.units, old.ngram, old.vocabulary, config, old.weights, boosts)

    def _with_search(self, search: BeamSearch) -> "Recognizer":
        other = copy.copy(self)
        other.__dict__.pop("_lexicon_alone", None)  # of the old search
        other.search = search
        return other

    def emissions(self, waveform: np.ndarray) -> np.ndarray:
        """Log-probs [T', units] of a waveform float32 [N] at 16 kHz; T' is 0 if the waveform is empty."""
        return self.acoustic.log_probs(waveform)

    def greedy(self, log_probs: np.ndarray) -> str:
        """What the acoustic model alone makes of log-probs [T, units].

        Characters and pieces spell the best path. Phones don't spell, so the lexicon is searched for the words that
        sound most like the emissions, without any language model; a word costs one nat, or every sound would be one.
        """
        if isinstance(self.units, PhoneUnits):
            return self._lexicon_alone.decode(log_probs)[0].text
        best = log_probs.argmax(1)
        changes = best[np.append(True, best[1:] != best[:-1])]
        spelled = "".join(self.units.symbols[unit] for unit in changes if unit != BLANK)
        return " ".join(spelled.replace(WORD_START, " ").split())

    @cached_property
    def _lexicon_alone(self) -> BeamSearch:
        search = self.search
        # Added, the many words that sound alike would each seem as probable as all of them. And as no language model
        # tells them apart, all of them stay in the beam: a wide one takes long and finds little more.
        config = replace(search.config, nbest=1, add=False, size=min(search.config.size, 400))
        return BeamSearch(search.tree, search.ngram, search.vocabulary, config, Weights(0, 0, -1))

    def decode(
        self,
        log_probs: np.ndarray,
        context: Context = NOTHING_SAID,
        sentence_end: bool = True,
        promised: Sequence[str] = (),
    ) -> list[Hypothesis]:
        """Both passes over log-probs [T, units]: hypotheses, best first.

        sentence_end: does a sentence end there? promised: words that all shall begin with, unless none does.
        """
        search = copy.copy(self.search)  # of which every thread needs its own
        search.reset(context.words)
        search.accept(log_probs)
        return self._rescored(keeping(promised, search.finish(sentence_end)), context, sentence_end)

    def _rescored(self, hypotheses: list[Hypothesis], context: Context, sentence_end: bool) -> list[Hypothesis]:
        """The second pass."""
        if self.only_phrases:
            return without_unknown(hypotheses)
        return rescore(hypotheses, self.lstm, self.weights, context.lstm, sentence_end, self.rescoring_beam)

    def transcribe(
        self,
        source: "Path | str | bytes | BinaryIO | ArrayLike",
        *,
        rate: float = SAMPLE_RATE,
        channel: Channel = Channel.mix,
        start: float = 0.0,
        end: float | None = None,
        nbest: int = 10,
        style: Style | None = None,
        jobs: Jobs = 1,
        progress: Callable[[float], None] | None = None,
    ) -> Transcript:
        """Transcribe a sound file, its bytes, a stream of them, or an array [N] or [N, channels] at `rate` Hz.

        progress: is told how many seconds are done. All else as for `listen`. What is damaged is left out, and the
        transcript's warnings tell where. Raises AudioError if there is no usable sound.
        """
        segments, done = [], 0.0
        warnings: list[str] = []
        for segment in self.listen(
            source,
            rate=rate,
            channel=channel,
            start=start,
            end=end,
            nbest=nbest,
            style=style,
            jobs=jobs,
            warn=warnings.append,
        ):
            segments.append(segment)
            done = max(done, segment.end - start)  # of several channels the last need not be the latest
            if progress:
                progress(done)
        return Transcript(total(segments, start), segments, warnings)

    def listen(
        self,
        source: "Path | str | bytes | BinaryIO | ArrayLike",
        *,
        rate: float = SAMPLE_RATE,
        channel: Channel = Channel.mix,
        start: float = 0.0,
        end: float | None = None,
        nbest: int = 10,
        style: Style | None = None,
        jobs: Jobs = 1,
        warn: Warn = reading.log.warning,
    ) -> Iterator[Segment]:
        """The segments of what `transcribe` takes, each as soon as it is decoded.

        start, end: the part to hear, in seconds; all times remain those of the whole. nbest: how many hypotheses of
        each segment are kept, at most. jobs: how many processes share the work, which changes nothing in the result;
        they are forked from this one, which should have no threads of its own then. warn: is told what is left out.
        style: whether words know how they are written; None: if the model can tell (`readable`). Of Channel.each
        segments and words say of which channel they are; they come by time. Raises AudioError if there is no usable
        sound, HelperDied if one of the processes is killed, ValueError for a style that the model lacks.
        """
        if not 0 <= start < math.inf or math.isnan(end or 0.0):
            raise AudioError(f"from {start} s to {end} s: give a start of at least 0 and a later end")
        end = None if end == math.inf else end
        if rate != round(rate if math.isfinite(rate) else 0):
            raise AudioError(f"a sampling rate of {rate} Hz: give a whole number")
        checked(Count, nbest, "nbest")
        checked(Channel, channel, "channel")
        if isinstance(jobs, int):
            checked(Count, jobs, "jobs")
        writer = self._writer(style)
        blocks = reading.blocks(_source(source), Channel(channel), start, end, int(rate), warn)
        if channel == Channel.each:
            channels = self._channels(blocks, start, nbest, warn, jobs)
        else:
            channels = [self.segments(blocks, start, nbest, warn, jobs)]
        if writer:
            channels = [readable(segments, writer, self.spellings) for segments in channels]
        yield from heapq.merge(*channels, key=lambda segment: segment.start)

    def live(
        self,
        rate: int = SAMPLE_RATE,
        *,
        endpointing: Endpointing = USUAL_ENDPOINTING,
        nbest: int = 10,
        style: Style | None = None,
    ) -> Live:
        """A stream that is transcribed while it is spoken: `accept` it block by block, then `finish` it.

        rate: of its samples, Hz. endpointing: when an utterance ends. nbest, style: as for `listen`. Words so far come
        from the first pass alone; where an utterance ends, all of it is heard again and goes through both. A one-way
        model hears nothing again. One recogniser may have many such streams, each in its thread. Raises AudioError for
        a rate that no recorder has, ValueError for a style that the model lacks, or a model on another device.
        """
        check_rate(rate)
        checked(Count, nbest, "nbest")
        writer = self._writer(style)
        look, decode = self._look, partial(self._decode_utterance, nbest)
        if not isinstance(self.acoustic, AcousticModel):
            raise ValueError("live streams are heard on the cpu: open the recogniser without a device")
        stream = (AheadStream if self.acoustic.config.bidirectional else AcousticStream)(self.acoustic)
        hidden = SPECIAL_WORDS[UNKNOWN] if self.only_phrases else None
        return Live(stream, copy.copy(self.search), look, decode, writer, self.spellings, rate, endpointing, hidden)

    def _look(self, search: BeamSearch, context: Context) -> Said:
        """What both passes make of a search so far."""
        hypotheses = self._rescored(search.so_far(LOOKED_AT), context, sentence_end=False)
        best, sure = hypotheses[0], confidences(hypotheses, self.weights, self.calibration)
        return best.words, best.times, sure

    def _decode_utterance(self, nbest: int, utterance: Utterance) -> Decoded:
        """Both passes over what was said live, heard again as a whole if that may sound otherwise."""
        log_probs = utterance.log_probs
        if isinstance(self.acoustic, AcousticModel) and self.acoustic.config.bidirectional:
            heard = self._read(utterance.window.waveform)[utterance.window.frames]
            log_probs = np.concatenate([blanks(len(log_probs) - len(heard), len(self.units.symbols)), heard])
        log_probs = speech_only(log_probs, utterance.begun, not utterance.pause)
        return self._decode_chunk(Undecoded(log_probs, utterance.pause, utterance.context, nbest, utterance.promised))

    def _writer(self, style: Style | None) -> Readable | None:
        """What writes text of a style. Raises ValueError if the model can't."""
        checked(Style | None, style, "style")
        if style == Style.readable and not self.readable:
            raise ValueError("the model can't write readable text: give style plain, or a model with a part `readable`")
        return None if style == Style.plain else self.readable

    def _channels(
        self, blocks: Iterable[np.ndarray], start: float, nbest: int, warn: Warn, jobs: Jobs
    ) -> list[Iterator[Segment]]:
        """As `segments`, of each channel of blocks [n, channels]. One alone is as ever, and `warn` is told."""
        blocks = iter(blocks)
        first = next(blocks)
        names: list[str | None] = [*labels(first.shape[1])] if first.shape[1] > 1 else [None]
        if names == [None]:
            warn("has one channel, so there are no sides to tell apart: transcribed as one")
        # Merged, the channels are decoded side by side, so that few blocks wait for the slowest.
        copies = tee(chain([first], blocks), len(names))
        return [
            self._segments_of(index, name, copy, start, nbest, warn, jobs)
            for index, (name, copy) in enumerate(zip(names, copies, strict=True))
        ]

    def _segments_of(
        self,
        index: int,
        name: str | None,
        blocks: Iterator[np.ndarray],
        start: float,
        nbest: int,
        warn: Warn,
        jobs: Jobs,
    ) -> Iterator[Segment]:
        """The segments of one channel of blocks [n, channels]."""
        told: Warn = (lambda problem: warn(f"{name} channel: {problem}")) if name else warn
        for segment in self.segments((block[:, index] for block in blocks), start, nbest, told, jobs):
            words = [replace(word, channel=name) for word in segment.words]
            yield replace(segment, words=words, channel=name)

    def segments(
        self,
        blocks: Iterable[np.ndarray],
        start: float = 0.0,
        nbest: int = 10,
        warn: Warn = reading.log.warning,
        jobs: Jobs = 1,
    ) -> Iterator[Segment]:
        """The segments of a recording, each as soon as it is decoded; memory doesn't grow with the recording.

        blocks: float32 [n] each, at 16 kHz, as from reading.blocks. start: the time in seconds at which they begin.
        nbest, jobs: as for `listen`. warn: is told at the end of what is loud, but no speech.
        """
        samples, loud, spoken_of = 0, 0, False
        steady: list[tuple[float, float]] = []

        def counted() -> Iterator[np.ndarray]:
            nonlocal samples, loud
            for block in blocks:
                samples += len(block)
                loud += len(block) * is_loud(block)
                yield block

        def seconds(frame: int) -> float:
            return round(start + min(frame * FRAME_SECONDS, samples / SAMPLE_RATE), 2)

        first = 0
        with closing(self._helpers(jobs)) as helpers:
            for decoded in self._decoded(self._chunks(counted(), helpers, steady), nbest, helpers):
                end = first + decoded.frames
                best = decoded.hypotheses[0]
                words = [
                    Word(word, seconds(first + spoken), seconds(first + silent), round(confidence, 3))
                    for word, (spoken, silent), confidence in zip(
                        best.words, best.times, decoded.confidences, strict=True
                    )
                ]
                spoken_of |= bool(words)
                yield Segment(seconds(first), seconds(end), words, decoded.hypotheses)
                first = end
        if steady:
            spans = [(start + time, length) for time, length in steady]
            warn(f"{places(spans)} is loud, but always the same, as hum and noise are: taken for silence")
        elif loud >= SAMPLE_RATE and not spoken_of:
            warn(f"{loud / SAMPLE_RATE:.1f} s of it are loud, but nothing in it sounds like speech: music, or noise?")

    def _helpers(self, jobs: Jobs) -> Helpers:
        if isinstance(jobs, tuple):
            return Helpers(self, *jobs)
        # What PyTorch began on a device couldn't go on in another process.
        on_cpu = isinstance(self.acoustic, AcousticModel)
        return Helpers(self, lambda: (jobs if isinstance(jobs, int) else jobs()) if on_cpu else 1)

    def _decoded(self, chunks: Iterable[Chunk], nbest: int, helpers: Helpers) -> Iterator[Decoded]:
        """Chunks decoded, in their order; side by side, unless the words before are the context of the next."""
        begun: deque[Part[Decoded]] = deque()
        context, left = NOTHING_SAID, np.zeros((0, len(self.units.symbols)), np.float32)
        for chunk in chunks:
            log_probs = np.concatenate([left, chunk.log_probs])
            begun.append(helpers.submit(self._decode_chunk, Undecoded(log_probs, chunk.pause, context, nbest)))
            context, left = NOTHING_SAID, left[:0]
            goes_on = not chunk.pause or self.carry_context
            while begun and (goes_on or begun[0].done or helpers.full(len(begun))):
                decoded = helpers.result(begun.popleft())
                if goes_on:
                    context, left = decoded.context, decoded.left
                yield decoded
        yield from map(helpers.result, begun)

    def _decode_chunk(self, chunk: Undecoded) -> Decoded:
        log_probs, left = chunk.log_probs, chunk.log_probs[:0]
        hypotheses = self.decode(log_probs, chunk.context, chunk.pause, chunk.promised)
        if not chunk.pause:
            # What comes before the seam is searched again, so that hypotheses and scores are of no other frames.
            end = seam(hypotheses[0].times, len(log_probs))
            log_probs, left = log_probs[:end], log_probs[end:]
            hypotheses = self.decode(log_probs, chunk.context, sentence_end=False, promised=chunk.promised)
        context = self._after(hypotheses[0].words, chunk.context, chunk.pause)
        sure = confidences(hypotheses, self.weights, self.calibration)
        return Decoded(len(log_probs), hypotheses[: chunk.nbest], sure, context, left)

    def _after(self, words: tuple[str, ...], context: Context, sentence_end: bool) -> Context:
        """The context after further words."""
        if sentence_end and not self.carry_context:
            return NOTHING_SAID
        lstm = state_after(words, self.lstm, context.lstm, sentence_end)
        said = () if sentence_end else (*context.words, *words)[-self.search.ngram.order :]  # it looks back no further
        return Context(said, lstm)

    def chunks(self, blocks: Iterable[np.ndarray]) -> Iterator[Chunk]:
        """The emissions of a recording, between pauses. blocks: as for `segments`."""
        return self._chunks(blocks, self._helpers(1), [])

    def _chunks(
        self, blocks: Iterable[np.ndarray], helpers: Helpers, steady: list[tuple[float, float]]
    ) -> Iterator[Chunk]:
        """steady: takes start and length, in seconds, of what is loud, but isn't listened to."""
        if isinstance(self.acoustic, AcousticModel) and not self.acoustic.config.bidirectional:
            return chunks(AcousticStream(self.acoustic).run(blocks))

        def emissions() -> Iterator[np.ndarray]:
            frames = 0
            for heard in helpers.map(self._hear, windows(blocks)):
                if heard.steady:
                    add_span(steady, frames * FRAME_SECONDS, len(heard.log_probs) * FRAME_SECONDS)
                frames += len(heard.log_probs)
                yield heard.log_probs

        return chunks(emissions())

    def _hear(self, window: Window) -> Heard:
        waveform, frames = window.waveform, window.frames
        return Heard(self._read(waveform)[frames], is_loud(waveform) and is_steady(waveform))

    def _read(self, waveform: np.ndarray) -> np.ndarray:
        """The emissions [T', units] of all of a window's sound [N]."""
        if is_silent(waveform):
            return blanks(output_length(len(waveform) // HOP + 1), len(self.units.symbols))
        offset = float(waveform.mean())
        if abs(offset) > OFFSET * float(waveform.std()):
            waveform = waveform - np.float32(offset)
        loudness = float(np.sqrt(np.square(waveform).mean()))
        return self.emissions(waveform * np.float32(USUAL / loudness if loudness < QUIET else 1))


def total(segments: Sequence[Segment], start: float) -> float:
    """The seconds from `start` that segments take up."""
    # A few samples of a high rate may be none at 16 kHz.
    return round(max((segment.end - start for segment in segments), default=0.0), 2)


def hot_word(text: str, nats: float) -> tuple[str, float]:
    """A word or phrase, normalised, and by how much it is preferred. Raises ValueError if either can't be."""
    words = [text] if WORD.fullmatch(text) else normalize(text)
    if not words:
        raise ValueError(f"hot word {text!r}: has no letters")
    return " ".join(words), checked(Boost, nats, f"hot word {text!r}: nats")


def has_letters(text: str) -> bool:
    """Whether a word or phrase can be listened for."""
    return bool(WORD.fullmatch(text) or normalize(text))


def spelling(text: str) -> Iterator[tuple[str, str]]:
    """The words of a hot word or phrase, and how they are written, if that has capitals: KUBERNETES, Kubernetes."""
    for part in text.split():
        words = normalize(part)
        if len(words) == 1 and any(letter.isupper() for letter in part):
            yield words[0], part


def pronounced(units: Units, text: str) -> Iterator[list[int]]:
    """How a word or phrase may be spelled in unit ids: of a long phrase the MOST_WAYS most usual ways."""
    if " " not in text:  # as all words of a vocabulary, at every start
        yield from units.pronunciations(text)
        return
    for ways in islice(product(*map(units.pronunciations, text.split())), MOST_WAYS):
        yield list(chain.from_iterable(ways))


def _source(source: "Path | str | bytes | BinaryIO | ArrayLike") -> Path | BinaryIO | np.ndarray:
    """What a recording is read from. Raises AudioError for what can't be one."""
    if isinstance(source, str | os.PathLike):
        return Path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if hasattr(source, "read"):
        return cast(BinaryIO, source)
    if hasattr(source, "detach"):  # a tensor of PyTorch, perhaps with a gradient, or on another device
        source = source.detach().cpu()
    try:
        return np.asarray(source)
    except (TypeError, ValueError, RuntimeError):  # lists of several lengths
        raise AudioError(
            f"a {type(source).__name__} is no recording: give a path, bytes, a stream or an array"
        ) from None


def make_search(
    units: Units,
    ngram: NgramTables,
    vocabulary: Vocabulary,
    config: BeamConfig,
    weights: Weights,
    boosts: Mapping[str, float] | None = None,
) -> BeamSearch:
    """The first pass over all words of the vocabulary, as the units spell them, and the hot words outside it."""
    boosts = boosts or {}
    words = [*vocabulary, *(word for word in boosts if word not in vocabulary)]
    spellings = (
        (id, spelling)
        for id, word in enumerate(words)
        if word not in SPECIAL_WORDS
        for spelling in pronounced(units, word)
    )
    of_unknown = UNKNOWN_SOUNDS if config.unknown < math.inf else ()
    spellings_of_unknown = ((UNKNOWN, [len(units.symbols)] * sounds) for sounds in of_unknown)
    known = ngram.log_prob[ngram.ids] + ngram.shares
    unigram = np.append(known, np.full(len(words) - len(known), known[UNKNOWN]))
    tree = compile_tree(chain(spellings, spellings_of_unknown), unigram)
    return BeamSearch(tree, ngram, vocabulary, config, weights, boosts)


def make_grammar(units: Units, search: BeamSearch, phrases: Sequence[str], config: BeamConfig) -> BeamSearch:
    """A search over these phrases alone, and unknown words; of another search it has the vocabulary."""
    vocabulary = search.vocabulary
    new = [phrase for phrase in phrases if phrase not in vocabulary]
    ids = {phrase: len(vocabulary) + place for place, phrase in enumerate(new)}
    ids |= {phrase: vocabulary.encode([phrase])[0] for phrase in phrases if phrase in vocabulary}
    spellings = ((ids[phrase], spelling) for phrase in phrases for spelling in pronounced(units, phrase))
    of_unknown = ((UNKNOWN, [len(units.symbols)] * sounds) for sounds in UNKNOWN_SOUNDS)
    tree = compile_tree(chain(spellings, of_unknown), np.zeros(len(vocabulary) + len(new)))
    weights = Weights(0.0, 0.0, PHRASE)
    return BeamSearch(tree, search.ngram, vocabulary, config, weights, dict.fromkeys(phrases, 0.0))


def keeping(promised: Sequence[str], hypotheses: list[Hypothesis]) -> list[Hypothesis]:
    """The hypotheses that say what was promised, as far as they go; all, if none does."""
    return [hypothesis for hypothesis in hypotheses if all(map(eq, promised, hypothesis.words))] or hypotheses


def without_unknown(hypotheses: Iterable[Hypothesis]) -> list[Hypothesis]:
    """Hypotheses without their unknown words, each but once."""
    found: dict[tuple[str, ...], Hypothesis] = {}
    for hypothesis in hypotheses:
        kept = [word != SPECIAL_WORDS[UNKNOWN] for word in hypothesis.words]
        words = tuple(compress(hypothesis.words, kept))
        known = replace(
            hypothesis,
            words=words,
            times=tuple(compress(hypothesis.times, kept)),
            word_ngrams=(*compress(hypothesis.word_ngrams, kept), *hypothesis.word_ngrams[len(kept) :]),
            posteriors=tuple(compress(hypothesis.posteriors, kept)),
        )
        found.setdefault(words, known)
    return list(found.values())


def read_units(bundle: Bundle) -> Units:
    """The units of a bundle's acoustic model."""
    kind = bundle.config.get("units")
    if kind is None:
        raise BundleError(f"{bundle.folder}: has language models alone; asr export puts an acoustic model beside them")
    if kind == "phones":
        letter_to_sound = LetterToSound.load(bundle.file("letter_to_sound.safetensors"), PHONES)
        return PhoneUnits(read_lexicon(bundle.file("lexicon.txt"), PHONES), letter_to_sound)
    if kind == "pieces":
        return PieceUnits(bundle.file("pieces.model"))
    return CharacterUnits()


def read_acoustic(bundle: Bundle, name: str = "acoustic", device: str = "cpu") -> "AcousticModel | TorchAcousticModel":
    """An acoustic model of a bundle, "acoustic" or "streaming": in NumPy on the CPU, in PyTorch on any other device."""
    config = bundle.read(AcousticConfig, name)
    weights = Dequantized(bundle.file(f"{name}.safetensors"), shapes(config))
    if device == "cpu":
        return AcousticModel(config, weights)
    if not config.bidirectional:
        raise ValueError(f"device {device!r}: a one-way model runs on the cpu")
    try:
        from asr.acoustic.device import TorchAcousticModel
    except ImportError:
        raise ValueError(f"device {device!r}: only cpu works without PyTorch; pip install torch") from None
    return TorchAcousticModel(config, weights, device)
