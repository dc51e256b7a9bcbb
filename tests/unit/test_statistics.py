"""Intervals whose unit is the world."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recarena.evaluation.statistics.multiplicity import holm
from recarena.evaluation.statistics.worlds import (
    paired_difference,
    paired_p_value,
    separated,
    world_interval,
)

values = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))
some_worlds = st.lists(values, min_size=2, max_size=12)
pairs_of_worlds = st.lists(st.tuples(values, values), min_size=2, max_size=12)


def test_an_interval_by_hand():
    # mean 3, sd 1, W = 3, t_{2, .975} = 4.302653
    one = world_interval([2, 3, 4])
    assert one.mean == 3
    assert one.half_width == pytest.approx(4.302653 / math.sqrt(3), abs=1e-6)
    assert (one.low, one.high) == pytest.approx((3 - one.half_width, 3 + one.half_width))
    assert (one.worlds, one.confidence, one.reason) == (3, 0.95, "")


@settings(deadline=None)
@given(some_worlds, st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_an_interval_is_that_of_the_t_distribution(worlds: list[float], confidence: float):
    one = world_interval(worlds, confidence)
    error = np.std(worlds, ddof=1) / math.sqrt(len(worlds))
    if len(set(worlds)) == 1:
        assert one.low == one.high == one.mean
    else:
        expected = stats.t.interval(confidence, len(worlds) - 1, np.mean(worlds), error)
        assert (one.low, one.high) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_one_world_has_a_mean_and_no_interval():
    one = world_interval([0.5])
    assert one.mean == 0.5
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert "one world" in one.reason
    assert not one.excludes(0)


def test_no_world_has_neither():
    one = world_interval([])
    assert math.isnan(one.mean)
    assert one.reason


def test_worlds_without_a_value_are_left_out_and_counted():
    one = world_interval([1.0, math.nan, 3.0])
    assert (one.mean, one.worlds) == (2, 2)
    assert one.reason == "no value in 1 of 3 worlds"


def test_a_confidence_is_between_0_and_1():
    with pytest.raises(ValueError, match="between 0 and 1"):
        world_interval([1, 2], 95)


def test_worlds_that_are_not_paired_are_refused():
    with pytest.raises(ValueError, match="2 values against 3"):
        paired_difference([1, 2], [1, 2, 3])


def test_pairing_takes_out_what_worlds_have_in_common():
    easy_and_hard = np.array([0.1, 0.5, 0.9, 0.3])
    better = easy_and_hard + np.array([0.01, 0.011, 0.009, 0.01])
    assert separated(better.tolist(), easy_and_hard.tolist())
    assert not world_interval(better.tolist()).excludes(float(easy_and_hard.mean()))


@settings(deadline=None)
@given(some_worlds)
def test_a_against_a_is_exactly_zero_and_never_separated(worlds: list[float]):
    one = paired_difference(worlds, worlds)
    assert (one.mean, one.low, one.high) == (0, 0, 0)
    assert not separated(worlds, worlds)
    assert paired_p_value(worlds, worlds) == 1


@settings(deadline=None)
@given(pairs_of_worlds)
def test_a_difference_turns_its_sign_with_the_order(pairs: list[tuple[float, float]]):
    a, b = [one for one, _ in pairs], [one for _, one in pairs]
    forth, back = paired_difference(a, b), paired_difference(b, a)
    assert forth.mean == pytest.approx(-back.mean, abs=1e-9)
    assert forth.low == pytest.approx(-back.high, abs=1e-9)
    assert separated(a, b) == separated(b, a)


@settings(deadline=None)
@given(pairs_of_worlds)
def test_a_pair_is_separated_where_its_p_value_is_below_5_percent(
    pairs: list[tuple[float, float]],
):
    a, b = [one for one, _ in pairs], [one for _, one in pairs]
    p = paired_p_value(a, b)
    if abs(p - 0.05) > 1e-6:
        assert separated(a, b) == (p < 0.05)


def test_one_world_separates_nobody():
    assert not separated([1.0], [0.0])
    assert paired_p_value([1.0], [0.0]) == 1


def test_independent_draws_are_separated_about_one_time_in_twenty():
    draw = np.random.default_rng(1)
    a, b = draw.normal(size=(2, 4000, 5))
    rate = np.mean([separated(x.tolist(), y.tolist()) for x, y in zip(a, b, strict=True)])
    assert rate == pytest.approx(0.05, abs=0.012)


def test_holm_by_hand():
    # sorted: .01 <= .05/4, .015 <= .05/3, .03 > .05/2: it and all after it stay
    assert holm([0.03, 0.01, 0.04, 0.015]) == [False, True, False, True]


def test_holm_of_one_is_the_plain_test():
    assert holm([0.05]) == [True]
    assert holm([0.0501]) == [False]
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_at_least_what_bonferroni_does_and_at_most_what_each_test_does(
    p_values: list[float],
):
    rejected = holm(p_values)
    for p, one in zip(p_values, rejected, strict=True):
        assert p > 0.05 / len(p_values) or one
        assert p <= 0.05 or not one
