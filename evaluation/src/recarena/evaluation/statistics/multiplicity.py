"""Several hypotheses at once: which of them may be called separated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float], alpha: float = 0.05) -> list[bool]:
    """Which of several hypotheses are rejected so that the chance of any false rejection is at
    most alpha, whatever their dependence.

    The k-th smallest of m p-values (k from 0) is rejected while it is at most alpha / (m - k);
    after the first that is not, none is. NaN is never rejected and counts among the m.

    Source: Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    rejected = [False] * len(p_values)
    for k, at in enumerate(_ascending(p_values)):
        if not p_values[at] <= alpha / (len(p_values) - k):
            break
        rejected[at] = True
    return rejected


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: each is at most alpha exactly where `holm` rejects at alpha.

    Of the k-th smallest p-value (k from 0): the largest of (m - j) p_(j) for j up to k, at most 1.
    NaN becomes 1.
    """
    adjusted, highest = [1.0] * len(p_values), 0.0
    for k, at in enumerate(_ascending(p_values)):
        if not np.isnan(p_values[at]):
            highest = max(highest, (len(p_values) - k) * p_values[at])
            adjusted[at] = min(1.0, highest)
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that control the false discovery rate: those at most q are, on average,
    false to a share of q at most. For what is explored, not for what is claimed.

    Of the k-th smallest of m p-values (k from 1): the smallest of m p_(j) / j for j from k on, at
    most 1. Holds for independent and for positively dependent p-values. NaN becomes 1.

    Source: Benjamini and Hochberg (1995); adjusted values after Yekutieli and Benjamini (1999).
    """
    adjusted, lowest, total = [1.0] * len(p_values), 1.0, len(p_values)
    for k, at in reversed(list(enumerate(_ascending(p_values), start=1))):
        if not np.isnan(p_values[at]):
            lowest = min(lowest, total * p_values[at] / k)
            adjusted[at] = lowest
    return adjusted


def _ascending(p_values: Sequence[float]) -> list[int]:
    """Places in ascending order, NaN at the end; equal ones as they come."""
    return np.argsort(np.asarray(p_values, np.float64), kind="stable").tolist()
