"""A world before anything has happened in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recarena.server.catalog import Catalog
from recarena.server.network import Network
from recarena.server.population import Population
from recarena.server.types import Floats, Ints


@dataclass(frozen=True)
class History:
    """What is known before the run (round 0), in order of time, then user, then item."""

    user: Ints
    item: Ints
    rating: Floats
    """1..5."""
    time: NDArray[np.int64]
    """Unix seconds, 0 where unknown."""

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def empty(cls) -> History:
        """Nothing is known."""
        return cls(
            np.empty(0, np.int32),
            np.empty(0, np.int32),
            np.empty(0, np.float32),
            np.empty(0, np.int64),
        )


@dataclass(frozen=True)
class WorldData:
    """Catalogue, population, network and history that fit one another, with their origin.

    A run changes its own (`own`) where interventions say so, and nobody else's.
    """

    name: str
    catalog: Catalog
    population: Population
    network: Network
    history: History = field(default_factory=History.empty)
    origin: dict[str, object] = field(default_factory=dict[str, object])
    """How the world was made: source, files with their hashes, seed, options. JSON values."""
    later: History = field(default_factory=History.empty)
    """What people did after the history, held out for comparison: nothing in the world is estimated
    from it, no run sees it, and no recommender is told."""

    def __post_init__(self) -> None:
        users, items = len(self.population), len(self.catalog)
        if self.network.users != users:
            raise ValueError(
                f"world {self.name!r}: the network has {self.network.users} users, "
                f"the population {users}"
            )
        if self.population.taste.shape[1] != self.catalog.attributes.shape[1]:
            raise ValueError(f"world {self.name!r}: tastes and items have different attributes")
        for known in (self.history, self.later):
            if len(known) and (int(known.user.max()) >= users or int(known.item.max()) >= items):
                raise ValueError(f"world {self.name!r}: the history names a user or item not in it")

    def own(self) -> WorldData:
        """The same world for a run that may change it: what is changed in one is not in the
        other."""
        people = self.population
        return replace(
            self,
            catalog=self.catalog.snapshot(),
            population=replace(
                people,
                names=list(people.names),
                profile={name: list(column) for name, column in people.profile.items()},
            ),
            network=replace(self.network),
        )
