from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lm.lstm.prefix_tree import PrefixTree


@given(st.lists(st.lists(st.integers(0, 3), max_size=5), max_size=8))
def test_a_node_is_a_distinct_prefix(sentences: list[list[int]]) -> None:
    tree = PrefixTree(sentences)
    prefixes = [()]
    for word, parent in zip(tree.words[1:].tolist(), tree.parents[1:].tolist(), strict=True):
        prefixes.append((*prefixes[parent], word))
    assert sorted(prefixes) == sorted(
        {(), *(tuple(words[:end]) for words in sentences for end in range(len(words) + 1))}
    )
    assert [[prefixes[node] for node in path] for path in tree.paths] == [
        [tuple(words[: end + 1]) for end in range(len(words))] for words in sentences
    ]
    for length, (start, end) in enumerate(pairwise(tree.starts.tolist())):
        assert all(len(prefix) == length for prefix in prefixes[start:end])
    assert tree.starts[-1] == len(prefixes)
    assert tree.parents.tolist() == sorted(tree.parents)
