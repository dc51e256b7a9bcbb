"""A machine that takes one or two sessions of a real server through any sequence of actions.

The loop stands still between the steps: a step acts, and then calls the server until what it caused
has happened. Nothing waits by sleeping.

Which rules may be drawn never depends on what the server has done, since that follows from the
machine's speed too, and Hypothesis has to draw the same again: a rule that cannot act does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from typing import Any

import grpc
import numpy as np
from google.protobuf.duration_pb2 import Duration
from google.rpc.status_pb2 import Status
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from recarena.server.rpc.server import Server
from recarena.server.types import EventKind, Outcome
from recarena.v1.recommender_service_pb2 import ConnectRequest, ListFeedbackRequest
from recarena.v1.session_pb2 import (
    CAPABILITY_PARTIAL_RESULTS,
    CatalogReady,
    Drain,
    ExtendDeadline,
    Pong,
    RoundReady,
    WorkFailed,
)
from recarena.v1.work_pb2 import RankBatchResult, RankResult
from support.arena import begin, finished, log_of, settings
from support.raw_client import COLUMNAR, RICH, WORKS, RawClient

SLOTS = st.integers(0, 1)
WORK_TIMEOUT_S = 0.15
_runs = itertools.count(1)


class Peer:
    """A session, and what has come on it so far."""

    def __init__(self, address: str) -> None:
        self.client = RawClient(address)
        self.client.pongs = False  # a Pong is an action of its own
        self.open: dict[str, tuple[str, Any]] = {}
        self.old: list[tuple[str, Any]] = []
        self.round = 0
        self.pinged = 0
        self.ended = False
        self.changed = asyncio.Event()
        """Set with every message, and at the end."""
        self._listening = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        while (message := await self.client.receive_any()) is not None:
            kind = message.WhichOneof("message") or ""
            if kind == "registered":
                self.client.registered = message.registered
                await self.client.load_catalog()
            elif kind == "round_started":
                self.round = message.round_started.round
            elif kind in WORKS:
                work = getattr(message, kind)
                self.open[work.header.work_id] = kind, work
            elif kind == "cancel_work":
                self.close(message.cancel_work.work_id)
            elif kind == "ping":
                self.pinged = message.ping.nonce
            self.changed.set()
        self.ended = True
        self.changed.set()

    async def change(self) -> None:
        """Returns when another message has come, or the end."""
        self.changed.clear()
        if not self.ended:
            await self.changed.wait()

    def close(self, work_id: str) -> None:
        if work_id in self.open:
            self.old.append(self.open.pop(work_id))

    async def send(self, **message: Any) -> None:
        try:
            await self.client.send(**message)
        except (grpc.RpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
            self.ended = True

    async def hang_up(self) -> None:
        self._listening.cancel()
        await asyncio.wait({self._listening})
        await self.client.hang_up()


class Sessions(RuleBasedStateMachine):
    """Actions of a recommender with two replicas, and what must hold of its run."""

    server: Server
    runner: asyncio.Runner
    tried: Counter[str]
    played: list[int]
    """How many runs: of all machines of a kind."""

    def __init__(self) -> None:
        super().__init__()
        self.peers: dict[int, Peer] = {}
        self.cursors: list[str] = []
        self.seen: dict[str, tuple[int, str]] = {}

    def do(self, action: Any, name: str) -> None:
        """A step: the action, and all that follows from it at once."""
        self.tried[name] += 1
        self.runner.run(self._step(action))

    async def _step(self, action: Any) -> None:
        await action
        async with grpc.aio.insecure_channel(self.server.address) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            for _ in range(4):
                assert await check(b"", timeout=10) == b"\x08\x01"  # SERVING
        for peer in self.peers.values():
            self.cursors += [one.cursor for one in peer.client.feedback()][-1:]
            for kind, work in peer.open.values():
                self.seen[work.header.work_id] = work.header.round, kind.split("_")[0]

    @initialize(
        policy=st.sampled_from(("empty_list", "fallback_popular")),
        strict=st.booleans(),
        repeats=st.sampled_from(("allow", "forbid")),
    )
    def begin_run(self, policy: str, strict: bool, repeats: str) -> None:
        arm = {
            "recommender": "raw", "replicas": 2, "failure_policy": policy, "strict": strict,
            "work_timeout_s": WORK_TIMEOUT_S,
        }  # fmt: skip
        chosen = settings(
            arm, rounds=2, visits={"step_cap": 2, "repeats": repeats},
            session={"max_users_per_work": 4, "resume_window_s": 10.0, "ready_timeout_s": 10.0},
        )  # fmt: skip
        world = "new:users=10,seed=3,history=6"
        name = f"machine-{next(_runs)}"
        self.run = self.runner.run(begin(self.server, chosen, name, world))

    # ------------------------------------------------------------------ the stream
    @rule(
        slot=SLOTS, twin=st.sampled_from((False, False, True)), resume=st.booleans(),
        capabilities=st.sampled_from((RICH, COLUMNAR, (*RICH, CAPABILITY_PARTIAL_RESULTS))),
        far=st.sampled_from((True, True, False)),
    )  # fmt: skip
    def come(
        self, slot: int, twin: bool, resume: bool, capabilities: tuple[Any, ...], far: bool
    ) -> None:
        """A new session where there is none: registered, or `far`, ready for works."""
        self.admit(slot, twin, resume, capabilities, far)

    def bring_to_work(self, slot: int, capabilities: tuple[Any, ...]) -> None:
        self.admit(slot, twin=False, resume=True, capabilities=capabilities, far=True)

    def admit(
        self, slot: int, twin: bool, resume: bool, capabilities: tuple[Any, ...], far: bool
    ) -> None:
        if slot in self.peers and not self.peers[slot].ended:
            return
        fields: dict[str, Any] = {"resume_run_id": self.run.run_id} if resume else {}
        if resume and self.cursors:
            fields["feedback_cursor"] = self.cursors[-1]
        fields["instance_id"] = "same" if twin else f"i{slot}"

        async def act() -> None:
            if old := self.peers.pop(slot, None):
                await old.hang_up()
            peer = self.peers[slot] = Peer(self.server.address)
            await peer.client.register(capabilities=capabilities, **fields)
            async with asyncio.timeout(0.2):
                while far and not peer.client.item_ids:
                    await peer.change()
                if far:
                    await peer.client.catalog_ready()
                while far and not peer.round:
                    await peer.change()
                if far:
                    await peer.send(round_ready=RoundReady(round=peer.round))

        self.do(self._calm(act()), "come" if far else "register")

    @rule(slot=SLOTS, sure=st.sampled_from((False, False, False, True)))
    def register_again(self, slot: int, sure: bool) -> None:
        if (peer := self.peers.get(slot)) and sure:
            self.do(self._calm(peer.client.register(capabilities=RICH)), "register again")

    async def _calm(self, action: Any) -> None:
        """The action, where the stream does not end under it."""
        gone = (grpc.RpcError, asyncio.InvalidStateError, grpc.aio.UsageError, TimeoutError)
        with contextlib.suppress(*gone):
            await action

    @rule(slot=SLOTS, right=st.booleans(), refuse=st.booleans())
    def catalogue_ready(self, slot: int, right: bool, refuse: bool) -> None:
        def message(peer: Peer) -> dict[str, Any]:
            version = peer.client.registered.catalog_version if right else "another"
            error = Status(code=13, message="no") if refuse and not right else None
            return {"catalog_ready": CatalogReady(catalog_version=version, error=error)}

        self.send(slot, message, "catalogue ready")

    @rule(slot=SLOTS, off=st.sampled_from((0, 0, 0, 1)))
    def round_ready(self, slot: int, off: int) -> None:
        self.send(slot, lambda p: {"round_ready": RoundReady(round=p.round + off)}, "round ready")

    @rule(slot=SLOTS)
    def pong(self, slot: int) -> None:
        self.send(slot, lambda peer: {"pong": Pong(nonce=peer.pinged)}, "pong")

    @rule(slot=SLOTS, sure=st.sampled_from((False, False, False, True)))
    def drain(self, slot: int, sure: bool) -> None:
        if sure:
            self.send(slot, lambda _: {"drain": Drain(grace=Duration(seconds=1))}, "drain")

    @rule(slot=SLOTS)
    def empty(self, slot: int) -> None:
        self.send(slot, lambda _: {"request": ConnectRequest()}, "empty message")

    @rule(slot=SLOTS, silent=st.booleans(), sure=st.sampled_from((False, True)))
    def leave(self, slot: int, silent: bool, sure: bool) -> None:
        if sure and (peer := self.peers.pop(slot, None)):
            if not silent:
                self.do(self._calm(peer.client.close_half()), "close half")
            self.do(peer.hang_up(), "cut")

    def send(self, slot: int, message: Any, name: str) -> None:
        if (peer := self.peers.get(slot)) and not peer.ended:
            self.do(peer.send(**message(peer)), name)

    # ------------------------------------------------------------------ answers
    def busy(self) -> list[Peer]:
        return [peer for peer in self.peers.values() if peer.open and not peer.ended]

    @rule(
        number=st.integers(0, 9),
        manner=st.sampled_from((
            "right", "right", "right", "twice", "unknown items", "excluded items", "wrong index",
            "not a number", "short", "half", "other encoding", "failed", "extend",
        )),
    )  # fmt: skip
    def answer(self, number: int, manner: str) -> None:
        if not self.busy():
            self.bring_to_work(number % 2, COLUMNAR if number % 3 == 0 else RICH)
        if not (busy := self.busy()):
            return
        peer = busy[number % len(busy)]
        kind, work = list(peer.open.values())[number % len(peer.open)]
        request = peer.client.answer(kind, work)
        work_id = work.header.work_id
        result = request.rank_result
        first = result.lists[0] if result.lists else None
        numbers = request.rank_batch_result.item_numbers
        if manner == "unknown items" and first:
            first.items[0].item_id = "no-such-film"
        elif manner == "unknown items" and numbers:
            numbers[0] = 2**32 - 1
        elif manner == "excluded items" and first:
            excluded = work.queries[0].candidates.excluded_item_ids
            for item, one in zip(first.items, excluded, strict=False):
                item.item_id = one
        elif manner == "wrong index" and first:
            first.query_index = 4000
        elif manner in ("wrong index", "short") and numbers:
            del numbers[-1]
        elif manner == "not a number" and first:
            first.items[0].score = float("nan")
        elif manner == "short" and first:
            del first.items[1:]
        elif manner == "half" and first:
            result.complete = False
            del result.lists[1:]
        elif manner == "other encoding":
            columns = RankBatchResult(work_id=work_id, item_numbers=[0])
            rich = RankResult(work_id=work_id, complete=True)
            request = (
                ConnectRequest(rank_batch_result=columns) if first
                else ConnectRequest(rank_result=rich)
            )  # fmt: skip
        elif manner == "failed":
            failed = WorkFailed(work_id=work_id, status=Status(code=13, message="no"))
            request = ConnectRequest(work_failed=failed)
        elif manner == "extend":
            more = ExtendDeadline(work_id=work_id, timeout=Duration(seconds=1))
            request = ConnectRequest(extend_deadline=more)
        if manner not in ("half", "extend"):
            peer.close(work_id)
        self.do(peer.send(request=request), f"answer: {manner}")
        if manner == "twice":
            self.do(peer.send(request=request), "answer: again")

    @rule(slot=SLOTS, number=st.integers(0, 9))
    def answer_what_is_over(self, slot: int, number: int) -> None:
        peer = self.peers.get(slot)
        if peer and peer.old:
            kind, work = peer.old[number % len(peer.old)]
            request = peer.client.answer(kind, work)
            self.send(slot, lambda _: {"request": request}, "answer: over")
        else:
            stranger = ConnectRequest(rank_result=RankResult(work_id="none", complete=True))
            self.send(slot, lambda _: {"request": stranger}, "answer: unknown work")

    @rule(sure=st.sampled_from((False, False, False, True)))
    def let_a_deadline_pass(self, sure: bool) -> None:
        if not sure or not self.busy():
            return

        async def act() -> None:
            peer = self.busy()[0]
            work_id = next(iter(peer.open))
            async with asyncio.timeout(20):
                while work_id in peer.open and not peer.ended:
                    await peer.change()

        self.do(act(), "deadline")

    # ------------------------------------------------------------------ the end
    def teardown(self) -> None:
        if hasattr(self, "run"):
            self.runner.run(self._brought_to_its_end())
            self.played[0] += 1

    async def _brought_to_its_end(self) -> None:
        for peer in self.peers.values():
            await peer.hang_up()
        async with RawClient(self.server.address) as client:
            await client.register(instance_id="relief", resume_run_id=self.run.run_id)
            if await self._still_wants(client):
                await client.load_catalog()
                await client.catalog_ready()
                await client.serve()
            await finished(self.run)
        self._check_log()

    async def _still_wants(self, client: RawClient) -> bool:
        """Whether the run calls it; it may also come to its end meanwhile without another
        recommender, and then it calls nobody."""
        coming = asyncio.ensure_future(client.receive("registered"))
        over = asyncio.ensure_future(self.run.settled())
        await asyncio.wait({coming, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if not coming.done() and self.run.state.is_final:
            for _ in range(5):  # every occasion to say something after all
                with contextlib.suppress(grpc.aio.AioRpcError):  # there is no such session
                    await client.stub.ListFeedback(ListFeedbackRequest(session_id="none"))
        if not coming.done() and self.run.state.is_final:
            coming.cancel()
            await asyncio.wait({over, coming})
            return False
        client.registered = await coming
        return True

    def _check_log(self) -> None:
        """Every work has one outcome, and what was shown may be."""
        log, works = log_of(self.run), self.run.folder.works()
        pages, shown = log.of(EventKind.PAGE), log.of(EventKind.SHOWN)
        assert len(pages) == sum(work.lists for work in works)
        assert Outcome.NONE not in set(pages.outcome.tolist())
        recorded = Counter((work.round, work.kind) for work in works)
        assert not Counter(self.seen.values()) - recorded
        size = len(self.run.data.catalog)
        assert not len(shown) or (shown.item.min() >= 0 and shown.item.max() < size)
        if self.run.settings.visits.repeats == "forbid":
            self._check_nothing_watched_was_shown(log)

    def _check_nothing_watched_was_shown(self, log: Any) -> None:
        history = self.run.data.history
        watched = set(zip(history.user.tolist(), history.item.tolist(), strict=True))
        for round in range(1, self.run.round + 1):
            events = log_of(self.run, round)
            own = False
            for kind, user, item, outcome in zip(
                events.kind.tolist(), events.user.tolist(), events.item.tolist(),
                events.outcome.tolist(), strict=True,
            ):  # fmt: skip
                if kind == EventKind.PAGE:
                    own = Outcome(outcome).usable
                elif kind == EventKind.SHOWN and own:
                    assert (user, item) not in watched
            now = events.of(EventKind.WATCH)
            watched |= set(zip(now.user.tolist(), now.item.tolist(), strict=True))
        assert np.isfinite(log.value).all()
