"""Worlds whose displayed mean ratings are moved at random, and nothing else: for studies of
conformity."""

from __future__ import annotations

import dataclasses

import numpy as np

from recarena.server.datasets.films import Draw, generator
from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError


def nudged(world: WorldData, seed: int, by: float) -> WorldData:
    """The world with the history's ratings of a random half of the items raised by `by` and those
    of the other half lowered by it, kept within 1 to 5.

    The mean rating that users see of an item is made from the history. Tastes, qualities,
    popularity, the traits of users and what is held out stay as they were. The same seed moves the
    same items, so that `by` and `-by` make a pair. InputError for less than -4 or more than 4.
    """
    if not -4 <= by <= 4:
        raise InputError(f"{by:g} rating points", where="by", remedy="Give -4 to 4")
    raised = generator(seed, Draw.NUDGED).permutation(len(world.catalog)) % 2 == 0
    step = np.where(raised, by, -by).astype(np.float32)
    rating = np.clip(world.history.rating + step[world.history.item], 1, 5)
    return dataclasses.replace(
        world,
        history=dataclasses.replace(world.history, rating=rating.astype(np.float32)),
        origin={
            **world.origin,
            "nudged": {"seed": seed, "by": by},
        },
    )
