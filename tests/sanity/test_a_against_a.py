"""A recommender against itself: exactly 0 with common seeds; with independent draws it is called
better or worse one time in twenty, whatever the number of recommenders."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from recarena.evaluation.leaderboard.board import build
from recarena.evaluation.metrics.users import watch_rate
from recarena.evaluation.statistics.multiplicity import holm
from recarena.evaluation.statistics.worlds import paired_difference, paired_p_value
from support import figures
from support.thoroughness import thorough
from support.toy_pool import Pool, play

pytestmark = pytest.mark.timeout(300)  # the pool is played within the first test

WORLDS = 5
COMPETITIONS = thorough(4000, otherwise=1000)
RECOMMENDERS = 4


def monte_carlo(rate: float, trials: int) -> float:
    """Standard error of a rate that was counted."""
    return float(np.sqrt(rate * (1 - rate) / trials))


def test_a_against_a_with_common_seeds_is_exactly_zero():
    worlds = (1, 2, 3)
    first, again = ([play(seed) for seed in worlds] for _ in range(2))
    one, other = ([watch_rate(log) for log in logs] for logs in (first, again))
    difference = paired_difference(one, other)
    assert (difference.mean, difference.low, difference.high) == (0, 0, 0)
    for log, copy in zip(first, again, strict=True):
        assert (log.events.item == copy.events.item).all()
        assert (log.events.user == copy.events.user).all()
    (row,) = build([*first, *again]).rows
    assert row.worlds == len(worlds)
    # Other dice for the same users and films, and it is 0 no more.
    other_dice = [watch_rate(play(seed, run_seed=seed + 100)) for seed in worlds]
    assert paired_difference(one, other_dice).mean != 0
    figures.report("A against A, common seeds", difference=difference.mean, worlds=len(worlds))


def test_a_against_a_with_independent_draws_is_separated_one_time_in_twenty(pool: Pool):
    dice = np.random.default_rng(1)
    wrong = 0
    for _ in range(COMPETITIONS):
        a, b = dice.choice(pool.rates, (2, WORLDS), replace=False)
        wrong += paired_p_value(a, b) <= 0.05
    rate, error = wrong / COMPETITIONS, monte_carlo(0.05, COMPETITIONS)
    figures.report(
        "A against A, independent draws: separated at 5 %", rate=round(rate, 4),
        monte_carlo_error=round(error, 4), competitions=COMPETITIONS, worlds=WORLDS,
        pool=len(pool.rates),
    )  # fmt: skip
    assert rate == pytest.approx(0.05, abs=3.5 * error)


def test_a_whole_leaderboard_of_equals_has_a_false_winner_at_most_one_time_in_twenty(pool: Pool):
    dice = np.random.default_rng(2)
    with_holm = without = 0
    for _ in range(COMPETITIONS):
        equals = dice.choice(pool.rates, (RECOMMENDERS, WORLDS), replace=False)
        p_values = [paired_p_value(a, b) for a, b in combinations(equals, 2)]
        with_holm += any(holm(p_values))
        without += min(p_values) <= 0.05
    rates = [count / COMPETITIONS for count in (with_holm, without)]
    error = monte_carlo(0.05, COMPETITIONS)
    figures.report(
        "A against A, whole leaderboard: any pair separated", with_holm=rates[0],
        without=rates[1], monte_carlo_error=round(error, 4), competitions=COMPETITIONS,
        recommenders=RECOMMENDERS, worlds=WORLDS,
    )  # fmt: skip
    assert rates[0] <= 0.05 + 3 * error
    assert rates[0] > 0  # Holm is not so strict that it never errs
    assert rates[1] > 0.10
