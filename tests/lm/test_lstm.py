from pathlib import Path

import numpy as np
import pytest
import torch

from lm.bundle import open_bundle
from lm.lstm import LstmModel, WordLstm, load_lstm
from lm.vocabulary import END, START, Vocabulary


@torch.no_grad()
def test_embeddings_are_the_rows_of_the_output_layer(network: WordLstm) -> None:
    embedded = network.embed(torch.arange(network.config.vocabulary).reshape(-1, 2)).flatten(0, 1)
    head, (first, second) = network.softmax.head.weight, network.softmax.tail
    assert torch.equal(embedded[:8], head[:8])
    torch.testing.assert_close(embedded[8:20], first[1].weight @ first[0].weight)
    torch.testing.assert_close(embedded[20:], second[1].weight @ second[0].weight)
    # Rarer words have shorter rows, and there is no other table of embeddings.
    assert (first[1].weight.shape[1], second[1].weight.shape[1]) == (8, 4)
    assert {name.split(".")[0] for name, _ in network.named_parameters()} == {"lstm", "softmax"}


def test_score_is_the_next_words_own(lstm: LstmModel) -> None:
    states = [lstm.initial()]
    for word in (5, 12, 30, END):
        states += lstm.score(states[-1:], [word])[1]
    for word in range(len(lstm.vocabulary)):
        scores, following = lstm.score(states, [word] * len(states))
        assert scores.dtype == np.float32
        assert scores == pytest.approx([lstm.next_words(state)[word] for state in states], abs=1e-5)
        assert len(following) == len(states)


def test_words_one_by_one_score_as_a_sequence(lstm: LstmModel) -> None:
    words = [5, 0, 33, 12, 7, 20, END]
    sequence = torch.tensor([END, *words])[:, None]
    with torch.no_grad():
        output, _ = lstm.network(sequence[:-1], lstm.network.zero_state(1))
        expected = lstm.network.softmax.log_prob(output[:, 0])
    expected -= torch.log1p(-expected[:, START].exp())[:, None]  # `<s>` never follows
    state = lstm.initial()
    for position, word in enumerate(words):
        scores, (state,) = lstm.score([state], [word])
        assert scores[0] == pytest.approx(float(expected[position, word]), abs=1e-5)


def test_a_sentence_start_never_follows(lstm: LstmModel) -> None:
    state = lstm.initial()
    assert lstm.score([state], [START])[0][0] == -np.inf
    assert lstm.next_words(state)[START] == -np.inf


def test_states_are_values(lstm: LstmModel) -> None:
    state = lstm.initial()
    before = state.h.clone(), state.c.clone()
    first, _ = lstm.score([state, state], [5, 6])
    second, _ = lstm.score([state, state], [5, 6])
    assert torch.equal(state.h, before[0])
    assert torch.equal(state.c, before[1])
    assert first.tolist() == second.tolist()


def test_a_bundles_weights_are_those_written_but_for_rounding(bundle: Path, network: WordLstm) -> None:
    loaded = load_lstm(open_bundle(bundle)).state_dict()
    for name, weight in network.state_dict().items():
        step = float(weight.abs().max()) / 127
        torch.testing.assert_close(loaded[name], weight, rtol=0, atol=step)


def test_model_and_vocabulary_must_be_of_one_size(network: WordLstm) -> None:
    with pytest.raises(ValueError, match="different models"):
        LstmModel(network, Vocabulary(["THE"]))
