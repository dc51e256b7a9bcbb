"""A run with two arms: one whose recommender does as it should, and one whose does not."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.types import EventKind, Outcome
from support.arena import begin, finished, log_of, settings
from support.raw_client import OK, RawClient
from support.sessions import ONE_PAGE

GOOD, BAD = "good", "bad"
SMALL_WORLD = "new:users=12,seed=3,history=2"


async def begin_both(server: Server, run_id: str, arm: Any = BAD, **values: Any) -> Run:
    """A small run of both, started; one page a visit and one round, unless said otherwise."""
    chosen = settings(GOOD, arm, **{**ONE_PAGE, **values})
    return await begin(server, chosen, run_id, SMALL_WORLD)


def outcomes_of(run: Run, arm: str) -> Counter[Outcome]:
    """How many pages of an arm had each outcome."""
    pages = log_of(run).of(EventKind.PAGE)
    number = [one.id for one in run.settings.arms].index(arm)
    return Counter(map(Outcome, pages.outcome[run.arm_of_user[pages.user] == number].tolist()))


class GoodArm:
    """The recommender that does as it should."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        self._serving = asyncio.ensure_future(self._serve())

    async def _serve(self) -> None:
        await self.client.join(GOOD, instance_id="good-1")
        await self.client.serve()

    async def is_done_with(self, run: Run) -> None:
        """The run has come to its end, and this arm has noticed nothing of the other."""
        await finished(run)
        await self._serving
        assert await self.client.status() == OK
        assert set(outcomes_of(run, GOOD)) == {Outcome.ACCEPTED}
        assert self.client.all("work_outcome", "cancel_work") == []
        assert {work.header.attempt for work in self.client.all("rank_work")} == {1}

    def leave(self) -> None:
        """It is wanted no more."""
        self._serving.cancel()


@contextlib.asynccontextmanager
async def good_arm(server: Server) -> AsyncIterator[GoodArm]:
    """A good recommender that waits for the run and serves it."""
    async with RawClient(server.address) as client:
        one = GoodArm(client)
        try:
            yield one
        finally:
            one.leave()
