"""The server's side of a session: from Register to the first work."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import pytest

from recarena.server.founding import RunState
from recarena.server.rpc import admission
from recarena.server.types import Outcome
from recarena.v1.recommender_service_pb2 import (
    ConnectRequest,
)
from recarena.v1.session_pb2 import (
    CAPABILITY_RANK,
    CAPABILITY_SEARCH,
    RoundReady,
)
from recarena.v1.types_pb2 import Interaction, Surface
from recarena.v1.work_pb2 import RankResult
from support.arena import begin, finished, settings, settled
from support.raw_client import (
    COLUMNAR,
    OK,
    RICH,
    RawClient,
    reason_of,
)
from support.sessions import (
    ENCODINGS,
    ONE_PAGE,
    another,
    outcomes,
)

CODE = grpc.StatusCode


# ------------------------------------------------------------------------------ whole runs
@ENCODINGS
async def test_a_raw_client_completes_a_whole_run(server, client, capabilities):
    run = await begin(server, settings("raw", rounds=3))
    registered = await client.join(capabilities=capabilities)
    await client.serve()
    assert await client.status() == OK
    await finished(run)
    assert registered.run_id == "run"
    assert list(registered.arm_ids) == ["raw"]
    assert (registered.epoch, registered.round_limit, registered.page_size) == (1, 3, 5)
    assert registered.user_count == 40
    assert registered.catalog_size == len(client.item_ids) == len(set(client.item_ids))
    assert set(registered.capabilities) == set(capabilities)
    assert not registered.resumed
    assert set(outcomes(run)) == {Outcome.ACCEPTED}
    assert client.all("work_outcome") == []
    assert [message.seq for message in client.seen] == list(range(1, len(client.seen) + 1))


@ENCODINGS
async def test_messages_come_in_the_order_of_the_contract(server, client, capabilities):
    run = await begin(server, settings("raw", rounds=2))
    await client.join(capabilities=capabilities)
    await client.serve()
    await finished(run)
    rich = capabilities is RICH
    rank, search = ("rank_work", "search_work") if rich else ("rank_batch", "search_batch")
    feedback = "feedback_batch" if rich else "feedback_columns"
    kinds = client.kinds()
    seen = {rank, search, feedback, "registered", "round_started", "round_ended", "drain"}
    assert set(kinds) == seen
    shape = [kind for at, kind in enumerate(kinds) if kind != kinds[at - 1]]
    works = [kind for kind in shape if kind not in (rank, search)]
    per_round = ["round_started", feedback, "round_ended"]
    assert works == ["registered", feedback, *per_round, *per_round, "drain"]
    assert [one.round for one in client.all("round_started")] == [1, 2]
    assert [one.round for one in client.all("round_ended")] == [1, 2]
    assert {one.round for one in client.feedback()} == {0, 1, 2}
    assert client.all("drain")[0].reason.code == 0


@ENCODINGS
async def test_both_encodings_say_of_each_work_whose_it_is(server, client, capabilities):
    run = await begin(server, settings("raw", rounds=2, session={"max_users_per_work": 8}))
    await client.join(capabilities=capabilities)
    await client.serve()
    await finished(run)
    works = client.all("rank_work", "rank_batch", "search_work", "search_batch")
    heads = [work.header for work in works]
    assert len({head.work_id for head in heads}) == len(heads)
    assert {(head.attempt, head.epoch) for head in heads} == {(1, 1)}
    assert {head.round for head in heads} == {1, 2}
    assert {head.timeout.seconds for head in heads} == {60}
    sizes = [len(getattr(work, "queries", getattr(work, "user_numbers", ()))) for work in works]
    assert max(sizes) == 8
    if capabilities is RICH:
        for work in client.all("rank_work"):
            assert [query.query_index for query in work.queries] == list(range(len(work.queries)))
            assert {query.surface for query in work.queries} == {Surface.SURFACE_FEED}
            assert {query.result_count for query in work.queries} == {5}
            for query in work.queries:
                assert query.user.arm_id == "raw"
                assert not query.user.attributes
                assert not query.user.recent
        ids = run.data.population.user_ids
        users = [query.user for work in works for query in work.queries]
        assert all(ids[user.user_number] == user.user_id for user in users)


async def test_rich_and_columnar_answers_give_the_same_log(server):
    digests = []
    for name, capabilities in (("rich", RICH), ("columnar", COLUMNAR)):
        run = await begin(server, settings("raw", rounds=3), run_id=name)
        async with another(server) as client:
            await client.join(capabilities=capabilities)
            await client.serve()
        digests.append(await finished(run))
    assert digests[0] == digests[1]


# ------------------------------------------------------------------------------ Register
async def test_a_first_message_other_than_register_is_refused(client):
    await client.send(round_ready=RoundReady(round=1))
    assert await client.receive_any() is None
    code, text = await client.status()
    assert code is CODE.INVALID_ARGUMENT
    assert "Register" in text


async def test_a_recommender_that_cannot_rank_is_refused(client):
    await client.register(capabilities=[CAPABILITY_SEARCH])
    assert await client.receive_any() is None
    code, text = await client.status()
    assert code is CODE.FAILED_PRECONDITION
    assert "RANK" in text
    assert reason_of(await client.rich_status()) == "INCOMPATIBLE"


@pytest.mark.parametrize("name", ["", "Raw", "-raw", "raw one", "räw", "r" * 64, "../raw", "raw\n"])
async def test_a_bad_recommender_id_is_refused(client, name):
    await client.register(name)
    assert await client.receive_any() is None
    code, text = await client.status()
    assert code is CODE.INVALID_ARGUMENT
    assert "recommender_id" in text


async def test_a_too_long_instance_id_is_refused(client):
    await client.register(instance_id="x" * 129)
    assert await client.receive_any() is None
    assert (await client.status())[0] is CODE.INVALID_ARGUMENT


async def test_a_stream_without_register_ends_in_time(server, monkeypatch):
    monkeypatch.setattr(admission, "REGISTER_TIMEOUT_S", 0.1)
    async with another(server) as client:
        await client.send()  # the stream is open; an unset oneof is no Register
        assert await client.receive_any() is None
        assert (await client.status())[0] is CODE.INVALID_ARGUMENT
    call = RawClient(server.address)
    async with call:
        assert await call.receive_any() is None
        assert (await call.status())[0] is CODE.DEADLINE_EXCEEDED


async def test_register_sent_twice_ends_the_session(server, client):
    await begin(server, settings("raw"))
    await client.join()
    await client.register()
    while await client.receive_any():
        pass
    assert (await client.status())[0] is CODE.FAILED_PRECONDITION


async def test_a_recommender_waits_until_a_run_wants_it(server, client):
    await client.register()
    assert await client.stays_silent()
    await begin(server, settings("other"), run_id="others")
    assert await client.stays_silent()
    run = await begin(server, settings("raw", **ONE_PAGE))
    client.registered = await client.receive("registered")
    assert client.registered.run_id == "run"
    await client.load_catalog()
    await client.catalog_ready()
    await client.serve()
    await finished(run)


async def test_features_that_the_server_does_not_know_are_left_out(server, client):
    await begin(server, settings("raw"))
    registered = await client.join(capabilities=[CAPABILITY_RANK, 77], protocol_minor=9)
    assert list(registered.capabilities) == [CAPABILITY_RANK]
    assert registered.protocol_minor == 0


async def test_the_limits_in_force_are_told(server, client):
    chosen = settings("raw", session={"resume_window_s": 12, "ping_interval_s": 3})
    await begin(server, chosen)
    registered = await client.join(max_users_per_work=100_000)
    limits = registered.limits
    assert limits.max_users_per_work == 256
    assert (limits.max_message_bytes, limits.max_items_per_list) == (4 * 2**20, 100)
    assert (limits.max_explanation_chars, limits.max_token_bytes) == (500, 256)
    assert (registered.resume_window.seconds, registered.ping_interval.seconds) == (12, 3)
    assert registered.work_timeout.seconds == 60
    assert registered.max_work_timeout.seconds >= 60


# ------------------------------------------------------------------------------ rounds and pings
@ENCODINGS
async def test_history_comes_before_any_work(server, client, capabilities):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join(capabilities=capabilities)
    await client.serve()
    await finished(run)
    history = run.data.history
    batches = client.feedback(0)
    if capabilities is RICH:
        ids, items = run.data.population.user_ids, run.data.catalog.item_ids
        told = [one for batch in batches for one in batch.interactions]
        assert [(one.user_id, one.item_id, one.value) for one in told] == [
            (ids[u], items[i], r)
            for u, i, r in zip(
                history.user.tolist(), history.item.tolist(), history.rating.tolist(), strict=True
            )
        ]
        assert {one.type for one in told} == {Interaction.TYPE_RATE}
        assert {one.impression_id for one in told} == {""}
        assert not any(batch.impressions for batch in batches)
    else:
        (batch,) = batches
        assert list(batch.user_numbers) == history.user.tolist()
        assert list(batch.item_numbers) == history.item.tolist()
        assert list(batch.values) == history.rating.tolist()
        assert set(batch.types) == {Interaction.TYPE_RATE}
        lengths = {len(batch.positions), len(batch.types), len(batch.values)}
        assert lengths == {len(history)}


async def test_no_work_comes_before_the_recommender_is_ready(server, client):
    run = await begin(server, settings("raw", session={"ping_interval_s": 0.05}, **ONE_PAGE))
    await client.join()
    await client.find("round_started")
    before = client.pings
    # Pings go on while a model is trained; three of them pass without any work.
    client.pongs = False
    for _ in range(3):
        message = await client.receive_any()
        assert message is not None
        assert message.HasField("ping")
        await client.send(pong={"nonce": message.ping.nonce})
    client.pongs = True
    assert client.pings == before + 3
    await client.send(round_ready=RoundReady(round=1))
    await client.serve()
    await finished(run)


async def test_ready_for_another_round_is_not_ready(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join()
    await client.find("round_started")
    await client.send(round_ready=RoundReady(round=2))
    assert await client.stays_silent()
    await client.send(round_ready=RoundReady(round=1))
    await client.serve()
    await finished(run)


async def test_a_recommender_that_is_never_ready_is_let_go(server, client):
    chosen = settings(
        {"recommender": "raw", "failure_policy": "pause_run"},
        session={"ready_timeout_s": 0.2, "resume_window_s": 0.1},
        **ONE_PAGE,
    )
    run = await begin(server, chosen)
    await client.join()
    await client.find("round_started")
    assert await client.receive_any() is None
    assert (await client.status())[0] is CODE.DEADLINE_EXCEEDED
    await settled(run)
    assert run.state is RunState.PAUSED, run.error


async def test_pings_are_sent_and_a_hung_recommender_is_found_out(server, client):
    chosen = settings("raw", session={"ping_interval_s": 0.1, "resume_window_s": 30}, **ONE_PAGE)
    run = await begin(server, chosen)
    await client.join()
    client.pongs = False
    while message := await client.receive_any():
        assert not message.HasField("round_ended")
    assert client.pings == 3
    assert (await client.status())[0] is CODE.UNAVAILABLE
    async with another(server) as second:
        await second.join()
        await second.serve()
    await finished(run)


async def test_unknown_messages_are_ignored(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join()
    await client.send(ConnectRequest())
    # A message of a later version: field 1000, length-delimited.
    await client.send(ConnectRequest.FromString(b"\xc2\x3e\x03abc"))
    await client.serve(lambda raw, kind, work: [ConnectRequest(), raw.answer(kind, work)])
    await finished(run)
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_a_message_over_the_limit_ends_that_session_only(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join()
    huge = ConnectRequest(rank_result=RankResult(work_id="x" * (4 * 2**20 + 1)))
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        await client.send(huge)
    while await client.receive_any():
        pass
    assert (await client.status())[0] is CODE.RESOURCE_EXHAUSTED
    async with another(server) as second:
        await second.join(instance_id="instance-2")
        await second.serve()
    await finished(run)
