"""What a search finds: hypotheses of what was said, their scores taken apart, and what each score counts for."""

from dataclasses import dataclass

from lm.settings import Number, Share, check_fields


@dataclass(frozen=True)
class Weights:
    """What each score counts for; the acoustic log-prob has weight 1. Raises ValueError for what is no number."""

    ngram: Number
    lstm: Number
    word: Number  # added for every word: CTC and language models both favour few words
    linear: Share = 0.0  # the n-gram's share in the LSTM's score: sum of log((1 - linear) P_lstm + linear P_ngram)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Hypothesis:
    """What an utterance may have said. All scores are natural logs."""

    words: tuple[str, ...]
    acoustic: float  # of all CTC paths that spell the words
    ngram: float  # of the words and the sentence end
    lstm: float | None = None  # likewise; None before rescoring
    times: tuple[tuple[int, int], ...] = ()  # each word's first and past-the-end frame
    word_ngrams: tuple[float, ...] = ()  # `ngram`, a word at a time, the sentence end last
    boost: float = 0.0  # what hot words in it add
    posteriors: tuple[float, ...] = ()  # of each word, among all that the first pass held possible

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def total(self, weights: Weights) -> float:
        """The score that ranks: acoustic + boost + by their weights both language models' scores and the words."""
        lstm = weights.lstm * self.lstm if self.lstm is not None else 0.0
        return self.acoustic + self.boost + weights.ngram * self.ngram + lstm + weights.word * len(self.words)
