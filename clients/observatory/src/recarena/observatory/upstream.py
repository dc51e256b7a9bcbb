"""The way to the RecArena server: one channel, its credentials, and whether it is there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import grpc.aio

from recarena.observatory.failures import Failure, failure_of
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub
from recarena.v1.simulation_inquiry_service_pb2_grpc import SimulationInquiryServiceStub
from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceStub
from recarena.v1.simulation_steering_service_pb2_grpc import SimulationSteeringServiceStub

Reply = TypeVar("Reply")

KEEPALIVE_MS = 20_000
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_MS),
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_MS),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]
LOOPBACK = ("127.", "localhost:", "[::1]:", "unix:")
PATIENCE_S = 20.0
"""For an answer."""
HANDSHAKE = ("handshake", "certificate", "ssl", "wrong_version_number")
"""Words of gRPC's about TLS that will not come to be right by waiting."""

NO_HOST = ("errors resolving", "dns resolution failed", "domain name not found")
"""The same, about names of hosts."""


class NotLetIn(Exception):
    """The server will not have this client, however long it waits. One line of text."""


@dataclass(frozen=True, slots=True)
class Access:
    """How the server is reached, and who calls."""

    address: str
    """HOST:PORT"""
    token: str = ""
    """Sent with every call, where the server wants one."""
    credentials: grpc.ChannelCredentials | None = None
    """None: in the clear."""


class Upstream:
    """A client of the four services for whoever watches and drives. `open` it, and close it."""

    def __init__(self, access: Access) -> None:
        self.address = access.address
        self._shows_token = bool(access.token)
        options = list(OPTIONS)
        if access.address.startswith(LOOPBACK):
            options.append(("grpc.enable_http_proxy", 0))
        if access.credentials is None:
            self._channel = grpc.aio.insecure_channel(access.address, options)
        else:
            self._channel = grpc.aio.secure_channel(access.address, access.credentials, options)
        self._metadata = (("authorization", f"Bearer {access.token}"),) if access.token else ()
        self.control: Any = SimulationControlServiceStub(self._channel)
        self.observe: Any = SimulationObserveServiceStub(self._channel)
        self.steering: Any = SimulationSteeringServiceStub(self._channel)
        self.inquiry: Any = SimulationInquiryServiceStub(self._channel)
        self.reachable = False
        """Whether there is a connection, as far as known."""
        self._refused = ""
        """What the server said when it did not know this client any more; empty: it does."""
        self.may_change = True
        """Whether the server lets this client drive runs."""
        self._changed = asyncio.Event()

    async def ask(
        self,
        method: Callable[..., Awaitable[Reply]],
        request: object,
        patience_s: float = PATIENCE_S,
    ) -> Reply:
        """The answer to a call. Failure, as the page is told it."""
        try:
            answer = await method(request, timeout=patience_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise self._failure_of(error) from None
        self._note_refused("")
        return answer

    async def stream(self, method: Callable[..., Any], request: object) -> AsyncIterator[Any]:
        """The messages of a stream, which is given up when nobody takes them any more. Failure."""
        call = method(request, metadata=self._metadata)
        try:
            async for message in call:
                self._note_refused("")
                yield message
        except grpc.aio.AioRpcError as error:
            raise self._failure_of(error) from None
        finally:
            call.cancel()

    async def knock(self) -> None:
        """Asks the server who this client is to it. NotLetIn where waiting would not help;
        Failure where it is not there yet."""
        try:
            await self.control.ListRuns(
                control_pb.ListRunsRequest(page_size=1),
                timeout=PATIENCE_S,
                metadata=self._metadata,
            )
        except grpc.aio.AioRpcError as error:
            hopeless = _hopeless(error, self.address, shows_token=self._shows_token)
            raise hopeless or failure_of(error) from None
        self.may_change = await self._may_change()

    async def _may_change(self) -> bool:
        # Checked only, and refused for what it lacks: the role is looked at before that.
        request = control_pb.CreateRunRequest(validate_only=True)
        try:
            await self.ask(self.control.CreateRun, request)
        except Failure as failure:
            return failure.status != 403
        return True

    async def keep_watch(self) -> None:
        """Follows whether the server is there, until it is cancelled."""
        state = self._channel.get_state(try_to_connect=True)
        while True:
            self.note(reachable=state is grpc.ChannelConnectivity.READY)
            await self._channel.wait_for_state_change(state)
            state = self._channel.get_state(try_to_connect=True)
            if state in (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING):
                # Between two states; a connection that is only renewed is no news.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await self._channel.wait_for_state_change(state)
                state = self._channel.get_state(try_to_connect=True)

    def note(self, *, reachable: bool) -> None:
        """Takes down whether the server is there."""
        if reachable is not self.reachable:
            self.reachable = reachable
            self._tell()

    @property
    def refusal(self) -> str:
        """Why the server that knew this client does not any more, and the remedy; empty: it does.
        One line."""
        if not self._refused:
            return ""
        what = "the token" if self._shows_token else "the observatory"
        return (
            f"{what} is refused by the RecArena server at {self.address}: {self._refused}. Start "
            "the observatory again with one that is valid (recarena token new)"
        )

    @property
    def trouble(self) -> str:
        """Why nothing can be learnt of the server now; empty: it can. One line."""
        if not self.reachable:
            return f"the RecArena server at {self.address} cannot be reached; it is tried again"
        return self.refusal

    async def changed(self) -> None:
        """Returns when the server has come or gone, or refuses this client, or no longer does."""
        await self._changed.wait()

    def _failure_of(self, error: grpc.aio.AioRpcError) -> Failure:
        failure = failure_of(error)
        if error.code() is grpc.StatusCode.UNAUTHENTICATED:
            self._note_refused(failure.message.rstrip("."))
        return failure

    def _note_refused(self, said: str) -> None:
        if bool(said) is not bool(self._refused):
            self._refused = said
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def close(self) -> None:
        """Hangs up."""
        await self._channel.close()


def _hopeless(error: grpc.aio.AioRpcError, address: str, *, shows_token: bool) -> NotLetIn | None:
    code, text = error.code(), (error.details() or "").lower()
    if code is grpc.StatusCode.UNAUTHENTICATED and shows_token and "certificate" not in text:
        return NotLetIn(
            f"the token of --token-file or RECARENA_TOKEN was refused by {address}: it is unknown "
            "or revoked, or has run out. Give another (recarena token new)"
        )
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return NotLetIn(
            f"{address} wants to know who calls: give --token-file, or RECARENA_TOKEN, with a "
            "token of an operator or observer that has not run out (recarena token new)"
        )
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return NotLetIn(
            f"{address} lets this token serve as a recommender only: give one of an operator or "
            "observer (recarena token new)"
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return NotLetIn(f"{address} is no RecArena server, or one of another version")
    if code is not grpc.StatusCode.UNAVAILABLE:
        return None
    if any(words in text for words in NO_HOST):
        return NotLetIn(f"there is no host {address.rpartition(':')[0]}: look at --server")
    if any(word in text for word in HANDSHAKE):
        return NotLetIn(
            f"{address} and this client cannot agree on TLS: give --tls-ca with the authority "
            "that signed the server's certificate, --tls where the system trusts it, and neither "
            "where the server speaks in the clear"
        )
    return None
