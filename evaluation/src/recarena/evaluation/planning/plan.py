"""A plan: the worlds that an effect needs, and what other numbers of worlds can show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recarena.evaluation.statistics.power import (
    ALPHA,
    POWER,
    minimum_detectable_effect,
    power,
    worlds_needed,
    worlds_needed_approximately,
)

WORLDS = (2, 3, 5, 10, 15, 20, 30, 50, 100)
"""Numbers of worlds that every plan tells of."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for."""

    sd: float
    """Of the paired difference over worlds."""
    upper: float
    """What sd may be at most; sd where it is given, not measured."""
    effect: float | None
    """The smallest difference that matters; None: not stated."""
    target: float = POWER
    comparisons: int = 1
    """Pairs (times primaries) that are claimed together: alpha is shared among them."""
    asked: int | None = None
    """A number of worlds to tell of besides WORLDS."""

    @property
    def alpha(self) -> float:
        """Of one comparison: Holm's first step, which the others are no stricter than."""
        return ALPHA / self.comparisons

    def worlds(self, sd: float) -> int | None:
        """Worlds that the effect needs; None where none is stated, or a million do not do."""
        return worlds_needed(self.effect, sd, self.target, self.alpha) if self.effect else None

    @property
    def approximately(self) -> float | None:
        """The rule of thumb for the same."""
        if not self.effect:
            return None
        return worlds_needed_approximately(self.effect, self.sd, self.target, self.alpha)


@dataclass(frozen=True, slots=True)
class Step:
    """What so many worlds can show."""

    worlds: int
    power: float
    """Of finding the effect; NaN where none is stated."""
    power_at_upper: float
    """The same if the spread is as large as it may be."""
    detectable: float
    """The smallest effect found with the target's power."""


def curve(plan: Plan) -> list[Step]:
    """Steps for WORLDS, for what was asked, and for what the effect needs, in ascending order."""
    worlds = {*WORLDS, plan.asked, plan.worlds(plan.sd), plan.worlds(plan.upper)}
    return [
        Step(
            count,
            power(plan.effect, plan.sd, count, plan.alpha) if plan.effect else math.nan,
            power(plan.effect, plan.upper, count, plan.alpha) if plan.effect else math.nan,
            minimum_detectable_effect(plan.sd, count, plan.target, plan.alpha),
        )
        for count in sorted(one for one in worlds if one is not None)
    ]
