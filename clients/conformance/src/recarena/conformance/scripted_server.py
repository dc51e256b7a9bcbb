"""A real gRPC server whose recommender sessions are driven by a script, message by message.

    async with ScriptedServer() as server:
        ...                                     # connect a client to server.address
        stream = await server.accept()          # its Register is stream.register
        await stream.registered(run_id="run-1")
        await stream.receive("catalog_ready")
        await stream.send(round_started=RoundStarted(round=1))
        await stream.receive("round_ready")
        await stream.end_run()

Nothing here waits by sleeping: `accept` and `receive` return when the client has done its part.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

import grpc
import grpc.aio
from google.rpc.status_pb2 import Status

from recarena.conformance.findings import Unmet
from recarena.v1.recommender_service_pb2 import (
    ConnectRequest,
    ConnectResponse,
    ListFeedbackRequest,
    ListFeedbackResponse,
    StreamCatalogRequest,
    StreamCatalogResponse,
)
from recarena.v1.recommender_service_pb2_grpc import (
    RecommenderServiceServicer,
    add_RecommenderServiceServicer_to_server,
)
from recarena.v1.session_pb2 import CancelWork, Capability, Drain, Limits, Register, Registered
from recarena.v1.types_pb2 import Item
from recarena.v1.work_pb2 import RankQuery, RankWork, UserContext

PATIENCE = 20.0
REGISTER_WITHIN = 10.0
ITEMS = tuple(Item(item_id=f"item-{n}", title=f"Film {n}") for n in range(10))
ALL_CAPABILITIES = tuple(value for value in Capability.values() if value)


def rank_work(work_id: str, users: int = 2, *, count: int = 3, round_number: int = 1) -> RankWork:
    """A work that wants `count` items for each of the users u0, u1, ..."""
    work = RankWork(
        queries=[
            RankQuery(
                query_index=n, user=UserContext(user_id=f"u{n}", user_number=n), result_count=count
            )
            for n in range(users)
        ]
    )
    work.header.work_id = work_id
    work.header.round = round_number
    work.header.attempt = 1
    return work


class ScriptedStream:
    """The server's side of one Connect."""

    def __init__(
        self,
        register: Register,
        context: grpc.aio.ServicerContext[Any, Any],
        patience: float = PATIENCE,
    ) -> None:
        self.register, self.patience = register, patience
        # Seconds that the client took from opening the stream to Register.
        self.registered_after = 0.0
        self.context = context
        self.requests: asyncio.Queue[ConnectRequest | None] = asyncio.Queue()
        self.over: asyncio.Future[tuple[grpc.StatusCode, str]] = (
            asyncio.get_running_loop().create_future()
        )
        # Set when the stream is over on both sides.
        self.gone = asyncio.Event()
        # Whether the client broke it off, where it did not close its half.
        self.broken = False
        # Whether a client that drains and closes its half is let go, as a server should.
        self.polite = True
        self.seq = 0

    async def send(self, **message: Any) -> None:
        """Send one message, named by its field: `ping=Ping(nonce=1)`."""
        self.seq += 1
        await self.context.write(ConnectResponse(seq=self.seq, **message))

    async def receive_request(self) -> ConnectRequest | None:
        """The client's next message as it came; None when it has closed its half or is gone.

        Raises:
            TimeoutError: nothing came for `patience` seconds.
        """
        return await asyncio.wait_for(self.requests.get(), self.patience)

    async def receive(self, kind: str) -> Any:
        """The client's next message, which must be of this kind."""
        request = await self.receive_request()
        found = request.WhichOneof("message") if request is not None else "the end of the stream"
        if request is None or found != kind:
            raise Unmet(f"{found} came: {request}".strip(), required=f"{kind} comes next")
        return getattr(request, kind)

    async def registered(
        self,
        run_id: str = "run-1",
        *,
        resumed: bool = False,
        version: str = "v1",
        size: int = len(ITEMS),
        capabilities: Sequence[int] = ALL_CAPABILITIES,
        max_message_bytes: int = 4 * 2**20,
        **further: Any,
    ) -> None:
        """Give the client a run; the capabilities are what both sides know."""
        granted = [value for value in self.register.capabilities if value in capabilities]
        message = Registered(
            session_id=f"session-{id(self)}",
            resumed=resumed,
            run_id=run_id,
            epoch=1,
            arm_ids=["arm-1"],
            catalog_version=version,
            catalog_size=size,
            user_count=100,
            round_limit=3,
            page_size=5,
            capabilities=granted,
            limits=Limits(max_message_bytes=max_message_bytes),
        )
        message.MergeFrom(Registered(**further))
        await self.send(registered=message)

    async def begin(self, run_id: str = "run-1", **registered: Any) -> Self:
        """Go through the handshake, so that works and feedback may follow."""
        await self.registered(run_id, **registered)
        ready = await self.receive("catalog_ready")
        if ready.HasField("error"):
            raise Unmet(f"the catalogue was refused: {ready.error.message}")
        return self

    async def cancel_work(self, work_id: str) -> None:
        await self.send(cancel_work=CancelWork(work_id=work_id))

    async def drain(self, code: int = 0, text: str = "") -> None:
        await self.send(drain=Drain(reason=Status(code=code, message=text)))

    async def end_run(self) -> None:
        """Drain, wait until the client has closed its half, end with OK."""
        await self.drain()
        while await self.receive_request() is not None:
            pass
        self.end()

    def end(self, code: grpc.StatusCode = grpc.StatusCode.OK, text: str = "") -> None:
        """End the stream with a status."""
        if not self.over.done():
            self.over.set_result((code, text))


class ScriptedServer(RecommenderServiceServicer):
    """Listens on a free port of 127.0.0.1. `restart` comes back on the same one."""

    def __init__(
        self, items: Sequence[Item] = ITEMS, *, page: int = 4, patience: float = PATIENCE
    ) -> None:
        # What StreamCatalog answers for every version, in parts of so many items.
        self.items, self.page = tuple(items), page
        # Seconds that `accept` and the streams wait for the client.
        self.patience = patience
        self.catalog_requests: list[StreamCatalogRequest] = []
        # Versions of which somebody has read the last part.
        self.catalogs_read: list[str] = []
        # How many parts to send before the stream of the catalogue breaks; None: it holds.
        self.break_catalog_after: int | None = None
        self.metadata: list[dict[str, Any]] = []
        # Of the calls of StreamCatalog; `metadata` is of Connect.
        self.catalog_metadata: list[dict[str, Any]] = []
        self.port = 0
        # When each Connect was opened, by the clock of the event loop.
        self.opened: list[float] = []
        self._streams: asyncio.Queue[ScriptedStream | Unmet] = asyncio.Queue()
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_RecommenderServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        """Stop at once: all streams break with UNAVAILABLE or CANCELLED."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def accept(self, within: float | None = None) -> ScriptedStream:
        """The next stream, once its Register has come.

        Raises:
            Unmet: something else came first, or nothing.
            TimeoutError: no stream came for so many seconds, or `patience`.
        """
        seconds = self.patience if within is None else within
        stream = await asyncio.wait_for(self._streams.get(), seconds)
        if isinstance(stream, Unmet):
            raise stream
        return stream

    async def Connect(  # pyright: ignore[reportIncompatibleMethodOverride] (aio: a coroutine)
        self,
        request_iterator: AsyncIterator[ConnectRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> None:
        clock = asyncio.get_running_loop().time
        self.opened.append(opened := clock())
        self.metadata.append(dict(context.invocation_metadata() or ()))
        first = await self._first(request_iterator, context)
        stream = ScriptedStream(first.register, context, self.patience)
        stream.registered_after = clock() - opened
        self._streams.put_nowait(stream)

        async def read() -> None:
            leaving = False
            async for request in request_iterator:
                stream.requests.put_nowait(request)
                leaving = leaving or request.HasField("drain")
            stream.requests.put_nowait(None)
            if leaving and stream.polite:
                stream.end()

        reading = asyncio.create_task(read())
        try:
            code, text = await stream.over
        except asyncio.CancelledError:
            stream.broken = True
            raise
        finally:
            stream.gone.set()
            reading.cancel()
            await asyncio.wait({reading})
            stream.requests.put_nowait(None)  # nobody waits for what cannot come any more
        if code is not grpc.StatusCode.OK:
            await context.abort(code, text)

    async def _first(
        self,
        request_iterator: AsyncIterator[ConnectRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> ConnectRequest:
        """The Register that a stream must begin with; `accept` raises where it does not."""
        required = f"Register is the first message, within {REGISTER_WITHIN:g} s"
        try:
            first = await asyncio.wait_for(anext(request_iterator), REGISTER_WITHIN)
        except TimeoutError:
            code, seen = grpc.StatusCode.DEADLINE_EXCEEDED, "a stream was opened, and nothing came"
        except StopAsyncIteration:
            code, seen = grpc.StatusCode.INVALID_ARGUMENT, "the stream was closed without a message"
        else:
            if first.HasField("register"):
                return first
            code = grpc.StatusCode.INVALID_ARGUMENT
            seen = f"{first.WhichOneof('message') or 'a message that is not known'} came first"
        self._streams.put_nowait(Unmet(seen, required=required))
        await context.abort(code, required)
        raise AssertionError("abort raises")

    async def StreamCatalog(
        self, request: StreamCatalogRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[StreamCatalogResponse]:
        self.catalog_requests.append(request)
        self.catalog_metadata.append(dict(context.invocation_metadata() or ()))
        start = int(request.page_token or 0)
        for sent, at in enumerate(range(start, len(self.items), self.page)):
            if sent == self.break_catalog_after:
                self.break_catalog_after = None
                await context.abort(grpc.StatusCode.UNAVAILABLE, "broken off by the script")
            after = at + self.page
            yield StreamCatalogResponse(
                catalog_version=request.catalog_version,
                items=self.items[at:after],
                next_page_token=str(after) if after < len(self.items) else "",
            )
        self.catalogs_read.append(request.catalog_version)

    async def ListFeedback(
        self, request: ListFeedbackRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> ListFeedbackResponse:
        return ListFeedbackResponse()
