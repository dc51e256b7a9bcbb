"""At each limit it passes; one over it the limit is named, and the server lives.

Also here: what the server itself sends goes out in parts that are within them.
"""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from recarena.server.errors import InputError
from recarena.server.rpc import answers, feedback_codec, limits
from recarena.server.rpc.callers import Role
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server
from recarena.server.types import EventKind, Faults, Outcome
from recarena.v1.recommender_service_pb2 import ConnectRequest, StreamCatalogRequest
from recarena.v1.session_pb2 import (
    CAPABILITY_EXPLAIN,
    CAPABILITY_PARTIAL_RESULTS,
    Register,
    WorkOutcome,
)
from recarena.v1.types_pb2 import RankedItem
from recarena.v1.work_pb2 import RankBatchResult, RankResult
from support.arena import begin, finished, log_of, settings
from support.callers import Caller, token
from support.raw_client import COLUMNAR, OK, RICH, RawClient, fields_of, reason_of
from support.sessions import ENCODINGS, ONE_PAGE, another, first_list, outcome_of, outcomes, play
from support.worlds import tiny_world

CODE = grpc.StatusCode
Kind = WorkOutcome


@pytest.fixture(autouse=True)
async def _lives(server: Server) -> AsyncIterator[None]:
    """After each test the server plays a run as if nothing had been."""
    yield
    run = await begin(server, settings("after", **ONE_PAGE), "after", "new:users=5,seed=3")
    async with another(server) as client:
        await client.join("after")
        await client.serve()
    await finished(run)
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def ending_of(client: RawClient) -> tuple[grpc.StatusCode, str]:
    """How the stream ended, when all that came before is read."""
    while await client.receive_any():
        pass
    return await client.status()


def padded_to(answer: ConnectRequest, size: int) -> ConnectRequest:
    """The same answer with so many bytes on the wire."""
    result = answer.rank_result
    result.model_version = "m" * size
    result.model_version = "m" * (size - (answer.ByteSize() - size))
    assert answer.ByteSize() == size
    return answer


# ------------------------------------------------------------------------------ messages
@pytest.mark.parametrize("over", [0, 1])
async def test_the_parts_of_an_answer_have_a_size_together(server, client, monkeypatch, over):
    monkeypatch.setattr(limits, "MAX_ANSWER_BYTES", 90_000)

    def in_two(raw, kind, work):
        whole = raw.answer(kind, work)
        part = ConnectRequest(rank_result=RankResult(work_id=work.header.work_id))
        part.rank_result.model_version = "m" * 20_000
        rest = limits.MAX_ANSWER_BYTES - part.rank_result.ByteSize() + over
        return [part, padded_to(whole, rest + 4)]  # 4: tag and length of the field around it

    capabilities = [*RICH, CAPABILITY_PARTIAL_RESULTS]
    run = await play(server, client, in_two, register={"capabilities": capabilities})
    assert set(outcomes(run)) == {Outcome.REJECTED if over else Outcome.ACCEPTED}
    if over:
        assert "more than 90000 bytes in all parts" in outcome_of(client).status.message


async def test_a_message_of_four_mebibytes_passes(server, client):
    def largest(raw, kind, work):
        return [padded_to(raw.answer(kind, work), limits.MAX_MESSAGE_BYTES)]

    run = await play(server, client, largest)
    assert set(outcomes(run)) == {Outcome.ACCEPTED}
    assert client.registered.limits.max_message_bytes == limits.MAX_MESSAGE_BYTES


async def test_a_message_of_a_byte_more_ends_its_stream_and_the_limit_is_named(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join()
    await client.open_round()
    kind, work = await client.receive_work()
    huge = padded_to(client.answer(kind, work), limits.MAX_MESSAGE_BYTES + 1)
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        await client.send(huge)
    code, text = await ending_of(client)
    assert code is CODE.RESOURCE_EXHAUSTED
    assert str(limits.MAX_MESSAGE_BYTES) in text
    async with another(server) as second:
        await second.join()
        await second.serve()
        assert {work.header.attempt for work in second.all("rank_work")} == {2}
    await finished(run)


@pytest.mark.parametrize(("size", "code"), [(15_000, CODE.OK), (16_385, CODE.RESOURCE_EXHAUSTED)])
async def test_metadata_of_up_to_sixteen_kibibytes_passes(server, size, code):
    async with grpc.aio.insecure_channel(server.address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        for _ in range(10):  # never by chance
            call = check(health_pb2.HealthCheckRequest(), metadata=(("x-long", "a" * size),))
            with contextlib.suppress(grpc.aio.AioRpcError):
                await call
            assert await call.code() is code
            assert code is CODE.OK or "metadata size" in (await call.details())


# ------------------------------------------------------------------------------ names
@pytest.mark.parametrize("unit", ["x", "é"])
async def test_an_instance_id_of_as_many_bytes_as_may_be_passes_and_one_more_does_not(
    server, client, unit
):
    longest = unit * (limits.MAX_ID_BYTES // len(unit.encode()))
    run = await begin(server, settings("raw", **ONE_PAGE))
    async with another(server) as refused:
        await refused.register(instance_id=longest + "x")
        code, text = await ending_of(refused)
        assert code is CODE.INVALID_ARGUMENT
        assert text == f"register.instance_id: more than {limits.MAX_ID_BYTES} bytes"
    registered = await client.join(instance_id=longest)
    assert registered.limits.max_id_bytes == limits.MAX_ID_BYTES
    await client.serve()
    await finished(run)


async def test_a_recommender_id_of_63_characters_passes_and_one_of_64_does_not(server):
    async with another(server) as refused:
        await refused.register("r" * 64)
        code, text = await ending_of(refused)
        assert code is CODE.INVALID_ARGUMENT
        assert "recommender_id" in text
        assert "62" in text  # the form of names: one character and up to 62 more
    run = await begin(server, settings("r" * 63, **ONE_PAGE))
    async with another(server) as client:
        await client.join("r" * 63)
        await client.serve()
    await finished(run)


@pytest.mark.parametrize("unit", ["x", "é", "🎬"])
async def test_a_work_id_that_is_too_long_is_told_back_within_the_limit(server, client, unit):
    def answers(raw, kind, work):
        stranger = RankResult(work_id=unit * 500, complete=True)
        return [ConnectRequest(rank_result=stranger), raw.answer(kind, work)]

    await play(server, client, answers)
    told = outcome_of(client)
    assert told.disposition == Kind.DISPOSITION_UNKNOWN_WORK
    assert told.work_id
    assert len(told.work_id.encode()) <= limits.MAX_ID_BYTES
    assert (unit * 500).startswith(told.work_id)


# ------------------------------------------------------------------------------ works and lists
@pytest.mark.parametrize(
    ("capabilities", "most"),
    [(RICH, limits.MAX_USERS_RICH), (COLUMNAR, limits.MAX_USERS_COLUMNAR)],
    ids=["rich", "columnar"],
)
@pytest.mark.parametrize("more", [0, 1])
async def test_a_work_is_for_as_many_users_as_were_asked_for_up_to_the_limit(
    server, client, capabilities, most, more
):
    await begin(server, settings("raw", **ONE_PAGE))
    registered = await client.join(capabilities=capabilities, max_users_per_work=most + more)
    assert registered.limits.max_users_per_work == most
    await client.serve()


async def test_no_work_is_for_more_than_256_users_in_the_rich_form(server, client):
    everybody = {"activation": {"policy": "all"}, "rounds": 1, "visits": {"step_cap": 1}}
    await begin(server, settings("raw", **everybody), world="new:users=900,seed=3")
    await client.join(max_users_per_work=10_000)
    await client.serve()
    sizes = [len(work.queries) for work in client.all("rank_work")]
    assert max(sizes) == limits.MAX_USERS_RICH < sum(sizes)


def test_a_run_cannot_ask_for_works_of_more_users_than_any_session_may_have():
    most = limits.MAX_USERS_COLUMNAR
    assert settings("raw", session={"max_users_per_work": most})
    with pytest.raises(InputError, match=f"max_users_per_work.*{most}"):
        settings("raw", session={"max_users_per_work": most + 1})


@pytest.mark.parametrize("length", [limits.MAX_ITEMS_PER_LIST, limits.MAX_ITEMS_PER_LIST + 1, 5000])
@ENCODINGS
async def test_a_list_of_any_length_is_cut_and_no_violation(server, client, capabilities, length):
    def long_lists(raw, kind, work):
        answer = raw.answer(kind, work)
        for one in answer.rank_result.lists:
            spare = RankedItem(item_id="beyond")
            one.items.extend([spare] * (length - len(one.items)))
        columns = answer.rank_batch_result
        if columns.item_numbers:
            first = list(columns.item_numbers[:5]) + [7] * (length - 5)
            columns.list_lengths.extend([length] + [5] * (len(columns.item_numbers) // 5 - 1))
            columns.item_numbers[:] = first + list(columns.item_numbers[5:])
        return [answer]

    run = await play(server, client, long_lists, register={"capabilities": capabilities})
    assert set(outcomes(run)) == {Outcome.ACCEPTED}
    assert client.registered.limits.max_items_per_list == limits.MAX_ITEMS_PER_LIST


def test_one_long_list_among_many_does_not_cost_as_much_for_each_of_them():
    users, long = 256, 500_000
    result = RankBatchResult(item_numbers=[1] * long, list_lengths=[long] + [0] * (users - 1))
    tracemalloc.start()
    try:
        raw = answers.read_columns(result, users, 5, tiny_world().catalog)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert raw.items.shape == (users, limits.MAX_ITEMS_PER_LIST)
    assert most < 64 * 2**20


async def test_a_token_of_256_bytes_comes_back_and_one_of_257_is_dropped_and_named(server, client):
    right, wrong = "é" * 128, "é" * 128 + "x"
    assert len(right.encode()) == limits.MAX_TOKEN_BYTES

    def change(_, result):
        result.lists[0].attribution_token = right
        result.lists[1].attribution_token = wrong

    run = await play(server, client, first_list(change))
    tokens = {page.attribution_token for one in client.feedback(1) for page in one.impressions}
    assert tokens == {"", right}
    told = outcome_of(client)
    assert told.disposition == Kind.DISPOSITION_ACCEPTED_WITH_VIOLATIONS
    assert fields_of(told.status) == ["lists[1].attribution_token"]
    assert str(limits.MAX_TOKEN_BYTES) in str(told.status)
    assert [work.faults for work in run.folder.works()] == [Faults(token=1)]


@pytest.mark.parametrize("characters", [500, 501])
async def test_an_explanation_is_shown_up_to_500_characters(server, client, characters):
    def answers(raw, kind, work):
        answer = raw.answer(kind, work)
        for one in answer.rank_result.lists:
            one.items[0].explanation.text = "é" * characters
        return [answer]

    run = await play(
        server, client, answers, {"recommender": "raw", "explanations": True},
        register={"capabilities": [*RICH, CAPABILITY_EXPLAIN]},
    )  # fmt: skip
    assert client.registered.limits.max_explanation_chars == limits.MAX_EXPLANATION_CHARS == 500
    log = log_of(run)
    shown = [text for row, text in log.text.items() if log.kind[row] == EventKind.SHOWN]
    assert set(shown) == {"é" * 500}


# ------------------------------------------------------------------------------ how much at once
async def test_a_thousand_messages_that_answer_nothing_are_read_and_one_more_ends_the_stream(
    server, client, monkeypatch
):
    monkeypatch.setattr(limits, "UNSOLICITED_PER_S", 10**6)  # nobody waits for the refill here
    monkeypatch.setattr(limits, "UNSOLICITED_BYTES", float("inf"))  # each counts for just one
    await begin(server, settings("raw", **ONE_PAGE))
    await client.register()
    await client.receive("registered")
    for _ in range(10 * limits.MAX_UNSOLICITED - 1):
        await client.send(pong={"nonce": 1})
    await client.send(rank_result=RankResult(work_id="none", complete=True))
    await client.receive("work_outcome")
    assert await client.stays_silent()
    await client.send(pong={"nonce": 1})
    assert await client.receive_any() is None
    code, text = await client.status()
    assert code is CODE.RESOURCE_EXHAUSTED
    assert str(10 * limits.MAX_UNSOLICITED) in text
    assert reason_of(await client.rich_status()) == "FLOODED"


async def test_a_token_holds_two_sessions_and_a_third_is_refused(tmp_path):
    tokens = tmp_path / "tokens.json"
    shown = token(tokens, Role.RECOMMENDER, "raw")
    async with (
        Server(tmp_path / "guarded", security=Security(tokens=tokens)) as guarded,
        Caller(guarded.address, shown) as caller,
    ):
        connect = caller.channel.stream_stream(
            "/recarena.v1.RecommenderService/Connect",
            request_serializer=ConnectRequest.SerializeToString,
        )
        calls = [connect(metadata=(("authorization", f"Bearer {shown}"),)) for _ in range(3)]
        for number, call in enumerate(calls):
            register = Register(recommender_id="raw", instance_id=f"i{number}", capabilities=RICH)
            await call.write(ConnectRequest(register=register))
            if number < 2:  # it is let in when others are answered after it
                for _ in range(5):
                    await caller.channel.unary_unary("/grpc.health.v1.Health/Check")(b"")
        assert await calls[2].code() is CODE.RESOURCE_EXHAUSTED
        assert "raw holds 2 sessions, and may hold 2" in await calls[2].details()
        assert not calls[0].done()
        assert not calls[1].done()
        for call in calls:
            call.cancel()


async def works_at_once(server: Server, client: RawClient, run_id: str, **fields: Any) -> list[int]:
    """Sizes of the works that come before any is answered."""
    chosen = settings("raw", session={"max_users_per_work": 4}, **ONE_PAGE)
    run = await begin(server, chosen, run_id)
    await client.join(**fields)
    await client.open_round()
    works = []
    while len(works) < 5 and not await client.stays_silent():
        works.append(await client.receive_work())
    sizes = [message.ByteSize() for message in client.seen if message.HasField("rank_work")]
    for kind, work in works:
        await client.send(client.answer(kind, work))
    await client.serve()
    await finished(run)
    return sizes


@pytest.mark.parametrize("at_once", [1, 2, 3])
async def test_no_more_works_are_under_way_than_the_recommender_takes(server, client, at_once):
    found = await works_at_once(server, client, "run", max_outstanding_work=at_once)
    assert len(found) == at_once


async def test_no_more_bytes_are_under_way_than_the_recommender_takes(server):
    async with another(server) as client:
        sizes = await works_at_once(server, client, "all", max_outstanding_work=5)
    margin = 16 * len(sizes)  # numbers of messages, and a trace that may be there
    for wanted in (1, 2, 3):
        room = sum(sizes[:wanted]) + margin
        async with another(server) as client:
            found = await works_at_once(
                server, client, f"run-{wanted}", max_outstanding_work=5, max_outstanding_bytes=room
            )
        assert len(found) == wanted
    async with another(server) as client:  # a work that is larger than all that goes alone
        found = await works_at_once(
            server, client, "tight", max_outstanding_work=5, max_outstanding_bytes=1
        )
    assert len(found) == 1


# ------------------------------------------------------------------------------ in parts
@asynccontextmanager
async def split_at(size: int) -> AsyncIterator[None]:
    """Parts of at most so many bytes, so that a small run has many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SPLIT_BYTES", size)
        patch.setattr(feedback_codec, "SPLIT_BYTES", size)
        yield


@ENCODINGS
async def test_works_feedback_and_catalogue_go_out_in_parts(server, capabilities):
    digests, told = [], []
    for size in (limits.SPLIT_BYTES, 8 * 1024):
        chosen = settings("raw", rounds=2, session={"recent_interactions": 20})
        async with split_at(size), another(server) as client:
            run = await begin(server, chosen, f"run-{size}", "new:users=250,seed=3,history=12")
            await client.join(capabilities=capabilities)
            await client.serve()
            assert await client.status() == OK
            sizes = [message.ByteSize() for message in client.seen]
            assert max(sizes) <= size + 16  # and its number
            parts = client.stub.StreamCatalog(
                StreamCatalogRequest(catalog_version=client.registered.catalog_version)
            )
            parts = [part async for part in parts]
            assert max(part.ByteSize() for part in parts) <= size
            assert [item for part in parts for item in part.items] == client.items
        digests.append(await finished(run))
        told.append((len(client.feedback()), len(client.all("rank_work", "rank_batch"))))
    assert digests[0] == digests[1]
    assert told[0][0] < told[1][0]
    assert told[0][1] < told[1][1] or capabilities is COLUMNAR
