from pathlib import Path

import numpy as np
import pytest
import torch

from lm.lstm.model import LstmConfig, LstmModel
from lm.text.vocabulary import SPECIAL_WORDS, Vocabulary
from lm.training.grow import grow, start_from
from lm.training.network import WordLstm


def asked(network: WordLstm, vocabulary: Vocabulary) -> LstmModel:
    weights = {name: weight.numpy() for name, weight in network.state_dict().items()}
    return LstmModel(network.config, weights, vocabulary)


def grown(lstm: LstmModel, weights: dict[str, np.ndarray], words: Vocabulary, **sizes: int) -> WordLstm:
    torch.manual_seed(2)
    config = LstmConfig(**{**vars(lstm.config), "vocabulary": len(words), **sizes})
    network = WordLstm(config).eval()
    grow(network, words, lstm.config, weights, lstm.vocabulary)
    return network


def test_a_grown_lstm_says_nearly_the_same(lstm: LstmModel, weights: dict[str, np.ndarray]) -> None:
    words = list(lstm.vocabulary)[len(SPECIAL_WORDS) :]
    sentence = lstm.vocabulary.encode(words[:12])
    expected = lstm.log_probs([sentence])[0]
    same = asked(grown(lstm, weights, lstm.vocabulary), lstm.vocabulary)
    larger = asked(grown(lstm, weights, lstm.vocabulary, hidden=24), lstm.vocabulary)
    np.testing.assert_allclose(same.log_probs([sentence])[0], expected, atol=1e-4)
    np.testing.assert_allclose(larger.log_probs([sentence])[0], expected, atol=0.5)


def test_words_are_known_by_name(lstm: LstmModel, weights: dict[str, np.ndarray]) -> None:
    # Two frequent words swap their places, and a new one comes last.
    words = list(lstm.vocabulary)[len(SPECIAL_WORDS) :]
    words[0], words[1] = words[1], words[0]
    vocabulary = Vocabulary([*words, "NEWLY"])
    model = asked(grown(lstm, weights, vocabulary), vocabulary)
    sentence = words[:5]
    old, new = (np.concatenate(m.log_probs([m.vocabulary.encode(sentence)])) for m in (lstm, model))
    np.testing.assert_allclose(new, old, atol=1e-3)


def test_what_cannot_grow_is_told(
    lstm: LstmModel, weights: dict[str, np.ndarray], bundle: Path, vocabulary: Vocabulary
) -> None:
    for sizes in ({"hidden": 8}, {"layers": 1}):
        with pytest.raises(ValueError, match="can't grow"):
            grown(lstm, weights, lstm.vocabulary, **sizes)
    start_from(WordLstm(lstm.config), vocabulary, bundle)
