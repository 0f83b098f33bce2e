import math
from collections import Counter

import numpy as np
import pytest

from lm.generate import generate
from lm.query import Models, next_words


def draw(models: Models, seed: int = 1, **settings: float) -> list[str]:
    return generate(models["lstm"], ["THE"], np.random.default_rng(seed), **settings)  # type: ignore[arg-type]


def test_a_seed_gives_its_sentence_again(models: Models) -> None:
    sentences = {tuple(draw(models, seed)) for seed in range(10)}
    assert len(sentences) > 5
    assert draw(models, 3) == draw(models, 3)


def test_words_come_as_often_as_their_probability_says(models: Models) -> None:
    rng = np.random.default_rng(1)
    count = 2000
    firsts = Counter((generate(models["ngram"], ["A"], rng, max_words=1) or ["</s>"])[0] for _ in range(count))
    probabilities = dict(next_words(models["ngram"], ["A"]))
    for word, probability in probabilities.items():
        expected = probability / (1 - probabilities["<unk>"])
        deviation = math.sqrt(count * expected * (1 - expected))
        assert abs((word != "<unk>") * count * expected - firsts[word]) < 4 * deviation + 1


def test_cold_or_top_1_is_the_most_probable(models: Models) -> None:
    history: list[str] = []
    for _ in range(5):
        best = next(word for word, _ in next_words(models["lstm"], ["THE", *history]) if word != "<unk>")
        if best == "</s>":
            break
        history.append(best)
    assert draw(models, temperature=1e-6, max_words=5) == history
    assert draw(models, top_k=1, max_words=5) == history


@pytest.mark.parametrize("settings", [{"temperature": 0}, {"temperature": -1}, {"top_k": 0}])
def test_says_what_is_wrong(models: Models, settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="want"):
        draw(models, **settings)
