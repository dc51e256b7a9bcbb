"""The works that one session was asked for: until when they are waited for, and what becomes of
answers that nothing waits for."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from recarena.server.rpc import limits
from recarena.v1 import session_pb2, work_pb2

Answer = work_pb2.RankResult | work_pb2.RankBatchResult | work_pb2.ConverseResult
Disposition: TypeAlias = session_pb2.WorkOutcome.Disposition.ValueType
T = TypeVar("T")


@dataclass(slots=True)
class AskedWork:
    """A work under way."""

    answered: asyncio.Future[list[Answer]]
    queries: int
    parts: list[Answer] = field(default_factory=list[Answer])
    lists: int = 0
    """Lists in the parts so far."""
    size: int = 0
    """Bytes of the parts so far."""
    deadline: asyncio.TimerHandle | None = None
    latest: float = 0.0
    """Loop time that ExtendDeadline cannot pass."""
    extended: bool = False


class Asked:
    """The works under way, by work_id, and what became of the last others.

    A deadline passes in one moment of the event loop: what came before it counts, what comes after
    it is late, and there is nothing between.
    """

    def __init__(self, expired: Callable[[str], None]) -> None:
        """`expired` is called with the id of each work whose deadline passes."""
        self._expired = expired
        self._works: dict[str, AskedWork] = {}
        self._done: OrderedDict[str, Disposition] = OrderedDict()

    def put(self, work_id: str, queries: int) -> AskedWork:
        """A work is being sent; no time runs yet."""
        future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        work = self._works[work_id] = AskedWork(future, queries)
        return work

    def sent(self, work_id: str, timeout_s: float, longest_s: float) -> None:
        """The time of a work runs from now on. TimeoutError is what its future ends with, unless
        parts came, which count."""
        now = asyncio.get_running_loop().time()
        if work := self._works.get(work_id):
            work.latest = now + longest_s
            self._set_deadline(work_id, work, now + timeout_s)

    def open(self, work_id: str) -> AskedWork | None:
        """A work that waits for an answer."""
        work = self._works.get(work_id)
        return work if work and not work.answered.done() else None

    def extend(self, work_id: str, more_s: float) -> bool:
        """Moves a deadline to so long from now, once, within its bounds and never nearer; whether
        there was one to move."""
        work = self.open(work_id)
        if not work or work.extended or not work.deadline:
            return False
        work.extended = True
        wanted = asyncio.get_running_loop().time() + more_s
        self._set_deadline(work_id, work, max(work.deadline.when(), min(wanted, work.latest)))
        return True

    def _set_deadline(self, work_id: str, work: AskedWork, when: float) -> None:
        if work.deadline:
            work.deadline.cancel()
        loop = asyncio.get_running_loop()
        work.deadline = loop.call_at(when, self._expire, work_id)

    def _expire(self, work_id: str) -> None:
        work = self.open(work_id)
        if not work:
            return
        self.settle(work_id, session_pb2.WorkOutcome.DISPOSITION_LATE)
        self._expired(work_id)
        if work.parts:
            work.answered.set_result(work.parts)
        else:
            fail(work.answered, TimeoutError())

    def settle(self, work_id: str, disposition: Disposition) -> bool:
        """Waits for a work no more; whether it did. DISPOSITION_LATE: its next answer is late."""
        work = self._works.pop(work_id, None)
        if not work:
            return False
        if work.deadline:
            work.deadline.cancel()
        self._done[work_id] = disposition
        while len(self._done) > limits.REMEMBERED_WORKS:
            self._done.popitem(last=False)
        return True

    def disposition(self, work_id: str) -> Disposition:
        """What to tell of an answer that nothing waits for. The first one after the deadline is
        late, and the next a duplicate."""
        outcome = session_pb2.WorkOutcome
        before = self._done.get(work_id)
        if before == outcome.DISPOSITION_LATE:
            self._done[work_id] = outcome.DISPOSITION_DUPLICATE
            return outcome.DISPOSITION_LATE
        if before or work_id in self._works:
            return outcome.DISPOSITION_DUPLICATE
        return outcome.DISPOSITION_UNKNOWN_WORK

    def fail_all(self, error: Exception) -> None:
        """Nothing will be answered any more."""
        for work in self._works.values():
            if not work.answered.done():
                fail(work.answered, error)


def fail(future: asyncio.Future[T], error: Exception) -> None:
    """Fails a future. Where nobody waits for it any more, that is no news."""
    future.set_exception(error)
    future.exception()
