"""One session with the program, as the server sees it: what is said, and what is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import grpc
import grpc.aio

from recarena.conformance.findings import Unmet
from recarena.conformance.scripted_server import ScriptedStream
from recarena.conformance.wire.asking import (
    Answer,
    Row,
    Work,
    answer_of,
    feedback_message,
    history,
    work_message,
)
from recarena.conformance.wire.settings import Settings
from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.session_pb2 import (
    CAPABILITY_COLUMNAR,
    Capability,
    CatalogChanged,
    CatalogReady,
    Limits,
    Ping,
    Register,
    Registered,
    RoundEnded,
    RoundStarted,
)
from recarena.v1.types_pb2 import Item

MAX_MESSAGE_BYTES, MAX_ITEMS_PER_LIST = 4 * 2**20, 100
MAX_EXPLANATION_CHARS, MAX_ID_BYTES, MAX_TOKEN_BYTES = 500, 128, 256
NUMBERS = count(1)
"""Of works: no two have the same id."""
BROKEN = (grpc.aio.AioRpcError, grpc.aio.InternalError, grpc.aio.UsageError)


class Session:
    """A stream of the program. What comes and is not waited for is kept until it is."""

    def __init__(self, stream: ScriptedStream, settings: Settings, items: Sequence[Item]) -> None:
        self.stream, self._settings = stream, settings
        self.items = tuple(items)
        self.columnar = False
        self.max_users = settings.max_users(stream.register)
        self.outstanding = stream.register.max_outstanding_work or 4
        self._unread: list[ConnectRequest] = []
        self._nonce = 0

    @property
    def register(self) -> Register:
        """The first message of the stream."""
        return self.stream.register

    # ------------------------------------------------------------------ saying
    async def send(self, **message: Any) -> None:
        """Sends a message, named by its field. Unmet where the program has broken the stream off,
        or does not read."""
        await self.written(self.stream.send(**message))

    async def written(self, sending: Any) -> None:
        """The same for any way of sending."""
        try:
            await asyncio.wait_for(sending, self._settings.patience)
        except TimeoutError:
            raise Unmet("it does not read the stream", required="every message is read") from None
        except BROKEN:
            raise Unmet("it broke the stream off", required="the stream stays open") from None

    async def registered(
        self, run_id: str = "run-1", *, max_message_bytes: int = MAX_MESSAGE_BYTES, **further: Any
    ) -> None:
        """Gives the program a run."""
        limits = Limits(
            max_users_per_work=self.max_users,
            max_items_per_list=MAX_ITEMS_PER_LIST,
            max_explanation_chars=MAX_EXPLANATION_CHARS,
            max_id_bytes=MAX_ID_BYTES,
            max_token_bytes=MAX_TOKEN_BYTES,
            max_unsolicited_messages=100,
            max_rejected_in_a_row=5,
            max_answer_bytes=4 * MAX_MESSAGE_BYTES,
        )
        usual = Registered(limits=limits, user_count=max(self._settings.users, self.max_users))
        usual.work_timeout.FromSeconds(60)
        usual.max_work_timeout.FromSeconds(240)
        usual.resume_window.FromSeconds(30)
        usual.ping_interval.FromSeconds(10)
        granted = self._settings.granted(self.register)
        self.granted(granted)
        given: dict[str, Any] = {"size": len(self.items), **further}
        values = {descriptor.name: value for descriptor, value in usual.ListFields()}
        await self.written(
            self.stream.registered(
                run_id,
                capabilities=granted,
                max_message_bytes=max_message_bytes,
                **{**values, **given},
            )
        )

    def granted(self, capabilities: Sequence[Capability.ValueType]) -> None:
        """Notes what is in force, which the encoding follows from."""
        self.columnar = CAPABILITY_COLUMNAR in capabilities

    async def loaded(self, version: str = "v1") -> CatalogReady:
        """CatalogReady of this version, without an error."""
        request = await self.until("CatalogReady", lambda one: one.HasField("catalog_ready"))
        ready = request.catalog_ready
        if ready.HasField("error"):
            raise Unmet(
                f"CatalogReady with error: {ready.error.message}", required="the catalogue is taken"
            )
        if ready.catalog_version != version:
            raise Unmet(
                f"CatalogReady of {ready.catalog_version!r}",
                required=f"CatalogReady of the version that was named, {version!r}",
            )
        return ready

    async def begin(self, run_id: str = "run-1", **registered: Any) -> None:
        """The handshake, up to CatalogReady."""
        await self.registered(run_id, **registered)
        await self.loaded(registered.get("version", "v1"))

    async def changes(self, items: Sequence[Item], version: str, changed: Sequence[int]) -> None:
        """Names another version of the catalogue, and waits until the program has it. What the
        server streams from now on is to be these items."""
        self.items = tuple(items)
        await self.send(
            catalog_changed=CatalogChanged(
                catalog_version=version, catalog_size=len(items), changed_items=changed
            )
        )
        await self.loaded(version)

    async def in_round(self, run_id: str = "run-1", **registered: Any) -> Session:
        """Handshake, history and the beginning of round 1: works may follow."""
        await self.begin(run_id, **registered)
        await self.feedback("h1")
        await self.round(1)
        return self

    async def feedback(
        self, cursor: str, round: int = 0, rows: Sequence[Row] | None = None
    ) -> None:
        """Feedback in the encoding in force; the usual history where no rows are given."""
        told = history(len(self.items)) if rows is None else rows
        await self.send(**feedback_message(self.columnar, self.items, cursor, round, told))

    async def round(self, number: int) -> None:
        """Opens a round, and waits until the program is ready for it."""
        await self.send(round_started=RoundStarted(round=number))
        request = await self.until(
            f"RoundReady of round {number}", lambda one: one.HasField("round_ready")
        )
        if request.round_ready.round != number:
            raise Unmet(
                f"RoundReady of round {request.round_ready.round}",
                required=f"RoundReady of round {number}, which was opened",
            )

    async def round_ended(self, number: int) -> None:
        """Closes a round."""
        await self.send(round_ended=RoundEnded(round=number))

    # ------------------------------------------------------------------ works
    async def ask(
        self, users: Sequence[int] = (0, 1), *, work_id: str = "", **further: Any
    ) -> Work:
        """Sends a work in the encoding in force: lists for users, or searches with a `text`."""
        named = work_id or f"work-{next(NUMBERS)}"
        work = Work(named, tuple(users), self.columnar, **further)
        await self.send(**work_message(work))
        return work

    async def answer(self, work: Work) -> Answer:
        """What the program answers to a work.

        Raises:
            Unmet: WorkFailed, or a message that does not fit the work, or nothing.
        """
        parts = list[ConnectRequest]()
        while not (parts and answer_of(work, parts, self.items).complete):
            parts.append(
                await self.until(
                    f"an answer to a work of {len(work.users)} users",
                    lambda one: answers(one, work.work_id),
                )
            )
        return answer_of(work, parts, self.items)

    async def asked(self, users: Sequence[int] = (0, 1), **further: Any) -> Answer:
        """Sends a work; the answer to it."""
        return await self.answer(await self.ask(users, **further))

    # ------------------------------------------------------------------ hearing
    async def heard(self) -> list[ConnectRequest]:
        """Returns when all that was sent has been read, since a Ping was answered: what came
        until then and nobody waited for."""
        self._nonce += 1
        nonce = self._nonce
        await self.send(ping=Ping(nonce=nonce))
        await self.until("Pong with the nonce of the Ping", lambda one: one.pong.nonce == nonce)
        came, self._unread = self._unread, []
        return came

    async def until(self, required: str, match: Callable[[ConnectRequest], bool]) -> ConnectRequest:
        """The first message that matches; others are kept."""
        for at, request in enumerate(self._unread):
            if match(request):
                return self._unread.pop(at)
        while (request := await self._next(required)) is not None:
            if match(request):
                return request
            self._unread.append(request)
        last = kind_of(self._unread[-1]) if self._unread else "nothing"
        raise Unmet(f"the stream ended; before it {last} came", required=required)

    async def first(self, required: str) -> ConnectRequest | None:
        """The program's next message but Pong, None at the end of the stream."""
        while (request := await self._next(required)) is not None and request.HasField("pong"):
            pass
        return request

    async def quiet(self, seconds: float) -> list[ConnectRequest]:
        """All that comes within so many seconds, and what was not waited for before."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    request = await self.stream.requests.get()
            except TimeoutError:
                break
            if request is None:
                break
            self._unread.append(request)
        came, self._unread = self._unread, []
        return came

    async def closed(self) -> list[ConnectRequest]:
        """Returns when the program has closed its half; what came before."""
        required = "the program closes its half of the stream"
        while (request := await self._next(required)) is not None:
            self._unread.append(request)
        if self.stream.broken:
            raise Unmet("it broke the stream off", required=required)
        came, self._unread = self._unread, []
        return came

    async def _next(self, required: str) -> ConnectRequest | None:
        try:
            return await self.stream.receive_request()
        except TimeoutError:
            seconds = self._settings.patience
            raise Unmet(f"nothing came for {seconds:g} s", required=required) from None


def kind_of(request: ConnectRequest) -> str:
    """The name of a message, for people."""
    return request.WhichOneof("message") or "a message of an unknown kind"


def answers(request: ConnectRequest, work_id: str) -> bool:
    """Whether a message answers this work, also by saying that it failed."""
    kind = request.WhichOneof("message")
    return (
        kind in ("rank_result", "rank_batch_result", "converse_result", "work_failed")
        and getattr(request, kind).work_id == work_id
    )
