"""How a stream ends, for a client that was writing as it did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from recarena.client.link import Link
from recarena.client.stream import Stream
from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.session_pb2 import Ping, Pong, Register
from support.scripted_server import PATIENCE, ScriptedServer, ScriptedStream

PONG = ConnectRequest(pong=Pong()).SerializeToString()
REGISTER = ConnectRequest(register=Register(recommender_id="raw")).SerializeToString()


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


async def written_until_it_fails(stream: Stream) -> None:
    async with asyncio.timeout(PATIENCE):
        while await stream.write(PONG):
            pass


async def both_sides(link: Link, server: ScriptedServer) -> tuple[Stream, ScriptedStream]:
    stream = link.connect()
    assert await stream.write(REGISTER)
    return stream, await server.accept()


async def test_what_was_not_read_and_the_servers_status_are_there_after_a_write_that_fails(server):
    link = Link(server.address, None, None)
    stream, there = await both_sides(link, server)
    for nonce in range(5):
        await there.send(ping=Ping(nonce=nonce))
    there.end(grpc.StatusCode.ABORTED, "a newer session took over")
    await written_until_it_fails(stream)
    for nonce in range(5):
        message = await stream.read()
        assert message is not None
        assert message.ping.nonce == nonce
    with pytest.raises(grpc.aio.AioRpcError, match="a newer session took over") as refused:
        await stream.read()
    assert refused.value.code() is grpc.StatusCode.ABORTED
    await stream.done_writing()  # is no error
    await link.close()


async def test_an_end_with_ok_is_no_error_because_a_write_failed(server):
    link = Link(server.address, None, None)
    stream, there = await both_sides(link, server)
    there.end()
    await written_until_it_fails(stream)
    assert await stream.read() is None
    await link.close()


async def test_a_stream_that_was_broken_off_takes_nothing(server):
    link = Link(server.address, None, None)
    stream, _ = await both_sides(link, server)
    stream.cancel()
    await written_until_it_fails(stream)
    await stream.done_writing()
    await link.close()
