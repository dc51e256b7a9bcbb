"""Many comparisons, ranks, strengths, early stops and halves of one world: by hand."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recarena.evaluation.statistics.bootstrap import (
    bootstrap_interval,
    draws_of_worlds,
    rank_intervals,
)
from recarena.evaluation.statistics.bradley_terry import bradley_terry
from recarena.evaluation.statistics.cuped import UNIT, Arm, cuped, cuped_over_worlds
from recarena.evaluation.statistics.multiplicity import benjamini_hochberg, holm, holm_adjusted
from recarena.evaluation.statistics.stopping import (
    StoppingRule,
    boundary,
    confidence_sequence,
    decide,
)

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=9)


@settings(deadline=None)
@given(p_values, st.sampled_from([0.01, 0.05, 0.2]))
def test_adjusted_p_values_of_holm_say_what_holm_rejects(given_p: list[float], alpha: float):
    adjusted = holm_adjusted(given_p)
    if min(abs(one - alpha) for one in adjusted) > 1e-9:
        assert [one <= alpha for one in adjusted] == holm(given_p, alpha)


def test_adjusted_p_values_of_holm_by_hand():
    # 4 x .01; 3 x .015 and not less than that; 2 x .03; 1 x .04 and not less than .06
    assert holm_adjusted([0.03, 0.01, 0.04, 0.015]) == pytest.approx([0.06, 0.04, 0.06, 0.045])
    assert holm_adjusted([0.02, 0.019]) == pytest.approx([0.038, 0.038])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1).map(lambda p: p**3), min_size=1, max_size=6))
def test_holm_is_the_closed_test_by_bonferroni(given_p: list[float]):
    # Marcus, Peritz and Gabriel (1976): a hypothesis falls where every set with it in it does.
    m = range(len(given_p))
    sets = [one for size in m for one in combinations(m, size + 1)]
    expected = [
        max(min(1.0, len(one) * min(given_p[j] for j in one)) for one in sets if i in one)
        for i in m
    ]
    assert holm_adjusted(given_p) == pytest.approx(expected)


@settings(deadline=None)
@given(p_values)
def test_benjamini_and_hochberg_as_scipy_has_it(given_p: list[float]):
    assert benjamini_hochberg(given_p) == pytest.approx(stats.false_discovery_control(given_p))


def test_what_has_no_p_value_is_never_separated():
    assert holm([math.nan, 0.02]) == [False, True]
    assert holm_adjusted([math.nan, 0.02]) == [1, 0.04]
    assert benjamini_hochberg([math.nan, 0.02]) == [1, 0.04]
    assert benjamini_hochberg([]) == holm_adjusted([]) == []


# ------------------------------------------------------------------ resampling


def test_rank_intervals_follow_from_the_seed_and_know_no_order():
    values = np.random.default_rng(1).normal(size=(4, 6))
    once = rank_intervals(values, seed=3)
    assert once == rank_intervals(values, seed=3)
    assert once == rank_intervals(values[::-1], seed=3)[::-1]


def test_ranks_that_never_change_are_certain_and_equals_share_theirs():
    steady = np.array([[3.0, 3.1, 3.2], [2.0, 2.1, 2.2], [2.0, 2.1, 2.2], [1.0, 1.1, 1.2]])
    assert spans(steady) == [(1, 1), (2, 3), (2, 3), (4, 4)]


def spans(values: np.ndarray) -> list[tuple[int, int] | None]:
    ranks = rank_intervals(values, seed=1, resamples=200)
    return [one and (one.low, one.high) for one in ranks]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(2, 12))
def test_ranks_are_quantiles_of_the_order_of_resampled_means(seed: int, rows: int, worlds: int):
    values = np.random.default_rng(seed).normal(size=(rows, worlds))
    drawn = draws_of_worlds(worlds, 1, 200)
    means = drawn @ values.T / worlds
    order = stats.rankdata(-means, axis=1)
    tail = stats.norm.cdf(-math.sqrt(worlds / (worlds - 1)) * stats.t.ppf(0.975, worlds - 1))
    expected = np.quantile(order, [tail, 1 - tail], axis=0, method="inverted_cdf")
    assert spans(values) == [tuple(one) for one in expected.T.astype(int).tolist()]


def test_a_world_that_one_of_them_lacks_counts_for_the_others():
    values = np.array([[1.0, 2.0, math.nan], [0.0, 1.0, 9.0]])
    assert spans(values) == [(1, 1), (2, 2)]
    assert spans(values[:, 1:]) == [None, None]
    (one,) = rank_intervals(values[:1], seed=1, resamples=200)
    assert one is not None
    assert (one.low, one.high, one.worlds) == (1, 1, 2)


@pytest.mark.parametrize("finished", [0, 1, 2, 11])
def test_who_fails_in_worlds_takes_neither_rank_nor_strength_from_the_others(finished: int):
    apart = np.array([[2.0], [1.0], [0.0]]) + np.random.default_rng(1).normal(0, 0.1, (3, 12))
    apart[2, finished:] = math.nan
    good, fair, failing = rank_intervals(apart, seed=1, resamples=200)
    assert good is not None
    assert fair is not None
    assert (good.low, good.high, fair.low, good.worlds) == (1, 1, 2, 12)
    assert (failing is None) == (finished < 2)
    strengths = [one.interval.mean for one in bradley_terry(apart)]
    assert strengths[0] > strengths[1]
    assert math.isnan(strengths[2]) == (finished == 0)
    if not finished:
        alone = [one.interval for one in bradley_terry(apart[:2])]
        assert [one.interval for one in bradley_terry(apart)[:2]] == alone


def test_a_bootstrap_interval_of_few_worlds_is_refused_with_the_reason():
    few = bootstrap_interval([1.0, 2.0, math.nan], seed=1)
    assert (few.mean, few.worlds) == (1.5, 2)
    assert math.isnan(few.low)
    assert few.reason == "a percentile bootstrap needs 30 worlds, there are 2"
    many = bootstrap_interval(np.random.default_rng(1).normal(size=40).tolist(), seed=1)
    assert many.low < many.mean < many.high


# ------------------------------------------------------------------ Bradley-Terry


def test_the_strength_of_two_by_hand():
    # 3 wins, 1 tie, 1 loss, and half a win each for nothing: log odds log(4 / 2), mean 0
    a, b = bradley_terry(np.array([[2.0, 2, 2, 1, 0], [1.0, 1, 1, 1, 1]]))
    assert a.interval.mean == pytest.approx(math.log(4 / 2) / 2)
    assert a.interval.mean == pytest.approx(-b.interval.mean)
    assert (a.wins, b.wins, a.comparisons) == (3.5, 1.5, 5)
    assert a.interval.low < 0 < a.interval.high


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(4)), st.permutations(range(6)))
def test_strengths_know_neither_the_order_of_worlds_nor_of_recommenders(
    rows: list[int], worlds: list[int]
):
    values = np.random.default_rng(5).integers(0, 3, size=(4, 6)).astype(float)
    plain = [one.interval.mean for one in bradley_terry(values)]
    turned = [one.interval.mean for one in bradley_terry(values[rows][:, worlds])]
    assert turned == pytest.approx([plain[row] for row in rows], abs=1e-8)


def test_strengths_solve_the_equations_of_bradley_and_terry():
    values = np.random.default_rng(6).normal(size=(5, 8)) + np.arange(5)[:, None] / 3
    found = bradley_terry(values)
    s = np.array([one.interval.mean for one in found])
    chance = 1 / (1 + np.exp(s[None, :] - s[:, None]))
    # wins, with the half of a tie that nobody played against each other = expected wins
    expected = [9 * (chance[row].sum() - 0.5) for row in range(5)]
    assert [one.wins + 0.5 * 4 for one in found] == pytest.approx(expected, abs=1e-6)
    assert s.sum() == pytest.approx(0, abs=1e-9)


def test_one_that_always_wins_has_a_finite_strength_and_an_interval():
    best, worst = bradley_terry(np.array([[1.0] * 6, [0.0] * 6]))
    assert best.interval.mean == pytest.approx(math.log(6.5 / 0.5) / 2)
    assert worst.interval.low < worst.interval.mean < 0 < best.interval.high


def test_strengths_without_a_chain_of_common_worlds_are_not_compared():
    nan = math.nan
    found = bradley_terry(np.array([[1.0, nan], [0.0, nan], [nan, 1.0], [nan, 0.0]]))
    assert all(math.isnan(one.interval.mean) for one in found)
    assert "no chain of common worlds" in found[0].interval.reason
    joined = bradley_terry(np.array([[1.0, nan], [0.0, 1.0], [nan, 0.0]]))
    first, middle, last = (one.interval.mean for one in joined)
    assert (first, middle) == pytest.approx((-last, 0))
    assert first > 0.5
    (alone,) = bradley_terry(np.array([[1.0, 2.0]]))
    assert alone.interval.mean == 0
    assert math.isnan(bradley_terry(np.array([[1.0], [0.0]]))[0].interval.low)


# ------------------------------------------------------------------ early stop


def test_the_sequence_of_many_worlds_is_that_of_its_source():
    rule = StoppingRule(intended_worlds=5000)
    t, rho = 5000, rule.rho
    root = math.sqrt(2 * (t * rho**2 + 1) / (t**2 * rho**2)
                     * math.log(math.sqrt(t * rho**2 + 1) / 0.05))  # fmt: skip
    assert boundary(np.array([t]), rule)[0] == pytest.approx(root, rel=2e-3)
    widths = boundary(np.arange(1000, 20000), rule) * np.sqrt(np.arange(1000, 20000))
    assert 1000 + widths.argmin() == pytest.approx(5000, rel=0.02)


def test_a_sequence_has_no_interval_before_its_first_look():
    rule = StoppingRule(20, minimum_worlds=4)
    sequence = confidence_sequence([1.0, 1.1, 0.9, 1.0, 1.05], rule)
    assert [math.isnan(one.low) for one in sequence] == [True, True, True, False, False]
    assert sequence[0].reason == "1 of at least 4 worlds"
    assert sequence[3].mean == 1
    sd = np.std([1.0, 1.1, 0.9, 1.0], ddof=1)
    assert sequence[3].half_width == pytest.approx(sd * boundary(np.array([4]), rule)[0])
    assert confidence_sequence([], rule) == []


def test_it_may_stop_where_decided_or_where_it_cannot_matter_and_says_why():
    rule = StoppingRule(20, minimum_worlds=5)
    noise = np.random.default_rng(1).normal(0, 0.01, 20)
    assert decide([], rule).reason == "no world yet"
    assert not decide((1 + noise)[:4], rule).may_stop
    assert decide((1 + noise)[:5], rule).reason == "separated after 5 worlds"
    assert not decide(noise, rule).may_stop
    no_matter = decide(noise, rule, minimum_effect=0.1)
    assert no_matter.may_stop
    assert no_matter.reason == "no difference of 0.1 or more, after 20 worlds"
    assert not decide(np.zeros(20), rule).may_stop
    # The mean is within, its interval is not.
    assert abs(noise.mean()) < 0.005
    assert not decide(noise, rule, minimum_effect=0.005).may_stop


def test_more_comparisons_make_a_sequence_wider():
    t = np.array([10, 30])
    assert (boundary(t, StoppingRule(30, comparisons=10)) > boundary(t, StoppingRule(30))).all()


def test_a_stopping_rule_that_makes_no_sense_is_refused():
    for wrong in ({"minimum_worlds": 1}, {"comparisons": 0}, {"confidence": 95}):
        with pytest.raises(ValueError, match=r"minimum_worlds|comparisons|between 0 and 1"):
            StoppingRule(30, **wrong)
    with pytest.raises(ValueError, match="every world"):
        confidence_sequence([1.0, math.nan], StoppingRule(30))


# ------------------------------------------------------------------ CUPED


def arms(correlation: float, users: int = 400) -> tuple[Arm, Arm]:
    dice = np.random.default_rng(3)
    made = []
    for effect in (0.5, 0.0):
        before = dice.normal(size=users)
        own = dice.normal(size=users)
        outcome = effect + correlation * before + math.sqrt(1 - correlation**2) * own
        made.append(Arm(outcome, before))
    return made[0], made[1]


def test_what_was_before_takes_out_its_share_of_the_variance():
    found = cuped(*arms(0.8))
    assert found.variance_reduction == pytest.approx(0.64, abs=0.05)
    assert found.adjusted.half_width < 0.7 * found.plain.half_width
    assert found.adjusted.low < 0.5 < found.adjusted.high
    assert found.users == (400, 400)


def test_the_slope_is_that_within_arms_however_far_they_are_apart_before():
    # Y = 2 X in one arm, Y = 2 X + 5 in the other, whose users were at 10 and more before.
    low, high = np.array([0.0, 1.0, 2.0, 3.0]), np.array([10.0, 11.0, 14.0])
    found = cuped(Arm(2 * high + 5, high), Arm(2 * low, low))
    assert found.theta == pytest.approx(2)
    assert found.adjusted.mean == pytest.approx(5)
    assert found.adjusted.half_width == pytest.approx(0, abs=1e-12)
    assert found.plain.mean == pytest.approx(2 * (35 / 3 - 1.5) + 5)


def test_a_covariate_that_says_nothing_changes_nothing():
    a, b = (Arm(one.outcome, np.ones(400)) for one in arms(0.0))
    found = cuped(a, b)
    assert (found.theta, found.variance_reduction) == (0, 0)
    assert found.adjusted == found.plain
    expected = stats.ttest_ind(a.outcome, b.outcome, equal_var=False).confidence_interval()
    assert (found.plain.low, found.plain.high) == pytest.approx((expected.low, expected.high))


def test_users_of_one_world_are_never_passed_off_as_independent():
    found = cuped(*arms(0.5))
    assert found.plain.reason == found.adjusted.reason == UNIT
    assert found.adjusted.worlds == 1
    over = cuped_over_worlds([arms(0.5), arms(0.2)])
    assert (over.worlds, over.reason) == (2, "")


def test_users_without_a_value_are_left_out_and_too_few_are_refused():
    outcome = np.array([1.0, 2.0, math.nan])
    arm = Arm(outcome, np.zeros(3))
    assert cuped(arm, arm).users == (2, 2)
    with pytest.raises(ValueError, match="two users"):
        cuped(arm, Arm(outcome[1:], np.zeros(2)))
    with pytest.raises(ValueError, match="earlier value"):
        Arm(outcome, np.zeros(2))
