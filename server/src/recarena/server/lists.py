"""The one place where a recommender's list becomes a page: checked, cut, or replaced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.server.ports import WorldView
from recarena.server.types import NOTHING, Bools, FailurePolicy, Ints, Outcome

UNKNOWN = -2
"""In raw lists: an item that the catalogue does not have. NOTHING (-1): no item."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Lists as they may be shown, and what was wrong with them."""

    items: Ints
    """[lists, count], packed to the left, NOTHING beyond the end."""
    kept: Ints
    """[lists, count]: column of the raw list that each item came from, NOTHING beyond the end."""
    violations: NDArray[np.int32]
    """[lists]: items dropped, plus one where the list was shorter than it had to be."""

    @property
    def outcome(self) -> NDArray[np.int8]:
        """[lists]: ACCEPTED or VIOLATIONS."""
        return np.where(self.violations > 0, Outcome.VIOLATIONS, Outcome.ACCEPTED).astype(np.int8)


def check(raw: Ints, count: int, expected: Ints | int, excluded: Bools | None = None) -> Checked:
    """Drops unknown, repeated (the first rank is kept) and excluded items and cuts at `count`.

    `raw` [lists, any]: item numbers, UNKNOWN or NOTHING. `expected`: items a list must have at
    least, not to be counted short. `excluded` [lists, any], beside raw: items that must not show.
    Items cut off beyond `count` are not looked at.
    """
    raw = raw[:, :count] if raw.shape[1] > count else raw
    if excluded is not None:
        excluded = excluded[:, : raw.shape[1]]
    present = raw != NOTHING
    good = raw >= 0
    for column in range(1, raw.shape[1]):
        repeated = (raw[:, :column] == raw[:, column, None]).any(axis=1)
        good[:, column] &= ~repeated
    if excluded is not None:
        good &= ~excluded
    kept_count = good.sum(axis=1)
    dropped = (present & ~good).sum(axis=1)
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
    return Checked(items, kept, (dropped + short).astype(np.int32))


def expected_length(catalog_size: int, offsets: Ints, count: int) -> Ints:
    """[lists]: how long a list must be: `count`, or what the catalogue has left after `offsets`."""
    return np.clip(catalog_size - offsets, 0, count).astype(np.int32)


def fallback(policy: FailurePolicy, world: WorldView, offsets: Ints, count: int) -> Ints:
    """[lists, count]: what is shown without a usable list: nothing, or the most watched items (by
    the public counts, ties in catalogue order)."""
    if policy is not FailurePolicy.FALLBACK_POPULAR:
        return np.full((len(offsets), count), NOTHING, np.int32)
    order = np.argsort(-world.popularity, kind="stable").astype(np.int32)
    rank = offsets[:, None] + np.arange(count)
    return np.where(rank < len(order), order[np.minimum(rank, len(order) - 1)], NOTHING).astype(
        np.int32
    )
