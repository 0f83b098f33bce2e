"""Answers as objects for JSON: what `lm next, score, compare --json` print, and what a server answers."""

import math
from collections.abc import Iterable
from typing import Any

from lm.query import MODELS, Models, SentenceScore, next_words, one_word, score_sentences
from lm.text.normalise import normalize_history, warn_left_out


def next_answer(
    models: Models,
    text: str,
    word: str | None = None,
    model: str | None = None,
    top: int | None = None,
    min_probability: float | None = None,
) -> dict[str, Any] | list[dict[str, Any]]:
    """The `top` most probable next words by one model, by default 10 by the mixture; or how probable one word is.

    min_probability: the words that are at least so probable instead. word: by one model or, as a list, by all three.
    Warns of words that the vocabulary lacks. Raises ValueError for what isn't one word, or asks for both.
    """
    if word is not None and (top is not None or min_probability is not None):
        raise ValueError("--word asks for one word, --top and --min-probability for several: leave out one or other")
    warn_left_out(text)
    vocabulary, history, asked = models.vocabulary, normalize_history(text), None
    vocabulary.warn_unknown(history)
    if word is not None:
        named = one_word(word, vocabulary)
        vocabulary.warn_unknown([named])
        asked = vocabulary[vocabulary.encode([named])[0]]
    answers: list[dict[str, Any]] = []
    for name in [model] if model else ["mixture"] if asked is None else MODELS:
        ranked = next_words(models[name], history)
        if asked is not None:
            chosen = [item for item in ranked if item[0] == asked]
        elif min_probability is not None:
            chosen = [item for item in ranked if item[1] >= min_probability][:top]
        else:
            chosen = ranked[: top or 10]
        answers.append(
            {
                "history": " ".join(history),
                "model": name,
                "total": sum(probability for _, probability in ranked),
                "words": [{"word": word, "probability": probability} for word, probability in chosen],
            }
        )
    return answers if asked is not None and model is None else answers[0]


def score_answer(models: Models, texts: Iterable[str], model: str = "mixture") -> list[dict[str, Any]]:
    """The log-probability of each sentence, and of each of its words."""
    return [score_object(score, model) for score in score_sentences(models[model], texts)]


def score_object(score: SentenceScore, model: str) -> dict[str, Any]:
    return {
        "text": " ".join(score.words[:-1]),
        "model": model,
        "log_probability": score.log_prob,
        "log10_probability": score.log_prob / math.log(10),
        "perplexity": score.perplexity,
        "oov": int(score.oov.sum()),
        "words": [
            {"word": word, "log_probability": log_prob, "oov": oov}
            for word, log_prob, oov in zip(score.words, score.log_probs.tolist(), score.oov.tolist(), strict=True)
        ],
    }
