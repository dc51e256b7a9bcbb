"""The recommender that misbehaves: `Recommender` with faults put in the place of what is right."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import random
import signal
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any

from gibberish import answer_to_nothing, garbage, gibberish
from recommender import Recommender
from switches import Faults, Switch
from wire import Ending, Over, Stream

from recarena.v1.recommender_service_pb2 import ConnectRequest, ConnectResponse
from recarena.v1.session_pb2 import CAPABILITY_PARTIAL_RESULTS, Capability, Pong, Registered
from recarena.v1.work_pb2 import ConverseResult, RankBatchResult, RankedList

TICK_S = 0.02
"""Between the bursts of a flood."""
WAKER = """
import os, signal, sys, time
pid, until = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
while os.getppid() == pid and time.monotonic() < until:
    time.sleep(0.1)
if os.getppid() == pid:
    os.kill(pid, signal.SIGCONT)
"""


class Dice:
    """Whether a fault happens: by its probability, as long as there are any left."""

    def __init__(self, faults: Faults) -> None:
        self.random = random.Random(faults.seed)
        self._probability = faults.probability
        self._left = math.inf if faults.at_most is None else faults.at_most

    def rolls(self, probability: float | None = None) -> bool:
        """Whether it happens now."""
        wanted = self._probability if probability is None else probability
        if self._left <= 0 or self.random.random() >= wanted:
            return False
        self._left -= 1
        return True


class Misbehaving(Recommender):
    """A recommender with faults."""

    def __init__(self, name: str, faults: Faults, **manner: Any) -> None:
        super().__init__(name, **manner)
        self.faults = faults
        self.dice = Dice(faults)
        self._numbers = itertools.count(1)
        self._frozen_at = 0
        """Works answered when it was frozen last."""
        self._deaf = False
        """Reads slowly, or never again."""
        self._hung = False
        self._broken = asyncio.Event()
        """The stream took nothing more."""
        self._beside: list[asyncio.Task[None]] = []

    # ------------------------------------------------------------------ the session
    async def serve(self, stream: Stream) -> Ending:
        self._deaf = self._hung = False
        self._broken = asyncio.Event()
        try:
            return await super().serve(stream)
        finally:
            for task in self._beside:
                task.cancel()
            await asyncio.gather(*self._beside, return_exceptions=True)
            self._beside.clear()

    async def introduce(self) -> None:
        if self.faults.no_register and self._falls("no-register"):
            return
        await super().introduce()

    def capabilities(self) -> list[Capability.ValueType]:
        known = super().capabilities()
        return [*known, CAPABILITY_PARTIAL_RESULTS] if self.faults.partial else known

    async def begin(self, registered: Registered) -> None:
        await super().begin(registered)
        if self.faults.repeat_register and self._falls("repeat-register"):
            await self.stream.send(register=self.register())
        if self.faults.flood_rate:
            self._start(self._flood_on(self.faults.flood_rate))

    async def read(self) -> ConnectResponse | None:
        waits = self.faults.slow_reader
        before = self._deaf
        if before and waits is not None:
            await self._hold_back(waits)
        message = await super().read()
        if self._deaf and not before and waits is not None:  # since it began to read this one
            await self._hold_back(waits)
        return message

    async def _hold_back(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await self._broken.wait()
        except TimeoutError:
            pass

    async def take(self, message: ConnectResponse) -> None:
        if message.HasField("ping") and self._hung:
            return
        await super().take(message)

    # ------------------------------------------------------------------ works
    async def respond(self, kind: str, work: Any) -> None:
        self._befall_process()
        if self._hung:
            return
        for switch in self.faults.of_works():
            if self.dice.rolls():
                await self._misdo(switch, kind, work)
                self.handled(kind, work, switch.name)
                break
        else:
            await super().respond(kind, work)
        if self.faults.slow_reader is not None and not self._deaf and self._falls("slow-reader"):
            self._deaf = True
            self._start(self._sound_alive())
        self._befall_process()

    def _befall_process(self) -> None:
        """Before a work and after it, so that N = 0 is before the first."""
        faults, done = self.faults, self.answered
        if faults.die_after is not None and done >= faults.die_after and self._falls("die-after"):
            die()
        if faults.hang is not None and done >= faults.hang and not self._hung:
            self._hung = self._falls("hang")
        thawed = done - self._frozen_at
        if faults.frozen is not None and thawed >= faults.frozen and self._falls("frozen"):
            self._frozen_at = done
            freeze(faults.frozen_for)

    async def _misdo(self, switch: Switch, kind: str, work: Any) -> None:
        """One fault in the place of the answer, or beside it."""
        value = getattr(self.faults, switch.field)
        right, send = self.answer(kind, work), self.stream.send
        match switch.name:
            case "late":
                await asyncio.sleep(value)
                await send(right)
            case "duplicate":
                await send(right)
                await send(right)
            case "flood":
                for _ in range(value):
                    await send(answer_to_nothing(next(self._numbers)))
                await send(right)
            case "gibberish":
                for _ in range(value):
                    await send(gibberish(self.dice.random))
                await send(right)
            case "garbage":
                await self.stream.send_bytes(garbage(self.dice.random))
            case "half-close":
                await self.stream.close_half()
            case "silent":
                pass
            case name:
                await send(spoilt(name, right, work, value))

    # ------------------------------------------------------------------ beside the works
    async def _flood_on(self, rate: float) -> None:
        """Answers to nothing, evenly; says each second how many."""
        loop = asyncio.get_running_loop()
        start, sent, told = loop.time(), 0, 0.0
        while not self._broken.is_set():
            elapsed = loop.time() - start
            while sent < elapsed * rate:
                try:
                    await self.stream.send(answer_to_nothing(next(self._numbers)))
                except Over:
                    self._broken.set()
                    return
                sent += 1
            if elapsed - told >= 1:
                told = elapsed
                self.tell(event="flooded", sent=sent)
            await asyncio.sleep(TICK_S)

    async def _sound_alive(self) -> None:
        """Says Pong now and then without having read the Ping: the server hears from it."""
        interval = self.registered.ping_interval.ToTimedelta().total_seconds() or 1.0
        try:
            while True:
                await asyncio.sleep(interval)
                await self.stream.send(pong=Pong())
        except Over:
            self._broken.set()

    def _start(self, act: Coroutine[Any, Any, None]) -> None:
        self._beside.append(asyncio.ensure_future(act))

    def _falls(self, name: str) -> bool:
        """Whether a fault of the session happens; it is told before it does."""
        happens = self.dice.rolls(1.0)
        if happens:
            self.tell(event="fault", fault=name)
        return happens


def spoilt(name: str, right: ConnectRequest, work: Any, value: Any) -> ConnectRequest:
    """An answer with something wrong in it."""
    rich = right.HasField("rank_result")
    given = right.rank_result if rich else right.rank_batch_result
    match name:
        case "unknown-works":
            given.work_id = f"not-{given.work_id}"[:128]
        case "unknown-items" if rich:
            for one in given.lists:
                for item in one.items:
                    item.item_id = f"no-{item.item_id}"
        case "unknown-items":
            given.item_numbers[:] = [2**31 - 1] * len(given.item_numbers)
        case "query-index" if rich:
            given.lists.append(RankedList(query_index=len(given.lists)))
            del given.lists[0]
        case "query-index":
            given.list_lengths.append(1)
        case "nan":
            for one in given.lists:
                for item in one.items:
                    item.score = math.nan
        case "long-lists" if rich:
            items = given.lists[0].items
            items.extend([items[0]] * value)
        case "long-lists":
            first = given.list_lengths[0]
            numbers = list(given.item_numbers)
            given.item_numbers[:] = numbers[:first] + [0] * value + numbers[first:]
            given.list_lengths[0] += value
        case "oversized":
            given.model_version = "x" * value
        case "partial":
            del given.lists[len(given.lists) // 2 :]
            given.complete = False
        case "wrong-type":
            return of_another_kind(given.work_id, len(work.queries) if rich else 0)
        case _:
            raise AssertionError(name)
    return right


def of_another_kind(work_id: str, queries: int) -> ConnectRequest:
    """An answer to a work of another kind: columns to a rich work of several queries, a reply in a
    conversation to all others."""
    if queries > 1:
        return ConnectRequest(
            rank_batch_result=RankBatchResult(work_id=work_id, list_lengths=[0] * queries)
        )
    return ConnectRequest(converse_result=ConverseResult(work_id=work_id, reply_text="Look:"))


def die() -> None:
    """Kills this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def freeze(seconds: float) -> None:
    """Stops this process; a helper that ends with it lets it go on after so long."""
    line = [sys.executable, "-c", WAKER, str(os.getpid()), str(seconds)]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as waker:
        os.kill(os.getpid(), signal.SIGSTOP)
        waker.kill()
