"""Slates: what a user went on to watch among what she never did, in an order that tells nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.believability.people import Numbers, People

NO_ITEM = -1
POSITIVES = {1: 5, 2: 3, 3: 2, 9: 1}
"""Negatives for each held-out item -> most held-out items on a slate: ten items or fewer."""
NEAREST = 30
"""Matched negatives are drawn among so many unrated items on either side in popularity."""


class Negatives(StrEnum):
    """Which unrated items stand among the held-out ones."""

    UNIFORM = "uniform"
    """Any item that the user never rated, all alike."""
    MATCHED = "matched"
    """Of items that the user never rated, one of the 60 nearest in popularity before the split, 30
    rated more and 30 less where there are so many."""


class Draw(IntEnum):
    """What a draw is for; part of its key."""

    POSITIVES = 1
    NEGATIVES = 2
    ORDER = 3
    STAND_INS = 4
    CHANCE = 5
    USERS = 6
    RATED = 7
    MOVED = 8


@dataclass(frozen=True)
class Slates:
    """A slate for each of some users; columns [users, places], NO_ITEM beyond a slate's end."""

    users: Numbers
    """[users]: whose held-out items these are, each user once."""
    items: Numbers
    held_out: NDArray[np.bool_]
    """The user went on to watch it."""

    @property
    def there(self) -> NDArray[np.bool_]:
        """Where there is an item."""
        return self.items != NO_ITEM

    def in_order(self, seed: int, repeat: int) -> Slates:
        """The same slates, each in an order drawn by (seed, repeat, user)."""
        keys = np.empty(self.items.shape)
        for row, user in enumerate(self.users.tolist()):
            keys[row] = dice(seed, Draw.ORDER, repeat, user).random(self.items.shape[1])
        order = np.argsort(np.where(self.there, keys, 2.0), axis=1, kind="stable")
        return replace(
            self,
            items=np.take_along_axis(self.items, order, 1),
            held_out=np.take_along_axis(self.held_out, order, 1),
        )

    def shown_to(self, viewers: Numbers, users: int) -> NDArray[np.int32]:
        """[users, places]: the list for each user of the world, where row r's slate is shown to
        viewers[r]; nothing for everybody else."""
        lists = np.full((users, self.items.shape[1]), NO_ITEM, np.int32)
        lists[viewers] = self.items
        return lists


def dice(seed: int, draw: Draw, *parts: int) -> np.random.Generator:
    """Numbers that follow from the seed, what they are for, and for whom."""
    return np.random.default_rng([seed, int(draw), *parts])


def measured_users(
    people: People, at_least: float, min_history: int, most: int, seed: int
) -> Numbers:
    """Users with `min_history` ratings before the split and an item rated `at_least` or more after
    it, ascending; `most` of them, drawn by the seed, where there are more."""
    known = np.bincount(people.past.user, minlength=len(people.user_ids))
    found = np.unique(people.later.user[people.later.rating >= at_least])
    found = found[known[found] >= min_history]
    if len(found) > most:
        found = np.sort(dice(seed, Draw.USERS).choice(found, most, replace=False))
    return found


def make_slates(
    people: People,
    users: Numbers,
    ratio: int,
    negatives: Negatives,
    at_least: float,
    seed: int,
    number: int,
) -> Slates:
    """Slate `number` of each user: held-out items, POSITIVES[ratio] or as many as there are, each
    with `ratio` negatives. A user with too few unrated items has fewer of both."""
    held = _held_out(people, at_least)
    count = len(people.item_ids)
    order = np.argsort(people.counts, kind="stable")
    width = POSITIVES[ratio] * (1 + ratio)
    items = np.full((len(users), width), NO_ITEM, np.int64)
    true = np.zeros((len(users), width), np.bool_)
    for row, user in enumerate(users.tolist()):
        mine = held[user]
        free = np.ones(count, np.bool_)
        free[people.rated_by(user)] = False
        most = min(POSITIVES[ratio], len(mine), int(free.sum()) // ratio)
        chosen = dice(seed, Draw.POSITIVES, ratio, number, user).permutation(mine)[:most]
        die = dice(seed, Draw.NEGATIVES, ratio, number, user)
        if negatives is Negatives.UNIFORM:
            others = die.permutation(np.flatnonzero(free))[: most * ratio]
        else:
            others = _matched(people.counts, order[free[order]], chosen, ratio, die)
        size = most + len(others)
        items[row, :size] = np.concatenate([chosen, others])
        true[row, :most] = True
    return Slates(users, items, true)


def _held_out(people: People, at_least: float) -> dict[int, Numbers]:
    rows = people.later.rating >= at_least
    user, item = people.later.user[rows], people.later.item[rows]
    by_user = np.argsort(user, kind="stable")
    found, start = np.unique(user[by_user], return_index=True)
    parts = np.split(item[by_user], start[1:])
    return dict(zip(found.tolist(), parts, strict=True))


def _matched(
    counts: Numbers, free: Numbers, chosen: Numbers, ratio: int, die: np.random.Generator
) -> Numbers:
    """`ratio` unrated items for each chosen one, alike in popularity: half of them drawn from its
    nearest above, half from its nearest below (a coin decides the odd one), so that the popular
    are on neither side more often. `free`: unrated items, by ascending popularity."""
    left = free.copy()
    found: list[int] = []
    for item in chosen.tolist():
        for more in _sides(ratio, die):
            low, high = (int(np.searchsorted(counts[left], counts[item], side)) for side in
                         ("left", "right"))  # fmt: skip
            # Equals stand between low and high and are on both sides.
            window = left[low : high + NEAREST] if more else left[max(low - NEAREST, 0) : high]
            if not len(window):
                window = left[-NEAREST:] if more else left[:NEAREST]
            taken = int(die.choice(window))
            found.append(taken)
            left = left[left != taken]
    return np.array(found, np.int64)


def _sides(ratio: int, die: np.random.Generator) -> list[bool]:
    """`ratio` times up or down, as evenly as can be."""
    return [True, False] * (ratio // 2) + [bool(die.integers(2))] * (ratio % 2)


def stand_ins(users: Numbers, seed: int) -> Numbers:
    """[users]: another user for each, all different: one circle through all, drawn by the seed.
    ValueError with fewer than two users, who have nobody to change places with."""
    if len(users) < 2:
        raise ValueError(f"{len(users)} user cannot change places with another")
    circle = dice(seed, Draw.STAND_INS).permutation(users)
    viewer = np.empty(len(users), np.int64)
    place = np.searchsorted(users, circle)
    viewer[place] = np.roll(circle, -1)
    return viewer
