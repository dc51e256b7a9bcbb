"""A recommender and a server in one loop without a socket between them: for a clock of one's own.

async with arena(tmp_path) as house, house.line() as line:
    run = await house.begin(settings("raw"))
    await line.join()
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from google.rpc.status_pb2 import Status

from recarena.server.config import Settings
from recarena.server.house import House
from recarena.server.rpc.audit import Audit
from recarena.server.rpc.lobby import Lobby
from recarena.server.rpc.recommenders import RecommenderService, item_message
from recarena.server.rpc.server import LobbyDoor
from recarena.server.runs import Run
from recarena.v1.recommender_service_pb2 import ConnectRequest, ConnectResponse
from recarena.v1.session_pb2 import Pong, Registered
from support.arena import WORLD
from support.clock import now
from support.raw_client import RawClient

DETAILS = "grpc-status-details-bin"


class Requests:
    """What a peer sends, as the server reads it."""

    def __init__(self) -> None:
        self._sent: asyncio.Queue[bytes | None] = asyncio.Queue()

    def send(self, request: ConnectRequest | None = None, **message: Any) -> None:
        """One message; it is read in the loop's next turns."""
        request = ConnectRequest(**message) if request is None else request
        self._sent.put_nowait(request.SerializeToString())

    def close(self) -> None:
        """Nothing more will be sent."""
        self._sent.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (payload := await self._sent.get()) is not None:
            yield payload


class _Aborted(Exception):
    """The server ends a stream with a status."""


class _Context:
    """As much of a call as the server looks at."""

    def __init__(self) -> None:
        self.code, self.status = grpc.StatusCode.OK, Status()

    def peer(self) -> str:
        return "line"

    async def abort_with_status(self, ending: Any) -> None:
        self.code = ending.code
        self.status = Status.FromString(dict(ending.trailing_metadata)[DETAILS])
        raise _Aborted


class Line(RawClient):
    """A `RawClient` whose stream has no socket. Pings are answered at once, or never where `pongs`
    is False; they are counted and not handed out."""

    def __init__(self, service: RecommenderService) -> None:
        self.pongs, self.pings = True, 0
        self.seen: list[ConnectResponse] = []
        self.registered, self.items, self.item_ids = Registered(), [], []
        self.arrivals: list[tuple[float, str]] = []
        """When what came, and `ended` for the end of the stream."""
        self._service, self._requests, self._context = service, Requests(), _Context()
        self._came: asyncio.Queue[ConnectResponse | None] = asyncio.Queue()
        self._talking = asyncio.ensure_future(self._talk())

    async def _talk(self) -> None:
        try:
            async for payload in self._service.Connect(aiter(self._requests), self._context):  # type: ignore[arg-type]
                message = ConnectResponse.FromString(payload)
                self.arrivals.append((now(), message.WhichOneof("message") or ""))
                if not message.HasField("ping"):
                    self._came.put_nowait(message)
                    continue
                self.pings += 1
                if self.pongs:
                    self._requests.send(pong=Pong(nonce=message.ping.nonce))
        except _Aborted:
            pass
        finally:
            self.arrivals.append((now(), "ended"))
            self._came.put_nowait(None)

    def when(self, kind: str) -> float:
        """When the one message of a kind came."""
        (moment,) = [moment for moment, one in self.arrivals if one == kind]
        return moment

    async def hang_up(self) -> None:
        self._talking.cancel()
        await asyncio.wait({self._talking})

    async def send(self, request: ConnectRequest | None = None, **message: Any) -> None:
        self._requests.send(request, **message)

    async def close_half(self) -> None:
        self._requests.close()

    async def receive_any(self) -> ConnectResponse | None:
        message = await self._came.get()
        if message:
            self.seen.append(message)
        return message

    async def stays_silent(self) -> bool:
        for _ in range(50):
            await asyncio.sleep(0)
        return self._came.empty()

    async def status(self) -> tuple[grpc.StatusCode, str]:
        await asyncio.wait({self._talking})
        return self._context.code, self._context.status.message

    async def rich_status(self) -> Status:
        return self._context.status

    async def _ending(self) -> object:
        return self._context.code

    async def load_catalog(self) -> None:
        catalog = self._service._catalogs[self.registered.catalog_version]
        self.items = [item_message(catalog, number) for number in range(len(catalog))]
        self.item_ids = list(catalog.item_ids)


class Arena:
    """A house of runs that lines lead to."""

    def __init__(self, folder: Path) -> None:
        lobby = Lobby()
        self._service = RecommenderService(lobby, Audit(folder / "audit.jsonl", frozenset()))
        self.house = House(folder, LobbyDoor(lobby, self._service))

    def line(self) -> Line:
        """One more recommender."""
        return Line(self._service)

    async def begin(self, chosen: Settings, world: str = WORLD) -> Run:
        """A run, started."""
        run = await self.house.create("run", world, chosen)
        run.start()
        return run


@contextlib.asynccontextmanager
async def arena(tmp_path: Path) -> AsyncIterator[Arena]:
    """A house without a server; its runs are closed at the end."""
    one = Arena(tmp_path / "runs")
    try:
        yield one
    finally:
        await one.house.close()
