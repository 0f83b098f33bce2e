"""Speech recognition: recordings to English words.

    >>> from asr import Recognizer
    >>> recognizer = Recognizer()  # the models that ship; Recognizer("exp/model"): others
    >>> transcript = recognizer.transcribe("tests/data/5789-70653-0013.flac")
    >>> transcript.text
    'And what time it was? She had asked what the time was.'
    >>> transcript.words[1]
    Word(word='WHAT', start=0.44, end=0.64, confidence=0.997)
    >>> for hypothesis in transcript.segments[0].nbest[:2]:
    ...     print(f"{hypothesis.acoustic:.0f} {hypothesis.ngram:.0f} {hypothesis.lstm:.0f} {hypothesis.text}")
    -7 -22 -21 AND WHAT TIME IT WAS
    -14 -22 -20 AND WHAT TIME WAS

A Transcript has segments, a Segment words with their times and an n-best list of hypotheses, a Hypothesis scores.
`rescore_texts` ranks the n-best lists of other recognisers by the language models of `lm`.
"""

from typing import TYPE_CHECKING

from lm.front import lazy

if TYPE_CHECKING:
    from asr.decoder.hypothesis import Hypothesis, Weights
    from asr.decoder.nbest import ScoredText, rescore_texts
    from asr.recognizer import Recognizer
    from asr.transcript import Segment, Transcript, Word

    __version__: str
else:  # none of them is needed for asr.lexicon.units and the like, nor for `asr --help`
    __getattr__, __dir__ = lazy(
        __name__,
        {
            "Hypothesis": "asr.decoder.hypothesis",
            "Recognizer": "asr.recognizer",
            "ScoredText": "asr.decoder.nbest",
            "Segment": "asr.transcript",
            "Transcript": "asr.transcript",
            "Weights": "asr.decoder.hypothesis",
            "Word": "asr.transcript",
            "rescore_texts": "asr.decoder.nbest",
        },
    )

__all__ = [
    "Hypothesis",
    "Recognizer",
    "ScoredText",
    "Segment",
    "Transcript",
    "Weights",
    "Word",
    "rescore_texts",
]
