"""Channels to servers, as an operator opens them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.http2.ping_timeout_ms", 20_000),
]
LOOPBACK = ("127.", "localhost:", "[::1]:", "unix:")


@dataclass(frozen=True, slots=True)
class Access:
    """How a server is reached, and who calls."""

    address: str
    """HOST:PORT"""
    token: str = ""
    """Sent with every call, where the server wants one."""
    ca: Path | None = None
    """The authority that signed the server's certificate (PEM); None: see `tls`."""
    tls: bool = False
    """Speak TLS and trust the authorities of the system."""
    name: str = ""
    """The name in the server's certificate, where it is not the address."""


def open_channel(where: str | Access) -> grpc.aio.Channel:
    """A channel to a server; past any proxy where it is on this machine.

    recarena.client.BadCredentials for an authority that is no certificate.
    """
    access = where if isinstance(where, Access) else Access(where)
    options: list[tuple[str, Any]] = list(OPTIONS)
    if access.address.startswith(LOOPBACK):
        options.append(("grpc.enable_http_proxy", 0))
    if access.name:
        options.append(("grpc.ssl_target_name_override", access.name))
    callers = [*_Bearer.both(access.token)] if access.token else []
    if access.ca is None and not access.tls:
        return grpc.aio.insecure_channel(access.address, options, interceptors=callers)
    from recarena.client.credentials import tls

    return grpc.aio.secure_channel(access.address, tls(access.ca), options, interceptors=callers)


class _Bearer:
    """Puts a token into the metadata of calls. gRPC takes one kind of interceptor for each kind of
    call."""

    def __init__(self, token: str) -> None:
        self._entry = ("authorization", f"Bearer {token}")

    @classmethod
    def both(cls, token: str) -> tuple[grpc.aio.ClientInterceptor, ...]:
        """For calls with one answer and for those with a stream of them."""
        return _BearerUnary(token), _BearerStream(token)

    def with_token(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        """The call's details with the token in them."""
        metadata = grpc.aio.Metadata(*(details.metadata or ()), self._entry)
        return grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )


class _BearerUnary(_Bearer, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Any], Awaitable[Any]],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        """The call, with the token."""
        return await continuation(self.with_token(client_call_details), request)


class _BearerStream(_Bearer, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Any], Awaitable[Any]],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        """The call, with the token."""
        return await continuation(self.with_token(client_call_details), request)
