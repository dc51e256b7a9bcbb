"""The Python SDK against a scripted server: broken streams, and how a session ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from recarena.client import (
    FeedbackBatch,
    Fenced,
    Interaction,
    InvalidRegister,
    NotAuthenticated,
    NotPermitted,
    PreconditionFailed,
    RecommenderFailed,
    Unreachable,
    serve_async,
)
from recarena.v1.session_pb2 import RoundEnded, RoundStarted
from support.scripted_clients import Factory, Fixed, Gate, Gated, serving
from support.scripted_server import ScriptedServer, rank_work

EXAMPLE = Path(__file__).resolve().parents[2] / "clients/python/examples/twenty_lines.py"


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


# ------------------------------------------------------------------------------ resuming
async def applied(stream, *cursors):
    for cursor in cursors:
        await stream.send(feedback_batch=FeedbackBatch(cursor=cursor))
    await stream.send(round_started=RoundStarted(round=1))
    await stream.receive("round_ready")


async def test_a_broken_stream_is_resumed_with_the_same_instance(server):
    factory = Factory()
    async with serving(server, factory):
        stream = await (await server.accept()).begin()
        await applied(stream, "a", "b")
        stream.end(grpc.StatusCode.UNAVAILABLE, "back soon")
        again = await server.accept()
        assert again.register.resume_run_id == "run-1"
        assert again.register.resume_session_id.startswith("session-")
        assert again.register.feedback_cursor == "b"
        assert again.register.catalog_version == "v1"
        assert again.register.instance_id == stream.register.instance_id
        await again.begin(resumed=True)
        for cursor in ("b", "c"):
            await again.send(feedback_batch=FeedbackBatch(cursor=cursor))
        await again.send(rank_work=rank_work("w1"))
        await again.receive("rank_result")
        (fixed,) = factory.made
        assert fixed.calls == [
            ("start", "run-1"),
            ("feedback", "a"),
            ("feedback", "b"),
            ("ready", 1),
            ("feedback", "c"),
        ]
        assert len(server.catalog_requests) == 1


async def test_a_restarted_server_is_found_again_on_the_same_port(server):
    factory = Factory()
    async with serving(server, factory):
        stream = await (await server.accept()).begin()
        await applied(stream, "a")
        await server.restart()
        again = await server.accept()
        assert again.register.feedback_cursor == "a"
        await again.begin(resumed=True)
        assert len(factory.made) == 1


async def test_a_run_that_is_gone_needs_a_fresh_instance(server):
    factory = Factory()
    async with serving(server, factory):
        stream = await (await server.accept()).begin()
        await applied(stream, "a")
        stream.end(grpc.StatusCode.UNAVAILABLE)
        again = await (await server.accept()).begin("run-2", resumed=False)
        await applied(again, "a")
        old, new = factory.made
        assert old.calls[-1] == ("close",)
        assert new.calls == [("start", "run-2"), ("feedback", "a"), ("ready", 1)]


async def test_a_round_that_opens_again_is_not_trained_for_again(server):
    factory = Factory()
    async with serving(server, factory):
        stream = await (await server.accept()).begin()
        await applied(stream, "a")
        stream.end(grpc.StatusCode.UNAVAILABLE)
        again = await (await server.accept()).begin(resumed=True)
        await again.send(round_started=RoundStarted(round=1))
        assert (await again.receive("round_ready")).round == 1
        assert factory.made[0].calls.count(("ready", 1)) == 1


async def test_feedback_under_way_when_the_stream_breaks_is_finished_and_counted(server):
    gate = Gate()

    class Slow(Fixed):
        def feedback(self, batch):
            gate.wait()
            super().feedback(batch)

    factory = Factory(Slow)
    async with serving(server, factory):
        stream = await (await server.accept()).begin()
        await stream.send(feedback_batch=FeedbackBatch(cursor="a"))
        await stream.send(feedback_batch=FeedbackBatch(cursor="b"))
        await gate.reached()
        stream.end(grpc.StatusCode.UNAVAILABLE)
        again = await server.accept()
        assert again.register.feedback_cursor == "a"
        await again.registered(resumed=True)
        gate.open()
        await again.receive("catalog_ready")
        await applied(again, "b")
        assert factory.made[0].calls[1:] == [("feedback", "a"), ("feedback", "b"), ("ready", 1)]


async def test_a_server_that_stops_is_come_back_to(server):
    factory = Factory()
    async with serving(server, factory, once=True) as client:
        stream = await (await server.accept()).begin()
        await stream.drain(grpc.StatusCode.UNAVAILABLE.value[0], "the server stops")
        while await stream.receive_request() is not None:
            pass
        stream.end(grpc.StatusCode.UNAVAILABLE)
        again = await (await server.accept()).begin(resumed=True)
        await again.end_run()
        await client
        assert len(factory.made) == 1


async def test_a_server_that_comes_later_is_waited_for(server, caplog):
    await server.stop()
    told = asyncio.Event()

    class Told(logging.Filter):
        def filter(self, record):
            told.set()
            return True

    caplog.handler.addFilter(Told("recarena.client"))
    async with serving(server, Factory()):
        await told.wait()
        assert "cannot reach" in caplog.text
        await server.start()
        await (await server.accept()).begin()
    assert caplog.text.count("cannot reach") == 1


async def test_nobody_there_for_long_enough_is_an_error():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(Unreachable, match=address):
            await serve_async(Fixed, "fixed", server=address, retry_for=0.05)


async def test_a_server_that_never_lets_anybody_in_is_unreachable_too(server):
    async with serving(server, Factory(), retry_for=0.3) as client:
        while not client.done():
            accepting = asyncio.create_task(server.accept())
            await asyncio.wait({accepting, client}, return_when=asyncio.FIRST_COMPLETED)
            if accepting.done():
                accepting.result().end(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many sessions")
            accepting.cancel()
        with pytest.raises(Unreachable, match="too many sessions"):
            await client


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRegister),
        (grpc.StatusCode.FAILED_PRECONDITION, PreconditionFailed),
        (grpc.StatusCode.UNAUTHENTICATED, NotAuthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, NotPermitted),
        (grpc.StatusCode.ABORTED, Fenced),
    ],
)
async def test_a_final_no_is_raised(server, code, kind):
    async with serving(server, Factory()) as client:
        (await server.accept()).end(code, "because\nof this")
        with pytest.raises(kind, match=f"the server refused: because of this \\({code.name}\\)"):
            await client


async def test_a_fenced_session_ends_serve_and_closes_the_recommender(server):
    factory = Factory()
    async with serving(server, factory) as client:
        stream = await (await server.accept()).begin()
        stream.end(grpc.StatusCode.ABORTED, "a newer session serves run-1")
        with pytest.raises(Fenced):
            await client
    assert factory.made[0].calls[-1] == ("close",)


# ------------------------------------------------------------------------------ the end
async def test_the_last_feedback_arrives_though_the_server_is_gone(server):
    gate = Gate()

    class Slow(Fixed):
        def feedback(self, batch):
            gate.wait()
            super().feedback(batch)

    factory = Factory(Slow)
    async with serving(server, factory, once=True) as client:
        stream = await (await server.accept()).begin()
        await stream.send(feedback_batch=FeedbackBatch(cursor="a"))
        await stream.send(feedback_batch=FeedbackBatch(cursor="b"))
        await stream.drain()
        stream.end()
        await stream.gone.wait()
        gate.open()
        await client
    assert factory.made[0].calls[1:] == [("feedback", "a"), ("feedback", "b"), ("close",)]


async def test_after_a_run_a_fresh_recommender_waits_for_the_next(server):
    factory = Factory()
    async with serving(server, factory):
        for run_id in ("run-1", "run-2"):
            stream = await (await server.accept()).begin(run_id)
            assert stream.register.resume_run_id == ""
            await stream.send(round_ended=RoundEnded(round=3))
            await stream.end_run()
        await server.accept()
        assert [fixed.calls for fixed in factory.made[:2]] == [
            [("start", "run-1"), ("close",)],
            [("start", "run-2"), ("close",)],
        ]


async def test_once_returns_when_each_session_has_served_a_run(server):
    factory = Factory()
    async with serving(server, factory, once=True, sessions=2) as client:
        streams = [await server.accept() for _ in range(2)]
        ids = {stream.register.instance_id for stream in streams}
        assert len(ids) == 2
        for number, stream in enumerate(streams):
            await stream.begin(f"run-{number}")
        for stream in streams:
            await stream.end_run()
        await client
        assert len(factory.made) == 2
        assert len(server.catalog_requests) == 1  # the catalogue is shared


async def test_leaving_says_drain_and_finishes_what_is_under_way(server):
    factory = Factory(Gated)
    async with serving(server, factory) as client:
        stream = await (await server.accept()).begin()
        await stream.send(rank_work=rank_work("w1", count=1))
        await factory.made[0].began[1].wait()
        client.cancel()
        drain = await stream.receive("drain")
        assert drain.reason.code == 0
        factory.made[0].open(1)
        assert (await stream.receive("rank_result")).work_id == "w1"
        assert await stream.receive_request() is None
        stream.end()
        with pytest.raises(asyncio.CancelledError):
            await client
    assert factory.made[0].calls[-1] == ("close",)


async def test_an_error_in_one_session_makes_the_others_leave(server):
    class Picky(Fixed):
        def start(self, run):
            super().start(run)
            if run.run_id == "bad":
                raise ValueError("no")

    factory = Factory(Picky)
    async with serving(server, factory, sessions=2) as client:
        one, other = [await server.accept() for _ in range(2)]
        await one.begin("good")
        await other.registered("bad")
        await other.receive("catalog_ready")
        other.end(grpc.StatusCode.FAILED_PRECONDITION, "refused")
        await one.receive("drain")
        assert await one.receive_request() is None
        one.end()
        with pytest.raises(RecommenderFailed, match="start raised"):
            await client
    assert all(fixed.calls[-1] == ("close",) for fixed in factory.made)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_twenty_line_example_learns_and_leaves_on_a_signal(server, number):
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLE, server.address, stderr=asyncio.subprocess.PIPE
    )
    stream = await server.accept()
    assert stream.register.recommender_id == "popular"
    await stream.begin()
    watched = [Interaction(item_id=item_id) for item_id in ("item-8", "item-3", "item-8")]
    await stream.send(feedback_batch=FeedbackBatch(cursor="a", interactions=watched))
    await stream.send(round_started=RoundStarted(round=1))
    await stream.receive("round_ready")
    work = rank_work("w1", users=3, count=2)
    work.queries[1].offset = 1
    work.queries[2].candidates.excluded_item_ids.append("item-8")
    await stream.send(rank_work=work)
    result = await stream.receive("rank_result")
    found = [[item.item_id for item in ranked.items] for ranked in result.lists]
    assert found == [["item-8", "item-3"], ["item-3", "item-0"], ["item-3", "item-0"]]
    process.send_signal(number)
    await stream.receive("drain")
    assert await stream.receive_request() is None
    stream.end()
    _, log = await process.communicate()
    assert process.returncode == 0, log.decode()
    assert b"Traceback" not in log
    assert b"serving run run-1 as popular: 100 users, 10 items, rich" in log


async def test_a_second_signal_ends_the_example_at_once(server):
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLE, server.address, stderr=asyncio.subprocess.PIPE
    )
    stream = await (await server.accept()).begin()
    stream.polite = False
    process.send_signal(signal.SIGINT)
    await stream.receive("drain")  # and it gets no end of the stream
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == -signal.SIGINT
