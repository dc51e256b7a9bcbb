"""A run store that forgets everything with the process, for benchmarks and tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from recarena.server.errors import Conflict
from recarena.server.store.digest import BEFORE_ROUND_1, round_digest
from recarena.server.types import EventColumns, MemoryColumns, RoundResult


class VolatileStore:
    """A RunStore in memory. With keep=False it keeps the digest only, and `rounds` is empty."""

    def __init__(self, *, keep: bool = True) -> None:
        self.keep = keep
        self.results: list[RoundResult] = []
        self.last_round = 0
        self.digest = BEFORE_ROUND_1

    async def commit(self, result: RoundResult, sim_time: datetime) -> None:
        """Keeps a round; Conflict unless it is last_round + 1."""
        if result.round != self.last_round + 1:
            raise Conflict(f"round {result.round} cannot follow round {self.last_round}")
        self.digest = round_digest(self.digest, result.events)
        self.last_round = result.round
        if self.keep:
            self.results.append(result)

    def rounds(self, first: int, last: int) -> Iterator[tuple[EventColumns, MemoryColumns]]:
        """Events and memories of the kept rounds first..last, a round at a time."""
        for result in self.results[max(first, 1) - 1 : last]:
            yield result.events, result.memories
