"""One Connect stream: serialised messages out, messages in."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, TypeAlias

import grpc
import grpc.aio

from recarena.v1.recommender_service_pb2 import ConnectResponse

# Messages to the server are serialised already: their size has to be known before they are sent,
# and large ones are serialised in the recommender's thread.
Call: TypeAlias = "grpc.aio.StreamStreamCall[bytes, ConnectResponse]"
# What sending fails with where a stream is over.
BROKEN = (grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError)


class Stream:
    """A stream that is read to its end, and ends as the server said, though a write fails before.

    `write` of grpc.aio, where it fails, puts INTERNAL in place of the server's status and of all
    messages that were not read yet (grpc/grpc#36066): a recommender that was fenced would not learn
    it, come back, and fence the one that took over. So what is under `write` is called.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        beneath: Any = getattr(call, "_cython_call", None)
        self._send: Any = getattr(beneath, "send_serialized_message", call.write)

    async def read(self) -> ConnectResponse | None:
        """The next message, None at an end with OK.

        Raises:
            grpc.aio.AioRpcError: the stream ended with another status.
        """
        message = await self._call.read()
        return message if isinstance(message, ConnectResponse) else None

    async def write(self, payload: bytes) -> bool:
        """Sends a message; False where nothing more can be sent, which `read` explains."""
        if self._call.done():
            return False
        try:
            await self._call.wait_for_connection()
            await self._send(payload)
        except BROKEN:
            return False
        return True

    async def done_writing(self) -> None:
        """Closes our half."""
        with contextlib.suppress(*BROKEN):
            await self._call.done_writing()

    def cancel(self) -> None:
        """Breaks the stream off."""
        self._call.cancel()
