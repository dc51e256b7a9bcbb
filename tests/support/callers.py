"""Callers of a server that asks who they are, and every method that they can call."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status

from recarena.server.rpc.callers import Role
from recarena.server.rpc.permits import path_of
from recarena.server.rpc.server import CONTRACT
from recarena.server.rpc.tokens import TokenFile
from support.certificates import Pair
from support.raw_client import reason_of

PATIENCE = 30.0
METHODS = [method for service in CONTRACT for method in service.methods]
"""Every RPC of the contract, from its descriptors."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended."""

    code: grpc.StatusCode
    status: Status

    @property
    def reason(self) -> str:
        return reason_of(self.status)


class Caller:
    """One channel, with or without TLS, a certificate and a token."""

    def __init__(
        self,
        address: str,
        token: str | None = None,
        ca: Path | None = None,
        certificate: Pair | None = None,
    ) -> None:
        self._metadata = (("authorization", f"Bearer {token}"),) if token is not None else ()
        if ca:
            shown, key = certificate.texts if certificate else (None, None)
            credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key, shown)
            self.channel = grpc.aio.secure_channel(address, credentials)
        else:
            self.channel = grpc.aio.insecure_channel(address)

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()

    def call(self, method: MethodDescriptor, request: Message | None = None) -> Any:
        """A call of any method with one request, by default an empty one."""
        kind = f"{_arity(method.client_streaming)}_{_arity(method.server_streaming)}"
        ask = getattr(self.channel, kind)(
            path_of(method),
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        message = GetMessageClass(method.input_type)() if request is None else request
        return ask(iter([message]) if method.client_streaming else message, metadata=self._metadata)

    async def ending(self, method: MethodDescriptor, request: Message | None = None) -> Ending:
        """How such a call ends; a stream of replies is read to its end.

        Where a request is still being written when the server has refused the call, gRPC's Python
        client may say that of itself in place of the server's answer: then it is asked again.
        """
        for _ in range(WRITES):
            call = self.call(method, request)
            ended = await ending(call)
            if await call.details() != OWN_ERROR:
                return ended
        raise AssertionError(f"{method.full_name}: {OWN_ERROR}, {WRITES} times")


WRITES = 5
OWN_ERROR = "Internal error from Core"


async def ending(call: Any) -> Ending:
    """How a call under way ends."""
    async with asyncio.timeout(PATIENCE):
        if hasattr(call, "read"):
            with contextlib.suppress(grpc.aio.AioRpcError):
                while await call.read() is not grpc.aio.EOF:
                    pass
        found = Status()
        for key, value in await call.trailing_metadata():
            if key == "grpc-status-details-bin":
                found.MergeFromString(value)
        return Ending(await call.code(), found)


def _arity(streams: bool) -> str:
    return "stream" if streams else "unary"


def token(path: Path, role: Role, name: str, days: float = 1) -> str:
    """A new token of a file; with negative days one that has expired."""
    return TokenFile(path).new(role, name, timedelta(days=days))[0]


def id_of(token: str) -> str:
    return token.split("_")[1]


def roles_of(method: MethodDescriptor) -> set[Role]:
    """The roles that the contract lets call a method, read without the server's help."""
    from recarena.v1 import access_pb2

    return {Role(one) for one in method.GetOptions().Extensions[access_pb2.allowed_roles]}
