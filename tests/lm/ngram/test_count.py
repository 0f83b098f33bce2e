from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from lm.cli import app
from lm.ngram import count
from lm.ngram.count import NgramCounts, count_ngrams
from lm.ngram.estimate import estimate_ngram
from lm.ngram.model import NgramModel
from lm.ngram.prune import estimate
from lm.text.vocabulary import START, Vocabulary

VOCABULARY = Vocabulary("ABCDEFGH")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(autouse=True)
def shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many, of a short text."""
    monkeypatch.setattr(count, "CHUNK", 200)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """200 sentences with words outside the vocabulary, and a blank line."""
    random = np.random.default_rng(1)
    lines = [" ".join(random.choice([*"ABCDEXY"], random.integers(1, 8))) for _ in range(200)]
    (tmp_path / "text").write_text("\n".join([*lines[:100], "", *lines[100:]]) + "\n")
    return tmp_path / "text"


def sentences(text: Path) -> list[list[int]]:
    return [VOCABULARY.encode(words) for line in text.open() if (words := line.split())]


@pytest.mark.parametrize("prune", [(0,), (0, 1, 2), (0, 0, 0, 3)])
def test_every_ngram_above_the_cut_off_is_counted(text: Path, prune: tuple[int, ...]) -> None:
    counts = count_ngrams(text, VOCABULARY, 4, prune, jobs=2)
    model, _ = counts.model()
    for n, (order, found) in enumerate(zip(model.orders, counts.counts, strict=True), 1):
        whole = [[1, *words, 2] for words in sentences(text)]
        expected = Counter(tuple(words[i : i + n]) for words in whole for i in range(len(words) - n + 1))
        rows, columns = np.arange(len(order)), []
        for level in model.orders[n - 1 :: -1]:
            columns.append(level.words[rows])
            rows = level.histories[rows]
        ngrams = map(tuple, np.stack(columns[::-1], 1).tolist())
        cutoff = [*prune, *[prune[-1]] * 4][n - 1]
        kept = {ngram: times for ngram, times in expected.items() if times > cutoff}
        assert {ngram: times for ngram, times in zip(ngrams, found.tolist(), strict=True) if times} == kept


def test_smoothed_as_a_text_in_memory_is(text: Path) -> None:
    model, counts = count_ngrams(text, VOCABULARY, 3, (0,), jobs=1).model()
    estimate(model, counts)
    there, here = NgramModel(model, VOCABULARY), NgramModel(estimate_ngram(sentences(text), VOCABULARY), VOCABULARY)
    known = VOCABULARY.encode("ABCDE")
    for history in ([], [3], [0, 4], [3, 4]):
        scores = [one.score([one.read(one.initial(), history)] * len(known), known)[0] for one in (there, here)]
        np.testing.assert_allclose(scores[0], scores[1], atol=0.03)  # that one has no words that the text lacks
    every = [id for id in range(len(VOCABULARY)) if id != START]
    scores, _ = there.score([there.read(there.initial(), [3, 4])] * len(every), every)
    assert np.exp(scores).sum() == pytest.approx(1, abs=1e-5)


def test_a_model_is_built_of_counts(text: Path, tmp_path: Path) -> None:
    VOCABULARY.save(tmp_path / "words")
    counts, arguments = tmp_path / "text.counts", ("--vocabulary", tmp_path / "words")
    result = run("count-ngrams", text, *arguments, "--prune", "0 0 1", "--output", counts, "--jobs", 1)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.splitlines()[0] == "1-grams: 11"
    for threshold in ("0", "1e-3"):
        result = run("build-ngram", counts, *arguments, "--threshold", threshold, "--output", tmp_path / threshold)
        assert result.exit_code == 0, result.stderr
    sizes = [NgramModel(tmp_path / threshold, VOCABULARY) for threshold in ("0", "1e-3")]
    perplexities = [
        np.exp(-np.concatenate(model.log_probs([[*words, 2] for words in sentences(text)])).mean()) for model in sizes
    ]
    assert perplexities[0] < perplexities[1] < len(VOCABULARY)
    assert (tmp_path / "1e-3").stat().st_size < (tmp_path / "0").stat().st_size


def test_what_is_wrong_is_told(text: Path, tmp_path: Path) -> None:
    VOCABULARY.save(tmp_path / "words")
    Vocabulary("AB").save(tmp_path / "others")
    (tmp_path / "empty").write_text("\n\n")
    (tmp_path / "none.counts").write_text("A B\n")
    command = ("count-ngrams", text, "--vocabulary", tmp_path / "words", "--output")
    assert "text: name it text.counts" in run(*command, tmp_path / "text").stderr
    assert "cut-offs 0 2 1: want" in run(*command, tmp_path / "x.counts", "--prune", "0 2 1").stderr
    assert "cut-offs 1: want 0" in run(*command, tmp_path / "x.counts", "--prune", "1").stderr
    assert "cut-offs : want 0" in run(*command, tmp_path / "x.counts", "--prune", "").stderr
    with pytest.raises(ValueError, match="empty: the text has no words"):
        count_ngrams(tmp_path / "empty", VOCABULARY, jobs=1)
    assert "no such folder" in run(*command, tmp_path / "nowhere" / "x.counts").stderr
    run(*command, tmp_path / "x.counts", "--jobs", "1")
    assert (tmp_path / "x.counts").stat().st_mode == (tmp_path / "words").stat().st_mode
    built = ("build-ngram", tmp_path / "x.counts", "--vocabulary", tmp_path / "words", "--output", tmp_path / "y")
    assert "counts have theirs" in run(*built, "--order", "3").stderr
    for name, words, problem in (
        ("none", "words", "no counts of n-grams"),
        ("x", "others", "counts of other words"),
        ("nowhere", "words", "no such file"),
    ):
        output = ("--vocabulary", tmp_path / words, "--output", tmp_path / "y")
        result = run("build-ngram", tmp_path / f"{name}.counts", *output)
        assert result.exit_code == 1
        assert f"{name}.counts: {problem}" in result.stderr
        assert result.stderr.count("\n") == 1
    assert NgramCounts.load(tmp_path / "x.counts", VOCABULARY).counts[0].sum() > 0
