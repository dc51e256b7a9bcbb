"""Worlds with a known right answer: strong tastes on hidden factors, for tests of recommenders."""

from __future__ import annotations

import dataclasses

import numpy as np

from recarena.server.catalog import Catalog
from recarena.server.datasets.films import Draw, generator, plant_truth
from recarena.server.datasets.generate import TasteShape, generate_world
from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError

GENRES = 6
FACTORS = 8


def planted_world(
    users: int,
    items: int,
    seed: int,
    communities: int = 6,
    *,
    history_per_user: int = 20,
    spread: float = 1.3,
) -> WorldData:
    """A world of "Item 0001" to "Item n" in genres G1 to G6, the same for the same seed.

    Tastes rest on hidden factors for nine tenths, are shared within communities for four fifths,
    and outweigh quality: in true ratings of what is recommended, an oracle beats a good
    personalised recommender, which beats popularity, which beats chance.
    """
    if items < 1:
        raise InputError(f"a world needs items, not {items}", where="items", remedy="Ask for one")
    world = generate_world(
        users,
        seed,
        planted_catalog(items, seed),
        name=f"planted-{users}x{items}",
        history_per_user=history_per_user,
        shape=TasteShape(
            communities=communities, spread=spread, shared=0.05, communal=0.8, on_factors=0.9
        ),
    )
    return dataclasses.replace(world, origin={**world.origin, "source": "planted", "items": items})


def planted_catalog(items: int, seed: int) -> Catalog:
    """Items without words, of one or two genres, with planted quality, popularity and factors."""
    rng = generator(seed, Draw.PLANTED_ITEMS)
    genres = np.zeros((items, GENRES), np.bool_)
    genres[np.arange(items), rng.integers(0, GENRES, items)] = True
    genres[np.arange(items), rng.integers(0, GENRES, items)] = True
    bare = Catalog(
        item_ids=[f"i{number:04d}" for number in range(1, items + 1)],
        titles=[f"Item {number:04d}" for number in range(1, items + 1)],
        years=np.zeros(items, np.int32),
        genre_names=tuple(f"G{number}" for number in range(1, GENRES + 1)),
        genres=genres,
        directors=[""] * items,
        descriptions=[""] * items,
        quality=np.zeros(items, np.float32),
        popularity=np.zeros(items, np.float32),
        factors=np.zeros((items, 0), np.float32),
    )
    return plant_truth(bare, seed, FACTORS)
