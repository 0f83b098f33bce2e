"""The compiled n-gram lookup must say what KenLM says."""

import subprocess
from pathlib import Path

import kenlm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoder.search import ngram_score
from lm.kenlm_trie import NgramTables, read_trie
from lm.vocabulary import END, START, Vocabulary

TINY = Path(__file__).parents[1] / "data/tiny.arpa"
BUILD_BINARY = Path(__file__).parents[2] / "build/kenlm/bin/build_binary"

# What stands in the model's longest n-grams, words that the vocabulary or the model lacks, and other words.
WORDS = "THE NICE BEACH WILL WRECK A AGAIN AND SING WITH EASE LEARNT TO RECOGNIZE SPEECH ZEBRA NOWHERE".split()
VOCABULARY = Vocabulary(WORDS[:-1])
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=12)


def by_tables(tables: NgramTables, words: list[str]) -> list[float]:
    """log P of each word and of the sentence end, by lm.kenlm_trie and asr.decoder.search."""
    context = np.full(tables.order - 1, -1, np.int32)
    backoff = np.zeros(tables.order - 1, np.float32)
    context[0], backoff[0] = tables.ids[START], tables.backoff[tables.ids[START]]
    log_probs = []
    for word in [*VOCABULARY.encode(words), END]:
        following, weights = np.empty_like(context), np.empty_like(backoff)
        log_probs.append(ngram_score(tables, tables.ids[word], context, backoff, following, weights))
        context, backoff = following, weights
    return log_probs


def by_kenlm(model: kenlm.Model, words: list[str]) -> list[float]:
    return [log10_prob * np.log(10) for log10_prob, _, _ in model.full_scores(" ".join(words))]


@settings(max_examples=300, deadline=None)
@given(words=SENTENCES)
def test_agrees_with_kenlm_on_a_quantised_trie(words: list[str]) -> None:
    assert by_tables(TABLES, words) == pytest.approx(by_kenlm(MODEL, words), abs=1e-4)


TABLES = read_trie(TINY.with_suffix(".bin"), VOCABULARY)
MODEL = kenlm.Model(str(TINY.with_suffix(".bin")))


@pytest.mark.skipif(not BUILD_BINARY.is_file(), reason="no KenLM tools; `make lm-tools` builds them")
@pytest.mark.parametrize("bits", [0, 3, 8])
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_agrees_with_kenlm_on_random_models(
    tmp_path_factory: pytest.TempPathFactory, bits: int, data: st.DataObject
) -> None:
    ...
