"""The status of a stream's end, though a message was being written as it came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from recarena.client import stream as streams
from recarena.client.stream import UNWRITTEN, Stream, at_once

FENCED = (grpc.StatusCode.ABORTED, "a newer session took over")


class Call:
    """A call of grpc.aio whose statuses come in the order that the test wants."""

    def __init__(self) -> None:
        self.status = (grpc.StatusCode.UNKNOWN, "")
        self._noted: list[Callable[[Any], None]] = []
        self.later: list[tuple[grpc.StatusCode, str]] = []

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._noted.append(callback)

    def ends(self, status: tuple[grpc.StatusCode, str]) -> None:
        self.status = status
        for callback in self._noted:
            callback(self)

    async def code(self) -> grpc.StatusCode:
        return self.status[0]

    async def details(self) -> str:
        return self.status[1]

    async def read(self) -> Any:
        failed = grpc.aio.AioRpcError(
            self.status[0], grpc.aio.Metadata(), grpc.aio.Metadata(), self.status[1]
        )
        for status in self.later:
            self.ends(status)
        raise failed


async def ended(call: Call, *statuses: tuple[grpc.StatusCode, str]) -> Stream:
    stream = Stream(call)  # type: ignore[arg-type]
    for status in statuses:
        call.ends(status)
    return stream


@pytest.mark.parametrize("order", [(FENCED,), (FENCED, UNWRITTEN), (UNWRITTEN, FENCED)])
async def test_the_servers_status_is_the_one_that_counts(order):
    stream = await ended(Call(), *order)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stream.read()
    assert (refused.value.code(), refused.value.details()) == FENCED


async def test_the_servers_status_is_waited_for():
    call = Call()
    stream = await ended(call, UNWRITTEN)
    call.later = [FENCED]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stream.read()
    assert refused.value.code() is grpc.StatusCode.ABORTED


async def test_an_end_with_ok_is_no_error_because_a_message_could_not_be_written():
    stream = await ended(Call(), (grpc.StatusCode.OK, ""), UNWRITTEN)
    assert await stream.read() is None


async def test_without_a_status_of_the_server_that_of_grpc_counts(monkeypatch):
    monkeypatch.setattr(streams, "SETTLED_WITHIN", 0.0)
    stream = await ended(Call(), UNWRITTEN)
    with pytest.raises(grpc.aio.AioRpcError) as lost:
        await stream.read()
    assert (lost.value.code(), lost.value.details()) == UNWRITTEN


async def test_what_would_have_to_wait_is_not_waited_for():
    async def waits() -> None:
        await asyncio.get_running_loop().create_future()

    async def has_it() -> int:
        return 2

    assert (at_once(waits()), at_once(has_it())) == (None, 2)
