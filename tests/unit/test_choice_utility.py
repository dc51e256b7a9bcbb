"""What an item on a page is worth to a user of the choice mind."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from recarena.server.hearing import Deliveries
from recarena.server.minds.choice import ChoiceMind, Coefficients
from recarena.server.minds.choice.feeling import decode
from recarena.server.minds.choice.utility import Utility
from recarena.server.ports import PageDecision
from recarena.server.types import NOBODY, EventKind
from recarena.server.world import World
from support.pages import act, alike, view, watchers, worth

MANY = 4000
PAGE = [1, 2, 3, 4, 5]
COLUMNS = ("watched", "rating", "appraisal", "code", "action", "sought", "sought_code")


def assert_same_decision(one: PageDecision, other: PageDecision) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert (one.words, one.query) == (other.words, other.query)


# ------------------------------------------------------------------------------ explanations
def genre_of(world: World, item: int, *, has: bool) -> int:
    return int(np.flatnonzero(world.catalog.genres[item] == has)[0])


def liking(genre: int, points: float, users: int = MANY) -> World:
    """A world whose users have a taste for one genre and for nothing else."""
    taste = np.zeros((users, 6), np.float32)
    taste[:, genre] = points
    return World(alike(users, taste=taste, trust=1.0), 5)


def test_an_explanation_that_claims_nothing_changes_no_decision(lived: World):
    users = np.arange(lived.users, dtype=np.int32)
    items = (users[:, None] * 3 + np.arange(5)) % lived.items
    plain = view(users, items, can_search=True)
    empty = {(row, position): () for row in range(len(users)) for position in range(5)}
    placebo = dataclasses.replace(plain, claims=empty)
    assert (worth(lived, plain) == worth(lived, placebo)).all()
    assert_same_decision(act(lived, plain), act(lived, placebo))


def test_a_true_claim_of_a_liked_genre_brings_watchers_and_loses_none():
    item = PAGE[2]
    genre = genre_of(World(alike(1), 5), item, has=True)
    world = liking(genre, 0.8)
    plain = watchers(world, item, view(MANY, PAGE))
    claims = {(row, 2): (genre,) for row in range(MANY)}
    told = watchers(world, item, view(MANY, PAGE, claims=claims))
    assert plain < told
    assert len(told) > 1.2 * len(plain)


def test_a_true_claim_of_a_disliked_genre_warns():
    item = PAGE[2]
    genre = genre_of(World(alike(1), 5), item, has=True)
    world = liking(genre, -0.8)
    claims = {(row, 2): (genre,) for row in range(MANY)}
    plain = watchers(world, item, view(MANY, PAGE))
    assert watchers(world, item, view(MANY, PAGE, claims=claims)) < plain


@pytest.mark.parametrize("claim", ["a genre it has not", "a genre that is none"])
def test_a_false_claim_loses_watchers_also_of_a_liked_genre(claim: str):
    item = PAGE[2]
    genre = genre_of(World(alike(1), 5), item, has=False)
    world = liking(genre, 0.8)
    claimed = genre if claim == "a genre it has not" else -1
    claims = {(row, 2): (claimed,) for row in range(MANY)}
    plain = watchers(world, item, view(MANY, PAGE))
    told = watchers(world, item, view(MANY, PAGE, claims=claims))
    assert told < plain
    assert len(told) < 0.9 * len(plain)


def test_claims_weigh_as_much_as_they_are_trusted():
    item, users = PAGE[2], 3
    data = alike(users, trust=np.array([0, 0.5, 2]))
    world = World(data, 5)
    genre = genre_of(world, item, has=True)
    claims = {(row, 2): (genre, -1) for row in range(users)}
    added = worth(world, view(users, PAGE, claims=claims)) - worth(world, view(users, PAGE))
    b = Coefficients()
    once = b.explanation * (float(data.population.taste[0, genre]) - b.false_claim)
    np.testing.assert_allclose(added[:, 2], [0, once * 0.5, once * 2], atol=1e-5)
    assert (added[:, [0, 1, 3, 4]] == 0).all()


def test_what_a_seen_item_is_like_is_known():
    item, users = PAGE[2], 2
    world = World(alike(users, trust=1.0), 5)
    genre = genre_of(world, item, has=True)
    world.watched.add(np.array([0]), np.array([item]))
    claims = {(row, 2): (genre,) for row in range(users)}
    added = worth(world, view(users, PAGE, claims=claims)) - worth(world, view(users, PAGE))
    assert added[0, 2] == 0
    assert added[1, 2] != 0


# ------------------------------------------------------------------------------ items
def test_nothing_is_worth_watching_where_there_is_no_item():
    world = World(alike(MANY, taste=3.0), 5)
    seen = view(MANY, [1, -1, 3, -1, -1])
    values = worth(world, seen)
    assert (values[:, [1, 3, 4]] == -np.inf).all()
    assert np.isfinite(values[:, [0, 2]]).all()
    decision = act(world, seen)
    assert set(np.unique(decision.watched)) <= {-1, 0, 2}
    assert {0, 2} <= set(np.unique(decision.watched))
    assert EventKind.NEXT not in decision.action


def test_on_an_empty_page_one_can_only_leave_or_search():
    world = World(alike(MANY), 5)
    seen = view(MANY, [-1] * 5)
    assert set(act(world, seen).action.tolist()) == {EventKind.LEAVE}
    found = act(world, dataclasses.replace(seen, can_search=True))
    assert set(found.action.tolist()) == {EventKind.LEAVE, EventKind.SEARCH}
    assert (found.watched == -1).all()


def test_an_item_seen_before_or_a_moment_ago_is_watched_less():
    world = World(alike(MANY), 5)
    fresh = watchers(world, 3, view(MANY, PAGE))
    just = watchers(world, 3, view(MANY, PAGE, watched_now=[3]))
    world.watched.add(np.arange(MANY), np.full(MANY, 3))
    seen = watchers(world, 3, view(MANY, PAGE))
    assert seen < fresh
    assert just < fresh
    assert len(seen) < len(fresh) / 4


def test_further_down_the_page_an_item_is_watched_less():
    world = World(alike(MANY, position_bias=0.6), 5)
    top = watchers(world, 3, view(MANY, [3, 1, 2, 4, 5]))
    middle = watchers(world, 3, view(MANY, [1, 2, 3, 4, 5]))
    bottom = watchers(world, 3, view(MANY, [1, 2, 4, 5, 3]))
    assert bottom < middle < top
    unbiased = World(alike(MANY, position_bias=0.0), 5)
    assert watchers(unbiased, 3, view(MANY, [3, 1, 2, 4, 5])) == watchers(
        unbiased, 3, view(MANY, [1, 2, 4, 5, 3])
    )


def test_what_friends_praise_is_watched_more_and_ever_less_so_with_time():
    world = World(alike(MANY), 5)
    quiet = watchers(world, 3, view(MANY, PAGE))
    everybody = np.arange(MANY, dtype=np.int32)
    one = np.ones(MANY, np.float32)
    world.heard.add(
        1,
        Deliveries(
            everybody, np.full(MANY, NOBODY, np.int32), np.full(MANY, 3, np.int32), 2 * one, one,
            np.zeros(MANY, bool), np.arange(MANY),
        ),
    )  # fmt: skip
    assert quiet < watchers(world, 3, view(MANY, PAGE))
    values = [worth(world, view(1, PAGE, round=round))[0, 2] for round in (1, 7, 13)]
    half = Coefficients().word_of_mouth
    np.testing.assert_allclose(np.diff(values), [-half, -half / 2], atol=1e-5)


def test_what_was_sought_is_worth_more():
    world = World(alike(1), 5)
    added = worth(world, view(1, PAGE, sought=3)) - worth(world, view(1, PAGE))
    np.testing.assert_allclose(added[0], [0, 0, Coefficients().sought, 0, 0], atol=1e-6)


def test_popular_and_good_items_and_those_to_ones_taste_are_worth_more(lived: World):
    catalog, people = lived.catalog, lived.population
    users = np.arange(lived.users, dtype=np.int32)
    everything = np.arange(lived.items, dtype=np.int32)
    values = worth(lived, view(users, everything)) + (
        people.position_bias[:, None] * np.log1p(np.arange(lived.items))
    )
    taste = lived.taste @ catalog.attributes.T
    assert np.corrcoef(values.ravel(), taste.ravel())[0, 1] > 0.5
    assert np.corrcoef(values.mean(axis=0), catalog.quality)[0, 1] > 0.2
    trend = people.conformity > np.median(people.conformity)
    pull = [
        np.corrcoef(values[who].mean(axis=0), lived.popularity)[0, 1] for who in (trend, ~trend)
    ]
    assert pull[0] > pull[1]


def test_ratings_follow_the_truth_and_stay_between_1_and_5(lived: World):
    users = np.arange(lived.users, dtype=np.int32)
    items = (users[:, None] * 3 + np.arange(10)) % lived.items
    seen = view(users, items)
    decision = act(lived, seen, ChoiceMind(Coefficients(item=99)))
    watched = decision.watched >= 0
    assert watched.all()
    assert set(np.unique(decision.rating[watched])) <= {1, 2, 3, 4, 5}
    assert (np.abs(decision.appraisal) <= 4).all()
    assert (decision.appraisal * 256 == np.rint(decision.appraisal * 256)).all()
    true = Utility(Coefficients()).true_rating(
        lived, 1, np.repeat(users, 10), np.take_along_axis(items, decision.watched, 1).ravel()
    )
    assert np.corrcoef(true, decision.rating.ravel())[0, 1] > 0.7
    for code, stars in zip(decision.code[watched], decision.rating[watched], strict=True):
        assert decode(int(code)).valence == max(0, stars - 2)
