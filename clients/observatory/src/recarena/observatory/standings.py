"""How arms compare in one world: the numbers of the arms screen.

Points are those of `recarena report` for the same run. Intervals are over the users of the arm:
95 %, Student's t; of ratios of sums by the delta method (residuals from the ratio, per user).
Source of the ratio estimator: Cochran (1977), Sampling Techniques, 6.3; of the comparison of two
arms: Welch (1947), with Holm's (1979) correction over all pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from recarena.observatory.tally import Doubles, Tally

CONFIDENCE = 0.95
ALPHA = 0.05
PRIMARY = "watch_rate"
NOTE = (
    "One world: intervals are over its users. To rank recommenders, play several worlds: "
    "recarena compete"
)


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric as the page shows it."""

    name: str
    label: str
    unit: str
    better: str
    decimals: int


MEASURES = (
    Measure("watch_rate", "watch rate", "watches per exposure", "higher", 3),
    Measure("watches_per_user_round", "watches a round", "watches per user and round", "higher", 2),
    Measure("satisfaction", "rating", "rating, 1 to 5", "higher", 2),
    Measure("exit_depth", "pages a visit", "pages per visit", "higher", 2),
    Measure("retention", "retention", "share of visits", "higher", 3),
    Measure("searches_per_visit", "searches a visit", "searches per visit", "", 2),
    Measure("unusable_rate", "unusable", "share of pages", "lower", 4),
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; NaN where there is none."""

    value: float
    low: float
    high: float
    n: int
    """Users that it rests on."""
    variance: float = math.nan
    """Of the value."""

    def as_json(self) -> dict[str, Any]:
        """For the page."""
        return {
            "value": finite(self.value), "low": finite(self.low), "high": finite(self.high),
            "n": self.n,
        }  # fmt: skip


def estimates(tally: Tally, users: NDArray[np.bool_]) -> dict[str, Estimate]:
    """Every measure of the users of an arm."""
    of = {name: column[users] for name, column in tally.columns().items()}
    asked = of["pages"] > 0
    rate = of["watches"][asked] / np.maximum(of["shown"][asked], 1)
    depth = tally.exit_depth(users)
    return {
        "watch_rate": mean(rate),
        "watches_per_user_round": ratio(of["watches"], of["rounds"]),
        "satisfaction": ratio(of["rating"], of["rated"]),
        "exit_depth": around(depth, ratio(of["own_pages"], of["visits"])),
        "retention": ratio(of["returns"], of["could_return"]),
        "searches_per_visit": ratio(of["searches"], of["visits"]),
        "unusable_rate": ratio(of["unusable"], of["pages"]),
    }


def mean(values: Doubles) -> Estimate:
    """The mean over users."""
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0)
    variance = float(values.var(ddof=1)) / len(values) if len(values) > 1 else math.nan
    return interval(float(values.mean()), variance, len(values))


def ratio(part: Doubles, whole: Doubles) -> Estimate:
    """sum(part) / sum(whole) over users, those aside who have nothing of the whole."""
    there = whole > 0
    part, whole = part[there], whole[there]
    n = len(whole)
    if not n:
        return Estimate(math.nan, math.nan, math.nan, 0)
    value = float(part.sum() / whole.sum())
    if n == 1:
        return Estimate(value, math.nan, math.nan, 1)
    residuals = part - value * whole
    variance = float((residuals**2).sum() / (n - 1) / n / whole.mean() ** 2)
    return interval(value, variance, n)


def interval(value: float, variance: float, n: int) -> Estimate:
    """The value with its t interval."""
    if n < 2 or not math.isfinite(variance):
        return Estimate(value, math.nan, math.nan, n, variance)
    reach = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * math.sqrt(variance)
    return Estimate(value, value - reach, value + reach, n, variance)


def around(value: float, other: Estimate) -> Estimate:
    """The interval of another estimate of the same thing, laid around a value."""
    return interval(value, other.variance, other.n)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an arm stands."""

    rank: int
    """1 and how many arms are separated from it and better; 0 without a value."""
    ties: list[int]
    """Positions of the arms that it is not separated from, itself aside."""


def places(of: Sequence[Estimate]) -> list[Place]:
    """Places by a measure of which more is better."""
    pairs = [(a, b) for a in range(len(of)) for b in range(a + 1, len(of))]
    separated = dict(zip(pairs, holm([welch(of[a], of[b]) for a, b in pairs]), strict=True))

    def apart(a: int, b: int) -> bool:
        return separated[(a, b) if a < b else (b, a)]

    made: list[Place] = []
    for at, one in enumerate(of):
        if math.isnan(one.value):
            made.append(Place(0, []))
            continue
        others = [o for o in range(len(of)) if o != at and not math.isnan(of[o].value)]
        better = sum(apart(at, o) and of[o].value > one.value for o in others)
        made.append(Place(better + 1, [o for o in others if not apart(at, o)]))
    return made


def welch(one: Estimate, other: Estimate) -> float:
    """p-value that two values are the same; NaN where a variance is not known."""
    parts = (one.variance, other.variance)
    if one.n < 2 or other.n < 2 or not all(math.isfinite(part) for part in parts):
        return math.nan
    both = sum(parts)
    if not both:
        return 1.0 if one.value == other.value else 0.0
    freedom = both**2 / (parts[0] ** 2 / (one.n - 1) + parts[1] ** 2 / (other.n - 1))
    return float(2 * stdtr(freedom, -abs(one.value - other.value) / math.sqrt(both)))


def holm(p_values: Sequence[float]) -> list[bool]:
    """Which hypotheses are rejected at ALPHA over all of them; NaN never is, and counts."""
    rejected = [False] * len(p_values)
    order = np.argsort(np.asarray(p_values, np.float64), kind="stable").tolist()
    for k, at in enumerate(order):
        if not p_values[at] <= ALPHA / (len(p_values) - k):
            break
        rejected[at] = True
    return rejected


def finite(value: float) -> float | None:
    """None for NaN, which JSON does not have."""
    return value if math.isfinite(value) else None
