"""One Connect stream, and the status with which the server really ended it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeAlias, TypeVar

import grpc
import grpc.aio

from recarena.v1.recommender_service_pb2 import ConnectResponse

T = TypeVar("T")
# Messages to the server are serialised already: their size has to be known before they are sent,
# and large ones are serialised in the recommender's thread.
Call: TypeAlias = "grpc.aio.StreamStreamCall[bytes, ConnectResponse]"

# What grpc.aio says in place of a status where it could not write.
UNWRITTEN = (grpc.StatusCode.INTERNAL, "Internal error from Core")
# Seconds that the server's own status may come after that.
SETTLED_WITHIN = 1.0


class Stream:
    """A stream of serialised messages out, and messages in.

    Where a message is being written as the server ends the stream, grpc.aio replaces the server's
    status by one of its own (grpc/grpc#36066). A recommender that is not wanted any more would not
    learn it, come back, and fence the one that took over. So each status is noted as it comes.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._ended: asyncio.Future[tuple[grpc.StatusCode, str]] = (
            asyncio.get_running_loop().create_future()
        )
        call.add_done_callback(self._note)

    async def read(self) -> ConnectResponse | None:
        """The next message, None at an end with OK.

        Raises:
            grpc.aio.AioRpcError: the stream ended with another status.
        """
        try:
            message = await self._call.read()
        except grpc.aio.AioRpcError as error:
            said = await self._as_the_server_said(error)
            if said.code() is grpc.StatusCode.OK:
                return None
            raise said from None
        return message if isinstance(message, ConnectResponse) else None

    async def write(self, payload: bytes) -> bool:
        """Sends a message; False where the stream is over, which `read` explains."""
        try:
            await self._call.write(payload)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return False
        return True

    async def done_writing(self) -> None:
        """Closes our half."""
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await self._call.done_writing()

    def cancel(self) -> None:
        """Breaks the stream off."""
        self._call.cancel()

    def _note(self, _: object) -> None:
        status = at_once(self._call.code()), at_once(self._call.details()) or ""
        if status != UNWRITTEN and not self._ended.done() and status[0] is not None:
            self._ended.set_result((status[0], status[1]))

    async def _as_the_server_said(self, error: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:
        if (error.code(), error.details()) != UNWRITTEN:
            return error
        await asyncio.wait({self._ended}, timeout=SETTLED_WITHIN)
        if not self._ended.done():
            return error
        code, text = self._ended.result()
        return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), text)


def at_once(coroutine: Coroutine[Any, Any, T]) -> T | None:
    """What a coroutine comes to that has nothing to wait for; None where it would wait."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    return None
