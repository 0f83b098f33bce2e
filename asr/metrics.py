"""Error rates, and the evaluation of a recogniser on a corpus: three decodings of the same emissions."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jiwer
import numpy as np
from lhotse.cut import Cut

from asr import audio
from asr.decoder.rescore import rescore
from asr.features import SAMPLE_RATE
from asr.recognizer import Recognizer
from asr.segments import cut_at_silence
from lm.text import normalize

DECODINGS = ("greedy", "ngram", "lstm")  # acoustics alone, with the n-gram's beam search, and rescored


@dataclass(frozen=True)
class ErrorRates:
    """Substitutions, deletions and insertions over the reference's length, in per cent; spaces are characters too."""

    wer: float
    cer: float


def error_rates(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRates:
    """Word and character error rates of a corpus, both sides normalised. ValueError if the references have no words."""
    wanted, found = ([" ".join(normalize(text)) for text in texts] for texts in (references, hypotheses))
    if not any(wanted):
        raise ValueError("the references have no words: error rates are undefined")
    return ErrorRates(round(100 * jiwer.wer(wanted, found), 2), round(100 * jiwer.cer(wanted, found), 2))


@dataclass(frozen=True)
class Decoded:
    """One utterance: what was said, and what was recognised by each of DECODINGS."""

    id: str
    seconds: float
    reference: str
    greedy: str
    ngram: str
    lstm: str


@dataclass(frozen=True)
class Evaluation:
    """What became of a corpus."""

    utterances: list[Decoded]
    unreadable: list[str]  # "ID: what is wrong with its audio"
    busy: float  # seconds spent on emissions, first pass and rescoring

    def summary(self) -> dict[str, Any]:
        """Sizes, real-time factor and the error rates of each decoding, ready for JSON."""
        references = [item.reference for item in self.utterances]
        seconds = sum(item.seconds for item in self.utterances)
        return {
            "utterances": len(references),
            "words": sum(len(normalize(text)) for text in references),
            "hours": round(seconds / 3600, 4),
            "rtf": round(self.busy / seconds, 3),
        } | {
            decoding: asdict(error_rates(references, [getattr(item, decoding) for item in self.utterances]))
            for decoding in DECODINGS
        }


def evaluate(recognizer: Recognizer, cuts: Iterable[Cut]) -> Evaluation:
    """Decode lhotse cuts, each with one supervision, as `asr transcribe` does. ValueError if none can be read."""
    # The first call compiles the search, which is no part of the speed.
    recognizer.decode(recognizer.emissions(np.zeros(SAMPLE_RATE // 10, dtype=np.float32)))
    utterances: list[Decoded] = []
    unreadable: list[str] = []
    busy = 0.0
    for cut in cuts:
        try:
            waveform = audio.load_cut(cut)
        except audio.AudioError as error:
            unreadable.append(str(error))
            continue
        started = time.perf_counter()
        emissions = [recognizer.emissions(waveform[first:end]) for first, end in cut_at_silence(waveform)]
        first_pass = [recognizer.search.decode(log_probs) for log_probs in emissions]
        rescored = [rescore(nbest, recognizer.lstm, recognizer.weights) for nbest in first_pass]
        busy += time.perf_counter() - started
        decoded = Decoded(
            id=cut.id,
            seconds=len(waveform) / SAMPLE_RATE,
            reference=cut.supervisions[0].text,
            greedy=" ".join(recognizer.greedy(log_probs) for log_probs in emissions),
            ngram=" ".join(nbest[0].text for nbest in first_pass),
            lstm=" ".join(nbest[0].text for nbest in rescored),
        )
        utterances.append(decoded)
    if not utterances:
        raise ValueError(f"there is nothing to evaluate: of {len(unreadable)} utterances none could be read")
    return Evaluation(utterances, unreadable, busy)
