"""Recommenders without weight, on grpcio and recarena.v1 alone: many sessions in one process.

`python bench/light.py SERVER NAME [NAME ...]` serves one run under each name, and ends when all of
them are over. Lists follow from the user, the page and the words searched for alone. With --memory
each writes down the ids of all feedback that it applies, and goes on from there when it is started
again: it can be killed at any moment.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from recarena.v1.recommender_service_pb2 import (
    ConnectRequest,
    ConnectResponse,
    StreamCatalogRequest,
)
from recarena.v1.recommender_service_pb2_grpc import RecommenderServiceStub
from recarena.v1.session_pb2 import (
    CAPABILITY_RANK,
    CAPABILITY_SEARCH,
    CatalogReady,
    Pong,
    Register,
    RoundReady,
)
from recarena.v1.types_pb2 import RankedItem
from recarena.v1.work_pb2 import RankedList, RankResult

OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
"""A connection for each session, as if each were a program of its own."""
PAUSE_S = 0.05
"""Before it dials in again."""
GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED)
"""Endings after which it comes back."""


@dataclass(slots=True)
class Memory:
    """What was learned of a run. In a file, if there is one: a line for each batch, which is there
    as a whole or not at all."""

    path: Path | None = None
    run_id: str = ""
    cursor: str = ""

    def recall(self) -> None:
        """What an earlier process knew; a line that it was killed in is no line."""
        if not self.path or not self.path.exists():
            return
        whole = self.path.read_bytes()
        kept = whole[: whole.rfind(b"\n") + 1]
        os.truncate(self.path, len(kept))
        if kept:
            last = json.loads(kept[kept[:-1].rfind(b"\n") + 1 :])
            self.run_id, self.cursor = last["run"], last["cursor"]

    def begin(self, run_id: str) -> None:
        """Starts from nothing."""
        self.run_id, self.cursor = run_id, ""
        self._write(ids=None)

    def apply(self, batch: Any) -> None:
        """Takes in one batch of feedback."""
        self.cursor = batch.cursor
        if self.path:
            impressions = [one.impression_id for one in batch.impressions]
            self._write(ids=[*impressions, *(one.interaction_id for one in batch.interactions)])

    def _write(self, ids: list[str] | None) -> None:
        if self.path:
            line = json.dumps({"run": self.run_id, "cursor": self.cursor, "ids": ids})
            with self.path.open("ab", buffering=0) as file:
                file.write(line.encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long an answer takes."""

    delay_s: float = 0.0
    late: float = 0.0
    """Share of the works that are answered after `late_s` instead."""
    late_s: float = 0.0
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def next(self) -> float:
        """Seconds for the next work."""
        return self.late_s if self.late and self.dice.random() < self.late else self.delay_s


class LightSession:
    """One recommender: session after session until its run is over."""

    def __init__(self, server: str, name: str, instance: str, pace: Pace, memory: Memory) -> None:
        self._server, self._name, self._instance = server, name, instance
        self._pace, self._memory = pace, memory
        self._item_ids: list[str] = []
        self.works = 0
        """Answered."""
        self.sessions = 0

    async def serve(self) -> None:
        """Until Drain with OK. RuntimeError where the server will not have it."""
        self._memory.recall()
        while True:
            async with grpc.aio.insecure_channel(self._server, OPTIONS) as channel:
                stub = RecommenderServiceStub(channel)
                call: Any = stub.Connect()
                async with Answers(call, self._pace) as answers:
                    with contextlib.suppress(grpc.aio.AioRpcError):
                        if await self._session(stub, call, answers):
                            return
                    code = await call.code()
            if code not in GONE:
                raise RuntimeError(f"{self._name}: {code.name}: {await call.details()}")
            await asyncio.sleep(PAUSE_S)

    async def _session(self, stub: Any, call: Any, answers: Answers) -> bool:
        """Whether the run is over."""
        await answers.send(register=self._register())
        over = False
        while isinstance(message := await call.read(), ConnectResponse):
            kind = message.WhichOneof("message") or ""
            given = getattr(message, kind)
            if kind in ("rank_work", "search_work"):
                self.works += 1
                answers.later(self.result(given))
            elif kind == "ping":
                await answers.send(pong=Pong(nonce=given.nonce))
            elif kind == "feedback_batch":
                self._memory.apply(given)
            elif kind == "round_started":
                await answers.send(round_ready=RoundReady(round=given.round))
            elif kind == "registered":
                self.sessions += 1
                await self._begin(stub, given)
                ready = CatalogReady(catalog_version=given.catalog_version)
                await answers.send(catalog_ready=ready)
            elif kind == "drain":
                over = given.reason.code == 0
                await answers.all_sent()
                await call.done_writing()
        return over and await call.code() is grpc.StatusCode.OK

    def _register(self) -> Register:
        return Register(
            recommender_id=self._name,
            instance_id=self._instance,
            software_name="recarena-bench",
            capabilities=(CAPABILITY_RANK, CAPABILITY_SEARCH),
            resume_run_id=self._memory.run_id,
            feedback_cursor=self._memory.cursor,
        )

    async def _begin(self, stub: Any, registered: Any) -> None:
        if not registered.resumed:
            self._memory.begin(registered.run_id)
        if not self._item_ids:
            request = StreamCatalogRequest(catalog_version=registered.catalog_version)
            parts = stub.StreamCatalog(request)
            self._item_ids = [item.item_id async for part in parts for item in part.items]

    def result(self, work: Any) -> ConnectRequest:
        """The lists for a work."""
        ids, size = self._item_ids, len(self._item_ids)
        lists: list[RankedList] = []
        for query in work.queries:
            words = getattr(query, "text", "")
            first = query.user.user_number * 31 + zlib.crc32(words.encode()) + query.offset
            items = [
                RankedItem(item_id=ids[(first + rank) % size])
                for rank in range(min(query.result_count, max(0, size - query.offset)))
            ]
            lists.append(RankedList(query_index=query.query_index, items=items))
        result = RankResult(work_id=work.header.work_id, lists=lists, complete=True)
        return ConnectRequest(rank_result=result)


class Answers:
    """The outgoing half of a stream: one message after another, answers in their time."""

    def __init__(self, call: Any, pace: Pace) -> None:
        self._call, self._pace = call, pace
        self._turn = asyncio.Lock()
        self._under_way: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Answers:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        self._call.cancel()

    async def send(self, request: ConnectRequest | None = None, **message: Any) -> None:
        """One message, given or named by its field."""
        async with self._turn:
            await self._call.write(request or ConnectRequest(**message))

    def later(self, request: ConnectRequest) -> None:
        """Sends an answer when its time has come."""
        task = asyncio.ensure_future(self._in_time(request, self._pace.next()))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def all_sent(self) -> None:
        """Returns when every answer is out."""
        await asyncio.gather(*self._under_way)

    async def _in_time(self, request: ConnectRequest, delay_s: float) -> None:
        if delay_s:
            await asyncio.sleep(delay_s)
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await self.send(request)


async def live(given: argparse.Namespace) -> None:
    """Serves under all names at once; says what it came to."""
    pace = Pace(given.delay, given.late, given.late_for, random.Random(given.seed))
    sessions = [
        LightSession(
            given.server, name, f"{name}-{number}", pace,
            Memory(given.memory / f"{name}-{number}.jsonl" if given.memory else None),
        )
        for name in given.names
        for number in range(given.instances)
    ]  # fmt: skip
    await asyncio.gather(*(session.serve() for session in sessions))
    works = sum(session.works for session in sessions)
    opened = sum(session.sessions for session in sessions)
    print(json.dumps({"recommenders": len(sessions), "works": works, "sessions": opened}))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="light.py", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("server", metavar="HOST:PORT")
    add("names", metavar="NAME", nargs="+", help="names by which arms ask for it")
    add("--instances", type=int, default=1, help="replicas under each name (1)")
    add("--delay", type=float, default=0.0, metavar="S", help="time that each answer takes (0)")
    add("--late", type=float, default=0.0, metavar="P", help="share of answers that take longer")
    add("--late-for", type=float, default=0.0, metavar="S", help="how long these take")
    add("--seed", type=int, default=1, help="of that share")
    add("--memory", type=Path, metavar="FOLDER", help="where feedback is written down")
    asyncio.run(live(parser.parse_args(arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
