"""Intervals and comparisons whose unit is the world.

Users in one world influence each other, so that users are not independent observations: each
world gives one value per recommender, and what varies is the world.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over worlds with its confidence interval."""

    mean: float
    low: float
    """NaN where there is no interval; then `reason` says why."""
    high: float
    worlds: int
    """Worlds that it was computed from."""
    confidence: float
    reason: str = ""

    @property
    def half_width(self) -> float:
        """Distance from the mean to either end; NaN where there is no interval."""
        return self.high - self.mean

    def excludes(self, value: float) -> bool:
        """Whether the value lies outside; never where there is no interval."""
        return value < self.low or value > self.high


def world_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """mean +- t_{W-1, (1+confidence)/2} * sd / sqrt(W) over the values of W worlds.

    sd is the sample standard deviation (W - 1). Worlds without a value (NaN) are left out, and
    `reason` says how many. With one world there is a mean and no interval.

    Source: Student (1908); worlds as the unit: a cluster-level analysis of a cluster-randomised
    design, see Donner and Klar (2000), chapter 6.
    """
    check_confidence(confidence)
    given = np.asarray(values, np.float64)
    kept = given[np.isfinite(given)]
    worlds, missing = len(kept), len(given) - len(kept)
    reasons = [f"no value in {missing} of {len(given)} worlds"] if missing else []
    if worlds == 0:
        return Interval(NAN, NAN, NAN, 0, confidence, "; ".join(reasons) or "no world")
    mean = float(kept.mean())
    if worlds == 1:
        reasons.insert(0, "one world has no interval")
        return Interval(mean, NAN, NAN, 1, confidence, "; ".join(reasons))
    half = t_quantile(worlds - 1, (1 + confidence) / 2) * _standard_error(kept)
    return Interval(mean, mean - half, mean + half, worlds, confidence, "; ".join(reasons))


def paired_difference(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> Interval:
    """Interval of a - b over mirrored worlds: values at the same place are of the same world.

    d_w = a_w - b_w, then as `world_interval`. ValueError where the numbers of worlds differ.
    """
    return world_interval(_differences(a, b).tolist(), confidence)


def separated(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> bool:
    """Whether the interval of the paired difference leaves out 0; never with fewer than two
    worlds."""
    return paired_difference(a, b, confidence).excludes(0.0)


def paired_p_value(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p-value of the paired t test that a and b are equal; 1 with fewer than two worlds.

    P(|T_{W-1}| >= |mean(d)| / (sd(d) / sqrt(W))): below 1 - c exactly where the interval of the
    difference at confidence c leaves out 0.
    """
    differences = _differences(a, b)
    differences = differences[np.isfinite(differences)]
    if len(differences) < 2:
        return 1.0
    mean, error = abs(float(differences.mean())), _standard_error(differences)
    if error == 0:
        return 0.0 if mean else 1.0
    from scipy.special import stdtr

    return float(2 * stdtr(len(differences) - 1, -mean / error))


def _differences(
    a: Sequence[float], b: Sequence[float]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if len(a) != len(b):
        raise ValueError(f"pairs of worlds are compared: {len(a)} values against {len(b)}")
    return np.asarray(a, np.float64) - np.asarray(b, np.float64)


def _standard_error(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """sd / sqrt(n); exactly 0 where all values are equal, whatever their mean rounds to."""
    if np.all(values == values[0]):
        return 0.0
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def t_quantile(freedom: float, probability: float) -> float:
    """Quantile of Student's t with so many degrees of freedom."""
    # Not scipy.stats, which takes twice as long to load.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def check_confidence(confidence: float) -> None:
    """ValueError unless it is between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence is between 0 and 1, got {confidence}")
