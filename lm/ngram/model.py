"""Word n-gram models as language models."""

from collections.abc import Sequence
from itertools import accumulate, chain
from math import log
from operator import itemgetter
from pathlib import Path

import kenlm
import numpy as np

from lm.text.vocabulary import END, SPECIAL_WORDS, START, Vocabulary

LN10 = log(10)  # KenLM and ARPA files have logarithms to base 10


class NgramModel:
    """An n-gram model (KenLM binary or ARPA) as a LanguageModel: ids of `vocabulary`, natural logarithms.

    A word of the vocabulary that the model lacks has an equal share of the model's probability for unknown words,
    so that the probabilities of all of the vocabulary sum to 1.
    """

    def __init__(self, path: Path, vocabulary: Vocabulary) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such n-gram model; `lm build-ngram` makes one")
        try:
            self._model = kenlm.Model(str(path), _quiet())
        except OSError as error:
            raise ValueError(f"{path}: not a KenLM binary or ARPA file ({error})") from None
        self.vocabulary = vocabulary
        self.order: int = self._model.order
        self._words = list(vocabulary)
        self._unknown = np.array([word not in self._model for word in self._words])
        self._unknown_share = -log(max(1, self._unknown.sum()))

    def initial(self) -> kenlm.State:
        """The state before the first word of a sentence."""
        state = kenlm.State()
        self._model.BeginSentenceWrite(state)
        return state

    def read(self, state: kenlm.State, words: Sequence[int]) -> kenlm.State:
        """The state after `words`, which follow `state`."""
        for word in words:
            _, (state,) = self.score([state], [word])
        return state

    def score(self, states: Sequence[kenlm.State], words: Sequence[int]) -> tuple[np.ndarray, list[kenlm.State]]:
        """Log-probabilities [B] float32 of `words` [B], each after its state, and the B states that follow them."""
        log_probs = np.empty(len(words), np.float32)
        following = [kenlm.State() for _ in words]
        for i, (state, word) in enumerate(zip(states, words, strict=True)):
            log_probs[i] = LN10 * self._model.BaseScore(state, self._words[word], following[i])
            if self._unknown[word]:
                log_probs[i] += self._unknown_share
            if word == END:
                self._model.BeginSentenceWrite(following[i])
        return log_probs, following

    def log_probs(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Log-probabilities float32 of each word of each sequence, which starts anew after each `</s>`."""
        scores: list[float] = []
        words, full_scores, score = self._words, self._model.full_scores, itemgetter(0)
        for sequence in sequences:
            # A call a sentence is faster than one a word.
            *closed, rest = " ".join([words[id] for id in sequence]).split(SPECIAL_WORDS[END])
            for sentence in closed:
                scores.extend(map(score, full_scores(sentence)))
            if rest:
                scores.extend(map(score, full_scores(rest, eos=False)))
        unknown = self._unknown[np.fromiter(chain.from_iterable(sequences), np.intp, len(scores))]
        log_probs = (LN10 * np.array(scores) + self._unknown_share * unknown).astype(np.float32)
        stops = list(accumulate(map(len, sequences)))
        return [log_probs[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]

    def next_words(self, state: kenlm.State) -> np.ndarray:
        """Log-probabilities [V] float64 of every word after the state; `<s>` has −inf, the rest sum to 1.

        Quantised probabilities sum to 1 only nearly, so what `score` says is scaled here by up to a few per cent.
        """
        score, after = self._model.BaseScore, kenlm.State()
        log_probs = LN10 * np.array([score(state, word, after) for word in self._words])
        log_probs[self._unknown] += self._unknown_share
        log_probs[START] = -np.inf
        return log_probs - np.logaddexp.reduce(log_probs)


def _quiet() -> kenlm.Config:
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    return config
