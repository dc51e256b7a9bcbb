"""A recommender written from the protos and grpcio alone, driven by the test message by message.

    async with RawClient(server.address) as client:
        registered = await client.join()            # Register .. CatalogReady
        await client.serve()                        # everything else until Drain
        assert await client.status() == (grpc.StatusCode.OK, "")

or, in place of `serve`, `receive` and `send` one by one. Nothing waits by sleeping.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Self

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns
from recarena.v1.recommender_service_pb2 import (
    ConnectRequest,
    ConnectResponse,
    ListFeedbackRequest,
    StreamCatalogRequest,
)
from recarena.v1.recommender_service_pb2_grpc import RecommenderServiceStub
from recarena.v1.session_pb2 import (
    CAPABILITY_COLUMNAR,
    CAPABILITY_RANK,
    CAPABILITY_SEARCH,
    CatalogChanged,
    CatalogReady,
    Pong,
    Register,
    Registered,
    RoundReady,
)
from recarena.v1.types_pb2 import Item, RankedItem
from recarena.v1.work_pb2 import ConverseResult, RankBatchResult, RankedList, RankResult

PATIENCE = 30.0
WORKS = ("rank_work", "rank_batch", "search_work", "search_batch", "converse_work")
FEEDBACK = ("feedback_batch", "feedback_columns")
RICH = (CAPABILITY_RANK, CAPABILITY_SEARCH)
COLUMNAR = (*RICH, CAPABILITY_COLUMNAR)
OK = (grpc.StatusCode.OK, "")

CONNECT = "/recarena.v1.RecommenderService/Connect"

Answers = Callable[["RawClient", str, Any], Iterable[ConnectRequest] | None]


class RawClient:
    """One Connect stream. Pings are answered unless `pongs` is False, and kept apart."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self.stub = RecommenderServiceStub(self._channel)
        connect = self._channel.stream_stream(
            CONNECT, request_serializer=serialized, response_deserializer=ConnectResponse.FromString
        )
        self._call: Any = connect()
        self._next: asyncio.Task[Any] | None = None
        self._writing = asyncio.Lock()
        self.pongs = True
        # Every message but pings, in the order of their arrival.
        self.seen: list[ConnectResponse] = []
        self.pings = 0
        self.registered = Registered()
        self.items: list[Item] = []
        self.item_ids: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()

    async def hang_up(self) -> None:
        """Break the connection as a killed process would: without a word."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait({self._next})
        self._call.cancel()
        await self._channel.close()

    # ------------------------------------------------------------------ messages
    async def send(self, request: ConnectRequest | None = None, **message: Any) -> None:
        """Send one message, named by its field: send(pong=Pong(nonce=1))."""
        async with self._writing:
            await self._call.write(request if request is not None else ConnectRequest(**message))

    async def send_bytes(self, payload: bytes) -> None:
        """Send what need not be a message."""
        async with self._writing:
            await self._call.write(payload)

    async def close_half(self) -> None:
        """Nothing more will be sent."""
        await self._call.done_writing()

    async def receive_any(self) -> ConnectResponse | None:
        """The server's next message; None when the stream is over."""
        while True:
            if self._next is None:
                self._next = asyncio.ensure_future(self._call.read())
            done, _ = await asyncio.wait({self._next}, timeout=PATIENCE)
            if not done:
                raise AssertionError(f"nothing came in {PATIENCE} s after {self.kinds()[-5:]}")
            task, self._next = self._next, None
            try:
                message = task.result()
            except grpc.aio.AioRpcError:
                return None
            if not isinstance(message, ConnectResponse):  # the end of the stream
                return None
            if message.HasField("ping"):
                self.pings += 1
                if self.pongs:
                    await self.send(pong=Pong(nonce=message.ping.nonce))
                else:
                    return message
                continue
            self.seen.append(message)
            return message

    async def receive(self, kind: str) -> Any:
        """The server's next message, which must be of this kind."""
        message = await self.receive_any()
        found = message.WhichOneof("message") if message is not None else "the end of the stream"
        assert found == kind, f"{found} came, not {kind}: {message}; {await self._ending()}"
        return getattr(message, kind)

    async def receive_work(self) -> tuple[str, Any]:
        """The server's next message, which must be a work."""
        message = await self.receive_any()
        found = message.WhichOneof("message") if message is not None else "the end of the stream"
        assert found in WORKS, f"{found} came, not a work: {message}; {await self._ending()}"
        return found, getattr(message, found)

    async def find(self, kind: str) -> Any:
        """The server's next message of this kind, whatever comes before it."""
        while (message := await self.receive_any()) is not None:
            if message.HasField(kind):
                return getattr(message, kind)
        raise AssertionError(f"the stream ended without {kind}: {await self._ending()}")

    async def _ending(self) -> object:
        return await self.status() if self._call.done() else "the stream goes on"

    async def stays_silent(self) -> bool:
        """Whether the server sends nothing, though it had every occasion to: it answered other
        calls on the same connection meanwhile."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._call.read())
        for _ in range(5):
            with contextlib.suppress(grpc.aio.AioRpcError):  # there is no such session
                await self.stub.ListFeedback(ListFeedbackRequest(session_id="none"))
        return not self._next.done()

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """How the stream ended."""
        code = await asyncio.wait_for(self._call.code(), PATIENCE)
        return code, await self._call.details()

    async def rich_status(self) -> Status:
        """The google.rpc.Status with which the stream ended."""
        for key, value in await self._call.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                return Status.FromString(value)
        return Status()

    # ------------------------------------------------------------------ what has come
    def kinds(self) -> list[str]:
        """The kinds of messages so far, in order."""
        return [message.WhichOneof("message") or "" for message in self.seen]

    def all(self, *kinds: str) -> list[Any]:
        """The messages of these kinds so far, in order."""
        return [
            getattr(message, kind)
            for message in self.seen
            if (kind := message.WhichOneof("message") or "") in kinds
        ]

    def feedback(self, round: int | None = None) -> list[FeedbackBatch | FeedbackColumns]:
        """The feedback so far, or that of one round."""
        batches = self.all(*FEEDBACK)
        return [one for one in batches if round is None or one.round == round]

    # ------------------------------------------------------------------ the recommender
    async def register(self, recommender_id: str = "raw", **fields: Any) -> None:
        """Send Register; rich with search, unless `capabilities` says otherwise."""
        fields = {"instance_id": "instance-1", "capabilities": RICH, **fields}
        await self.send(register=Register(recommender_id=recommender_id, **fields))

    async def join(self, recommender_id: str = "raw", **fields: Any) -> Registered:
        """Register, wait for a run, load the catalogue, say so."""
        await self.register(recommender_id, **fields)
        self.registered = await self.receive("registered")
        await self.load_catalog()
        await self.catalog_ready()
        return self.registered

    async def load_catalog(self) -> None:
        """Read the catalogue of the run."""
        self.items = await self.read_catalog(self.registered.catalog_version)
        self.item_ids = [item.item_id for item in self.items]

    async def read_catalog(self, version: str, token: str = "") -> list[Item]:
        """The items of a version, from a token on."""
        asked = StreamCatalogRequest(catalog_version=version, page_token=token)
        return [item async for part in self.stub.StreamCatalog(asked) for item in part.items]

    async def take_catalog(self, changed: CatalogChanged) -> None:
        """Load another version, say so, and offer what it has from now on."""
        self.registered.catalog_version = changed.catalog_version
        self.registered.catalog_size = changed.catalog_size
        await self.load_catalog()
        assert len(self.items) == changed.catalog_size
        await self.catalog_ready()

    async def catalog_ready(self) -> None:
        version = self.registered.catalog_version
        await self.send(catalog_ready=CatalogReady(catalog_version=version))

    async def open_round(self, round: int = 1) -> None:
        """Take feedback until this round starts, and be ready for it."""
        started = await self.find("round_started")
        assert started.round == round
        await self.send(round_ready=RoundReady(round=round))

    async def serve(
        self,
        answers: Answers | None = None,
        *,
        until: Callable[[ConnectResponse], bool] | None = None,
    ) -> None:
        """Answer everything until Drain, the end of the stream or the message after which `until`
        is true. `answers(client, kind, work)` gives the answers to a work, None: the usual one."""
        while (message := await self.receive_any()) is not None:
            kind = message.WhichOneof("message") or ""
            if kind in WORKS:
                work = getattr(message, kind)
                given = answers(self, kind, work) if answers else None
                for one in [self.answer(kind, work)] if given is None else given:
                    await self.send(one)
            elif kind == "catalog_changed":
                await self.take_catalog(message.catalog_changed)
            elif kind == "round_started":
                await self.send(round_ready=RoundReady(round=message.round_started.round))
            elif kind == "drain":
                await self.close_half()
                assert await self.receive_any() is None
                return
            if until and until(message):
                return

    def answer(self, kind: str, work: Any) -> ConnectRequest:
        """The right answer to a work: lists that follow from the user, the page and the words
        alone, the same in both encodings."""
        work_id = work.header.work_id
        if kind == "converse_work":
            items = [RankedItem(item_id=one) for one in self.ids(self.ranks(
                work.user.user_number, 0, work.result_count, work.turns[-1].text))]  # fmt: skip
            return ConnectRequest(
                converse_result=ConverseResult(work_id=work_id, reply_text="Look:", items=items)
            )
        if kind in ("rank_work", "search_work"):
            result = RankResult(work_id=work_id, complete=True)
            for query in work.queries:
                result.lists.append(self.ranked(query))
            return ConnectRequest(rank_result=result)
        return ConnectRequest(rank_batch_result=RankBatchResult(
            work_id=work_id,
            item_numbers=[n for one in self.batch_lists(kind, work) for n in one],
        ))  # fmt: skip

    def ranked(self, query: Any) -> RankedList:
        """The right list for one query, with a token that names the query."""
        text = getattr(query, "text", "")
        numbers = self.ranks(query.user.user_number, query.offset, query.result_count, text)
        return RankedList(
            query_index=query.query_index,
            items=[RankedItem(item_id=one) for one in self.ids(numbers)],
        )

    def batch_lists(self, kind: str, work: Any) -> list[list[int]]:
        """The right lists of a columnar work."""
        offsets = list(work.offsets) or [0] * len(work.user_numbers)
        texts = [""] * len(work.user_numbers)
        if kind == "search_batch":
            texts = [work.texts[number] for number in work.text_numbers]
        return [
            self.ranks(user, offset, work.result_count, text)
            for user, offset, text in zip(work.user_numbers, offsets, texts, strict=True)
        ]

    def ranks(self, user: int, offset: int, count: int, text: str = "") -> list[int]:
        """Item numbers at some ranks of a user's list."""
        numbers = [number for number, item in enumerate(self.items) if not item.withdrawn]
        first = user * 31 + zlib.crc32(text.encode())
        return [numbers[(first + offset + rank) % len(numbers)] for rank in range(count)]

    def ids(self, numbers: Iterable[int]) -> list[str]:
        return [self.item_ids[number] for number in numbers]


def serialized(request: ConnectRequest | bytes) -> bytes:
    """A message as it goes over the wire; bytes go as they are."""
    return request if isinstance(request, bytes) else request.SerializeToString()


def details(status: Status, kind: type[Message]) -> list[Any]:
    """The details of a kind that a status carries."""
    found: list[Any] = []
    for detail in status.details:
        one = kind()
        if detail.Unpack(one):
            found.append(one)
    return found


def fields_of(status: Status) -> list[str]:
    """Paths of the fields that a status complains of."""
    return [v.field for one in details(status, BadRequest) for v in one.field_violations]


def reason_of(status: Status) -> str:
    """The reason in a status' ErrorInfo."""
    return next((one.reason for one in details(status, ErrorInfo)), "")
