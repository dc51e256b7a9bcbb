"""The memories of users who are asked about a run: taken over from its log when they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from recarena.server.memory.bank import MemoryBank
from recarena.server.memory.embedders import CachedEmbedder
from recarena.server.types import Bools, MemoryColumns


class LookingBack:
    """Fills a bank with what was remembered of a run's rounds, user by user: one who is never
    asked costs nothing."""

    def __init__(
        self, bank: MemoryBank, embedder: CachedEmbedder,
        words: Callable[[MemoryColumns, int], str], users: int,
    ) -> None:  # fmt: skip
        """`words`: a memory in words. `users`: how many the run has."""
        self.bank, self._embedder, self._words = bank, embedder, words
        self._rounds: list[tuple[int, MemoryColumns]] = []
        self._taken = 0
        """Rounds that those of `_known` have been brought to."""
        self._known: Bools = np.zeros(users, bool)
        self._one_at_a_time = asyncio.Lock()

    def committed(self, round: int, memories: MemoryColumns) -> None:
        """A round more, whoever may be asked about it."""
        self._rounds.append((round, memories))

    async def of(self, users: Sequence[int]) -> None:
        """Brings the bank to the end of the last round for these users, and those before them.
        ProviderFailed where memories have to be embedded by a server that does not answer; the
        bank is then as it was."""
        async with self._one_at_a_time:
            asked = np.zeros_like(self._known)
            asked[list(users)] = True
            fresh = asked & ~self._known
            until = len(self._rounds)
            await self._take(fresh, 0, self._taken)
            self._known |= fresh
            await self._take(self._known, self._taken, until)
            self._taken = until

    async def _take(self, mine: Bools, first: int, until: int) -> None:
        """All of the rounds or none."""
        if first == until or not mine.any():
            return
        made = [
            (round, _of(mine, memories), await self._texts(memories, mine))
            for round, memories in self._rounds[first:until]
        ]
        vectors = [await self._embedder.embed(texts) for _, _, texts in made]
        for (round, memories, texts), rows in zip(made, vectors, strict=True):
            self.bank.apply(round, memories, texts, rows, mine)

    async def _texts(self, memories: MemoryColumns, mine: Bools) -> list[str]:
        """Words of each memory; "" of those that are not asked for."""
        await asyncio.sleep(0)
        kept = mine[memories.user].tolist()
        return [self._words(memories, row) if one else "" for row, one in enumerate(kept)]


def _of(mine: Bools, memories: MemoryColumns) -> MemoryColumns:
    """With what came to the minds of these users alone: others have had it counted."""
    recalled = {user: ids for user, ids in memories.recalled.items() if mine[user]}
    return replace(memories, recalled=recalled)
