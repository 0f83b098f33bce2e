"""A tiny vocabulary, n-gram and LSTM (random weights), and the bundle that holds them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from lm.bundle import quantized, write_bundle
from lm.lstm.model import LstmConfig, LstmModel
from lm.query import Models, open_models
from lm.text.vocabulary import SPECIAL_WORDS, Vocabulary
from lm.training.network import WordLstm

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """The words of tiny.arpa, and ZEBRA, which it lacks."""
    lines = (DATA / "tiny.arpa").read_text().split("\\1-grams:\n")[1].split("\n\n")[0].splitlines()
    words = [line.split("\t")[1] for line in lines]
    return Vocabulary([*(word for word in words if word not in SPECIAL_WORDS), "ZEBRA"])


@pytest.fixture(scope="session")
def network(vocabulary: Vocabulary) -> WordLstm:
    torch.manual_seed(1)
    network = WordLstm(LstmConfig(len(vocabulary), hidden=16, layers=2, cutoffs=(8, 20), shrink=2))
    with torch.no_grad():
        for weight in network.parameters():
            weight *= 3  # so that words differ by more than rounding
    return network.eval()


@pytest.fixture(scope="session")
def weights(network: WordLstm) -> dict[str, np.ndarray]:
    return {name: weight.numpy() for name, weight in network.state_dict().items()}


@pytest.fixture(scope="session")
def lstm(network: WordLstm, weights: dict[str, np.ndarray], vocabulary: Vocabulary) -> LstmModel:
    return LstmModel(network.config, weights, vocabulary)


@pytest.fixture(scope="session")
def bundle(weights: dict[str, np.ndarray], vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made")
    vocabulary.save(made / "vocabulary.txt")
    save_file(quantized(weights), made / "lstm.safetensors")
    sizes = {"vocabulary": len(vocabulary), "hidden": 16, "layers": 2, "cutoffs": [8, 20], "shrink": 2}
    files = {path.name: path for path in made.iterdir()} | {"ngram.bin": DATA / "tiny.bin"}
    config = {"lstm": sizes, "mixture": {"ngram_weight": 0.25}}
    return write_bundle(tmp_path_factory.mktemp("bundle"), config, files).folder


@pytest.fixture(scope="session")
def models(bundle: Path) -> Models:
    return open_models(bundle)
