"""Two arms inside one world, with what users did before taken out (CUPED).

Users of one world influence one another, across arms, too. What stands here compares the two halves
of one world; its interval is over users and says nothing of other worlds. For claims about
recommenders play mirrored worlds, or take `cuped_over_worlds`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.statistics.worlds import (
    NAN,
    Interval,
    check_confidence,
    t_quantile,
    world_interval,
)

Floats = NDArray[np.float64]
UNIT = "users of one world, who are not independent: too narrow, and about this world alone"


@dataclass(frozen=True, slots=True)
class Arm:
    """What the users of one arm of a world did."""

    outcome: Floats
    """[users]: the metric while the recommenders differed."""
    before: Floats
    """[users]: the same, or another, from before they did: nothing that the arm could change."""

    def __post_init__(self) -> None:
        if self.outcome.shape != self.before.shape or self.outcome.ndim != 1:
            raise ValueError(
                f"one outcome and one earlier value a user: {self.outcome.shape} and "
                f"{self.before.shape}"
            )


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The difference of two arms of one world, plain and adjusted; its unit is the user."""

    plain: Interval
    adjusted: Interval
    """Both have `reason` say that users are not independent; `worlds` is 1."""
    theta: float
    """Slope of the outcome on what was before, within arms; 0 where that does not vary."""
    variance_reduction: float
    """1 - variance of the adjusted difference / that of the plain one; about the squared
    correlation. NaN where the plain one does not vary. It may be slightly below 0."""
    users: tuple[int, int]
    """Users of either arm with both values."""


def cuped(a: Arm, b: Arm, confidence: float = 0.95) -> Adjusted:
    """a - b, less what earlier behaviour explains of it.

    (mean Y_a - mean Y_b) - theta (mean X_a - mean X_b), theta = sum (X - mean X)(Y - mean Y) /
    sum (X - mean X)^2 with both means those of the user's arm; standard errors of Y - theta X as
    of two independent samples, with Welch's degrees of freedom. Users without one of the values
    (NaN) are left out. ValueError with fewer than two users in an arm.

    Source: Deng, Xu, Kohavi and Walker (2013), Improving the sensitivity of online controlled
    experiments by utilizing pre-experiment data; Welch (1947).
    """
    check_confidence(confidence)
    arms = [_complete(one) for one in (a, b)]
    if min(len(one.outcome) for one in arms) < 2:
        raise ValueError("each arm needs two users or more with both values")
    x = np.concatenate([one.before - one.before.mean() for one in arms])
    y = np.concatenate([one.outcome - one.outcome.mean() for one in arms])
    spread = float(x @ x)
    theta = float(x @ y) / spread if spread > 0 else 0.0
    plain, of_plain = _welch(arms[0].outcome, arms[1].outcome, confidence)
    shifted = [one.outcome - theta * one.before for one in arms]
    adjusted, of_adjusted = _welch(shifted[0], shifted[1], confidence)
    return Adjusted(
        plain, adjusted, theta, 1 - of_adjusted / of_plain if of_plain > 0 else NAN,
        (len(arms[0].outcome), len(arms[1].outcome)),
    )  # fmt: skip


def cuped_over_worlds(worlds: Sequence[tuple[Arm, Arm]], confidence: float = 0.95) -> Interval:
    """Interval of the adjusted difference a - b over split worlds; its unit is the world.

    Still the effect inside worlds that the arms share: where they influence one another it is not
    what a world of one's own would show.
    """
    return world_interval([cuped(a, b).adjusted.mean for a, b in worlds], confidence)


def _complete(arm: Arm) -> Arm:
    there = np.isfinite(arm.outcome) & np.isfinite(arm.before)
    return Arm(arm.outcome[there], arm.before[there])


def _welch(a: Floats, b: Floats, confidence: float) -> tuple[Interval, float]:
    """Interval of the difference of two means, and its variance."""
    parts = [float(one.var(ddof=1)) / len(one) for one in (a, b)]
    variance = sum(parts)
    mean = float(a.mean() - b.mean())
    if variance == 0:
        return Interval(mean, mean, mean, 1, confidence, UNIT), 0.0
    spare = sum(part**2 / (len(one) - 1) for part, one in zip(parts, (a, b), strict=True))
    half = t_quantile(variance**2 / spare, (1 + confidence) / 2) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half, 1, confidence, UNIT), variance
