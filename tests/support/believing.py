"""Worlds with a later part to hold minds against, and people as columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.believability.asking import Answers
from recarena.evaluation.believability.people import People, Ratings
from recarena.evaluation.believability.slates import Slates
from recarena.server.datasets.planted import planted_world
from recarena.server.datasets.world_data import History, WorldData

Rated = tuple[int, int, float]


def ratings(rows: Sequence[Rated]) -> Ratings:
    user, item, rating = zip(*rows, strict=True) if rows else ((), (), ())
    return Ratings(np.array(user, np.int64), np.array(item, np.int64), np.array(rating, np.float64))


def people(users: int, items: int, past: Sequence[Rated], later: Sequence[Rated]) -> People:
    """People of whom nothing is known but their ratings; all items are of one genre."""
    return People(
        Path("nowhere"), {"name": "made up"}, [f"u{n}" for n in range(users)],
        [f"i{n}" for n in range(items)], np.ones((items, 1), np.bool_), ratings(past),
        ratings(later),
    )  # fmt: skip


def answers(
    items: Sequence[Sequence[int]],
    held_out: Sequence[Sequence[int]],
    chosen: Sequence[Sequence[Sequence[int]]],
    rating: float = 4.0,
) -> Answers:
    """Slates of users 0, 1, ... with which places were chosen in each repeat; shown in order."""
    slates = Slates(np.arange(len(items)), np.array(items, np.int64), np.array(held_out, np.bool_))
    selected = np.array(chosen, np.bool_)
    shown = np.broadcast_to(slates.there, selected.shape)
    place = np.where(shown, np.arange(shown.shape[2]), -1)
    return Answers(slates, shown, selected, np.where(selected, rating, np.nan), place)


def planted_split(users: int, items: int, seed: int, later_per_user: int = 8) -> WorldData:
    """A planted world whose users went on to watch, after the history, what the truth makes them
    like: by Gumbel choice over 2.5 (theta.x + q), rated by the truth with noise of half a point."""
    world = planted_world(users, items, seed)
    catalog, population, history = world.catalog, world.population, world.history
    die = np.random.default_rng([seed, 99])
    worth = population.taste @ catalog.attributes.T + catalog.quality
    wanted = 2.5 * worth + die.gumbel(size=worth.shape)
    wanted[history.user, history.item] = -np.inf
    item = np.argsort(-wanted, axis=1)[:, :later_per_user].ravel()
    user = np.repeat(np.arange(users), later_per_user)
    truth = population.mean_rating[user] + worth[user, item]
    rating = np.clip(np.rint(truth + die.normal(0, 0.5, len(user))), 1, 5)
    order = die.permutation(len(user))
    times = np.arange(len(user), dtype=np.int64) + 2_000
    past = dataclasses.replace(history, time=np.minimum(np.arange(len(history)), 1_000))
    return dataclasses.replace(
        world, history=past, later=_history(user[order], item[order], rating[order], times)
    )


def _history(
    user: NDArray[np.int64], item: NDArray[np.int64], rating: NDArray[np.float64],
    time: NDArray[np.int64],
) -> History:  # fmt: skip
    return History(user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32), time)
