from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recarena.evaluation.statistics.reliability import (
    Level,
    acquiescence,
    consistency,
    correlations,
    cronbach,
    krippendorff,
    retest,
)

NAN = float("nan")

# Six subjects and four judges: Shrout and Fleiss (1979), table 2.
JUDGES = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]

# Twelve units and four observers: Krippendorff (2011), example C.
OBSERVERS = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]).T  # fmt: skip

ANSWERS = arrays(
    np.float64,
    st.tuples(st.integers(2, 8), st.integers(2, 4)),
    elements=st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, NAN]),
)
COMPLETE = arrays(
    np.float64,
    st.tuples(st.integers(2, 8), st.integers(2, 4)),
    elements=st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0]),
)


# ------------------------------------------------------------------ Cronbach


def test_alpha_of_three_items_by_hand():
    # Variances 2.5, 1.3 and 1.3; of the sums 7, 7, 12, 8, 15: 12.7.
    answers = [[3, 2, 2], [1, 3, 3], [4, 4, 4], [2, 3, 3], [5, 5, 5]]
    sums = [7, 7, 12, 8, 15]
    assert np.var(sums, ddof=1) == pytest.approx(12.7)
    assert cronbach(answers).value == pytest.approx(3 / 2 * (1 - 5.1 / 12.7))


def test_alpha_of_the_four_judges_is_their_published_consistency():
    found = cronbach(JUDGES)
    assert found.value == pytest.approx(0.909, abs=5e-4)
    assert (found.subjects, found.columns) == (6, 4)


def test_subjects_that_left_out_an_item_say_nothing_of_consistency():
    assert cronbach([*JUDGES, [NAN, 1, 9, 1]]) == cronbach(JUDGES)


@given(COMPLETE)
def test_alpha_is_that_of_the_mean_covariance(answers):
    covariance = np.cov(answers.T)
    k = answers.shape[1]
    whole = covariance.sum()
    found = cronbach(answers).value
    if whole < 1e-9:
        assert math.isnan(found)
    else:
        apart = covariance.sum() - np.trace(covariance)
        assert found == pytest.approx(k / (k - 1) * apart / whole, abs=1e-8)


def test_alpha_is_not_defined_without_two_items_two_subjects_or_any_difference():
    for answers in ([[1, 2, 3]], [[1], [2]], [[3, 3], [3, 3]], [[1, 3], [3, 1]], np.zeros((0, 3))):
        found = cronbach(answers)
        assert math.isnan(found.value)
        assert found.reason


def test_the_interval_of_alpha_misses_the_truth_as_rarely_as_it_says_on_either_side():
    # Six parallel items with reliability 1/2 each: alpha = 6/7.
    dice = np.random.default_rng(1)
    below = above = 0
    for _ in range(2000):
        found = cronbach(dice.normal(size=(10, 1)) + dice.normal(size=(10, 6)))
        below += found.high < 6 / 7
        above += found.low > 6 / 7
    assert 30 <= below <= 70
    assert 30 <= above <= 70


# -------------------------------------------------------------- Krippendorff


@pytest.mark.parametrize(
    ("level", "published"),
    [(Level.NOMINAL, 0.743), (Level.ORDINAL, 0.815), (Level.INTERVAL, 0.849)],
)
def test_the_four_observers_agree_as_published(level, published):
    assert krippendorff(OBSERVERS, level) == pytest.approx(published, abs=5e-4)


@given(ANSWERS, st.sampled_from(list(Level)))
def test_agreement_is_that_of_all_pairs_of_answers_one_by_one(answers, level):
    assert krippendorff(answers, level) == pytest.approx(
        _by_pairs(answers, level), abs=1e-9, nan_ok=True
    )


def _by_pairs(answers, level):
    units = [[x for x in row if not math.isnan(x)] for row in answers.tolist()]
    units = [unit for unit in units if len(unit) > 1]
    everything = [x for unit in units for x in unit]

    def apart(one, other):
        if level is Level.NOMINAL:
            return float(one != other)
        if level is Level.INTERVAL:
            return (one - other) ** 2
        low, high = min(one, other), max(one, other)
        ends = everything.count(low) + everything.count(high)
        between = sum(low <= x <= high for x in everything)
        return (between - ends / 2) ** 2 if low != high else 0.0

    n = len(everything)
    observed = sum(
        apart(one, other) / (len(unit) - 1)
        for unit in units
        for one, other in itertools.permutations(unit, 2)
    )
    expected = sum(apart(one, other) for one, other in itertools.permutations(everything, 2))
    return 1 - observed * (n - 1) / expected if expected else NAN


def test_judges_who_throw_dice_agree_as_by_chance():
    dice = np.random.default_rng(2)
    assert krippendorff(dice.integers(1, 6, (2000, 3))) == pytest.approx(0, abs=0.03)


def test_agreement_is_not_defined_where_nobody_differs_or_nobody_shares_a_unit():
    assert math.isnan(krippendorff([[3, 3], [3, 3]]))
    assert math.isnan(krippendorff([[3, NAN], [NAN, 4]]))


# ----------------------------------------------------------------------- ICC


def test_the_four_judges_correlate_within_classes_as_published():
    found = retest(JUDGES)
    assert found.value == pytest.approx(0.29, abs=5e-3)
    assert consistency(JUDGES) == pytest.approx(0.71, abs=5e-3)
    # Of R's psych::ICC on these figures.
    assert (found.low, found.high) == pytest.approx((0.019, 0.761), abs=2e-3)


def test_a_shift_between_wordings_counts_against_agreement_only():
    answers = np.array([[1.0, 2.0], [2.0, 3.0], [3.0, 4.0], [4.0, 5.0]])
    assert consistency(answers) == pytest.approx(1)
    # MSR 10/3, MSC 2, MSE 0: (10/3) / (10/3 + 2/4 * 2)
    assert retest(answers).value == pytest.approx(10 / 13)


def test_the_same_answers_in_both_wordings_are_perfectly_repeatable():
    found = retest([[1, 1], [3, 3], [4, 4]])
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_repeatability_is_not_defined_with_too_few_or_without_any_difference():
    for answers in ([[1, 2]], [[1], [2]], [[3, 3], [3, 3]], [[1, 2], [2, 1]]):
        found = retest(answers)
        assert math.isnan(found.value)
        assert found.reason
    assert math.isnan(consistency([[3, 3], [3, 3]]))


@given(COMPLETE)
def test_repeatability_has_an_interval_around_it_or_says_why_not(answers):
    found = retest(answers)
    assert math.isnan(found.value) or found.value <= 1 + 1e-12
    if math.isfinite(found.low):
        assert found.low - 1e-9 <= found.value <= found.high + 1e-9
    else:
        assert found.reason
        assert not found.value > 0.3


def test_the_interval_of_repeatability_holds_the_truth_as_often_as_it_says():
    dice = np.random.default_rng(3)
    held = 0
    for _ in range(600):
        subjects, occasions = dice.normal(size=(40, 1)), dice.normal(size=(1, 3)) * 0.1
        found = retest(subjects + occasions + dice.normal(size=(40, 3)) * 0.7)
        held += found.low <= 1 / (1 + 0.01 + 0.49) <= found.high
    assert 556 <= held <= 584


# --------------------------------------------------- halo and acquiescence


def test_constructs_correlate_over_the_subjects_that_have_both():
    scores = np.array([[1, 2, 5], [2, 4, 5], [3, 7, 5], [4, 7, 5], [5, NAN, 5]])
    found = correlations(scores)
    assert (
        found[0, 1] == found[1, 0] == pytest.approx(np.corrcoef(scores[:4, 0], scores[:4, 1])[0, 1])
    )
    assert np.isnan(found[0, 2])
    assert found[2, 2] == 1
    assert np.isnan(correlations(scores[:2])[0, 1])


def test_who_agrees_to_everything_is_above_the_middle_of_the_scale():
    reverse = [False, False, True]
    found = acquiescence([[5, 5, 5], [4, 4, 2], [NAN, 3, 4], [3, 3, NAN]], reverse, 3)
    assert found[:3].tolist() == [2, 0, 0.5]
    assert np.isnan(found[3])
    with pytest.raises(ValueError, match="direction"):
        acquiescence([[5, 5]], reverse, 3)


def test_answers_come_in_rows_and_columns():
    with pytest.raises(ValueError, match="rows and columns"):
        krippendorff([1, 2, 3])
