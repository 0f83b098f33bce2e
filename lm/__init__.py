"""Language models of English: an n-gram, an LSTM, and the two mixed.

    >>> from lm import next_words, open_models, score_sentences
    >>> models = open_models()  # those that ship; open_models("exp/lm"): others
    >>> list(models)
    ['ngram', 'lstm', 'mixture']
    >>> for word, probability in next_words(models["mixture"], "How to recognize", top=3):
    ...     print(f"{probability:.3f} {word}")
    0.209 THE
    0.105 THAT
    0.058 THIS
    >>> texts = ["How to recognize speech.", "How to wreck a nice beach."]
    >>> [round(score.log_prob, 1) for score in score_sentences(models["mixture"], texts)]
    [-32.4, -40.2]

Texts may be plain, or lists of words that are normalised already. Logarithms are natural. `</s>` is the end of a
sentence, `<unk>` any word that the vocabulary lacks; an UnknownWordWarning says which were taken for it,
a LeftOutWarning what is in other letters than English has.
"""

from typing import TYPE_CHECKING

from lm.front import lazy

if TYPE_CHECKING:
    from lm.model import LanguageModel
    from lm.query import (
        Models,
        Perplexity,
        SentenceScore,
        fill,
        next_words,
        open_models,
        perplexity,
        score_sentences,
        word_probability,
    )
    from lm.text.normalise import normalize
    from lm.text.vocabulary import LeftOutWarning, UnknownWordWarning, Vocabulary

    __version__: str
else:  # most modules below need none of the models
    __getattr__, __dir__ = lazy(
        __name__,
        {
            "LanguageModel": "lm.model",
            "LeftOutWarning": "lm.text.vocabulary",
            "Models": "lm.query",
            "Perplexity": "lm.query",
            "SentenceScore": "lm.query",
            "UnknownWordWarning": "lm.text.vocabulary",
            "Vocabulary": "lm.text.vocabulary",
            "fill": "lm.query",
            "next_words": "lm.query",
            "normalize": "lm.text.normalise",
            "open_models": "lm.query",
            "perplexity": "lm.query",
            "score_sentences": "lm.query",
            "word_probability": "lm.query",
        },
    )

__all__ = [
    "LanguageModel",
    "LeftOutWarning",
    "Models",
    "Perplexity",
    "SentenceScore",
    "UnknownWordWarning",
    "Vocabulary",
    "fill",
    "next_words",
    "normalize",
    "open_models",
    "perplexity",
    "score_sentences",
    "word_probability",
]
