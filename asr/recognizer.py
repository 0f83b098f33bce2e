"""From a recording to words: the models of a bundle, put together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from safetensors.torch import load_file

from asr import audio
from asr.acoustic import FRAME_SECONDS, AcousticConfig, AcousticModel
from asr.align import align
from asr.decoder.beam import BeamConfig, BeamSearch
from asr.decoder.hypothesis import Hypothesis, Weights
from asr.decoder.rescore import rescore
from asr.features import SAMPLE_RATE
from asr.letter_to_sound import LetterToSound
from asr.lexicon import compile_tree, read_lexicon
from asr.segments import cut_at_silence
from asr.units import BLANK, PHONES, WORD_START, CharacterUnits, PhoneUnits, PieceUnits, Units
from lm.bundle import DEFAULT, Bundle, dequantized, open_bundle
from lm.kenlm_trie import read_trie
from lm.lstm import LstmModel, load_lstm
from lm.vocabulary import SPECIAL_WORDS, Vocabulary


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
    ) -> None:
        """`search` brings the weights of the first pass, `weights` are those of the second."""
        self.acoustic, self.units, self.search, self.lstm = acoustic.eval(), units, search, lstm
        self.weights = weights

    @classmethod
    def load(cls, folder: Path = DEFAULT) -> "Recognizer":
        """Open a model folder. Raises BundleError if it lacks a part or a part is damaged."""
        bundle = open_bundle(folder)
        vocabulary = Vocabulary.load(bundle.file("vocabulary.txt"))
        units = read_units(bundle)
        ngram = read_trie(bundle.file("ngram.bin"), vocabulary)
        pronunciations = [
            (index, spelling)
            for index, word in enumerate(vocabulary)
            if word not in SPECIAL_WORDS
            for spelling in units.pronunciations(word)
        ]
        tree = compile_tree(pronunciations, ngram.log_prob[ngram.ids])
        decoder = bundle.config["decoder"]
        search = BeamSearch(tree, ngram, vocabulary, BeamConfig(**decoder["beam"]), Weights(**decoder["first_pass"]))
        return cls(
            read_acoustic(bundle),
            units,
            search,
            LstmModel(load_lstm(bundle), vocabulary),
            Weights(**decoder["second_pass"]),
        )

    @torch.inference_mode()
    def emissions(self, waveform: np.ndarray) -> np.ndarray:
        """Log-probs [T', units] of a waveform float32 [N] at 16 kHz; T' is 0 if the waveform is empty."""
        if not len(waveform):
            return np.zeros((0, len(self.units.symbols)), dtype=np.float32)
        log_probs, _ = self.acoustic(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
        emissions: np.ndarray = log_probs[0].numpy()
        return emissions

    def greedy(self, log_probs: np.ndarray) -> str:
        """What the acoustic model alone makes of log-probs [T, units].

        Characters and pieces spell the best path. Phones don't spell, so the lexicon is searched for the words that
        sound most like the emissions, without any language model.
        """
        if isinstance(self.units, PhoneUnits):
            alone = BeamSearch(
                self.search.tree, self.search.ngram, self.search.vocabulary, self.search.config, Weights(0, 0, 0)
            )
            return alone.decode(log_probs)[0].text
        best = log_probs.argmax(1)
        changes = best[np.append(True, best[1:] != best[:-1])]
        spelled = "".join(self.units.symbols[unit] for unit in changes if unit != BLANK)
        return " ".join(spelled.replace(WORD_START, " ").split())

    def decode(self, log_probs: np.ndarray) -> list[Hypothesis]:
        """Both passes over log-probs [T, units]: hypotheses, best first."""
        return rescore(self.search.decode(log_probs), self.lstm, self.weights)

    def transcribe(self, source: Path | BinaryIO | np.ndarray) -> Transcript:
        """Transcribe a sound file, a stream that holds one, or a waveform float32 [N] at 16 kHz.

        Raises audio.AudioError if there is no usable sound.
        """
        waveform = audio.to_mono_16k(source, SAMPLE_RATE) if isinstance(source, np.ndarray) else audio.load(source)
        return Transcript(len(waveform) / SAMPLE_RATE, list(self.segments(waveform)))

    def segments(self, waveform: np.ndarray) -> Iterator[Segment]:
        """The segments of a waveform float32 [N] at 16 kHz, each as soon as it is decoded."""
        for first, end in cut_at_silence(waveform):
            yield self._segment(waveform[first:end], first / SAMPLE_RATE)

    def _segment(self, waveform: np.ndarray, start: float) -> Segment:
        log_probs = self.emissions(waveform)
        nbest = self.decode(log_probs)
        best = nbest[0].words
        spans = align(log_probs, [self.units.pronunciations(word) for word in best])
        words = [
            Word(
                word,
                round(start + FRAME_SECONDS * first, 2),
                round(start + FRAME_SECONDS * end, 2),
                round(confidence, 3),
            )
            for word, (first, end), confidence in zip(best, spans, confidences(nbest, self.weights), strict=True)
        ]
        return Segment(round(start, 2), round(start + len(waveform) / SAMPLE_RATE, 2), words, nbest)


def confidences(nbest: Sequence[Hypothesis], weights: Weights) -> list[float]:
    """For each word of the best hypothesis the share of the list's probability that has it in its place."""
    totals = np.array([hypothesis.total(weights) for hypothesis in nbest])
    shares = np.exp(totals - np.logaddexp.reduce(totals))
    confidence = np.zeros(len(nbest[0].words))
    for hypothesis, share in zip(nbest, shares, strict=True):
        for block in Levenshtein.opcodes(nbest[0].words, hypothesis.words):
            if block.tag == "equal":
                confidence[block.src_start : block.src_end] += share
    return [float(value) for value in confidence.clip(0, 1)]


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
    model = AcousticModel(AcousticConfig(**bundle.config["acoustic"]))
    weights = load_file(bundle.file("acoustic.safetensors"))
    model.load_state_dict({**model.state_dict(), **dequantized(weights)})
    return model
