import random
from pathlib import Path

import kenlm
import numpy as np
import pytest

from lm.ngram.arpa import read_arpa, write_arpa
from lm.ngram.model import NgramModel
from lm.ngram.pack import _backoff_bins, _nearest, write_trie
from lm.ngram.trie import read_trie, unpack_trie
from lm.text.vocabulary import START, Vocabulary

ARPA = Path(__file__).parents[2] / "data/tiny.arpa"


@pytest.mark.parametrize("bits", [12, 25])
def test_kenlm_reads_the_same_out_of_it(bits: int, vocabulary: Vocabulary, tmp_path: Path) -> None:
    write_trie(read_arpa(ARPA), tmp_path / "packed.bin", bits, bits)
    packed, plain = (NgramModel(path, vocabulary) for path in (tmp_path / "packed.bin", ARPA))
    rng = np.random.default_rng(1)
    sequences = [rng.integers(2, len(vocabulary), 8).tolist() for _ in range(200)]
    for ours, theirs in zip(packed.log_probs(sequences), plain.log_probs(sequences), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("bits", [2, 3, 5, 25])
def test_sums_are_one_however_coarse_probabilities_are(bits: int, vocabulary: Vocabulary, tmp_path: Path) -> None:
    write_trie(read_arpa(ARPA), tmp_path / "packed.bin", bits)
    ours, theirs = NgramModel(tmp_path / "packed.bin", vocabulary), kenlm.Model(str(tmp_path / "packed.bin"))
    every, chance = [id for id in range(len(vocabulary)) if id != START], random.Random(1)
    for _ in range(200):
        history = chance.choices(every[3:], k=chance.randrange(6))
        log_probs, _ = ours.score([ours.read(ours.initial(), history)] * len(every), every)
        assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-5)
        text = " ".join(vocabulary[id] for id in [*history, 5])
        by_kenlm = [log_prob for log_prob, *_ in theirs.full_scores(text, eos=False)][-1]
        assert log_probs[every.index(5)] == pytest.approx(by_kenlm * np.log(10), abs=1e-4)


@pytest.mark.parametrize("bits", [8, 12, 14])
def test_bins_of_backoff_weights_keep_sums(bits: int) -> None:
    weights = np.random.default_rng(1).lognormal(-0.2, 0.6, 100_000).clip(1e-3, 4)
    values = np.log10(weights).astype(np.float32)
    centers = _backoff_bins(values, 1 << bits)
    assert len(centers) == 1 << bits
    assert (np.diff(centers) >= 0).all()
    # The most that a rounded weight can alter a sum: it leaves as much as it is itself, or all.
    strays = np.abs(10.0 ** (centers[_nearest(values, centers)] - values) - 1) * weights.clip(max=1)
    assert strays.max() < 1.3 / (1 << bits)


def test_states_are_as_short_as_those_of_kenlm(tmp_path: Path) -> None:
    # A state holds no word that nothing is listed to follow: by what it holds the search merges tokens.
    write_trie(read_arpa(ARPA), tmp_path / "packed.bin")
    ours, theirs = (kenlm.Model(str(path)) for path in (tmp_path / "packed.bin", ARPA.with_suffix(".bin")))
    words = [line.split("\t")[1] for line in ARPA.read_text().split("\\1-grams:\n")[1].split("\n\n")[0].splitlines()]
    chance = random.Random(1)
    for _ in range(100):
        states = [kenlm.State(), kenlm.State()]
        for model, state in zip((ours, theirs), states, strict=True):
            model.BeginSentenceWrite(state)
        for word in chance.choices(words, k=6):
            following = [kenlm.State(), kenlm.State()]
            for model, state, after in zip((ours, theirs), states, following, strict=True):
                model.BaseScore(state, word, after)
            assert hash(following[0]) == hash(following[1])
            states = following


def test_our_reader_reads_the_same_out_of_it(vocabulary: Vocabulary, tmp_path: Path) -> None:
    model = read_arpa(ARPA)
    write_trie(model, tmp_path / "packed.bin", 25)
    ours, theirs = read_trie(tmp_path / "packed.bin", vocabulary), read_trie(ARPA.with_suffix(".bin"), vocabulary)
    for name in ("order", "ids", "word", "first"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    assert len(ours.log_prob) == len(theirs.log_prob)
    rows = np.sort(np.concatenate([order.log_probs for order in model.orders])).astype(np.float32)
    np.testing.assert_allclose(
        np.sort(ours.log_prob[np.isin(ours.log_prob, 0, invert=True)])[: len(rows)], rows, atol=1
    )


def test_a_trie_is_unpacked_to_what_was_packed(vocabulary: Vocabulary, tmp_path: Path) -> None:
    plain = read_arpa(ARPA)
    write_trie(plain, tmp_path / "packed.bin", 25)
    unpacked = unpack_trie(tmp_path / "packed.bin")
    assert [len(order) for order in unpacked.orders] == [len(order) for order in plain.orders]
    write_arpa(unpacked, tmp_path / "unpacked.arpa")
    assert ngrams(tmp_path / "unpacked.arpa").keys() == ngrams(ARPA).keys()
    for ngram, log_prob in ngrams(ARPA).items():
        assert ngrams(tmp_path / "unpacked.arpa")[ngram] == pytest.approx(log_prob, abs=1e-4)


def ngrams(arpa: Path) -> dict[str, float]:
    rows = [line.split("\t") for line in arpa.read_text().splitlines() if "\t" in line]
    return {ngram: float(log_prob) for log_prob, ngram, *_ in rows}


def test_equally_many_values_share_a_bin(vocabulary: Vocabulary, tmp_path: Path) -> None:
    model = read_arpa(ARPA)
    write_trie(model, tmp_path / "coarse.bin", 3)
    coarse, plain = (NgramModel(path, vocabulary) for path in (tmp_path / "coarse.bin", ARPA))
    sentence = vocabulary.encode(list(vocabulary)[3:12])
    np.testing.assert_allclose(coarse.log_probs([sentence])[0], plain.log_probs([sentence])[0], atol=1.0)
