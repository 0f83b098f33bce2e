"""From a recording to words: the models of a bundle, put together."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr import audio
from asr.acoustic import FRAME_SECONDS, AcousticConfig, AcousticModel
from asr.decoder.beam import UNKNOWN_SOUNDS, BeamConfig, BeamSearch
from asr.decoder.hypothesis import Hypothesis, Weights
from asr.decoder.rescore import rescore, state_after
from asr.features import SAMPLE_RATE
from asr.letter_to_sound import LetterToSound
from asr.lexicon import compile_tree, read_lexicon
from asr.segments import cut_at_silence
from asr.units import BLANK, PHONES, WORD_START, CharacterUnits, PhoneUnits, PieceUnits, Units
from lm.bundle import DEFAULT, Bundle, Dequantized, open_bundle
from lm.kenlm_trie import NgramTables, read_trie
from lm.lstm import LstmModel, LstmState, load_lstm
from lm.vocabulary import SPECIAL_WORDS, UNKNOWN, WORD, Vocabulary


@dataclass(frozen=True)
class Word:
    """A recognised word; seconds from the recording's start, confidence 0..1."""

    word: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Segment:
    """A stretch of the recording that was decoded as one; seconds."""

    start: float
    end: float
    words: list[Word]
    nbest: list[Hypothesis]

    @property
    def text(self) -> str:
        return " ".join(word.word for word in self.words)


@dataclass(frozen=True)
class Transcript:
    """What was said in a recording of `duration` seconds."""

    duration: float
    segments: list[Segment]

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments if segment.words)


class Recognizer:
    """All models of a bundle, ready to transcribe.

    >>> recognizer = Recognizer.load()
    >>> recognizer.transcribe(Path("talk.flac")).text
    """

    def __init__(
        self,
        acoustic: AcousticModel,
        units: Units,
        search: BeamSearch,
        lstm: LstmModel,
        weights: Weights,
        carry_context: bool = False,
    ) -> None:
        """`search` brings the weights of the first pass, `weights` are those of the second.

        carry_context: does the LSTM remember what was said in the segments of a recording before the current one? It
        gained nothing where that was tried (RESULTS.md).
        """
        self.acoustic, self.units, self.search, self.lstm = acoustic, units, search, lstm
        self.weights, self.carry_context = weights, carry_context

    @classmethod
    def load(cls, folder: Path = DEFAULT) -> "Recognizer":
        """Open a model folder. Raises BundleError if it lacks a part or a part is damaged."""
        bundle = open_bundle(folder)
        vocabulary = Vocabulary.load(bundle.file("vocabulary.txt"))
        units = read_units(bundle)
        ngram = read_trie(bundle.file("ngram.bin"), vocabulary)
        decoder = bundle.config["decoder"]
        search = make_search(units, ngram, vocabulary, BeamConfig(**decoder["beam"]), Weights(**decoder["first_pass"]))
        return cls(
            read_acoustic(bundle),
            units,
            search,
            load_lstm(bundle, vocabulary),
            Weights(**decoder["second_pass"]),
            decoder.get("carry_context", False),
        )

    def with_hot_words(self, boosts: Mapping[str, float]) -> "Recognizer":
        """The same, but words are preferred by so many nats: at e to that power times their probability.

        Those outside the vocabulary are spelled, or pronounced, by the units' own rules. Raises ValueError for a word
        of other signs than letters and apostrophes.
        """
        for word in boosts:
            if not WORD.fullmatch(word):
                raise ValueError(f"hot word {word!r}: give one word, of letters A-Z and apostrophes")
        # A new word shall be as rare as most of the vocabulary; <unk> is as frequent as all new words together.
        ngram, vocabulary = self.search.ngram, self.search.vocabulary
        rarity = np.median(ngram.log_prob[ngram.ids]) - ngram.log_prob[ngram.ids[UNKNOWN]]
        new = self.search.weights.ngram * min(0.0, float(rarity))
        boosts = {word: nats + (0.0 if word in vocabulary else new) for word, nats in boosts.items()}
        return self._with_search(self.search.config, boosts)

    def with_unknown_words(self, cost: float) -> "Recognizer":
        """The same, but what sounds like no word it knows is written <unk>, at so many nats a frame of sound."""
        return self._with_search(replace(self.search.config, unknown=cost), self.search.boosts)

    def _with_search(self, config: BeamConfig, boosts: Mapping[str, float]) -> "Recognizer":
        old = self.search
        search = make_search(self.units, old.ngram, old.vocabulary, config, old.weights, boosts)
        return Recognizer(self.acoustic, self.units, search, self.lstm, self.weights, self.carry_context)

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
        # Added, the many words that sound alike would each seem as probable as all of them.
        config = replace(search.config, nbest=1, add=False)
        return BeamSearch(search.tree, search.ngram, search.vocabulary, config, Weights(0, 0, -1))

    def decode(self, log_probs: np.ndarray, remembered: LstmState | None = None) -> list[Hypothesis]:
        """Both passes over log-probs [T, units]: hypotheses, best first. remembered: the LSTM's state before them."""
        return rescore(self.search.decode(log_probs), self.lstm, self.weights, remembered)

    def transcribe(self, source: Path | BinaryIO | np.ndarray) -> Transcript:
        """Transcribe a sound file, a stream that holds one, or a waveform float32 [N] at 16 kHz.

        Raises audio.AudioError if there is no usable sound.
        """
        waveform = audio.to_mono_16k(source, SAMPLE_RATE) if isinstance(source, np.ndarray) else audio.load(source)
        return Transcript(len(waveform) / SAMPLE_RATE, list(self.segments(waveform)))

    def segments(self, waveform: np.ndarray) -> Iterator[Segment]:
        """The segments of a waveform float32 [N] at 16 kHz, each as soon as it is decoded."""
        remembered = None
        for first, end in cut_at_silence(waveform):
            nbest = self.decode(self.emissions(waveform[first:end]), remembered)
            if self.carry_context:
                remembered = state_after(nbest[0].words, self.lstm, remembered)
            yield self._segment(nbest, first / SAMPLE_RATE, end / SAMPLE_RATE)

    def _segment(self, nbest: list[Hypothesis], start: float, end: float) -> Segment:
        best = nbest[0]
        words = [
            Word(
                word,
                round(min(start + FRAME_SECONDS * first, end), 2),
                round(min(start + FRAME_SECONDS * last, end), 2),
                round(confidence, 3),
            )
            for word, (first, last), confidence in zip(
                best.words, best.times, confidences(nbest, self.weights), strict=True
            )
        ]
        return Segment(round(start, 2), round(end, 2), words, nbest)


def confidences(nbest: Sequence[Hypothesis], weights: Weights) -> list[float]:
    """How sure each word of the best hypothesis is: the mean of what both passes say.

    The first pass says how probable the word is among all readings of its lattice (if it kept count, see BeamConfig),
    the second the share of the list's probability that has the word in its place.
    """
    best = nbest[0]
    totals = np.array([hypothesis.total(weights) for hypothesis in nbest])
    shares = np.exp(totals - np.logaddexp.reduce(totals))
    in_place = np.zeros(len(best.words))
    for hypothesis, share in zip(nbest, shares, strict=True):
        for block in Levenshtein.opcodes(best.words, hypothesis.words):
            if block.tag == "equal":
                in_place[block.src_start : block.src_end] += share
    posteriors = np.array(best.posteriors) if best.posteriors else in_place
    return [float(value) for value in ((in_place + posteriors) / 2).clip(0, 1)]


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
        for spelling in units.pronunciations(word)
    )
    of_unknown = UNKNOWN_SOUNDS if config.unknown < math.inf else ()
    spellings_of_unknown = ((UNKNOWN, [len(units.symbols)] * sounds) for sounds in of_unknown)
    ids = np.append(ngram.ids, np.full(len(words), ngram.ids[UNKNOWN]))[: len(words)]
    tree = compile_tree(chain(spellings, spellings_of_unknown), ngram.log_prob[ids])
    return BeamSearch(tree, ngram, vocabulary, config, weights, boosts)


def read_units(bundle: Bundle) -> Units:
    """The units of a bundle's acoustic model."""
    kind = bundle.config["units"]
    if kind == "phones":
        letter_to_sound = LetterToSound.load(bundle.file("letter_to_sound.safetensors"), PHONES)
        return PhoneUnits(read_lexicon(bundle.file("lexicon.txt")), letter_to_sound)
    if kind == "pieces":
        return PieceUnits(bundle.file("pieces.model"))
    return CharacterUnits()


def read_acoustic(bundle: Bundle) -> AcousticModel:
    """The acoustic model of a bundle."""
    config = AcousticConfig(**bundle.config["acoustic"])
    return AcousticModel(config, Dequantized(bundle.file("acoustic.safetensors")))
