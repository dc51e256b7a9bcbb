"""Looking after every world: the confidence sequence errs less than 5 % of the time at any look,
where 95 % t intervals err at some look many times as often."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from recarena.evaluation.statistics.stopping import StoppingRule, decide, running
from recarena.evaluation.statistics.worlds import t_quantile
from support import figures
from support.thoroughness import thorough
from support.toy_pool import Pool

pytestmark = pytest.mark.timeout(300)  # the pool is played within the first test

RULE = StoppingRule(intended_worlds=30, minimum_worlds=10)
LOOKS = 60
COMPETITIONS = thorough(4000, otherwise=1000)
LONG, MANY = 200, thorough(20_000, otherwise=4000)


def ever_wrong(differences: NDArray[np.float64], rule: StoppingRule) -> tuple[float, float]:
    """Shares of competitions of equals that are called decided at some look: by the sequence, and
    by t intervals."""
    means, half = running(differences, rule)
    t = np.arange(rule.minimum_worlds, differences.shape[1] + 1)
    critical = np.array([t_quantile(int(worlds) - 1, 0.975) for worlds in t])
    sd = np.stack([differences[:, :worlds].std(axis=1, ddof=1) for worlds in t], axis=1)
    naive = np.abs(means[:, t - 1]) > critical * sd / np.sqrt(t)
    return float((np.abs(means) > half).any(axis=1).mean()), float(naive.any(axis=1).mean())


def test_peeking_at_toy_competitions_stays_under_five_percent_with_the_sequence(pool: Pool):
    dice = np.random.default_rng(3)
    worlds = np.stack([
        dice.permutation(pool.rates)[: 2 * LOOKS].reshape(2, LOOKS) for _ in range(COMPETITIONS)
    ])  # fmt: skip
    differences = worlds[:, 0] - worlds[:, 1]
    sequence, naive = ever_wrong(differences, RULE)
    figures.report(
        "peeking after each of worlds 10 to 60, A against A", confidence_sequence=sequence,
        naive_t_intervals=naive, competitions=COMPETITIONS, intended=RULE.intended_worlds,
    )  # fmt: skip
    assert sequence < 0.05
    assert naive > 0.10
    # What is decided one by one is what the columns say.
    means, half = running(differences[:20], RULE)
    for one, mean, width in zip(differences[:20], means[:, -1], half[:, -1], strict=True):
        assert decide(one, RULE).may_stop == (abs(mean) > width)


def test_a_sequence_shared_among_many_pairs_stays_under_five_percent_over_all():
    dice = np.random.default_rng(4)
    rule = StoppingRule(intended_worlds=50, minimum_worlds=10, comparisons=6)
    values = dice.normal(size=(4, MANY // 4, LONG))
    wrong = np.zeros(MANY // 4, bool)
    alone = []
    for a in range(4):
        for b in range(a):
            means, half = running(values[a] - values[b], rule)
            wrong |= (np.abs(means) > half).any(axis=1)
            alone.append(ever_wrong(values[a] - values[b], StoppingRule(50))[0])
    figures.report(
        "peeking after each of worlds 10 to 200, normal draws", one_pair=round(np.mean(alone), 4),
        any_of_six_pairs=float(wrong.mean()), competitions=MANY // 4,
    )  # fmt: skip
    assert wrong.mean() < 0.05
    assert np.mean(alone) < 0.05


def test_a_sequence_finds_what_is_there_after_about_the_intended_worlds():
    dice = np.random.default_rng(5)
    differences = dice.normal(1, 1, size=(500, LONG))
    means, half = running(differences, RULE)
    stop = (np.abs(means) > half).argmax(axis=1) + 1
    figures.report("worlds until a difference of one sd stops it", median=int(np.median(stop)))
    assert RULE.minimum_worlds <= np.median(stop) <= RULE.intended_worlds
