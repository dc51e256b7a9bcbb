"""Intervals hold the truth as often as they say: over worlds they do, over users they do not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from recarena.evaluation.statistics.bootstrap import bootstrap_interval, rank_intervals
from recarena.evaluation.statistics.bradley_terry import bradley_terry
from recarena.evaluation.statistics.worlds import world_interval
from support import figures
from support.thoroughness import thorough
from support.toy_pool import Pool

pytestmark = pytest.mark.timeout(300)  # the pool is played within the first test

TRIALS = thorough(4000, otherwise=1000)
FEWER = thorough(600, otherwise=80)


@pytest.mark.parametrize("worlds", [5, 10])
def test_a_world_level_interval_covers_and_a_user_level_one_does_not(pool: Pool, worlds: int):
    dice = np.random.default_rng(6)
    truth = pool.rates.mean()
    truth_of_users = pool.total.sum() / pool.users.sum()
    by_world = by_user = 0
    for _ in range(TRIALS):
        drawn = dice.integers(len(pool.rates), size=worlds)
        by_world += not world_interval(pool.rates[drawn]).excludes(truth)
        users = pool.users[drawn].sum()
        mean = pool.total[drawn].sum() / users
        variance = (pool.squares[drawn].sum() / users - mean**2) / (users - 1)
        by_user += abs(mean - truth_of_users) <= 1.96 * np.sqrt(variance)
    figures.report(
        "coverage of 95 % intervals, planted worlds with social influence", worlds=worlds,
        world_level=by_world / TRIALS, user_level=by_user / TRIALS, trials=TRIALS,
        pool=len(pool.rates),
    )  # fmt: skip
    assert 0.92 <= by_world / TRIALS <= 0.98
    assert by_user / TRIALS < 0.8


@pytest.mark.parametrize("worlds", [10, 30])
def test_bradley_terry_intervals_cover_the_strengths_that_made_the_worlds(worlds: int):
    # With Gumbel noise P(i better than j) is 1 / (1 + exp(s_j - s_i)), so strengths are known.
    strengths = np.array([-0.8, -0.4, 0.0, 0.4, 0.8])
    dice = np.random.default_rng(7)
    held = np.array([
        [one.interval.low <= s <= one.interval.high
         for one, s in zip(bradley_terry(draw), strengths, strict=True)]
        for draw in strengths[None, :, None] + dice.gumbel(size=(FEWER, len(strengths), worlds))
    ])  # fmt: skip
    figures.report(
        "coverage of 95 % Bradley-Terry intervals", worlds=worlds, coverage=round(held.mean(), 4),
        trials=FEWER, recommenders=len(strengths),
    )  # fmt: skip
    assert 0.92 <= held.mean() <= 0.99


@pytest.mark.parametrize("worlds", [5, 10, 30])
def test_rank_intervals_cover_ranks_that_are_apart(worlds: int):
    held, width = ranked(np.array([0.0, 0.4, 0.8, 1.2, 1.6]), worlds)
    figures.report(
        "coverage of 95 % rank intervals", worlds=worlds, coverage=round(held.mean(), 4),
        mean_width=round(width, 2), trials=FEWER, recommenders=5,
    )  # fmt: skip
    assert held.mean() >= 0.92
    assert width < 5  # it says something


def test_of_equals_hardly_ever_one_is_called_the_best_alone():
    intervals = [rank_intervals(draw, seed=1, resamples=2000)
                 for draw in np.random.default_rng(8).normal(size=(FEWER, 4, 10))]  # fmt: skip
    alone = [(one.low, one.high) == (1, 1) for four in intervals for one in four if one]
    assert len(alone) == 4 * FEWER
    figures.report("rank interval 1 to 1 of one among four equals", share=round(np.mean(alone), 4))
    assert np.mean(alone) <= 0.05


def ranked(means: NDArray[np.float64], worlds: int) -> tuple[NDArray[np.bool_], float]:
    """[trials, recommenders]: whether the interval holds the true rank; and the mean number of
    ranks in an interval."""
    dice = np.random.default_rng(8)
    truth = 1 + (means[None, :] > means[:, None]).sum(axis=1)
    held, widths = [], []
    for _ in range(FEWER):
        common = dice.normal(size=worlds)  # what worlds have in common pairing takes out
        values = means[:, None] + common + dice.normal(size=(len(means), worlds))
        intervals = [one for one in rank_intervals(values, seed=1, resamples=2000) if one]
        held.append([one.low <= rank <= one.high
                     for one, rank in zip(intervals, truth, strict=True)])  # fmt: skip
        widths.append(np.mean([one.high - one.low + 1 for one in intervals]))
    return np.array(held), float(np.mean(widths))


def test_a_percentile_bootstrap_is_given_from_thirty_worlds_on_where_it_covers():
    dice = np.random.default_rng(9)
    held = np.mean([
        not bootstrap_interval(draw, seed=1, resamples=1000).excludes(0)
        for draw in dice.normal(size=(TRIALS // 4, 30))
    ])  # fmt: skip
    figures.report("coverage of the percentile bootstrap", worlds=30, coverage=round(held, 4))
    assert held == pytest.approx(0.94, abs=0.04)
    assert np.isnan(bootstrap_interval(dice.normal(size=29), seed=1).low)
