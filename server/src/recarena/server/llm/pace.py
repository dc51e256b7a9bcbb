"""How many calls are under way at once: one pace per key, and a pool of keys that share the work.

Additive increase, multiplicative decrease (Chiu and Jain, 1989), with a start that doubles until
the first refusal (as TCP's slow start): a limit that was never refused says nothing of its room.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

DECREASE = 0.8
INCREASE = 1.05


class Verdict(Enum):
    """What became of a call, as far as its pace is concerned."""

    CLEAN = "clean"
    LIMITED = "limited"
    """The provider had no room."""
    FAULT = "fault"
    """Anything else: says nothing of room."""


@dataclass(slots=True)
class Pace:
    """The pace of one key and model."""

    key: int
    """Number of the key."""
    limit: float
    ceiling: int
    in_flight: int = 0
    blocked_until: float = 0.0
    dead: str = ""
    """Why the key is not used any more."""
    most_in_flight: int = 0
    calls: int = 0
    refused: int = 0
    _clean: int = 0
    _was_full: bool = False
    _starting: bool = True

    def free(self, now: float) -> bool:
        """Whether one more call may go."""
        return not self.dead and self.in_flight < int(self.limit) and now >= self.blocked_until

    def begin(self) -> None:
        """One call goes."""
        self.in_flight += 1
        self.calls += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self._was_full |= self.in_flight >= int(self.limit)

    def end(self, verdict: Verdict, now: float, wait: float | None) -> None:
        """One call is back. `wait`: seconds for which the provider has no room."""
        self.in_flight -= 1
        if wait:
            self.blocked_until = max(self.blocked_until, now + wait)
        if verdict is Verdict.LIMITED:
            self.refused += 1
            self._starting = False
            self.limit = max(self.limit * DECREASE, 1.0)
            self._clean, self._was_full = 0, False
        elif verdict is Verdict.CLEAN:
            self._clean += 1
            if self._clean >= int(self.limit):
                if self._was_full:
                    grown = self.limit * (2 if self._starting else INCREASE)
                    self.limit = min(max(grown, self.limit + 1), float(self.ceiling))
                self._clean, self._was_full = 0, False


class AllKeysDead(Exception):
    """No key is left that may be used; says why of the last."""


class KeyPool:
    """Keys of one provider and model. Each call takes the one with most room; who waits goes first
    come, first served."""

    def __init__(
        self, keys: int, *, start: int, ceiling: int, clock: Callable[[], float] | None = None
    ) -> None:
        first = float(min(start, ceiling))
        self.paces = [Pace(number, first, ceiling) for number in range(keys)]
        self._clock = clock or asyncio.get_running_loop().time
        self._waiting: deque[asyncio.Future[Pace]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Calls that wait for room."""
        return len(self._waiting)

    async def take(self, avoid: Sequence[int] = ()) -> Pace:
        """Waits for room. AllKeysDead where there will be none. Keys to avoid are taken only
        where no other has room."""
        self._check()
        if not self._waiting and (pace := self._roomiest(avoid)):
            pace.begin()
            return pace
        future: asyncio.Future[Pace] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._hand_out()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                self.give_back(future.result(), Verdict.FAULT)
            elif future in self._waiting:  # it may have been passed over meanwhile
                self._waiting.remove(future)
            raise

    def give_back(self, pace: Pace, verdict: Verdict, wait: float | None = None) -> None:
        """The call is over; others may go."""
        pace.end(verdict, self._clock(), wait)
        self._hand_out()

    def bury(self, pace: Pace, why: str) -> None:
        """The key is not used any more."""
        pace.dead = why
        self._hand_out()

    def _check(self) -> None:
        if all(pace.dead for pace in self.paces):
            raise AllKeysDead(self.paces[-1].dead)

    def _roomiest(self, avoid: Sequence[int] = ()) -> Pace | None:
        now = self._clock()
        free = [pace for pace in self.paces if pace.free(now)]
        preferred = [pace for pace in free if pace.key not in avoid] or free
        return min(preferred, key=lambda p: (p.in_flight / p.limit, p.calls), default=None)

    def _hand_out(self) -> None:
        while self._waiting:
            try:
                self._check()
            except AllKeysDead as error:
                for future in self._waiting:
                    if not future.done():
                        future.set_exception(error)
                self._waiting.clear()
                return
            if self._waiting[0].done():
                self._waiting.popleft()
                continue
            pace = self._roomiest()
            if pace is None:
                self._wake_later()
                return
            pace.begin()
            self._waiting.popleft().set_result(pace)

    def _wake_later(self) -> None:
        """When the first block ends, since nobody else may come back before that."""
        now = self._clock()
        ends = [pace.blocked_until for pace in self.paces
                if not pace.dead and pace.blocked_until > now]  # fmt: skip
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if ends:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(min(ends) - now, self._hand_out)
