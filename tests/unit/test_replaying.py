"""A round's log answers what it answered once, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recarena.server.datasets.specs import open_world
from recarena.server.errors import LogDeparted
from recarena.server.logged import LoggedRecommender, LoggedRound
from recarena.server.minds.choice import ChoiceMind
from recarena.server.minds.choice.coefficients import Coefficients
from recarena.server.ports import Lists, RankRequest, SearchRequest
from recarena.server.replaying import difference
from recarena.server.rounds import RoundRules, play_round
from recarena.server.types import SURFACES, EventColumns, EventKind, Outcome, Surface
from recarena.server.world import World
from support.columns import assert_same
from support.pages import rotating

DATA = open_world("new:users=80,seed=6,history=3")
CATALOG, USERS = DATA.catalog, DATA.population.user_ids
ARM = np.zeros(len(USERS), np.int8)
MIND = ChoiceMind(Coefficients(conversation=0.0))


class Talking:
    """Lists with all that a recommender may say, of every outcome."""

    can_search = can_converse = True

    def __init__(self, world: World) -> None:
        self._lists = rotating(world)

    async def rank(self, request: RankRequest) -> Lists:
        return self._said(await self._lists.rank(request), request)

    async def search(self, request: SearchRequest) -> Lists:
        return self._said(await self._lists.search(request), request)

    def _said(self, lists: Lists, request: RankRequest | SearchRequest) -> Lists:
        """By user alone, so that cohorts change nothing."""
        users = enumerate(request.users.tolist())
        outcome = (request.users % 6 + 1).astype(np.int8)
        said = replace(lists, outcome=outcome, works=())
        for row, user in users:
            if user % 2:
                said.tokens[row] = f"token of {user}"
            if user % 3 == 0:
                said.explanations[row, 1] = "" if user % 2 else f"for user {user}"
                said.evidence[row, 1] = '[["feature","genre=Comedy"],["feature","genre=None"]]'
                said.claims[row, 1] = (CATALOG.genre_number["comedy"], -1)
            if user % 7 == 0:
                said.items[row, 3:] = -1
        return said


@cache
def lived() -> tuple[World, EventColumns]:
    """A world after two rounds, and the events of the third."""
    world = World(DATA, 5)
    for _ in range(2):
        world.apply(played(world, rotating(world)))
    return world, played(world, Talking(world)).events


def played(world, recommender, rules=RoundRules()):  # noqa: B008
    return asyncio.run(play_round(world, MIND, [recommender], ARM, rules))


def logged(events: EventColumns | None = None) -> LoggedRound:
    return LoggedRound("run-1", lived()[1] if events is None else events, CATALOG, USERS)


def first_with(surface: Surface) -> int:
    """A user whose first page is of this surface."""
    pages = lived()[1].of(EventKind.PAGE)
    return int(pages.user[(pages.step == 0) & (pages.surface == surface)][0])


def rank(*users: int, offset: int = 0, count: int = 5) -> RankRequest:
    return RankRequest(3, np.array(users, np.int32), np.full(len(users), offset, np.int32), count)


def converse(user: int, words: str) -> SearchRequest:
    one = np.zeros(1, np.int32)
    return SearchRequest(3, np.array([user], np.int32), one, 5, [words], one, conversation=True)


# ------------------------------------------------------------------------------ the same again
def test_the_round_under_test_has_everything_in_it():
    events = lived()[1]
    pages = events.of(EventKind.PAGE)
    assert set(pages.outcome.tolist()) == {one.value for one in Outcome if one}
    assert set(pages.surface.tolist()) == {Surface.FEED, Surface.SEARCH, Surface.CONVERSATION}
    assert pages.text
    assert events.evidence
    assert "" in events.of(EventKind.SHOWN).text.values()
    assert len(events.of(EventKind.NEXT)) > 0


@hypothesis_settings(max_examples=12, deadline=None)
@given(size=st.integers(1, 90), at_once=st.integers(1, 8))
def test_a_round_comes_out_as_it_was_however_users_are_grouped(size, at_once):
    world, events = lived()
    pages = logged()
    rules = RoundRules(cohort_size=size, cohorts_at_once=at_once)
    found = played(world, LoggedRecommender(pages, SURFACES), rules)
    pages.finish()
    assert_same(found.events, events)
    assert found.events.evidence == events.evidence


@hypothesis_settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_users_may_be_asked_for_in_any_order(data):
    world, events = lived()
    pages = events.of(EventKind.PAGE)
    feed = pages.take((pages.step == 0) & (pages.surface == Surface.FEED)).user
    order = data.draw(st.permutations(feed.tolist()))
    cut = data.draw(st.integers(0, len(order)))
    whole = asyncio.run(Talking(world).rank(rank(*order)))
    log = logged()
    for users, rows in ((order[:cut], slice(0, cut)), (order[cut:], slice(cut, None))):
        found = log.ranked(rank(*users))
        np.testing.assert_array_equal(found.items, whole.items[rows])
        np.testing.assert_array_equal(found.outcome, whole.outcome[rows])
        for name in ("tokens", "explanations", "claims", "evidence"):
            told = {users[at[0] if isinstance(at, tuple) else at]: one
                    for at, one in getattr(found, name).items()}  # fmt: skip
            expected = {order[at[0] if isinstance(at, tuple) else at]: one
                        for at, one in getattr(whole, name).items()}  # fmt: skip
            assert told == {user: one for user, one in expected.items() if user in users}, name


def test_users_have_what_they_had_beside_the_feed():
    one = LoggedRecommender(logged(), ["search"])
    assert (one.can_search, one.can_converse) == (True, False)
    one = LoggedRecommender(logged(), ["converse"])
    assert (one.can_search, one.can_converse) == (False, True)


def test_a_round_without_events_has_no_pages():
    pages = logged(EventColumns.empty())
    pages.finish()
    with pytest.raises(LogDeparted, match=r"run run-1, user u000001: .*nothing more of this"):
        pages.ranked(rank(0))


# ------------------------------------------------------------------------------ departures
def departure(act) -> str:
    with pytest.raises(LogDeparted) as error:
        act()
    return str(error.value)


def test_another_page_than_the_logged_one_is_a_departure():
    user = first_with(Surface.FEED)
    assert departure(lambda: logged().ranked(rank(user, offset=5))) == (
        f"run run-1, round 3, user {USERS[user]}: the feed from rank 5 was asked for, but the log "
        "has the feed from rank 0"
    )


def test_other_words_than_the_logged_ones_are_a_departure():
    user = first_with(Surface.CONVERSATION)
    told = departure(lambda: logged().found(converse(user, "Nonsense")))
    assert "the conversation for 'Nonsense' from rank 0 was asked for, but the log has" in told
    assert "the log has the conversation for '" in told


def test_another_surface_than_the_logged_one_is_a_departure():
    user = first_with(Surface.FEED)
    told = departure(lambda: logged().found(converse(user, "Comedy")))
    assert told.endswith("but the log has the feed from rank 0")


def test_a_user_who_saw_nothing_more_is_a_departure_and_takes_nothing():
    pages = logged()
    user = first_with(Surface.FEED)
    idle = int(np.setdiff1d(np.arange(len(USERS)), pages.user)[0])
    told = departure(lambda: pages.ranked(rank(user, idle)))
    assert f"user {USERS[idle]}" in told
    assert told.endswith("but the log has nothing more of this user")
    assert pages.ranked(rank(user)).items.shape == (1, 5)


def test_a_smaller_page_than_the_logged_one_is_a_departure():
    user = first_with(Surface.FEED)
    assert "a page of 2 was asked for" in departure(lambda: logged().ranked(rank(user, count=2)))


def test_a_page_that_nobody_asked_for_is_a_departure():
    told = departure(logged().finish)
    assert "no more was asked for, but the log has" in told


@pytest.mark.parametrize(
    ("kind", "column", "value", "says"),
    [
        (EventKind.SHOWN, "item", 10**6, "items that the catalogue has not"),
        (EventKind.SHOWN, "item", -1, "items that the catalogue has not"),
        (EventKind.SHOWN, "position", -1, "at no position"),
        (EventKind.PAGE, "user", 10**6, "users who are not there"),
        (EventKind.PAGE, "user", -1, "users who are not there"),
        (EventKind.PAGE, "kind", EventKind.CHAT, "items that are on no page"),
        (EventKind.SEARCH, "code", 999, "genres that are not there"),
    ],
)
def test_a_log_that_makes_no_sense_is_told_and_no_traceback(kind, column, value, says):
    events = lived()[1]
    changed = getattr(events, column).copy()
    changed[np.flatnonzero(events.kind == kind)[-1]] = value
    assert says in departure(lambda: logged(replace(events, **{column: changed})))


def test_evidence_that_is_none_is_a_departure():
    events = lived()[1]
    broken = replace(events, evidence=dict.fromkeys(events.evidence, "{"))
    user = int(events.user[min(broken.evidence)])
    pages = events.of(EventKind.PAGE)
    assert pages.surface[pages.user == user][0] in (Surface.FEED, Surface.CONVERSATION)
    told = departure(lambda: played(lived()[0], LoggedRecommender(logged(broken), SURFACES)))
    assert "round 3, event" in told


# ------------------------------------------------------------------------------ telling
def test_the_first_difference_is_told_in_words():
    events = lived()[1]
    watch = int(np.flatnonzero(events.kind == EventKind.WATCH)[0])
    value = events.value.copy()
    value[watch:] += 1
    told = difference(replace(events, value=value), events, DATA)
    who = USERS[int(events.user[watch])]
    assert told == (
        f"event {watch} (watch of user {who}): value is {value[watch]}, and in the log "
        f"{events.value[watch]}"
    )


def test_a_difference_of_words_or_of_length_is_told():
    events = lived()[1]
    row = min(events.text)
    told = difference(replace(events, text={**events.text, row: "new"}), events, DATA)
    assert "text is 'new', and in the log" in told
    told = difference(events.take(np.arange(10)), events, DATA)
    assert told == f"10 events came out, and the log has {len(events)}"
