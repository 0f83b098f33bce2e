"""Autocompletion: the most probable words that begin as the last one does.

python examples/autocomplete.py "how to rec"
python examples/autocomplete.py "how to "        # a space: the word is finished, what comes next?
"""

import sys

from lm import next_words, open_models


def complete(text: str, top: int = 5) -> list[tuple[str, float]]:
    """Words that may stand at the end of the text, and their probabilities given that they begin so."""
    finished, _, begun = text.rpartition(" ")
    candidates = next_words(open_models()["lstm"], finished, prefix=begun.upper())
    total = sum(probability for _, probability in candidates)
    return [(word, probability / total) for word, probability in candidates[:top]]


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for word, probability in complete(sys.argv[1]):
        print(f"{probability:6.1%}  {word}")
