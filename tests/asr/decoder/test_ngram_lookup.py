"""The compiled n-gram lookup must say what KenLM says."""

import random
import subprocess
from pathlib import Path

import kenlm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoder.beam import BeamConfig, BeamSearch
from asr.decoder.hypothesis import Weights
from asr.lexicon.lexicon import compile_tree
from lm.ngram.trie import NgramTables, read_trie
from lm.text.vocabulary import END, SPECIAL_WORDS, START, Vocabulary

TINY = Path(__file__).parents[2] / "data/tiny.bin"
BUILD_BINARY = Path(__file__).parents[3] / "build/kenlm/bin/build_binary"

# What stands in the model's longest n-grams, words that the vocabulary or the model lacks, and other words.
WORDS = "THE NICE BEACH WILL WRECK A AGAIN AND SING WITH EASE LEARNT TO RECOGNIZE SPEECH ZEBRA NOWHERE".split()
VOCABULARY = Vocabulary(WORDS[:-1])
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=12)


def by_search(tables: NgramTables, words: list[str]) -> tuple[float, ...]:
    """log P of each word and of the sentence end, as a search finds them that can't but hear these words."""
    spellings = [(id, [id + 1]) for id in range(len(VOCABULARY)) if id not in (START, END)]
    tree = compile_tree(spellings, tables.log_prob[tables.ids])
    search = BeamSearch(tree, tables, VOCABULARY, BeamConfig(nbest=1), Weights(0.1, 0, 0))
    heard = [unit for id in VOCABULARY.encode(words) for unit in (id + 1, 0)]
    log_probs = np.full((len(heard), len(VOCABULARY) + 1), -20.0, np.float32)
    log_probs[range(len(heard)), heard] = 0.0
    (best,) = search.decode(log_probs)
    assert [VOCABULARY.encode([word]) for word in words] == [VOCABULARY.encode([word]) for word in best.words]
    assert best.ngram == pytest.approx(sum(best.word_ngrams))
    return best.word_ngrams


def by_kenlm(model: kenlm.Model, words: list[str]) -> list[float]:
    return [log10_prob * np.log(10) for log10_prob, _, _ in model.full_scores(" ".join(words))]


@pytest.fixture(scope="module")
def tiny() -> tuple[NgramTables, kenlm.Model]:
    return read_trie(TINY, VOCABULARY), kenlm.Model(str(TINY))


@settings(max_examples=300, deadline=None)
@given(words=SENTENCES)
def test_agrees_with_kenlm(tiny: tuple[NgramTables, kenlm.Model], words: list[str]) -> None:
    tables, model = tiny
    assert by_search(tables, words) == pytest.approx(by_kenlm(model, words), abs=1e-4)


def write_random_arpa(path: Path, order: int, chance: random.Random) -> None:
    """n-grams of random sentences; an n-gram may stand there only if its beginning and its end do."""
    words = [*SPECIAL_WORDS, *WORDS[:-2]]
    levels: list[set[tuple[str, ...]]] = [{(word,) for word in words}]
    sentences = [["<s>", *chance.choices(WORDS[:-2], k=chance.randrange(12)), "</s>"] for _ in range(60)]
    for n in range(2, order + 1):
        found = {tuple(words[i : i + n]) for words in sentences for i in range(len(words) - n + 1)}
        levels.append({gram for gram in found if {gram[1:], gram[:-1]} <= levels[-1] and chance.random() < 0.8})
    with path.open("w") as file:
        file.write("\\data\\\n" + "".join(f"ngram {n}={len(level)}\n" for n, level in enumerate(levels, 1)))
        for n, level in enumerate(levels, 1):
            file.write(f"\n\\{n}-grams:\n")
            for gram in sorted(level):
                backoff = f"\t{chance.uniform(-1, 0.3):.4f}" if n < order and gram[-1] != "</s>" else ""
                file.write(f"{chance.uniform(-4, -0.1):.4f}\t{' '.join(gram)}{backoff}\n")
        file.write("\n\\end\\\n")


@pytest.mark.skipif(not BUILD_BINARY.is_file(), reason="no KenLM tools; `make lm-tools` builds them")
@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("quantised", [[], ["-q", "8", "-b", "8"], ["-q", "3", "-b", "2"]])
def test_agrees_with_kenlm_on_random_models(tmp_path: Path, order: int, quantised: list[str]) -> None:
    chance = random.Random(order)
    write_random_arpa(tmp_path / "random.arpa", order, chance)
    binary = tmp_path / "random.bin"
    subprocess.run(
        [BUILD_BINARY, *quantised, "-S", "50M", "trie", tmp_path / "random.arpa", binary],
        check=True,
        capture_output=True,
    )
    tables, model = read_trie(binary, VOCABULARY), kenlm.Model(str(binary))
    assert tables.order == order
    for _ in range(100):
        words = chance.choices(WORDS, k=chance.randrange(12))
        assert by_search(tables, words) == pytest.approx(by_kenlm(model, words), abs=1e-4)
