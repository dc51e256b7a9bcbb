"""Worlds played in the test's own process, without folders, streams or recommender programs: as
the server plays them, a hundred small runs in seconds. What comes out is a `RunLog`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from recarena.evaluation.runs.events import Events, Works
from recarena.evaluation.runs.run_log import Arm, RunLog
from recarena.server.config import Settings, parse_settings
from recarena.server.datasets.world_data import WorldData
from recarena.server.founding import assign_arms, new_manifest, settings_in
from recarena.server.local import LocalRecommender, Ranker
from recarena.server.minds.choice import ChoiceMind
from recarena.server.ports import RankRequest, SearchRequest
from recarena.server.rounds import play_round
from recarena.server.types import EventColumns, EventKind, Ints
from recarena.server.world import World

Maker = Callable[[World], Ranker]
"""Makes the lists of one recommender in one run."""


def played(
    data: WorldData,
    recommenders: Mapping[str, Maker],
    rounds: int,
    seed: int,
    *,
    searching: bool = True,
    **values: Any,
) -> RunLog:
    """A run in which these recommenders share the users, an arm each, with further settings."""
    arms = [{"recommender": name} for name in recommenders]
    chosen = settings_in(
        data, parse_settings({"seed": seed, "rounds": rounds, "arms": arms, **values}, "test")
    )
    allocation = assign_arms(chosen, data.network)
    world = World(data, chosen.seed, chosen.world_dynamics())
    hosted = [
        LocalRecommender(world, make(world), searcher(world) if searching else None, arm=number)
        for number, make in enumerate(recommenders.values())
    ]
    mind = ChoiceMind(chosen.coefficients())

    logs: list[EventColumns] = []

    async def play() -> None:  # asyncio.run formats what is returned, which takes long for columns
        for _ in range(rounds):
            result = await play_round(world, mind, hosted, allocation.arm_of_user, chosen.rules())
            world.apply(result)
            logs.append(result.events)

    asyncio.run(play())
    return run_log(data, chosen, EventColumns.concat(logs))


def run_log(data: WorldData, chosen: Settings, events: EventColumns) -> RunLog:
    """What evaluation reads of such a run."""
    allocation = assign_arms(chosen, data.network)
    names = {one.name for one in fields(Events)} - {"own"}
    columns = {name: getattr(events, name) for name in names}
    pages = np.isin(events.kind, (EventKind.PAGE, EventKind.SHOWN, EventKind.WATCH))
    manifest = new_manifest("run", chosen, data, 1, allocation)
    none = np.empty(0, np.int32)
    return RunLog(
        path=Path("run"),
        manifest={**manifest, "dataset": manifest["world"]},
        arms=tuple(Arm(arm.id, arm.recommender) for arm in chosen.arms),
        item_ids=data.catalog.item_ids,
        titles=data.catalog.titles,
        popularity=data.catalog.popularity,
        user_ids=data.population.user_ids,
        user_names=data.population.names,
        arm_of_user=allocation.arm_of_user.astype(np.int16),
        rounds=chosen.rounds,
        events=Events(**columns, own=pages),
        works=Works(**{one.name: none for one in fields(Works)}),
    )


def oracle(world: World) -> Ranker:
    """Ranks by the planted truth, as tastes were before the run; what was watched comes last."""
    truth = world.population.taste @ world.catalog.attributes.T + world.catalog.quality

    def rank(request: RankRequest) -> Ints:
        scores = truth[request.users].copy()
        for row, user in enumerate(request.users.tolist()):
            scores[row, world.watched.of(user)] -= 1e3
        return _page(np.argsort(-scores, axis=1, kind="stable"), request)

    return rank


def worst(world: World) -> Ranker:
    """What each user likes least by the planted truth, first."""
    truth = world.population.taste @ world.catalog.attributes.T + world.catalog.quality
    orders = np.argsort(truth, axis=1, kind="stable")
    return lambda request: _page(orders[request.users], request)


def popular(world: World) -> Ranker:
    """The most watched, the same for everybody."""

    def rank(request: RankRequest) -> Ints:
        order = np.argsort(-world.item_watches, kind="stable")
        return _page(np.broadcast_to(order, (len(request.users), len(order))), request)

    return rank


def by_chance(world: World) -> Ranker:
    """Another order for each user and round."""
    orders = _drawn(world)
    return lambda request: _page(orders(request.round)[request.users], request)


def of_genre(genre: int) -> Maker:
    """Items of one genre first, in another order for each user and round."""

    def make(world: World) -> Ranker:
        orders = _drawn(world, (world.catalog.main_genre != genre).astype(np.float64))
        return lambda request: _page(orders(request.round)[request.users], request)

    return make


def _drawn(world: World, last: np.ndarray | float = 0.0) -> Callable[[int], np.ndarray]:
    """[users, items] orders of a round, by draws; items with a larger `last` come later."""

    @lru_cache(maxsize=1)
    def orders(round: int) -> np.ndarray:
        rng = np.random.default_rng([world.seed, round])
        return np.argsort(rng.random((world.users, world.items)) + last, axis=1)

    return orders


def searcher(world: World) -> Callable[[SearchRequest], Ints]:
    """Finds titles by their words, and by genre what was watched most of it before the run."""
    number = {title: item for item, title in enumerate(world.catalog.titles)}
    genre = {name: at for at, name in enumerate(world.catalog.genre_names)}
    order = np.argsort(-world.catalog.popularity, kind="stable")

    def search(request: SearchRequest) -> Ints:
        found = np.full((len(request.texts), world.items), -1, np.int64)
        for row, text in enumerate(request.texts):
            if text in number:
                found[row, 0] = number[text]
            else:
                items = order[world.catalog.genres[order, genre[text]]]
                found[row, : len(items)] = items
        at = request.offsets[:, None] + np.arange(request.count)
        inside = np.minimum(at, world.items - 1)
        there = np.take_along_axis(found[request.text_of], inside, axis=1)
        return np.where(at < world.items, there, -1)

    return search


def _page(order: np.ndarray, request: RankRequest) -> Ints:
    at = request.offsets[:, None] + np.arange(request.count)
    return np.take_along_axis(order, np.minimum(at, order.shape[1] - 1), axis=1).astype(np.int32)
