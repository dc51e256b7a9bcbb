"""The one place where a recommender's list becomes a page: checked, cut, or replaced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from recarena.server.ports import WorldView
from recarena.server.randomness import Purpose, keys, uniform
from recarena.server.types import NOTHING, Bools, FailurePolicy, Faults, Ints, Outcome

Counts: TypeAlias = NDArray[np.int32]
UNKNOWN = -2
"""In raw lists: an item that the catalogue does not have, or no longer. NOTHING (-1): no item."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Lists as they may be shown, and what was wrong with them."""

    items: Ints
    """[lists, count], packed to the left, NOTHING beyond the end."""
    kept: Ints
    """[lists, count]: column of the raw list that each item came from, NOTHING beyond the end."""
    unknown: Counts
    """[lists]: items dropped that the catalogue does not have, or that were withdrawn."""
    duplicate: Counts
    """[lists]: items dropped, of those that it has, because they stood further up."""
    excluded: Counts
    """[lists]: items dropped, of the others, because they must not show."""
    short: Bools
    """[lists]: whether the list was shorter than it had to be."""

    @property
    def violations(self) -> Counts:
        """[lists]: items dropped, plus one where the list was short."""
        return self.unknown + self.duplicate + self.excluded + self.short

    def faults(self, rows: Bools | None = None) -> Faults:
        """Sums over the lists that a mask chooses; without one, over all."""
        columns = (self.unknown, self.duplicate, self.excluded, self.short)
        chosen = columns if rows is None else tuple(column[rows] for column in columns)
        return Faults(*(int(column.sum()) for column in chosen))

    @property
    def outcome(self) -> NDArray[np.int8]:
        """[lists]: ACCEPTED or VIOLATIONS."""
        return np.where(self.violations > 0, Outcome.VIOLATIONS, Outcome.ACCEPTED).astype(np.int8)


def known(raw: Ints | NDArray[np.int64], available: Bools) -> Ints:
    """The lists with UNKNOWN in place of what must not be in any: numbers beyond the catalogue, and
    items that were withdrawn. `available` [items]."""
    if available.all():
        return np.where(raw < len(available), raw, UNKNOWN).astype(np.int32)
    there = np.append(available, False)[np.clip(raw, -1, len(available))]
    return np.where(there | (raw < 0), raw, UNKNOWN).astype(np.int32)


def check(raw: Ints, count: int, expected: Ints | int, excluded: Bools | None = None) -> Checked:
    """Drops unknown, repeated (the first rank is kept) and excluded items and cuts at `count`.

    `raw` [lists, any]: item numbers, UNKNOWN or NOTHING. `expected`: items a list must have at
    least, not to be counted short. `excluded` [lists, any], beside raw: items that must not show.
    Items cut off beyond `count` are not looked at.
    """
    raw = raw[:, :count] if raw.shape[1] > count else raw
    if excluded is not None:
        excluded = excluded[:, : raw.shape[1]]
    known = raw >= 0
    fresh = known.copy()
    for column in range(1, raw.shape[1]):
        repeated = (raw[:, :column] == raw[:, column, None]).any(axis=1)
        fresh[:, column] &= ~repeated
    good = fresh if excluded is None else fresh & ~excluded
    kept_count = good.sum(axis=1)
    nothing = np.zeros(len(raw), np.int32)
    unknown, duplicate, barred = nothing, nothing, nothing
    present = raw != NOTHING
    if kept_count.sum() < np.count_nonzero(present):
        unknown = _each(present & ~known)
        duplicate = _each(known & ~fresh)
        barred = _each(fresh & ~good)
    short = kept_count < np.minimum(expected, count)
    width = raw.shape[1]
    if width == count and kept_count.min(initial=count) == count:
        items = raw.astype(np.int32, copy=False)
        kept = np.broadcast_to(np.arange(count, dtype=np.int32), items.shape)
    else:
        order = np.argsort(~good, axis=1, kind="stable")[:, :count]
        inside = np.arange(order.shape[1]) < kept_count[:, None]
        items = np.full((len(raw), count), NOTHING, np.int32)
        kept = np.full((len(raw), count), NOTHING, np.int32)
        items[:, : order.shape[1]] = np.where(
            inside, np.take_along_axis(raw, order, axis=1), NOTHING
        )
        kept[:, : order.shape[1]] = np.where(inside, order, NOTHING)
    return Checked(items, kept, unknown, duplicate, barred, short)


def withheld(
    seed: int, round: int, users: Ints, items: Ints, told: Iterable[tuple[int, int]], share: float
) -> set[tuple[int, int]]:
    """Those of the explanations `told`, by (row, position), that their users do not get to see:
    each is shown with probability `share`, by a draw for the user and the item in this round."""
    at = [] if share >= 1 else list(told)
    if not at:
        return set()
    row, position = np.array(at).T
    drawn = uniform(keys(seed, Purpose.EXPLAIN, round, users[row], items[row, position]))
    return {pair for pair, one in zip(at, drawn.tolist(), strict=True) if one >= share}


def _each(found: Bools) -> Counts:
    """[lists]: how many were found in each."""
    return found.sum(axis=1, dtype=np.int32)


def expected_length(available: Bools, offsets: Ints, count: int) -> Ints:
    """[lists]: how long a list must be: `count`, or what is left of the `available` items after
    `offsets`."""
    return np.clip(np.count_nonzero(available) - offsets, 0, count).astype(np.int32)


def by_watches(world: WorldView) -> Ints:
    """The available items, the most watched first."""
    order = np.argsort(-world.popularity, kind="stable").astype(np.int32)
    return order[world.catalog.available[order]]


def ranked(order: Ints, offsets: Ints, count: int) -> Ints:
    """[lists, count]: `count` items of an order from `offsets` on, NOTHING beyond its end."""
    if not len(order):
        return np.full((len(offsets), count), NOTHING, np.int32)
    rank = offsets[:, None] + np.arange(count)
    found = order[np.minimum(rank, len(order) - 1)]
    return np.where(rank < len(order), found, NOTHING).astype(np.int32)


def fallback(policy: FailurePolicy, world: WorldView, offsets: Ints, count: int) -> Ints:
    """[lists, count]: what is shown without a usable list: nothing, or the most watched items (by
    the public counts, ties in catalogue order), none of them withdrawn."""
    if policy is not FailurePolicy.FALLBACK_POPULAR:
        return np.full((len(offsets), count), NOTHING, np.int32)
    return ranked(by_watches(world), offsets, count)
