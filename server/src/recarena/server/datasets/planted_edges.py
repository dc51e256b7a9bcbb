"""Planted edges: ties along which words move the hearer, and matched ones along which they do not.

A speaker tells two hearers the same things by the same posts. The two are of the speaker's own
taste community, and a draw says which of them listens, so that the one is the other's control.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from recarena.server.datasets.films import Draw, generator
from recarena.server.datasets.generate import TasteShape, draw_tastes, trait_words
from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError
from recarena.server.network import Network
from recarena.server.population import TRAITS, Population

CLOSENESS = 1.0
"""Of a planted edge; that of a null edge is 0, by which every word is multiplied."""

TALKATIVE = {"activity": 1.5, "sociability": 0.3, "posting": 2.0}
"""Traits of speakers: there is something to hear of them in every other round."""


def plant_edges(
    world: WorldData, edges: int, seed: int, shape: TasteShape
) -> tuple[WorldData, dict[str, object]]:
    """The world with so many planted and null edges, and which they are, by users' numbers.

    Speakers and hearers are all different people, three an edge. The tie from the speaker to each
    hearer is new or takes the place of what was there; ties back stay as they were.
    """
    users = len(world.population)
    _, community = draw_tastes(world.catalog, users, seed, shape)
    speaker, hearer, control = _triples(community, edges, seed).T
    source = np.concatenate([speaker, speaker])
    other = np.concatenate([hearer, control])
    told: dict[str, object] = {
        "closeness": CLOSENESS,
        "planted": np.column_stack([speaker, hearer]).tolist(),
        "null": np.column_stack([speaker, control]).tolist(),
    }
    closeness = np.repeat([CLOSENESS, 0.0], edges)
    network = _with_ties(world.network, source, other, closeness)
    return dataclasses.replace(world, network=network, population=_talking(world, speaker)), told


def _triples(community: NDArray[np.integer], edges: int, seed: int) -> NDArray[np.int64]:
    """[edges, 3]: different users, the three of a row of one community, drawn."""
    rng = generator(seed, Draw.PLANTED_EDGES)
    shuffled = rng.permutation(len(community))
    of_one = [shuffled[community[shuffled] == number] for number in range(community.max() + 1)]
    threes = np.concatenate([one[: len(one) // 3 * 3].reshape(-1, 3) for one in of_one])
    if edges > len(threes):
        raise InputError(
            f"{edges} edges need {3 * edges} users, three each of one community, and there are"
            f" {len(threes)} such threes",
            where="edges",
            remedy=f"Ask for at most {len(threes)}, or for more users",
        )
    return threes[np.sort(rng.permutation(len(threes))[:edges])]


def _with_ties(
    network: Network,
    source: NDArray[np.int64],
    other: NDArray[np.int64],
    closeness: NDArray[np.float64],
) -> Network:
    users = network.users
    known = np.repeat(np.arange(users), network.degrees())
    kept = ~np.isin(known * users + network.other, source * users + other)
    return Network.from_ties(
        users,
        np.concatenate([known[kept], source]),
        np.concatenate([network.other[kept], other]),
        np.concatenate([network.closeness[kept], closeness]),
        np.concatenate([network.kind[kept], np.zeros(len(source), np.int8)]),
        network.kinds,
    )


def _talking(world: WorldData, speaker: NDArray[np.int64]) -> Population:
    """The population whose speakers talk, and are described so."""
    population = world.population
    traits = {name: getattr(population, name) for name in TRAITS}
    for name, value in TALKATIVE.items():
        traits[name] = traits[name].copy()
        traits[name][speaker] = value
    profile = {**population.profile, "traits": trait_words(traits)}
    return dataclasses.replace(population, profile=profile, **traits)
