"""Old sessions and old epochs: a new session of the same instance ends the old one in whatever
state it is, and nothing that is said in the name of the old counts any more."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio

from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.types import Outcome
from recarena.v1.recommender_service_pb2 import ConnectRequest, ListFeedbackRequest
from recarena.v1.session_pb2 import Drain, RoundReady, WorkOutcome
from support.arena import begin, finished, settings, until
from support.raw_client import OK, RawClient, reason_of
from support.sessions import another, outcomes

pytestmark = pytest.mark.asyncio(loop_scope="module")
CODE = grpc.StatusCode
UNKNOWN, DUPLICATE = WorkOutcome.DISPOSITION_UNKNOWN_WORK, WorkOutcome.DISPOSITION_DUPLICATE
SMALL_WORLD = "new:users=12,seed=3,history=2"
TWO_ROUNDS: dict[str, Any] = {"rounds": 2, "visits": {"step_cap": 1}}
NUMBERS = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with Server(tmp_path_factory.mktemp("fencing") / "runs") as made:
        yield made


async def a_run(server: Server, arm: Any = "raw", **values: Any) -> Run:
    """A small run of two rounds, one page a visit."""
    chosen = settings(arm, **{**TWO_ROUNDS, **values})
    return await begin(server, chosen, f"run-{next(NUMBERS)}", SMALL_WORLD)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def undisturbed(server: Server) -> str:
    """Digest of the run that is served by one session."""
    run = await a_run(server)
    async with another(server) as client:
        await client.join()
        await client.serve()
    return await finished(run)


def spoilt(client: RawClient, kind: str, work: Any) -> ConnectRequest:
    """An answer that would show in the log: all lists backwards."""
    answer = client.answer(kind, work)
    for one in answer.rank_result.lists:
        one.items.reverse()
    return answer


async def is_fenced(client: RawClient) -> None:
    """The stream of the old session has ended, and says why."""
    while await client.receive_any():
        pass
    assert (await client.status())[0] is CODE.ABORTED
    assert reason_of(await client.rich_status()) == "FENCED"


STATES = ("waiting", "loading", "training", "with a work", "leaving", "told goodbye")


async def reach(client: RawClient, run: Run, state: str) -> tuple[str, Any] | None:
    """Behaves well until the second round is in this state; the work that the client has then."""
    if state == "loading":
        await client.register()
        client.registered = await client.receive("registered")
        return None
    await client.join()
    if state == "told goodbye":
        await client.serve(until=lambda m: m.HasField("drain") or (m.HasField("round_ended")
                           and m.round_ended.round == 2))  # fmt: skip
        await client.find("drain")
        return None
    await client.serve(until=lambda m: m.HasField("round_ended"))
    started = await client.find("round_started")
    assert started.round == 2
    if state == "training":
        return None
    await client.send(round_ready=RoundReady(round=2))
    work = await client.receive_work()
    if state == "leaving":
        await client.send(drain=Drain())
        assert await client.stays_silent()
    return work


@pytest.mark.parametrize("resumes", [True, False], ids=["resumes", "forgot"])
@pytest.mark.parametrize("state", STATES)
async def test_a_new_session_fences_the_old_in_every_state(server, undisturbed, state, resumes):
    async with another(server) as old, another(server) as new:
        work, fields = None, {}
        if state == "waiting":
            await old.register()
            assert await old.stays_silent()
            await new.register()
            await is_fenced(old)
            run = await a_run(server)
        else:
            run = await a_run(server)
            work = await reach(old, run, state)
            if state == "told goodbye" or resumes:
                fields["resume_run_id"] = run.run_id
            if resumes and old.feedback():
                fields["feedback_cursor"] = old.feedback()[-1].cursor
            await new.register(**fields)
        new.registered = await new.receive("registered")
        assert new.registered.run_id == run.run_id
        assert new.registered.resumed == ("feedback_cursor" in fields)
        assert new.registered.session_id != old.registered.session_id
        if work:
            with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
                await old.send(spoilt(old, *work))
        elif state != "waiting":
            await is_fenced(old)
        await new.load_catalog()
        await new.catalog_ready()
        await new.serve()
        assert await new.status() == OK
        assert await finished(run) == undisturbed
        assert new.all("work_outcome") == []
        assert_told_of_all(new if not fields.get("feedback_cursor") else old, new, run)


def assert_told_of_all(first: RawClient, second: RawClient, run: Run) -> None:
    """One session, or one after the other, was told every round once."""
    batches = [*first.feedback(), *(second.feedback() if second is not first else ())]
    assert [batch.round for batch in batches] == list(range(run.round + 1))


@pytest.mark.parametrize("state", ["with a work", "leaving"])
async def test_who_is_fenced_with_a_work_is_told_so(server, state):
    run = await a_run(server)
    async with another(server) as old, another(server) as new:
        await reach(old, run, state)
        await new.join()
        await is_fenced(old)
        await new.serve()
        await finished(run)


async def test_of_ten_sessions_of_one_instance_the_last_one_serves(server, undisturbed):
    run = await a_run(server)
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(another(server)) for _ in range(10)]
        for number, client in enumerate(clients):
            await client.join()
            await client.open_round(1)
            _, work = await client.receive_work()
            assert work.header.attempt == number + 1
        for client in clients[:-1]:
            await is_fenced(client)
        await clients[-1].send(clients[-1].answer("rank_work", work))
        await clients[-1].serve()
        assert await finished(run) == undisturbed


# ------------------------------------------------------------------------------ works of others
async def test_a_work_of_the_old_session_is_unknown_until_it_is_sent_again(server, undisturbed):
    run = await a_run(server)
    async with another(server) as old, another(server) as new:
        kind, work = await reach(old, run, "with a work") or ("", None)
        answered = old.all("rank_work")[0].header.work_id
        await new.join()
        await new.find("round_started")
        too_early = spoilt(new, kind, work)
        await new.send(too_early)
        told = await new.receive("work_outcome")
        assert (told.work_id, told.disposition) == (work.header.work_id, UNKNOWN)
        too_early.rank_result.work_id = answered
        await new.send(too_early)
        told = await new.receive("work_outcome")
        assert (told.work_id, told.disposition) == (answered, UNKNOWN)
        await new.send(round_ready=RoundReady(round=2))
        _, again = await new.receive_work()
        assert (again.header.work_id, again.header.attempt) == (work.header.work_id, 2)
        await new.send(new.answer(kind, again))
        await new.serve()
        assert await finished(run) == undisturbed


async def test_a_work_of_another_arm_is_unknown_and_waits_for_its_own_recommender(server):
    arms = [{"recommender": "raw"}, {"recommender": "stranger"}]
    chosen = settings(*arms, **TWO_ROUNDS)
    run = await begin(server, chosen, f"run-{next(NUMBERS)}", SMALL_WORLD)
    async with another(server) as one, another(server) as stranger:
        await one.join()
        await stranger.join("stranger", instance_id="instance-1")
        await asyncio.gather(one.open_round(1), stranger.open_round(1))
        kind, work = await one.receive_work()
        mine = await stranger.receive_work()
        await stranger.send(spoilt(one, kind, work))
        told = await stranger.receive("work_outcome")
        assert (told.work_id, told.disposition) == (work.header.work_id, UNKNOWN)
        await one.send(one.answer(kind, work))
        await stranger.send(stranger.answer(*mine))
        await asyncio.gather(one.serve(), stranger.serve())
        assert one.all("work_outcome") == []
        shown = {
            shown.user_id: [item.item_id for item in shown.items]
            for batch in one.feedback(1)
            for shown in batch.impressions
        }
        for query in work.queries:
            sent = [item.item_id for item in one.ranked(query).items]
            assert shown[query.user.user_id] == sent
    await finished(run)


# ------------------------------------------------------------------------------ old epochs
async def test_a_session_of_the_old_epoch_is_let_go_and_begins_again_in_the_new(server):
    run = await a_run(server, rounds=3)
    async with another(server) as old, another(server) as new:
        await old.join()
        await old.serve(until=lambda m: m.HasField("round_ended"))
        await old.find("round_started")
        cursor = old.feedback()[-1].cursor
        work_id = old.all("rank_work")[0].header.work_id
        run.pause()
        await old.send(round_ready=RoundReady(round=2))
        await old.send(old.answer(*await old.receive_work()))
        await until(run, 2)
        await run.settled()
        resetting = asyncio.ensure_future(server.house.reset(run.run_id, None))
        drain = await old.find("drain")
        assert drain.reason.code == CODE.UNAVAILABLE.value[0]
        await old.close_half()
        again = await resetting
        again.start()
        registered = await new.join(resume_run_id=run.run_id, feedback_cursor=cursor)
        assert (registered.epoch, registered.resumed) == (2, False)
        assert (await new.receive("feedback_batch")).round == 0
        await new.open_round(1)
        kind, work = await new.receive_work()
        assert work.header.epoch == 2
        old_answer = new.answer(kind, work)
        old_answer.rank_result.work_id = work_id
        await new.send(old_answer)
        told = await new.receive("work_outcome")
        assert (told.work_id, told.disposition) == (work_id, UNKNOWN)
        await new.send(new.answer(kind, work))
        await new.serve()
        assert [batch.round for batch in new.feedback()] == [0, 1, 2, 3]
        with pytest.raises(grpc.RpcError) as refused:
            await new.stub.ListFeedback(ListFeedbackRequest(session_id=old.registered.session_id))
        assert refused.value.code() is CODE.NOT_FOUND
    await finished(again)
    assert set(outcomes(again)) == {Outcome.ACCEPTED}


async def test_the_feedback_of_a_fenced_session_is_listed_to_nobody(server):
    run = await a_run(server)
    async with another(server) as old, another(server) as new:
        await reach(old, run, "with a work")
        await new.join(resume_run_id=run.run_id)
        await is_fenced(old)
        for session, cursor, code in (
            (old.registered.session_id, "", CODE.NOT_FOUND),
            (new.registered.session_id, "7.1.0", CODE.INVALID_ARGUMENT),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                await new.stub.ListFeedback(
                    ListFeedbackRequest(session_id=session, page_token=cursor)
                )
            assert refused.value.code() is code
        await new.serve()
        await finished(run)


# ------------------------------------------------------------------------------ who is not fenced
@pytest.mark.parametrize("instance", ["instance-2", ""], ids=["another", "without a name"])
async def test_another_instance_fences_nobody_and_waits_for_its_turn(server, undisturbed, instance):
    run = await a_run(server)
    async with another(server) as first, another(server) as second:
        await reach(first, run, "with a work")
        await second.register(instance_id=instance)
        assert await second.stays_silent()
        await first.hang_up()
        second.registered = await second.receive("registered")
        assert not second.registered.resumed
        await second.load_catalog()
        await second.catalog_ready()
        await second.open_round(2)
        work = await second.receive_work()
        async with another(server) as back:  # the first one comes back: it has lost its place
            await back.register(resume_run_id=run.run_id)
            assert await back.stays_silent()
            await second.send(second.answer(*work))
            await second.serve()
            assert await finished(run) == undisturbed
            back.registered = await back.receive("registered")  # for what it was not told
            await back.catalog_ready()
            await back.serve()
            assert_told_of_all(back, back, run)


async def test_sessions_without_a_name_do_not_fence_each_other(server):
    async with another(server) as first, another(server) as second:
        for client in (first, second):
            await client.register(instance_id="")
            assert await client.stays_silent()
        for client in (first, second):
            run = await a_run(server)
            client.registered = await client.receive("registered")
            await client.load_catalog()
            await client.catalog_ready()
            await client.serve()
            await finished(run)


async def test_of_two_replicas_the_one_that_comes_anew_is_fenced(server):
    run = await a_run(server, {"recommender": "raw", "replicas": 2})
    async with another(server) as one, another(server) as two, another(server) as anew:
        await one.join(instance_id="one")
        await two.join(instance_id="two")
        serving = asyncio.create_task(two.serve())
        await one.open_round(1)
        await anew.join(instance_id="one")
        await is_fenced(one)
        await anew.serve()
        await serving
        assert await two.status() == OK
        await finished(run)
        assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_an_instance_may_serve_two_runs_at_once(server):
    first = await a_run(server)
    async with another(server) as one, another(server) as other:
        await reach(one, first, "training")
        second = await a_run(server)
        await other.join(resume_run_id=second.run_id)
        assert other.registered.run_id == second.run_id
        await other.serve()
        await finished(second)
        await one.send(round_ready=RoundReady(round=2))
        await one.serve()
        assert await one.status() == OK
        await finished(first)
