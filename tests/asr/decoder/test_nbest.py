import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from asr.decoder.hypothesis import Weights
from asr.decoder.nbest import NbestList, ScoredText, default_weights, read_nbest, rescore_texts
from lm.bundle import open_bundle
from lm.query import Models, open_models
from lm.text.normalise import normalize
from lm.text.vocabulary import END, UnknownWordWarning

TEXTS = ["Wreck a nice beach!", "recognize speech", "The  NICE beach.", "", "the nice speech…"]


@pytest.fixture(scope="module")
def models(tiny_bundle: Path) -> Models:
    return open_models(tiny_bundle)


def brute_force(models: Models, text: str, score: float, weights: Weights, score_weight: float) -> ScoredText:
    words = normalize(text)
    ids = [*models.vocabulary.encode(words), END]
    ngram, lstm = (models[name].log_probs([ids])[0].astype(float) for name in ("ngram", "lstm"))
    mixed = np.log((1 - weights.linear) * np.exp(lstm) + weights.linear * np.exp(ngram)).sum()
    total = score_weight * score + weights.ngram * ngram.sum() + weights.lstm * mixed + weights.word * len(words)
    return ScoredText(text, score, ngram.sum(), mixed, total)


@pytest.mark.parametrize("score_weight", [1.0, -0.5])
@pytest.mark.parametrize("linear", [0.0, 0.2])
def test_ranks_as_brute_force_does(models: Models, linear: float, score_weight: float) -> None:
    scores, weights = [-3.0, -8.0, -5.5, -20.0, -6.0], Weights(ngram=0.4, lstm=0.7, word=1.5, linear=linear)
    expected = [
        brute_force(models, text, score, weights, score_weight) for text, score in zip(TEXTS, scores, strict=True)
    ]
    ranked = rescore_texts(models, TEXTS, scores, weights, score_weight)
    for found, wanted in zip(ranked, sorted(expected, key=lambda item: -item.total), strict=True):
        assert found.text == wanted.text
        assert asdict(found) | {"text": ""} == pytest.approx(asdict(wanted) | {"text": ""}, abs=1e-4)


def test_texts_alone_are_ranked_by_the_language_models(models: Models) -> None:
    alone = rescore_texts(models, TEXTS)
    assert alone == rescore_texts(models, TEXTS, [0.0] * len(TEXTS), default_weights(models.bundle))
    assert rescore_texts(models, []) == []


def test_texts_that_differ_in_their_signs_only_stay_in_their_order(models: Models) -> None:
    texts = ["the nice beach", "The nice beach!", "THE NICE, BEACH"]
    assert [found.text for found in rescore_texts(models, texts)] == texts


def test_words_taken_for_unknown_are_named(models: Models) -> None:
    with pytest.warns(UnknownWordWarning, match="taken as <unk>: NOWHERE, ZORGLUB$") as caught:
        rescore_texts(models, ["the nowhere zorglub", "a nowhere beach"])
    assert caught[0].filename == __file__


def test_refuses_what_is_no_list_of_scores(models: Models) -> None:
    for score in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=f"'a beach' has a score of {score}: want a finite"):
            rescore_texts(models, ["speech", "a beach"], [-1.0, score])
    with pytest.raises(ValueError, match="shorter"):
        rescore_texts(models, ["speech", "a beach"], [-1.0])


def test_weights_are_the_second_passs_but_for_words(tiny_bundle: Path, tmp_path: Path) -> None:
    assert default_weights(open_bundle(tiny_bundle)) == Weights(ngram=0.3, lstm=0.4, word=0.0)
    (tmp_path / "config.toml").write_text("[sha256]\n")  # as `lm export` makes it: no decoder
    assert default_weights(open_bundle(tmp_path)).lstm > 0


# --- Files ------------------------------------------------------------------------------------------------


def read(text: str, name: str = "-") -> list[NbestList]:
    return list(read_nbest(text.splitlines(keepends=True), name))


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        ("", []),
        ("\n \n", []),
        ("Recognize speech.\n", [NbestList(None, ["Recognize speech."], [0.0])]),
        ("a\nb\n\n\nc", [NbestList(None, ["a", "b"], [0.0, 0.0]), NbestList(None, ["c"], [0.0])]),
        ("-1\ta b\n-2.5e1\t\r\n", [NbestList(None, ["a b", ""], [-1.0, -25.0])]),
        ("u1\t-1\ta\nu1\t-2\tb\nu2\t-3\tc\n", [NbestList("u1", ["a", "b"], [-1, -2]), NbestList("u2", ["c"], [-3])]),
        ("u1\t-1\ta\n\nu1\t-2\tb\n", [NbestList("u1", ["a"], [-1]), NbestList("u1", ["b"], [-2])]),
        ("[laughter] yes\n{um} no\n", [NbestList(None, ["[laughter] yes", "{um} no"], [0.0, 0.0])]),
        ("\ufeffcafé\n", [NbestList(None, ["café"], [0.0])]),
        ('{"nbest": []}\n', [NbestList(None, [], [])]),
        ('\ufeff{"id": 3, "nbest": [{"text": "a"}]}\n', [NbestList(3, ["a"], [0.0])]),
        (
            '\n{"id": "u", "nbest": [{"text": "a", "score": -1}]}\n\n{"nbest": [{"score": -2, "text": "b"}]}',
            [NbestList("u", ["a"], [-1.0]), NbestList(None, ["b"], [-2.0])],
        ),
        (
            '[\n{"nbest": [{"text": "a", "score": -1}]},\n{"nbest": []}\n]\n',
            [NbestList(None, ["a"], [-1]), NbestList(None, [], [])],
        ),
        ("[]\n", []),
    ],
)
def test_reads_text_and_json(text: str, lists: list[NbestList]) -> None:
    assert read(text) == lists


def test_a_suffix_says_that_it_is_text() -> None:
    assert read("{um} yes\n", "nbest.txt") == [NbestList(None, ["{um} yes"], [0.0])]


def test_reads_what_asr_transcribe_writes() -> None:
    nbest = [{"text": "A", "acoustic": -1.5, "ngram": -2.0, "lstm": -3.0, "total": -4.0}]
    segment = {"start": 0.5, "end": 1.0, "text": "A"}
    one = {"file": "one.wav", "text": "A", "segments": [segment], "nbest": nbest}
    several = {"file": "two.wav", "segments": [segment | {"nbest": nbest}, segment | {"nbest": []}], "nbest": nbest}
    failed = {"file": "no.wav", "text": None, "segments": [], "nbest": [], "error": "no such file"}
    assert read(json.dumps([one, several, failed])) == [
        NbestList("one.wav", ["A"], [-1.5]),
        NbestList("two.wav 0.5", ["A"], [-1.5]),
        NbestList("two.wav 0.5", [], []),
        NbestList("no.wav", [], []),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-1\ta\nx\tb\n", "-, line 2: score 'x': want a finite number"),
        ("-1\ta\n\nnan\tb\n", "-, line 3: score 'nan': want a finite number"),
        ("-1\ta\nb\n", "-, line 2: 1 columns, parted by tabs: want 2 as before"),
        ("u\t-1\ta\tb\n", "-, line 1: 4 columns, parted by tabs: want TEXT, SCORE TEXT or ID SCORE TEXT"),
        ('{"nbest": []}\n{"nbest": [}\n', "-, line 2, column 12: not JSON: expecting value"),
        ('{"nbest": []}\n3\n', '-, line 2: want {"id"'),
        ('{"text": "a"}\n', '-, line 1: want {"id"'),
        ('{"nbest": {"text": "a"}}\n', '-, line 1: want {"id"'),
        ('{"nbest": ["a"]}\n', '-, line 1: want {"id"'),
        ('{"nbest": [{"score": 1}]}\n', "-, line 1: a hypothesis lacks its text"),
        ('{"nbest": [{"text": "a", "score": -1}, {"text": "b"}]}\n', "-, line 1: 1 of 2 hypotheses lack a score"),
        ('{"nbest": [{"text": "a", "score": NaN}]}\n', "-, line 1: score nan: want a finite number"),
        ('{"nbest": [{"text": "a", "score": [1]}]}\n', r"-, line 1: score \[1\]: want a finite number"),
        (f'{{"nbest": [{{"text": "a", "score": 1{"0" * 400}}}]}}\n', "-, line 1: score 10+: want a finite number"),
        ('\n[{"nbest": []},\n{"nbest" []}]\n', "-, line 3, column 10: not JSON: expecting ':'"),
        ('[{"nbest": []}, {"nbest": 1}]\n', '-, object 2: want {"id"'),
        (f'{{"nbest": {"[" * 100_000}\n', '-, line 1: JSON nested too deep: want {"id"'),
        ('{"segments": 1, "nbest": 1}\n', '-, line 1: want {"id"'),
    ],
)
def test_says_what_is_wrong_and_where(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        read(text)
    assert "\n" not in str(caught.value)


def test_lists_come_as_they_are_read() -> None:
    lines = iter(["a\n", "b\n", "\n", "x\ty\n"])
    lists = read_nbest(lines, "-")
    assert next(lists).texts == ["a", "b"]
    assert next(lines) == "x\ty\n"
