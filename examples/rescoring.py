"""Another recogniser's n-best list, ranked anew by the language models here.

    python examples/rescoring.py

The list below has what a small recogniser might make of a sentence: for each hypothesis a log-probability of its own,
which prefers a wrong one. Which share the language models should have depends on how these scores were made: try some
weights where you know what was said. `asr rescore` does the same with files.
"""

from asr import Weights, rescore_texts
from lm import open_models

NBEST = {
    "It is hard to wreck a nice beach.": -41.2,
    "It is hard to recognize peach.": -42.0,
    "It is hard to recognize speech.": -42.3,
    "It is heart to recognise speech.": -43.1,
}


def main() -> None:
    weights = Weights(ngram=0.3, lstm=0.5, word=0.5)  # what each score counts for; a word adds half a nat
    ranked = rescore_texts(open_models(), list(NBEST), list(NBEST.values()), weights)
    print("  total  n-gram    LSTM  theirs")
    for text in ranked:
        print(f"{text.total:7.1f} {text.ngram:7.1f} {text.lstm:7.1f} {text.score:7.1f}  {text.text}")


if __name__ == "__main__":
    main()
