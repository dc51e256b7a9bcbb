"""With whom a user talks: acquaintances by their numbers, never by their names."""

from __future__ import annotations

import numpy as np

from recarena.server.ports import WorldView
from recarena.server.randomness import Purpose, gumbel, keys, uniform
from recarena.server.types import NOBODY

AUTHOR_FIRST = 0.5
"""Probability that who posted last is the one who is around."""


def whoever_is_around(world: WorldView, round: int, user: int) -> int:
    """One acquaintance, drawn in proportion to closeness; with probability AUTHOR_FIRST the author
    of the newest unread post. NOBODY without acquaintances."""
    author = int(world.unread_author[user])
    if world.unread[user] and author not in (NOBODY, user):
        drawn = uniform(keys(world.seed, Purpose.NEAR_FRIEND, round, user, -1))
        if float(drawn[0]) < AUTHOR_FIRST:
            return author
    ranked = closest(world, round, user, 1)
    return ranked[0] if ranked else NOBODY


def closest(world: WorldView, round: int, user: int, count: int) -> list[int]:
    """Some acquaintances without replacement, drawn in proportion to closeness, first drawn
    first."""
    ties = world.network.ties_of(user)
    others = world.network.other[ties]
    if not len(others):
        return []
    pull = np.log(np.maximum(world.network.closeness[ties], np.float32(1e-3)))
    pull += gumbel(keys(world.seed, Purpose.NEAR_FRIEND, round, user, others))
    order = np.argsort(-pull, kind="stable")[:count]
    return [int(other) for other in others[order]]
