"""Looking at a competition after every world, and stopping it early without cheating.

A 95 % interval that is looked at after each world is wrong at some look far more often than one
time in twenty. A confidence sequence is wrong at any look at most as often as it says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recarena.evaluation.statistics.worlds import Interval, check_confidence

NAN = float("nan")
MINIMUM_WORLDS = 10
"""Fewest worlds before a stop: the sequence holds asymptotically."""


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """Stated before the first round. ValueError where it makes no sense."""

    intended_worlds: int
    """Where the sequence is narrowest: the number of worlds that are planned."""
    minimum_worlds: int = MINIMUM_WORLDS
    """No stop before so many."""
    confidence: float = 0.95
    comparisons: int = 1
    """Pairs of recommenders (times primaries) that may each stop it: alpha is shared among them
    (Bonferroni)."""

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.minimum_worlds < 2:
            raise ValueError(f"minimum_worlds is 2 or more, got {self.minimum_worlds}")
        if self.intended_worlds < 1 or self.comparisons < 1:
            raise ValueError("intended_worlds and comparisons are 1 or more")

    @property
    def alpha(self) -> float:
        """Chance that one comparison's sequence is ever wrong."""
        return (1 - self.confidence) / self.comparisons

    @property
    def rho(self) -> float:
        """sqrt(s / intended worlds) with s = -2 log alpha + log(1 + s): there the sequence is
        narrowest, for that s makes (s + 1) / s log((s + 1) / alpha^2) least."""
        two_logs = -2 * math.log(self.alpha)
        s = two_logs
        for _ in range(60):  # a contraction: the error shrinks by 1 / (1 + s) each time
            s = two_logs + math.log1p(s)
        return math.sqrt(s / self.intended_worlds)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it may stop, and why."""

    may_stop: bool
    reason: str
    interval: Interval
    """Of the difference, valid at every look."""


def confidence_sequence(differences: Sequence[float], rule: StoppingRule) -> list[Interval]:
    """After each world t = 1, 2, ... an interval of the mean paired difference; all of them
    together hold the true one with (asymptotically) the rule's confidence.

    mean_t +- c_t sd_t sqrt( 2 (t rho^2 + 1) / (t^2 rho^2) log( sqrt(t rho^2 + 1) / alpha ) ),

    sd_t being the sample standard deviation (t - 1) so far. The source has c_t = 1, which is right
    for many worlds; here it is the factor, near 1 and falling to it, by which Student's t is wider
    than the normal distribution at that height: the standard deviation of few worlds is itself
    uncertain. Before `minimum_worlds` there is no interval. ValueError for a difference that is
    not finite: leaving worlds out as they come would choose among them.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Time-uniform central limit
    theory and asymptotic confidence sequences, theorem 2.2.
    """
    d = np.asarray(differences, np.float64)
    if not np.isfinite(d).all():
        raise ValueError("a confidence sequence needs a difference for every world")
    if not len(d):
        return []
    means, half = running(d[None], rule)
    return [
        _interval(float(mean), float(width), t, rule)
        for t, (mean, width) in enumerate(zip(means[0], half[0], strict=True), start=1)
    ]


def running(
    differences: np.ndarray[tuple[int, int], np.dtype[np.float64]], rule: StoppingRule
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float64]], ...]:
    """Means and half widths [competitions, worlds] of many competitions at once, after each
    world; half widths are infinite before `minimum_worlds`."""
    t = np.arange(1, differences.shape[1] + 1)
    means = differences.cumsum(axis=1) / t
    shifted = differences - differences[:, :1]
    centred = shifted.cumsum(axis=1) / t
    squares = np.maximum((shifted**2).cumsum(axis=1) - t * centred**2, 0)
    half = np.full(differences.shape, np.inf)
    asked = slice(rule.minimum_worlds - 1, None)
    half[:, asked] = np.sqrt(squares / np.maximum(t - 1, 1))[:, asked] * boundary(t[asked], rule)
    return means, half


def boundary(
    t: np.ndarray[tuple[int], np.dtype[np.int64]], rule: StoppingRule
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Half width of the sequence in standard deviations, after t worlds each, two at least."""
    from scipy.special import ndtr, stdtrit

    spread = t * rule.rho**2 + 1
    normal = np.sqrt(2 * spread / rule.rho**2 / t * np.log(np.sqrt(spread) / rule.alpha))
    return -stdtrit(t - 1, ndtr(-normal)) / np.sqrt(t)


def decide(
    differences: Sequence[float], rule: StoppingRule, minimum_effect: float | None = None
) -> Decision:
    """Whether the comparison is decided after the worlds so far, however often it was looked at.

    It may stop where the sequence's interval leaves out 0, and, with a smallest effect that
    matters, where the whole interval lies within it on both sides.
    """
    sequence = confidence_sequence(differences, rule)
    if not sequence:
        return Decision(False, "no world yet", Interval(NAN, NAN, NAN, 0, rule.confidence))
    now = sequence[-1]
    if now.worlds < rule.minimum_worlds:
        return Decision(False, now.reason, now)
    if now.excludes(0.0):
        return Decision(True, f"separated after {now.worlds} worlds", now)
    if minimum_effect is not None and max(-now.low, now.high) < minimum_effect:
        why = f"no difference of {minimum_effect:g} or more, after {now.worlds} worlds"
        return Decision(True, why, now)
    return Decision(False, f"not decided after {now.worlds} worlds", now)


def _interval(mean: float, half: float, t: int, rule: StoppingRule) -> Interval:
    confidence = 1 - rule.alpha
    if t < rule.minimum_worlds:
        reason = f"{t} of at least {rule.minimum_worlds} worlds"
        return Interval(mean, NAN, NAN, t, confidence, reason)
    return Interval(mean, mean - half, mean + half, t, confidence)
