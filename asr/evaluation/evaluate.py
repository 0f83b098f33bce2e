"""The evaluation of a recogniser on a corpus: three decodings of the same emissions."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lhotse.cut import Cut

from asr.audio import reading
from asr.audio.errors import AudioError
from asr.audio.features import SAMPLE_RATE
from asr.decoder.confidence import confidences
from asr.decoder.rescore import rescore
from asr.evaluation.errors import (
    aligned,
    alignment_view,
    compare,
    confidence_quality,
    confusions,
    error_counts,
    error_rates,
    oracle_errors,
    spelled,
    wer_interval,
)
from asr.recognizer import Recognizer
from lm.text.normalise import normalize

DECODINGS = ("greedy", "ngram", "lstm")  # acoustics alone, with the n-gram's beam search, and rescored
FINAL = "lstm"
STAGES = ("emissions", "first_pass", "rescoring")
UTTERANCES = "utterances.jsonl"


@dataclass(frozen=True)
class Decoded:
    """One utterance: what was said, and what was recognised by each of DECODINGS."""

    id: str
    seconds: float
    reference: str
    greedy: str
    ngram: str
    lstm: str
    confidences: list[float]  # of the words of `lstm`
    oracle_errors: int  # word errors of the best hypotheses in the n-best lists
    speaker: str | None = None


@dataclass(frozen=True)
class Transcribed:
    """What is needed of an utterance of an earlier evaluation."""

    reference: str
    final: str


@dataclass(frozen=True)
class Evaluation:
    """What became of a corpus."""

    utterances: list[Decoded]
    unreadable: list[str]  # "ID: what is wrong with its audio"
    spent: dict[str, float]  # seconds of wall time in each of STAGES

    def summary(self, top: int = 10, earlier: tuple[str, Mapping[str, Transcribed]] | None = None) -> dict[str, Any]:
        """Sizes, times, error rates of each decoding and what else is known of the errors, ready for JSON.

        top: how many confusions of each kind. earlier: another evaluation to compare with, and its name. ValueError
        if that one is of other utterances.
        """
        references = [item.reference for item in self.utterances]
        texts = {decoding: [getattr(item, decoding) for item in self.utterances] for decoding in DECODINGS}
        alignments = {decoding: aligned(references, texts[decoding]) for decoding in DECODINGS}
        errors = {decoding: error_counts(alignment)[0] for decoding, alignment in alignments.items()}
        _, words = error_counts(alignments[FINAL])
        rates = {
            decoding: asdict(error_rates(references, texts[decoding]))
            | {"wer_interval": wer_interval(errors[decoding], words)}
            for decoding in DECODINGS
        }
        pairs = {"ngram": errors["ngram"]}
        if earlier:
            name, transcribed = earlier
            check_same(name, transcribed, {item.id: item.reference for item in self.utterances})
            finals = [transcribed[item.id].final for item in self.utterances]
            pairs[name] = error_counts(aligned(references, finals))[0]
        seconds = sum(item.seconds for item in self.utterances)
        return {
            "utterances": len(references),
            "words": int(words.sum()),
            "hours": round(seconds / 3600, 4),
            "rtf": round(sum(self.spent.values()) / seconds, 3),
            **{f"seconds_{stage}": round(self.spent[stage], 3) for stage in STAGES},
            **rates,
            "oracle_wer": round(100 * sum(item.oracle_errors for item in self.utterances) / int(words.sum()), 2),
            "comparisons": [
                {"before": name, "after": FINAL} | asdict(compare(before, errors[FINAL], words))
                for name, before in pairs.items()
            ],
            "confidence": asdict(
                confidence_quality(
                    references,
                    [item.lstm.split() for item in self.utterances],
                    [item.confidences for item in self.utterances],
                )
            ),
            "speakers": self._speakers(errors[FINAL], words),
            "confusions": asdict(confusions(alignments[FINAL], top)),
        }

    def _speakers(self, errors: np.ndarray, words: np.ndarray) -> list[dict[str, Any]]:
        """Each known speaker's word error rate; errors, words: int [utterances]."""
        counts: Counter[tuple[str, str]] = Counter()
        for item, wrong, said in zip(self.utterances, errors.tolist(), words.tolist(), strict=True):
            if item.speaker and said:
                counts[item.speaker, "errors"] += wrong
                counts[item.speaker, "words"] += said
        return [
            {"speaker": speaker, "words": said, "wer": round(100 * counts[speaker, "errors"] / said, 2)}
            for (speaker, kind), said in sorted(counts.items())
            if kind == "words"
        ]

    def write(self, folder: Path, summary: dict[str, Any]) -> None:
        """Write summary.json, utterances.jsonl with all texts, and alignments.txt with the final errors in place."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        (folder / UTTERANCES).write_text("".join(json.dumps(vars(item)) + "\n" for item in self.utterances))
        final = aligned([item.reference for item in self.utterances], [item.lstm for item in self.utterances])
        (folder / "alignments.txt").write_text(alignment_view([item.id for item in self.utterances], final))


def read_transcribed(folder: Path) -> dict[str, Transcribed]:
    """The utterances, by id, of an evaluation that `write` wrote. ValueError if there is none in the folder."""
    path = folder / UTTERANCES
    try:
        items = [json.loads(line) for line in path.read_text().splitlines()]
        return {item["id"]: Transcribed(item["reference"], item[FINAL]) for item in items}
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; name the --output folder of an earlier asr evaluate") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path}: not what asr evaluate writes; evaluate again with --output {folder}") from None


def check_same(name: str, earlier: Mapping[str, Transcribed], references: Mapping[str, str]) -> None:
    """ValueError unless an earlier evaluation of that name is of these references (id to text)."""
    there = {key: normalize(item.reference) for key, item in earlier.items()}
    here = {key: normalize(text) for key, text in references.items()}
    different = sorted(key for key in there.keys() | here.keys() if there.get(key) != here.get(key))
    if different:
        raise ValueError(
            f"{name}: of other utterances or texts than these ({len(different)} differ, {different[0]} for one); "
            "evaluate both with the same --data and --limit"
        )


def evaluate(recognizer: Recognizer, cuts: Iterable[Cut]) -> Evaluation:
    """Decode lhotse cuts, each with one supervision, as `asr transcribe` does. ValueError if none can be read."""
    # The first call compiles the search, which is no part of the speed.
    recognizer.decode(recognizer.emissions(np.zeros(SAMPLE_RATE // 10, dtype=np.float32)))
    utterances: list[Decoded] = []
    unreadable: list[str] = []
    spent = np.zeros(len(STAGES))
    for cut in cuts:
        try:
            waveform = reading.load_cut(cut)
        except AudioError as error:
            unreadable.append(str(error))
            continue
        times = [time.perf_counter()]
        emissions = [chunk.log_probs for chunk in recognizer.chunks([waveform])]
        times.append(time.perf_counter())
        first_pass = [recognizer.search.decode(log_probs) for log_probs in emissions]
        times.append(time.perf_counter())
        rescored = [
            rescore(nbest, recognizer.lstm, recognizer.weights, beam=recognizer.rescoring_beam) for nbest in first_pass
        ]
        times.append(time.perf_counter())
        spent += np.diff(times)
        reference = cut.supervisions[0].text
        words = [
            [[part for word in hypothesis.words for part in spelled(word)] for hypothesis in nbest]
            for nbest in first_pass
        ]
        decoded = Decoded(
            id=cut.id,
            seconds=len(waveform) / SAMPLE_RATE,
            reference=reference,
            greedy=" ".join(recognizer.greedy(log_probs) for log_probs in emissions),
            ngram=" ".join(nbest[0].text for nbest in first_pass),
            lstm=" ".join(nbest[0].text for nbest in rescored),
            confidences=[
                round(value, 3)
                for nbest in rescored
                for value in confidences(nbest, recognizer.weights, recognizer.calibration)
            ],
            oracle_errors=oracle_errors(normalize(reference), words),
            speaker=cut.supervisions[0].speaker,
        )
        utterances.append(decoded)
    if not utterances:
        raise ValueError(f"there is nothing to evaluate: of {len(unreadable)} utterances none could be read")
    return Evaluation(utterances, unreadable, dict(zip(STAGES, spent.tolist(), strict=True)))
