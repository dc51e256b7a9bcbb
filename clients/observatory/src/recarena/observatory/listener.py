"""What waits to be sent to one open page."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

MOST_WAITING = 24
"""Messages that wait for a page that reads slowly; then it begins afresh."""


class Listener:
    """A bounded queue of texts that are shared with all other pages. Whoever does not keep up gets
    a snapshot in place of what it missed, when it takes something again."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._own: dict[str, str] = {}
        self._afresh: Callable[[], str] | None = None
        self._wake = asyncio.Event()
        self.overflows = 0
        """How often it had to begin afresh because it was too slow."""

    def offer(self, text: str, snapshot: Callable[[], str]) -> None:
        """Puts a message at the end, unless a snapshot is due anyway that will hold it."""
        if self._afresh is not None:
            return
        if len(self._waiting) >= MOST_WAITING:
            self.overflows += 1
            self.begin_afresh(snapshot)
            return
        self._waiting.append(text)
        self._wake.set()

    def begin_afresh(self, snapshot: Callable[[], str]) -> None:
        """All that waits is forgotten; next is a snapshot as it is when it is sent."""
        self._waiting.clear()
        self._afresh = snapshot
        self._wake.set()

    def tell(self, kind: str, text: str) -> None:
        """A message of this page alone. Of those of a kind that wait, the newest is sent."""
        self._own[kind] = text
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Messages that wait."""
        return len(self._waiting) + len(self._own) + (self._afresh is not None)

    async def next(self) -> str:
        """The next message to send, when there is one."""
        while True:
            if self._afresh is not None:
                snapshot, self._afresh = self._afresh, None
                return snapshot()
            if self._waiting:
                return self._waiting.popleft()
            if self._own:
                return self._own.pop(next(iter(self._own)))
            self._wake.clear()
            await self._wake.wait()
