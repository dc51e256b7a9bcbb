"""Small worlds made by hand."""

from __future__ import annotations

import numpy as np

from recarena.server.catalog import Catalog
from recarena.server.datasets.world_data import History, WorldData
from recarena.server.network import Network
from recarena.server.population import TRAITS, Population

GENRES = ("Drama", "Comedy", "Sci-Fi", "Film Noir")


def tiny_world(users: int = 6, items: int = 8, seed: int = 0) -> WorldData:
    """A ring of friends, some of whom share a name, and films of which one has no genre."""
    rng = np.random.default_rng(seed)
    factors = 2
    genres = rng.random((items, len(GENRES))) < 0.4
    genres[:1] = False
    genres[1:, 0] |= ~genres[1:].any(axis=1)
    catalog = Catalog(
        item_ids=[f"film-{n}" for n in range(items)],
        titles=[f'The "{n % 5}"th, of Šárka\'s' for n in range(items)],
        years=np.where(np.arange(items) % 4 == 3, 0, 1980 + np.arange(items)).astype(np.int32),
        genre_names=GENRES,
        genres=genres,
        directors=[f"Director {n % 3}" if n % 3 else "" for n in range(items)],
        descriptions=[f"A film.\tIts number is {n}." for n in range(items)],
        quality=rng.normal(0, 0.3, items).astype(np.float32),
        popularity=rng.integers(0, 50, items).astype(np.float32),
        factors=rng.normal(size=(items, factors)).astype(np.float32),
    )
    population = Population(
        user_ids=[f"user-{n}" for n in range(users)],
        names=[("Ann", "Bob", "Ann", "José")[n % 4] for n in range(users)],
        taste=rng.normal(size=(users, len(GENRES) + factors)).astype(np.float32),
        profile={
            "age": [str(20 + n) for n in range(users)],
            "occupation": ["" if n % 2 else "nurse" for n in range(users)],
        },
        **{name: rng.random(users).astype(np.float32) for name in TRAITS},
    )
    network = Network.empty(users)
    if users > 2:
        source = np.repeat(np.arange(users), 2)
        other = (source + np.tile([1, users - 1], users)) % users
        closeness = rng.random(len(source))
        kind = rng.integers(0, 2, len(source))
        network = Network.from_ties(
            users, source, other, closeness, kind, ("friend", "family", "never used")
        )
    history = History.empty()
    if users and items:
        size = 3 * users
        history = History(
            np.sort(rng.integers(0, users, size)).astype(np.int32),
            rng.integers(0, items, size).astype(np.int32),
            rng.integers(1, 6, size).astype(np.float32),
            np.arange(size, dtype=np.int64) * 60,
        )
    origin: dict[str, object] = {"source": "tiny", "seed": seed, "files": {"a.csv": "00ff"}}
    return WorldData("tiny", catalog, population, network, history, origin)
