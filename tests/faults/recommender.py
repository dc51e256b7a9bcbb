"""A recommender that does as the contract says, written on grpcio and recarena.v1 alone.

Its lists follow from the user, the page and the words searched for, and from nothing else: the same
run gives the same event log whichever process answers. `misdeeds.py` makes it misbehave.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sys
import uuid
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from wire import Ending, Over, Stream

from recarena.v1.recommender_service_pb2 import ConnectRequest, ConnectResponse
from recarena.v1.session_pb2 import (
    CAPABILITY_COLUMNAR,
    CAPABILITY_RANK,
    CAPABILITY_SEARCH,
    Capability,
    CatalogReady,
    Drain,
    Pong,
    Register,
    Registered,
    RoundReady,
    WorkOutcome,
)
from recarena.v1.types_pb2 import RankedItem
from recarena.v1.work_pb2 import RankBatchResult, RankedList, RankResult

WORKS = ("rank_work", "rank_batch", "search_work", "search_batch")
Tell = Callable[..., None]


def say(**line: Any) -> None:
    """A line of JSON on stdout, at once: whoever reads it may wait for it."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


@dataclass(slots=True)
class Learned:
    """What a recommender knows of its run: kept over sessions, lost with the process."""

    run_id: str = ""
    cursor: str = ""
    """Of the last batch applied."""
    item_ids: list[str] = field(default_factory=list)
    cursors: set[str] = field(default_factory=set)


class Recommender:
    """Serves sessions one after another; `serve` is one of them."""

    def __init__(
        self,
        name: str,
        *,
        instance: str = "",
        columnar: bool = False,
        resume: bool = True,
        tell: Tell = say,
    ) -> None:
        self.name, self.instance = name, instance or str(uuid.uuid4())
        self.columnar, self.resume, self.tell = columnar, resume, tell
        self.learned = Learned()
        self.answered = 0
        """Works answered in this process."""
        self.stream: Stream
        self.registered = Registered()
        self._session_id = ""
        self._under_way: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------------ a session
    async def serve(self, stream: Stream) -> Ending:
        """One session, from Register to the end of the stream."""
        self.stream = stream
        try:
            with contextlib.suppress(Over):
                await self.introduce()
            while (message := await self.read()) is not None:
                with contextlib.suppress(Over):  # to the end: the status comes after all messages
                    await self.take(message)
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
        return await stream.ending()

    async def introduce(self) -> None:
        """Sends Register; names the run that it comes back to, if there is one."""
        await self.stream.send(register=self.register())

    def register(self) -> Register:
        """Who this is and where it stands."""
        message = Register(
            recommender_id=self.name,
            instance_id=self.instance,
            software_name="recarena-faults",
            capabilities=self.capabilities(),
        )
        if self.resume and self.learned.run_id:
            message.resume_session_id = self._session_id
            message.resume_run_id = self.learned.run_id
            message.feedback_cursor = self.learned.cursor
        return message

    def capabilities(self) -> list[Capability.ValueType]:
        """What it can do."""
        known = [CAPABILITY_RANK, CAPABILITY_SEARCH]
        return [*known, CAPABILITY_COLUMNAR] if self.columnar else known

    async def read(self) -> ConnectResponse | None:
        """The server's next message, None at the end of the stream."""
        return await self.stream.read()

    async def take(self, message: ConnectResponse) -> None:
        """Does what a message asks for. Unknown ones are ignored, as the contract wants it."""
        kind = message.WhichOneof("message") or ""
        given = getattr(message, kind) if kind else None
        if kind in WORKS:
            task = asyncio.ensure_future(self._guarded(kind, given))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        elif kind == "ping":
            await self.stream.send(pong=Pong(nonce=given.nonce))
        elif kind == "registered":
            await self.begin(given)
        elif kind in ("feedback_batch", "feedback_columns"):
            self.learn(given)
        elif kind == "round_started":
            await self.stream.send(round_ready=RoundReady(round=given.round))
        elif kind == "round_ended":
            self.tell(
                event="round", round=given.round, accepted=given.accepted, fallback=given.fallback
            )
        elif kind == "work_outcome":
            disposition = WorkOutcome.Disposition.Name(given.disposition)
            self.tell(
                event="outcome",
                work=given.work_id,
                disposition=disposition.removeprefix("DISPOSITION_"),
                text=given.status.message,
            )
        elif kind == "cancel_work":
            self.tell(event="cancelled", work=given.work_id)
        elif kind == "drain":
            await self.leave(given)

    async def begin(self, registered: Registered) -> None:
        """Loads the catalogue and says so; starts from nothing where the server says so."""
        self.registered, self._session_id = registered, registered.session_id
        if not registered.resumed:
            self.learned = Learned(registered.run_id)
        version = registered.catalog_version
        self.learned.item_ids = await self.stream.catalog(version)
        self.tell(
            event="registered",
            run=registered.run_id,
            resumed=registered.resumed,
            session=registered.session_id,
        )
        await self.stream.send(catalog_ready=CatalogReady(catalog_version=version))

    def learn(self, batch: Any) -> None:
        """Takes in feedback once: a cursor that was seen before is a repeat."""
        new = batch.cursor not in self.learned.cursors
        self.tell(event="feedback", round=batch.round, cursor=batch.cursor, new=new, **sums(batch))
        self.learned.cursors.add(batch.cursor)
        self.learned.cursor = batch.cursor

    async def leave(self, drain: Drain) -> None:
        """Finishes what is under way, then closes its half. Where the run is over, nothing of it is
        kept."""
        if self._under_way:
            grace_s = drain.grace.ToTimedelta().total_seconds()
            await asyncio.wait(self._under_way, timeout=grace_s)
        self.tell(event="drained", over=drain.reason.code == 0)
        if drain.reason.code == 0:
            self.learned = Learned()
        await self.stream.close_half()

    async def _guarded(self, kind: str, work: Any) -> None:
        try:
            await self.respond(kind, work)
        except Over:
            self.tell(event="unsent", work=work.header.work_id)

    # ------------------------------------------------------------------ answers
    async def respond(self, kind: str, work: Any) -> None:
        """Answers one work."""
        await self.stream.send(self.answer(kind, work))
        self.handled(kind, work)

    def handled(self, kind: str, work: Any, fault: str = "") -> None:
        """Says what was done about a work."""
        self.answered += 1
        header = work.header
        self.tell(event="work", work=header.work_id, attempt=header.attempt, kind=kind, fault=fault)

    def answer(self, kind: str, work: Any) -> ConnectRequest:
        """The right answer to a work."""
        work_id = work.header.work_id
        if kind in ("rank_work", "search_work"):
            lists = [self.ranked(query) for query in work.queries]
            return ConnectRequest(
                rank_result=RankResult(work_id=work_id, lists=lists, complete=True)
            )
        lists = self.columns(kind, work)
        result = RankBatchResult(
            work_id=work_id,
            item_numbers=[number for one in lists for number in one],
            list_lengths=[len(one) for one in lists],
        )
        return ConnectRequest(rank_batch_result=result)

    def ranked(self, query: Any) -> RankedList:
        """The list for one query."""
        excluded = set(query.candidates.excluded_item_ids)
        words = getattr(query, "text", "")
        user = query.user.user_number
        ids = self.learned.item_ids
        if excluded:
            order = [ids[number] for number in self.ranks(user, words, 0, len(ids))]
            fresh = [one for one in order if one not in excluded]
            chosen = fresh[query.offset : query.offset + query.result_count]
        else:
            numbers = self.ranks(user, words, query.offset, query.result_count)
            chosen = [ids[number] for number in numbers]
        items = [RankedItem(item_id=one) for one in chosen]
        return RankedList(query_index=query.query_index, items=items)

    def columns(self, kind: str, work: Any) -> list[Sequence[int]]:
        """The lists of a columnar work, as item numbers."""
        offsets: Iterable[int] = work.offsets or [0] * len(work.user_numbers)
        words = [""] * len(work.user_numbers)
        if kind == "search_batch":
            words = [work.texts[number] for number in work.text_numbers]
        return [
            self.ranks(user, text, offset, work.result_count)
            for user, text, offset in zip(work.user_numbers, words, offsets, strict=True)
        ]

    def ranks(self, user: int, words: str, offset: int, count: int) -> list[int]:
        """Item numbers at some ranks of a user's list, which ends with the catalogue."""
        size = len(self.learned.item_ids)
        first = user * 31 + zlib.crc32(words.encode())
        return [(first + rank) % size for rank in range(offset, min(offset + count, size))]


def sums(batch: Any) -> dict[str, Any]:
    """How many impressions and interactions a rich batch has, and a sum over their ids that does
    not depend on order: whoever reads the run's log can tell whether any was lost or doubled."""
    if not hasattr(batch, "impressions"):
        return {"rows": len(batch.user_numbers)}
    impressions = [one.impression_id for one in batch.impressions]
    interactions = [one.interaction_id for one in batch.interactions]
    return {
        "impressions": len(impressions),
        "interactions": len(interactions),
        "sum": id_sum([*impressions, *interactions]),
    }


def id_sum(ids: Iterable[str]) -> str:
    """A sum over the hashes of ids, in hex."""
    total = 0
    for one in ids:
        total += int.from_bytes(hashlib.blake2b(one.encode(), digest_size=8).digest(), "big")
    return f"{total % 2**64:016x}"
