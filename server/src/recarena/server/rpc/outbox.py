"""What waits to be sent to one peer: bounded in messages and in bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from recarena.server.rpc.limits import OUTBOUND_BYTES, OUTBOUND_MESSAGES


class Outbox:
    """A queue of serialised messages with one reader. A message larger than the bound goes in
    alone."""

    def __init__(self, messages: int = OUTBOUND_MESSAGES, max_bytes: int = OUTBOUND_BYTES) -> None:
        self._most, self._max_bytes = messages, max_bytes
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._closed = False
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()
        self._turn = asyncio.Lock()
        """Those who wait for room get it in the order of their coming."""

    def has_room(self, size: int) -> bool:
        """Whether a message of so many bytes goes in at once: there is room, and nobody waits for
        it."""
        return not (self._closed or self._turn.locked()) and self._fits(size)

    def _fits(self, size: int) -> bool:
        if not self._waiting:
            return True
        return len(self._waiting) < self._most and self._bytes + size <= self._max_bytes

    def put_nowait(self, message: bytes) -> bool:
        """Puts a message in if it goes in at once; whether it did."""
        if not self.has_room(len(message)):
            return False
        self._waiting.append(message)
        self._bytes += len(message)
        self._arrived.set()
        return True

    async def put(self, message: bytes, timeout_s: float) -> None:
        """Puts a message in, in its turn. TimeoutError where there is no room for so long; what is
        put into a closed box is dropped."""
        async with asyncio.timeout(timeout_s), self._turn:
            while not self._closed and not self._fits(len(message)):
                self._left.clear()
                await self._left.wait()
            if not self._closed:
                self._waiting.append(message)
                self._bytes += len(message)
                self._arrived.set()

    def close(self, drop: bool = False) -> None:
        """Nothing more goes in; what is in still comes out, unless it is dropped."""
        self._closed = True
        if drop:
            self._waiting.clear()
            self._bytes = 0
        self._arrived.set()
        self._left.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Messages in order, until the box is closed and empty."""
        while True:
            while self._waiting:
                message = self._waiting.popleft()
                self._bytes -= len(message)
                self._left.set()
                yield message
            if self._closed:
                return
            self._arrived.clear()
            await self._arrived.wait()
