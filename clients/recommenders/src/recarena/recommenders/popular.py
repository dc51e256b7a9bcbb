"""Popular: what most have watched, first what the user has not."""

from __future__ import annotations

import numpy as np

from recarena.recommenders.explanations import because_popular
from recarena.recommenders.numeric import NumericRecommender, Wanted
from recarena.recommenders.watched import Ints, UnseenFirst
from recarena.v1.types_pb2 import Explanation


class Popular(NumericRecommender):
    """Ranks by the number of watches so far, the same for all; a user's watched items go last.

    A list costs one binary search a place, so a million lists a second is usual.
    """

    explains = True

    def train(self) -> None:
        """Sorts the catalogue by watches and each user's watched items by rank."""
        self._order = np.argsort(-self.watches, kind="stable").astype(np.int32)
        rank = np.empty(self.item_count, np.int64)
        rank[self._order] = np.arange(self.item_count)
        self._unseen = UnseenFirst(
            self.watched.rows.astype(np.int64),
            rank[self.watched.items],
            self.row_count,
            self.item_count,
        )

    def top(self, wanted: Wanted) -> Ints:
        """The first unwatched items of the common order."""
        ranks = self._unseen.ranks(wanted.users, wanted.offsets, wanted.count)
        return np.where(ranks >= 0, self._order[np.maximum(ranks, 0)], -1)

    def reasons(self, user: int, items: Ints) -> list[Explanation | None]:
        """Says how often each was watched so far; nothing of items that never were."""
        counts = self.watches[items].tolist()
        return [because_popular(count, "popular") if count else None for count in counts]
