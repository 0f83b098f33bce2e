import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lm.ngram.model import NgramModel
from lm.ngram.trie import NgramTables, read_trie
from lm.text.vocabulary import UNKNOWN, Vocabulary

DATA = Path(__file__).parents[2] / "data"


def arpa_ngrams() -> Iterator[tuple[list[str], float, float]]:
    """The n-grams of tiny.arpa: words, log10 probability, log10 back-off weight (0 where there is none)."""
    for line in (DATA / "tiny.arpa").read_text().splitlines():
        log_prob, *rest = line.split("\t")
        if rest:
            yield rest[0].split(" "), float(log_prob), float(rest[1]) if len(rest) > 1 else 0.0


def find(tables: NgramTables, ids: list[int]) -> int:
    """The entry of an n-gram: down the trie from its last word to its first."""
    *context, entry = ids
    for word in reversed(context):
        extensions = tables.word[tables.first[entry] : tables.first[entry + 1]]
        assert np.all(np.diff(extensions) > 0)
        at = np.searchsorted(extensions, word)
        assert extensions[at] == word
        entry = tables.first[entry] + at
    return entry


def test_holds_each_ngram_of_the_arpa_file(vocabulary: Vocabulary) -> None:
    tables = read_trie(DATA / "tiny.bin", vocabulary)
    assert tables.order == 4
    entries = set()
    for words, log10_prob, log10_backoff in arpa_ngrams():
        entry = find(tables, tables.ids[vocabulary.encode(words)].tolist())
        entries.add(entry)
        if words != ["<s>"]:  # which is never predicted
            assert tables.log_prob[entry] == pytest.approx(log10_prob * np.log(10), abs=1e-4)
        if len(words) < tables.order:
            assert tables.backoff[entry] == pytest.approx(log10_backoff * np.log(10), abs=1e-4)
    sentinels = tables.order - 1  # one ends each order but the longest
    assert len(entries) == len(tables.word) - sentinels


def test_words_that_the_model_lacks_are_unknown_to_it(vocabulary: Vocabulary) -> None:
    tables = read_trie(DATA / "tiny.bin", vocabulary)
    assert len(tables.ids) == len(vocabulary)
    assert tables.ids[vocabulary.encode(["ZEBRA"])] == tables.ids[UNKNOWN]


@pytest.mark.parametrize("data", [b"", b"no model", (DATA / "tiny.arpa").read_bytes()])
def test_says_when_a_file_is_no_trie(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "ngram.bin"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"ngram\.bin: not a KenLM"):
        read_trie(path, Vocabulary([]))


@pytest.mark.parametrize("kind", [0, 1, 4, 5])  # probing, rest-probing, array-compressed, and quantised too
def test_says_when_a_binary_is_of_another_kind(tmp_path: Path, kind: int) -> None:
    data = bytearray((DATA / "tiny.bin").read_bytes())
    data[96] = kind
    path = tmp_path / "ngram.bin"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"ngram\.bin: not a KenLM trie .*`build_binary trie`"):
        read_trie(path, Vocabulary([]))


@pytest.mark.parametrize("place", [108, 116, 124])  # the counts of 1-, 2- and 3-grams
@pytest.mark.parametrize("count", [0, 1, 2**31, 2**60, 2**64 - 1])
def test_says_when_a_trie_claims_other_counts(tmp_path: Path, place: int, count: int) -> None:
    data = bytearray((DATA / "tiny.bin").read_bytes())
    data[place : place + 8] = count.to_bytes(8, "little")
    path = tmp_path / "ngram.bin"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"ngram\.bin: a damaged KenLM trie"):
        read_trie(path, Vocabulary(["THE"]))


def test_a_damaged_trie_leads_no_look_up_astray(tmp_path: Path) -> None:
    """In a process of its own: a look-up outside the arrays might end it."""
    whole = (DATA / "tiny.bin").read_bytes()
    words = Vocabulary(["SOMETHING", "HAD", "TO", "BE", "DONE"])
    path = tmp_path / "ngram.bin"
    if (child := os.fork()) == 0:
        for place in range(88, len(whole), 61):
            for changed in 0xFF, whole[place] ^ 0x40:
                path.write_bytes(whole[:place] + bytes([changed]) + whole[place + 1 :])
                try:
                    (log_probs,) = NgramModel(path, words).log_probs([[3, 4, 5, 6, 7, 2, 7, 6, 5, 4, 3, 3, 3]])
                except ValueError:
                    continue
                if np.isnan(log_probs).any():
                    os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, path


@pytest.mark.parametrize("missing", [1, 300, 0.5, 0.9, 0.99, 0.999])
def test_says_when_a_trie_is_cut_short(tmp_path: Path, missing: float) -> None:
    data = (DATA / "tiny.bin").read_bytes()
    path = tmp_path / "ngram.bin"
    path.write_bytes(data[: -int(missing if missing >= 1 else missing * len(data))])
    with pytest.raises(ValueError, match=r"ngram\.bin: (a damaged|not a) KenLM"):
        read_trie(path, Vocabulary([]))
