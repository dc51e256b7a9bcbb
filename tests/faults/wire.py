"""One Connect stream as bytes, and the catalogue: all of the kit that is gRPC.

Bytes, because a recommender that misbehaves sends things that are no messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from recarena.v1.recommender_service_pb2 import (
    ConnectRequest,
    ConnectResponse,
    StreamCatalogRequest,
)
from recarena.v1.recommender_service_pb2_grpc import RecommenderServiceStub

CONNECT = "/recarena.v1.RecommenderService/Connect"
NO_LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
"""The server's limits are what is to be tested, not this side's."""


class Over(Exception):
    """Nothing more can be sent on the stream."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a stream ended."""

    code: str
    text: str
    reason: str
    """Of the status' ErrorInfo; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where the server is, and what to show it."""

    server: str
    token: str = ""
    ca: Path | None = None

    def channel(self) -> grpc.aio.Channel:
        """A connection of one's own: channels to the same place may share one otherwise."""
        options = [*NO_LIMITS, ("grpc.use_local_subchannel_pool", 1)]
        if self.ca:
            trust = grpc.ssl_channel_credentials(self.ca.read_bytes())
            return grpc.aio.secure_channel(self.server, trust, options=options)
        return grpc.aio.insecure_channel(self.server, options=options)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()


class Stream:
    """A Connect stream from its opening to its end."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> None:
        self._channel, self._metadata = channel, metadata
        self._call: Any = channel.stream_stream(CONNECT)(metadata=metadata)
        self._turn = asyncio.Lock()

    async def send(self, request: ConnectRequest | None = None, **message: Any) -> None:
        """Sends one message, given or named by its field: send(pong=Pong(nonce=1)). Over."""
        whole = request if request is not None else ConnectRequest(**message)
        await self.send_bytes(whole.SerializeToString())

    async def send_bytes(self, payload: bytes) -> None:
        """Sends what may be no message at all. Over.

        Not by `write`: where it fails, it puts INTERNAL in place of the server's status, and of all
        messages that were not read yet (grpc/grpc#36066).
        """
        try:
            async with self._turn:
                if self._call.done():
                    raise Over
                await self._call.wait_for_connection()
                await self._call._cython_call.send_serialized_message(payload)
        except (grpc.RpcError, asyncio.InvalidStateError, grpc.aio.BaseError):
            raise Over from None

    async def close_half(self) -> None:
        """Says that nothing more will be sent."""
        async with self._turn:
            if not self._call.done():
                await self._call.done_writing()

    async def read(self) -> ConnectResponse | None:
        """The server's next message, None at the end."""
        try:
            payload = await self._call.read()
        except grpc.RpcError:
            return None
        return ConnectResponse.FromString(payload) if isinstance(payload, bytes) else None

    async def catalog(self, version: str) -> list[str]:
        """Ids of the items of a catalogue, by their numbers."""
        stub: Any = RecommenderServiceStub(self._channel)
        parts = stub.StreamCatalog(
            StreamCatalogRequest(catalog_version=version), metadata=self._metadata
        )
        return [item.item_id async for part in parts for item in part.items]

    async def ending(self) -> Ending:
        """How the stream ended; waits for it."""
        code, text = await self._call.code(), await self._call.details()
        for key, value in await self._call.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                return Ending(code.name, text, reason_of(Status.FromString(value)))
        return Ending(code.name, text or "", "")

    def hang_up(self) -> None:
        """Breaks the stream off."""
        self._call.cancel()


def reason_of(status: Status) -> str:
    """The reason in a status' ErrorInfo, "" without one."""
    info = ErrorInfo()
    return next((info.reason for detail in status.details if detail.Unpack(info)), "")
