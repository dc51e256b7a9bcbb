"""What other worlds of the same kind might have said: resampling worlds, never users."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.statistics.worlds import NAN, Interval, check_confidence, t_quantile

Matrix = NDArray[np.float64]
RESAMPLES = 10_000
FEWEST_WORLDS = 30
"""Fewest worlds for a percentile interval of a mean."""


def bootstrap_interval(
    values: Sequence[float], seed: int, confidence: float = 0.95, resamples: int = RESAMPLES
) -> Interval:
    """Percentile bootstrap interval of a mean over worlds; from 30 worlds on.

    Worlds are drawn with replacement as often as there are, and the means' quantiles at
    (1 - confidence) / 2 on both sides taken. With fewer than 30 worlds it is too narrow (with 5, a
    95 % interval holds the truth about 84 % of the time): there is a mean and no interval, and
    `reason` says why. Worlds without a value are left out.

    Source: Efron and Tibshirani (1993), chapter 13; for small samples Hesterberg (2015).
    """
    check_confidence(confidence)
    kept = np.asarray(values, np.float64)
    kept = kept[np.isfinite(kept)]
    worlds = len(kept)
    mean = float(kept.mean()) if worlds else NAN
    if worlds < FEWEST_WORLDS:
        reason = f"a percentile bootstrap needs {FEWEST_WORLDS} worlds, there are {worlds}"
        return Interval(mean, NAN, NAN, worlds, confidence, reason)
    means = resampled_means(kept[None], seed, resamples)[:, 0]
    tail = (1 - confidence) / 2
    low, high = (float(one) for one in np.quantile(means, (tail, 1 - tail)))
    return Interval(mean, low, high, worlds, confidence)


@dataclass(frozen=True, slots=True)
class RankInterval:
    """Ranks that a recommender might have in other worlds; 1 is the best."""

    low: int
    high: int
    worlds: int
    """Worlds that it shares with another that is ranked."""
    confidence: float
    seed: int


def rank_intervals(
    values: Matrix, seed: int, confidence: float = 0.95, resamples: int = RESAMPLES
) -> list[RankInterval | None]:
    """For each recommender an interval of its rank by the mean over worlds, higher being better.

    values[i, w] is of recommender i in world w, NaN where it has none. The same worlds are drawn
    with replacement for all, and each time two recommenders are compared by their mean difference
    over the drawn worlds that both have (none drawn: over all that both have; none at all: not),
    so that one that lacks worlds takes none from the others. Where nobody lacks any it is the
    order of the means. Equals share the ranks that they take up. The low end is a
    quantile of the best of those ranks, the high end of the worst. Quantiles are taken at Phi(-q)
    and Phi(q), q = sqrt(W / (W - 1)) t_{W-1, (1+confidence)/2}, rather than at
    (1 - confidence) / 2, since few worlds vary less among themselves than new ones would
    (expanded percentiles). None for one that shares two worlds with nobody: it is not ranked, and
    takes no rank from the others.

    The intervals are each for itself, not for all recommenders together. Where two recommenders
    are truly equal, ranks are not a smooth function of the means, and coverage is not promised.

    Source: Goldstein and Spiegelhalter (1996) for intervals of ranks; Hesterberg (2015), What
    teachers should know about the bootstrap, for expanded percentiles.
    """
    check_confidence(confidence)
    there = np.isfinite(values)
    shared = there.astype(np.int64) @ there.T.astype(np.int64)
    others = ~np.eye(len(values), dtype=bool)
    often = np.where(others | (len(values) == 1), shared, 0) >= 2
    ranked = np.logical_or.reduce(often, axis=1)
    drawn = draws_of_worlds(values.shape[1], seed, resamples) if ranked.any() else values[:0]
    found: list[RankInterval | None] = []
    for i in range(len(values)):
        if not ranked[i]:
            found.append(None)
            continue
        rivals = values[ranked & others[i]]
        lead, both = np.nan_to_num(values[i] - rivals, nan=0.0), there[i] & np.isfinite(rivals)
        in_all = np.where(both.any(axis=1), lead.sum(axis=1), np.nan)
        leads = np.einsum("bw,rw->br", drawn, lead)
        if not both.all():
            leads = np.where(np.einsum("bw,rw->br", drawn, both.astype(float)) > 0, leads, in_all)
        best, worst = 1 + (leads < 0).sum(axis=1), 1 + (leads <= 0).sum(axis=1)
        met = there[i] & (there[ranked & others[i]].any(axis=0) | (len(values) == 1))
        worlds = int(met.sum())
        tail = expanded_tail(worlds, confidence)
        low = np.quantile(best, tail, method="inverted_cdf")
        high = np.quantile(worst, 1 - tail, method="inverted_cdf")
        found.append(RankInterval(int(low), int(high), worlds, confidence, seed))
    return found


def resampled_means(values: Matrix, seed: int, resamples: int) -> Matrix:
    """[resamples, rows]: means over worlds drawn with replacement, the same for all rows."""
    worlds = values.shape[1]
    drawn = draws_of_worlds(worlds, seed, resamples)
    return np.einsum("bw,rw->br", drawn, values) / worlds


def draws_of_worlds(worlds: int, seed: int, resamples: int) -> Matrix:
    """[resamples, worlds]: how often each world is drawn."""
    dice = np.random.default_rng((seed, worlds, resamples))
    return dice.multinomial(worlds, np.full(worlds, 1 / worlds), resamples).astype(np.float64)


def expanded_tail(worlds: int, confidence: float) -> float:
    """Phi(-sqrt(W / (W - 1)) t_{W-1, (1+confidence)/2}): the level of a bootstrap quantile whose
    interval is about as wide as that of Student's t."""
    from scipy.special import ndtr

    t = t_quantile(worlds - 1, (1 + confidence) / 2)
    return float(ndtr(-math.sqrt(worlds / (worlds - 1)) * t))
