"""What a round does to the world."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from recarena.server.datasets.generate import generate_world
from recarena.server.types import (
    NOBODY,
    NOTHING,
    EventColumns,
    EventKind,
    MemoryColumns,
    RoundResult,
)
from recarena.server.world import Dynamics, World
from support.pages import alike, played
from support.worlds import tiny_world

ROUNDS = 6


def arrays(thing: Any, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """All arrays of a world, those of its parts included."""
    for name, value in vars(thing).items():
        if isinstance(value, np.ndarray | np.generic):
            yield path + name, np.asarray(value)
        elif type(value).__name__ in ("Hearsay", "Watched"):
            yield from arrays(value, f"{path}{name}.")


def happening(world: World, *rows: dict[str, Any]) -> EventColumns:
    """Events of the world's next round, one after another."""
    return EventColumns.concat(
        [EventColumns.make(1, **{"round": world.round + 1, **row}) for row in rows]
    )


def goes_on(world: World, *rows: dict[str, Any]) -> World:
    """The world after a round in which just this happened."""
    events = happening(world, *rows)
    world.apply(RoundResult(world.round + 1, len(events), events, MemoryColumns.empty()))
    return world


def watch(user: int, item: int, value: float = 4, appraisal: float = 0.5) -> dict[str, Any]:
    return {
        "user": user, "kind": EventKind.WATCH, "item": item, "value": value,
        "appraisal": appraisal, "position": 0, "step": 0,
    }  # fmt: skip


@pytest.fixture(scope="module")
def lived() -> tuple[World, list[RoundResult]]:
    world, results = played(generate_world(80, 4, history_per_user=5), ROUNDS)
    kinds = np.concatenate([result.events.kind for result in results])
    for kind in (EventKind.CHAT, EventKind.POST, EventKind.SEARCH, EventKind.IDLE):
        assert kind in kinds
    return world, results


def test_applying_the_log_to_a_fresh_world_gives_the_same_world(lived):
    world, results = lived
    again = World(world.data, world.seed)
    for result in results:
        again.apply(RoundResult(result.round, 0, result.events, MemoryColumns.empty()))
    found = dict(arrays(again))
    assert len(found) > 20
    for name, column in arrays(world):
        assert found[name].dtype == column.dtype, name
        np.testing.assert_array_equal(found[name], column, err_msg=name)


def test_a_round_changes_what_it_should_and_reading_changes_nothing(lived):
    world, _ = lived
    fresh = dict(arrays(World(world.data, world.seed)))
    changed = {name for name, column in arrays(world) if not np.array_equal(column, fresh[name])}
    assert {
        "taste", "experience", "fatigue", "last_item", "unshared", "watches", "item_watches",
        "item_ratings", "popularity", "displayed_rating", "heard.item", "watched._bits",
    } <= changed  # fmt: skip
    assert "taste_scale" not in changed


def test_rounds_follow_one_another():
    world = World(tiny_world(), 1)
    for wrong in (0, 2):
        with pytest.raises(ValueError, match="does not follow round 0"):
            world.apply(RoundResult(wrong, 0, EventColumns.empty(), MemoryColumns.empty()))


def test_ratings_and_watches_are_counted(lived):
    world, results = lived
    history = world.data.history
    watches, ratings = Counter(), Counter(history.item.tolist())
    sums = Counter()
    for item, rating in zip(history.item.tolist(), history.rating.tolist(), strict=True):
        sums[item] += rating
    by_user = Counter(history.user.tolist())
    pairs = set(zip(history.user.tolist(), history.item.tolist(), strict=True))
    for result in results:
        events = result.events.of(EventKind.WATCH)
        for user, item, value in zip(events.user, events.item, events.value, strict=True):
            watches[int(item)] += 1
            by_user[int(user)] += 1
            pairs.add((int(user), int(item)))
            if value > 0:
                ratings[int(item)] += 1
                sums[int(item)] += float(value)
    assert world.watches.tolist() == [by_user[user] for user in range(world.users)]
    start = world.catalog.popularity.astype(np.float64)
    assert world.item_watches.tolist() == [
        start[item] + watches[item] for item in range(world.items)
    ]
    assert world.item_ratings.tolist() == [ratings[item] for item in range(world.items)]
    np.testing.assert_allclose(
        world.item_rating_sum, [sums[item] for item in range(world.items)], rtol=1e-12
    )
    for user in range(world.users):
        assert world.watched.of(user).tolist() == sorted(i for u, i in pairs if u == user)
    overall = sum(sums.values()) / sum(ratings.values())
    shown = [(sums[item] + 5 * overall) / (ratings[item] + 5) for item in range(world.items)]
    np.testing.assert_allclose(world.displayed_rating, shown, rtol=1e-6)
    logs = np.array([math.log1p(one) for one in world.item_watches])
    np.testing.assert_allclose(world.popularity, (logs - logs.mean()) / logs.std(), atol=1e-5)


def test_a_watch_without_a_rating_counts_as_a_watch_only():
    world = World(alike(2), 1)
    before = world.item_watches[3]
    goes_on(world, watch(0, 3, value=0))
    assert world.item_watches[3] == before + 1
    assert world.item_ratings.sum() == 0
    assert (world.displayed_rating == np.float32(3.5)).all()


def test_experience_is_taken_in_watch_by_watch():
    world = World(alike(3), 1)
    goes_on(
        world,
        {"user": 0, "kind": EventKind.ENTER_RECOMMENDER},
        watch(0, 1, appraisal=1.0), watch(0, 2, appraisal=-2.0), watch(0, 3, appraisal=0.5),
        {"user": 1, "kind": EventKind.ENTER_RECOMMENDER}, watch(1, 1, appraisal=1.0),
    )  # fmt: skip
    rho = Dynamics().satisfaction_memory
    assert world.experience[0] == pytest.approx(rho * (rho * 1.0 - 2.0) + 0.5)
    assert world.experience[1] == 1.0
    assert world.experience[2] == 0
    order = np.array([0, 1, 2], np.int32)
    low, high, middle = world.satisfaction(order)
    assert low < middle == 0.5 < high


def test_a_visit_without_a_watch_disappoints():
    world = World(alike(2), 1)
    goes_on(world, {"user": 0, "kind": EventKind.ENTER_RECOMMENDER})
    assert world.experience.tolist() == [np.float32(Dynamics().empty_visit), 0]


def test_genres_tire_and_recover():
    world = World(alike(1), 1)
    item = int(np.flatnonzero(world.catalog.genres.sum(axis=1) == 2)[0])
    genres = world.catalog.genres[item]
    goes_on(world, watch(0, item))
    assert world.fatigue[0].tolist() == (genres / 2).tolist()
    goes_on(world, watch(0, item))
    np.testing.assert_allclose(world.fatigue[0], genres / 2 * (1 + Dynamics().fatigue_memory))
    goes_on(world)
    np.testing.assert_allclose(
        world.fatigue[0], genres / 2 * (0.7 + 0.7**2), rtol=1e-6
    )  # fmt: skip


def test_tastes_drift_a_little_and_keep_their_length():
    world = World(alike(500), 1)
    before = world.taste.copy()
    goes_on(world, *(watch(user, user % 8) for user in range(400)))
    moved = np.linalg.norm(world.taste - before, axis=1)
    attributes = np.linalg.norm(world.catalog.attributes, axis=1)[np.arange(400) % 8]
    assert (moved[:400][attributes > 0] > 0).all()
    assert (moved <= 2 * Dynamics().drift * attributes.max()).all()
    assert (moved[400:] == 0).all()
    np.testing.assert_allclose(
        np.linalg.norm(world.taste, axis=1), np.linalg.norm(before, axis=1), rtol=1e-5
    )


def test_what_is_liked_draws_tastes_nearer():
    data = alike(2000, 8)
    liked = int((data.catalog.attributes @ data.population.taste[0]).argmax())
    x = data.catalog.attributes[liked]
    world = World(data, 1)
    goes_on(world, *(watch(user, liked) for user in range(2000)))
    nearer = (world.taste @ x > data.population.taste @ x).mean()
    theta = data.population.taste[0]
    cosine = float(theta @ x / np.linalg.norm(theta) / np.linalg.norm(x))
    assert nearer == pytest.approx((cosine + 1) / 2, abs=0.05)


def test_without_drift_tastes_stay():
    world = World(alike(3), 1, Dynamics(drift=0))
    before = world.taste.copy()
    goes_on(world, watch(0, 1))
    assert (world.taste == before).all()


def test_the_last_watch_waits_until_it_is_talked_about():
    world = World(tiny_world(), 1)
    goes_on(world, watch(0, 3, 5), watch(0, 4, 2), watch(1, 2))
    assert (world.last_item[0], world.last_rating[0]) == (4, 2)
    assert world.unshared.tolist() == [True, True, False, False, False, False]
    goes_on(world, {"user": 0, "kind": EventKind.CHAT, "other": 1, "item": 4, "value": -1})
    assert world.unshared[:2].tolist() == [False, True]
    goes_on(world, {"user": 1, "kind": EventKind.POST, "item": 2, "value": 1})
    assert not world.unshared.any()


def test_posts_wait_until_the_social_network_is_opened():
    world = World(tiny_world(), 1)
    network = world.network
    friends = network.other[network.ties_of(0)].tolist()
    goes_on(world, {"user": 0, "kind": EventKind.POST, "item": 3, "value": 2})
    assert np.flatnonzero(world.unread).tolist() == sorted(friends)
    assert {int(world.unread_author[one]) for one in friends} == {0}
    assert {int(world.unread_item[one]) for one in friends} == {3}
    reader, other = friends
    goes_on(world, {"user": 0, "kind": EventKind.POST, "item": 4, "value": 2})
    assert world.unread[reader] == 2
    assert world.unread_item[reader] == 4
    goes_on(world, {"user": reader, "kind": EventKind.ENTER_SOCIAL})
    assert world.unread[[reader, other]].tolist() == [0, 2]


def test_a_post_of_the_same_round_is_still_unread_after_it():
    world = World(tiny_world(), 1)
    friend = int(world.network.other[world.network.ties_of(0)][0])
    goes_on(
        world,
        {"user": 0, "kind": EventKind.POST, "item": 3, "value": 2},
        {"user": friend, "kind": EventKind.ENTER_SOCIAL},
    )
    assert world.unread[friend] == 1


def test_a_chat_is_heard_and_not_read():
    world = World(tiny_world(), 1)
    goes_on(world, {"user": 0, "kind": EventKind.CHAT, "other": 1, "item": 3, "value": 1})
    assert world.unread.sum() == 0
    assert world.heard.item[1].tolist() == [3] + [NOTHING] * 5
    assert world.heard.sender[1, 0] == 0
    assert (world.heard.sender[0] == NOBODY).all()


def test_rounds_away_are_counted_and_idling_is_being_away():
    world = World(alike(3), 1)
    goes_on(
        world, {"user": 0, "kind": EventKind.ENTER_RECOMMENDER}, {"user": 1, "kind": EventKind.IDLE}
    )
    goes_on(world)
    assert world.gap.tolist() == [1, 2, 2]
    goes_on(world, {"user": 2, "kind": EventKind.ENTER_SOCIAL})
    assert world.gap.tolist() == [2, 3, 0]


def test_history_is_known_when_a_run_begins():
    data = tiny_world()
    world, history = World(data, 1), data.history
    for user, item in zip(history.user, history.item, strict=True):
        assert world.watched.has(np.array([user]), np.array([item]))[0]
    last = {int(u): (int(i), float(r)) for u, i, r in zip(
        history.user, history.item, history.rating, strict=True)}  # fmt: skip
    for user, (item, rating) in last.items():
        assert (world.last_item[user], world.last_rating[user]) == (item, rating)
    assert not world.unshared.any()
    assert world.item_watches.tolist() == data.catalog.popularity.tolist()


def test_the_world_does_not_write_into_its_data():
    data = generate_world(40, 2, history_per_user=3)
    before = {name: column.copy() for name, column in (
        ("taste", data.population.taste), ("popularity", data.catalog.popularity),
        ("quality", data.catalog.quality))}  # fmt: skip
    played(data, 3)
    assert (data.population.taste == before["taste"]).all()
    assert (data.catalog.popularity == before["popularity"]).all()
    assert (data.catalog.quality == before["quality"]).all()
