"""Recommenders that send mutated messages, in every state of a session, as fast as they are read.

The messages are mutants of what a well-behaved recommender sends, of its right answers to the works
under way among them. Those that are no message end their stream: they come last on theirs.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.rpc.status_pb2 import Status

from recarena.v1.recommender_service_pb2 import ConnectRequest, ConnectResponse
from recarena.v1.session_pb2 import (
    CAPABILITY_CONVERSE,
    CAPABILITY_EXPLAIN,
    CAPABILITY_PARTIAL_RESULTS,
    CatalogReady,
    Drain,
    ExtendDeadline,
    Pong,
    Register,
    RoundReady,
    WorkFailed,
)
from recarena.v1.types_pb2 import RankedItem
from recarena.v1.work_pb2 import ConverseResult, RankBatchResult, RankedList, RankResult
from support.mutations import MUTATIONS, kind_of
from support.raw_client import COLUMNAR, RICH, WORKS

CONNECT = "/recarena.v1.RecommenderService/Connect"
PATIENCE = 20.0
"""Seconds after which a server that does not end a stream, or does not read, hangs."""
SOON = 0.02
"""Seconds that a state is waited for; where it does not come, the fuzz goes on in another."""


class State(StrEnum):
    """How far a stream has come when the mutants begin."""

    DOOR = "before Register"
    LOBBY = "in the lobby"
    JOINED = "registered"
    LOADED = "catalogue loaded"
    IN_ROUND = "in a round"


WANTED = (State.DOOR, State.LOBBY, State.JOINED, State.LOADED, *[State.IN_ROUND] * 4)
"""What streams try to reach."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How fuzzers go about it."""

    mutants: tuple[int, int]
    """On one stream: as many as the first, fewer than the second."""
    fatal: float
    """Share of the mutants that would end their stream (no messages, second Registers) that are
    sent; the others are made anew."""


@dataclass
class Tally:
    """What was tried, and how streams ended."""

    wanted: int
    manner: Manner
    handled: int = 0
    """Messages that the server has read; whoever makes the tally counts them there."""
    well_meant: int = 0
    """Messages sent to reach a state."""
    sent: Counter[str] = field(default_factory=Counter)
    """Mutants by kind; of a stream that breaks not all are read."""
    states: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    streams: int = 0
    no_messages: int = 0

    @property
    def tried(self) -> int:
        """Mutants that the server has read, at least."""
        return self.handled - self.well_meant

    @property
    def is_done(self) -> bool:
        return self.tried >= self.wanted


def corpus(item_ids: Sequence[str], version: str, name: str) -> list[bytes]:
    """One of each kind of message that a recommender sends, and some variants."""
    work_id = "1-1-1-1"
    items = [RankedItem(item_id=one, score=1.0 / n) for n, one in enumerate(item_ids[:5], 1)]
    items[0].explanation.text = "since you liked it"
    lists = [RankedList(query_index=n, items=items, attribution_token=f"t{n}") for n in range(4)]
    failed = Status(code=13, message="no")
    requests = [
        ConnectRequest(register=Register(
            recommender_id=name, instance_id="other", software_name="fuzz", protocol_minor=1,
            capabilities=[*COLUMNAR, CAPABILITY_PARTIAL_RESULTS], max_outstanding_work=8,
            max_outstanding_bytes=10**6, max_users_per_work=4, resume_run_id="run-1",
            feedback_cursor="1.1.2", catalog_version=version,
        )),
        ConnectRequest(ack_seq=3, catalog_ready=CatalogReady(catalog_version=version)),
        ConnectRequest(catalog_ready=CatalogReady(catalog_version=version, error=failed)),
        ConnectRequest(ack_seq=5, round_ready=RoundReady(round=1)),
        ConnectRequest(rank_result=RankResult(
            work_id=work_id, lists=lists, complete=True, model_version="m")),
        ConnectRequest(rank_batch_result=RankBatchResult(
            work_id=work_id, item_numbers=range(20), list_lengths=[5] * 4, model_version="m")),
        ConnectRequest(converse_result=ConverseResult(
            work_id=work_id, reply_text="Look:", items=items, attribution_token="t")),
        ConnectRequest(work_failed=WorkFailed(work_id=work_id, status=failed)),
        ConnectRequest(extend_deadline=ExtendDeadline(
            work_id=work_id, timeout=Duration(seconds=1))),
        ConnectRequest(pong=Pong(nonce=1)),
        ConnectRequest(drain=Drain(grace=Duration(seconds=1), reason=Status())),
    ]  # fmt: skip
    return [one.SerializeToString() for one in requests]


class Fuzzer:
    """One stream after another, until the tally has what it wants."""

    def __init__(self, address: str, name: str, dice: random.Random, tally: Tally) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.aio.insecure_channel(address, options=options)
        self._open = self._channel.stream_stream(CONNECT)
        self._name, self._dice, self._tally = name, dice, tally
        self.item_ids: list[str] = []
        self._corpus: list[bytes] = []

    async def run(self, item_ids: Sequence[str], version: str) -> None:
        """Sends mutants until there are enough."""
        self.item_ids = list(item_ids)
        self._corpus = corpus(item_ids, version, self._name)
        try:
            while not self._tally.is_done:
                await _FuzzedStream(self, self._open()).live()
        finally:
            await self._channel.close()

    @property
    def dice(self) -> random.Random:
        return self._dice

    @property
    def name(self) -> str:
        return self._name

    @property
    def tally(self) -> Tally:
        return self._tally

    def mutant(self, answers: Sequence[bytes], first: bool) -> tuple[str, bytes, str | None]:
        """(how it was made, bytes, what kind of message they are, None: of none)."""
        dice, fatal = self._dice, self._tally.manner.fatal
        while True:
            base = dice.choice(answers if answers and dice.random() < 0.5 else self._corpus)
            mutation = dice.choice(MUTATIONS)
            payload = mutation(dice, base, self._corpus)
            kind = kind_of(payload)
            if first or kind not in (None, "register") or dice.random() < fatal:
                return mutation.__name__, payload, kind


class _FuzzedStream:
    """From its opening to its end."""

    def __init__(self, fuzzer: Fuzzer, call: Any) -> None:
        self._fuzzer, self._call, self._dice = fuzzer, call, fuzzer.dice
        self._seen: dict[str, asyncio.Event] = {}
        self._registered: Any = None
        self._round = 0
        self._answers: list[bytes] = []
        """To the latest works, and what else may be said of them."""
        self._is_over = False

    async def live(self) -> None:
        tally = self._fuzzer.tally
        tally.streams += 1
        reader = asyncio.ensure_future(self._read())
        try:
            state = await self._reach(self._dice.choice(WANTED))
            over = await self._send_mutants(state)
            chance = self._dice.random()
            if over or chance < 0.2:
                if not over and not self._call.done():
                    await self._call.done_writing()
                async with asyncio.timeout(PATIENCE):
                    await reader
                    code = await self._call.code()
                # A write into a stream that has just ended is this to grpcio, whatever ended it.
                broken = await self._call.details() == "Internal error from Core"
                tally.endings["broken off in a write" if broken else code.name] += 1
            else:
                self._call.cancel()
                tally.endings["cut by the client"] += 1
        finally:
            self._call.cancel()
            reader.cancel()
            await asyncio.wait({reader})

    async def _send_mutants(self, state: State) -> bool:
        """Whether the server has ended the stream, or must."""
        tally = self._fuzzer.tally
        for number in range(self._dice.randrange(*tally.manner.mutants)):
            first = state is State.DOOR and number == 0
            made, payload, kind = self._fuzzer.mutant(self._answers, first)
            if not await self._send(payload):
                return True
            tally.sent[made] += 1
            tally.states[state] += 1
            if kind is None:
                tally.no_messages += 1
                return True
            if tally.is_done:
                break
        return False

    async def _reach(self, wanted: State) -> State:
        """Behaves well until a state is reached, or it does not come soon; the state it is in."""
        if wanted is State.DOOR:
            return wanted
        nobody = wanted is State.LOBBY
        register = Register(
            recommender_id="nobody-wants" if nobody else self._fuzzer.name,
            instance_id=f"fuzz-{self._dice.random()}",
            capabilities=[
                *self._dice.choice((RICH, COLUMNAR)),
                CAPABILITY_EXPLAIN,
                *self._dice.choice(((), (CAPABILITY_PARTIAL_RESULTS,), (CAPABILITY_CONVERSE,))),
            ],
        )
        if not await self._send_well(register=register):
            return State.DOOR
        if nobody or not await self._comes("registered"):
            return State.LOBBY
        if wanted is State.JOINED:
            return wanted
        ready = CatalogReady(catalog_version=self._registered.catalog_version)
        if not await self._send_well(catalog_ready=ready):
            return State.JOINED
        if wanted is State.LOADED or not await self._comes("round_started"):
            return State.LOADED
        ready = RoundReady(round=self._round)
        await self._send_well(round_ready=ready)
        await self._comes("work")
        return State.IN_ROUND

    async def _comes(self, kind: str) -> bool:
        event = self._seen.setdefault(kind, asyncio.Event())
        try:
            async with asyncio.timeout(SOON):
                await event.wait()
        except TimeoutError:
            return False
        return True

    async def _send_well(self, **message: Any) -> bool:
        self._fuzzer.tally.well_meant += 1
        return await self._send(ConnectRequest(**message).SerializeToString())

    async def _send(self, payload: bytes) -> bool:
        """Whether it went out; a stream that takes nothing for too long hangs."""
        if self._is_over:
            return False
        try:
            async with asyncio.timeout(PATIENCE):
                await self._call.write(payload)
        except (grpc.RpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
            return False
        return True

    async def _read(self) -> None:
        try:
            while isinstance(payload := await self._call.read(), bytes):
                message = ConnectResponse.FromString(payload)
                kind = message.WhichOneof("message") or ""
                if kind == "registered":
                    self._registered = message.registered
                elif kind == "round_started":
                    self._round = message.round_started.round
                elif kind in WORKS:
                    answers = self._answers_to(kind, getattr(message, kind))
                    self._answers = [*self._answers[-4:], *answers]
                    kind = "work"
                self._seen.setdefault(kind, asyncio.Event()).set()
        except grpc.RpcError:
            pass
        self._is_over = True

    def _answers_to(self, kind: str, work: Any) -> list[bytes]:
        more = ExtendDeadline(work_id=work.header.work_id, timeout=Duration(seconds=1))
        requests = (self._answer(kind, work), ConnectRequest(extend_deadline=more))
        return [one.SerializeToString() for one in requests]

    def _answer(self, kind: str, work: Any) -> ConnectRequest:
        ids = self._fuzzer.item_ids
        work_id = work.header.work_id
        if kind in ("rank_work", "search_work"):
            return ConnectRequest(rank_result=RankResult(
                work_id=work_id, complete=True,
                lists=[
                    RankedList(
                        query_index=query.query_index,
                        items=[RankedItem(item_id=one) for one in ids[: query.result_count]],
                    )
                    for query in work.queries
                ],
            ))  # fmt: skip
        if kind == "converse_work":
            items = [RankedItem(item_id=one) for one in ids[: work.result_count]]
            return ConnectRequest(converse_result=ConverseResult(work_id=work_id, items=items))
        numbers = list(range(work.result_count)) * len(work.user_numbers)
        return ConnectRequest(
            rank_batch_result=RankBatchResult(work_id=work_id, item_numbers=numbers)
        )
