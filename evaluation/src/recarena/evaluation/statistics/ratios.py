"""The ratio of two means over the same worlds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from recarena.evaluation.statistics.worlds import (
    NAN,
    Interval,
    check_confidence,
    t_quantile,
)


def ratio_of_means(
    part: Sequence[float], whole: Sequence[float], confidence: float = 0.95
) -> Interval:
    """mean(part) / mean(whole) over worlds, with its interval; values at the same place are of the
    same world.

    The interval holds every r for which mean(part - r whole) is not separated from 0 by the paired
    t test. It is bounded only where the mean of the whole is separated from 0; elsewhere `reason`
    says that it is not. ValueError where the numbers of worlds differ.

    Source: Fieller (1954), Some problems in interval estimation.
    """
    check_confidence(confidence)
    if len(part) != len(whole):
        raise ValueError(f"pairs of worlds are compared: {len(part)} values against {len(whole)}")
    y, x = (np.asarray(one, np.float64) for one in (part, whole))
    there = np.isfinite(x) & np.isfinite(y)
    y, x = y[there], x[there]
    worlds = len(x)
    if not worlds or not x.mean():
        return Interval(NAN, NAN, NAN, worlds, confidence, "there is nothing to divide by")
    ratio = float(y.mean() / x.mean())
    if worlds == 1:
        return Interval(ratio, NAN, NAN, 1, confidence, "one world has no interval")
    t_squared = t_quantile(worlds - 1, (1 + confidence) / 2) ** 2 / worlds
    (var_y, cov), (_, var_x) = np.cov(y, x)
    # a r^2 - 2 b r + c <= 0
    a = float(x.mean() ** 2 - t_squared * var_x)
    b = float(x.mean() * y.mean() - t_squared * cov)
    c = float(y.mean() ** 2 - t_squared * var_y)
    if a <= 0:
        reason = "the whole is not separated from 0, so that the ratio has no bounds"
        return Interval(ratio, NAN, NAN, worlds, confidence, reason)
    root = math.sqrt(max(b * b - a * c, 0.0))
    return Interval(ratio, (b - root) / a, (b + root) / a, worlds, confidence)
