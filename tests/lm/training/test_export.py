from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lm.lstm.model import LstmConfig, LstmModel
from lm.query import next_words, open_models
from lm.text.vocabulary import Vocabulary
from lm.training.export import export, without_last_words
from lm.training.network import WordLstm

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def checkpoint(network: WordLstm, tmp_path: Path) -> Path:
    """As `lm train` writes it."""
    sizes = vars(network.config)
    weights = {f"model.{name}": weight for name, weight in network.state_dict().items()}
    torch.save({"sizes": sizes, "state_dict": weights}, tmp_path / "best.ckpt")
    return tmp_path / "best.ckpt"


@pytest.fixture
def words(vocabulary: Vocabulary, tmp_path: Path) -> Path:
    vocabulary.save(tmp_path / "vocabulary.txt")
    return tmp_path / "vocabulary.txt"


def test_what_was_exported_is_opened(checkpoint: Path, words: Path, tmp_path: Path) -> None:
    export(tmp_path / "bundle", words, checkpoint, DATA / "tiny.bin", mixture_weight=0.3)
    models = open_models(tmp_path / "bundle")
    assert dict(next_words(models["mixture"], ["THE"]))["NICE"] > 0


def test_fewer_words(checkpoint: Path, words: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    export(tmp_path / "bundle", words, checkpoint, words=len(vocabulary) - 3 - 4)
    model = open_models(tmp_path / "bundle")["lstm"]
    assert list(model.vocabulary) == list(vocabulary)[:-4]
    assert sum(p for _, p in next_words(model, ["THE"])) == pytest.approx(1, abs=1e-5)


def test_the_rarest_words_fall_to_the_other_rare_ones() -> None:
    torch.manual_seed(1)
    config = LstmConfig(30, hidden=8, cutoffs=(5, 12), shrink=2)
    whole = {name: 3 * weight.numpy() for name, weight in WordLstm(config).state_dict().items()}
    expected, found = (
        np.exp(model.next_words(model.read(model.initial(), [3, 7])))
        for model in (
            LstmModel(config, whole, Vocabulary(f"W{i}" for i in range(27))),
            LstmModel(
                replace(config, vocabulary=20), without_last_words(whole, 10), Vocabulary(f"W{i}" for i in range(17))
            ),
        )
    )
    assert found[:12] == pytest.approx(expected[:12])
    assert found.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="only the last 17"):
        without_last_words(whole, 18)


def test_an_lstm_needs_its_own_vocabulary(checkpoint: Path, tmp_path: Path) -> None:
    Vocabulary(["THE"]).save(tmp_path / "other.txt")
    with pytest.raises(ValueError, match=r"an LSTM of \d+ words; .*other.txt has 4"):
        export(tmp_path / "bundle", tmp_path / "other.txt", checkpoint)
