"""What users are shown, and what is told, without a usable list."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import numpy as np
import pytest

from recarena.server.founding import RunState
from recarena.server.types import EventKind, Outcome
from recarena.v1.types_pb2 import Impression
from support.arena import begin, finished, log_of, settings, settled
from support.raw_client import (
    COLUMNAR,
    OK,
    RICH,
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
