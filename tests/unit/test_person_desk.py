"""Turns at the desk: who ends them, what they allow, and what becomes of those that nobody ends."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from recarena.server.errors import Conflict, InputError
from recarena.server.minds.person.desk import TurnDesk, TurnOutcome
from recarena.server.minds.person.rules import taken
from recarena.server.minds.person.turns import (
    ActivityTurn,
    Doing,
    Opened,
    OpeningTurn,
    PageChoice,
    PageTurn,
    Said,
    SocialTurn,
    WatchChoice,
)
from recarena.server.types import NOBODY, EventKind, Surface
from recarena.server.world import World
from support.clock import VirtualLoop, now, on_a_virtual_clock, until
from support.pages import view
from support.people import taken_over
from support.worlds import tiny_world

USER = 1
GO = Doing(EventKind.ENTER_RECOMMENDER)


def world(turn_time_s: float = 60.0) -> World:
    return taken_over(World(tiny_world(6, 8), 1), USER, turn_time_s=turn_time_s)


def activity(of: World, round: int = 1) -> ActivityTurn:
    return ActivityTurn(of, round, USER)


def page(items: Any = (4, 2, 6), last: bool = False, **more: Any) -> PageTurn:
    of = world()
    return PageTurn(of, 1, USER, view(np.array([USER], np.int32), items, **more), last)


def social(of: World | None = None) -> SocialTurn:
    return SocialTurn(of or world(), 1, USER)


def problems(turn: Any, choice: Any) -> dict[str, str]:
    with pytest.raises(InputError) as refused:
        taken(turn, choice)
    return dict(refused.value.fields)


async def opened(desk: TurnDesk) -> str:
    """Id of the turn that is open, or is next."""
    state = desk.state(USER)
    while state.open is None:
        state = await desk.watch(USER, state.version)
    return state.open.id


# ------------------------------------------------------------------------------ who ends a turn
@on_a_virtual_clock
async def test_a_choice_ends_the_turn_at_once():
    desk = TurnDesk()
    asking = asyncio.create_task(desk.ask(activity(world())))
    number = await opened(desk)
    began = now()
    assert desk.state(USER).remaining_s == 60.0
    desk.decide(USER, number, GO)
    assert await asking == GO
    assert now() == began
    state = desk.state(USER)
    assert (state.open, state.last_outcome, state.missed_rounds) == (None, TurnOutcome.DECIDED, 0)


@on_a_virtual_clock
async def test_a_turn_is_over_at_its_deadline_and_with_it_the_round():
    desk, of = TurnDesk(), world(turn_time_s=7.0)
    began = now()
    assert await desk.ask(activity(of)) is None
    assert now() == began + 7.0
    assert desk.state(USER).last_outcome is TurnOutcome.TIMED_OUT
    assert desk.state(USER).missed_rounds == 1
    assert await desk.ask(social(of)) is None
    assert now() == began + 7.0, "the rest of the round is not waited for"


@on_a_virtual_clock
async def test_who_leaves_in_the_middle_of_a_turn_is_not_waited_for_in_that_round_and_missed_none():
    desk, of = TurnDesk(), world()
    began = now()
    asking = asyncio.create_task(desk.ask(activity(of)))
    number = await opened(desk)
    desk.leave(USER, 1)
    assert await asking is None
    with pytest.raises(Conflict, match="is over"):
        desk.decide(USER, number, GO)
    assert await desk.ask(social(of)) is None
    assert now() == began
    assert (desk.state(USER).open, desk.state(USER).missed_rounds) == (None, 0)
    asking = asyncio.create_task(desk.ask(activity(of, 2)))
    desk.leave(USER, 1)
    desk.decide(USER, await opened(desk), GO)
    assert await asking == GO, "of a later round somebody who took the user over anew is asked"


@on_a_virtual_clock
async def test_a_choice_just_before_the_deadline_counts_and_one_at_it_does_not():
    for early, counts in ((0.001, True), (0.0, False)):
        desk = TurnDesk()
        asking = asyncio.create_task(desk.ask(activity(world(turn_time_s=7.0))))
        number = await opened(desk)
        await until(now() + 7.0 - early)
        if counts:
            desk.decide(USER, number, GO)
        else:
            with pytest.raises(Conflict, match="is over"):
                desk.decide(USER, number, GO)
        assert await asking == (GO if counts else None)


@on_a_virtual_clock
async def test_a_choice_after_the_deadline_does_not_count_though_nobody_has_said_so_yet():
    """Where the loop was busy, a choice may be read before the alarm rings."""
    desk = TurnDesk()
    asking = asyncio.create_task(desk.ask(activity(world(turn_time_s=7.0))))
    number = await opened(desk)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.pass_by(7.0)
    with pytest.raises(Conflict, match="its time was up"):
        desk.decide(USER, number, GO)
    assert await asking is None
    assert desk.state(USER).last_outcome is TurnOutcome.TIMED_OUT


@on_a_virtual_clock
async def test_the_next_round_is_asked_again_after_a_missed_turn():
    desk, of = TurnDesk(), world()
    assert await desk.ask(activity(of, 1)) is None
    asking = asyncio.create_task(desk.ask(activity(of, 2)))
    desk.decide(USER, await opened(desk), GO)
    assert await asking == GO
    assert desk.state(USER).missed_rounds == 0


@on_a_virtual_clock
async def test_missed_rounds_are_counted_in_a_row_and_each_once():
    desk, of = TurnDesk(), world()
    for round in (1, 2, 2):
        assert await desk.ask(activity(of, round)) is None
    assert desk.state(USER).missed_rounds == 2
    asking = asyncio.create_task(desk.ask(activity(of, 3)))
    desk.decide(USER, await opened(desk), GO)
    assert await asking == GO
    assert await desk.ask(social(of)) is None
    assert desk.state(USER).missed_rounds == 0, "something was decided in round 3"
    assert await desk.ask(activity(of, 7)) is None
    assert desk.state(USER).missed_rounds == 1


@on_a_virtual_clock
async def test_a_turn_of_a_round_that_is_given_up_is_withdrawn_and_asked_again():
    desk, of = TurnDesk(), world()
    first = asyncio.create_task(desk.ask(activity(of)))
    withdrawn = await opened(desk)
    first.cancel()
    await asyncio.wait({first})
    assert desk.state(USER).open is None
    assert desk.state(USER).last_outcome is TurnOutcome.NONE
    with pytest.raises(Conflict):
        desk.decide(USER, withdrawn, GO)
    again = asyncio.create_task(desk.ask(activity(of)))
    number = await opened(desk)
    assert number != withdrawn
    desk.decide(USER, number, GO)
    assert await again == GO


@on_a_virtual_clock
async def test_turns_have_other_ids_at_another_desk():
    numbers: set[str] = set()
    for desk in (TurnDesk(), TurnDesk()):
        asking = asyncio.create_task(desk.ask(activity(world())))
        numbers.add(await opened(desk))
        asking.cancel()
        await asyncio.wait({asking})
    assert len(numbers) == 2


@on_a_virtual_clock
async def test_whoever_watches_hears_of_every_change_and_of_nothing_else():
    desk, of = TurnDesk(), world()
    assert (await desk.watch(USER, -1)).open is None
    watching = asyncio.create_task(desk.watch(USER, desk.state(USER).version))
    other = asyncio.create_task(desk.watch(0, 0))
    asking = asyncio.create_task(desk.ask(activity(of)))
    state = await watching
    assert state.open is not None
    watching = asyncio.create_task(desk.watch(USER, state.version))
    with pytest.raises(InputError):
        desk.decide(USER, state.open.id, Said("hello"))
    await asyncio.sleep(0)
    assert not watching.done()
    assert not other.done()
    desk.decide(USER, state.open.id, GO)
    assert (await watching).last_outcome is TurnOutcome.DECIDED
    assert await asking == GO
    assert not other.done()
    other.cancel()


@on_a_virtual_clock
async def test_the_turn_goes_on_after_a_choice_that_it_does_not_allow():
    desk, turn = TurnDesk(), page()
    began = now()
    asking = asyncio.create_task(desk.ask(turn))
    number = await opened(desk)
    await until(began + 20)
    with pytest.raises(InputError):
        desk.decide(USER, number, PageChoice((WatchChoice(9),)))
    assert desk.state(USER).remaining_s == 40.0
    desk.decide(USER, number, PageChoice((WatchChoice(2, 4),)))
    assert await asking == PageChoice((WatchChoice(2, 4),))


@on_a_virtual_clock
async def test_a_turn_cannot_be_decided_twice_or_for_somebody_else():
    desk = TurnDesk()
    asking = asyncio.create_task(desk.ask(activity(world())))
    number = await opened(desk)
    for user, wrong in ((0, number), (USER, "x"), (2, "")):
        with pytest.raises(Conflict):
            desk.decide(user, wrong, GO)
    desk.decide(USER, number, GO)
    with pytest.raises(Conflict):
        desk.decide(USER, number, GO)
    assert await asking == GO


# ------------------------------------------------------------------------------ what is allowed
def test_every_field_that_is_wrong_is_named():
    choice = PageChoice(
        (WatchChoice(0, 6), WatchChoice(3), WatchChoice(0, 1, "x" * 501), WatchChoice(-1)),
        EventKind.SEARCH,
        "x" * 201,
    )
    found = problems(page(), choice)
    assert set(found) == {
        "decision.page.watches[0].rating",
        "decision.page.watches[1].position",
        "decision.page.watches[2].position",
        "decision.page.watches[2].feeling",
        "decision.page.watches[3].position",
        "decision.page.action",
        "decision.page.query",
    }
    assert found["decision.page.watches[1].position"] == (
        "there is no item at 3; the page has 0, 1, 2"
    )


def test_nothing_can_be_watched_where_nothing_is_shown():
    found = problems(page((4, -1, 6)), PageChoice((WatchChoice(1),)))
    assert found == {
        "decision.page.watches[0].position": "there is no item at 1; the page has 0, 2"
    }
    empty = problems(page((-1, -1)), PageChoice((WatchChoice(0),)))
    assert "the page is empty" in empty["decision.page.watches[0].position"]


@pytest.mark.parametrize(
    ("choice", "turn", "path"),
    [
        (PageChoice(action=EventKind.NEXT), page((4, 2, -1)), "decision.page.action"),
        (PageChoice(action=EventKind.SEARCH, query="x"), page(), "decision.page.action"),
        (
            PageChoice(action=EventKind.SEARCH, query=" \n\u200b"),
            page(can_search=True),
            "decision.page.query",
        ),
        (PageChoice(action=EventKind.POST), page(), "decision.page.action"),
        (Opened("x" * 201), OpeningTurn(world(), 1, USER), "decision.opening.words"),
        (Doing(EventKind.WATCH), activity(world()), "decision.activity"),
        (GO, page(), "decision"),
        (Said("hello", USER), social(), "decision.social.user_id"),
        (Said("hello", item=8), social(), "decision.social.item_id"),
        (Said("hello", item=-2), social(), "decision.social.item_id"),
        (Said("hello", sentiment=2.5), social(), "decision.social.sentiment"),
        (Said("hello", sentiment=float("nan")), social(), "decision.social.sentiment"),
        (Said("x" * 501), social(), "decision.social.words"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_by_its_field(choice, turn, path):
    assert list(problems(turn, choice)) == [path]


def test_after_a_conversation_comes_the_home_page_however_short_the_answer_was():
    turn = page((4, -1, -1))
    turn.view.surface[0] = Surface.CONVERSATION
    assert taken(turn, PageChoice(action=EventKind.NEXT)) == PageChoice(action=EventKind.NEXT)


def test_the_last_page_ends_the_visit_whatever_is_asked_for():
    choice = PageChoice((WatchChoice(0, 3),), EventKind.NEXT)
    assert taken(page((4, -1), last=True), choice) == PageChoice((WatchChoice(0, 3),))


def test_somebody_without_acquaintances_cannot_go_among_people_nor_post():
    of = world()
    of.network.start[:] = 0
    assert not of.network.degrees().any()
    assert "nobody" in problems(activity(of), Doing(EventKind.ENTER_SOCIAL))["decision.activity"]
    assert "nobody" in problems(social(of), Said("hello"))["decision.social.user_id"]


def test_a_chat_is_with_an_acquaintance_or_whoever_posted_last():
    of = world()
    known = of.network.other[of.network.ties_of(USER)].tolist()
    stranger = next(one for one in range(of.users) if one not in (*known, USER))
    assert taken(social(of), Said("hello", known[0])) == Said("hello", known[0])
    assert list(problems(social(of), Said("hello", stranger))) == ["decision.social.user_id"]
    of.unread[USER], of.unread_author[USER] = 1, stranger
    assert taken(social(of), Said("hello", stranger)) == Said("hello", stranger)


def test_words_are_taken_on_one_line_without_what_nobody_sees():
    feeling = PageChoice((WatchChoice(0, 5, "  so\n\tgood\u202e!\x00 "),))
    assert taken(page(), feeling) == PageChoice((WatchChoice(0, 5, "so good!"),))
    assert taken(social(), Said(" \n ", NOBODY, 3, 1.0)) == Said()


def test_a_query_without_a_search_is_left_out():
    assert taken(page(), PageChoice(action=EventKind.NEXT, query="x")) == PageChoice(
        action=EventKind.NEXT
    )
