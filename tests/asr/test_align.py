import numpy as np
import pytest

from asr.align import align


def emissions(path: list[int], units: int = 4) -> np.ndarray:
    log_probs = np.full((len(path), units), np.log(0.01), dtype=np.float32)
    log_probs[range(len(path)), path] = np.log(1 - 0.01 * (units - 1))
    return log_probs


def test_words_lie_where_their_units_are() -> None:
    assert align(emissions([0, 1, 1, 0, 2, 0, 0, 3, 3, 0]), [[[1, 2]], [[3]]]) == [(1, 5), (7, 9)]


def test_the_better_pronunciation_is_taken() -> None:
    assert align(emissions([0, 3, 0, 2, 0]), [[[1, 2], [3, 2]]]) == [(1, 4)]


def test_equal_units_of_neighbouring_words_need_a_blank_between() -> None:
    assert align(emissions([1, 1, 1]), [[[1]], [[1]]]) == [(0, 1), (2, 3)]
    with pytest.raises(ValueError, match="2 words don't fit into 2 frames"):
        align(emissions([1, 1]), [[[1]], [[1]]])


def test_no_words() -> None:
    assert align(emissions([0, 0]), []) == []
