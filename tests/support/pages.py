"""Worlds of users who are alike, the pages they see, and runs of the engine without a wire."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from recarena.server.datasets.world_data import WorldData
from recarena.server.local import LocalRecommender
from recarena.server.minds.choice import ChoiceMind, Coefficients
from recarena.server.minds.choice.utility import Utility
from recarena.server.network import Network
from recarena.server.ports import PageDecision, PageView, RankRequest
from recarena.server.rounds import RoundRules, play_round
from recarena.server.types import Ints, RoundResult, Surface
from recarena.server.world import World
from support.worlds import tiny_world


def alike(users: int, items: int = 8, **traits: Any) -> WorldData:
    """A world whose users have the same tastes and traits, no ties and no history; `traits` are
    put over those of the first user of a tiny world, the same for everybody or one per user."""
    data = tiny_world(3, items)
    first = data.population
    columns = {
        name: np.repeat(getattr(first, name)[:1], users, axis=0)
        for name in ("taste", *TRAITS)
    }  # fmt: skip
    for name, value in traits.items():
        columns[name] = np.broadcast_to(np.asarray(value, np.float32), columns[name].shape).copy()
    population = dataclasses.replace(
        first,
        user_ids=[f"user-{n}" for n in range(users)],
        names=["Ann"] * users,
        profile={},
        **columns,
    )
    return WorldData("alike", data.catalog, population, Network.empty(users))


TRAITS = (
    "mean_rating", "activity", "conformity", "diversity", "position_bias", "posting",
    "sociability", "trust",
)  # fmt: skip


def view(
    users: int | Ints,
    items: Any,
    *,
    round: int = 1,
    step: int = 0,
    page: int = 0,
    sought: int = -1,
    can_search: bool = False,
    watched_now: Any = None,
    claims: Mapping[tuple[int, int], tuple[int, ...]] | None = None,
) -> PageView:
    """A page for each user: the same items for all, or a row for each."""
    who = np.arange(users, dtype=np.int32) if isinstance(users, int) else users
    shown = np.asarray(items, np.int32)
    n = len(who)
    return PageView(
        round=round,
        step=step,
        users=who,
        items=np.broadcast_to(shown, (n, shown.shape[-1])).copy(),
        page=np.full(n, page, np.int16),
        surface=np.full(n, Surface.FEED, np.int8),
        sought=np.full(n, sought, np.int32),
        can_search=can_search,
        watched_now=np.broadcast_to(
            np.asarray([[]] if watched_now is None else watched_now, np.int32),
            (n, 0 if watched_now is None else len(watched_now)),
        ).copy(),
        claims=dict(claims or {}),
    )


def act(world: World, seen: PageView, mind: ChoiceMind | None = None) -> PageDecision:
    return asyncio.run((mind or ChoiceMind()).act(world, seen))


def watched_items(seen: PageView, decision: PageDecision) -> list[list[int]]:
    """What each user watches, in order."""
    return [
        [int(row[position]) for position in positions if position >= 0]
        for row, positions in zip(seen.items, decision.watched, strict=True)
    ]


def rotating(world: World, arm: int = 0) -> LocalRecommender:
    """Lists that differ from user to user and round to round, and a search that finds others."""

    def rank(request: RankRequest) -> Ints:
        first = request.users.astype(np.int64) * 7 + request.round + request.offsets
        return ((first[:, None] + np.arange(request.count)) % world.items).astype(np.int32)

    return LocalRecommender(world, rank, rank, arm=arm)


def played(data: WorldData, rounds: int, seed: int = 3) -> tuple[World, list[RoundResult]]:
    """The world after so many rounds of two arms, and the rounds."""
    world, mind = World(data, seed), ChoiceMind()
    arms = [rotating(world), rotating(world, 1)]
    arm_of_user = (np.arange(world.users) % 2).astype(np.int8)
    results = []
    for _ in range(rounds):
        result = asyncio.run(play_round(world, mind, arms, arm_of_user, RoundRules()))
        world.apply(result)
        results.append(result)
    return world, results


def worth(world: World, seen: Any) -> np.ndarray:
    return Utility(Coefficients()).of_page(world, seen)


def watchers(world: World, item: int, seen: Any) -> set[int]:
    """Users who watch an item of their page."""
    items = watched_items(seen, act(world, seen))
    return {user for user, watched in enumerate(items) if item in watched}


def chi_square(counts: np.ndarray, shares: np.ndarray) -> float:
    expected = shares / shares.sum() * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())
