"""How often somebody may do something."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple


class Rate(NamedTuple):
    """So many a second in the long run, and so many at once."""

    per_second: float
    burst: float


class Allowance:
    """A bucket for each key that fills at the rate and is emptied by use. Memory is bounded: the
    buckets unused for longest are forgotten, which makes them full."""

    def __init__(
        self, rate: Rate, most_keys: int = 4096, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._most_keys, self._clock = rate, most_keys, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What was left when, by key; the one used last comes last."""

    def take(self, key: str) -> float:
        """Takes one and returns 0, or takes none and returns the seconds until there is one."""
        now = self._clock()
        left, then = self._left.pop(key, (self._rate.burst, now))
        left = min(self._rate.burst, left + (now - then) * self._rate.per_second)
        wait = 0.0 if left >= 1 else (1 - left) / self._rate.per_second
        self._left[key] = (left if wait else left - 1), now
        if len(self._left) > self._most_keys:
            self._left.popitem(last=False)
        return wait

    def __len__(self) -> int:
        return len(self._left)
