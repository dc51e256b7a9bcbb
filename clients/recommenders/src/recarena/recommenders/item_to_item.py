"""What item-knn, ease and content share: score = worth of the item + affinities . relations.

    score(u, i) = worth_i + gain * w_u * sum over j watched by u of a_uj R_ji - fatigue_ui

worth_i is what is known of the item whoever asks, a_uj how much better than usual user u found
item j, R how items go together (the part that the three differ in). The parts and why:

* a_uj = r_uj - m_u - b_j + WATCHED: a rating less the user's mean and the item's, both shrunk, as
  in the baselines of Koren ("Factorization meets the neighborhood", 2008), plus a constant,
  since to have chosen an item says something even where it is not rated.
* worth_i = b_i + FAME * z(log(1 + watches)) - DOUBT * passes_i / (passes_i + watches_i + 5): users
  rate what they chose, and choose from what is shown; an item that was often shown and seldom
  taken is worth less than its ratings say.
* fatigue_ui = FATIGUE * log(1 + times u passed i over in the last MEMORY rounds): the page should
  not stay the same for a user who takes nothing from it.
* w_u draws users with few watches toward the common order; see each recommender.

A user of whom nothing is known gets the order of worth.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recarena.client import RunInfo
from recarena.recommenders.numeric import NumericRecommender, Wanted, centred
from recarena.recommenders.ranking import best
from recarena.recommenders.signals import Signals
from recarena.recommenders.watched import Floats, Ints, Longs, Watched
from recarena.v1.types_pb2 import Evidence, Explanation

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    Matrix = csr_array[Any, tuple[int, int]]

CELLS = 1 << 20
"""Scores computed at once: lists a step times items."""

SHRINK = 5.0
"""Ratings at the mean that every item is taken to have besides its own."""

FATIGUE = 0.25
MEMORY = 5
"""Rounds for which it is remembered who passed over what."""

GROWTH = 1.02
"""Relations are computed again once there are this many times the watches of the last time."""


class ItemToItem(NumericRecommender):
    """Scores by the items a user has watched. Write `relate`; see the module for the formula."""

    WATCHED: float = 0.5
    FAME: float = 0.1
    DOUBT: float = 0.5
    GAIN: float = 3.0
    explains = True
    method = "item-to-item"
    """Name of the explanations' method."""
    kept: Ints | None = None
    """The items that relations are about, ascending; None: all."""

    @abstractmethod
    def relate(self, affinities: Matrix) -> NDArray[np.float32] | Matrix:
        """[items, items] R for the affinities [users, items] so far; with `kept` set, for those
        items alone. Called again when there is much more feedback."""

    def trust(self, counts: Longs) -> Floats:
        """w_u for users with so many watches: 1 for all unless overridden."""
        return np.ones(len(counts), np.float32)

    def train(self) -> None:
        """Computes worth and affinities, and the relations where there is enough that is new."""
        self._passed.settle(len(self.users), self.item_count)
        watched, rows, items = self.watched, self.watched.rows, self.watched.items
        tastes = centred(watched.ratings, rows, len(self.users))
        means = np.bincount(items, tastes, self.item_count) / (
            np.bincount(items[watched.ratings > 0], minlength=self.item_count) + SHRINK
        )
        fame = np.log1p(self.watches)
        passes = self._passed.totals
        self._worth = (
            means
            + self.FAME * (fame - fame.mean()) / max(float(fame.std()), 1e-9)
            - self.DOUBT * passes / (passes + self.watches + SHRINK)
        ).astype(np.float32)
        values = tastes - means[items] + self.WATCHED
        affinities = self._matrix(items, values)
        if len(watched) >= GROWTH * self._trained_on or not self._trained_on:
            self.kept = self.keep()
            self._relations = self.relate(
                affinities[:, self.kept] if self.kept is not None else affinities
            )
            self._trained_on = len(watched)
        weights = self.GAIN * self.trust(np.diff(watched.starts))
        affinities = self._matrix(items, values * weights[rows])
        self._affinities = affinities[:, self.kept] if self.kept is not None else affinities

    def keep(self) -> Ints | None:
        """The items to relate, ascending; None: all."""
        return None

    def learn(self, signals: Signals) -> None:
        """Keeps what was passed over."""
        passed = np.isnan(signals.ratings)
        self._passed.add(signals.users[passed], signals.items[passed])

    def start(self, run: RunInfo) -> None:
        """Starts from nothing."""
        super().start(run)
        self._forget()

    def items_moved(self, number: Ints) -> None:
        """Relations are computed anew and passes forgotten: they speak of other items."""
        super().items_moved(number)
        self._forget()

    def _forget(self) -> None:
        self._passed = PassedOver(self.item_count)
        self._trained_on = 0
        self.kept = None

    def top(self, wanted: Wanted) -> Ints:
        """The best scores, watched items after the others."""
        step = max(CELLS // max(self.item_count, 1), 1)
        parts = [
            best(self._scores(part.users), self.watched.of(part.users), part.offsets, part.count)
            for part in (wanted.part(at, at + step) for at in range(0, len(wanted), step))
        ]
        return np.concatenate(parts) if parts else np.empty((0, wanted.count), np.int32)

    def reasons(self, user: int, items: Ints) -> list[Explanation | None]:
        """Names the watched item that adds most to each score."""
        if user < 0 or not len(items):
            return [None] * len(items)
        mine = self._affinities[[user]].tocsr()
        places = items if self.kept is None else np.searchsorted(self.kept, items)
        inside = places < (self._relations.shape[1])
        if self.kept is not None:
            inside &= self.kept[np.minimum(places, len(self.kept) - 1)] == items
        relations: Any = self._relations[mine.indices]
        reasons: list[Explanation | None] = []
        for place, known in zip(places, inside, strict=True):
            if not known or not len(mine.indices):
                reasons.append(None)
                continue
            column = relations[:, [place]]
            column = column if isinstance(column, np.ndarray) else column.toarray()
            reasons.append(self._because(user, mine.indices, mine.data * column.ravel()))
        return reasons

    def _because(self, user: int, items: Ints, shares: Floats) -> Explanation | None:
        best_one = int(np.argmax(shares))
        gains = float(shares[shares > 0].sum())
        if shares[best_one] <= 0:
            return None
        number = int(items[best_one] if self.kept is None else self.kept[items[best_one]])
        item = self.run.catalog.items[number]
        evidence = Evidence(
            kind=Evidence.KIND_ITEM, reference=item.item_id, weight=float(shares[best_one]) / gains
        )
        return Explanation(
            text=f"Because you watched {item.title}.",
            locale="en",
            evidence=[evidence],
            method=f"{self.method}-template",
        )

    def _matrix(self, items: Ints, values: NDArray[Any]) -> Matrix:
        """[users + 1, items], the last row empty: it is read for users of whom nothing is known
        (row -1)."""
        from scipy.sparse import csr_array

        starts = np.append(self.watched.starts, self.watched.starts[-1])
        return csr_array(
            (values.astype(np.float32), items, starts), shape=(len(self.users) + 1, self.item_count)
        )

    def _scores(self, users: Ints) -> Floats:
        personal: Any = self._affinities[users] @ self._relations
        if not isinstance(personal, np.ndarray):
            personal = personal.toarray()
        if self.kept is None:
            scores = personal + self._worth
        else:
            scores = np.repeat(self._worth[None], len(users), axis=0)
            scores[:, self.kept] += personal
        lists, items, times = self._passed.of(users)
        scores[lists, items] -= np.float32(FATIGUE) * np.log1p(times)
        return scores


class PassedOver:
    """Who passed over what in the last MEMORY rounds, and how often each item was, ever."""

    def __init__(self, item_count: int) -> None:
        self.totals: Longs = np.zeros(item_count, np.int64)
        """[items]: times passed over so far."""
        self._rounds: deque[Longs] = deque(maxlen=MEMORY)
        self._pairs = Watched(item_count)

    def add(self, users: Ints, items: Ints) -> None:
        """Takes one round."""
        self.totals += np.bincount(items, minlength=len(self.totals))
        self._rounds.append(users.astype(np.int64) * len(self.totals) + items)

    def settle(self, user_count: int, item_count: int) -> None:
        """Makes what was added ready to be read."""
        keys = np.concatenate(list(self._rounds)) if self._rounds else np.empty(0, np.int64)
        distinct, times = np.unique(keys, return_counts=True)
        self._pairs = Watched(item_count)
        self._pairs.put(distinct, times.astype(np.float32), user_count)

    def of(self, users: Ints) -> tuple[Longs, Ints, Floats]:
        """(position in users, item, times) of all that these users passed over."""
        return self._pairs.rated(users)


def gram(affinities: Matrix) -> NDArray[np.float64]:
    """[items, items]: affinities' transpose times affinities, by the cheaper of two ways."""
    users, items = affinities.shape
    per_user = np.diff(affinities.indptr).astype(np.float64)
    if (per_user**2).sum() * 10 < float(users) * items**2 / 25:  # about 10 ns and 1/25 ns a step
        product: Any = (affinities.T @ affinities).toarray()
        return product.astype(np.float64)
    total = np.zeros((items, items), np.float64)
    step = max((1 << 24) // max(items, 1), 1)
    for at in range(0, users, step):
        block = affinities[at : at + step].toarray()
        total += block.T @ block
    return total


def nearest(similar: Any, item_count: int, count: int) -> Matrix:
    """[items, items] sparse: in each column the `count` items most similar to that item, ties to
    the earlier. `similar(begin, end)` gives rows begin .. end - 1 of the similarities, 0 for an
    item with itself; only similarities above 0 are kept."""
    from scipy.sparse import csr_array, vstack

    step = max(CELLS * 4 // max(item_count, 1), 1)
    nobody = (np.empty(0, np.int64), np.empty(0, np.int32))
    blocks: list[Any] = []
    for begin in range(0, item_count, step):
        block = np.asarray(similar(begin, min(begin + step, item_count)), np.float32)
        rows = len(block)
        items = best(block, nobody, np.zeros(rows, np.int32), min(count, item_count))
        values = np.take_along_axis(block, items.astype(np.int64), axis=1)
        starts = np.arange(0, items.size + 1, items.shape[1])
        part = csr_array(
            (np.maximum(values, 0).ravel(), items.ravel(), starts), shape=(rows, item_count)
        )
        part.eliminate_zeros()
        blocks.append(part)
    if not blocks:
        return csr_array(np.zeros((0, 0), np.float32))
    stacked: Any = vstack(blocks, format="csr")
    return stacked.T.tocsr()
