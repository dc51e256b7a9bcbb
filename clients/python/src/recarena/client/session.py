"""One stream: from Register to the end.

Three tasks. The reader takes messages off the stream, answers pings and obeys CancelWork at once,
and hands the rest on in order. The conductor works through them: works are set going, everything
else waits for what is under way and runs alone. The writer sends.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import grpc
import grpc.aio
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status

from recarena.client.engagement import Engagement
from recarena.client.errors import (
    ClientError,
    ProtocolBroken,
    RecommenderFailed,
    described,
    one_line,
    refusal,
)
from recarena.client.link import Link
from recarena.client.offer import DEFAULT_OUTSTANDING, Offer, is_columnar
from recarena.client.recommender import RunInfo
from recarena.client.stream import Stream
from recarena.client.work import INTERNAL, METHODS, Works
from recarena.v1.recommender_service_pb2 import ConnectRequest, ConnectResponse
from recarena.v1.session_pb2 import (
    CatalogChanged,
    CatalogReady,
    Drain,
    Pong,
    Registered,
    RoundReady,
    WorkOutcome,
)

logger = logging.getLogger("recarena.client")

# Seconds for what is under way when one side leaves.
GRACE = 5.0
UNAVAILABLE: int = grpc.StatusCode.UNAVAILABLE.value[0]
# Kinds of messages that the conductor waits for; the reader sees to the others.
IN_ORDER = frozenset(
    {
        "registered",
        "catalog_changed",
        "round_started",
        "feedback_batch",
        "feedback_columns",
        "round_ended",
        "drain",
        *METHODS,
    }
)


class How(enum.Enum):
    """How a session ended."""

    RUN_OVER = enum.auto()  # the server needs this instance no more
    LEFT = enum.auto()  # leave() was called
    LOST = enum.auto()  # come back


@dataclass(frozen=True, slots=True)
class End:
    """The end of a session, and why in words."""

    how: How
    text: str = ""


class Session:
    """Serves one run over one stream, as far as the stream holds.

    `engagement` is the instance that serves; `renew` makes the next one when the run that the
    server gives is not the one that the instance was serving.
    """

    def __init__(
        self,
        link: Link,
        offer: Offer,
        instance_id: str,
        engagement: Engagement,
        renew: Callable[[], Engagement],
    ) -> None:
        self.engagement = engagement
        # Whether the server said anything at all.
        self.heard = False
        self._link, self._offer, self._instance_id, self._renew = link, offer, instance_id, renew
        # In the order of arrival; None: leave.
        self._inbox: asyncio.Queue[ConnectResponse | None] = asyncio.Queue()
        # None: no more.
        self._outbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        at_once = offer.max_outstanding_work or DEFAULT_OUTSTANDING
        self._works = Works(self._outbox.put_nowait, at_once)
        self._stream: Stream | None = None
        self._conductor: asyncio.Task[None] | None = None
        self._leaving = False
        self._run_over = False
        self._refused = False

    async def run(self) -> End:
        """Serve until the stream ends.

        Raises:
            Refused: the server ended it for good.
            RecommenderFailed: start, feedback, ready or catalog_changed raised.
            ProtocolBroken: the server did what it must not.
        """
        self._send(
            ConnectRequest(register=self._offer.register(self._instance_id, self.engagement))
        )
        stream = self._stream = self._link.connect()
        reader = asyncio.create_task(self._read(stream))
        writer = asyncio.create_task(self._write(stream))
        conductor = self._conductor = asyncio.create_task(self._conduct())
        try:
            await asyncio.wait({reader, conductor}, return_when=asyncio.FIRST_COMPLETED)
            if conductor.done():
                await self._goodbye(conductor, reader)
            elif self._run_over:  # the last feedback is still owed to the recommender
                self._works.cancel_all()
                await asyncio.wait({conductor})
        finally:
            self._works.cancel_all()
            stream.cancel()
            tasks = {reader, writer, conductor}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return self._end(conductor, reader)

    def leave(self) -> None:
        """Say Drain, finish what was asked for, end; after GRACE seconds just end."""
        if not self._leaving:
            self._leaving = True
            drain = Drain(reason=Status(message="the recommender leaves"))
            drain.grace.FromMilliseconds(int(GRACE * 1000))
            self._send(ConnectRequest(drain=drain))
            self._inbox.put_nowait(None)
            asyncio.get_running_loop().call_later(GRACE, self._cut)

    def _cut(self) -> None:
        if self._conductor is not None:
            self._conductor.cancel()
        if self._stream is not None:
            self._stream.cancel()

    # ------------------------------------------------------------------ the three tasks
    async def _read(self, stream: Stream) -> grpc.aio.AioRpcError | None:
        try:
            while (message := await stream.read()) is not None:
                self.heard = True
                kind = message.WhichOneof("message")
                if kind in IN_ORDER:
                    self._works.arrived(kind, message)
                    self._inbox.put_nowait(message)
                    if kind == "drain":
                        self._run_over = message.drain.reason.code != UNAVAILABLE
                elif kind == "ping":
                    self._send(ConnectRequest(pong=Pong(nonce=message.ping.nonce)))
                elif kind == "cancel_work":
                    self._works.cancel(message.cancel_work.work_id)
                elif kind == "work_outcome":
                    tell_outcome(message.work_outcome)
        except grpc.aio.AioRpcError as error:
            return error
        return None

    async def _write(self, stream: Stream) -> None:
        while (payload := await self._outbox.get()) is not None:
            if not await stream.write(payload):
                return  # the reader learns why
        await stream.done_writing()

    async def _conduct(self) -> None:
        message = await self._inbox.get()
        if message is None:
            return
        if not message.HasField("registered"):
            raise ProtocolBroken(f"{message.WhichOneof('message')} came before registered")
        await self._begin(message.registered)
        self._works.handled(message.seq)
        while (message := await self._inbox.get()) is not None:
            kind = message.WhichOneof("message")
            if kind in METHODS:
                await self._works.begin(kind, message, self.engagement)
                continue
            if kind == "feedback_batch":
                await self.engagement.feedback(message.feedback_batch)
            elif kind == "feedback_columns":
                await self.engagement.feedback(message.feedback_columns)
            elif kind == "round_started":
                await self.engagement.ready(message.round_started.round)
                ready = RoundReady(round=message.round_started.round)
                self._send(ConnectRequest(round_ready=ready))
            elif kind == "catalog_changed":
                await self._change_catalog(message.catalog_changed)
            elif kind == "drain":
                break
            self._works.handled(message.seq)
        await self.engagement.quiet()

    # ------------------------------------------------------------------ the conductor's parts
    async def _begin(self, registered: Registered) -> None:
        self._offer.check(registered, self.engagement.recommender)
        self._works.max_bytes = registered.limits.max_message_bytes or self._works.max_bytes
        if self.engagement.run is not None and not registered.resumed:
            logger.info("run %s could not be resumed, starting afresh", self.engagement.run.run_id)
            await self.engagement.close(GRACE)
            self.engagement = self._renew()
        engagement, version = self.engagement, registered.catalog_version
        engagement.session_id = registered.session_id
        run = engagement.run
        if run is None:
            run = await self._run_info(registered)
            logger.info(
                "serving run %s as %s: %d users, %d items, %s",
                run.run_id,
                self._offer.recommender_id,
                run.user_count,
                len(run.catalog),
                "columnar" if run.columnar else "rich",
            )
            await self._or_refuse(engagement.start(run), version)
        else:
            logger.info("back in run %s as %s", run.run_id, self._offer.recommender_id)
            await self._or_refuse(engagement.quiet(), version)
            if run.catalog.version != version:
                run = await self._run_info(registered)
                await self._or_refuse(engagement.catalog_changed(run), version)
        self._send(ConnectRequest(catalog_ready=CatalogReady(catalog_version=version)))

    async def _run_info(self, registered: Registered) -> RunInfo:
        version = registered.catalog_version
        return RunInfo(
            run_id=registered.run_id,
            epoch=registered.epoch,
            catalog=await self._link.catalog(version, registered.catalog_size),
            user_count=registered.user_count,
            page_size=registered.page_size,
            round_limit=registered.round_limit,
            arm_ids=tuple(registered.arm_ids),
            columnar=is_columnar(registered),
            work_timeout=registered.work_timeout.ToMicroseconds() / 1e6,
        )

    async def _or_refuse(self, step: Awaitable[None], version: str) -> None:
        try:
            await step
        except RecommenderFailed as failure:
            error = Status(code=INTERNAL, message=described(failure.error))
            refused = CatalogReady(catalog_version=version, error=error)
            self._send(ConnectRequest(catalog_ready=refused))
            self._refused = True
            raise

    async def _change_catalog(self, changed: CatalogChanged) -> None:
        run, version = self.engagement.run, changed.catalog_version
        if run is not None and run.catalog.version != version:
            same = run.catalog.items[: min(changed.changed_items, default=0)]
            catalog = await self._link.catalog(version, changed.catalog_size, same)
            change = self.engagement.catalog_changed(replace(run, catalog=catalog))
            await self._or_refuse(change, version)
        self._send(ConnectRequest(catalog_ready=CatalogReady(catalog_version=version)))

    # ------------------------------------------------------------------ the end
    async def _goodbye(
        self, conductor: asyncio.Task[None], reader: asyncio.Task[grpc.aio.AioRpcError | None]
    ) -> None:
        """The conductor is done: close our half and let the server close its own."""
        error = None if conductor.cancelled() else conductor.exception()
        if isinstance(error, ClientError) and not self._refused:
            reason = Status(code=INTERNAL, message=one_line(str(error)))
            self._send(ConnectRequest(drain=Drain(reason=reason)))
        self._outbox.put_nowait(None)
        await asyncio.wait({reader}, timeout=GRACE)

    def _end(
        self,
        conductor: asyncio.Task[None],
        reader: asyncio.Task[grpc.aio.AioRpcError | None],
    ) -> End:
        error = None if conductor.cancelled() else conductor.exception()
        if error is not None and not isinstance(error, grpc.aio.AioRpcError):
            raise error
        if self._leaving:
            return End(How.LEFT)
        if self._run_over:
            return End(How.RUN_OVER)
        if error is None and not reader.cancelled():
            error = reader.result()
        if error is None:
            return End(How.LOST, "the server closed the stream")
        final = refusal(error)
        if final is not None:
            raise final from None
        return End(How.LOST, f"{one_line(error.details() or '')} ({error.code().name})".strip())

    def _send(self, request: ConnectRequest) -> None:
        request.ack_seq = self._works.acknowledged
        self._outbox.put_nowait(request.SerializeToString())


def tell_outcome(outcome: WorkOutcome) -> None:
    """Log what became of an answer that was not simply accepted, and the first thing wrong."""
    known = {number: name for name, number in WorkOutcome.Disposition.items()}
    name = known.get(outcome.disposition, f"disposition {outcome.disposition}")
    logger.info(
        "work %s: %s %s",
        one_line(outcome.work_id),
        name.removeprefix("DISPOSITION_"),
        one_line("; ".join([outcome.status.message, *first_violation(outcome)])),
    )


def first_violation(outcome: WorkOutcome) -> list[str]:
    """Path and words of the first field that was wrong; nothing where the server names none."""
    named = BadRequest()
    for detail in outcome.status.details:
        if detail.Unpack(named) and named.field_violations:
            first = named.field_violations[0]
            return [f"{first.field}: {first.description}"]
    return []
