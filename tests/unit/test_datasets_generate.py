from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recarena.server.datasets.films import embedded_catalog
from recarena.server.datasets.generate import TasteShape, generate_world, social_network
from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError
from recarena.server.population import PROFILE_FIELDS, TRAITS


@pytest.fixture(scope="module")
def world() -> WorldData:
    return generate_world(500, seed=1)


def utilities(world: WorldData) -> np.ndarray:
    return world.population.taste @ world.catalog.attributes.T


def test_the_same_seed_makes_the_same_world(world: WorldData) -> None:
    again, other = generate_world(500, seed=1), generate_world(500, seed=2)
    assert again.population.names == world.population.names
    assert again.population.profile == world.population.profile
    for name in (*TRAITS, "taste"):
        assert np.array_equal(getattr(again.population, name), getattr(world.population, name))
    assert np.array_equal(again.network.other, world.network.other)
    assert np.array_equal(again.history.item, world.history.item)
    assert not np.array_equal(other.population.taste, world.population.taste)


def test_tastes_have_the_asked_spread_and_are_mostly_not_shared(world: WorldData) -> None:
    points = utilities(world)
    assert abs(points.std() - 1.0) < 0.05
    assert points.mean(axis=0).var() < 0.2 * points.var()
    with_quality = points + world.catalog.quality
    assert with_quality.mean(axis=0).var() < 0.4 * with_quality.var()


def test_about_half_of_a_taste_rests_on_hidden_factors(world: WorldData) -> None:
    genres = len(world.catalog.genre_names)
    on_genres = world.population.taste[:, :genres] @ world.catalog.attributes[:, :genres].T
    assert 0.4 < on_genres.var() / utilities(world).var() < 0.6


def test_mu_is_the_mean_of_what_a_user_thinks_of_all_items(world: WorldData) -> None:
    assert np.abs(utilities(world).mean(axis=1)).max() < 1e-3


def test_ties_go_both_ways_and_nobody_is_alone(world: WorldData) -> None:
    network = world.network
    source = np.repeat(np.arange(network.users), network.degrees())
    there = dict(
        zip(zip(source.tolist(), network.other.tolist(), strict=True), network.kind, strict=True)
    )
    assert all(there[two, one] == kind for (one, two), kind in there.items())
    assert network.degrees().min() >= 1
    assert 9 <= network.degrees().mean() <= 11
    assert network.degrees().max() > 3 * network.degrees().mean()
    assert network.closeness.min() > 0
    assert network.closeness.max() <= 1
    closest = {
        kind: network.closeness[network.kind == number].mean()
        for number, kind in enumerate(network.kinds)
    }
    assert closest["sibling"] > closest["colleague"] > closest["acquaintance"]


def test_friends_have_tastes_more_alike_than_strangers(world: WorldData) -> None:
    unit = world.population.taste / np.linalg.norm(world.population.taste, axis=1, keepdims=True)
    likeness = unit @ unit.T
    source = np.repeat(np.arange(len(unit)), world.network.degrees())
    tied = likeness[source, world.network.other].mean()
    assert tied > likeness[~np.eye(len(unit), dtype=bool)].mean() + 0.1


def test_the_history_has_ten_different_items_a_user_and_likely_ratings(world: WorldData) -> None:
    history = world.history
    pairs = history.user.astype(np.int64) * len(world.catalog) + history.item
    assert len(np.unique(pairs)) == len(history) == 5000
    assert (np.bincount(history.user) == 10).all()
    assert set(np.unique(history.rating)) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert 3.5 < history.rating.mean() < 4.0
    assert np.array_equal(
        world.catalog.popularity, np.bincount(history.item, minlength=len(world.catalog))
    )
    planted = embedded_catalog(1).popularity
    assert np.corrcoef(planted, world.catalog.popularity)[0, 1] > 0.7
    expected = utilities(world)[history.user, history.item]
    assert np.corrcoef(expected, history.rating)[0, 1] > 0.6


def test_interests_name_the_genres_liked_best(world: WorldData) -> None:
    names = world.catalog.genre_names
    for user in range(50):
        said = world.population.profile["interests"][user].split(", ")
        assert 1 <= len(said) <= 3
        taste = world.population.taste[user, : len(names)]
        assert said[0] == names[int(taste.argmax())]


def test_profiles_are_complete_and_names_repeat(world: WorldData) -> None:
    assert set(world.population.profile) == set(PROFILE_FIELDS)
    assert all(all(column) for column in world.population.profile.values())
    assert len(set(world.population.names)) < 500
    assert world.population.user_ids[:2] == ["u000001", "u000002"]


def test_without_history_popularity_stays_as_planted() -> None:
    world = generate_world(20, seed=5, history_per_user=0)
    assert len(world.history) == 0
    assert np.array_equal(world.catalog.popularity, embedded_catalog(5).popularity)


def test_a_catalogue_without_factors_or_genres_still_gets_tastes() -> None:
    for catalog in (
        embedded_catalog(0, factors=0),
        dataclasses.replace(
            embedded_catalog(0),
            genre_names=(),
            genres=np.zeros((len(embedded_catalog(0)), 0), np.bool_),
        ),
    ):
        world = generate_world(100, 0, catalog)
        assert abs(utilities(world).std() - 1) < 0.05


def test_the_shape_of_tastes_can_be_chosen() -> None:
    world = generate_world(300, 0, shape=TasteShape(communities=3, spread=0.5, shared=0.6))
    points = utilities(world)
    assert abs(points.std() - 0.5) < 0.03
    assert points.mean(axis=0).var() > 0.5 * points.var()
    assert world.origin["communities"] == 3


def test_a_world_needs_users() -> None:
    with pytest.raises(InputError, match="needs users"):
        generate_world(0, 0)
    with pytest.raises(InputError, match="0 or more"):
        generate_world(5, -1)


@settings(max_examples=30, deadline=None)
@given(users=st.integers(1, 40), seed=st.integers(0, 10**9), per_user=st.integers(0, 700))
def test_worlds_of_any_size_can_be_made(users: int, seed: int, per_user: int) -> None:
    world = generate_world(users, seed, history_per_user=per_user)
    assert len(world.population) == users
    assert len(world.history) == users * min(per_user, len(world.catalog))
    if users > 1:
        assert world.network.degrees().min() >= 1


@settings(max_examples=30, deadline=None)
@given(community=st.lists(st.integers(0, 4), min_size=1, max_size=60), seed=st.integers(0, 99))
def test_any_communities_give_a_network_that_goes_both_ways(
    community: list[int], seed: int
) -> None:
    network = social_network(np.array(community, np.int32), seed)
    source = np.repeat(np.arange(network.users), network.degrees()).tolist()
    ties = set(zip(source, network.other.tolist(), strict=True))
    assert ties == {(two, one) for one, two in ties}


@pytest.mark.benchmark
def test_a_hundred_thousand_users_take_seconds() -> None:
    start = time.perf_counter()
    world = generate_world(100_000, seed=0)
    took = time.perf_counter() - start
    print(f"generate_world(100_000): {took:.1f} s")
    assert len(world.history) == 1_000_000
    assert took < 60
