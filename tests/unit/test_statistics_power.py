"""Worlds that an effect needs, and effects that worlds find."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recarena.evaluation.statistics.power import (
    minimum_detectable_effect,
    power,
    spread_of,
    worlds_needed,
    worlds_needed_approximately,
)


@settings(deadline=None, max_examples=40)
@given(st.floats(0.001, 3), st.floats(0.05, 3), st.integers(2, 200))
def test_power_is_that_of_the_noncentral_t_distribution(effect: float, sd: float, worlds: int):
    shift, freedom = effect * math.sqrt(worlds) / sd, worlds - 1
    critical = stats.t.ppf(0.975, freedom)
    expected = stats.nct.sf(critical, freedom, shift) + stats.nct.cdf(-critical, freedom, shift)
    if math.isfinite(expected):  # scipy's is NaN here and there
        assert power(effect, sd, worlds) == pytest.approx(expected, abs=1e-7)
    assert power(-effect, sd, worlds) == power(effect, sd, worlds)


def test_worlds_needed_as_tables_have_them():
    # Cohen (1988), table 2.4.1 and any calculator: paired t test, d = 0.5, 80 %, two-sided 5 %.
    assert worlds_needed(0.5, 1) == 34
    assert worlds_needed(1, 1) == 10
    assert worlds_needed_approximately(0.5, 1) == pytest.approx(7.849 * 4 + 1.92, abs=0.01)


@settings(deadline=None, max_examples=40)
@given(st.floats(0.05, 3), st.floats(0.05, 2), st.sampled_from([0.5, 0.8, 0.95]))
def test_worlds_needed_are_the_fewest_that_have_the_power(effect: float, sd: float, target: float):
    worlds = worlds_needed(effect, sd, target)
    assert worlds is not None
    assert power(effect, sd, worlds) >= target
    assert worlds == 2 or power(effect, sd, worlds - 1) < target


@settings(deadline=None, max_examples=40)
@given(st.floats(0.01, 3), st.integers(2, 100))
def test_the_smallest_effect_is_found_with_just_the_power_that_was_asked(sd: float, worlds: int):
    effect = minimum_detectable_effect(sd, worlds)
    assert power(effect, sd, worlds) == pytest.approx(0.8, abs=1e-6)


def test_a_simulated_test_finds_the_effect_as_often_as_said():
    dice = np.random.default_rng(1)
    for effect, worlds in ((0.8, 10), (10, 2), (2, 3), (2, 19)):
        draws = dice.normal(effect, 1, size=(4000, worlds))
        found = stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05
        assert found.mean() == pytest.approx(power(effect, 1, worlds), abs=0.025)


def test_what_cannot_be_planned_is_said():
    with pytest.raises(ValueError, match="effect of 0"):
        worlds_needed(0, 1)
    assert worlds_needed(1e-9, 1) is None
    assert minimum_detectable_effect(1, 1) == math.inf
    assert minimum_detectable_effect(0, 5) == 0
    assert power(1, 1, 1) == 0
    assert power(1, 0, 2) == 1
    with pytest.raises(ValueError, match="standard deviation"):
        power(1, math.nan, 2)


def test_a_pilots_spread_has_an_upper_limit_that_holds_four_times_of_five():
    draws = np.random.default_rng(2).normal(0, 3, size=(4000, 5))
    held = np.mean([spread_of(draw).upper >= 3 for draw in draws])
    assert held == pytest.approx(0.8, abs=0.03)
    one = spread_of([1.0, 2.0, math.nan, 3.0])
    assert (one.sd, one.worlds) == (1, 3)
    # chi2_{2, 0.2} = -2 log 0.8
    assert one.upper == pytest.approx(math.sqrt(2 / (-2 * math.log(0.8))))
    assert math.isnan(spread_of([1.0]).sd)
