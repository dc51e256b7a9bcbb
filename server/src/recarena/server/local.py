"""Recommenders inside the server's process: twins of remote ones, for tests and benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import numpy as np

from recarena.server import lists
from recarena.server.ports import (
    Feedback,
    Lists,
    RankRequest,
    RoundTally,
    SearchRequest,
    WorldView,
)
from recarena.server.types import Ints, Outcome, WorkRecord

Ranker = Callable[[RankRequest], Ints]
Searcher = Callable[[SearchRequest], Ints]


class LocalRecommender:
    """Calls functions for lists of item numbers [queries, any]; the same checks as over gRPC."""

    can_converse = False

    def __init__(
        self,
        world: WorldView,
        rank: Ranker,
        search: Searcher | None = None,
        learn: Callable[[Feedback], None] | None = None,
        get_ready: Callable[[int], None] | None = None,
        arm: int = 0,
    ) -> None:
        self._world, self._rank, self._search = world, rank, search
        self._learn, self._get_ready, self._arm = learn, get_ready, arm

    @property
    def can_search(self) -> bool:
        """Whether a search function was given."""
        return self._search is not None

    async def catalog_changed(self, changed: Ints) -> None:
        """Nothing: functions look at the world themselves."""

    async def round_started(self, round: int, sim_time: datetime, expected: int) -> float:
        """Lets the recommender get ready."""
        start = time.perf_counter()
        if self._get_ready:
            self._get_ready(round)
        return (time.perf_counter() - start) * 1000

    async def rank(self, request: RankRequest) -> Lists:
        """Checked lists."""
        start = time.perf_counter()
        raw = self._rank(request)
        available = self._world.catalog.available
        expected = lists.expected_length(available, request.offsets, request.count)
        return self._lists("rank", raw, request.count, expected, start)

    async def search(self, request: SearchRequest) -> Lists:
        """Checked lists, which may be empty."""
        start = time.perf_counter()
        assert self._search is not None
        return self._lists("search", self._search(request), request.count, 0, start)

    def _lists(self, kind: str, raw: Ints, count: int, expected: Ints | int, start: float) -> Lists:
        known = lists.known(np.asarray(raw, np.int32), self._world.catalog.available)
        checked = lists.check(known, count, expected)
        faults = checked.faults()
        outcome = Outcome.VIOLATIONS if faults.total else Outcome.ACCEPTED
        took = (time.perf_counter() - start) * 1000
        work = WorkRecord(self._world.round + 1, self._arm, kind, len(raw), took, outcome, faults)
        return Lists(checked.items, checked.outcome, works=(work,))

    async def round_ended(self, feedback: Feedback, tally: RoundTally) -> None:
        """Lets the recommender learn."""
        if self._learn:
            self._learn(feedback)


def most_watched(world: WorldView) -> LocalRecommender:
    """The most watched items for everybody, straight from the world's public counts."""
    cache: dict[int, Ints] = {}

    def rank(request: RankRequest) -> Ints:
        if request.round not in cache:
            cache.clear()
            cache[request.round] = lists.by_watches(world)
        return lists.ranked(cache[request.round], request.offsets, request.count)

    return LocalRecommender(world, rank)
