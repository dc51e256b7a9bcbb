"""Conformity: how far ratings follow the mean that others are said to have given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recarena.evaluation.believability.asking import Answers
from recarena.evaluation.believability.card import Interval, ratio_interval
from recarena.evaluation.believability.people import Rows


@dataclass(frozen=True, slots=True)
class Conformity:
    """What came of two copies of a world."""

    slope: Interval
    """Change of a rating with one point of the displayed mean; over users."""
    shift: float
    """Mean distance between the displayed means of a rated item in the two copies."""
    pairs: int
    """Ratings of the same item by the same user in both copies."""


def conformity(
    users: int, displayed: tuple[Rows, Rows], answers: tuple[Answers, Answers]
) -> Conformity:
    """The slope through the origin of differences in ratings on differences in displayed means,
    sum(D dr) / sum(D²), between two copies of a world in which the same users rate the same items
    with the same draws. Which items are displayed higher was drawn, and nothing else differs: the
    slope is causal (the design of Salganik, Dodds and Watts, 2006, in the small)."""
    up, down = answers
    both = ~np.isnan(up.rating) & ~np.isnan(down.rating)
    _, row, column = np.nonzero(both)
    item = up.slates.items[row, column]
    apart = displayed[0][item] - displayed[1][item]
    change = up.rating[both] - down.rating[both]
    above = np.bincount(row, apart * change, users).astype(np.float64)
    below = np.bincount(row, apart**2, users).astype(np.float64)
    there = np.bincount(row, minlength=users) > 0
    found = ratio_interval(above[there], below[there])
    return Conformity(found, float(np.abs(apart).mean()) if len(apart) else 0.0, len(apart))
