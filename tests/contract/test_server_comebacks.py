"""A recommender that is lost, comes back, is replaced or says goodbye."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.status_pb2 import Status

from recarena.server.founding import RunState
from recarena.server.rpc.server import Server
from recarena.server.types import Outcome
from recarena.v1.session_pb2 import (
    Drain,
    RoundReady,
)
from support.arena import begin, finished, settings, settled, until
from support.raw_client import (
    OK,
)
from support.sessions import (
    ONE_PAGE,
    another,
    outcomes,
)

CODE = grpc.StatusCode


# ------------------------------------------------------------------------------ coming back
async def test_a_recommender_that_comes_back_gets_its_unanswered_work_again(server, client):
    run = await begin(server, settings("raw", rounds=2))
    first = await client.join()
    await client.open_round()
    _, work = await client.receive_work()
    history = client.feedback()
    await client.hang_up()
    async with another(server) as second:
        registered = await second.join(
            resume_run_id=first.run_id,
            resume_session_id=first.session_id,
            feedback_cursor=history[-1].cursor,
        )
        assert registered.resumed
        assert registered.session_id != first.session_id
        assert (registered.run_id, registered.epoch) == (first.run_id, first.epoch)
        started = await second.receive("round_started")  # no feedback: it had it all
        assert started.round == 1
        await second.send(round_ready=RoundReady(round=1))
        _, again = await second.receive_work()
        assert again.header.work_id == work.header.work_id
        assert again.header.attempt == 2
        assert again.queries == work.queries
        await second.send(second.answer("rank_work", again))
        await second.serve()
    await finished(run)
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_a_cursor_brings_what_was_missed_and_nothing_else(server, client):
    run = await begin(server, settings("raw", rounds=3))
    first = await client.join()
    await client.serve(until=lambda m: m.HasField("round_ended") and m.round_ended.round == 2)
    told = client.feedback()
    await client.hang_up()
    cursor = next(one.cursor for one in told if one.round == 1)
    async with another(server) as second:
        registered = await second.join(resume_run_id=first.run_id, feedback_cursor=cursor)
        assert registered.resumed
        await second.serve()
        missed = [one for one in second.feedback() if one.round < 3]
    await finished(run)
    at = [one.cursor for one in told].index(cursor)
    assert missed == told[at + 1 :]


async def test_a_recommender_that_lost_everything_gets_all_feedback(server, client):
    run = await begin(server, settings("raw", rounds=3))
    first = await client.join()
    await client.serve(until=lambda m: m.HasField("round_ended") and m.round_ended.round == 2)
    told = client.feedback()
    await client.hang_up()
    async with another(server) as second:
        registered = await second.join(resume_run_id=first.run_id)
        assert not registered.resumed
        assert registered.run_id == first.run_id
        await second.serve()
        assert [one for one in second.feedback() if one.round < 3] == told
    await finished(run)


@pytest.mark.parametrize("cursor", ["nonsense", "1.99.0", "7.1.0", "1.-1.0", "1.1.99999999"])
async def test_a_cursor_that_cannot_be_is_not_accepted(server, client, cursor):
    run = await begin(server, settings("raw", **ONE_PAGE))
    registered = await client.join(resume_run_id="run", feedback_cursor=cursor)
    assert not registered.resumed
    await client.serve()
    assert client.feedback(0)
    await finished(run)


async def test_a_recommender_of_another_run_starts_afresh(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    registered = await client.join(resume_run_id="gone", feedback_cursor="1.1.4")
    assert not registered.resumed
    await client.serve()
    assert client.feedback(0)
    await finished(run)


async def test_a_recommender_away_for_too_long_has_lost_its_lists(server, client):
    arm = {"recommender": "raw", "failure_policy": "fallback_popular"}
    run = await begin(server, settings(arm, session={"resume_window_s": 0.1}, **ONE_PAGE))
    await client.join()
    await client.open_round()
    await client.receive_work()
    await client.hang_up()
    await finished(run)
    assert set(outcomes(run)) == {Outcome.LOST}
    async with another(server) as late:
        await late.register(resume_run_id="run")
        assert await late.stays_silent()  # the run is over: it waits for the next


async def test_the_same_run_with_and_without_a_break_has_the_same_log(server, client):
    digests = []
    for name, breaks in (("whole", False), ("broken", True)):
        run = await begin(server, settings("raw", rounds=3), run_id=name)
        async with another(server) as first:
            await first.join()
            if breaks:
                await first.serve(until=lambda m: m.HasField("search_work"))
                cursor = first.feedback()[-1].cursor
                await first.hang_up()
            else:
                await first.serve()
        if breaks:
            async with another(server) as second:
                await second.join(resume_run_id=name, feedback_cursor=cursor)
                await second.serve()
        digests.append(await finished(run))
    assert digests[0] == digests[1]


async def test_a_reset_run_has_a_new_epoch_and_starts_its_recommender_afresh(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    first = await client.join()
    await client.serve()
    digest = await finished(run)
    again = await server.house.reset("run", None)
    again.start()
    async with another(server) as second:
        cursor = client.feedback()[-1].cursor
        registered = await second.join(resume_run_id="run", feedback_cursor=cursor)
        assert (registered.epoch, registered.resumed) == (first.epoch + 1, False)
        await second.serve()
        assert {work.header.epoch for work in second.all("rank_work")} == {2}
    assert await finished(again) == digest


async def test_a_paused_run_keeps_its_recommender_and_goes_on(server, client):
    run = await begin(server, settings("raw", rounds=3))
    await client.join()
    serving = asyncio.create_task(client.serve())
    run.pause()
    await settled(run)
    assert run.state is RunState.PAUSED
    run.start()
    await until(run, 3)
    await finished(run)
    await serving
    assert await client.status() == OK


async def test_feedback_of_the_last_round_is_owed_even_when_the_server_died_after_committing_it(
    tmp_path,
):
    async with Server(tmp_path / "runs") as server, another(server) as client:
        run = await begin(server, settings("raw", rounds=2))
        await client.join()
        await client.serve()
        await finished(run)
        told = client.feedback()
        # What a killed server leaves behind: all rounds, and a state that speaks of playing.
        run.folder.set_status(RunState.RUNNING)
    async with Server(tmp_path / "runs") as server, another(server) as client:
        run = server.house.run("run")
        assert run.state is RunState.PAUSED
        cursor = [one.cursor for one in told if one.round == 1][-1]
        run.start()
        await client.join(resume_run_id="run", feedback_cursor=cursor)
        await client.serve()
        assert client.feedback() == [one for one in told if one.round == 2]
        assert await client.status() == OK
        await finished(run)


# ------------------------------------------------------------------------------ goodbye
async def test_a_server_that_stops_says_come_back(server, client):
    await begin(server, settings("raw", rounds=50))
    await client.join()
    await client.serve(until=lambda m: m.HasField("round_ended"))
    stopping = asyncio.create_task(server.stop())
    drain = await client.find("drain")
    assert drain.reason.code == CODE.UNAVAILABLE.value[0]
    await client.close_half()
    assert await client.receive_any() is None
    await stopping


async def test_a_recommender_that_drains_gets_no_more_work(server, client):
    arm = {"recommender": "raw", "failure_policy": "fallback_popular"}
    chosen = settings(
        arm,
        visits={"step_cap": 1},
        session={"max_users_per_work": 4, "resume_window_s": 0.2},
        rounds=1,
    )
    run = await begin(server, chosen)
    await client.join(max_outstanding_work=1)
    await client.open_round()
    kind, work = await client.receive_work()
    await client.send(drain=Drain(reason=Status(message="leaving"), grace=Duration(seconds=5)))
    await client.send(client.answer(kind, work))
    await client.stays_silent()  # had there been more work, it would have come by now
    await client.close_half()
    assert await client.receive_any() is None
    assert await client.status() == OK
    await finished(run)
    counted = outcomes(run)
    assert counted[Outcome.ACCEPTED] == len(work.queries)
    assert set(counted) == {Outcome.ACCEPTED, Outcome.LOST}


async def test_a_run_that_is_stopped_lets_its_recommender_go(server, client):
    run = await begin(server, settings("raw", rounds=50))
    await client.join()
    await client.serve(until=lambda m: m.HasField("round_ended"))
    stopping = asyncio.create_task(run.stop())
    drain = await client.find("drain")
    assert drain.reason.code == 0
    await client.close_half()
    await stopping
    assert await client.status() == OK
    assert run.state is RunState.STOPPED
