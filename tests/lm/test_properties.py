"""What must hold of every model, tiny or shipped: all next words sum to 1, and one by one they make a sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.bundle import open_bundle, write_bundle
from lm.model import LanguageModel
from lm.ngram.arpa import read_arpa
from lm.ngram.pack import write_trie
from lm.query import MODELS, Models, open_models
from lm.text.vocabulary import END, START

ARPA = Path(__file__).parents[1] / "data/tiny.arpa"


@pytest.fixture(scope="module")
def tiny(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The tiny bundle with an n-gram of 8 different probabilities an order."""
    folder = tmp_path_factory.mktemp("coarse")
    write_trie(read_arpa(ARPA), folder / "ngram.bin", bits=3)
    old = open_bundle(bundle)
    files = {name: old.file(name) for name in old.config["sha256"]} | {"ngram.bin": folder / "ngram.bin"}
    return open_models(write_bundle(folder / "model", old.config, files).folder)


@pytest.fixture(scope="module")
def shipped() -> Models:
    return open_models()


def check(model: LanguageModel[Any], words: list[int], each: bool = True) -> None:
    """All next words sum to 1 after each of some words, and what they say of these is what the sentence's score is.

    each: so do the scores of all words one by one, which leave as many states.
    """
    every = [id for id in range(len(model.vocabulary)) if id != START]
    state, chain = model.initial(), 0.0
    for word in [*words, END]:
        foretold = model.next_words(state)
        assert np.exp(foretold).sum() == pytest.approx(1, abs=1e-4)
        if each:
            scores, _ = model.score([state] * len(every), every)
            assert np.exp(scores, dtype=np.float64).sum() == pytest.approx(1, abs=1e-4)
        chain += foretold[word]
        state = model.read(state, [word])
    assert model.log_probs([[*words, END]])[0].sum(dtype=np.float64) == pytest.approx(chain, abs=1e-3)


@pytest.mark.parametrize("name", MODELS)
@given(st.lists(st.integers(0, 33).filter(lambda id: id != START), max_size=12))
@settings(max_examples=40, deadline=None)
def test_tiny_models(tiny: Models, name: str, words: list[int]) -> None:
    check(tiny[name], words)


TEXT = "ZORBLAX OF THE OF THE </s> THEY HOPED TO WRECK A NICE BEACH"


@pytest.mark.parametrize("name", MODELS)
def test_shipped_models(shipped: Models, name: str) -> None:
    check(shipped[name], shipped.vocabulary.encode(TEXT.split()), each=name == "ngram")
