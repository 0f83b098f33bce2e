"""A search must score words as the n-gram does."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoder.beam import BeamConfig, BeamSearch
from asr.decoder.hypothesis import Weights
from asr.lexicon.lexicon import compile_tree
from lm.ngram.model import NgramModel
from lm.ngram.trie import NgramTables, read_trie
from lm.text.vocabulary import END, START, UNKNOWN, MissingWordsWarning, Vocabulary

TINY = Path(__file__).parents[2] / "data/tiny.bin"

# What stands in the model's longest n-grams, other words, words that the model lacks, one that the vocabulary lacks.
WORDS = "THE NICE BEACH WILL WRECK A AGAIN AND SING WITH EASE LEARNT TO RECOGNIZE SPEECH ZEBRA OKAPI NOWHERE".split()
VOCABULARY = Vocabulary(WORDS[:-1])
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=12)


def by_search(tables: NgramTables, words: list[str]) -> tuple[float, ...]:
    """log P of each word and of the sentence end, as a search finds them that can't but hear these words."""
    spellings = [(id, [id + 1]) for id in range(len(VOCABULARY)) if id not in (START, END)]
    tree = compile_tree(spellings, tables.log_prob[tables.ids] + tables.shares)
    search = BeamSearch(tree, tables, VOCABULARY, BeamConfig(nbest=1), Weights(0.1, 0, 0))
    heard = [unit for id in VOCABULARY.encode(words) for unit in (id + 1, 0)]
    log_probs = np.full((len(heard), len(VOCABULARY) + 1), -20.0, np.float32)
    log_probs[range(len(heard)), heard] = 0.0
    (best,) = search.decode(log_probs)
    assert [VOCABULARY.encode([word]) for word in words] == [VOCABULARY.encode([word]) for word in best.words]
    assert best.ngram == pytest.approx(sum(best.word_ngrams))
    return best.word_ngrams


@pytest.fixture(scope="module")
def model() -> NgramModel:
    with pytest.warns(MissingWordsWarning, match=r"tiny.bin: the n-gram lacks 2 of the 17 words .* \(11.8%\)"):
        return NgramModel(TINY, VOCABULARY)


@pytest.fixture(scope="module")
def tables() -> NgramTables:
    return read_trie(TINY, VOCABULARY)


@settings(max_examples=300, deadline=None)
@given(words=SENTENCES)
def test_scores_words_as_the_model_does(model: NgramModel, tables: NgramTables, words: list[str]) -> None:
    (log_probs,) = model.log_probs([[*VOCABULARY.encode(words), END]])
    assert by_search(tables, words) == pytest.approx(log_probs, abs=1e-5)


def test_words_that_the_model_lacks_share_the_probability_of_unknown_ones(tables: NgramTables) -> None:
    """With <unk> itself they are three, and together as probable as it would be alone."""
    alone = read_trie(TINY, Vocabulary(WORDS[:-3]))
    (unknown, _), (zebra, _), (okapi, _) = (by_search(tables, [word]) for word in ("NOWHERE", "ZEBRA", "OKAPI"))
    assert unknown == zebra == okapi
    assert zebra + np.log(3) == pytest.approx(
        alone.log_prob[alone.ids[UNKNOWN]] + alone.backoff[alone.ids[START]], abs=1e-5
    )
    assert tables.missing.sum() == 2
    assert not alone.shares.any()
