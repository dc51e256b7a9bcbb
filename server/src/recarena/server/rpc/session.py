"""One stream of one recommender: what goes out, what comes in, and who waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator

from google.protobuf.message import DecodeError
from google.rpc import code_pb2, status_pb2

from recarena.server.errors import Flooded, ProtocolViolation, SessionLost, TooSlow
from recarena.server.rpc import limits
from recarena.server.rpc.asked import Answer, Asked, AskedWork, Disposition, fail
from recarena.server.rpc.callers import Caller
from recarena.server.rpc.outbox import Outbox
from recarena.server.rpc.times import duration
from recarena.server.rpc.untrusted import in_a_line
from recarena.v1 import recommender_service_pb2, session_pb2, work_pb2

PROTOCOL_MINOR = 0
MAX_REASON_CHARS = 500
"""What is kept of a recommender's own words about a failure."""

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

Request = recommender_service_pb2.ConnectRequest
Response = recommender_service_pb2.ConnectResponse


class WorkRefused(Exception):
    """The recommender sent WorkFailed."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(in_a_line(status.message, MAX_REASON_CHARS))
        self.status = status


class Session:
    """One Connect stream from Register to its end. All waiters fail with SessionLost when it ends;
    `send` waits at most `send_timeout_s` for a peer that does not read."""

    def __init__(
        self,
        register: session_pb2.Register,
        peer: str,
        caller: Caller | None = None,
        send_timeout_s: float = 60.0,
    ) -> None:
        self.register, self.peer, self.caller = register, peer, caller
        self.session_id = uuid.uuid4().hex
        capabilities = set(register.capabilities) & KNOWN_CAPABILITIES
        self.capabilities = sorted(capabilities)
        self.columnar = session_pb2.CAPABILITY_COLUMNAR in capabilities
        self.can_search = session_pb2.CAPABILITY_SEARCH in capabilities
        self.can_converse = session_pb2.CAPABILITY_CONVERSE in capabilities
        self.can_explain = session_pb2.CAPABILITY_EXPLAIN in capabilities
        self._partial = session_pb2.CAPABILITY_PARTIAL_RESULTS in capabilities
        self.credits = limits.Credits(
            min(
                register.max_outstanding_work or limits.DEFAULT_OUTSTANDING, limits.MAX_OUTSTANDING
            ),
            register.max_outstanding_bytes,
        )
        self.ended = asyncio.Event()
        self.error: Exception | None = None
        """Why the stream ends, where it is not the peer that ended it."""
        self._outbox = Outbox()
        self._send_timeout_s = send_timeout_s
        self._seq = 0
        self._asked = Asked(self._expired)
        self._catalog: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.catalog_version = ""
        """The version in force, empty before a run wants the session; CatalogReady of another is
        ignored."""
        self._rounds: dict[int, asyncio.Future[None]] = {}
        self.last_heard = asyncio.get_running_loop().time()
        self._pings = 0
        """Pings without their Pong."""
        self.draining = asyncio.Event()
        """Set when the recommender said that it wants no more work."""
        self.wasted = limits.Budget(limits.MAX_UNSOLICITED, limits.UNSOLICITED_PER_S)
        """Messages of the peer that answered nothing."""
        self.rejected_in_a_row = 0
        self.unclaimed: Counter[str] = Counter()
        """Answers that nothing waited for, by what they were told to be."""

    def explain(self) -> None:
        """For an arm that wants explanations: who can explain works in the rich encoding, which
        alone has room for them."""
        if self.can_explain and self.columnar:
            self.columnar = False
            self.capabilities.remove(session_pb2.CAPABILITY_COLUMNAR)

    def max_users(self, wanted: int | None) -> int:
        """Users in one work: what the recommender asked for, else the run's wish, else the
        default, within the bounds of the encoding."""
        bound = limits.MAX_USERS_COLUMNAR if self.columnar else limits.MAX_USERS_RICH
        default = limits.DEFAULT_USERS_COLUMNAR if self.columnar else limits.DEFAULT_USERS_RICH
        return min(self.register.max_users_per_work or wanted or default, bound)

    # -- out

    async def send(self, message: Response) -> None:
        """Numbers one message and queues it for the peer. SessionLost where the stream has ended or
        the peer has not read for too long."""
        await self.send_serialized(message.SerializeToString())

    async def send_serialized(self, message: bytes) -> None:
        """As `send`, for a ConnectResponse without seq."""
        if self.ended.is_set():
            raise SessionLost(self.session_id)
        numbered = self._numbered(message)
        if not self._outbox.put_nowait(numbered):
            try:
                await self._outbox.put(numbered, self._send_timeout_s)
            except TimeoutError:
                self.end(SessionLost(f"{self.session_id}: the peer does not read"))
            if self.ended.is_set():
                raise SessionLost(self.session_id)

    def _offer(self, message: Response) -> bool:
        """Sends a message that may be left out where the peer does not read; whether it is sent."""
        payload = message.SerializeToString()
        if self.ended.is_set() or not self._outbox.has_room(len(payload) + 16):
            return False
        return self._outbox.put_nowait(self._numbered(payload))  # a number sent is never missing

    def _numbered(self, message: bytes) -> bytes:
        # Serialised messages that are put together are merged: a field may come from either.
        self._seq += 1
        return Response(seq=self._seq).SerializeToString() + message

    def outbound(self) -> AsyncIterator[bytes]:
        """Serialised messages in order until the session ends."""
        return aiter(self._outbox)

    # -- in

    async def read(self, requests: AsyncIterator[bytes]) -> None:
        """Handles what the peer sends until its half of the stream ends, then ends the session.

        Messages that answer nothing are a budget's: a peer that overdraws it is read more slowly,
        so that its flood stays in its own pipe, and one that goes on is cut off.
        """
        loop = asyncio.get_running_loop()
        try:
            async for payload in requests:
                self.last_heard = loop.time()
                if await self._handle(parsed(payload)):
                    continue
                delay = self.wasted.spend(1 + len(payload) / limits.UNSOLICITED_BYTES, loop.time())
                if self.wasted.total > (most := 10 * limits.MAX_UNSOLICITED):
                    raise Flooded(f"more than {most} messages that answer nothing")
                if delay:
                    await asyncio.sleep(delay)
        except ProtocolViolation as error:
            self.end(error)
        finally:
            self.end()

    async def _handle(self, request: Request) -> bool:
        """Whether the message was one that the session had use for."""
        kind = request.WhichOneof("message")
        if kind == "rank_result":
            return await self._answered(request.rank_result, not self._partial)
        if kind == "rank_batch_result":
            return await self._answered(request.rank_batch_result, True)
        if kind == "converse_result":
            return await self._answered(request.converse_result, True)
        if kind == "work_failed":
            return await self._refused(request.work_failed)
        if kind == "round_ready":
            future = self._rounds.get(request.round_ready.round)
            return _resolved(future) if future else False
        if kind == "catalog_ready":
            return self._catalog_ready(request.catalog_ready)
        if kind == "extend_deadline":
            extend = request.extend_deadline
            return self._asked.extend(extend.work_id, extend.timeout.ToMicroseconds() / 1e6)
        if kind == "pong":
            asked = self._pings > 0
            self._pings -= asked
            return asked
        if kind == "drain":
            first = not self.draining.is_set()
            self.draining.set()
            return first
        if kind == "register":
            raise ProtocolViolation("Register was sent twice")
        return False

    async def _answered(self, answer: Answer, whole: bool) -> bool:
        work = self._asked.open(answer.work_id)
        if not work:
            return await self._unclaimed(answer.work_id)
        work.parts.append(answer)
        rich = isinstance(answer, work_pb2.RankResult)
        work.lists += len(answer.lists) if rich else 1
        if rich and work.lists > work.queries:
            text = f"lists: {work.lists} lists for {work.queries} queries"
            fail(work.answered, ProtocolViolation(text))
        elif not whole and self._is_too_much(work, answer):
            text = f"lists: more than {limits.MAX_ANSWER_BYTES} bytes in all parts"
            fail(work.answered, ProtocolViolation(text))
        elif whole or (rich and answer.complete):
            work.answered.set_result(work.parts)
        return not rich or bool(answer.lists) or work.answered.done()

    @staticmethod
    def _is_too_much(work: AskedWork, part: Answer) -> bool:
        """Counts a part of an answer; whether there are too many bytes in all."""
        work.size += part.ByteSize()
        return work.size > limits.MAX_ANSWER_BYTES

    async def _refused(self, failed: session_pb2.WorkFailed) -> bool:
        work = self._asked.open(failed.work_id)
        if not work:
            return await self._unclaimed(failed.work_id)
        fail(work.answered, WorkRefused(failed.status))
        return True

    async def _unclaimed(self, work_id: str) -> bool:
        """Tells the peer why nothing waits for its answer; whether it could not know."""
        if not self.catalog_version:
            return False  # Registered is the first that a peer is told
        disposition = self._asked.disposition(work_id)
        name = session_pb2.WorkOutcome.Disposition.Name(disposition)
        self.unclaimed[name.removeprefix("DISPOSITION_")] += 1
        told = work_id.encode()[: limits.MAX_ID_BYTES]
        await self.tell_outcome(told.decode(errors="ignore"), disposition)
        return disposition == session_pb2.WorkOutcome.DISPOSITION_LATE

    def _catalog_ready(self, ready: session_pb2.CatalogReady) -> bool:
        version = self.catalog_version
        if not version or self._catalog.done() or ready.catalog_version != version:
            return False
        if ready.HasField("error"):
            text = f"the catalogue was refused: {in_a_line(ready.error.message, MAX_REASON_CHARS)}"
            fail(self._catalog, ProtocolViolation(text))
        else:
            self._catalog.set_result(None)
        return True

    # -- waiting

    async def catalog_loaded(self, timeout_s: float) -> None:
        """Waits for CatalogReady, or for the goodbye of one that loads no more. ProtocolViolation
        when the recommender refuses the catalogue."""
        await self._wait(self._catalog, timeout_s, "CatalogReady")

    async def change_catalog(self, changed: session_pb2.CatalogChanged, timeout_s: float) -> None:
        """Sends CatalogChanged, for a catalogue that was loaded before, and waits as above."""
        self._catalog = asyncio.get_running_loop().create_future()
        self.catalog_version = changed.catalog_version
        await self.send(Response(catalog_changed=changed))
        await self.catalog_loaded(timeout_s)

    async def play_round(self, started: session_pb2.RoundStarted, timeout_s: float) -> bool:
        """Sends RoundStarted and waits for RoundReady; False where goodbye comes in its place."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rounds = {started.round: future}
        await self.send(Response(round_started=started))
        await self._wait(future, timeout_s, "RoundReady")
        return future.done()

    async def ask(
        self, work_id: str, queries: int, timeout_s: float, longest_s: float, work: bytes
    ) -> list[Answer]:
        """Sends a work, a serialised ConnectResponse, and waits for all parts of its answer.

        TimeoutError after the deadline, when CancelWork was sent; parts that came by then count, if
        any. WorkRefused, ProtocolViolation, SessionLost. Whoever gives up waiting withdraws it.
        """
        asked = self._asked.put(work_id, queries)
        try:
            await self.send_serialized(work)
            self._asked.sent(work_id, timeout_s, longest_s)
            return await asked.answered
        except asyncio.CancelledError:
            if self._asked.settle(work_id, session_pb2.WorkOutcome.DISPOSITION_LATE):
                self._withdraw(work_id, code_pb2.CANCELLED, "the round was given up")
            raise
        finally:
            self._asked.settle(work_id, session_pb2.WorkOutcome.DISPOSITION_ACCEPTED)

    def _expired(self, work_id: str) -> None:
        self._withdraw(work_id, code_pb2.DEADLINE_EXCEEDED, "the time for it is over")

    def _withdraw(self, work_id: str, code: int, why: str) -> None:
        """Sends CancelWork, where the peer reads."""
        reason = status_pb2.Status(code=code, message=why)
        cancel = session_pb2.CancelWork(work_id=work_id, reason=reason)
        self._offer(Response(cancel_work=cancel))

    async def tell_outcome(
        self, work_id: str, disposition: Disposition, status: status_pb2.Status | None = None
    ) -> None:
        """Sends WorkOutcome; a session that has ended is not told."""
        outcome = session_pb2.WorkOutcome(work_id=work_id, disposition=disposition, status=status)
        with contextlib.suppress(SessionLost):
            await self.send(Response(work_outcome=outcome))

    async def _wait(self, future: asyncio.Future[None], timeout_s: float, what: str) -> None:
        """Returns when the peer has said what is waited for, or that it wants no more."""
        events = [asyncio.ensure_future(one.wait()) for one in (self.ended, self.draining)]
        try:
            await asyncio.wait(
                {future, *events}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for event in events:
                event.cancel()
        if future.done():
            return future.result()
        if not self.ended.is_set():
            if self.draining.is_set():
                return None
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
        """Ends the session, once: waiters fail, the writer stops after what is queued, or at once
        where the peer is lost: one that does not read would keep the server holding it."""
        if self.ended.is_set():
            return
        self.error = error
        self.ended.set()
        self._asked.fail_all(SessionLost(self.session_id))
        self._outbox.close(drop=isinstance(error, SessionLost))

    async def keep_alive(self, interval_s: float) -> None:
        """Pings until the session ends; ends it where nothing is heard for three intervals."""
        loop = asyncio.get_running_loop()
        self.last_heard = loop.time()  # nobody asked before
        nonce, ping_at = 0, self.last_heard + interval_s
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(ping_at, self.last_heard + 3 * interval_s)):
                    await self.ended.wait()
                return
            if loop.time() >= ping_at:
                nonce, ping_at = nonce + 1, ping_at + interval_s
                self._pings += self._offer(Response(ping=session_pb2.Ping(nonce=nonce)))
            if loop.time() >= self.last_heard + 3 * interval_s:
                self.end(SessionLost(f"{self.session_id}: nothing heard for {3 * interval_s:g} s"))


def parsed(payload: bytes) -> Request:
    """A message of the peer. ProtocolViolation where the bytes are none."""
    try:
        return Request.FromString(payload)
    except DecodeError:
        raise ProtocolViolation("the bytes are no ConnectRequest") from None


def _resolved(future: asyncio.Future[None]) -> bool:
    """Resolves a future; whether it was still open."""
    if future.done():
        return False
    future.set_result(None)
    return True
