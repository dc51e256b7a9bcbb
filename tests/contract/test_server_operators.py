"""What operators and readers may rely on when things happen at once, or again, or too early."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from recarena.client import serve_async
from recarena.server import errors
from recarena.server.errors import InputError
from recarena.server.founding import RunState
from recarena.server.rpc import status
from recarena.server.rpc.remote import RemoteRecommender
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.types import EventKind
from recarena.v1 import run_pb2 as runs
from recarena.v1 import simulation_control_service_pb2 as control
from recarena.v1 import simulation_observe_service_pb2 as observe
from support.arena import PATIENCE, finished, log_of, settled, until
from support.operators import Operator, a_run, gathered, refused
from support.raw_client import RawClient, fields_of
from support.scripted_clients import Fixed

CODE = grpc.StatusCode
EVERY_KIND = [int(kind) for kind in EventKind]


@contextlib.asynccontextmanager
async def serving(server: Server, *names: str, sessions: int = 1) -> AsyncIterator[None]:
    """Recommenders that always show the same items, there for whoever wants them."""
    tasks = [
        asyncio.create_task(serve_async(Fixed, name, server=server.address, sessions=sessions))
        for name in names or ("raw",)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def step(operator: Operator, rounds: int, run_id: str = "run") -> Run:
    """So many rounds, played."""
    await operator.control.StepRun(control.StepRunRequest(run_id=run_id, rounds=rounds))
    run = await settled(operator.server.house.run(run_id))
    assert run.error == ""
    return run


def told(messages: list[observe.StreamEventsResponse]) -> list[observe.StreamEventsResponse]:
    """User events and summaries; what the run's state was when is left out."""
    return [message for message in messages if not message.HasField("run_changed")]


# -------------------------------------------------------------------- creating
@pytest.mark.parametrize(
    ("arm", "field"),
    [
        ({"failure_policy": 99}, "run.arms[0].failure_policy"),
        ({"work_timeout": Duration(seconds=-1)}, "run.arms[0].work_timeout"),
    ],
)
async def test_what_no_arm_can_be_is_refused(operator: Operator, arm: dict[str, Any], field: str):
    async with refused(CODE.INVALID_ARGUMENT) as found:
        await operator.create(arms=[runs.Arm(recommender_id="raw", **arm)])
    assert fields_of(found) == [field]


async def test_a_number_that_is_none_is_refused_like_any_wrong_setting(operator: Operator):
    run = a_run()
    run.settings["choice"] = {"taste": float("nan")}
    async with refused(CODE.INVALID_ARGUMENT) as found:
        await operator.control.CreateRun(control.CreateRunRequest(run=run))
    assert fields_of(found) == ["run.settings"]


async def test_requests_sent_at_once_under_one_id_are_one(operator: Operator):
    create = control.CreateRunRequest(run=a_run(""), request_id="one")
    answers = await asyncio.gather(*(operator.control.CreateRun(create) for _ in range(4)))
    assert len({answer.run.run_id for answer in answers}) == 1
    assert len(list(operator.server.house.folder.glob("*/"))) == 1


async def test_requests_for_one_name_at_once_make_one_run(operator: Operator):
    calls = [operator.create() for _ in range(4)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    made = [one for one in answers if isinstance(one, runs.Run)]
    failed = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
    assert len(made) == 1
    assert {one.code() for one in failed} == {CODE.ALREADY_EXISTS}


async def test_an_etag_holds_over_a_restart_only_while_nothing_changes(tmp_path: Path):
    etags = []
    for rounds in (0, 1, 0):
        async with Server(tmp_path) as server, serving(server):
            operator = Operator(server)
            if not etags:
                await operator.create()
            etags.append((await operator.get()).etag)
            if rounds:
                await step(operator, rounds)
            await operator.channel.close()
    assert etags[0] == etags[1]
    assert etags[2] != etags[0]


# -------------------------------------------------------------------- playing
async def test_steps_never_go_beyond_the_end(operator: Operator, server: Server):
    await operator.create(round_limit=3)
    async with serving(server):
        assert (await step(operator, 0)).round == 1
        assert (await step(operator, 7)).round == 3
    assert (await operator.get()).state == runs.RUN_STATE_SUCCEEDED


async def test_stepping_and_playing_through_give_the_same_log(operator: Operator, server: Server):
    for name in ("stepped", "through"):
        await operator.create(name, round_limit=3)
        await operator.get(name)
    async with serving(server, sessions=2):
        await step(operator, 1, "stepped")
        await step(operator, 1, "stepped")
        digests = set()
        for name in ("stepped", "through"):
            await operator.start(name)
            digests.add(await finished(server.house.run(name)))
    assert len(digests) == 1


@pytest.mark.parametrize(("limit", "state"), [(1, "succeeded"), (3, "paused")])
async def test_a_pause_while_a_committed_round_is_told_adds_no_round(
    operator: Operator, server: Server, monkeypatch: pytest.MonkeyPatch, limit: int, state: str
):
    tell = RemoteRecommender.round_ended

    async def pause_and_tell(self: RemoteRecommender, *what: Any) -> None:
        if what[0].round == 1:
            await operator.control.PauseRun(control.PauseRunRequest(run_id="run"))
        await tell(self, *what)

    monkeypatch.setattr(RemoteRecommender, "round_ended", pause_and_tell)
    await operator.create(round_limit=limit)
    async with serving(server):
        await operator.start()
        run = await settled(server.house.run("run"))
    assert (run.state, run.round) == (state, 1)


async def test_a_pause_before_anything_began_is_a_pause(operator: Operator, server: Server):
    await operator.create()
    run = server.house.run("run")
    run.start()
    run.pause()
    await settled(run)
    assert run.state is RunState.PAUSED
    async with serving(server):
        await operator.start()
        await finished(run)


async def test_a_stop_tells_the_round_that_is_really_the_last(
    operator: Operator, server: Server, monkeypatch: pytest.MonkeyPatch
):
    """Also where it comes while a round is being committed."""
    await operator.create(round_limit=3)
    run = server.house.run("run")
    commit, asked = run.folder.commit, asyncio.Event()

    async def announced(*what: Any) -> None:
        asked.set()
        await commit(*what)

    monkeypatch.setattr(run.folder, "commit", announced)
    async with serving(server):
        await operator.start()
        await asyncio.wait_for(asked.wait(), PATIENCE)
        answer = (await operator.control.StopRun(control.StopRunRequest(run_id="run"))).run
    assert answer.state == runs.RUN_STATE_STOPPED
    assert answer.round == run.round == len(run.folder.round_rows())
    assert run.world.round == run.round


# -------------------------------------------------------------------- resetting and forking
async def test_a_reset_leaves_one_folder_and_no_old_rounds(operator: Operator, server: Server):
    await operator.played()
    await operator.control.ResetRun(control.ResetRunRequest(run_id="run"))
    assert [path.name for path in server.house.folder.glob("*/")] == ["run"]
    listed = (await operator.control.ListRuns(control.ListRunsRequest())).runs
    assert [(run.run_id, run.round) for run in listed] == [("run", 0)]


async def test_a_reset_sends_those_who_watch_away_to_come_again(operator: Operator):
    await operator.create()
    stream = operator.events()
    assert (await stream.read()).HasField("run_changed")
    await operator.control.ResetRun(control.ResetRunRequest(run_id="run"))
    async with refused(CODE.UNAVAILABLE), asyncio.timeout(PATIENCE):
        await stream.read()


async def test_a_token_from_before_a_reset_is_refused(operator: Operator):
    await operator.played()
    token = (await gathered(operator.events()))[5].resume_token
    await operator.control.ResetRun(control.ResetRunRequest(run_id="run"))
    async with refused(CODE.INVALID_ARGUMENT) as found:
        await gathered(operator.events(resume_token=token))
    assert fields_of(found) == ["resume_token"]


async def test_a_fork_needs_a_name_that_is_one(operator: Operator):
    await operator.played()
    async with refused(CODE.INVALID_ARGUMENT):
        await operator.control.ForkRun(
            control.ForkRunRequest(run_id="run", round=1, new_run_id="A/B")
        )


# -------------------------------------------------------------------- watching
async def test_a_summary_counts_what_is_in_the_log(operator: Operator):
    run = await operator.played(round_limit=3)
    summaries = told(await gathered(operator.events(summaries_only=True)))
    assert len(summaries) == 3
    for message in summaries:
        log, counted = log_of(run, message.round), message.round_ended
        for name, kind in {
            "visits": EventKind.ENTER_RECOMMENDER, "pages": EventKind.PAGE,
            "exposures": EventKind.SHOWN, "watches": EventKind.WATCH, "chats": EventKind.CHAT,
            "posts": EventKind.POST,
        }.items():  # fmt: skip
            assert getattr(counted, name) == len(log.of(kind)), name
        assert counted.mean_rating == pytest.approx(log.of(EventKind.WATCH).value.mean())
    times = [message.sim_time.seconds for message in summaries]
    assert np.diff(times).tolist() == [5 * 3600] * 2


async def test_a_reader_who_comes_again_and_again_loses_and_repeats_nothing(
    operator: Operator, server: Server
):
    await operator.create(round_limit=3)
    found: list[observe.StreamEventsResponse] = []
    token, visits = "", 0
    async with serving(server), asyncio.timeout(PATIENCE):
        await operator.start()
        ended = False
        while not ended:
            most = (1, 3, 10, 40, 90)[visits % 5]
            visits += 1
            stream = operator.events(resume_token=token)
            ended, count = True, 0
            async for message in stream:
                token = message.resume_token
                found.append(message)
                count += 1
                if count == most:
                    stream.cancel()
                    ended = False
                    break
        await finished(server.house.run("run"))
    assert visits > 3
    assert told(found) == told(await gathered(operator.events()))


async def test_a_reader_who_comes_late_to_read_gets_it_all(operator: Operator, server: Server):
    await operator.create()
    stream = aiter(operator.events(event_types=EVERY_KIND))
    first = await anext(stream)
    async with serving(server):
        await operator.start()
        await finished(server.house.run("run"))
    late = [first, *[message async for message in stream]]
    assert told(late) == told(await gathered(operator.events(event_types=EVERY_KIND)))
    assert late[-1].run_changed.state == runs.RUN_STATE_SUCCEEDED


async def test_a_stream_ends_when_the_run_is_stopped(operator: Operator, server: Server):
    await operator.create()
    async with serving(server):
        await step(operator, 1)
        watching = asyncio.create_task(gathered(operator.events(summaries_only=True)))
        await operator.control.StopRun(control.StopRunRequest(run_id="run"))
    messages = await watching
    assert messages[-1].run_changed.state == runs.RUN_STATE_STOPPED
    assert [message.round for message in told(messages)] == [1]


async def test_a_filtered_stream_goes_on_from_a_token(operator: Operator):
    run = await operator.played()
    wanted: dict[str, Any] = {
        "event_types": [int(EventKind.WATCH), int(EventKind.PAGE)],
        "user_ids": [run.data.population.user_ids[user] for user in range(0, 40, 3)],
    }
    whole = told(await gathered(operator.events(**wanted)))
    assert len(whole) > 6
    for at in (0, 2, len(whole) - 2, len(whole) - 1):
        token = whole[at].resume_token
        assert (
            told(await gathered(operator.events(resume_token=token, **wanted))) == whole[at + 1 :]
        )


@pytest.mark.parametrize("token", ["run/1/1/0/0", "run/1/99999999999/0", "\n" * 200, "run/1/1/٣/1"])
async def test_what_is_no_token_is_refused(operator: Operator, token: str):
    await operator.create()
    async with refused(CODE.INVALID_ARGUMENT) as found:
        await gathered(operator.events(resume_token=token))
    assert fields_of(found) == ["resume_token"]


# -------------------------------------------------------------------- reading
async def test_recommenders_of_several_arms_are_listed_by_name(operator: Operator, server: Server):
    arms = [runs.Arm(recommender_id=name) for name in ("second", "first")]
    await operator.create(arms=arms)
    async with serving(server, "first", "second"):
        run = await step(operator, 1)
        ask = observe.ListRecommendersRequest
        page = await operator.observe.ListRecommenders(ask(run_id="run", page_size=1))
        rest = await operator.observe.ListRecommenders(
            ask(run_id="run", page_size=1, page_token=page.next_page_token)
        )
        assert not rest.next_page_token
        pages = log_of(run).of(EventKind.PAGE)
        for one, name in ((page, "first"), (rest, "second")):
            (found,) = one.recommenders
            arm = [arm.recommender for arm in run.settings.arms].index(name)
            assert (found.recommender_id, found.connected) == (name, True)
            assert found.accepted == (run.arm_of_user[pages.user] == arm).sum()


async def test_a_recommender_that_is_awaited_is_listed_as_not_connected(
    operator: Operator, server: Server
):
    await operator.create()
    await operator.start()
    run, seen = server.house.run("run"), -1
    async with asyncio.timeout(PATIENCE):
        while not run.recommenders:
            seen = await run.changed(seen)
    ask = observe.ListRecommendersRequest(run_id="run")
    (one,) = (await operator.observe.ListRecommenders(ask)).recommenders
    assert (one.recommender_id, one.connected) == ("raw", False)
    assert not one.HasField("p50_latency")


async def test_readers_may_come_in_the_middle_of_a_round(operator: Operator, server: Server):
    await operator.create()
    await operator.start()
    run = server.house.run("run")
    async with RawClient(server.address) as client:
        await client.join()
        await client.serve(until=lambda message: message.round_started.round == 2)
        await until(run, 1)
        users = (await operator.observe.ListUsers(observe.ListUsersRequest(run_id="run"))).users
        assert [user.watches for user in users] == run.world.watches.tolist()
        assert (await operator.get()).state == runs.RUN_STATE_RUNNING
        await client.serve()
    await finished(run)


async def test_everybody_is_told_with_the_arm(operator: Operator, server: Server):
    arms = [runs.Arm(recommender_id=name, weight=3) for name in ("raw", "other")]
    await operator.create(arms=arms)
    run = server.house.run("run")
    users = (await operator.observe.ListUsers(observe.ListUsersRequest(run_id="run"))).users
    names = [arm.id for arm in run.settings.arms]
    assert [user.arm_id for user in users] == [names[arm] for arm in run.arm_of_user]
    assert {user.arm_id for user in users} == {"raw", "other"}


# -------------------------------------------------------------------- statuses
def test_an_error_made_elsewhere_has_the_status_of_its_base():
    class Torn(errors.SessionLost):
        pass

    assert status.of_error(Torn("s1")).code == CODE.UNAVAILABLE.value[0]


def test_at_most_sixteen_wrong_fields_are_named():
    fields = tuple((f"field{number}", "is wrong") for number in range(40))
    found = status.of_error(InputError("much is wrong", where="run", fields=fields))
    assert fields_of(found) == [f"field{number}" for number in range(16)]
