"""The n-best lists of other recognisers: read, and ranked by our language models.

>>> from lm import open_models
>>> for text in rescore_texts(open_models(), ["Wreck a nice beach.", "Recognize speech."]):
...     print(f"{text.total:.1f} {text.text}")
-29.1 Recognize speech.
-37.5 Wreck a nice beach.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr.decoder.beam import DecoderConfig
from asr.decoder.hypothesis import Hypothesis, Weights
from asr.decoder.rescore import fill_in, word_scores
from lm.bundle import DEFAULT, Bundle, open_bundle
from lm.settings import Number, checked
from lm.text.normalise import normalize, warn_left_out

if TYPE_CHECKING:
    from lm.query import Models


@dataclass(frozen=True)
class ScoredText:
    """A text of an n-best list, as it came in, and its scores, natural logarithms."""

    text: str
    score: float  # as it came in
    ngram: float  # of the words and the sentence end
    lstm: float  # likewise
    total: float  # the score that ranks


def rescore_texts(
    models: "Models",
    texts: Sequence[str],
    scores: Sequence[float] | None = None,
    weights: Weights | None = None,
    score_weight: float = 1.0,
) -> list[ScoredText]:
    """Rank the texts of an n-best list, best first; those that score alike stay in their order.

    texts: each is one sentence, in any case, with punctuation and numbers; these are normalised to be scored. scores:
    what their recogniser says of each, as log-probabilities; None: nothing. weights: of the language models, by default
    those of `default_weights`. score_weight: of the scores; below 0 if they are costs, of which less is better.
    Errors: ValueError for a score, or a weight, that isn't finite.
    """
    if isinstance(texts, str):
        raise TypeError("rescore_texts takes the texts of a list: give it several")
    scores = [0.0] * len(texts) if scores is None else scores
    for text, score in zip(texts, scores, strict=True):
        if not math.isfinite(score):
            raise ValueError(f"{text!r} has a score of {score}: want a finite log-probability")
    checked(Number, score_weight, "score_weight")
    weights = weights or default_weights(models.bundle)
    for text in texts:
        warn_left_out(text, stacklevel=2)
    sentences = [tuple(normalize(text)) for text in texts]
    models.vocabulary.warn_unknown(chain.from_iterable(sentences), stacklevel=2)
    ngrams = [tuple(log_probs.tolist()) for log_probs in word_scores(sentences, models["ngram"])]
    hypotheses = [
        Hypothesis(words, acoustic=score_weight * score, ngram=math.fsum(ngram), word_ngrams=ngram)
        for words, score, ngram in zip(sentences, scores, ngrams, strict=True)
    ]
    filled = fill_in(hypotheses, word_scores(sentences, models["lstm"]), weights)
    scored = [
        ScoredText(text, score, hypothesis.ngram, hypothesis.lstm or 0.0, hypothesis.total(weights))
        for text, score, hypothesis in zip(texts, scores, filled, strict=True)
    ]
    return sorted(scored, key=lambda text: -text.total)


def default_weights(bundle: Bundle) -> Weights:
    """Those of a bundle's second pass, or of the one that ships where a bundle has language models alone.

    But words count nothing: what the second pass gives or takes for each makes up for our own acoustic model.
    """
    bundle = bundle if "decoder" in bundle.config else open_bundle(DEFAULT)
    return replace(bundle.read(DecoderConfig, "decoder").second_pass, word=0.0)


# --- Files ------------------------------------------------------------------------------------------------

JSON = re.compile(r"\s*(?:\{|\[\s*(?:\{|\]|$))")  # [laughter] may begin a text
SHAPE = 'want {"id": ..., "nbest": [{"text": ..., "score": ...}, ...]}'


@dataclass(frozen=True)
class NbestList:
    """What a recogniser made of an utterance: texts, and a score of each; zeros where none were given."""

    id: Any  # a string in text, whatever it is in JSON; None: it has none
    texts: list[str]
    scores: list[float]


def read_nbest(lines: Iterable[str], name: str) -> Iterator[NbestList]:
    """The n-best lists of a file in text or JSON, each as soon as it is read.

    Text has a hypothesis a line, parted by tabs: TEXT, SCORE TEXT or ID SCORE TEXT, all lines alike; another id or an
    empty line begins another list. JSON is an object a list, each on a line, or an array of them (`_of_object` says
    what they hold). What begins with { or [{ is taken for JSON, unless `name`, which errors begin with, ends in .txt
    or .tsv. Errors: ValueError with the line's number.
    """
    numbered = enumerate((line.strip("\r\n\ufeff") for line in lines), 1)
    first = next(((number, line) for number, line in numbered if line.strip()), (0, ""))
    rest = chain([first], numbered)
    if Path(name).suffix in (".txt", ".tsv") or not JSON.match(first[1]):
        yield from _read_text(rest, name)
    elif first[1].lstrip()[0] == "{":
        for number, line in rest:
            if line.strip():
                yield from _of_object(_parsed(line, name, number), f"{name}, line {number}")
    else:
        items = _parsed("\n".join(line for _, line in rest), name, first[0])
        for count, item in enumerate(items, 1):
            yield from _of_object(item, f"{name}, object {count}")


def _read_text(numbered: Iterable[tuple[int, str]], name: str) -> Iterator[NbestList]:
    columns, id, texts, scores = 0, None, list[str](), list[float]()
    for number, line in numbered:
        fields = line.split("\t")
        begins = not line.strip() or (len(fields) == 3 and fields[0] != id)
        if begins and texts:
            yield NbestList(id, texts, scores)
            texts, scores = [], []
        if not line.strip():
            continue
        columns = columns or len(fields)
        if len(fields) != columns or columns > 3:
            want = "TEXT, SCORE TEXT or ID SCORE TEXT" if columns > 3 else f"{columns} as before"
            raise ValueError(f"{name}, line {number}: {len(fields)} columns, parted by tabs: want {want}")
        id = fields[0] if columns == 3 else None
        texts.append(fields[-1])
        scores.append(_score(fields[-2], f"{name}, line {number}") if columns > 1 else 0.0)
    if texts:
        yield NbestList(id, texts, scores)


def _parsed(text: str, name: str, number: int) -> Any:
    """JSON that begins on the line of this number."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line, problem = number + error.lineno - 1, error.msg[0].lower() + error.msg[1:]
        raise ValueError(f"{name}, line {line}, column {error.colno}: not JSON: {problem}") from None
    except RecursionError:
        raise ValueError(f"{name}, line {number}: JSON nested too deep: {SHAPE}") from None


def _of_object(item: Any, place: str) -> Iterator[NbestList]:
    """The lists of {"id": …, "nbest": [{"text": …, "score": log P}, …]}, or of what `asr transcribe` writes as JSON.

    There a recording's `file` is the id, the `acoustic` score counts, and each segment has a list if there are several.
    """
    if not isinstance(item, dict):
        raise ValueError(f"{place}: {SHAPE}")
    id, segments = item.get("id", item.get("file")), item.get("segments")
    parts = [part for part in segments if isinstance(part, dict)] if isinstance(segments, list) else []
    several: list[tuple[Any, Any]] = [(f"{id} {part.get('start')}", part["nbest"]) for part in parts if "nbest" in part]
    for name, nbest in several or [(id, item.get("nbest"))]:
        if not isinstance(nbest, list) or not all(isinstance(hypothesis, dict) for hypothesis in nbest):
            raise ValueError(f"{place}: {SHAPE}")
        texts = [hypothesis.get("text") for hypothesis in nbest]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{place}: a hypothesis lacks its text: {SHAPE}")
        given = [hypothesis.get("score", hypothesis.get("acoustic")) for hypothesis in nbest]
        if given.count(None) not in (0, len(given)):
            raise ValueError(f"{place}: {given.count(None)} of {len(given)} hypotheses lack a score: want all or none")
        yield NbestList(name, texts, [0.0 if score is None else _score(score, place) for score in given])


def _score(value: Any, place: str) -> float:
    try:
        score = float(value)
    except (TypeError, ValueError, OverflowError):
        score = math.nan
    if not math.isfinite(score):
        raise ValueError(f"{place}: score {value!r}: want a finite number, a log-probability")
    return score
