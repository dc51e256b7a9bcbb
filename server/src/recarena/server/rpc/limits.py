"""The limits of a session: told in `Registered.limits`, enforced where the names are used."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""All parts of one answer together, where it comes in parts."""
SPLIT_BYTES = 1024 * 1024
"""What would be larger is sent in parts, where it can be parted."""
MAX_USERS_RICH, MAX_USERS_COLUMNAR = 256, 16384
DEFAULT_USERS_RICH, DEFAULT_USERS_COLUMNAR = 64, 4096
DEFAULT_OUTSTANDING, MAX_OUTSTANDING = 4, 256
MAX_ID_BYTES, MAX_TOKEN_BYTES = 128, 256
MAX_ITEMS_PER_LIST = 100
MAX_EXPLANATION_CHARS = 500
OUTBOUND_MESSAGES = 64
OUTBOUND_BYTES = 4 * 1024 * 1024
"""What waits in the server for a peer that does not read."""
REMEMBERED_WORKS = 4096
MAX_UNSOLICITED = 100
UNSOLICITED_PER_S = 10.0
"""How fast the budget for messages that answer nothing fills again."""
UNSOLICITED_BYTES = 16 * 1024
"""Size at which one such message counts for two, and so on."""
MAX_REJECTED = 5


@dataclass(slots=True)
class Budget:
    """What a peer may waste: `size` at once, refilled at `per_s`; the time is the event loop's."""

    size: float
    per_s: float
    spent: float = 0.0
    total: float = 0.0
    """Spent since the beginning."""
    _at: float = 0.0

    def spend(self, cost: float, now: float) -> float:
        """Takes `cost`; returns the seconds to wait until the budget is no longer overdrawn."""
        self.spent = max(0.0, self.spent - (now - self._at) * self.per_s) + cost
        self.total += cost
        self._at = now
        return max(0.0, self.spent - self.size) / self.per_s


class Credits:
    """What a recommender takes at once: so many works, and so many bytes of them."""

    def __init__(self, works: int, max_bytes: int) -> None:
        """`max_bytes` 0: any number."""
        self.works = asyncio.Semaphore(works)
        self._max_bytes, self._bytes = max_bytes, 0
        self._less = asyncio.Condition()

    async def take(self, size: int) -> None:
        """Waits until a message of so many bytes may go out too. One that is larger than all that
        is taken goes out alone."""
        async with self._less:
            if self._max_bytes:
                await self._less.wait_for(
                    lambda: not self._bytes or self._bytes + size <= self._max_bytes
                )
            self._bytes += size

    async def give_back(self, size: int) -> None:
        """Says that a message is answered or given up."""
        async with self._less:
            self._bytes -= size
            self._less.notify_all()
