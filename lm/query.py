"""What one asks of language models: the next word, the probability of a sentence, the perplexity on a text.

A text is either a string, in any case and with punctuation, which is normalised, or a list of words as the vocabulary
has them. A sentence begins in the model's initial state and closes with `</s>`, which is a token that has to be
predicted like the words; `<s>` is none. Words outside the vocabulary are read, and predicted, as `<unk>`, and an
UnknownWordWarning names them. Natural logarithms.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lm.bundle import DEFAULT, Bundle, NoSuchModelError, open_bundle
from lm.cache import NeuralCache
from lm.lstm.model import LstmModel, load_lstm
from lm.mixture import LinearMixture
from lm.model import LanguageModel
from lm.ngram.model import NgramModel
from lm.progress import progress_bar
from lm.settings import Between
from lm.text.normalise import normalize, normalize_history, warn_left_out
from lm.text.vocabulary import END, SPECIAL_WORDS, UNKNOWN, Vocabulary

MODELS = ("ngram", "lstm", "mixture")
Text = str | Sequence[str]  # a plain one, or its words as the vocabulary has them
BLOCK = 256  # sentences given to a model at once
GAP = re.compile("_{2,}")
SHORTLIST = 500  # words scored in a gap by the LSTM


@dataclass(frozen=True)
class MixtureConfig:
    """Of the n-gram with the LSTM; stored in the bundle."""

    ngram_weight: Between


class Models(Mapping[str, LanguageModel[Any]]):
    """The language models of a bundle by name, those of MODELS that it holds; each is read when first asked for."""

    def __init__(self, bundle: Bundle, cache: int) -> None:
        self.bundle = bundle
        self._cache = cache
        held = [name for name, file in (("ngram", "ngram.bin"), ("lstm", "lstm.safetensors")) if bundle.has(file)]
        self._names = held if "mixture" not in bundle.config else [*held, "mixture"]

    def __getitem__(self, name: str) -> LanguageModel[Any]:
        """Raises NoSuchModelError, a KeyError, for a model that the bundle doesn't hold."""
        if name not in self:
            raise NoSuchModelError(f"{self.bundle.folder}: no model {name!r}; there are {', '.join(self)}")
        model: LanguageModel[Any] = getattr(self, name)
        return model

    def __contains__(self, name: object) -> bool:  # a mapping would read the model
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.load(self.bundle.file("vocabulary.txt"))

    @cached_property
    def ngram(self) -> NgramModel:
        return NgramModel(self.bundle.file("ngram.bin"), self.vocabulary)

    @cached_property
    def lstm(self) -> LstmModel | NeuralCache:
        model = load_lstm(self.bundle, self.vocabulary)
        return NeuralCache(model, self._cache) if self._cache else model

    @cached_property
    def mixture(self) -> LinearMixture:
        weight = self.bundle.read(MixtureConfig, "mixture").ngram_weight
        return LinearMixture([self.ngram, self.lstm], [weight, 1 - weight])


def open_models(folder: Path | str = DEFAULT, cache: int = 0) -> Models:
    """The models of a bundle, by default of the one that ships. Raises BundleError where there is none.

    cache: how many words the LSTM's neural cache holds, for documents (see lm.cache); 0: none.
    """
    return Models(open_bundle(Path(folder)), cache)


def next_words(
    model: LanguageModel[Any], history: Text, top: int | None = None, prefix: str = ""
) -> list[tuple[str, float]]:
    """The `top` most probable next words, the best first, and their probabilities; without `top` the whole vocabulary.

    history: the text so far, from the beginning of a sentence; "" or [] for none. Where a plain text ends sentences, as
    in "How are you? Fine and", so does `</s>`: the LSTM remembers them, the n-gram begins anew (see
    lm.text.normalise.normalize_history). A list of words may hold `</s>` itself. prefix: only words that begin so, in
    any case. Ties stand in order of the vocabulary.
    """
    probabilities = _next_probabilities(model, history)
    candidates = np.arange(len(probabilities))
    if prefix:
        begun = (word.startswith(prefix.upper()) for word in model.vocabulary)
        candidates = np.flatnonzero(np.fromiter(begun, bool, len(model.vocabulary)))
    if top is not None and top < len(candidates):  # sorting them all would take longer than finding them
        least = np.partition(probabilities[candidates], -top)[-top]
        candidates = candidates[probabilities[candidates] >= least]
    best = candidates[np.argsort(-probabilities[candidates], kind="stable")][:top].tolist()
    return [(model.vocabulary[i], p) for i, p in zip(best, probabilities[best].tolist(), strict=True)]


def word_probability(model: LanguageModel[Any], history: Text, word: str) -> float:
    """P(word | history), the history as for `next_words`, the word in any case.

    Of `<unk>`, which stands for all unknown words together, where the vocabulary lacks it. Errors: ValueError for what
    isn't one word.
    """
    word = one_word(word, model.vocabulary)
    model.vocabulary.warn_unknown([word], stacklevel=2)
    return float(_next_probabilities(model, history)[model.vocabulary.encode([word])[0]])


def one_word(text: str, vocabulary: Vocabulary) -> str:
    """A word as the vocabulary would have it, which may lack it. Errors: ValueError for what isn't one word."""
    words = [text] if text in vocabulary else normalize(text)
    if len(words) != 1:
        raise ValueError(f"word {text!r}: want one word")
    return words[0]


def _next_probabilities(model: LanguageModel[Any], history: Text) -> np.ndarray:
    """P(word | history) of every word of the vocabulary, float64 [V]."""
    if isinstance(history, str):
        warn_left_out(history, stacklevel=3)
        history = normalize_history(history)
    model.vocabulary.warn_unknown(history, stacklevel=3)
    return np.exp(model.next_words(model.read(model.initial(), model.vocabulary.encode(history))))


def fill(models: Models, text: Text, name: str = "mixture", top: int | None = 10) -> list[tuple[str, float]]:
    """The `top` words that fit a gap best, given what stands on both sides of it, and their probabilities.

    text: with one gap, "___": "How to ___ speech". The words are ranked by the probability of the whole text, which is
    divided by its sum over all words that are scored. By the n-gram these are all of the vocabulary; by the others, for
    which that would take minutes, the SHORTLIST words that are likeliest when the model says what may stand in the gap
    and the n-gram, if the bundle holds one, what may follow there. Errors: ValueError for a text without just one gap.
    """
    before, after = _around_gap(text)
    model, vocabulary = models[name], models.vocabulary
    vocabulary.warn_unknown([*before, *after], stacklevel=2)
    history, following = vocabulary.encode(before), vocabulary.encode(after)
    candidates = np.arange(len(SPECIAL_WORDS), len(vocabulary))
    if name != "ngram" and len(candidates) > SHORTLIST:
        likely = model.next_words(model.read(model.initial(), history))[candidates]
        if "ngram" in models:
            likely += _in_gap(models.ngram, history, candidates, following)[1]
        candidates = np.sort(np.argpartition(-likely, SHORTLIST)[:SHORTLIST]) + len(SPECIAL_WORDS)
    scores = np.add(*_in_gap(model, history, candidates, following))
    probabilities = np.exp(scores - np.logaddexp.reduce(scores))
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [(vocabulary[i], p) for i, p in zip(candidates[best].tolist(), probabilities[best].tolist(), strict=True)]


def _around_gap(text: Text) -> tuple[list[str], list[str]]:
    """The words before and after the gap; the last sentence ends after them."""
    if isinstance(text, str):
        warn_left_out(text, stacklevel=3)
        sides = [normalize_history(side) for side in GAP.split(text)]
    else:
        gaps = [-1, *(i for i, word in enumerate(text) if GAP.fullmatch(word)), len(text)]
        sides = [list(text[start + 1 : stop]) for start, stop in pairwise(gaps)]
    if len(sides) != 2:
        raise ValueError(f"{len(sides) - 1} gaps in the text: mark the one word that is wanted, once, by ___")
    before, after = sides
    return before, after if after[-1:] == [SPECIAL_WORDS[END]] else [*after, SPECIAL_WORDS[END]]


def _in_gap(
    model: LanguageModel[Any], history: Sequence[int], candidates: np.ndarray, following: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """log P of each candidate after the history, and of what follows after both; float64 [candidates] each."""
    state = model.read(model.initial(), history)
    log_probs, states = model.score([state] * len(candidates), candidates.tolist())
    after = np.zeros(len(candidates))
    for word in following:
        scores, states = model.score(states, [word] * len(candidates))
        after += scores
    return log_probs.astype(np.float64), after


@dataclass(frozen=True)
class Place:
    """A word of a sentence, or its `</s>`: its probability by each model, and what the last of these held likelier."""

    word: str
    probabilities: dict[str, float]
    likelier: list[tuple[str, float]]


def places(models: Models, words: Sequence[str], top: int = 3) -> list[Place]:
    """The places of a sentence of normalised words. top: how many likelier words each has, at most."""
    names = [name for name in MODELS if name in models]
    tokens = [*words, SPECIAL_WORDS[END]]
    ids = [*models.vocabulary.encode(words), END]
    scores = {name: np.exp(models[name].log_probs([ids])[0]).tolist() for name in names}
    judge: LanguageModel[Any] = models[names[-1]]
    found = []
    for place, word in enumerate(tokens):
        own = scores[names[-1]][place]
        ranked = next_words(judge, tokens[:place], top + 1)
        likelier = [(other, p) for other, p in ranked if p > own and other != word][:top]
        found.append(Place(word, {name: scores[name][place] for name in names}, likelier))
    return found


@dataclass(frozen=True)
class SentenceScore:
    """log P of each word of a sentence after the words before it; the last one is `</s>`."""

    words: list[str]
    log_probs: np.ndarray  # [words]
    oov: np.ndarray  # bool [words]: outside the vocabulary, so that the score is that of `<unk>`

    @property
    def log_prob(self) -> float:
        """log P(sentence)"""
        return math.fsum(self.log_probs.tolist())

    @property
    def perplexity(self) -> float:
        return math.exp(-self.log_prob / len(self.words))


def score_sentences(model: LanguageModel[Any], sentences: Iterable[Text]) -> Iterator[SentenceScore]:
    """The scores of sentences, in their order; sentences of like length are scored side by side.

    Each text is one sentence, whatever punctuation it holds.
    """
    if isinstance(sentences, str):
        raise TypeError("score_sentences takes several sentences: give it a list")
    remaining = iter(sentences)
    while texts := list(islice(remaining, BLOCK)):
        for text in texts:
            if isinstance(text, str):
                warn_left_out(text, stacklevel=2)
        block = [normalize(text) if isinstance(text, str) else text for text in texts]
        model.vocabulary.warn_unknown(chain.from_iterable(block), stacklevel=2)
        yield from _scores(model, block)


def _scores(model: LanguageModel[Any], sentences: Iterable[Sequence[str]]) -> Iterator[SentenceScore]:
    """As score_sentences, of normalised words, without warnings."""
    remaining = iter(sentences)
    while block := list(islice(remaining, BLOCK)):
        ids = [[*model.vocabulary.encode(words), END] for words in block]
        oov = np.fromiter(chain.from_iterable(ids), np.intp) == UNKNOWN
        start = 0
        for words, log_probs in zip(block, model.log_probs(ids), strict=True):
            stop = start + len(log_probs)
            yield SentenceScore([*words, SPECIAL_WORDS[END]], log_probs, oov[start:stop])
            start = stop


def score_document(model: LanguageModel[Any], sentences: Iterable[Sequence[str]]) -> Iterator[SentenceScore]:
    """The scores of the normalised sentences of one text, each after all that stood before it."""
    texts = list(sentences)
    ids = [[*model.vocabulary.encode(words), END] for words in texts]
    log_probs = model.log_probs([list(chain.from_iterable(ids))])[0]
    ends = np.cumsum([len(sentence) for sentence in ids])[:-1]
    for words, sentence, scores in zip(texts, ids, np.split(log_probs, ends), strict=True):
        yield SentenceScore([*words, SPECIAL_WORDS[END]], scores, np.array(sentence) == UNKNOWN)


@dataclass(frozen=True)
class Perplexity:
    """How well a model foretells a text. Sentence ends are tokens, sentence starts aren't."""

    sentences: int
    tokens: int
    oov: int  # tokens outside the vocabulary
    perplexity: float  # of all tokens; each unknown word counts with the probability of `<unk>`
    perplexity_without_oov: float  # of the known tokens alone; unknown words are still read


def perplexity(model: LanguageModel[Any], lines: Sequence[str], document: bool = False) -> Perplexity:
    """The perplexity of a model on a text, one sentence a line, not yet normalised; lines without words are skipped.

    document: the lines are one text, and a model that can remembers what was before a sentence. Errors: ValueError
    for a text without words.
    """
    if isinstance(lines, str):
        raise TypeError("perplexity takes lines: give it a list of them")
    sentences, tokens, oov, log_prob, known_log_prob = 0, 0, 0, 0.0, 0.0
    normalized = (words for line in lines if (words := normalize(line)))
    scores = score_document(model, normalized) if document else _scores(model, normalized)
    for score in progress_bar(scores, "perplexity", len(lines)):
        sentences += 1
        tokens += len(score.words)
        oov += int(score.oov.sum())
        log_prob += score.log_prob
        known_log_prob += float(score.log_probs[~score.oov].sum(dtype=np.float64))
    if not sentences:
        raise ValueError("the text has no words")
    return Perplexity(sentences, tokens, oov, math.exp(-log_prob / tokens), math.exp(-known_log_prob / (tokens - oov)))
