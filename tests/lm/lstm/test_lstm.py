from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lm.bundle import open_bundle
from lm.lstm.model import LstmConfig, LstmModel, load_lstm, shapes
from lm.lstm.prefix_tree import PrefixTree
from lm.text.vocabulary import END, START, Vocabulary
from lm.training.network import LAYERS, WordLstm


def in_numpy(network: WordLstm, vocabulary: Vocabulary) -> LstmModel:
    weights = {name: weight.numpy() for name, weight in network.state_dict().items()}
    return LstmModel(network.config, weights, vocabulary)


@pytest.mark.parametrize("cell", LAYERS)
def test_shapes_are_the_networks(network: WordLstm, cell: str) -> None:
    config = replace(network.config, cell=cell)
    assert dict(shapes(config)) == {name: tuple(w.shape) for name, w in WordLstm(config).state_dict().items()}


@torch.no_grad()
def test_embeddings_are_the_rows_of_the_output_layer(network: WordLstm) -> None:
    embedded = network.embed(torch.arange(network.config.vocabulary).reshape(-1, 2)).flatten(0, 1)
    head, (first, second) = network.softmax.head.weight, network.softmax.tail
    assert torch.equal(embedded[:8], head[:8])
    torch.testing.assert_close(embedded[8:20], first[1].weight @ first[0].weight)
    torch.testing.assert_close(embedded[20:], second[1].weight @ second[0].weight)
    # Rarer words have shorter rows, and there is no other table of embeddings.
    assert (first[1].weight.shape[1], second[1].weight.shape[1]) == (8, 4)
    assert {name.split(".")[0] for name, _ in network.named_parameters()} == {"layers", "softmax"}


def test_score_is_the_next_words_own(lstm: LstmModel) -> None:
    states = [lstm.initial()]
    for word in (5, 12, 30, END):
        states += lstm.score(states[-1:], [word])[1]
    for word in range(len(lstm.vocabulary)):
        scores, following = lstm.score(states, [word] * len(states))
        assert scores.dtype == np.float32
        assert scores == pytest.approx([lstm.next_words(state)[word] for state in states], abs=1e-5)
        assert len(following) == len(states)


@torch.no_grad()
@pytest.mark.parametrize("cell", LAYERS)
def test_a_layer_computes_what_torchs_own_does(cell: str) -> None:
    network = WordLstm(LstmConfig(30, hidden=8, layers=1, cell=cell, cutoffs=(10,))).eval()
    words = torch.tensor([[3, 4], [29, 5], [6, 7]])
    output, memory = network(words, network.empty_memory(2))
    expected, last = network.layers[0](network.embed(words))
    assert torch.equal(output, expected)
    assert torch.equal(memory[0], last[0] if cell == "lstm" else last)


def test_dropout_is_the_same_all_along_a_sequence() -> None:
    torch.manual_seed(1)
    network = WordLstm(LstmConfig(30, hidden=50, cutoffs=(10,), dropout=0.5))
    output, _ = network(torch.full((6, 3), 5), network.empty_memory(3))
    dropped = output == 0
    assert (dropped == dropped[0]).all()
    assert 0.3 < dropped.float().mean() < 0.7
    assert not torch.equal(dropped[0, 0], dropped[0, 1])


def test_weights_and_words_are_dropped_in_training_only() -> None:
    torch.manual_seed(1)
    words, config = torch.full((20, 1), 5), LstmConfig(30, hidden=50, cutoffs=(10,), dropout=0.0)
    for settings in ({"weight_drop": 0.5}, {"word_dropout": 0.5}):
        network = WordLstm(replace(config, **settings))
        outputs = [network(words, network.empty_memory(1))[0] for _ in range(2)]
        assert not torch.equal(*outputs)
        network.eval()
        outputs = [network(words, network.empty_memory(1))[0] for _ in range(2)]
        assert torch.equal(*outputs)


@torch.no_grad()
@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("layers", [1, 2])
def test_the_model_in_numpy_is_the_network(
    cell: str, layers: int, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lm.lstm.model.POSITIONS", 8)  # so that sequences are read in pieces
    torch.manual_seed(1)
    network = WordLstm(LstmConfig(len(vocabulary), 16, layers, cell, cutoffs=(8, 20), shrink=2)).eval()
    for weight in network.parameters():
        weight *= 3  # so that words differ by more than rounding
    model = in_numpy(network, vocabulary)
    sentences = [[5, 12, 30, END], [5, 12, 9, END], [5, 12, 25, 25, 31, END], [END], [0, END], [5, START], [END]]
    for said in ([], [7, 22, END]):
        before = model.read(model.initial(), said)
        tree = PrefixTree(sentences)
        of_tree = model.score_tree(tree, before)
        assert of_tree.dtype == np.float32
        at_every_depth = model.score_tree(tree, before, lambda depth, _: np.arange(*tree.starts[depth : depth + 2]))  # noqa: B023
        assert at_every_depth == pytest.approx(of_tree, abs=1e-5)
        of_sequences = model.log_probs([[*said, *words] for words in sentences])
        for words, nodes, of_sequence in zip(sentences, tree.paths, of_sequences, strict=True):
            read = torch.tensor([END, *said, *words])[:, None]
            top, _ = network(read[:-1], network.empty_memory(1))
            np.testing.assert_allclose(model.outputs([*said, *words]), top[:, 0], atol=1e-5)
            expected = network.softmax.log_prob(top[:, 0])  # torch's own
            expected -= torch.log1p(-expected[:, START].exp())[:, None]  # `<s>` never follows
            expected[:, START] = -torch.inf
            log_probs = expected.gather(1, read[1:])[:, 0].numpy()
            assert of_sequence == pytest.approx(log_probs, abs=1e-4)
            assert of_tree[nodes] == pytest.approx(log_probs[len(said) :], abs=1e-4)
            state = before
            for word, distribution in zip(words, expected[len(said) :], strict=True):
                assert model.next_words(state) == pytest.approx(distribution.numpy(), abs=1e-4)
                scores, (state,) = model.score([state], [word])
                assert scores[0] == pytest.approx(float(distribution[word]), abs=1e-4)


def test_a_tree_without_words_has_no_scores(lstm: LstmModel) -> None:
    assert lstm.score_tree(PrefixTree([]), lstm.initial()).tolist() == [0]


def test_a_sentence_start_never_follows(lstm: LstmModel) -> None:
    state = lstm.initial()
    assert lstm.score([state], [START])[0][0] == -np.inf
    assert lstm.next_words(state)[START] == -np.inf


def test_states_are_values(lstm: LstmModel) -> None:
    state = lstm.initial()
    before = [part.copy() for part in state]
    first, _ = lstm.score([state, state], [5, 6])
    second, _ = lstm.score([state, state], [5, 6])
    assert all(map(np.array_equal, state, before))
    assert first.tolist() == second.tolist()


def test_a_bundles_weights_are_those_written_but_for_rounding(
    bundle: Path, lstm: LstmModel, vocabulary: Vocabulary
) -> None:
    loaded = load_lstm(open_bundle(bundle), vocabulary)
    assert loaded.config == lstm.config
    assert loaded.next_words(loaded.initial()) == pytest.approx(lstm.next_words(lstm.initial()), abs=0.05)


def test_model_and_vocabulary_must_be_of_one_size(network: WordLstm) -> None:
    with pytest.raises(ValueError, match="different models"):
        in_numpy(network, Vocabulary(["THE"]))
