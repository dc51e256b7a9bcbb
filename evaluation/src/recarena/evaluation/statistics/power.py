"""How many worlds an effect needs, and what so many worlds can show: the paired t test's power."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.statistics.worlds import t_quantile

POWER = 0.8
ALPHA = 0.05
NODES = 100
"""Of each panel of an integral."""
MOST_WORLDS = 1_000_000
"""Where the search for a number of worlds gives up."""


def power(effect: float, sd: float, worlds: int, alpha: float = ALPHA) -> float:
    """Chance that the two-sided paired t test over W worlds finds an effect that is there, 0..1.

    P(|T'| > t_{W-1, 1-alpha/2}), T' noncentral t with W - 1 degrees of freedom and noncentrality
    |effect| sqrt(W) / sd, where sd is the standard deviation over worlds of the *paired
    difference*, in the metric's unit like the effect. 0 with fewer than two worlds. ValueError for
    a negative sd, or an alpha outside 0..1.

    Source: Cohen (1988), chapter 2; Johnson, Kotz and Balakrishnan (1995), chapter 31.
    """
    _check(sd, alpha)
    if worlds < 2:
        return 0.0
    if sd == 0:
        return 1.0 if effect else alpha
    shift = abs(effect) * math.sqrt(worlds) / sd
    return _beyond(t_quantile(worlds - 1, 1 - alpha / 2), worlds - 1, shift)


def worlds_needed(
    effect: float, sd: float, target: float = POWER, alpha: float = ALPHA
) -> int | None:
    """The fewest worlds with which `power` is at least the target; 2 at least.

    None where a million do not suffice. ValueError for an effect of 0.
    """
    _check(sd, alpha)
    _check_target(target)
    if not effect:
        raise ValueError("no number of worlds finds an effect of 0")
    low, high = 1, 2
    while power(effect, sd, high, alpha) < target:
        if high >= MOST_WORLDS:
            return None
        low, high = high, min(2 * high, MOST_WORLDS)
    while high - low > 1:
        middle = (low + high) // 2
        if power(effect, sd, middle, alpha) < target:
            low = middle
        else:
            high = middle
    return high


def worlds_needed_approximately(
    effect: float, sd: float, target: float = POWER, alpha: float = ALPHA
) -> float:
    """(z_{1-alpha/2} + z_target)^2 (sd / effect)^2 + z_{1-alpha/2}^2 / 2, to check by hand.

    For 80 % power at 5 %: 7.85 (sd / effect)^2 + 2. Source: Guenther (1981).
    """
    from scipy.special import ndtri

    _check(sd, alpha)
    _check_target(target)
    of_alpha, of_target = float(ndtri(1 - alpha / 2)), float(ndtri(target))
    return (of_alpha + of_target) ** 2 * (sd / effect) ** 2 + of_alpha**2 / 2


def minimum_detectable_effect(
    sd: float, worlds: int, target: float = POWER, alpha: float = ALPHA
) -> float:
    """The smallest effect that W worlds find with that power; infinite with fewer than two, and 0
    where differences do not vary.

    In the unit of sd, to a relative 1e-9; the inverse of `power`, by bisection.
    """
    _check(sd, alpha)
    _check_target(target)
    if worlds < 2:
        return math.inf
    if sd == 0:
        return 0.0
    low, high = 0.0, sd
    while power(high, sd, worlds, alpha) < target:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if power(middle, sd, worlds, alpha) < target:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True, slots=True)
class Spread:
    """A standard deviation over worlds, as a pilot has measured it."""

    sd: float
    """Sample standard deviation (W - 1); NaN with fewer than two worlds."""
    upper: float
    """Upper limit of a one-sided interval for it: what a plan had better reckon with."""
    worlds: int
    """Worlds that it was measured in."""


def spread_of(differences: Sequence[float], confidence: float = 0.8) -> Spread:
    """Standard deviation of paired differences over worlds, and its upper confidence limit
    sd sqrt((W - 1) / chi2_{W-1, 1-confidence}); worlds without a value are left out.

    A pilot of few worlds underestimates the spread half of the time; planning with an upper 80 %
    limit keeps the promised power four times of five.

    Source: Browne (1995), On the use of a pilot sample for sample size determination.
    """
    values = np.asarray(differences, np.float64)
    values = values[np.isfinite(values)]
    worlds = len(values)
    if worlds < 2:
        return Spread(math.nan, math.nan, worlds)
    from scipy.special import chdtri

    sd = 0.0 if np.all(values == values[0]) else float(values.std(ddof=1))
    # chdtri(v, p): the value that chi-squared exceeds with probability p.
    quantile = float(chdtri(worlds - 1, confidence))
    return Spread(sd, sd * math.sqrt((worlds - 1) / quantile), worlds)


def _beyond(critical: float, freedom: int, shift: float) -> float:
    """P(|T'| > critical) of the noncentral t distribution.

    T' = (Z + shift) / S with S = sqrt(chi2_v / v): the integral over s of the density of S times
    Phi(shift - critical s) + Phi(-shift - critical s), by Gauss-Legendre on panels that are narrow
    where the normal part falls. Not scipy's `nctdtr`, which is NaN here and there.
    """
    from scipy.special import gammaln, ndtr

    reach = 12 / math.sqrt(2 * freedom)
    low, high = max(0.0, 1 - reach), 1 + reach
    fall, width = shift / critical, 10 / critical
    edges = np.unique(np.clip([low, fall - width, fall, fall + width, high], low, high))
    nodes, weights = _gauss_legendre()
    half = np.diff(edges)[:, None] / 2
    s = edges[:-1, None] + half * (nodes + 1)
    constant = math.log(2) + freedom / 2 * math.log(freedom / 2) - float(gammaln(freedom / 2))
    density = np.exp(constant + (freedom - 1) * np.log(s) - freedom / 2 * s**2)
    normal = ndtr(shift - critical * s) + ndtr(-shift - critical * s)
    return min(1.0, float((half * weights * density * normal).sum()))


@functools.cache
def _gauss_legendre() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes in -1..1 and their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return nodes, weights


def _check(sd: float, alpha: float) -> None:
    if not sd >= 0:
        raise ValueError(f"a standard deviation is 0 or more, got {sd}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is between 0 and 1, got {alpha}")


def _check_target(target: float) -> None:
    if not 0 < target < 1:
        raise ValueError(f"a power is between 0 and 1, got {target}")
