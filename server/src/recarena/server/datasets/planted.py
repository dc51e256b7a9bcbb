"""Worlds with a known right answer: strong tastes on hidden factors, and what else is planted."""

from __future__ import annotations

import dataclasses
import string

import numpy as np
from numpy.typing import NDArray

from recarena.server.catalog import Catalog
from recarena.server.datasets.films import Draw, generator, plant_truth
from recarena.server.datasets.generate import TasteShape, generate_world
from recarena.server.datasets.planted_edges import plant_edges
from recarena.server.datasets.planting import KEY, STRENGTHS, Planting
from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError

GENRES = 6
FACTORS = 8

HEAD_START = 8.0
"""How many times as popular before the run an item is as its twin in the next group."""


def planted_world(
    users: int,
    items: int,
    seed: int,
    communities: int = 6,
    *,
    history_per_user: int | None = None,
    spread: float = 1.3,
    planting: Planting | None = None,
) -> WorldData:
    """A world of "Item 0001" to "Item n" in genres G1 to G6, the same for the same seed.

    Tastes rest on hidden factors for nine tenths, are shared within communities for four fifths,
    and outweigh quality: in true ratings of what is recommended, an oracle beats a good
    personalised recommender, which beats popularity, which beats chance. What `planting` asks for
    comes on top, and `origin["planted"]` holds the truth of it. Without `history_per_user` it is
    `Planting.usual_history`.
    """
    planting = planting or Planting()
    if items < 1:
        raise InputError(f"a world needs items, not {items}", where="items", remedy="Ask for one")
    if communities < 1:
        raise InputError(
            f"users cannot be of {communities} communities", where="communities", remedy="Ask for 1"
        )
    shape = TasteShape(
        communities=communities, spread=spread, shared=0.05, communal=0.8, on_factors=0.9
    )
    catalog, group, twins = grouped_catalog(items, seed, planting.groups)
    world = generate_world(
        users,
        seed,
        catalog,
        name=f"planted-{users}x{items}{planting.label}",
        history_per_user=planting.usual_history if history_per_user is None else history_per_user,
        shape=shape,
    )
    origin = {**world.origin, "source": "planted", "items": items}
    truth: dict[str, object] = {
        name: value for name in STRENGTHS if (value := getattr(planting, name)) is not None
    }
    if planting.groups:
        # Twins are worth the same to the last bit, whatever the order of sums.
        merit = (np.bincount(twins, merits(world)) / planting.groups)[twins]
        truth["groups"] = {
            "names": list(string.ascii_uppercase[: planting.groups]),
            "of_item": group.tolist(),
            "merit_of_item": merit.round(6).tolist(),
        }
    if planting.edges:
        world, truth["edges"] = plant_edges(world, planting.edges, seed, shape)
    if settings := planting.settings():
        truth["settings"] = settings
    return dataclasses.replace(world, origin={**origin, KEY: truth} if truth else origin)


def merits(world: WorldData) -> NDArray[np.float64]:
    """[items]: the mean over users of exp(theta.x + q), in units of the catalogue's mean.

    It is what an item is worth by taste and quality alone, as odds in a choice: fame, position
    and what friends say have no part in it.
    """
    catalog, taste = world.catalog, world.population.taste.astype(np.float64)
    total = np.zeros(len(catalog))
    step = max(1, 4_000_000 // len(catalog))
    for first in range(0, len(taste), step):
        liking = taste[first : first + step] @ catalog.attributes.T.astype(np.float64)
        total += np.exp(liking + catalog.quality).sum(axis=0)
    return total / total.mean()


def planted_catalog(items: int, seed: int) -> Catalog:
    """Items without words, of one or two genres, with planted quality, popularity and factors."""
    rng = generator(seed, Draw.PLANTED_ITEMS)
    genres = np.zeros((items, GENRES), np.bool_)
    genres[np.arange(items), rng.integers(0, GENRES, items)] = True
    genres[np.arange(items), rng.integers(0, GENRES, items)] = True
    bare = Catalog(
        **_names(items),
        years=np.zeros(items, np.int32),
        genre_names=tuple(f"G{number}" for number in range(1, GENRES + 1)),
        genres=genres,
        quality=np.zeros(items, np.float32),
        popularity=np.zeros(items, np.float32),
        factors=np.zeros((items, 0), np.float32),
    )
    return plant_truth(bare, seed, FACTORS)


def grouped_catalog(
    items: int, seed: int, groups: int
) -> tuple[Catalog, NDArray[np.int64], NDArray[np.int64]]:
    """The catalogue, the group of each item (0 for all where there are none), and its set.

    With groups, items come in sets of one a group that are twins in all that users like: genres,
    factors, quality. So for every user the groups are worth the same. The twin in group 0 is
    `HEAD_START` times as popular before the run as the one in group 1, and so on. Where the items
    of a set stand in the catalogue is drawn.
    """
    if not groups:
        return planted_catalog(items, seed), np.zeros(items, np.int64), np.arange(items)
    if items % groups:
        fewer = items - items % groups
        raise InputError(
            f"{items} items do not make {groups} groups of the same size",
            where="items",
            remedy=f"Ask for {fewer or groups} or {fewer + groups}",
        )
    once = planted_catalog(items // groups, seed)
    place = generator(seed, Draw.PLANTED_GROUPS).permutation(items)
    original, group = place // groups, place % groups
    return (
        Catalog(
            **_names(items),
            years=once.years[original],
            genre_names=once.genre_names,
            genres=once.genres[original],
            quality=once.quality[original],
            popularity=np.round(once.popularity[original] * HEAD_START**-group).astype(np.float32),
            factors=once.factors[original],
        ),
        group,
        original,
    )


def _names(items: int) -> dict[str, list[str]]:
    """The columns of words."""
    numbers = range(1, items + 1)
    return {
        "item_ids": [f"i{number:04d}" for number in numbers],
        "titles": [f"Item {number:04d}" for number in numbers],
        "directors": [""] * items,
        "descriptions": [""] * items,
    }
