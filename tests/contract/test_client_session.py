"""The Python SDK against a scripted server: handshake, works and feedback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from recarena.client import (
    Capability,
    ConverseWork,
    FeedbackBatch,
    FeedbackColumns,
    ItemColumns,
    ProtocolBroken,
    RankBatch,
    Ranked,
    Recommender,
    RecommenderFailed,
    Reply,
)
from recarena.v1.session_pb2 import CatalogChanged, Ping, RoundStarted
from recarena.v1.types_pb2 import Item
from recarena.v1.work_pb2 import SearchBatch, SearchQuery, SearchWork
from support.scripted_clients import Factory, Fixed, Gate, Gated, serving
from support.scripted_server import ITEMS, ScriptedServer, rank_work


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


# ------------------------------------------------------------------------------ handshake
async def test_the_handshake_loads_the_catalogue_in_parts(server):
    factory = Factory()
    async with serving(server, factory, software_version="7", max_users_per_work=32):
        stream = await server.accept()
        register = stream.register
        assert register.recommender_id == "fixed"
        assert register.instance_id
        assert (register.software_name, register.software_version) == ("Fixed", "7")
        assert register.max_users_per_work == 32
        assert list(register.capabilities) == [Capability.CAPABILITY_RANK]
        assert (register.resume_run_id, register.feedback_cursor) == ("", "")
        await stream.registered("run-1")
        ready = await stream.receive("catalog_ready")
        assert (ready.catalog_version, ready.HasField("error")) == ("v1", False)
        (fixed,) = factory.made
        run = fixed.run
        assert run.catalog.items == list(ITEMS)
        assert run.catalog.number_of["item-7"] == 7
        assert (run.run_id, run.user_count, run.page_size, run.round_limit) == ("run-1", 100, 5, 3)
        assert run.arm_ids == ("arm-1",)


async def test_a_catalogue_that_breaks_off_goes_on_where_it_broke(server):
    server.break_catalog_after = 2
    factory = Factory()
    async with serving(server, factory):
        await (await server.accept()).begin()
        assert factory.made[0].run.catalog.items == list(ITEMS)
        assert [request.page_token for request in server.catalog_requests] == ["", "8"]


async def test_a_catalogue_of_the_wrong_size_is_the_servers_fault(server):
    async with serving(server, Factory()) as client:
        stream = await server.accept()
        await stream.registered(size=11)
        drain = await stream.receive("drain")
        assert "catalogue v1 has 10 items, 11 were announced" in drain.reason.message
        stream.end()
        with pytest.raises(ProtocolBroken, match="11 were announced"):
            await client


async def test_a_token_goes_with_every_call(server):
    async with serving(server, Factory(), token="secret"):
        await server.accept()
        assert server.metadata[0]["authorization"] == "Bearer secret"


async def test_pings_are_answered_while_waiting_and_while_training(server):
    gate = Gate()

    class Training(Fixed):
        def ready(self, round):
            gate.wait()

    async with serving(server, Factory(Training)):
        stream = await server.accept()
        await stream.send(ping=Ping(nonce=1))
        assert (await stream.receive("pong")).nonce == 1
        await stream.begin()
        await stream.send(round_started=RoundStarted(round=1))
        await stream.send(ping=Ping(nonce=2))
        assert (await stream.receive("pong")).nonce == 2
        gate.open()
        assert (await stream.receive("round_ready")).round == 1


async def test_unknown_messages_are_ignored(server):
    async with serving(server, Factory()):
        stream = await server.accept()
        await stream.send()
        await stream.begin()
        await stream.send()
        await stream.send(rank_work=rank_work("w1"))
        assert (await stream.receive("rank_result")).work_id == "w1"


class Changing(Fixed):
    def catalog_changed(self, run):
        self.run = run
        self.calls.append(("catalog_changed", run.catalog.version))

    def ready(self, round):
        self.calls.append(("ready", round))


NEW = Item(item_id="item-10", title="Film 10")


async def change(server, stream, items, *changed: int, size: int | None = None):
    """The server's catalogue becomes this one; the client's answer."""
    server.items = tuple(items)
    server.catalog_requests.clear()
    await stream.send(catalog_changed=CatalogChanged(
        catalog_version="v2", changed_items=changed,
        catalog_size=len(items) if size is None else size,
    ))  # fmt: skip
    return await stream.receive("catalog_ready")


@pytest.mark.parametrize(
    ("changed", "token"), [((10,), "10"), ((7, 10), "7"), ((10, 7), "7"), ((0, 10), ""), ((), "")]
)
async def test_a_changed_catalogue_is_loaded_from_its_first_change_on(server, changed, token):
    factory = Factory(Changing)
    async with serving(server, factory):
        stream = await (await server.accept()).begin()
        items = [
            Item(item_id=one.item_id, title=one.title, withdrawn=number in changed)
            for number, one in enumerate(ITEMS)
        ]
        ready = await change(server, stream, [*items, NEW], *changed)
        assert (ready.catalog_version, ready.HasField("error")) == ("v2", False)
        (fixed,) = factory.made
        assert fixed.calls == [("start", "run-1"), ("catalog_changed", "v2")]
        catalog = fixed.run.catalog
        assert catalog.items == [*items, NEW]
        gone = {f"item-{number}" for number in changed if number < 10}
        assert catalog.available_ids == [one for one in catalog.item_ids if one not in gone]
        assert server.catalog_requests[0].page_token == token


async def test_a_changed_catalogue_of_the_wrong_size_is_the_servers_fault(server):
    async with serving(server, Factory(Changing)) as client:
        stream = await (await server.accept()).begin()
        await stream.send(
            catalog_changed=CatalogChanged(
                catalog_version="v2", catalog_size=12, changed_items=[9, 10, 11]
            )
        )
        drain = await stream.receive("drain")
        assert "catalogue v2 has 10 items, 12 were announced" in drain.reason.message
        stream.end()
        with pytest.raises(ProtocolBroken, match="12 were announced"):
            await client


async def test_a_recommender_that_cannot_use_a_change_refuses_it(server):
    class Refusing(Fixed):
        def catalog_changed(self, run):
            raise MemoryError("no room for it")

    async with serving(server, Factory(Refusing)) as client:
        stream = await (await server.accept()).begin()
        ready = await change(server, stream, [*ITEMS, NEW], 10)
        assert "no room for it" in ready.error.message
        stream.end(grpc.StatusCode.FAILED_PRECONDITION, "the catalogue was refused")
        with pytest.raises(RecommenderFailed, match="catalog_changed"):
            await client


async def test_a_round_is_made_ready_for_again_after_a_change(server):
    factory = Factory(Changing)
    async with serving(server, factory):
        stream = await (await server.accept()).begin()
        for _ in range(2):
            await stream.send(round_started=RoundStarted(round=1))
            await stream.receive("round_ready")
        await change(server, stream, [*ITEMS, NEW], 10)
        await stream.send(round_started=RoundStarted(round=1))
        await stream.receive("round_ready")
        assert factory.made[0].calls[1:] == [("ready", 1), ("catalog_changed", "v2"), ("ready", 1)]


# ------------------------------------------------------------------------------ works
async def test_lists_come_back_in_the_order_of_the_queries(server):
    async with serving(server, Factory()):
        stream = await (await server.accept()).begin()
        await stream.send(rank_work=rank_work("w1", users=3, count=2))
        result = await stream.receive("rank_result")
        assert (result.work_id, result.complete) == ("w1", True)
        assert [found.query_index for found in result.lists] == [0, 1, 2]
        assert [item.item_id for item in result.lists[2].items] == ["item-0", "item-1"]


async def test_searches_and_conversations_are_answered(server):
    class Talking(Fixed):
        def search(self, queries):
            return [Ranked([query.text], token="t") for query in queries]

        async def converse(self, work):
            return Reply("What about this?", ["item-3"])

    async with serving(server, Factory(Talking)):
        stream = await server.accept()
        assert Capability.CAPABILITY_SEARCH in stream.register.capabilities
        assert Capability.CAPABILITY_CONVERSE in stream.register.capabilities
        await stream.begin()
        search = SearchWork(queries=[SearchQuery(text="item-4")])
        search.header.work_id = "s1"
        await stream.send(search_work=search)
        result = await stream.receive("rank_result")
        assert result.work_id == "s1"
        assert result.lists[0].items[0].item_id == "item-4"
        assert result.lists[0].attribution_token == "t"
        converse = ConverseWork(conversation_id="c")
        converse.header.work_id = "c1"
        await stream.send(converse_work=converse)
        reply = await stream.receive("converse_result")
        assert (reply.work_id, reply.reply_text) == ("c1", "What about this?")


async def test_the_columnar_form(server):
    class Columns(Recommender):
        def rank_columns(self, batch):
            return ItemColumns(list(range(batch.result_count)) * len(batch.user_numbers))

        def search_columns(self, batch):
            return ItemColumns([5], [1, *[0] * (len(batch.user_numbers) - 1)])

        def feedback_columns(self, batch):
            self.watched = list(batch.item_numbers)

        def ready(self, round):
            assert self.watched == [4]

    async with serving(server, Factory(Columns)):
        stream = await server.accept()
        assert Capability.CAPABILITY_COLUMNAR in stream.register.capabilities
        await stream.begin()
        feedback = FeedbackColumns(cursor="1", user_numbers=[0], item_numbers=[4])
        await stream.send(feedback_columns=feedback)
        await stream.send(round_started=RoundStarted(round=1))
        await stream.receive("round_ready")
        batch = RankBatch(result_count=2, user_numbers=[7, 8, 9])
        batch.header.work_id = "w1"
        await stream.send(rank_batch=batch)
        result = await stream.receive("rank_batch_result")
        assert (result.work_id, list(result.item_numbers)) == ("w1", [0, 1, 0, 1, 0, 1])
        search = SearchBatch(result_count=2, user_numbers=[7, 8], text_numbers=[0, 0], texts=["x"])
        search.header.work_id = "s1"
        await stream.send(search_batch=search)
        result = await stream.receive("rank_batch_result")
        assert (list(result.item_numbers), list(result.list_lengths)) == ([5], [1, 0])


async def test_a_failing_rank_costs_that_work_only(server, caplog):
    class Moody(Fixed):
        def rank(self, queries):
            if queries[0].result_count == 1:
                raise ValueError("one is too few")
            return super().rank(queries)

    async with serving(server, Factory(Moody)):
        stream = await (await server.accept()).begin()
        for work_id in ("w1", "w2"):
            await stream.send(rank_work=rank_work(work_id, count=1))
            failed = await stream.receive("work_failed")
            assert failed.work_id == work_id
            assert failed.status.code == grpc.StatusCode.INTERNAL.value[0]
            assert failed.status.message == "ValueError: one is too few"
        await stream.send(rank_work=rank_work("w3", count=2))
        assert (await stream.receive("rank_result")).work_id == "w3"
    assert caplog.text.count("Traceback") == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ([["item-1"]], "rank returned 1 lists for 2 queries"),
        (None, "rank returned NoneType"),
        ([["item-1"], "item-1"], "list 1: TypeError: one string"),
        ([["x" * 5000]] * 2, "bytes, 4096 are allowed"),
    ],
)
async def test_an_answer_that_does_not_fit_becomes_work_failed(server, answer, text):
    class Wrong(Fixed):
        def rank(self, queries):
            return answer

    async with serving(server, Factory(Wrong)):
        stream = await (await server.accept()).begin(max_message_bytes=4096)
        await stream.send(rank_work=rank_work("w1", users=2))
        assert text in (await stream.receive("work_failed")).status.message


async def test_async_works_run_together_up_to_what_was_asked_for(server):
    factory = Factory(Gated)
    async with serving(server, factory, max_outstanding_work=2):
        stream = await (await server.accept()).begin()
        gated = factory.made[0]
        for count in (1, 2, 3):
            await stream.send(rank_work=rank_work(f"w{count}", count=count))
        gated.open(2)
        assert (await stream.receive("rank_result")).work_id == "w2"
        gated.open(3)
        assert (await stream.receive("rank_result")).work_id == "w3"
        gated.open(1)
        assert (await stream.receive("rank_result")).work_id == "w1"
        assert gated.most == 2


async def test_feedback_waits_for_works_and_works_wait_for_feedback(server):
    factory = Factory(Gated)
    async with serving(server, factory):
        stream = await (await server.accept()).begin()
        gated = factory.made[0]
        await stream.send(rank_work=rank_work("w1", count=1))
        await stream.send(feedback_batch=FeedbackBatch(cursor="1"))
        await stream.send(rank_work=rank_work("w2", count=2))
        gated.open(2)
        await gated.began[1].wait()
        await stream.send(ping=Ping(nonce=1))
        await stream.receive("pong")  # all that was sent has arrived
        assert gated.calls[-1] == ("rank", 1)
        gated.open(1)
        assert (await stream.receive("rank_result")).work_id == "w1"
        assert (await stream.receive("rank_result")).work_id == "w2"
        assert gated.calls[1:] == [("rank", 1), ("feedback", "1"), ("rank", 2)]


async def test_a_cancelled_work_is_not_answered(server):
    factory = Factory(Gated)
    async with serving(server, factory, max_outstanding_work=1):
        stream = await (await server.accept()).begin()
        for count in (1, 2, 3):
            await stream.send(rank_work=rank_work(f"w{count}", count=count))
        await stream.cancel_work("w2")  # has not begun
        await stream.cancel_work("w1")  # has
        await stream.cancel_work("w9")  # there is none
        factory.made[0].open(3)
        assert (await stream.receive("rank_result")).work_id == "w3"
        assert ("rank", 2) not in factory.made[0].calls


async def test_the_answer_of_a_cancelled_sync_work_is_thrown_away(server):
    gate = Gate()

    class Slow(Fixed):
        def rank(self, queries):
            if queries[0].result_count == 1:
                gate.wait()
            return super().rank(queries)

    async with serving(server, Factory(Slow)):
        stream = await (await server.accept()).begin()
        await stream.send(rank_work=rank_work("w1", count=1))
        await stream.send(rank_work=rank_work("w2", count=2))
        await gate.reached()
        await stream.cancel_work("w1")
        await stream.send(ping=Ping(nonce=1))
        await stream.receive("pong")
        gate.open()
        assert (await stream.receive("rank_result")).work_id == "w2"


async def test_an_async_rank_that_cancels_itself_has_failed(server):
    class Cancelling(Fixed):
        async def rank(self, queries):
            raise asyncio.CancelledError

    async with serving(server, Factory(Cancelling)):
        stream = await (await server.accept()).begin()
        await stream.send(rank_work=rank_work("w1"))
        assert (await stream.receive("work_failed")).status.message == "rank was cancelled"


async def test_messages_say_how_far_the_stream_is_handled(server):
    factory = Factory(Gated)
    async with serving(server, factory):
        stream = await (await server.accept()).begin()
        await stream.send(rank_work=rank_work("w1", count=1))
        await stream.send(rank_work=rank_work("w2", count=2))
        factory.made[0].open(2)
        await stream.receive("rank_result")
        await stream.send(ping=Ping(nonce=1))
        assert (await stream.receive_request()).ack_seq == 1  # the first work is under way
        factory.made[0].open(1)
        await stream.receive("rank_result")
        await stream.send(round_started=RoundStarted(round=1))
        await stream.receive("round_ready")
        await stream.send(ping=Ping(nonce=2))
        assert (await stream.receive_request()).ack_seq >= 3


# ------------------------------------------------------------------------------ feedback
async def test_feedback_comes_once_and_in_order(server):
    factory = Factory()
    async with serving(server, factory):
        stream = await (await server.accept()).begin()
        for cursor in ("a", "b", "a", "b", "c"):
            await stream.send(feedback_batch=FeedbackBatch(cursor=cursor))
        await stream.send(round_started=RoundStarted(round=1))
        await stream.receive("round_ready")
        assert factory.made[0].calls == [
            ("start", "run-1"),
            ("feedback", "a"),
            ("feedback", "b"),
            ("feedback", "c"),
            ("ready", 1),
        ]


@pytest.mark.parametrize("method", ["feedback", "ready"])
async def test_an_error_in_feedback_or_ready_ends_serve(server, caplog, method):
    def broken(self, argument):
        raise ValueError("lost the plot")

    factory = Factory(type("Broken", (Fixed,), {method: broken}))
    async with serving(server, factory) as client:
        stream = await (await server.accept()).begin()
        await stream.send(feedback_batch=FeedbackBatch(cursor="a"))
        await stream.send(round_started=RoundStarted(round=1))
        drain = await stream.receive("drain")
        assert drain.reason.code == grpc.StatusCode.INTERNAL.value[0]
        stream.end()
        with pytest.raises(RecommenderFailed, match=f"{method} raised ValueError: lost the plot"):
            await client
    assert factory.made[0].calls[-1] == ("close",)
    assert caplog.text.count("Traceback") == 1


async def test_an_error_in_start_refuses_the_catalogue(server):
    class Picky(Fixed):
        def start(self, run):
            raise ValueError("no films here")

    async with serving(server, Factory(Picky)) as client:
        stream = await server.accept()
        await stream.registered()
        ready = await stream.receive("catalog_ready")
        assert ready.error.message == "ValueError: no films here"
        stream.end(grpc.StatusCode.FAILED_PRECONDITION, "refused")
        with pytest.raises(RecommenderFailed, match="start raised ValueError: no films here"):
            await client
