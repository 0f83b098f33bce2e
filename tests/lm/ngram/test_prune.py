from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lm.ngram.arpa import read_arpa, write_arpa
from lm.ngram.model import NgramModel
from lm.ngram.prune import chain, choose, prune_ngram
from lm.text.vocabulary import Vocabulary

SENTENCES = 20 * [["A", "B"], ["A", "B"], ["A", "B"], ["B", "C"], ["C"], ["B", "A", "B"]]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("".join(" ".join(words) + "\n" for words in SENTENCES))
    return path


@pytest.fixture
def arpa(tmp_path: Path) -> Path:
    """All n-grams of SENTENCES up to trigrams, with probabilities that only have to be negative logarithms."""
    framed = [["<s>", *words, "</s>"] for words in SENTENCES]
    bigrams = sorted({pair for words in framed for pair in pairwise(words)})
    trigrams = sorted({tuple(words[i : i + 3]) for words in framed for i in range(len(words) - 2)})
    unigrams = [(word,) for word in ("<unk>", "<s>", "</s>", "A", "B", "C")]
    ngrams: list[list[tuple[str, ...]]] = [[*unigrams], [*bigrams], trigrams]
    parts = ["\\data\\", *(f"ngram {n}={len(rows)}" for n, rows in enumerate(ngrams, 1))]
    for n, rows in enumerate(ngrams, 1):
        backoff = "\t-0.5" if n < 3 else ""
        parts += ["", f"\\{n}-grams:", *(f"-0.8\t{' '.join(row)}{backoff}" for row in rows)]
    path = tmp_path / "large.arpa"
    path.write_text("\n".join([*parts, "", "\\end\\", ""]))
    return path


def test_reads_what_it_writes(arpa: Path, tmp_path: Path) -> None:
    write_arpa(read_arpa(arpa), tmp_path / "again.arpa")
    first, again = read_arpa(arpa), read_arpa(tmp_path / "again.arpa")
    assert again.vocabulary == first.vocabulary
    for order, same in zip(first.orders, again.orders, strict=True):
        for column in ("words", "histories", "suffixes", "log_probs", "backoffs"):
            np.testing.assert_allclose(getattr(order, column), getattr(same, column), rtol=1e-6)


def test_estimates_what_it_keeps_from_the_text(arpa: Path, text: Path, tmp_path: Path) -> None:
    vocabulary = Vocabulary(["A", "B", "C"])
    assert prune_ngram(arpa, tmp_path / "small.arpa", text, threshold=-np.inf) == [6, 8, 7]
    model = NgramModel(tmp_path / "small.arpa", vocabulary)
    a, b = vocabulary.encode(["A", "B"])
    (log_prob,), (after_a,) = model.score([model.initial()], [a])
    assert np.exp(log_prob) == pytest.approx(3 / 6, abs=0.1)  # of 120 sentences 60 begin with A
    assert np.exp(model.score([after_a], [b])[0][0]) > 0.8
    assert np.exp(raw(model, after_a)).sum() == pytest.approx(1, abs=1e-5)
    assert np.exp(raw(model, model.initial())).sum() == pytest.approx(1, abs=1e-5)


def raw(model: NgramModel, state: object) -> np.ndarray:
    """What the file says of every word but <s>, not scaled to a sum of 1."""
    words = [i for i, word in enumerate(model.vocabulary) if word != "<s>"]
    return model.score([state] * len(words), words)[0]


def test_leaves_out_what_costs_little(arpa: Path, text: Path, tmp_path: Path) -> None:
    sizes = [sum(prune_ngram(arpa, tmp_path / "small.arpa", text, threshold)) for threshold in (-np.inf, 0.02, 0.08)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[1] > sizes[2] > 6
    NgramModel(tmp_path / "small.arpa", Vocabulary(["A", "B", "C"]))


def test_keeps_histories_and_suffixes(arpa: Path) -> None:
    model = read_arpa(arpa)
    for threshold in (-1.0, 0.0, 0.001):
        keep = choose(model, threshold, chain(model))
        for n in (1, 2):
            order = model.orders[n]
            assert keep[n - 1][order.histories[keep[n]]].all()
            assert keep[n - 1][order.suffixes[keep[n]]].all()


def test_says_what_is_wrong(arpa: Path, text: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"text\.txt: no ARPA file"):
        read_arpa(text)
    broken = tmp_path / "broken.arpa"
    broken.write_text(arpa.read_text().partition("A B </s>")[0])
    with pytest.raises(ValueError, match=r"broken\.arpa: .* where a 3-gram should"):
        read_arpa(broken)
    broken.write_text(arpa.read_text().partition("-0.8\tA B </s>")[0])
    with pytest.raises(ValueError, match=r"broken\.arpa: ends within its 3-grams"):
        read_arpa(broken)
    for old, new, problem in (
        ("ngram 1=6", "ngram 1=9223372036854775807", "too short for"),
        ("ngram 1=6", "ngram 1=0", "want counts of 1-grams"),
        ("ngram 1=6", "ngram 1=-5", "want counts of 1-grams"),
        ("ngram 2", "ngram 3", "want counts of 1-grams"),
        ("-0.8\tA B", "nan\tA B", "no finite number"),
        ("-0.8\tA B", "0.8\tA B", "above 0"),
        ("-0.8\tA B", "-0.8\tA Q", "'-0.8.tA Q.t-0.5' stands where a 2-gram should"),
        ("-0.8\tA B", "-0.8\tB B", "a 3-gram without its first or last 2 words"),
    ):
        assert old in arpa.read_text()
        broken.write_text(arpa.read_text().replace(old, new))
        with pytest.raises(ValueError, match=rf"broken\.arpa: .*{problem}"):
            read_arpa(broken)
    broken.write_bytes(arpa.read_bytes().replace(b"A B", b"\xff B"))
    with pytest.raises(ValueError, match=r"broken\.arpa: no ARPA file"):
        read_arpa(broken)
    with pytest.raises(ValueError, match="a smaller one"):
        prune_ngram(arpa, tmp_path / "small.arpa", text, 99)
    text.write_text("A B\n")
    with pytest.raises(ValueError, match="lacks n-grams"):
        prune_ngram(arpa, tmp_path / "small.arpa", text, -np.inf)
