from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.lexicon.lexicon import compile_tree, read_lexicon, write_lexicon
from asr.lexicon.units import PHONES

UNITS = st.lists(st.integers(1, 4), min_size=1, max_size=6)


@given(st.lists(st.tuples(st.integers(0, 9), UNITS), min_size=1, max_size=30))
def test_the_tree_holds_every_pronunciation_where_its_units_lead(pronunciations: list[tuple[int, list[int]]]) -> None:
    unigram = -np.arange(10, dtype=np.float32)
    tree = compile_tree(pronunciations, unigram)
    found = [
        (int(tree.words[position]), tree.pronunciation(node))
        for node in range(len(tree.unit))
        for position in range(tree.first_word[node], tree.end_word[node])
    ]
    assert sorted(found) == sorted(pronunciations)
    for node in range(len(tree.unit)):
        children = range(tree.first_child[node], tree.end_child[node])
        assert all(tree.parent[child] == node for child in children)
        assert len({int(tree.unit[child]) for child in children}) == len(children)
        prefix = tree.pronunciation(node)
        below = [word for word, units in pronunciations if units[: len(prefix)] == prefix]
        assert tree.look_ahead[node] == max(unigram[word] for word in below)


def test_a_word_without_pronunciation_is_refused() -> None:
    with pytest.raises(ValueError, match="word 3 has no pronunciation"):
        compile_tree([(3, [])], np.zeros(4))


def test_a_lexicon_is_read_as_it_was_written(tmp_path: Path) -> None:
    lexicon = {"READ": ["R EH D", "R IY D"], "SPEECH": ["S P IY CH"]}
    write_lexicon(tmp_path / "lexicon.txt", lexicon)
    assert read_lexicon(tmp_path / "lexicon.txt", PHONES) == lexicon
    (tmp_path / "bad.txt").write_text("SPEECH S P IY CH\n")
    with pytest.raises(ValueError, match="line 1 is not"):
        read_lexicon(tmp_path / "bad.txt", PHONES)
    (tmp_path / "bad.txt").write_text("READ\tR EH D\nSPEECH\tS P IY1 CH\n")
    with pytest.raises(ValueError, match="line 2: 'IY1' is no phone; there are AA AE"):
        read_lexicon(tmp_path / "bad.txt", PHONES)
