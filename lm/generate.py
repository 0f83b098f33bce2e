"""Sentences drawn from a language model."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lm.model import LanguageModel
from lm.settings import Positive, checked
from lm.text.vocabulary import END, UNKNOWN


def generate(
    model: LanguageModel[Any],
    history: Sequence[str],
    rng: np.random.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    max_words: int = 100,
) -> list[str]:
    """The words that follow `history` (normalised, the beginning of a sentence) until `</s>`, or `max_words`.

    Each word is drawn from P(word | words before) ** (1 / temperature), normalised: a temperature near 0 takes the most
    probable word always, 1 draws as the model says, more than that flattens. top_k: of the most probable words only.
    `<unk>` is never drawn. Errors: ValueError for a temperature or top_k that isn't above 0.
    """
    checked(Positive, temperature, "temperature")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top-k {top_k}: want 1 or more")
    state = model.read(model.initial(), model.vocabulary.encode(history))
    words: list[str] = []
    while len(words) < max_words:
        log_probs = model.next_words(state) / temperature
        log_probs[UNKNOWN] = -np.inf
        candidates = np.argsort(-log_probs, kind="stable")[:top_k]
        weights = np.exp(log_probs[candidates] - log_probs[candidates[0]])
        word = int(rng.choice(candidates, p=weights / weights.sum()))
        if word == END:
            break
        words.append(model.vocabulary[word])
        state = model.read(state, [word])
    return words
