from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.decoder.hypothesis import Hypothesis, Weights
from asr.decoder.rescore import rank, rescore, state_after, word_scores
from asr.recognizer import confidences
from asr.training.tune import NbestLists
from lm.lstm.model import LstmConfig, LstmModel
from lm.mixture import LinearMixture
from lm.model import LanguageModel
from lm.ngram.model import NgramModel
from lm.text.vocabulary import END, Vocabulary
from lm.training.network import WordLstm

VOCABULARY = Vocabulary(["HOW", "TO", "RECOGNIZE", "SPEECH", "WRECK", "A", "NICE", "BEACH"])
TEXTS = ["HOW TO RECOGNIZE SPEECH", "HOW TO WRECK A NICE BEACH", "HOW TO", "", "HOW OTHER SPEECH", "HOW TO"]
NBEST = [tuple(text.split()) for text in TEXTS]
SENTENCES = st.lists(st.sampled_from(["HOW", "TO", "A", "BEACH", "OTHER"]), max_size=6).map(tuple)


@pytest.fixture(scope="module")
def model() -> LstmModel:
    torch.manual_seed(0)
    config = LstmConfig(len(VOCABULARY), hidden=16, cutoffs=(4, 7), shrink=2)
    # Tripled, so that words differ by more than rounding.
    weights = {name: 3 * weight.numpy() for name, weight in WordLstm(config).state_dict().items()}
    return LstmModel(config, weights, VOCABULARY)


@pytest.fixture(params=["lstm", "ngram", "mixture"])
def any_model(request: pytest.FixtureRequest, model: LstmModel) -> LanguageModel[Any]:
    ngram = NgramModel(Path(__file__).parents[2] / "data/tiny.arpa", VOCABULARY)
    return {"lstm": model, "ngram": ngram, "mixture": LinearMixture([model, ngram], [0.7, 0.3])}[request.param]


def hypothesis(text: str, acoustic: float, ngram: float) -> Hypothesis:
    return Hypothesis(tuple(text.split()), acoustic, ngram)


@given(sentences=st.lists(SENTENCES))
def test_a_list_scores_as_its_sentences_one_by_one(model: LstmModel, sentences: list[tuple[str, ...]]) -> None:
    for words, scores in zip(sentences, word_scores(sentences, model), strict=True):
        assert scores == pytest.approx(model.log_probs([[*VOCABULARY.encode(words), END]])[0], abs=1e-5)


def test_every_model_scores_lists_from_the_state_it_is_given(any_model: LanguageModel[Any]) -> None:
    before = state_after(NBEST[1], any_model, state_after(NBEST[0], any_model))
    said = [*VOCABULARY.encode(NBEST[0]), END, *VOCABULARY.encode(NBEST[1]), END]
    for words, scores in zip(NBEST, word_scores(NBEST, any_model, before), strict=True):
        (expected,) = any_model.log_probs([[*said, *VOCABULARY.encode(words), END]])
        assert scores == pytest.approx(expected[len(said) :], abs=1e-5)


def test_rescoring_ranks_by_the_weighted_sum(model: LstmModel) -> None:
    weights = Weights(ngram=0.5, lstm=2.0, word=0.25)
    found = rescore([hypothesis("HOW TO WRECK", -1, -9), hypothesis("TO SPEECH", -3, -4)], model, weights)
    totals = [entry.acoustic + 0.5 * entry.ngram + 2.0 * (entry.lstm or 0) + 0.25 * len(entry.words) for entry in found]
    assert [entry.total(weights) for entry in found] == pytest.approx(totals)
    assert totals == sorted(totals, reverse=True)


def test_no_hypotheses(model: LstmModel) -> None:
    assert rescore([], model, Weights(1, 1, 1)) == []


@given(data=st.data(), sentence_end=st.booleans(), beam=st.sampled_from([0.0, 2.0, 8.0, 1e9]))
def test_who_is_left_ranks_as_among_all(model: LstmModel, data: st.DataObject, sentence_end: bool, beam: float) -> None:
    sentences = data.draw(st.lists(SENTENCES, min_size=1, max_size=30, unique=True))
    numbers = np.random.default_rng(data.draw(st.integers(0, 9)))
    hypotheses = [
        Hypothesis(words, numbers.uniform(-9, 0), -1.0, word_ngrams=(*numbers.uniform(-9, 0, len(words) + 1).tolist(),))
        for words in sentences
    ]
    weights = Weights(0.5, 2.0, 0.25, linear=0.2)
    state = state_after(NBEST[0], model)
    everybody = rescore(hypotheses, model, weights, state, sentence_end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asr.decoder.rescore.KEPT", 3)
        left = rescore(hypotheses, model, weights, state, sentence_end, beam)
    names = {found.words for found in left}
    expected = [found for found in everybody if found.words in names]
    assert [found.words for found in left] == [found.words for found in expected]
    assert [found.lstm for found in left] == pytest.approx([found.lstm for found in expected], abs=1e-4)
    assert hypotheses[0].words in names
    assert len(names) >= min(3, len(sentences))
    assert len(names) == len(sentences) or beam < 1e9


@given(sentences=st.lists(SENTENCES, min_size=4, max_size=30, unique=True), beam=st.floats(0.5, 9))
def test_exactly_those_too_far_behind_are_given_up(
    model: LstmModel, sentences: list[tuple[str, ...]], beam: float
) -> None:
    """If the n-gram foretells just what the model will say."""
    weights = Weights(0.0, 1.0, 0.0)
    scores = word_scores(sentences, model)
    hypotheses = [
        Hypothesis(words, 0.0, 0.0, word_ngrams=(*ngrams.tolist(),))
        for words, ngrams in zip(sentences, scores, strict=True)
    ]
    totals = {words: ngrams.sum() for words, ngrams in zip(sentences, scores, strict=True)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asr.decoder.rescore.KEPT", 2)
        names = {found.words for found in rescore(hypotheses, model, weights, beam=beam)}
    bound = min(max(totals.values()) - beam, sorted(totals.values())[-2])
    assert {words for words, total in totals.items() if total > bound + 1e-3} <= names
    assert all(total > bound - 1e-3 for words, total in totals.items() if words in names and words != sentences[0])


def test_every_model_reads_only_who_is_left(any_model: LanguageModel[Any]) -> None:
    asked = []

    def race(depth: int, log_probs: np.ndarray) -> np.ndarray:
        asked.append(depth)
        return np.array([text.startswith("HOW TO WRECK") or depth < 3 for text in TEXTS])

    everything = word_scores(NBEST, any_model)
    read = word_scores(NBEST, any_model, race=race)
    assert asked == [1, 2, 3, 4, 5, 6, 7]
    for text, scores, whole in zip(TEXTS, read, everything, strict=True):
        seen = len(whole) if text.startswith("HOW TO WRECK") else 3
        assert scores[:seen] == pytest.approx(whole[:seen], abs=1e-5)
        assert not scores[seen:].any()
    nobody = word_scores(NBEST, any_model, race=lambda depth, log_probs: np.zeros(len(NBEST), bool))
    assert not any(scores[1:].any() for scores in nobody)


def test_the_ngram_is_mixed_in_word_by_word(model: LstmModel) -> None:
    weights = Weights(ngram=0.0, lstm=1.0, word=0.0, linear=0.25)
    nbest = [
        Hypothesis(("HOW", "TO"), -1, -6, word_ngrams=(-1.0, -2.0, -3.0)),
        Hypothesis((), -1, -4, word_ngrams=(-4.0,)),
    ]
    scores = word_scores([found.words for found in nbest], model)
    by_words = {
        found.words: np.log(0.75 * np.exp(words) + 0.25 * np.exp(found.word_ngrams)).sum()
        for found, words in zip(nbest, scores, strict=True)
    }
    ranked = rank(nbest, scores, weights)
    assert ranked == rescore(nbest, model, weights)
    assert [found.lstm for found in ranked] == pytest.approx(sorted(by_words.values(), reverse=True))
    assert [found.lstm for found in ranked] == pytest.approx([by_words[found.words] for found in ranked])
    with pytest.raises(ValueError, match="can't be mixed"):
        rank([hypothesis("HOW", 0, 0)], word_scores([("HOW",)], model), weights)


def test_a_word_is_as_sure_as_the_readings_that_share_it() -> None:
    weights = Weights(0, 0, 0)
    nbest = [
        hypothesis("A NICE BEACH", np.log(0.6), 0),
        hypothesis("A NICE SPEECH", np.log(0.3), 0),
        hypothesis("NICE BEACH", np.log(0.1), 0),
    ]
    assert confidences(nbest, weights) == pytest.approx([0.9, 1.0, 0.7])
    assert confidences([hypothesis("", 0, 0)], weights) == []


def test_tuning_finds_the_weights_that_prefer_the_right_readings() -> None:
    lists = NbestLists(
        [
            [hypothesis("WRECK A NICE BEACH", -1, -20), hypothesis("RECOGNIZE SPEECH", -3, -10)],
            [hypothesis("A BEACH", -1, -10), hypothesis("SPEECH", -9, -9)],
        ],
        [["RECOGNIZE", "SPEECH"], ["A", "BEACH"]],
    )
    assert lists.wer(Weights(0, 0, 0)) == pytest.approx(100 * 4 / 4)
    assert lists.wer(Weights(0.5, 0, 0)) == 0
    assert lists.wer(Weights(10, 0, 0)) == pytest.approx(100 * 2 / 4)
    assert lists.best([Weights(weight, 0, 0) for weight in (0, 0.5, 10)]) == (Weights(0.5, 0, 0), 0)
