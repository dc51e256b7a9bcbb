"""The class that recommenders extend."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from recarena.client.answers import Answer, ItemColumns, Reply
from recarena.client.catalog import Catalog
from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns
from recarena.v1.work_pb2 import ConverseWork, RankBatch, RankQuery, SearchBatch, SearchQuery

T = TypeVar("T")
# Every method may be `def` or `async def`.
MaybeAsync: TypeAlias = T | Awaitable[T]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunInfo:
    """The run that a recommender serves, from start to close."""

    run_id: str
    # Grows when the run is reset.
    epoch: int
    catalog: Catalog
    # User numbers are below it.
    user_count: int
    # Items on a page, which is the usual result_count.
    page_size: int
    # Rounds the run is planned for; 0: open-ended.
    round_limit: int
    # Arms of the run that this recommender serves.
    arm_ids: tuple[str, ...]
    # True: rank_columns, search_columns and feedback_columns are called, not their namesakes.
    columnar: bool
    # Seconds that one work may take, 0: unknown. It is withdrawn after that.
    work_timeout: float = 0.0


class Recommender:
    """Extend it, override `rank` (or `rank_columns`) and what else you need, and `serve` it.

    One instance serves one run. Methods written with `def` run in one thread of their own, one
    after the other in the order of the session. Methods written with `async def` run on the event
    loop: rank, search and converse may be under way together; start, feedback, ready and
    catalog_changed never run beside anything else.

    An error in rank, search or converse costs that one answer. An error in start, feedback, ready
    or catalog_changed ends `serve`, for the model would not be what it is taken for.
    """

    def start(self, run: RunInfo) -> MaybeAsync[None]:
        """Called first, once, with the catalogue loaded. No error: the catalogue is accepted."""

    def rank(self, queries: Sequence[RankQuery]) -> MaybeAsync[Sequence[Answer]]:
        """One list per query, in the order of the queries, each of `result_count` items."""
        raise NotImplementedError(f"{type(self).__name__} has no rank")

    def search(self, queries: Sequence[SearchQuery]) -> MaybeAsync[Sequence[Answer]]:
        """One list per search; an empty one where nothing is found. Overriding it offers SEARCH."""
        raise NotImplementedError(f"{type(self).__name__} has no search")

    def converse(self, work: ConverseWork) -> MaybeAsync[Reply]:
        """The next turn of a conversation. Overriding it offers CONVERSE."""
        raise NotImplementedError(f"{type(self).__name__} has no converse")

    def feedback(self, batch: FeedbackBatch) -> MaybeAsync[None]:
        """Each batch once, in order; round 0 is what is known before the run."""

    def ready(self, round: int) -> MaybeAsync[None]:
        """Called when a round opens, with all feedback before it delivered: train here."""

    def rank_columns(self, batch: RankBatch) -> MaybeAsync[ItemColumns]:
        """The lists of `batch.user_numbers`. Overriding it offers COLUMNAR."""
        raise NotImplementedError(f"{type(self).__name__} has no rank_columns")

    def search_columns(self, batch: SearchBatch) -> MaybeAsync[ItemColumns]:
        """The lists of a SearchBatch, where the session is columnar."""
        raise NotImplementedError(f"{type(self).__name__} has no search_columns")

    def feedback_columns(self, batch: FeedbackColumns) -> MaybeAsync[None]:
        """Called in place of `feedback` where the session is columnar."""

    def catalog_changed(self, run: RunInfo) -> MaybeAsync[None]:
        """Called between rounds when items came or went, before `ready`.

        `run.catalog` has them. Items keep their numbers: new ones stand at the end, and those that
        were withdrawn are not in `run.catalog.available_ids`.
        """

    def close(self) -> MaybeAsync[None]:
        """Called last: the run is over, was lost to another instance, or the program ends."""


def overrides(recommender: Recommender, method: str) -> bool:
    """Whether the recommender has its own version of a method."""
    own = getattr(recommender, method)
    return getattr(own, "__func__", own) is not getattr(Recommender, method)
