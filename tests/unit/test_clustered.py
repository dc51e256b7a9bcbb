from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.evaluation.statistics.clustered import (
    bootstrap_over_clusters,
    cluster_means,
    clustered_difference,
    clustered_mean,
    clustered_ratio,
    difference_of_methods,
    difference_of_ratios,
)
from recarena.evaluation.statistics.equivalence import equivalence
from recarena.evaluation.statistics.worlds import world_interval

NAN = float("nan")
ROWS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from([0.0, 1.0, 2.5, NAN])), max_size=20
)


def test_each_user_counts_once_however_often_it_was_asked():
    values, users = [1, 1, 1, 0, NAN, 4], ["ann", "ann", "ann", "bob", "bob", "cy"]
    assert cluster_means(values, users).tolist() == [1, 0, 4]
    found = clustered_mean(values, users)
    expected = world_interval([1, 0, 4])
    assert (found.value, found.low, found.high) == (expected.mean, expected.low, expected.high)
    assert (found.clusters, found.rows) == (3, 5)


@given(ROWS)
def test_a_mean_over_users_is_that_of_the_users_means(rows):
    users = [user for user, _ in rows]
    found = clustered_mean([value for _, value in rows], users)
    means = []
    for user in dict.fromkeys(users):
        given_ = [value for name, value in rows if name == user and not math.isnan(value)]
        means += [sum(given_) / len(given_)] if given_ else []
    expected = world_interval(means)
    assert found.clusters == len(means)
    assert found.value == pytest.approx(expected.mean, nan_ok=True)
    assert found.low == pytest.approx(expected.low, nan_ok=True, abs=1e-12)
    assert bool(found.reason) is (len(means) < 2)


def test_one_user_has_a_mean_and_no_interval():
    found = clustered_mean([1, 0], ["ann", "ann"])
    assert found.value == 0.5
    assert math.isnan(found.low)
    assert not found.excludes(100)


def test_every_row_needs_its_user():
    with pytest.raises(ValueError, match="2 values, 1 clusters"):
        clustered_mean([1, 2], ["ann"])


def test_a_difference_is_taken_where_both_are_there():
    found = clustered_difference([1, 1, NAN, 0], [0, NAN, 0, 0], ["ann", "ann", "bob", "cy"])
    assert found.value == 0.5
    assert (found.clusters, found.rows) == (2, 2)


def test_two_methods_are_compared_by_the_users_who_have_met_both():
    found = difference_of_methods(
        [3, 1, 5, 9], ["ann", "ann", "bob", "cy"], [1, 1, 7, NAN], ["bob", "ann", "dee", "cy"]
    )
    expected = world_interval([2 - 1, 5 - 1])
    assert (found.value, found.low, found.high) == (expected.mean, expected.low, expected.high)
    assert (found.clusters, found.rows) == (2, 5)
    none = difference_of_methods([1], ["ann"], [1], ["bob"])
    assert math.isnan(none.value)
    assert none.reason


# -------------------------------------------------------------------- ratios


def test_a_share_is_of_all_rows_together_and_its_interval_by_hand():
    part, whole = [1, 0, 1, 0, 0], [1, 1, 1, 0, 1]
    users = ["ann", "ann", "bob", "bob", "cy"]
    found = clustered_ratio(part, whole, users)
    # P = 1, 1, 0 and W = 2, 1, 1; r = 1/2; P - r W = 0, 1/2, -1/2
    half = 4.302652729911275 * math.sqrt(3 / 2 * 0.5) / 4
    assert found.value == 0.5
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert (found.clusters, found.rows) == (3, 4)


def test_a_share_of_nothing_is_not_defined():
    found = clustered_ratio([0, 0], [0, 0], ["ann", "bob"])
    assert math.isnan(found.value)
    assert found.reason


def test_users_with_nothing_to_divide_are_left_out_of_a_share():
    few = clustered_ratio([1, 0], [1, 1], ["ann", "bob"])
    more = clustered_ratio([1, 0, 0, NAN], [1, 1, 0, 1], ["ann", "bob", "cy", "dee"])
    assert few == more


def test_what_a_user_does_to_both_shares_is_no_noise_of_their_difference():
    users = ["ann", "bob", "cy", "dee"]
    one = ([1, 0, 1, 0], [1, 1, 1, 1])
    found = difference_of_ratios(one, one, users)
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert clustered_ratio(*one, users).high > 0.6
    other = ([0, 0, 0, 0], [1, 1, 0, 1])
    apart = difference_of_ratios(one, other, users)
    assert apart.value == 0.5
    assert apart.low == pytest.approx(clustered_ratio(*one, users).low)


def test_the_interval_of_a_share_holds_the_truth_about_as_often_as_it_says():
    dice = np.random.default_rng(4)
    users = np.repeat(np.arange(40), 5)
    held = 0
    for _ in range(600):
        taste = dice.normal(size=40) * 0.15
        whole = (dice.random(200) < 0.6).astype(float)
        part = whole * (dice.random(200) < 0.4 + taste[users])
        found = clustered_ratio(part, whole, users)
        held += found.low <= 0.4 <= found.high
    assert 0.92 <= held / 600 <= 0.98


# ----------------------------------------------------------------- bootstrap


def test_the_bootstrap_draws_users_with_all_of_their_rows():
    values = np.repeat(np.arange(12.0), 3)
    users = [f"u{one}" for one in np.repeat(np.arange(12), 3)]
    seen = []

    def mean(rows):
        counts = np.bincount(rows // 3, minlength=12)
        assert np.array_equal(np.bincount(rows, minlength=36), np.repeat(counts, 3) // 3)
        seen.append(len(rows))
        return float(values[rows].mean())

    found = bootstrap_over_clusters(mean, users, seed=5)
    assert set(seen) == {36}
    assert found == bootstrap_over_clusters(mean, users, seed=5)
    assert found != bootstrap_over_clusters(mean, users, seed=6)
    t = clustered_mean(values, users)
    assert (found.low, found.high) == pytest.approx((t.low, t.high), abs=0.25)


def test_few_users_and_undefined_statistics_have_no_bootstrap_interval():
    few = bootstrap_over_clusters(lambda rows: float(len(rows)), list("abc"), 1)
    assert few.value == 3
    assert math.isnan(few.low)
    assert "10" in few.reason
    letters = "abcdefghijklmnop"
    nowhere = bootstrap_over_clusters(lambda _: NAN, letters, 1)
    assert math.isnan(nowhere.value)
    often = bootstrap_over_clusters(
        lambda rows: 1.0 if len(set(rows.tolist())) == 16 or 3 not in rows else NAN, letters, 1
    )
    assert math.isnan(often.low)
    assert "resamples" in often.reason


# --------------------------------------------------------------- equivalence


def test_a_small_mean_with_little_spread_is_equivalent_and_one_of_size_is_not():
    users = list("abcdefgh")
    small = [0.01, -0.01, 0.02, -0.02, 0.0, 0.01, -0.01, 0.0]
    found = equivalence(small, users, 0.05)
    assert found.equivalent
    assert found.p_value < 0.001
    assert not equivalence([one + 0.05 for one in small], users, 0.05).equivalent
    assert not equivalence([one - 0.05 for one in small], users, 0.05).equivalent
    assert not equivalence([10 * one for one in small], users, 0.05).equivalent


@given(st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=15))
def test_both_tests_reject_exactly_where_the_interval_lies_inside(values):
    found = equivalence(values, list(range(len(values))), 0.05)
    assert found.low <= found.mean <= found.high
    if abs(found.p_value - 0.05) > 1e-6 and found.high - found.low > 1e-9:
        assert found.equivalent is (found.p_value < 0.05)


def test_exact_zeros_are_equivalent_and_no_user_shows_nothing():
    zeros = equivalence([0, 0, 0], list("abc"), 0.05)
    assert zeros.equivalent
    assert zeros.p_value == 0
    assert not equivalence([0.05] * 3, list("abc"), 0.05).equivalent
    for values, users in (([], []), ([0.0, 0.0], ["ann", "ann"])):
        found = equivalence(values, users, 0.05)
        assert not found.equivalent
        assert found.reason
        assert math.isnan(found.p_value)


def test_asking_three_times_makes_no_more_users():
    values, users = [0.01, -0.02, 0.03, 0.0], list("abcd")
    once = equivalence(values, users, 0.05)
    thrice = equivalence(values * 3, users * 3, 0.05)
    assert thrice.p_value == pytest.approx(once.p_value)


@pytest.mark.parametrize("edge", [-0.05, 0.05])
def test_what_is_at_the_margin_is_called_equivalent_once_in_twenty_at_most(edge):
    dice = np.random.default_rng(7)
    users = np.repeat(np.arange(20), 3)
    called = 0
    for _ in range(1000):
        own = dice.normal(edge, 0.05, 20)
        called += equivalence(own[users] + dice.normal(0, 0.02, 60), users, 0.05).equivalent
    assert 0.03 <= called / 1000 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 1000)


@pytest.mark.parametrize(("margin", "alpha"), [(0, 0.05), (NAN, 0.05), (0.05, 0), (0.05, 0.5)])
def test_margins_and_levels_make_sense(margin, alpha):
    with pytest.raises(ValueError, match=r"margin|alpha"):
        equivalence([0, 1], ["a", "b"], margin, alpha)
