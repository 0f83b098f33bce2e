import numpy as np
import pytest
import torch

from asr.decoder.hypothesis import Hypothesis, Weights
from asr.decoder.rescore import rescore, sentence_scores
from asr.recognizer import confidences
from asr.tune import NbestLists
from lm.lstm import LstmConfig, LstmModel, WordLstm
from lm.vocabulary import END, Vocabulary

VOCABULARY = Vocabulary(["HOW", "TO", "RECOGNIZE", "SPEECH", "WRECK", "A", "NICE", "BEACH"])


@pytest.fixture(scope="module")
def model() -> LstmModel:
    torch.manual_seed(0)
    return LstmModel(WordLstm(LstmConfig(len(VOCABULARY), hidden=8, cutoffs=(4, 7), shrink=2)), VOCABULARY)


def hypothesis(text: str, acoustic: float, ngram: float) -> Hypothesis:
    return Hypothesis(tuple(text.split()), acoustic, ngram)


def test_scores_of_a_list_are_those_of_its_sentences_one_by_one(model: LstmModel) -> None:
    texts = ["HOW TO RECOGNIZE SPEECH", "HOW TO WRECK A NICE BEACH", "HOW TO", "", "HOW OTHER SPEECH", "HOW TO"]
    together = sentence_scores([tuple(text.split()) for text in texts], model)
    for text, score in zip(texts, together, strict=True):
        state, expected = model.initial(), 0.0
        for word in [*VOCABULARY.encode(text.split()), END]:
            (log_prob,), (state,) = model.score([state], [word])
            expected += log_prob
        assert score == pytest.approx(expected, abs=1e-5)


def test_rescoring_ranks_by_the_weighted_sum(model: LstmModel) -> None:
    weights = Weights(ngram=0.5, lstm=2.0, word=0.25)
    found = rescore([hypothesis("HOW TO WRECK", -1, -9), hypothesis("TO SPEECH", -3, -4)], model, weights)
    totals = [entry.acoustic + 0.5 * entry.ngram + 2.0 * (entry.lstm or 0) + 0.25 * len(entry.words) for entry in found]
    assert [entry.total(weights) for entry in found] == pytest.approx(totals)
    assert totals == sorted(totals, reverse=True)


def test_no_hypotheses(model: LstmModel) -> None:
    assert rescore([], model, Weights(1, 1, 1)) == []


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
