"""Whether two measures put recommenders into the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kendall's tau-b between two orders, in -1..1."""

    tau: float
    p_value: float
    """Of no association (exact without ties and with few recommenders)."""
    low: float
    """95 % interval by resampling what each measure is a mean over; NaN where one of them has
    fewer than two."""
    high: float


def agreement(a: Sequence[Matrix], b: Sequence[Matrix], seed: int = 0) -> Agreement:
    """How far the means of `a` and of `b` order the same recommenders alike.

    a[i] and b[i] hold the values of recommender i: [users] of an offline measure, [worlds] of a
    simulated one, the same users (worlds) for all recommenders. The interval: 2,000 times as many
    users and worlds are drawn with replacement, the same for all recommenders, and tau is taken of
    the means (percentile bootstrap). It says how sure the two orders are, not how other
    recommenders would fare. ValueError for fewer than two recommenders.

    Source: Kendall (1945) for tau-b; Efron and Tibshirani (1993) for the interval.
    """
    from scipy.stats import kendalltau

    if len(a) != len(b) or len(a) < 2:
        raise ValueError("two recommenders at least, in both measures")
    first, second = np.array(a, np.float64), np.array(b, np.float64)
    whole = kendalltau(first.mean(axis=1), second.mean(axis=1))
    low = high = float("nan")
    if min(first.shape[1], second.shape[1]) > 1:
        dice = np.random.default_rng(seed)
        drawn = tau_b(_resampled(first, dice), _resampled(second, dice))
        if len(drawn := drawn[np.isfinite(drawn)]):
            low, high = (float(one) for one in np.quantile(drawn, (0.025, 0.975)))
    return Agreement(float(whole.statistic), float(whole.pvalue), low, high)


def _resampled(values: Matrix, dice: np.random.Generator) -> Matrix:
    """[resamples, recommenders]: means over columns drawn with replacement."""
    columns = values.shape[1]
    weights = dice.multinomial(columns, np.full(columns, 1 / columns), RESAMPLES) / columns
    return weights @ values.T


def tau_b(a: Matrix, b: Matrix) -> Matrix:
    """[rows]: Kendall's tau-b of each row of a with the same row of b; NaN where a row is all
    ties. (concordant - discordant) / sqrt(untied in a * untied in b), over pairs."""
    i, j = np.triu_indices(a.shape[1], 1)
    of_a, of_b = np.sign(a[:, i] - a[:, j]), np.sign(b[:, i] - b[:, j])
    untied = np.abs(of_a).sum(axis=1) * np.abs(of_b).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return (of_a * of_b).sum(axis=1) / np.sqrt(untied)
