"""What happens without a usable list, and when a session is lost, found again or over."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.status_pb2 import Status

from recarena.server.rpc.server import Server
from recarena.server.runs import RunState
from recarena.server.types import EventKind, Outcome
from recarena.v1.session_pb2 import (
    Drain,
    RoundReady,
)
from recarena.v1.types_pb2 import Impression
from support.arena import begin, finished, log_of, settings, settled, until
from support.raw_client import (
    COLUMNAR,
    OK,
    RICH,
    reason_of,
)
from support.sessions import (
    ENCODINGS,
    ONE_PAGE,
    another,
    failing,
    outcomes,
    pages,
    play,
)

CODE = grpc.StatusCode


# ------------------------------------------------------------------------------ failure policies
async def test_empty_list_shows_an_empty_page_that_stays_in_the_log(server, client):
    run = await play(
        server, client, failing, {"recommender": "raw", "failure_policy": "empty_list"}
    )
    assert set(outcomes(run)) == {Outcome.FAILED}
    assert set(pages(run).position.tolist()) == {0}
    impressions = [one for batch in client.feedback(1) for one in batch.impressions]
    assert len(impressions) == len(pages(run))
    assert {one.source for one in impressions} == {Impression.SOURCE_FALLBACK}
    assert not any(one.items for one in impressions)
    ended = client.all("round_ended")[0]
    assert (ended.accepted, ended.fallback) == (0, len(pages(run)))


@ENCODINGS
async def test_fallback_popular_shows_what_is_never_credited(server, client, capabilities):
    arm = {"recommender": "raw", "failure_policy": "fallback_popular"}
    run = await play(server, client, failing, arm, register={"capabilities": capabilities})
    assert set(outcomes(run)) == {Outcome.FAILED}
    log = log_of(run)
    shown = log.of(EventKind.SHOWN)
    by_fame = np.argsort(-run.data.catalog.popularity, kind="stable")[:5]
    assert set(shown.item.tolist()) == set(by_fame.tolist())
    first = shown.item[shown.user == shown.user[0]]
    assert first.tolist() == by_fame.tolist()
    assert len(log.of(EventKind.WATCH)) > 0
    assert client.all("round_ended")[0].fallback == len(pages(run))
    if capabilities is RICH:
        impressions = [one for batch in client.feedback(1) for one in batch.impressions]
        assert {one.source for one in impressions} == {Impression.SOURCE_FALLBACK}
        assert {one.attribution_token for one in impressions} == {""}
    else:
        for batch in client.feedback(1):
            assert list(batch.fallbacks) == [1] * len(batch.item_numbers)


async def test_only_the_pages_of_the_failed_work_are_fallbacks(server, client):
    def answers(raw, kind, work):
        right = raw.answer(kind, work)
        return failing(raw, kind, work) if work.user_numbers[0] == first[0] else [right]

    first: list[int] = []
    arm = {"recommender": "raw", "failure_policy": "fallback_popular"}
    chosen = settings(arm, session={"max_users_per_work": 8}, **ONE_PAGE)
    run = await begin(server, chosen)
    await client.join(capabilities=COLUMNAR, max_outstanding_work=1)
    await client.open_round()
    kind, work = await client.receive_work()
    first.append(work.user_numbers[0])
    await client.send(failing(client, kind, work)[0])
    await client.serve(answers)
    await finished(run)
    failed = {int(user) for user in work.user_numbers}
    (batch,) = client.feedback(1)
    marked = {u for u, f in zip(batch.user_numbers, batch.fallbacks, strict=True) if f}
    assert marked == failed
    assert outcomes(run)[Outcome.FAILED] == len(failed)


@pytest.mark.parametrize(
    ("policy", "state"),
    [("pause_run", RunState.PAUSED), ("fail_run", RunState.FAILED)],
)
async def test_a_run_stops_at_the_last_committed_round_and_goes_on(server, client, policy, state):
    arm = {"recommender": "raw", "failure_policy": policy}
    run = await begin(server, settings(arm, rounds=3))
    await client.join()

    def answers(raw, kind, work):
        if work.header.round == 2 and run.state is RunState.RUNNING and not failed:
            failed.append(work)
            return failing(raw, kind, work)
        return None

    failed: list[Any] = []
    serving = asyncio.create_task(client.serve(answers))
    await settled(run)
    assert run.state is state
    assert run.round == 1
    assert "recommender raw" in run.error
    assert "ExceptionGroup" not in run.error
    run.start()
    await finished(run)
    await serving
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_the_policy_of_one_arm_leaves_the_other_alone(server):
    arms = [{"recommender": "good"}, {"recommender": "bad", "failure_policy": "fallback_popular"}]
    run = await begin(server, settings(*arms, rounds=2))
    async with another(server) as good, another(server) as bad:
        await asyncio.gather(good.join("good"), bad.join("bad", instance_id="instance-2"))
        await asyncio.gather(good.serve(), bad.serve(failing))
        assert good.all("work_outcome") == []
    await finished(run)
    found = pages(run)
    arm = run.arm_of_user[found.user]
    assert set(found.outcome[arm == 0].tolist()) == {Outcome.ACCEPTED}
    assert set(found.outcome[arm == 1].tolist()) == {Outcome.FAILED}
    users = {
        name: {q.user.user_number for work in client.all("rank_work") for q in work.queries}
        for name, client in (("good", good), ("bad", bad))
    }
    assert {run.arm_of_user[user] for user in users["good"]} == {0}
    assert {run.arm_of_user[user] for user in users["bad"]} == {1}
    for client, number in ((good, 0), (bad, 1)):
        ids = run.data.population.user_ids
        told = {one.user_id for batch in client.feedback() for one in batch.impressions}
        told |= {one.user_id for batch in client.feedback() for one in batch.interactions}
        assert told <= {ids[user] for user in np.flatnonzero(run.arm_of_user == number)}


async def test_a_dead_recommender_ends_its_session_only(server):
    arms = [
        {"recommender": "good"},
        {"recommender": "bad", "failure_policy": "empty_list"},
    ]
    run = await begin(server, settings(*arms, rounds=2, session={"resume_window_s": 0.1}))
    async with another(server) as good, another(server) as bad:
        await asyncio.gather(good.join("good"), bad.join("bad", instance_id="instance-2"))
        serving = asyncio.create_task(good.serve())
        await bad.open_round()
        await bad.receive_work()
        await bad.hang_up()
        await serving
        assert await good.status() == OK
    await finished(run)
    found = pages(run)
    arm = run.arm_of_user[found.user]
    assert set(found.outcome[arm == 0].tolist()) == {Outcome.ACCEPTED}
    assert set(found.outcome[arm == 1].tolist()) == {Outcome.LOST}


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


async def test_a_new_session_of_the_same_instance_fences_the_old(server, client):
    run = await begin(server, settings("raw", rounds=2))
    first = await client.join()
    await client.open_round()
    _, work = await client.receive_work()
    async with another(server) as second:
        await second.join(resume_run_id=first.run_id, feedback_cursor=client.feedback()[-1].cursor)
        while await client.receive_any():
            pass
        assert (await client.status())[0] is CODE.ABORTED
        assert reason_of(await client.rich_status()) == "FENCED"
        await second.open_round()
        _, again = await second.receive_work()
        assert (again.header.work_id, again.header.attempt) == (work.header.work_id, 2)
        await second.send(second.answer("rank_work", again))
        await second.serve()
    await finished(run)


async def test_a_session_of_the_same_instance_that_names_no_run_fences_nobody(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join()
    async with another(server) as second:
        await second.register()
        assert await second.stays_silent()
        await client.serve()
        assert await client.status() == OK
        await finished(run)
        assert await second.stays_silent()


async def test_another_instance_waits_and_takes_over_when_the_first_is_gone(server, client):
    run = await begin(server, settings("raw", rounds=2))
    await client.join()
    await client.open_round()
    await client.receive_work()
    async with another(server) as second:
        await second.register(instance_id="instance-2")
        assert await second.stays_silent()
        await client.hang_up()
        second.registered = await second.receive("registered")
        assert not second.registered.resumed
        await second.load_catalog()
        await second.catalog_ready()
        await second.serve()
        assert second.feedback(0)
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
