"""The reference recommender `popular` as a part of the server's process: no messages, no wire."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np

from recarena.client import Catalog, RunInfo
from recarena.recommenders.popular import Popular
from recarena.recommenders.signals import Signals
from recarena.server.door import Assignment, HostedRecommender
from recarena.server.local import LocalRecommender
from recarena.server.ports import Feedback, RankRequest, SearchRequest
from recarena.server.rpc.recommenders import item_message
from recarena.server.spans import Span, untold
from recarena.server.types import Ints


class InProcessPopular(Popular):
    """`popular` on the server's own columns."""

    def rank_here(self, request: RankRequest) -> Ints:
        """[users, count]: item numbers."""
        return self._lists(request.users, request.offsets, request.count)

    def search_here(self, request: SearchRequest) -> Ints:
        """[searches, count]: item numbers."""
        self._catch_up()
        rows = self.users.rows(request.users)
        return self._finder().lists(
            request.texts, request.text_of, self.watched, rows, request.offsets, request.count
        )

    def learn_here(self, feedback: Feedback) -> None:
        """Keeps a round's feedback until the next one opens."""
        rows = self.users.add_numbers(feedback.user)
        self._pending.append(Signals(feedback.round, rows, feedback.item, feedback.rating))
        self._stale = True


class Twin(LocalRecommender):
    """An arm's recommender that is always there."""

    def __init__(self, assignment: Assignment) -> None:
        popular = InProcessPopular()
        popular.start(run_info(assignment))
        for round in range(assignment.told + 1):
            popular.learn_here(assignment.past(round))
        super().__init__(
            assignment.world,
            popular.rank_here,
            popular.search_here,
            popular.learn_here,
            popular.ready,
            assignment.arm_number,
        )
        self._popular = popular

    async def arrived(self) -> None:
        """At once."""

    async def dismiss(self, grace_s: float, come_back: bool) -> None:
        """Removes the search index."""
        self._popular.close()


class TwinDoor:
    """The `Door` of a run whose recommender is a Twin."""

    def open(self, assignment: Assignment) -> HostedRecommender:
        """The twin."""
        return Twin(assignment)

    def close(self, recommender: HostedRecommender) -> None:
        """Nothing to let go of."""

    def round_span(self, run_id: str, round: int) -> AbstractContextManager[Span]:
        """No traces."""
        return untold()


def run_info(assignment: Assignment) -> RunInfo:
    """What a recommender is told of its run."""
    catalog = assignment.catalog
    items = [item_message(catalog, item) for item in np.arange(len(catalog)).tolist()]
    return RunInfo(
        run_id=assignment.run_id,
        epoch=assignment.epoch,
        catalog=Catalog.of(catalog.version, items),
        user_count=len(assignment.user_ids),
        page_size=assignment.settings.visits.page_size,
        round_limit=assignment.settings.rounds,
        arm_ids=(assignment.arm.id,),
        columnar=True,
    )
