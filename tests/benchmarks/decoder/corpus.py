"""What the benchmarks of this folder share: one core, a corpus with its emissions, and a search of other settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from lhotse.cut import Cut

from asr.audio import reading
from asr.audio.features import SAMPLE_RATE
from asr.decoder.beam import BeamSearch
from asr.decoder.hypothesis import Weights
from asr.recognizer import Recognizer
from lm.lstm.model import LstmModel
from lm.progress import progress_bar
from lm.text.vocabulary import END


@dataclass(frozen=True)
class Corpus:
    """Utterances with known text, and their emissions."""

    cuts: list[Cut]
    seconds: list[float]  # of audio
    emissions: list[np.ndarray]  # float32 [T, units] each, natural logs

    @property
    def references(self) -> list[str]:
        return [cut.supervisions[0].text for cut in self.cuts]


def on_one_core() -> None:
    """Stay on one core, where the system can do that; processes started later inherit it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def with_emissions(recognizer: Recognizer, cuts: list[Cut]) -> Corpus:
    """The utterances, and their emissions by the recogniser's acoustic model."""
    seconds, emissions = [], []
    for cut in progress_bar(cuts, "emissions", len(cuts)):
        waveform = reading.load_cut(cut)
        seconds.append(len(waveform) / SAMPLE_RATE)
        emissions.append(recognizer.emissions(waveform))
    return Corpus(cuts, seconds, emissions)


def search_like(
    given: BeamSearch,
    settings: Mapping[str, Any],
    weights: Weights | None = None,
    fused: LstmModel | None = None,
) -> BeamSearch:
    """The same search with some settings of its BeamConfig changed, and with other weights, or a fused model."""
    config = replace(given.config, **settings)
    return BeamSearch(given.tree, given.ngram, given.vocabulary, config, weights or given.weights, fused=fused)


def by_sentence(model: LstmModel, words: tuple[str, ...]) -> np.ndarray:
    """log P of each word of a sentence and of its end, read by itself: float32 [words + 1]."""
    return model.log_probs([[*model.vocabulary.encode(words), END]])[0]
