"""When users of the choice mind come and go, what they search for and whom they talk to."""

from __future__ import annotations

import asyncio
import dataclasses

import numpy as np
import pytest

from recarena.server.minds.choice import ChoiceMind, Coefficients
from recarena.server.minds.choice.feeling import decode_talk
from recarena.server.network import Network
from recarena.server.ports import PageDecision
from recarena.server.types import NOBODY, NOTHING, EventKind
from recarena.server.world import World
from support.pages import act, alike, chi_square, played, view
from support.worlds import tiny_world

MANY = 4000
PAGE = [1, 2, 3, 4, 5]
COLUMNS = ("watched", "rating", "appraisal", "code", "action", "sought", "sought_code")


def assert_same_decision(one: PageDecision, other: PageDecision) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert (one.words, one.query) == (other.words, other.query)


# ------------------------------------------------------------------------------ coming and going
def activity(world: World, round: int = 1) -> np.ndarray:
    users = np.arange(world.users, dtype=np.int32)
    return asyncio.run(ChoiceMind().choose_activity(world, round, users)).kind


def test_users_without_ties_never_go_to_the_social_network():
    world = World(alike(MANY, sociability=20.0, activity=20.0), 5)
    assert set(activity(world).tolist()) == {EventKind.ENTER_RECOMMENDER}
    friends = Network.from_ties(
        MANY, np.array([0]), np.array([1]), np.array([0.5]), np.array([0]), ("friend",)
    )
    tied = World(dataclasses.replace(world.data, network=friends), 5)
    assert np.flatnonzero(activity(tied) == EventKind.ENTER_SOCIAL).tolist() == [0]


def test_activity_follows_its_logit():
    world = World(alike(MANY, activity=-0.7), 5)
    share = np.mean([(activity(world, r) != EventKind.IDLE).mean() for r in range(1, 6)])
    assert share == pytest.approx(1 / (1 + np.exp(0.7)), abs=0.015)


def test_the_satisfied_come_more_and_stay_longer():
    gloomy, happy = World(alike(MANY, activity=0.0), 5), World(alike(MANY, activity=0.0), 5)
    gloomy.experience[:], happy.experience[:] = -5, 5
    came = [set(np.flatnonzero(activity(one) != EventKind.IDLE)) for one in (gloomy, happy)]
    assert came[0] < came[1]
    left = [
        set(np.flatnonzero(act(one, view(MANY, PAGE)).action == EventKind.LEAVE))
        for one in (gloomy, happy)
    ]
    assert left[1] < left[0]


def test_every_page_makes_leaving_likelier():
    world = World(alike(MANY), 5)
    left = [
        set(np.flatnonzero(act(world, view(MANY, PAGE, page=page)).action == EventKind.LEAVE))
        for page in (0, 2, 5)
    ]
    assert left[0] < left[1] < left[2]


def test_whoever_was_long_away_comes_sooner():
    world = World(alike(MANY, activity=-1.0), 5)
    fresh = set(np.flatnonzero(activity(world) != EventKind.IDLE))
    world.gap[:] = 20
    assert fresh < set(np.flatnonzero(activity(world) != EventKind.IDLE))


# ------------------------------------------------------------------------------ searching
def test_nobody_searches_where_there_is_no_search_box(lived: World):
    users = np.arange(lived.users, dtype=np.int32)
    decision = act(lived, view(users, PAGE), ChoiceMind(Coefficients(search=20)))
    assert EventKind.SEARCH not in decision.action
    assert (decision.sought == NOTHING).all()
    assert (decision.sought_code == 0).all()


def test_a_search_is_for_what_was_praised_or_else_for_a_genre(lived: World):
    users = np.arange(lived.users, dtype=np.int32)
    seen = view(users, PAGE, can_search=True, round=lived.round + 1)
    decision = act(lived, seen, ChoiceMind(Coefficients(search=20)))
    assert (decision.action == EventKind.SEARCH).all()
    by_item = decision.sought != NOTHING
    assert by_item.any()
    assert not by_item.all()
    assert (decision.sought_code[by_item] == 0).all()
    assert ((decision.sought_code >= 1) == ~by_item).all()
    assert decision.sought_code.max() <= len(lived.catalog.genre_names)
    for user in np.flatnonzero(by_item):
        item = decision.sought[user]
        assert item in lived.heard.item[user]
        assert item not in PAGE
        assert not lived.watched.has(np.array([user]), np.array([item]))[0]


def test_opening_with_words_asks_for_a_genre():
    world = World(alike(MANY), 5)
    users = np.arange(MANY, dtype=np.int32)
    code = asyncio.run(ChoiceMind().opens_with_words(world, 1, users)).code
    share = (code > 0).mean()
    assert share == pytest.approx(1 / (1 + np.exp(2.5)), abs=0.02)
    assert set(code.tolist()) <= set(range(len(world.catalog.genre_names) + 1))


# ------------------------------------------------------------------------------ talking
def test_talk_is_with_acquaintances_about_something_known(lived: World):
    users = np.arange(lived.users, dtype=np.int32)
    network = lived.network
    answers = 0
    for round in range(5, 12):
        talk = asyncio.run(ChoiceMind().socialise(lived, round, users))
        for user in users.tolist():
            kind, partner, item = (
                int(talk.kind[user]),
                int(talk.partner[user]),
                int(talk.item[user]),
            )
            if not kind:
                assert (talk.code[user], talk.sentiment[user]) == (0, 0)
                continue
            how = decode_talk(int(talk.code[user]))
            assert -2 <= talk.sentiment[user] <= 2
            if kind == EventKind.POST:
                assert partner == NOBODY
                assert item != NOTHING
            elif how.answers:
                answers += 1
                assert (partner, item) == (lived.unread_author[user], lived.unread_item[user])
                assert lived.unread[user] > 0
            else:
                assert partner in network.other[network.ties_of(user)]
            if how.own and not how.answers:
                assert item == lived.last_item[user]
    assert answers


def test_partners_are_chosen_in_proportion_to_closeness():
    source, other = np.zeros(3, np.int64), np.array([1, 2, 3])
    closeness = np.array([0.2, 0.3, 1.0])
    network = Network.from_ties(4, source, other, closeness, np.zeros(3, np.int64), ("friend",))
    data = dataclasses.replace(alike(4, posting=-30.0), network=network)
    world = World(data, 5)
    me = np.zeros(1, np.int32)
    counts = np.zeros(4)
    for round in range(1, 1501):
        counts[asyncio.run(ChoiceMind().socialise(world, round, me)).partner[0]] += 1
    assert counts[0] == 0
    assert chi_square(counts[1:], closeness) < 13.8  # 2 degrees of freedom, one in a thousand


def test_whoever_knows_nobody_and_nothing_says_nothing():
    world = World(alike(3), 5)
    talk = asyncio.run(ChoiceMind().socialise(world, 1, np.arange(3, dtype=np.int32)))
    assert talk.kind.tolist() == [0, 0, 0]
    assert talk.partner.tolist() == [NOBODY] * 3


def test_it_says_that_it_is_no_language_model():
    assert ChoiceMind().is_llm is False


def test_a_world_without_items_that_have_genres_can_be_played():
    data = tiny_world(20, 6)
    bare = dataclasses.replace(data.catalog, genres=np.zeros_like(data.catalog.genres))
    _, results = played(dataclasses.replace(data, catalog=bare), 2)
    assert EventKind.WATCH in results[0].events.kind
