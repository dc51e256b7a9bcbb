"""One run that somebody watches: followed once, told to all pages that are open on it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
from google.protobuf.duration_pb2 import Duration

from recarena.observatory.chronicle import Chronicle, run_of
from recarena.observatory.columns import Kind
from recarena.observatory.failures import UNAVAILABLE, Failure
from recarena.observatory.feed import Feed
from recarena.observatory.library import Library
from recarena.observatory.listener import Listener
from recarena.observatory.messages import Json, state_of
from recarena.observatory.upstream import Upstream
from recarena.v1 import run_pb2
from recarena.v1 import simulation_observe_service_pb2 as observe_pb

INTERVAL_S = 0.1
"""Least time between two batches."""
ROUNDS_TO_SEND = 2_000
"""Missing rounds that are sent to a page that comes back; beyond, it gets a snapshot."""
POLL_S = 2.0
"""How often it is looked for what no stream tells: interventions that wait, what models took."""
ENDED_POLL_S = 0.5
"""How often a run that has ended is looked at, in case it is reset or goes on."""
ENDED = (run_pb2.RUN_STATE_SUCCEEDED, run_pb2.RUN_STATE_FAILED, run_pb2.RUN_STATE_STOPPED)
AGAIN_S = (0.2, 0.5, 1.0, 2.0)
"""Waits before the server is tried again; the last goes on."""
ANEW_S = (0.5, 2.0, 10.0, 30.0)
"""Waits before a channel that broke begins anew; the last goes on."""
LASTED_S = 60.0
"""Whoever broke after so long begins with the first wait again."""
MISTAKEN = "the observatory made a mistake, which its terminal says; it begins anew"
logger = logging.getLogger("recarena.observatory")


class Channel:
    """Follows its run as long as there are listeners. What is published is published to all in one
    go, and snapshots are of what is published: so nothing is lost or told twice between them."""

    def __init__(self, upstream: Upstream, library: Library, run_id: str) -> None:
        self._upstream, self._library, self.run_id = upstream, library, run_id
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._chronicle: Chronicle | None = None
        self._published = -1
        """The last round that was published; -1: nothing yet, in this epoch."""
        self._told_run: Json = {}
        self._told_interventions: list[Json] = []
        self._feed = Feed(upstream)
        self._dirty = asyncio.Event()
        self._asked = asyncio.Event()
        """Somebody wants to know now what changed."""
        self._broken = False
        self._shown: tuple[Chronicle, int] | None = None
        """What snapshots are of: what was published last, of whichever epoch."""
        self._snapshot: tuple[int, str] = (-1, "")
        self._version = 0
        self.changed = asyncio.Condition()
        """Notified after each message to all."""

    # ------------------------------------------------------------------ who listens

    @property
    def listeners(self) -> int:
        """How many."""
        return len(self._listeners)

    @asynccontextmanager
    async def joined(self, listener: Listener, epoch: int, since: int) -> AsyncGenerator[None]:
        """As long as the listener listens. Its first message is a snapshot, or the rounds that it
        missed since the last that it has of an epoch."""
        if self._published >= 0 and self._chronicle is not None:
            chronicle = self._chronicle
            behind = self._published - since
            if epoch == chronicle.epoch and since > 0 and 0 <= behind <= ROUNDS_TO_SEND:
                text = self._rounds(chronicle, since, self._feed.lines, 0)
                listener.offer(text, self.snapshot)
                listener.offer(_interventions(chronicle, []), self.snapshot)
            else:
                listener.begin_afresh(self.snapshot)
        if self._broken or self._upstream.trouble:
            listener.tell("server", self._server_message())
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"channel {self.run_id}")
        try:
            yield
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                self._task.cancel()
                self._task = None
                self._published = -1  # who comes next is not told an old state as the new one

    def tell_of_server(self) -> None:
        """Tells all pages whether the server is there."""
        for listener in self._listeners:
            listener.tell("server", self._server_message())

    def look(self) -> None:
        """Something was changed by way of this program: see what, soon."""
        self._asked.set()

    # ------------------------------------------------------------------ following

    async def _run(self) -> None:
        """Follows the run; a mistake of this program's is logged and told, and all begins anew."""
        loop, attempt = asyncio.get_running_loop(), 0
        while True:
            began = loop.time()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._follow())
                    group.create_task(self._publish_batches())
                    group.create_task(self._poll())
            except Exception:
                logger.exception("run %s cannot be followed; it is tried anew", self.run_id)
            if loop.time() - began > LASTED_S:
                attempt = 0
            self._forget()
            await asyncio.sleep(ANEW_S[min(attempt, len(ANEW_S) - 1)])
            attempt += 1

    def _forget(self) -> None:
        """What is known may be wrong: with the next that is published all pages begin afresh."""
        self._library.forget(self.run_id)
        self._chronicle, self._published, self._broken = None, -1, True
        self.tell_of_server()

    async def _follow(self) -> None:
        attempt = 0
        while True:
            try:
                chronicle = await self._library.read(self.run_id)
                attempt = 0
                if chronicle is not self._chronicle or self._published < 0:
                    feed = Feed(self._upstream)
                    await feed.refresh(chronicle, chronicle.round)
                    self._chronicle, self._published, self._feed = chronicle, -1, feed
                self._dirty.set()
                await self._take_rounds(chronicle)
                await self._until_it_goes_on(chronicle)
            except Failure as failure:
                if failure.status == 404:
                    self._tell_all({"type": "server", "reachable": True, "message": str(failure)})
                elif failure.code == UNAVAILABLE:
                    self._upstream.note(reachable=False)
                await asyncio.sleep(AGAIN_S[min(attempt, len(AGAIN_S) - 1)])
                attempt += 1

    async def _take_rounds(self, chronicle: Chronicle) -> None:
        interval = Duration()
        interval.FromMilliseconds(int(INTERVAL_S * 1000))
        # All rounds come with their events: each keyframe says what was watched up to it.
        request = observe_pb.StreamRoundsRequest(
            run_id=self.run_id, epoch=chronicle.epoch, after_round=chronicle.round,
            least_interval=interval,
        )  # fmt: skip
        answers = self._upstream.stream(self._upstream.observe.StreamRounds, request)
        async for answer in answers:
            if answer.HasField("run"):
                if answer.run.epoch != chronicle.epoch:
                    return
                chronicle.run = answer.run
            for log in answer.rounds:
                chronicle.fold(log)
            self._upstream.note(reachable=True)
            self._dirty.set()

    async def _until_it_goes_on(self, chronicle: Chronicle) -> None:
        """Returns when a run whose rounds have come to an end is reset or goes on."""
        while True:
            run = await run_of(self._upstream, self.run_id)
            if run.epoch != chronicle.epoch:
                return
            chronicle.run = run
            self._dirty.set()
            await asyncio.sleep(ENDED_POLL_S)
            if run.state not in ENDED or run.round > chronicle.round:
                return

    async def _poll(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._asked.wait()
            self._asked.clear()
            with suppress(Failure):
                await self._look()

    async def _look(self) -> None:
        chronicle = self._chronicle
        if chronicle is None:
            return
        run = await run_of(self._upstream, self.run_id)
        if run.epoch != chronicle.epoch:
            return  # the stream ends, and another epoch begins
        chronicle.run = run
        await chronicle.ask_for_interventions()
        self._dirty.set()

    # ------------------------------------------------------------------ publishing

    async def _publish_batches(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            began, chronicle = loop.time(), self._chronicle
            if chronicle is None:
                continue
            upto, before = chronicle.round, self._published
            lines: list[Json] = []
            left_out = 0
            with suppress(Failure):
                if any(one["interventions"] for one in chronicle.rounds[max(before, 0) : upto]):
                    await chronicle.ask_for_interventions()
                if upto > before >= 0:
                    await self._feed.refresh(chronicle, upto)
                    lines = [line for line in self._feed.lines if line["round"] > before]
                    left_out = await _left_out(chronicle, range(before + 1, upto + 1), lines)
            if chronicle is self._chronicle:
                self._publish(chronicle, upto, lines, left_out)
                async with self.changed:
                    self.changed.notify_all()
            await asyncio.sleep(max(0.0, INTERVAL_S - (loop.time() - began)))

    def _publish(self, chronicle: Chronicle, upto: int, lines: list[Json], left_out: int) -> None:
        """Tells all of what is new, and awaits nothing: who joins does so before or after."""
        before, self._version = self._published, self._version + 1
        self._published, self._shown = upto, (chronicle, upto)
        run = chronicle.run_json() | {"round": upto}
        if before < 0:
            for listener in self._listeners:
                listener.begin_afresh(self.snapshot)
            if self._broken:
                self._broken = False
                self.tell_of_server()
        else:
            if upto > before:
                self._offer_all(self._rounds(chronicle, before, lines, left_out))
            elif run != self._told_run:
                self._offer_all(text_of({"type": "run", "run": run}))
            if chronicle.interventions != self._told_interventions:
                applied = self._newly_applied(chronicle)
                self._offer_all(_interventions(chronicle, applied))
        self._told_run, self._told_interventions = run, chronicle.interventions

    def _newly_applied(self, chronicle: Chronicle) -> list[Json]:
        before = {one["number"] for one in self._told_interventions if one["applied"]}
        return [
            one for one in chronicle.interventions if one["applied"] and one["number"] not in before
        ]

    def snapshot(self) -> str:
        """The `snapshot` of what is published, encoded once for all who need it."""
        if self._snapshot[0] != self._version:
            self._snapshot = self._version, self._encoded_snapshot()
        return self._snapshot[1]

    def _encoded_snapshot(self) -> str:
        assert self._shown is not None
        chronicle, round = self._shown
        run = chronicle.run_json() | {"round": round}
        return text_of({
            "type": "snapshot",
            "run": run,
            "keyframe": chronicle.keyframe(round),
            "round_last": chronicle.rounds[round - 1] if round else None,
            "feed": [line for line in self._feed.lines if line["round"] <= round],
            "pending": chronicle.pending,
        })  # fmt: skip

    def _rounds(self, chronicle: Chronicle, after: int, lines: list[Json], left_out: int) -> str:
        round = self._published
        return text_of({
            "type": "rounds",
            "run": chronicle.run_json() | {"round": round},
            "rounds": chronicle.rounds[after:round],
            "keyframe": chronicle.keyframe(round),
            "feed": lines,
            "left_out": left_out,
        })  # fmt: skip

    def _offer_all(self, text: str) -> None:
        for listener in self._listeners:
            listener.offer(text, self.snapshot)

    def _tell_all(self, message: Json) -> None:
        for listener in self._listeners:
            listener.tell(message["type"], text_of(message))

    def _server_message(self) -> str:
        away = self._upstream.trouble or (MISTAKEN if self._broken else "")
        return text_of({"type": "server", "reachable": not away, "message": away})

    @property
    def state(self) -> str:
        """Of the run, as last told; empty before that."""
        return state_of(self._chronicle.run) if self._chronicle else ""


def _interventions(chronicle: Chronicle, applied: list[Json]) -> str:
    message = {"type": "interventions", "pending": chronicle.pending, "applied": applied}
    return text_of(message)


async def _left_out(chronicle: Chronicle, rounds: range, lines: list[Json]) -> int:
    """Events of the rounds that no line speaks of; those aside of which none ever does."""
    quiet = [Kind.SHOWN, Kind.IDLE]
    left = 0
    for round in rounds:
        counts = chronicle.census.of(round)
        left += int(counts.sum() - counts[quiet].sum())
    for round in {line["round"] for line in lines}:
        events = await chronicle.events_of(round)
        users = [line["user"] for line in lines if line["round"] == round]
        spoken = np.isin(events.user, users) & ~np.isin(events.kind, quiet)
        left -= int(spoken.sum())
    return left


def text_of(message: dict[str, Any]) -> str:
    """A message as it is sent."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
