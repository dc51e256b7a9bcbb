"""Readers follow whole rounds as columns, at their own pace."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from recarena.server.rpc import committed, observe_rounds
from recarena.server.types import EventKind
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import simulation_observe_service_pb2 as observe_pb
from recarena.v1.run_pb2 import (
    RUN_STATE_CREATED,
    RUN_STATE_PAUSED,
    RUN_STATE_RUNNING,
    RUN_STATE_SUCCEEDED,
    RUN_STATE_WAITING_FOR_RECOMMENDERS,
)
from support.arena import finished, log_of, until
from support.operators import gathered, refused
from support.raw_client import RawClient
from support.watching import assert_is_log, rest, rounds_in, rounds_request

CODE = grpc.StatusCode
SMALL = "new:users=12,seed=3,history=2"


def follow(operator: Any, run_id: str = "run", **fields: Any) -> Any:
    return operator.observe.StreamRounds(rounds_request(run_id, **fields))


async def followed(operator: Any, run_id: str = "run", **fields: Any) -> list[Any]:
    return await gathered(follow(operator, run_id, **fields))


async def test_the_columns_of_a_round_are_its_log(operator):
    run = await operator.played(round_limit=3)
    messages = await followed(operator)
    logs = rounds_in(messages)
    assert [one.summary.round for one in logs] == [1, 2, 3]
    for one in logs:
        assert_is_log(one.events, log_of(run, one.summary.round))
    assert messages[0].run.state == RUN_STATE_SUCCEEDED
    assert not messages[0].rounds


async def test_the_columns_are_read_from_the_folder_as_they_were_sent_from_memory(operator, server):
    await operator.create(round_limit=4)
    await operator.start()
    stream = follow(operator)
    first = await stream.read()
    assert first.run.state == RUN_STATE_WAITING_FOR_RECOMMENDERS
    async with RawClient(server.address) as client:
        await client.join()
        serving = asyncio.create_task(client.serve())
        live = await rest(stream)
        await serving
    run = server.house.run("run")
    await finished(run)
    for one in rounds_in(live):
        assert_is_log(one.events, log_of(run, one.summary.round))
    await operator.control.ForkRun(
        control_pb.ForkRunRequest(run_id="run", round=4, new_run_id="fork")
    )
    again = await followed(operator, "fork", until_round=4)
    told = [one.SerializeToString(deterministic=True) for one in rounds_in(live)]
    assert len(told) == 4
    assert [one.SerializeToString(deterministic=True) for one in rounds_in(again)] == told


async def test_summaries_are_those_of_the_events(operator):
    await operator.played(round_limit=3)
    told = await gathered(operator.events(summaries_only=True))
    summaries = [one.round_ended for one in told if one.HasField("round_ended")]
    assert [one.summary for one in rounds_in(await followed(operator))] == summaries
    assert all(one.watches and one.pages for one in summaries)


async def test_a_reader_goes_on_after_the_round_it_has_seen_and_stops_where_it_said(operator):
    await operator.played(round_limit=5, world=SMALL)
    for after in range(6):
        for last in range(max(after, 1), 6):
            logs = rounds_in(await followed(operator, after_round=after, until_round=last))
            assert [one.summary.round for one in logs] == list(range(after + 1, last + 1))


@pytest.mark.parametrize("newest", [1, 2, 5, 9])
async def test_rounds_that_come_together_spare_the_events_of_the_older_ones(operator, newest):
    run = await operator.played(round_limit=5, world=SMALL)
    logs = rounds_in(await followed(operator, newest_with_events=newest))
    assert [one.summary.round for one in logs] == [1, 2, 3, 4, 5]
    assert [one.HasField("events") for one in logs] == [
        number > 5 - newest for number in range(1, 6)
    ]
    assert [one.summary.watches for one in logs] == [
        len(log_of(run, number).of(EventKind.WATCH)) for number in range(1, 6)
    ]


async def test_large_rounds_come_in_several_messages_in_order(operator, monkeypatch):
    run = await operator.played(round_limit=5, world=SMALL)
    biggest = max(len(log_of(run, round)) for round in range(1, 6))
    monkeypatch.setattr(observe_rounds, "MESSAGE_ROWS", 2 * biggest)
    monkeypatch.setattr(committed, "READ_ROWS", biggest)
    messages = await followed(operator)
    assert [one.summary.round for one in rounds_in(messages)] == [1, 2, 3, 4, 5]
    assert max(sum(one.events.rows for one in message.rounds) for message in messages) <= (
        2 * biggest
    )
    assert sum(bool(message.rounds) for message in messages) >= 3
    monkeypatch.setattr(observe_rounds, "MESSAGE_ROUNDS", 2)
    spared = await followed(operator, newest_with_events=1)
    assert [one.summary.round for one in rounds_in(spared)] == [1, 2, 3, 4, 5]
    assert max(len(message.rounds) for message in spared) == 2


async def test_a_reader_is_told_of_every_state_and_of_the_end(operator, server):
    await operator.create(round_limit=4, world=SMALL)
    stream = follow(operator)
    states = [(await stream.read()).run.state]
    assert states == [RUN_STATE_CREATED]
    async with RawClient(server.address) as client:
        step = control_pb.StepRunRequest(run_id="run", rounds=2)
        await operator.control.StepRun(step)
        states.append((await stream.read()).run.state)
        assert states[-1] == RUN_STATE_WAITING_FOR_RECOMMENDERS
        await client.join()
        serving = asyncio.create_task(client.serve())
        seen: list[int] = []
        while states[-1] != RUN_STATE_PAUSED:
            message = await stream.read()
            states.append(message.run.state)
            seen += [one.summary.round for one in message.rounds]
        assert seen == [1, 2]
        assert RUN_STATE_RUNNING in states
        await operator.start()
        later = await rest(stream)
        await serving
    assert [one.summary.round for one in rounds_in(later)] == [3, 4]
    assert later[-1].run.state == RUN_STATE_SUCCEEDED
    assert later[-1].run.round == 4


async def test_rounds_that_are_committed_within_the_interval_come_together(operator, server):
    await operator.create(round_limit=12, world=SMALL)
    await operator.start()
    stream = follow(operator, least_interval_ms=1500)
    await stream.read()
    async with RawClient(server.address) as client:
        await client.join()
        serving = asyncio.create_task(client.serve())
        first = await stream.read()
        while not first.rounds:
            first = await stream.read()
        await serving
        await finished(server.house.run("run"))
        later = await rest(stream)
    numbers = [[one.summary.round for one in message.rounds] for message in (first, *later)]
    assert [one for some in numbers for one in some] == list(range(1, 13))
    together = [some for some in numbers if some]
    assert len(together) < 12
    assert max(map(len, together)) > 1


async def test_a_reset_ends_the_stream_and_its_epoch(operator):
    await operator.create(world=SMALL)
    stream = follow(operator)
    await stream.read()
    await operator.control.ResetRun(control_pb.ResetRunRequest(run_id="run"))
    async with refused(CODE.UNAVAILABLE) as status:
        await rest(stream)
    assert "come back" in status.message
    async with refused(CODE.FAILED_PRECONDITION) as status:
        await followed(operator, epoch=1)
    assert "epoch 2" in status.message
    again = follow(operator, epoch=2)
    assert (await again.read()).run.epoch == 2
    again.cancel()


async def test_a_fork_in_the_middle_of_a_stream_disturbs_neither(operator, server):
    await operator.create(round_limit=4, world=SMALL)
    await operator.start()
    run, stream = server.house.run("run"), follow(operator)
    async with RawClient(server.address) as client:
        await client.join()
        serving = asyncio.create_task(client.serve())
        await until(run, 2)
        fork = control_pb.ForkRunRequest(run_id="run", round=2, new_run_id="fork")
        await operator.control.ForkRun(fork)
        logs = rounds_in(await rest(stream))
        await serving
    assert [one.summary.round for one in logs] == [1, 2, 3, 4]
    copied = rounds_in(await followed(operator, "fork", until_round=2))
    assert copied == logs[:2]
    forked = server.house.run("fork")
    assert forked.round == 2
    message = await operator.get("fork")
    assert (message.forked_from.run_id, message.forked_from.round) == ("run", 2)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"after_round": 1}, "after_round"),
        ({"after_round": 2**32 - 1}, "after_round"),
        ({"least_interval_ms": -1}, "least_interval"),
        ({"least_interval_ms": 60_001}, "least_interval"),
        ({"least_interval_ms": 1e14}, "least_interval"),
    ],
)
async def test_what_cannot_be_followed_is_refused_with_its_field(operator, fields, path):
    await operator.create(world=SMALL)
    async with refused(CODE.INVALID_ARGUMENT) as status:
        await followed(operator, **fields)
    assert status.message.startswith(f"{path}: ")


async def test_an_end_before_the_beginning_and_unknown_runs_are_refused(operator):
    await operator.played(world=SMALL)
    async with refused(CODE.INVALID_ARGUMENT) as status:
        await followed(operator, after_round=2, until_round=1)
    assert status.message.startswith("until_round: ")
    for name in ("none", "../up", "x" * 5000):
        async with refused(CODE.NOT_FOUND if name == "none" else CODE.INVALID_ARGUMENT):
            await followed(operator, name)


async def test_readers_that_do_not_read_hold_up_nobody_and_no_memory(operator, server):
    await operator.create(round_limit=12, world="new:users=300,seed=1,history=2")
    await operator.start()
    run = server.house.run("run")
    idle = [follow(operator) for _ in range(5)]
    for stream in idle:
        await stream.read()
    async with RawClient(server.address) as client:
        await client.join(max_users_per_work=256, max_outstanding_work=16)
        serving = asyncio.create_task(client.serve())
        reading = await followed(operator)
        await serving
    await finished(run)
    assert [one.summary.round for one in rounds_in(reading)] == list(range(1, 13))
    for stream in idle:
        stream.cancel()


async def test_what_is_kept_for_followers_is_bounded_and_let_go_of(operator, server, monkeypatch):
    monkeypatch.setattr(committed, "RECENT_BYTES", 1)
    await operator.create(round_limit=6, world=SMALL)
    await operator.start()
    run = server.house.run("run")
    stream = follow(operator)
    await stream.read()
    kept = committed.committed(run)
    async with RawClient(server.address) as client:
        await client.join()
        serving = asyncio.create_task(client.serve())
        await until(run, 5)
        assert kept.held == 1
        await rest(stream)
        await serving
    await finished(run)
    assert kept.held == 0


async def test_many_readers_of_an_old_run_each_get_all_of_it(operator, server):
    run = await operator.played(round_limit=4)
    run.newest = None  # as of a run that another server has played
    streams = await asyncio.gather(*(followed(operator) for _ in range(8)))
    for messages in streams:
        logs = rounds_in(messages)
        assert [one.summary.round for one in logs] == [1, 2, 3, 4]
        for one in logs:
            assert_is_log(one.events, log_of(run, one.summary.round))


async def test_a_reader_of_events_and_one_of_rounds_tell_the_same(operator):
    run = await operator.played(world=SMALL)
    request = observe_pb.TellEventsRequest(run_id="run", round=2)
    request.sequences.extend(range(len(log_of(run, 2))))
    told = (await operator.observe.TellEvents(request)).events
    everything = list(range(1, 14))
    streamed = [
        one.user_event
        for one in await gathered(operator.events(event_types=everything))
        if one.HasField("user_event") and one.round == 2
    ]
    assert list(told) == streamed
