"""The chronicles of the runs that were looked at last."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict

from recarena.observatory.chronicle import Chronicle, run_of
from recarena.observatory.upstream import Upstream

KEPT = 8


class Library:
    """One chronicle a run. Another epoch of a run begins a new one."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._held: OrderedDict[str, Chronicle] = OrderedDict()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def opened(self, run_id: str) -> Chronicle:
        """The chronicle of a run in the epoch in force, its `run` as it is now; its rounds may be
        behind. Failure."""
        async with self._turns[run_id]:
            held = self._held.get(run_id)
            if held is not None:
                run = await run_of(self._upstream, run_id)
                if run.epoch == held.epoch:
                    held.run = run
                    self._held.move_to_end(run_id)
                    return held
                del self._held[run_id]
            made = await Chronicle.open(self._upstream, run_id)
            self._held[run_id] = made
            while len(self._held) > KEPT:
                gone, _ = self._held.popitem(last=False)
                self._turns.pop(gone, None)
            return made

    def forget(self, run_id: str) -> None:
        """Lets go of a chronicle: whoever asks next reads the run again."""
        self._held.pop(run_id, None)

    async def read(self, run_id: str) -> Chronicle:
        """The same, with all rounds that are committed. Failure."""
        chronicle = await self.opened(run_id)
        await chronicle.catch_up(chronicle.run.round)
        return chronicle
