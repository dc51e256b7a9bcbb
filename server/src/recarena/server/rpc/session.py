"""One stream of one recommender: what goes out, what comes in, and who waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from google.rpc import code_pb2, status_pb2

from recarena.server.errors import ProtocolViolation, SessionLost, TooSlow
from recarena.server.rpc.times import duration
from recarena.v1 import (
    recommender_service_pb2,
    session_pb2,
    work_pb2,
)

PROTOCOL_MINOR = 0
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_USERS_RICH, MAX_USERS_COLUMNAR = 256, 16384
DEFAULT_USERS_RICH, DEFAULT_USERS_COLUMNAR = 64, 4096
DEFAULT_OUTSTANDING, MAX_OUTSTANDING = 4, 256
OUTBOUND_MESSAGES = 64
REMEMBERED_WORKS = 4096

KNOWN_CAPABILITIES = frozenset(
    {
        session_pb2.CAPABILITY_RANK,
        session_pb2.CAPABILITY_SEARCH,
        session_pb2.CAPABILITY_CONVERSE,
        session_pb2.CAPABILITY_EXPLAIN,
        session_pb2.CAPABILITY_PARTIAL_RESULTS,
        session_pb2.CAPABILITY_COLUMNAR,
    }
)

Answer = work_pb2.RankResult | work_pb2.RankBatchResult | work_pb2.ConverseResult
Request = recommender_service_pb2.ConnectRequest
Response = recommender_service_pb2.ConnectResponse
Disposition: TypeAlias = session_pb2.WorkOutcome.Disposition.ValueType
T = TypeVar("T")


class WorkRefused(Exception):
    """The recommender sent WorkFailed."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message[:500])
        self.status = status


@dataclass(slots=True)
class _Pending:
    """A work under way."""

    answered: asyncio.Future[list[Answer]]
    parts: list[Answer] = field(default_factory=list[Answer])
    deadline: asyncio.Timeout | None = None
    latest: float = 0.0
    """Loop time that ExtendDeadline cannot pass."""
    extended: bool = False


class Session:
    """One Connect stream from Register to its end. All waiters fail with SessionLost when it ends;
    `send` waits at most `send_timeout_s` for a peer that does not read."""

    def __init__(
        self, register: session_pb2.Register, peer: str, send_timeout_s: float = 60.0
    ) -> None:
        self.register, self.peer = register, peer
        self.session_id = uuid.uuid4().hex
        capabilities = set(register.capabilities) & KNOWN_CAPABILITIES
        self.capabilities = sorted(capabilities)
        self.columnar = session_pb2.CAPABILITY_COLUMNAR in capabilities
        self.can_search = session_pb2.CAPABILITY_SEARCH in capabilities
        self.can_converse = session_pb2.CAPABILITY_CONVERSE in capabilities
        self.can_explain = session_pb2.CAPABILITY_EXPLAIN in capabilities
        self._partial = session_pb2.CAPABILITY_PARTIAL_RESULTS in capabilities
        self.credits = asyncio.Semaphore(
            min(register.max_outstanding_work or DEFAULT_OUTSTANDING, MAX_OUTSTANDING)
        )
        self.ended = asyncio.Event()
        self.error: Exception | None = None
        """Why the stream ends, where it is not the peer that ended it."""
        self._outbound: asyncio.Queue[Response | None] = asyncio.Queue(OUTBOUND_MESSAGES)
        self._send_timeout_s = send_timeout_s
        self._seq = 0
        self._pending: dict[str, _Pending] = {}
        self._done: OrderedDict[str, Disposition] = OrderedDict()
        self._catalog: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.catalog_version = ""
        """The version in force; CatalogReady of another is ignored."""
        self._rounds: dict[int, asyncio.Future[None]] = {}
        self.last_heard = asyncio.get_running_loop().time()
        self.draining = asyncio.Event()
        """Set when the recommender said that it wants no more work."""

    def max_users(self, wanted: int | None) -> int:
        """Users in one work: what the recommender asked for, else the run's wish, else the
        default, within the bounds of the encoding."""
        bound = MAX_USERS_COLUMNAR if self.columnar else MAX_USERS_RICH
        default = DEFAULT_USERS_COLUMNAR if self.columnar else DEFAULT_USERS_RICH
        return min(self.register.max_users_per_work or wanted or default, bound)

    # -- out

    async def send(self, message: Response) -> None:
        """Numbers one message and queues it for the peer. SessionLost where the stream has ended or
        the peer has not read for too long."""
        if self.ended.is_set():
            raise SessionLost(self.session_id)
        self._seq += 1
        message.seq = self._seq
        try:
            self._outbound.put_nowait(message)
        except asyncio.QueueFull:
            try:
                await asyncio.wait_for(self._outbound.put(message), self._send_timeout_s)
            except TimeoutError:
                self.end(SessionLost(f"{self.session_id}: the peer does not read"))
                raise SessionLost(self.session_id) from None

    async def outbound(self) -> AsyncIterator[Response]:
        """Messages in order until the session ends."""
        while True:
            if self.ended.is_set() and self._outbound.empty():
                return
            message = await self._outbound.get()
            if message is None:
                return
            yield message

    # -- in

    async def read(self, requests: AsyncIterator[Request]) -> None:
        """Handles what the peer sends until its half of the stream ends, then ends the session."""
        loop = asyncio.get_running_loop()
        try:
            async for request in requests:
                self.last_heard = loop.time()
                await self._handle(request)
        finally:
            self.end()

    async def _handle(self, request: Request) -> None:
        kind = request.WhichOneof("message")
        if kind == "rank_result":
            await self._answered(request.rank_result, not self._partial)
        elif kind == "rank_batch_result":
            await self._answered(request.rank_batch_result, True)
        elif kind == "converse_result":
            await self._answered(request.converse_result, True)
        elif kind == "work_failed":
            pending = await self._claim(request.work_failed.work_id)
            if pending:
                pending.answered.set_exception(WorkRefused(request.work_failed.status))
        elif kind == "round_ready":
            future = self._rounds.get(request.round_ready.round)
            if future and not future.done():
                future.set_result(None)
        elif kind == "catalog_ready":
            self._catalog_ready(request.catalog_ready)
        elif kind == "extend_deadline":
            self._extend(request.extend_deadline)
        elif kind == "drain":
            self.draining.set()
        elif kind == "register":
            self.end(ProtocolViolation("Register was sent twice"))

    async def _answered(self, answer: Answer, whole: bool) -> None:
        pending = await self._claim(answer.work_id)
        if not pending:
            return
        pending.parts.append(answer)
        if whole or (isinstance(answer, work_pb2.RankResult) and answer.complete):
            pending.answered.set_result(pending.parts)

    async def _claim(self, work_id: str) -> _Pending | None:
        """The work an answer is for; where there is none waiting, the peer is told why."""
        pending = self._pending.get(work_id)
        if pending and not pending.answered.done():
            return pending
        outcome = session_pb2.WorkOutcome
        if pending:
            disposition = outcome.DISPOSITION_DUPLICATE
        else:
            before = self._done.get(work_id, outcome.DISPOSITION_UNKNOWN_WORK)
            known = (outcome.DISPOSITION_LATE, outcome.DISPOSITION_UNKNOWN_WORK)
            disposition = before if before in known else outcome.DISPOSITION_DUPLICATE
        await self.tell_outcome(work_id[:128], disposition)
        return None

    def _catalog_ready(self, ready: session_pb2.CatalogReady) -> None:
        if self._catalog.done() or ready.catalog_version != self.catalog_version:
            return
        if ready.HasField("error"):
            self._catalog.set_exception(
                ProtocolViolation(f"the catalogue was refused: {ready.error.message[:500]}")
            )
        else:
            self._catalog.set_result(None)

    def _extend(self, extend: session_pb2.ExtendDeadline) -> None:
        pending = self._pending.get(extend.work_id)
        if pending and pending.deadline and not pending.extended:
            pending.extended = True
            now = asyncio.get_running_loop().time()
            wanted = now + extend.timeout.ToMicroseconds() / 1e6
            before = pending.deadline.when() or now
            pending.deadline.reschedule(max(before, min(wanted, pending.latest)))

    # -- waiting

    async def catalog_loaded(self, timeout_s: float) -> None:
        """Waits for CatalogReady. ProtocolViolation when the recommender refuses it."""
        await self._wait(self._catalog, timeout_s, "CatalogReady")

    async def play_round(self, started: session_pb2.RoundStarted, timeout_s: float) -> None:
        """Sends RoundStarted and waits for RoundReady."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rounds = {started.round: future}
        await self.send(Response(round_started=started))
        await self._wait(future, timeout_s, "RoundReady")

    async def ask(
        self, work_id: str, timeout_s: float, longest_s: float, work: Response
    ) -> list[Answer]:
        """Sends a work and waits for all parts of its answer.

        TimeoutError after the deadline (CancelWork was sent; parts that came count, if any),
        WorkRefused, SessionLost.
        """
        loop = asyncio.get_running_loop()
        pending = _Pending(loop.create_future(), latest=loop.time() + longest_s)
        self._pending[work_id] = pending
        disposition: Disposition = session_pb2.WorkOutcome.DISPOSITION_ACCEPTED
        try:
            await self.send(work)
            async with asyncio.timeout(timeout_s) as pending.deadline:
                return await pending.answered
        except TimeoutError:
            if pending.parts:
                return pending.parts
            disposition = session_pb2.WorkOutcome.DISPOSITION_LATE
            with contextlib.suppress(SessionLost):
                late = status_pb2.Status(
                    code=code_pb2.DEADLINE_EXCEEDED, message=f"no answer within {timeout_s:g} s"
                )
                cancel = session_pb2.CancelWork(work_id=work_id, reason=late)
                await self.send(Response(cancel_work=cancel))
            raise
        finally:
            self._pending.pop(work_id, None)
            self._done[work_id] = disposition
            while len(self._done) > REMEMBERED_WORKS:
                self._done.popitem(last=False)

    async def tell_outcome(
        self, work_id: str, disposition: Disposition, status: status_pb2.Status | None = None
    ) -> None:
        """Sends WorkOutcome; a session that has ended is not told."""
        outcome = session_pb2.WorkOutcome(work_id=work_id, disposition=disposition, status=status)
        with contextlib.suppress(SessionLost):
            await self.send(Response(work_outcome=outcome))

    async def _wait(self, future: asyncio.Future[T], timeout_s: float, what: str) -> T:
        ended = asyncio.ensure_future(self.ended.wait())
        try:
            await asyncio.wait(
                {future, ended}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ended.cancel()
        if future.done():
            return future.result()
        if not self.ended.is_set():
            self.end(TooSlow(f"no {what} within {timeout_s:g} s"))
        raise SessionLost(self.session_id)

    # -- end

    async def drain(self, grace_s: float, reason: status_pb2.Status | None = None) -> None:
        """Says goodbye and closes when the peer has closed its half, or after `grace_s`."""
        goodbye = session_pb2.Drain(grace=duration(grace_s), reason=reason)
        with contextlib.suppress(SessionLost, TimeoutError):
            await self.send(Response(drain=goodbye))
            await asyncio.wait_for(self.ended.wait(), grace_s)
        self.end()

    def end(self, error: Exception | None = None) -> None:
        """Ends the session, once: waiters fail, the writer stops after what is queued."""
        if self.ended.is_set():
            return
        self.error = error
        self.ended.set()
        for pending in self._pending.values():
            if not pending.answered.done():
                pending.answered.set_exception(SessionLost(self.session_id))
        if not self._outbound.full():
            self._outbound.put_nowait(None)

    async def keep_alive(self, interval_s: float) -> None:
        """Pings until the session ends; ends it where nothing was heard for three intervals."""
        loop = asyncio.get_running_loop()
        nonce = 0
        while not self.ended.is_set():
            await asyncio.sleep(interval_s)
            if loop.time() - self.last_heard > 3 * interval_s + 1:
                self.end(SessionLost(f"{self.session_id}: nothing heard for {3 * interval_s:g} s"))
                return
            nonce += 1
            try:
                await self.send(Response(ping=session_pb2.Ping(nonce=nonce)))
            except SessionLost:
                return
