import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lhotse import CutSet
from typer.testing import CliRunner

from asr.cli import app
from asr.decoder.beam import BeamConfig
from asr.decoder.hypothesis import Hypothesis, Weights
from asr.decoder.rescore import rescore
from asr.recognizer import Recognizer
from asr.training import tune
from asr.training.tune import (
    NbestLists,
    Tuned,
    Utterance,
    cross_validate,
    parts,
    read_utterances,
    second_lists,
    surface,
    tune_beam,
    tune_weights,
    write_settings,
)
from data_prep.layouts import read
from lm.bundle import open_bundle

DATA = Path(__file__).parents[2] / "data"
FEW = {"linear": [0.0, 0.5], "lstm": [0.0, 0.4], "ngram": [0.0, 0.3], "word": [0.0, 4.0]}


@pytest.fixture(scope="module")
def recognizer(tiny_bundle: Path) -> Recognizer:
    return Recognizer(tiny_bundle)


@pytest.fixture(scope="module")
def cuts() -> CutSet:
    return read(DATA).cuts


@pytest.fixture(scope="module")
def utterances(recognizer: Recognizer, cuts: CutSet, tiny_bundle: Path) -> list[Utterance]:
    return read_utterances(recognizer, list(cuts), tiny_bundle)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer settings to try."""
    monkeypatch.setattr(tune, "TRIED", FEW)
    monkeypatch.setattr(tune, "SIZES", (5, 50))
    monkeypatch.setattr(tune, "SCORES", (4.0, 12.0))
    monkeypatch.setattr(tune, "BEAM_WORDS", 1)


def hypothesis(text: str, acoustic: float, *word_ngrams: float) -> Hypothesis:
    return Hypothesis(tuple(text.split()), acoustic, sum(word_ngrams), word_ngrams=word_ngrams)


def test_the_middle_of_equally_good_weights_is_best() -> None:
    # B is right, and preferred from an n-gram weight of 1 + the word bonus on: from 1.5 on by all that are tried.
    lists = NbestLists([[hypothesis("A C", -1, -1, -1, -1), hypothesis("B", -2, -1, -1)]], [["B"]])
    weights = [Weights(ngram, 0, word) for ngram in (0.0, 1.5, 2.0, 2.5, 3.0, 3.5) for word in (-0.25, 0.0, 0.25)]
    best, wer = lists.best(weights)
    assert (best, wer) == (Weights(2.5, 0, 0), 0.0)


def test_errors_are_those_of_normalised_words() -> None:
    assert NbestLists([[hypothesis("XX MEN", 0)]], [["TWENTY", "MEN"]]).wer(Weights(0, 0, 0)) == 0.0


def test_linear_is_the_share_of_the_ngram_in_each_words_probability() -> None:
    # By word, the end last. LSTM: A 0.1, end 0.5; B 0.4, end 0.1. n-gram: A 0.5, end 0.5; B 0.1, end 0.1.
    lstm = [np.log([0.1, 0.5]), np.log([0.4, 0.1])]
    nbest = [hypothesis("A", -1.0, *np.log([0.5, 0.5])), hypothesis("B", -1.0, *np.log([0.1, 0.1]))]
    # Half and half A has 0.3 * 0.5 and B 0.25 * 0.1; B goes ahead if it sounds more than log 6 better.
    for better, wer in ((np.log(5.9), 0.0), (np.log(6.1), 100.0)):
        lists = NbestLists([[nbest[0], replace(nbest[1], acoustic=-1.0 + better)]], [["A"]], lstm)
        assert lists.wer(Weights(0, 1, 0, linear=0.5)) == wer
    # By the LSTM alone A has 0.05 and B 0.04.
    for better, wer in ((np.log(1.2), 0.0), (np.log(1.3), 100.0)):
        lists = NbestLists([[nbest[0], replace(nbest[1], acoustic=-1.0 + better)]], [["A"]], lstm)
        assert lists.wer(Weights(0, 1, 0)) == wer


def test_each_corpus_counts_the_same() -> None:
    """Ten of a hundred words or one of ten: the geometric mean of the corpora's rates."""
    good, bad = [hypothesis("A " * 10, 0)], [hypothesis("A " * 9 + "B", 0)]
    lists = NbestLists([good] * 3 + [bad] * 2, [["A"] * 10] * 5, None, ["read"] * 4 + ["talk"])
    assert lists.corpora.tolist() == ["read", "talk"]
    assert lists.wers(Weights(0, 0, 0)).tolist() == [2.5, 10]
    assert lists.wer(Weights(0, 0, 0)) == pytest.approx(5)
    assert NbestLists([good, bad], [["A"] * 10] * 2, None, ["a", "b"]).wer(Weights(0, 0, 0)) == pytest.approx(1)


def test_lists_of_unequal_length() -> None:
    lists = NbestLists([[hypothesis("A", -9)], [hypothesis("B", -5), hypothesis("C", -6)]], [["A"], ["B"]])
    assert lists.wer(Weights(0, 0, 0)) == 0.0


def test_surface() -> None:
    lists = NbestLists([[hypothesis("A C", -1, -1, -1, -1), hypothesis("B", -2, -1, -1)]], [["B"]])
    table = surface(lists, Weights(2, 0, 0), "ngram", "word")
    assert table.wer[table.rows.index(0.0)][table.columns.index(0.0)] == 200.0
    assert table.wer[table.rows.index(1.4)][table.columns.index(0.0)] == 0.0
    assert table.wer[table.rows.index(1.4)][table.columns.index(1.0)] == 200.0


def test_weights_prefer_what_rescoring_by_them_ranks_first(recognizer: Recognizer, utterances: list[Utterance]) -> None:
    first, config = recognizer.search.weights, recognizer.search.config
    found = [recognizer.search.decode(item.log_probs) for item in utterances]
    preferred = set()
    for lstm, linear in ((0.0, 0.0), (2.0, 0.0), (2.0, 0.5), (6.0, 0.3), (6.0, 0.9)):
        weights = Weights(0.1, lstm, 4.0, linear)
        best = [rescore(nbest, recognizer.lstm, weights)[0].words for nbest in found]
        said = [replace(item, reference=list(words)) for item, words in zip(utterances, best, strict=True)]
        lists, _ = second_lists(recognizer, said, first, weights, config)
        assert lists.wer(weights) == 0.0
        preferred.add(tuple(best))
    assert len(preferred) > 2


@pytest.mark.usefixtures("few")
def test_weights_are_the_best_of_those_tried(recognizer: Recognizer, utterances: list[Utterance]) -> None:
    tuned = tune_weights(recognizer, utterances)
    best = tuned.second_lists.wer(tuned.second_pass)
    assert best == min(
        tuned.second_lists.wer(Weights(ngram, lstm, word, linear))
        for ngram in FEW["ngram"]
        for lstm in FEW["lstm"]
        for word in FEW["word"]
        for linear in FEW["linear"]
    )
    assert tuned.first_pass.lstm == tuned.first_pass.linear == 0


@pytest.mark.usefixtures("few")
def test_the_smallest_beam_that_costs_nothing(
    recognizer: Recognizer, utterances: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = recognizer.search.weights, recognizer.weights
    config, trials = tune_beam(recognizer, utterances, first, second)
    assert [(trial.size, trial.score) for trial in trials] == [(5, 12.0), (50, 12.0), (config.size, 4.0)]
    chosen = next(trial for trial in trials if (trial.size, trial.score) == (config.size, config.score))
    assert chosen.wer <= trials[1].wer + tune.MARGIN
    monkeypatch.setattr(tune, "MARGIN", 1000.0)
    config, _ = tune_beam(recognizer, utterances, first, second)
    assert config == replace(recognizer.search.config, size=5, score=4.0)


@pytest.mark.usefixtures("few")
def test_few_words_say_nothing_about_the_beam(
    recognizer: Recognizer, utterances: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = sum(len(item.reference) for item in utterances)
    for least, trials in ((words, 3), (words + 1, 0)):
        monkeypatch.setattr(tune, "BEAM_WORDS", least)
        tuned = tune.tune(recognizer, utterances)
        assert len(tuned.beam_trials) == trials
    assert tuned.beam == recognizer.search.config


def test_parts_keep_speakers_together() -> None:
    assert parts(["x", "y", "x", "z"], 2) == [0, 1, 0, 0]
    assert parts(["x", None, "x", "z"], 2) == [0, 1, 0, 1]
    assert parts(["x", "x", "x"], 2) == [0, 1, 0]
    with pytest.raises(ValueError, match="3 folds need as many utterances; there are 2"):
        parts(["x", "y"], 3)


@pytest.mark.usefixtures("few")
def test_a_part_is_measured_by_weights_of_the_others(recognizer: Recognizer, utterances: list[Utterance]) -> None:
    folds = cross_validate(recognizer, utterances, 3)
    errors = 0.0
    for number, item in enumerate(utterances):
        tuned = tune_weights(recognizer, [*utterances[:number], *utterances[number + 1 :]])
        assert (tuned.first_pass, tuned.second_pass) == (folds.first_pass[number], folds.second_pass[number])
        both = tuned.first_pass, tuned.second_pass
        lists, _ = second_lists(recognizer, [item], *both, recognizer.search.config)
        errors += lists.wer(tuned.second_pass) * len(item.reference)
    (rates,) = folds.corpora
    assert rates.second_wer == pytest.approx(errors / sum(len(item.reference) for item in utterances), abs=0.01)


@pytest.mark.usefixtures("few")
def test_parts_of_several_corpora_are_measured_by_corpus(recognizer: Recognizer, utterances: list[Utterance]) -> None:
    """The second corpus is the first again, in which nothing is right: whatever counts, it changes nothing."""
    wrong = [replace(item, reference=["X"] * 40, corpus="wrong") for item in utterances]
    alone, both = (cross_validate(recognizer, items, 2) for items in (utterances, [*wrong, *utterances]))
    assert [rates.corpus for rates in both.corpora] == ["", "wrong"]
    assert both.corpora[0] == alone.corpora[0]
    assert both.corpora[1].second_wer == 100


def test_emissions_are_kept(
    recognizer: Recognizer, cuts: CutSet, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_utterances(recognizer, list(cuts), tiny_bundle, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    with monkeypatch.context() as without:
        without.delattr(Recognizer, "emissions")
        again = read_utterances(recognizer, list(cuts), tiny_bundle, tmp_path)
    assert all(np.array_equal(a.log_probs, b.log_probs) for a, b in zip(first, again, strict=True))
    assert [item.reference for item in again] == [item.reference for item in first]
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-9])
    with pytest.raises(ValueError, match=rf"{kept.name}: damaged; delete it"):
        read_utterances(recognizer, list(cuts), tiny_bundle, tmp_path)
    kept.write_bytes(whole)
    read_utterances(recognizer, list(cuts)[:2], tiny_bundle, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    other = shutil.copytree(tiny_bundle, tmp_path / "other")
    config = other / "config.toml"
    checksum = open_bundle(other).config["sha256"]["acoustic.safetensors"]
    config.write_text(config.read_text().replace(checksum, "0" * 64))
    read_utterances(recognizer, list(cuts)[:2], other, tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 3


def test_settings_are_written_into_the_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    first, second = Weights(0.7, 0.0, 1.5), Weights(0.2, 0.6, 0.5, linear=0.25)
    write_settings(bundle, first, second, BeamConfig(size=50, score=9.0, nbest=7))
    recognizer = Recognizer(bundle)
    assert (recognizer.search.weights, recognizer.weights) == (first, second)
    assert recognizer.search.config == BeamConfig(size=50, score=9.0, nbest=7)


def test_weights_at_the_edge_are_told() -> None:
    inside, most = Weights(0.5, 0.5, 0.5), max(tune.TRIED["word"])
    at_edge = Tuned(replace(inside, word=most), 0, replace(inside, linear=0.0), 0, [], BeamConfig(), [], [], None)
    assert at_edge.at_the_edge() == [f"first pass: word {most:g}"]


@pytest.mark.usefixtures("few")
def test_the_command(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    command = ["tune", str(bundle), "--data", str(DATA), "--emissions", str(tmp_path / "emissions")]
    result = CliRunner().invoke(app, [*command, "--folds", "2", "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert [(item["row"], item["column"]) for item in found["surfaces"]] == [
        ("ngram", "word"),
        ("lstm", "ngram"),
        ("lstm", "linear"),
    ]
    assert len(found["folds"]["second_pass"]) == 2
    written = open_bundle(bundle).config["decoder"]
    assert (written["second_pass"], written["beam"]) == (found["second_pass"], found["beam"])
    chosen = found["surfaces"][0]
    row, column = (chosen[key].index(found["first_pass"][chosen[key[:-1]]]) for key in ("rows", "columns"))
    assert chosen["wer"][row][column] == found["first_wer"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0
    assert "WER of the second pass by lstm (down) and ngram (across)" in result.stdout
    assert "ms of search a second of audio" in result.stdout
    (again := tmp_path / "again").symlink_to(DATA)
    result = CliRunner().invoke(app, [*command, "--data", str(again), "--limit", "2", "--folds", "2"])
    assert result.exit_code == 0
    assert result.stdout.count(f"{again}: first pass WER") == 2  # of all recordings, and by weights of other parts


def test_references_without_words(recognizer: Recognizer, utterances: list[Utterance]) -> None:
    with pytest.raises(ValueError, match="no words"):
        tune.tune(recognizer, [replace(item, reference=[]) for item in utterances])
