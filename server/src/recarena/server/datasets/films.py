"""The catalogue that ships with RecArena: well-known films, with planted hidden truth."""

from __future__ import annotations

import csv
import dataclasses
from enum import IntEnum
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from recarena.server.catalog import Catalog
from recarena.server.types import Floats

FILM_GENRES = (
    "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller",
    "War", "Western",
)  # fmt: skip
"""Genres of the embedded films (MovieLens' names)."""

QUALITY_SPREAD = 0.45
"""Standard deviation of quality, in rating points."""

MOST_WATCHED = 1000.0
"""Planted watches of the most popular item."""


class Draw(IntEnum):
    """What is drawn when a world is made. Part of the key: never reuse a number."""

    FACTORS = 101
    QUALITY = 102
    POPULARITY = 103
    TASTES = 201
    TRAITS = 202
    PROFILES = 203
    NAMES = 204
    TIES = 205
    HISTORY = 206
    COMMUNITIES = 207
    PLANTED_ITEMS = 301
    PLANTED_GROUPS = 302
    PLANTED_EDGES = 303
    NUDGED = 401


def generator(seed: int, purpose: Draw) -> np.random.Generator:
    """A stream of its own for each seed and purpose."""
    return np.random.default_rng(np.random.SeedSequence([seed, int(purpose)]))


def film_catalog() -> Catalog:
    """The embedded films as published: quality and popularity are 0, there are no factors."""
    source = resources.files("recarena.server.datasets") / "embedded" / "films.csv"
    rows = list(csv.DictReader(source.read_text("utf-8").splitlines(), strict=True))
    column_of = {name: number for number, name in enumerate(FILM_GENRES)}
    genres = np.zeros((len(rows), len(FILM_GENRES)), np.bool_)
    for number, row in enumerate(rows):
        genres[number, [column_of[name] for name in row["genres"].split("|")]] = True
    return Catalog(
        item_ids=[row["item_id"] for row in rows],
        titles=[row["title"] for row in rows],
        years=np.array([int(row["year"]) for row in rows], np.int32),
        genre_names=FILM_GENRES,
        genres=genres,
        directors=[row["director"] for row in rows],
        descriptions=[row["description"] for row in rows],
        quality=np.zeros(len(rows), np.float32),
        popularity=np.zeros(len(rows), np.float32),
        factors=np.zeros((len(rows), 0), np.float32),
    )


def embedded_catalog(seed: int, factors: int = 8) -> Catalog:
    """The embedded films with hidden truth drawn from the seed."""
    return plant_truth(film_catalog(), seed, factors)


def plant_truth(catalog: Catalog, seed: int, factors: int) -> Catalog:
    """The catalogue with quality, popularity and factors drawn from the seed.

    Quality is N(0, .45) rating points. Factors are directions in a space of latent attributes,
    of length about 1, like the genre part of `Catalog.attributes`; how much of a taste rests on
    them is for the tastes to say. Popularity falls with rank^-0.9 (Zipf-like); the ranks follow
    quality with correlation .6.
    """
    items = len(catalog)
    quality = generator(seed, Draw.QUALITY).normal(0, QUALITY_SPREAD, items)
    return dataclasses.replace(
        catalog,
        quality=quality.astype(np.float32),
        popularity=_long_tail(quality / QUALITY_SPREAD, seed),
        factors=_directions(items, factors, seed),
    )


def _directions(items: int, factors: int, seed: int) -> Floats:
    rng = generator(seed, Draw.FACTORS)
    rows = rng.normal(size=(items, factors))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True) if factors else np.ones((items, 1))
    return (rows / lengths * rng.uniform(0.8, 1.2, (items, 1))).astype(np.float32)


def _long_tail(quality: NDArray[np.float64], seed: int) -> Floats:
    fame = 0.6 * quality + 0.8 * generator(seed, Draw.POPULARITY).normal(size=len(quality))
    rank = np.empty(len(fame))
    rank[np.argsort(-fame, kind="stable")] = np.arange(1, len(fame) + 1)
    return np.round(MOST_WATCHED * rank**-0.9).astype(np.float32)
