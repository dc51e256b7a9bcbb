"""The choice mind: what draws a user, and that decisions follow the equations alone."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recarena.server.datasets.generate import generate_world
from recarena.server.hearing import Deliveries
from recarena.server.minds.choice import ChoiceMind, Coefficients
from recarena.server.minds.choice.feeling import decode, decode_talk
from recarena.server.minds.choice.utility import Utility
from recarena.server.network import Network
from recarena.server.ports import PageDecision
from recarena.server.types import NOBODY, NOTHING, EventKind
from recarena.server.world import World
from support.pages import act, alike, played, view, watched_items
from support.worlds import tiny_world

MANY = 4000
PAGE = [1, 2, 3, 4, 5]
COLUMNS = ("watched", "rating", "appraisal", "code", "action", "sought", "sought_code")


def worth(world: World, seen: Any) -> np.ndarray:
    return Utility(Coefficients()).of_page(world, seen)


def watchers(world: World, item: int, seen: Any) -> set[int]:
    """Users who watch an item of their page."""
    items = watched_items(seen, act(world, seen))
    return {user for user, watched in enumerate(items) if item in watched}


def assert_same_decision(one: PageDecision, other: PageDecision) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert (one.words, one.query) == (other.words, other.query)


@pytest.fixture(scope="module")
def lived() -> World:
    """A generated world in which something has happened."""
    world, _ = played(generate_world(120, 4, history_per_user=4), 4)
    return world


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


# ------------------------------------------------------------------------------ the multinomial
def options(world: World, seen: Any) -> np.ndarray:
    """Utilities of the items of the first user's page, of NEXT and of LEAVE."""
    b = Coefficients()
    pages = 1 + int(seen.page[0])
    content = float(world.satisfaction(seen.users[:1])[0]) - 0.5
    exits = [
        b.go_on - b.go_on_fade * pages,
        b.leave + b.leave_page * pages - b.leave_satisfied * content,
    ]
    return np.concatenate([worth(world, seen)[0].astype(float), exits])


def chosen(seen: Any, decision: PageDecision, turn: int) -> np.ndarray:
    """[users]: the position watched in a turn, or the size of the page for NEXT, + 1 for LEAVE."""
    size = seen.items.shape[1]
    exits = np.where(decision.action == EventKind.NEXT, size, size + 1)
    watched = decision.watched[:, turn]
    return np.where(watched >= 0, watched, exits)


def chi_square(counts: np.ndarray, shares: np.ndarray) -> float:
    expected = shares / shares.sum() * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("page", [0, 2])
def test_choices_are_those_of_a_softmax_without_replacement(page: int):
    users = 60_000
    world = World(alike(users), 5)
    mind = ChoiceMind(Coefficients(item=-0.5))
    seen = view(users, PAGE, page=page)
    utility = options(world, seen)
    utility[:5] += 1.6  # by which the coefficient differs from its default
    weights = np.exp(utility)
    decision = act(world, seen, mind)
    first = chosen(seen, decision, 0)
    # 6 degrees of freedom: above 22.5 once in a thousand.
    assert chi_square(np.bincount(first, minlength=7), weights) < 22.5
    for position in range(5):
        second = chosen(seen, decision, 1)[first == position]
        left = np.where(np.arange(7) == position, 1e-12, weights)
        counts = np.bincount(second, minlength=7)
        assert counts[position] == 0
        assert chi_square(counts, left) < 24


def test_one_user_s_choices_over_many_rounds_are_those_of_a_softmax():
    world = World(alike(1), 5)
    counts = np.zeros(7)
    seen = view(1, PAGE)
    utility = options(world, seen)
    mind = ChoiceMind()
    for round in range(1, 3001):
        now = dataclasses.replace(seen, round=round)
        counts[chosen(now, act(world, now, mind), 0)] += 1
    assert chi_square(counts, np.exp(utility)) < 22.5


def test_whoever_leaves_has_watched_all_that_drew_more(lived: World):
    users = np.arange(lived.users, dtype=np.int32)
    items = (users[:, None] * 3 + np.arange(5)) % lived.items
    decision = act(lived, view(users, items))
    for row in decision.watched:
        kept = row[row >= 0]
        assert len(set(kept.tolist())) == len(kept)
        assert (row[len(kept) :] == -1).all()


# ------------------------------------------------------------------------------ batches
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_decisions_do_not_depend_on_who_else_decides(lived: World, data: st.DataObject):
    n = 60
    users = np.sort(np.random.default_rng(1).choice(lived.users, n, replace=False)).astype(np.int32)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    items = rng.integers(-1, lived.items, (n, 5)).astype(np.int32)
    just = rng.integers(-1, lived.items, (n, 2)).astype(np.int32)
    whole = dataclasses.replace(
        view(users, items, round=7, step=1, page=1, can_search=True),
        watched_now=just,
        sought=rng.integers(-1, lived.items, n).astype(np.int32),
        claims={
            (int(row), int(position)): (int(rng.integers(-1, 5)),)
            for row, position in np.argwhere(rng.random((n, 5)) < 0.2)
        },
    )
    together = act(lived, whole)
    group = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    for one in range(4):
        rows = np.flatnonzero(group == one)
        new = {int(old): number for number, old in enumerate(rows)}
        part = dataclasses.replace(
            whole, users=users[rows], items=items[rows], watched_now=just[rows],
            page=whole.page[rows], surface=whole.surface[rows], sought=whole.sought[rows],
            claims={(new[r], p): c for (r, p), c in whole.claims.items() if r in new},
        )  # fmt: skip
        alone = act(lived, part)
        for name in COLUMNS:
            np.testing.assert_array_equal(
                getattr(alone, name), getattr(together, name)[rows], err_msg=name
            )


@given(st.integers(0, 2**31), st.integers(1, 50))
@settings(max_examples=20, deadline=None)
def test_activity_and_talk_do_not_depend_on_who_else_decides(lived: World, split: int, round: int):
    mind = ChoiceMind()
    users = np.arange(lived.users, dtype=np.int32)
    first = np.random.default_rng(split).random(lived.users) < 0.5
    activity = asyncio.run(mind.choose_activity(lived, round, users))
    talk = asyncio.run(mind.socialise(lived, round, users))
    for rows in (first, ~first):
        alone = asyncio.run(mind.choose_activity(lived, round, users[rows]))
        np.testing.assert_array_equal(alone, activity[rows])
        said = asyncio.run(mind.socialise(lived, round, users[rows]))
        for name in ("kind", "partner", "item", "sentiment", "code"):
            np.testing.assert_array_equal(
                getattr(said, name), getattr(talk, name)[rows], err_msg=name
            )


def test_a_decision_changes_nothing_of_the_world(lived: World):
    before = {name: value.copy() for name, value in vars(lived).items()
              if isinstance(value, np.ndarray)}  # fmt: skip
    users = np.arange(lived.users, dtype=np.int32)
    mind = ChoiceMind()
    act(lived, view(users, PAGE, can_search=True))
    asyncio.run(mind.choose_activity(lived, 9, users))
    asyncio.run(mind.socialise(lived, 9, users))
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(lived, name), value, err_msg=name)


# ------------------------------------------------------------------------------ coming and going
def activity(world: World, round: int = 1) -> np.ndarray:
    users = np.arange(world.users, dtype=np.int32)
    return asyncio.run(ChoiceMind().choose_activity(world, round, users))


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
    code = asyncio.run(ChoiceMind().opens_with_words(world, 1, users))
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
