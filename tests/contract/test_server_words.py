"""Events and rounds in words, users as they are, items, and what a run says of itself."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from recarena.server.population import TRAITS
from recarena.server.types import EventKind
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import simulation_observe_service_pb2 as pb
from recarena.v1.run_pb2 import UserEvent
from support.arena import log_of
from support.operators import gathered, refused

CODE = grpc.StatusCode
SMALL = "new:users=12,seed=3,history=2"


async def paged(call: Any, request: Any, field: str) -> list[Any]:
    """All entries, page by page."""
    found: list[Any] = []
    for _ in range(1000):
        page = await call(request)
        found += getattr(page, field)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token
    raise AssertionError("the pages do not end")


# ------------------------------------------------------------------------------ events
async def test_events_are_told_in_the_order_asked_for(operator):
    run = await operator.played(world=SMALL)
    size = len(log_of(run, 1))
    sequences = [size - 1, 0, 3, 0]
    request = pb.TellEventsRequest(run_id="run", round=1, sequences=sequences)
    events = (await operator.observe.TellEvents(request)).events
    assert [event.sequence for event in events] == sequences
    assert {event.round for event in events} == {1}
    assert events[1] == events[3]


async def test_an_event_says_all_that_the_log_has_of_it(operator):
    run = await operator.played()
    log = log_of(run, 2)
    request = pb.TellEventsRequest(run_id="run", round=2, sequences=range(min(len(log), 1000)))
    events = (await operator.observe.TellEvents(request)).events
    titles = run.data.catalog.titles
    for row, event in enumerate(events):
        kind = EventKind(int(log.kind[row]))
        assert event.text.startswith(event.user_name)
        assert event.HasField("step") == (log.step[row] >= 0)
        assert not event.by_person
        if kind is EventKind.PAGE:
            assert event.outcome == "accepted"
            assert event.surface == log.surface[row] != 0
        else:
            assert (event.outcome, event.surface) == ("", 0)
        if event.item_title and kind in (EventKind.SHOWN, EventKind.WATCH):
            assert event.item_title in event.text
            assert event.item_id == run.data.catalog.item_ids[int(log.item[row])]
            assert titles[int(log.item[row])]
        if kind is EventKind.WATCH:
            assert event.words in event.text
        if kind is EventKind.CHAT:
            assert event.other_user_name in event.text


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"round": 0}, CODE.NOT_FOUND, "rounds 1 to 2"),
        ({"round": 3}, CODE.NOT_FOUND, "rounds 1 to 2"),
        ({"round": 2**32 - 1}, CODE.NOT_FOUND, "rounds 1 to 2"),
        ({"round": 1, "sequences": [0, 10**6]}, CODE.INVALID_ARGUMENT, "sequences[1]: "),
        ({"round": 1, "sequences": [0] * 1001}, CODE.INVALID_ARGUMENT, "sequences: 1,001"),
    ],
)
async def test_events_that_are_not_there_are_refused(operator, fields, code, says):
    await operator.played(world=SMALL)
    async with refused(code) as status:
        await operator.observe.TellEvents(pb.TellEventsRequest(run_id="run", **fields))
    assert says in status.message


@pytest.mark.parametrize("size", [1, 2, 50])
async def test_the_events_of_a_user_are_listed_newest_round_first(operator, size):
    run = await operator.played(round_limit=4, world=SMALL)
    told = await gathered(operator.events(event_types=range(1, 14)))
    for user in run.data.population.user_ids[:4]:
        request = pb.ListUserEventsRequest(run_id="run", user_id=user, page_size=size)
        found = await paged(operator.observe.ListUserEvents, request, "events")
        mine = [one.user_event for one in told if one.user_event.user_id == user]
        assert found == sorted(mine, key=lambda event: (-event.round, event.sequence))
        upto = pb.ListUserEventsRequest(run_id="run", user_id=user, until_round=2)
        assert (await operator.observe.ListUserEvents(upto)).events == [
            event for event in found if event.round <= 2
        ]


async def test_a_page_of_a_users_events_has_whole_rounds(operator, monkeypatch):
    from recarena.server.rpc import observe_words

    monkeypatch.setattr(observe_words, "READ_AT_ONCE", 1)
    await operator.played(round_limit=5, world=SMALL)
    request = pb.ListUserEventsRequest(run_id="run", user_id="u1", page_size=2)
    user = (await operator.observe.ListUsers(pb.ListUsersRequest(run_id="run"))).users[0].user_id
    request.user_id = user
    page = await operator.observe.ListUserEvents(request)
    assert list(dict.fromkeys(event.round for event in page.events)) == [5, 4]
    assert page.next_page_token == "3"


@pytest.mark.parametrize("token", ["x", "-1", "99", "9" * 30, "٣"])
async def test_a_token_that_is_none_is_refused(operator, token):
    run = await operator.played(world=SMALL)
    user = run.data.population.user_ids[0]
    request = pb.ListUserEventsRequest(run_id="run", user_id=user, page_token=token)
    async with refused(CODE.INVALID_ARGUMENT) as status:
        await operator.observe.ListUserEvents(request)
    assert status.message.startswith("page_token: ")


# ------------------------------------------------------------------------------ rounds of users
async def test_a_round_is_told_user_by_user(operator):
    run = await operator.played()
    ids = run.data.population.user_ids
    request = pb.TellRoundRequest(run_id="run", round=1, user_ids=ids)
    told = (await operator.observe.TellRound(request)).users
    log = log_of(run, 1)
    busy = {int(user) for user in log.user[log.kind != EventKind.IDLE]}
    assert [one.user_id for one in told] == [ids[user] for user in sorted(busy)]
    for one in told:
        assert one.text.startswith(one.user_name)
        assert one.round == 1
        assert all(title in one.text for title in one.titles)
        assert all(name in one.text and user in ids for user, name in one.people.items())
    assert any(one.titles for one in told)


async def test_users_who_did_nothing_are_left_out_and_unknown_ones_refused(operator):
    run = await operator.played(world=SMALL)
    ids = run.data.population.user_ids
    async with refused(CODE.NOT_FOUND) as status:
        request = pb.TellRoundRequest(run_id="run", round=1, user_ids=[ids[0], "nobody"])
        await operator.observe.TellRound(request)
    assert "nobody" in status.message
    async with refused(CODE.NOT_FOUND):
        await operator.observe.TellRound(pb.TellRoundRequest(run_id="run", round=9))
    async with refused(CODE.INVALID_ARGUMENT) as status:
        many = pb.TellRoundRequest(run_id="run", round=1, user_ids=[ids[0]] * 201)
        await operator.observe.TellRound(many)
    assert status.message.startswith("user_ids: ")


# ------------------------------------------------------------------------------ users, items
async def test_users_are_listed_with_what_drives_them(operator):
    run = await operator.played()
    users = (await operator.observe.ListUsers(pb.ListUsersRequest(run_id="run"))).users
    people, genres = run.data.population, run.data.catalog.genre_names
    for user in users[:5]:
        assert set(user.traits) == set(TRAITS)
        assert user.traits["trust"] == pytest.approx(float(people.trust[user.user_number]))
        assert set(user.tastes) == set(genres)
        taste = run.world.taste[user.user_number, 0]
        assert user.tastes[genres[0]] == pytest.approx(float(taste))
        assert not user.by_person


async def test_items_are_listed_and_found_by_their_words(operator):
    run = await operator.played()
    catalog, call = run.world.catalog, operator.observe.ListItems
    whole = await paged(call, pb.ListItemsRequest(run_id="run", page_size=700), "entries")
    assert [one.item.item_id for one in whole] == catalog.item_ids
    assert [one.item_number for one in whole] == list(range(len(catalog)))
    assert [one.watches for one in whole] == run.world.item_watches.astype(int).tolist()
    assert whole[5].displayed_rating == pytest.approx(float(run.world.displayed_rating[5]))
    title = catalog.titles[17]
    words = " ".join(reversed(title.upper().split()))
    found = await paged(call, pb.ListItemsRequest(run_id="run", text=words, page_size=1), "entries")
    assert 17 in [one.item_number for one in found]
    keys = [f"{one.item.item_id} {one.item.title}".lower() for one in found]
    assert all(word in key for key in keys for word in title.lower().split())
    by_id = pb.ListItemsRequest(run_id="run", text=catalog.item_ids[17])
    assert 17 in [one.item_number for one in (await call(by_id)).entries]
    none = pb.ListItemsRequest(run_id="run", text="no such film anywhere")
    assert not (await call(none)).entries


async def test_nobodys_calls_are_listed_where_no_model_decides(operator):
    run = await operator.played(world=SMALL)
    user = run.data.population.user_ids[0]
    call = operator.observe.ListModelCalls
    assert not (await call(pb.ListModelCallsRequest(run_id="run", user_id=user, round=1))).calls
    for round in (0, 3):
        async with refused(CODE.NOT_FOUND):
            await call(pb.ListModelCallsRequest(run_id="run", user_id=user, round=round))
    async with refused(CODE.NOT_FOUND):
        await call(pb.ListModelCallsRequest(run_id="run", user_id="nobody", round=1))


CALLS = ["TellEvents", "TellRound", "ListUserEvents", "ListModelCalls", "ListItems",
         "ListInterventions"]  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("run_id", ["none", "../../etc", ""])
async def test_of_unknown_runs_nothing_is_told(operator, name, run_id):
    expected = CODE.NOT_FOUND if run_id == "none" else CODE.INVALID_ARGUMENT
    async with refused(expected):
        await getattr(operator.observe, name)(getattr(pb, f"{name}Request")(run_id=run_id))


# ------------------------------------------------------------------------------ runs
async def test_a_run_says_who_is_in_it_and_where_it_comes_from(operator):
    await operator.played(world=SMALL)
    run = await operator.get()
    assert run.user_count == 12
    assert run.minds == "Users are simulated by a discrete-choice model."
    assert run.create_time.seconds > 1_700_000_000
    assert not run.HasField("spending")
    assert not run.HasField("forked_from")
    assert UserEvent.Type.Name(13) == "TYPE_INTERVENTION"


async def test_a_run_that_is_reset_while_it_is_read_is_said_to_be_gone(operator, monkeypatch):
    from recarena.server.rpc import observe

    await operator.create(world=SMALL)
    reading, go_on = asyncio.Event(), asyncio.Event()
    whole = observe.list_users

    async def slow(run: Any, request: Any) -> Any:
        reading.set()
        await go_on.wait()
        return await whole(run, request)

    monkeypatch.setattr(observe, "list_users", slow)
    asked = asyncio.ensure_future(operator.observe.ListUsers(pb.ListUsersRequest(run_id="run")))
    await reading.wait()
    await operator.control.ResetRun(control_pb.ResetRunRequest(run_id="run"))
    go_on.set()
    async with refused(CODE.UNAVAILABLE) as status:
        await asked
    assert "come back" in status.message
