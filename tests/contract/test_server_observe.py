"""Readers follow the events of runs and list what is in them."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import grpc
import pytest

from recarena.server.founding import RunState
from recarena.server.rpc.runs_codec import health_message
from recarena.server.types import EventKind
from recarena.v1 import run_pb2
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import simulation_observe_service_pb2 as observe_pb
from recarena.v1.run_pb2 import (
    RUN_STATE_PAUSED,
    RUN_STATE_RUNNING,
    RUN_STATE_SUCCEEDED,
    RUN_STATE_WAITING_FOR_RECOMMENDERS,
    Arm,
    UserEvent,
)
from support.arena import finished, log_of, settled, until
from support.operators import gathered, refused
from support.raw_client import RawClient
from support.scripted_clients import Fixed, serving
from support.sessions import failing

CODE = grpc.StatusCode
SMALL_WORKS = {"session": {"max_users_per_work": 8}}


# ------------------------------------------------------------------------------ events
ALL_TYPES = [number for number in UserEvent.Type.values() if number]


async def test_events_are_the_log_in_order(operator):
    run = await operator.played()
    told = await gathered(operator.events(event_types=ALL_TYPES))
    assert told[0].HasField("run_changed")
    assert told[0].run_changed.state == RUN_STATE_SUCCEEDED
    ids, items = run.data.population.user_ids, run.data.catalog.item_ids
    for round in (1, 2):
        log = log_of(run, round)
        mine = [one for one in told if one.round == round]
        events = [one.user_event for one in mine if one.HasField("user_event")]
        assert [event.sequence for event in events] == list(range(len(log)))
        assert [event.type for event in events] == log.kind.tolist()
        assert [event.user_id for event in events] == [ids[user] for user in log.user.tolist()]
        assert [event.item_id for event in events] == [
            items[item] if item >= 0 else "" for item in log.item.tolist()
        ]
        when = run.settings.time.of_round(round)
        assert {one.sim_time.ToDatetime(when.tzinfo) for one in mine} == {when}
        ended = [one for one in mine if one.HasField("round_ended")]
        assert len(ended) == 1
        summary = ended[0].round_ended
        assert summary.round == round
        assert summary.watches == len(log.of(EventKind.WATCH))
        assert summary.exposures == len(log.of(EventKind.SHOWN))
        assert summary.visits == len(log.of(EventKind.ENTER_RECOMMENDER))
        assert summary.active_users == run.world.users
        last_event = max(at for at, one in enumerate(told)
                         if one.HasField("user_event") and one.round == round)  # fmt: skip
        assert told[last_event + 1].HasField("round_ended")
    assert {one.epoch for one in told} == {1}


async def test_events_from_any_token_on_are_the_rest(operator):
    await operator.played(world="new:users=12,seed=3,history=2")
    told = await gathered(operator.events(event_types=ALL_TYPES))
    for at in (0, 1, 7, len(told) // 2, len(told) - 2, len(told) - 1):
        token = told[at].resume_token
        rest = await gathered(operator.events(event_types=ALL_TYPES, resume_token=token))
        news = [one for one in rest if not one.HasField("run_changed")]
        assert news == [one for one in told[at + 1 :] if not one.HasField("run_changed")]


async def test_a_live_run_is_followed_to_its_end_and_through_a_break(operator, server):
    await operator.create(round_limit=4)
    await operator.start()
    run = server.house.run("run")
    async with RawClient(server.address) as client:
        first = operator.events()
        before = [await first.read()]
        assert before[0].run_changed.state == RUN_STATE_WAITING_FOR_RECOMMENDERS
        await client.join()
        serving = asyncio.create_task(client.serve())
        while not before[-1].HasField("user_event") or before[-1].round < 2:
            before.append(await first.read())
        first.cancel()
        after = await gathered(operator.events(resume_token=before[-1].resume_token))
        await serving
    await finished(run)
    whole = await gathered(operator.events())

    def without_state(messages: list[Any]) -> list[Any]:
        return [one for one in messages if not one.HasField("run_changed")]

    assert without_state(before) + without_state(after) == without_state(whole)
    assert after[-1].run_changed.state == RUN_STATE_SUCCEEDED
    states = [one.run_changed.state for one in (*before, *after) if one.HasField("run_changed")]
    assert RUN_STATE_RUNNING in states


async def test_events_are_filtered_by_type_and_by_user(operator):
    run = await operator.played()
    whole = [one.user_event for one in await gathered(operator.events())
             if one.HasField("user_event")]  # fmt: skip
    assert UserEvent.TYPE_SHOWN not in {event.type for event in whole}
    watches = await gathered(operator.events(event_types=[UserEvent.TYPE_WATCH]))
    assert [one.user_event for one in watches if one.HasField("user_event")] == [
        event for event in whole if event.type == UserEvent.TYPE_WATCH
    ]
    user = next(event.user_id for event in whole if event.type == UserEvent.TYPE_WATCH)
    mine = await gathered(operator.events(user_ids=[user]))
    assert [one.user_event for one in mine if one.HasField("user_event")] == [
        event for event in whole if event.user_id == user
    ]
    summaries = await gathered(operator.events(summaries_only=True))
    assert not any(one.HasField("user_event") for one in summaries)
    assert sum(one.HasField("round_ended") for one in summaries) == run.round


async def test_watches_are_told_with_rating_place_and_words(operator):
    run = await operator.played()
    told = await gathered(operator.events(event_types=[UserEvent.TYPE_WATCH]))
    log = log_of(run).of(EventKind.WATCH)
    events = [one.user_event for one in told if one.HasField("user_event")]
    assert [event.value for event in events] == log.value.tolist()
    assert [event.position for event in events] == log.position.tolist()
    names = run.data.population.names
    for event, user in zip(events, log.user.tolist(), strict=True):
        assert event.user_name == names[user]
        assert event.user_name in event.text


@pytest.mark.parametrize(
    "token", ["x", "run/1/x/y", "run/1/0/0", "run/1", "run/2/1/0", "other/1/1/0", "run/1/1/-1"]
)
async def test_a_token_of_something_else_is_refused(operator, token):
    await operator.create()
    async with refused(CODE.INVALID_ARGUMENT):
        await gathered(operator.events(resume_token=token))


async def test_events_of_an_unknown_run_or_user_are_refused(operator):
    async with refused(CODE.NOT_FOUND):
        await gathered(operator.events("none"))
    await operator.create()
    async with refused(CODE.INVALID_ARGUMENT):
        await gathered(operator.events(user_ids=["nobody"]))


async def test_a_reader_that_does_not_read_does_not_hold_up_a_run(operator, server):
    await operator.create(round_limit=6, world="new:users=300,seed=1,history=2")
    await operator.start()
    idle = [operator.events(event_types=ALL_TYPES) for _ in range(4)]
    for stream in idle:
        await stream.read()
    async with RawClient(server.address) as client:
        await client.join(max_users_per_work=256, max_outstanding_work=16)
        await client.serve()
    await finished(server.house.run("run"))
    for stream in idle:
        stream.cancel()


# ------------------------------------------------------------------------------ lists
async def paged(call: Any, request: Any, field: str, size: int) -> list[Any]:
    """All entries, read in pages of a size."""
    found: list[Any] = []
    request.page_size = size
    for _ in range(1000):
        page = await call(request)
        entries = getattr(page, field)
        assert len(entries) <= size
        found += entries
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token
    raise AssertionError("the pages do not end")


async def test_users_are_listed_with_their_profile_and_doings(operator):
    run = await operator.played()
    users = await paged(
        operator.observe.ListUsers, observe_pb.ListUsersRequest(run_id="run"), "users", 7
    )
    people = run.data.population
    assert [user.user_id for user in users] == people.user_ids
    assert [user.user_number for user in users] == list(range(len(people)))
    assert [user.name for user in users] == people.names
    assert [user.watches for user in users] == run.world.watches.tolist()
    assert all(0 <= user.satisfaction <= 1 for user in users)
    assert {user.arm_id for user in users} == {"raw"}
    assert users[3].profile["age"] == people.profile["age"][3]


async def test_relations_are_listed_whole_and_of_one_user(operator):
    await operator.create()
    network_size = len(operator.server.house.run("run").data.network)
    call, request = operator.observe.ListRelations, observe_pb.ListRelationsRequest(run_id="run")
    whole = await paged(call, request, "relations", 23)
    assert len(whole) == network_size
    user = whole[0].user_id
    one = observe_pb.ListRelationsRequest(run_id="run", user_id=user)
    assert await paged(call, one, "relations", 2) == [tie for tie in whole if tie.user_id == user]
    assert all(0 <= tie.closeness <= 1 and tie.kind for tie in whole)
    async with refused(CODE.NOT_FOUND):
        await call(observe_pb.ListRelationsRequest(run_id="run", user_id="nobody"))


async def test_memories_of_a_user_are_listed_oldest_first(operator):
    run = await operator.played()
    watches = log_of(run).of(EventKind.WATCH)
    number = int(watches.user[0])
    user = run.data.population.user_ids[number]
    call = operator.observe.ListMemories
    request = observe_pb.ListMemoriesRequest(run_id="run", user_id=user)
    memories = await paged(call, request, "memories", 2)
    assert [memory.memory_number for memory in memories] == list(range(len(memories)))
    rounds = [memory.round for memory in memories]
    assert rounds == sorted(rounds)
    assert {memory.user_id for memory in memories} == {user}
    watched = [memory for memory in memories if memory.kind == "watched"]
    assert len(watched) == int((watches.user == number).sum())
    assert all(memory.text and 0 <= memory.importance <= 1 for memory in memories)
    async with refused(CODE.NOT_FOUND):
        await call(observe_pb.ListMemoriesRequest(run_id="run", user_id="nobody"))


async def test_recommenders_are_listed_with_their_health(operator, server):
    await operator.create(round_limit=2)
    request = observe_pb.ListRecommendersRequest(run_id="run")
    await operator.start()
    run = server.house.run("run")

    def answers(raw: RawClient, kind: str, work: Any) -> Any:
        answer = raw.answer(kind, work)
        if kind == "rank_work":
            answer.rank_result.lists[0].items[0].item_id = "no-such-film"
        return [answer]

    async with RawClient(server.address) as client:
        await client.register(software_name="acme", software_version="7")
        client.registered = await client.receive("registered")
        await client.load_catalog()
        await client.catalog_ready()
        await client.serve(
            answers,
            until=lambda m: m.HasField("round_started") and m.round_started.round == 2,
        )
        await until(run, 1)
        (one,) = (await operator.observe.ListRecommenders(request)).recommenders
        assert (one.recommender_id, one.connected, one.software) == ("raw", True, "acme 7")
        pages = len(log_of(run, 1).of(EventKind.PAGE))
        assert one.accepted + one.violations == pages
        assert one.violations >= 1
        assert (one.rejected, one.late, one.fallback) == (0, 0, 0)
        assert one.p50_latency.ToNanoseconds() > 0
        assert one.p50_latency.ToNanoseconds() <= one.p99_latency.ToNanoseconds()
        assert one.training_time.ToNanoseconds() > 0
        await client.serve()
    await finished(run)


async def test_recommenders_of_a_run_that_ended_are_listed_as_they_fared(operator, server):
    arm = Arm(recommender_id="raw")
    arm.work_timeout.FromMilliseconds(300)
    await operator.create(round_limit=3, arms=[arm], settings=SMALL_WORKS)
    request = observe_pb.ListRecommendersRequest(run_id="run")
    assert not (await operator.observe.ListRecommenders(request)).recommenders
    await operator.start()
    run, works = server.house.run("run"), itertools.count()

    def answers(raw: RawClient, kind: str, work: Any) -> Any:
        answer, number = raw.answer(kind, work), next(works)
        if number == 1:
            return failing(raw, kind, work)
        if number == 2:
            return []  # it is late
        if kind == "rank_work" and number % 3:  # in one work some lists are worse than others
            answer.rank_result.lists[0].items[0].item_id = "no-such-film"
            if number % 2:
                del answer.rank_result.lists[-1]
        return [answer]

    async with RawClient(server.address) as client:
        await client.join()
        await client.serve(answers, until=lambda m: m.round_started.round == 1)
        live = run.recommenders[0].health
        await client.serve(answers)
    await finished(run)
    fared = health_message(live)
    assert min(fared.accepted, fared.violations, fared.rejected, fared.late) > 0
    for _ in range(2):
        (one,) = (await operator.observe.ListRecommenders(request)).recommenders
        assert (one.recommender_id, one.connected, one.sessions) == ("raw", False, 0)
        for count in ("accepted", "violations", "rejected", "late", "fallback"):
            assert getattr(one, count) == getattr(fared, count), count
        for time in ("p50_latency", "p95_latency", "p99_latency", "training_time"):
            told, known = (getattr(of, time).ToNanoseconds() for of in (one, fared))
            assert told == pytest.approx(known, rel=1e-6, abs=1000), time
        await server.house.close()  # the same of a run that is opened again


async def test_recommenders_that_fared_are_listed_anew_after_another_round(operator, server):
    await operator.create(round_limit=3, arms=[Arm(recommender_id="fixed")])
    request = observe_pb.ListRecommendersRequest(run_id="run")
    shown: list[int] = []

    async def step() -> Any:
        await operator.control.StepRun(control_pb.StepRunRequest(run_id="run"))
        return await settled(server.house.run("run"))

    async with serving(server, Fixed):
        await step()
        await server.house.close()
        (one,) = (await operator.observe.ListRecommenders(request)).recommenders
        shown.append(one.accepted)
        run = await step()
        await operator.control.StopRun(control_pb.StopRunRequest(run_id="run"))
        (one,) = (await operator.observe.ListRecommenders(request)).recommenders
        shown.append(one.accepted)
    assert shown == [len(log_of(run, 1).of(EventKind.PAGE)), len(log_of(run).of(EventKind.PAGE))]


@pytest.mark.parametrize("size", [-5, 0])
async def test_a_page_of_no_size_has_the_default_size(operator, size):
    await operator.create()
    request = observe_pb.ListUsersRequest(run_id="run", page_size=size)
    assert len((await operator.observe.ListUsers(request)).users) == 40


@pytest.mark.parametrize("call", ["ListRecommenders", "ListUsers", "ListRelations",
                                  "ListMemories"])  # fmt: skip
async def test_nothing_is_known_of_an_unknown_run(operator, call):
    async with refused(CODE.NOT_FOUND):
        request = getattr(observe_pb, f"{call}Request")(run_id="none")
        await getattr(operator.observe, call)(request)


async def test_the_error_of_a_run_is_told(operator, server):
    arm = Arm(recommender_id="raw", failure_policy=run_pb2.FAILURE_POLICY_PAUSE_RUN)
    arm.work_timeout.FromMilliseconds(50)
    await operator.create(arms=[arm])
    await operator.start()
    async with RawClient(server.address) as client:
        await client.join()
        await client.open_round()
        await settled(server.house.run("run"))
    found = await operator.get()
    assert found.state == RUN_STATE_PAUSED
    assert "recommender raw" in found.error.message
    assert server.house.run("run").state is RunState.PAUSED


@pytest.mark.parametrize("token", ["x", "-1", "9" * 30, "100000"])
async def test_a_page_token_that_is_none_is_refused(operator, token):
    await operator.create()
    asked = observe_pb.ListUsersRequest(run_id="run", page_token=token)
    async with refused(CODE.INVALID_ARGUMENT):
        await operator.observe.ListUsers(asked)
