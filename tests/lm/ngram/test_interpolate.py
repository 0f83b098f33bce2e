from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lm.ngram.arpa import BackoffModel, read_arpa, write_arpa
from lm.ngram.interpolate import interpolate_ngrams


def random_model(seed: int, words: list[str], longest: int = 3) -> BackoffModel:
    """The n-grams of random sentences with random probabilities; those of what follows a history sum to 1."""
    random = np.random.default_rng(seed)
    model = BackoffModel(["</s>", *words, "<unk>", "<s>"])
    # The first word stands in none, so that after every history something is left to back off to.
    sentences = [[len(words) + 2, *random.integers(2, len(words) + 2, 4), 0] for _ in range(6)]
    for n in range(1, longest + 1):
        ngrams = {tuple(sentence[i : i + n]) for sentence in sentences for i in range(len(sentence) - n + 1)}
        rows = np.array(sorted(ngrams) if n > 1 else [[row] for row in range(len(words) + 3)], np.int32)
        model.add(rows, np.log(random.random(len(rows))), np.zeros(len(rows)))
    unigrams = np.exp(model.orders[0].log_probs[:-1])
    model.orders[0].log_probs = np.log([*unigrams / unigrams.sum(), 1e-99])
    for shorter, order in zip(model.orders, model.orders[1:], strict=False):
        h, p, q = order.histories, np.exp(order.log_probs), np.exp(shorter.log_probs[order.suffixes])
        mass, rest = np.bincount(h, p, len(shorter)), 1 - np.bincount(h, q, len(shorter))
        order.log_probs = np.log(0.7 * p / mass[h])
        shorter.backoffs = np.where(mass > 0, np.log(0.3 / rest), 0)
    return model


@pytest.fixture
def arpas(tmp_path: Path) -> list[Path]:
    """Models of the same words, in different order, with different n-grams and longest n-grams."""
    paths = [tmp_path / f"{i}.arpa" for i in range(3)]
    for i, (words, longest) in enumerate([("ABCD", 3), ("DBAC", 3), ("CDBA", 2)]):
        write_arpa(random_model(i, list(words), longest), paths[i])
    return paths


def ngrams(arpa: Path) -> Iterator[list[str]]:
    for line in arpa.read_text().splitlines():
        if "\t" in line:
            yield line.split("\t")[1].split()


def probability(model: Any, ngram: list[str]) -> float:
    """P of the last word after the others, by the textbook."""
    return float(10 ** model.log10_prob(ngram[:-1], ngram[-1]))


def what_follows(model: Any, arpa: Path) -> np.ndarray:
    """The sum of the probabilities of all words after each listed history."""
    words = [ngram[0] for ngram in ngrams(arpa) if len(ngram) == 1 and ngram != ["<s>"]]
    histories = [[], *(ngram for ngram in ngrams(arpa) if len(ngram) < model.order and ngram[-1] != "</s>")]
    return np.array([sum(probability(model, [*history, word]) for word in words) for history in histories])


def test_gives_listed_ngrams_the_weighted_sum(arpas: list[Path], tmp_path: Path, textbook: Any) -> None:
    weights, merged = [0.5, 0.2, 0.3], tmp_path / "merged.arpa"
    sizes = interpolate_ngrams(arpas, weights, merged)
    listed = list(ngrams(merged))
    assert {tuple(ngram) for ngram in listed} == {tuple(ngram) for arpa in arpas for ngram in ngrams(arpa)}
    assert [sum(len(ngram) == n for ngram in listed) for n in (1, 2, 3)] == sizes
    models, whole = [textbook(arpa) for arpa in arpas], textbook(merged)
    for ngram in listed:
        expected = np.dot(weights, [probability(model, ngram) for model in models])
        assert probability(whole, ngram) == pytest.approx(expected, rel=1e-4)


def test_words_that_a_model_lacks_have_no_probability_there(tmp_path: Path, textbook: Any) -> None:
    first, second, merged = (tmp_path / name for name in ("first.arpa", "second.arpa", "merged.arpa"))
    write_arpa(random_model(1, ["A", "B", "C"]), first)
    write_arpa(random_model(2, ["A", "B", "D"]), second)
    interpolate_ngrams([first, second], [0.4, 0.6], merged)
    model = textbook(merged)
    for ngram in (["C"], ["B", "C"], ["<s>", "C"]):
        assert probability(model, ngram) == pytest.approx(0.4 * probability(textbook(first), ngram), rel=1e-4)
    assert what_follows(model, merged) == pytest.approx(1, abs=1e-5)


def test_what_follows_a_history_sums_to_one(arpas: list[Path], tmp_path: Path, textbook: Any) -> None:
    merged = tmp_path / "merged.arpa"
    interpolate_ngrams(arpas, [0.5, 0.2, 0.3], merged)
    assert what_follows(textbook(merged), merged) == pytest.approx(1, abs=1e-5)


def test_nothing_changes_where_there_is_nothing_to_mix(arpas: list[Path], tmp_path: Path) -> None:
    merged = tmp_path / "merged.arpa"
    for parts, weights in ([arpas[:1], [1.0]], [[arpas[0]] * 3, [0.5, 0.2, 0.3]]):
        interpolate_ngrams(parts, weights, merged)
        one, same = read_arpa(arpas[0]), read_arpa(merged)
        assert same.vocabulary == one.vocabulary
        for order, mixed in zip(one.orders, same.orders, strict=True):
            for column in ("words", "histories", "suffixes", "log_probs", "backoffs"):
                np.testing.assert_allclose(getattr(mixed, column), getattr(order, column), rtol=1e-5, atol=1e-5)


def test_says_which_weights_do_not_serve(arpas: list[Path], tmp_path: Path) -> None:
    for weights in ([1.0], [0.5, 0.2, 0.2], [0.7, 0.3, 0.0]):
        with pytest.raises(ValueError, match="of 3 models"):
            interpolate_ngrams(arpas, weights, tmp_path / "merged.arpa")
