import itertools
import math
import random

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from asr.evaluation.errors import (
    Bin,
    Confusions,
    ErrorRates,
    aligned,
    alignment_view,
    compare,
    confidence_quality,
    confusions,
    error_counts,
    error_rates,
    judged,
    oracle_errors,
    wer_interval,
)


def test_error_rates() -> None:
    # Of 7 characters " B" is missing and C became X.
    assert error_rates(["A B C D"], ["A X D"]) == ErrorRates(50.0, 42.86, substitutions=1, deletions=1, insertions=0)
    assert error_rates(["ONE TWO", ""], ["ONE TWO", "THREE"]).insertions == 1
    assert error_rates(["ONE TWO", ""], ["ONE TWO", "THREE"]).wer == 50.0
    assert error_rates(["ONE"], [""]) == ErrorRates(100.0, 100.0, substitutions=0, deletions=1, insertions=0)


def test_both_sides_are_normalised_alike() -> None:
    rates = error_rates(["Mr. Bell paid $5."], ["mister bell paid five dollars"])
    assert rates == ErrorRates(0.0, 0.0, substitutions=0, deletions=0, insertions=0)


def test_references_without_words_have_no_error_rate() -> None:
    with pytest.raises(ValueError, match="no words"):
        error_rates(["...", ""], ["A", "B"])


def test_error_counts_are_those_of_each_utterance() -> None:
    errors, words = error_counts(aligned(["A B C D", "", "E"], ["A X D", "Y Z", "E"]))
    assert errors.tolist() == [2, 2, 0]
    assert words.tolist() == [4, 0, 1]


def test_confusions_are_of_single_words_most_frequent_first() -> None:
    words = aligned(
        ["EDISON HAS LEFT", "EDISON WAS HERE", "OH YES"], ["ADDISON AS LEFT", "ADDISON WAS HERE NOW", "YES"]
    )
    assert confusions(words, 10) == Confusions([("EDISON", "ADDISON", 2), ("HAS", "AS", 1)], [("NOW", 1)], [("OH", 1)])
    assert confusions(words, 1).substitutions == [("EDISON", "ADDISON", 2)]
    assert confusions(words, 0) == Confusions([], [], [])


def test_alignments_show_what_is_wrong_and_nothing_else() -> None:
    view = alignment_view(["good", "bad"], aligned(["A B", "TWO OF US"], ["A B", "FOUR OF US HERE"]))
    assert [line.rstrip() for line in view.splitlines() if line] == [
        "bad",
        "REF:  TWO OF US ****",
        "HYP: FOUR OF US HERE",
        "        S          I",
    ]
    assert alignment_view(["good"], aligned(["A B"], ["A B"])) == ""


def test_the_oracle_takes_the_best_reading() -> None:
    assert oracle_errors("A B C".split(), [["A X C".split(), "A B B C".split(), "A X X".split()]]) == 1
    assert oracle_errors("A B".split(), [[[]]]) == 2
    assert oracle_errors("A B".split(), []) == 2  # a silent recording has no segment
    assert oracle_errors([], [["A B".split(), "A".split()]]) == 1


def test_the_oracle_of_several_segments_is_that_of_all_combinations() -> None:
    rng = random.Random(1)
    for _ in range(50):
        reference = rng.choices("ABC", k=rng.randrange(7))
        nbests = [[rng.choices("ABCD", k=rng.randrange(4)) for _ in range(3)] for _ in range(3)]
        joined = [list(itertools.chain(*choice)) for choice in itertools.product(*nbests)]
        assert oracle_errors(reference, nbests) == min(Levenshtein.distance(words, reference) for words in joined)


def test_the_interval_is_where_resampled_rates_lie() -> None:
    # A coin a word: the standard error is 50 / sqrt(400) = 2.5 points.
    errors = np.arange(400) % 2
    low, high = wer_interval(errors, np.ones(400, dtype=int))
    assert low == pytest.approx(50 - 1.96 * 2.5, abs=0.3)
    assert high == pytest.approx(50 + 1.96 * 2.5, abs=0.3)
    assert (low, high) == wer_interval(errors, np.ones(400, dtype=int))
    assert wer_interval(np.array([1, 1]), np.array([4, 4])) == (25.0, 25.0)
    assert wer_interval(np.array([1, 0]), np.array([0, 1]))[1] == 200.0  # resamples without words count as one


def test_a_comparison_is_of_the_same_utterances() -> None:
    # The systems differ by one error in every fourth utterance, however many errors both make in it.
    before = np.tile([9, 1, 0, 5], 100)
    after = before - np.tile([1, 0, 0, 0], 100)
    better = compare(before, after, np.full(400, 10))
    assert better.wer_difference == -2.5
    assert better.interval[0] == pytest.approx(-2.5 - 1.96 * 10 * math.sqrt(0.25 * 0.75 / 400), abs=0.1)
    assert better.probability_of_improvement == 1.0
    assert better.p_value == 0.0
    worse = compare(after, before, np.full(400, 10))
    assert (worse.wer_difference, worse.probability_of_improvement) == (2.5, 0.0)
    assert worse.interval == (-better.interval[1], -better.interval[0])


def test_what_is_the_same_is_no_improvement() -> None:
    same = compare(np.array([1, 2]), np.array([1, 2]), np.array([4, 4]))
    assert (same.interval, same.probability_of_improvement, same.p_value) == ((0.0, 0.0), 0.0, 1.0)


def test_p_values() -> None:
    # One error less, once: it might as well have been one more, and that is a standard deviation.
    assert compare(np.array([1]), np.array([0]), np.array([3])).p_value == pytest.approx(0.3173, abs=1e-4)
    # Four less, of four differences: two standard deviations.
    assert compare(np.ones(4, dtype=int), np.zeros(4, dtype=int), np.ones(4, dtype=int)).p_value == 0.0455


def test_confidences_are_judged_by_right_and_wrong_words() -> None:
    quality = confidence_quality(["A B C D"], [["A", "X", "C", "D"]], [[0.9, 0.5, 0.95, 0.5]])
    assert quality.words == 4
    # Bin of 0.9: (0.1 + 0.05); bin of 0.5: one in two is right, as it should be.
    assert quality.calibration_error == round(0.15 / 4, 4)
    assert quality.auc == round(2.5 / 3, 4)  # the wrong word ranks below two right ones and level with one
    assert confidence_quality(["A"], [["A"]], [[1.0]]).auc is None
    assert confidence_quality(["A"], [[]], [[]]).words == 0
    assert confidence_quality(["A"], [[]], [[]]).reliability == []


def test_cross_entropy_is_normalised_by_that_of_the_share_of_right_words() -> None:
    right = np.array([True, True, True, False])
    assert judged(right, np.full(4, 0.75)).normalized_cross_entropy == 0
    gain = 1 - (math.log(0.9) + 2 * math.log(0.8) + math.log(1 - 0.4)) / (3 * math.log(0.75) + math.log(0.25))
    assert judged(right, np.array([0.9, 0.8, 0.8, 0.4])).normalized_cross_entropy == pytest.approx(gain, abs=1e-4)
    assert judged(right, np.array([1.0, 1.0, 1.0, 0.0])).normalized_cross_entropy == pytest.approx(1, abs=0.01)
    assert judged(right, np.array([0.0, 1.0, 1.0, 1.0])).normalized_cross_entropy is not None
    assert judged(right[:3], np.full(3, 0.75)).normalized_cross_entropy is None


def test_reliability_is_told_by_tenths() -> None:
    quality = judged(np.array([True, False, True, True]), np.array([0.52, 0.58, 0.999, 1.0]))
    assert quality.reliability == [Bin(2, 0.55, 0.5), Bin(2, 0.9995, 1.0)]
    assert quality.calibration_error == pytest.approx((abs(1 - 1.1) + abs(2 - 1.999)) / 4, abs=1e-4)


def test_a_word_that_is_normalised_to_several_keeps_its_confidence() -> None:
    quality = confidence_quality(["twenty two men"], [["XXII", "MAN"]], [[0.8, 0.3]])
    assert (quality.words, quality.auc) == (3, 1.0)
    assert quality.calibration_error == round((2 * 0.2 + 0.3) / 3, 4)
