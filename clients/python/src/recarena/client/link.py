"""The one channel to the server that all sessions of a `serve` share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import grpc
import grpc.aio

from recarena.client.catalog import Catalog
from recarena.client.errors import ProtocolBroken, Unreachable
from recarena.client.stream import Stream
from recarena.v1.recommender_service_pb2 import (
    DESCRIPTOR,
    ConnectResponse,
    StreamCatalogRequest,
)
from recarena.v1.recommender_service_pb2_grpc import RecommenderServiceStub
from recarena.v1.types_pb2 import Item

logger = logging.getLogger("recarena.client")

CONNECT = f"/{DESCRIPTOR.services_by_name['RecommenderService'].full_name}/Connect"
KEEPALIVE_MS = 20_000
OPTIONS: list[tuple[str, int]] = [
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_MS),
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_MS),
    ("grpc.http2.max_pings_without_data", 0),
    # The session's Limits decide, not the channel: crossing a limit here would end the stream.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # How the channel comes back, with jitter of its own.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]
LOOPBACK = ("127.", "localhost:", "[::1]:", "unix:")


class Link:
    """Opens streams, loads catalogues. Close it at the end."""

    def __init__(
        self, server: str, credentials: grpc.ChannelCredentials | None, token: str | None
    ) -> None:
        self.server = server
        self._how = "unencrypted" if credentials is None else "over TLS"
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        options = list(OPTIONS)
        if server.startswith(LOOPBACK):
            options.append(("grpc.enable_http_proxy", 0))
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(server, options)
        else:
            self._channel = grpc.aio.secure_channel(server, credentials, options)
        self._connect = self._channel.stream_stream(
            CONNECT, request_serializer=None, response_deserializer=ConnectResponse.FromString
        )
        self._stub = RecommenderServiceStub(self._channel)
        self._catalogs: dict[str, Catalog] = {}
        self._loading = asyncio.Lock()
        self._complained = False

    async def ready(self, until: float | None) -> None:
        """Return when there is a connection; says once that there is none.

        Raises:
            Unreachable: there was none by `until`, a time of the event loop.
        """
        try:
            async with asyncio.timeout_at(until):
                state = self._channel.get_state(try_to_connect=True)
                while state is not grpc.ChannelConnectivity.READY:
                    if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                        self._complain()
                    await self._channel.wait_for_state_change(state)
                    state = self._channel.get_state(try_to_connect=True)
        except TimeoutError:
            raise Unreachable(f"no connection to {self.server} {self._how}") from None
        self._complained = False

    def connect(self) -> Stream:
        """A new stream."""
        return Stream(self._connect(metadata=self._metadata))

    async def catalog(self, version: str, size: int, same: Sequence[Item] = ()) -> Catalog:
        """The catalogue at one version, loaded once for all sessions.

        Args:
            version: Which.
            size: Items that it must have; 0: any number.
            same: The items that it begins with, which are not loaded again.

        Raises:
            ProtocolBroken: it has not `size` items.
            grpc.aio.AioRpcError: it cannot be loaded, or breaks off without getting any further.
        """
        async with self._loading:
            catalog = self._catalogs.get(version)
            if catalog is None or size not in (0, len(catalog)):
                catalog = Catalog.of(version, await self._items(version, same))
                self._catalogs = {version: catalog}  # an older one lives as long as its run
            if size not in (0, len(catalog)):
                raise ProtocolBroken(
                    f"catalogue {version} has {len(catalog)} items, {size} were announced"
                )
            return catalog

    async def close(self) -> None:
        await self._channel.close()

    async def _items(self, version: str, same: Sequence[Item]) -> list[Item]:
        items = list(same)
        token = str(len(items)) if items else ""
        while True:
            held = token
            parts = self._stub.StreamCatalog(
                StreamCatalogRequest(catalog_version=version, page_token=token),
                metadata=self._metadata,
            )
            try:
                async for part in parts:
                    items.extend(part.items)
                    token = part.next_page_token
            except grpc.aio.AioRpcError:
                if token == held:
                    raise
            if not token:
                return items
            if token == held:
                raise ProtocolBroken(f"catalogue {version} ends in the middle")

    def _complain(self) -> None:
        if not self._complained:
            self._complained = True
            logger.warning("cannot reach %s %s, trying again", self.server, self._how)
