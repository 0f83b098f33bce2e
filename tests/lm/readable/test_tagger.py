import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from lm.bundle import Dequantized, quantized
from lm.readable.marked import MARKS
from lm.readable.tagger import CASES, CONTEXT, EDGE, WINDOW, Tagger, TaggerConfig
from lm.training.readable import TaggerNetwork

CONFIG = TaggerConfig(vocabulary=40, embedding=12, hidden=8, layers=2)


@pytest.fixture(scope="module")
def network() -> TaggerNetwork:
    torch.manual_seed(1)
    return TaggerNetwork(CONFIG).eval()


@pytest.fixture(scope="module")
def tagger(network: TaggerNetwork, tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    path = tmp_path_factory.mktemp("tagger") / "readable.safetensors"
    save_file(quantized({name: weight.numpy() for name, weight in network.state_dict().items()}), path)
    return Tagger(CONFIG, Dequantized(path))


def texts(*lengths: int) -> list[list[int]]:
    chance = np.random.default_rng(1)
    return [chance.integers(1, CONFIG.ids, length).tolist() for length in lengths]


def test_it_computes_what_was_trained(network: TaggerNetwork, tagger: Tagger) -> None:
    (text,) = texts(30)
    with torch.no_grad():
        logits = network(torch.tensor([EDGE, *text, EDGE])[:, None])
    for found, wanted in zip(tagger.log_probs([text])[0], logits, strict=True):
        assert found == pytest.approx(wanted[1:-1, 0].log_softmax(-1).numpy(), abs=0.05)  # but for rounding


def test_many_texts_as_each_by_itself(tagger: Tagger) -> None:
    some = texts(1, 0, 7, WINDOW, WINDOW + 1, 5 * WINDOW, 3, WINDOW - 1, WINDOW + 2 * CONTEXT)
    for text, (marks, cases) in zip(some, tagger.log_probs(some), strict=True):
        ((alone, alone_cases),) = tagger.log_probs([text])
        assert marks.shape == (len(text), len(MARKS))
        assert cases.shape == (len(text), CASES)
        assert marks == pytest.approx(alone, abs=1e-5)
        assert cases == pytest.approx(alone_cases, abs=1e-5)
        assert np.exp(marks).sum(1) == pytest.approx(1)


def test_windows_of_a_long_text_are_hardly_noticed(tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = texts(3 * WINDOW)
    ((windowed, _),) = tagger.log_probs([text])
    monkeypatch.setattr("lm.readable.tagger.WINDOW", 4 * WINDOW)
    ((whole, _),) = tagger.log_probs([text])
    assert windowed == pytest.approx(whole, abs=1e-3)
