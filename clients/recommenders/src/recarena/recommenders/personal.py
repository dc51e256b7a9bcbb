"""What the learners share: score = worth of the item + what is personal - fatigue.

    score(u, i) = worth_i + personal_ui - fatigue_ui

worth_i is what is known of the item whoever asks, personal_ui the part that each learner has its
own model for, made from a_uj: how much better than usual user u found item j. The parts and why:

* a_uj = r_uj - m_u - b_j + WATCHED: a rating less the user's mean and the item's, both shrunk, as
  in the baselines of Koren ("Factorization meets the neighborhood", 2008), plus a constant,
  since to have chosen an item says something even where it is not rated.
* worth_i = b_i + FAME * z(log(1 + watches)) - DOUBT * passes_i / (passes_i + watches_i + 5): users
  rate what they chose, and choose from what is shown; an item that was often shown and seldom
  taken is worth less than its ratings say.
* fatigue_ui = FATIGUE * log(1 + times u passed i over in the last MEMORY rounds): the page should
  not stay the same for a user who takes nothing from it.

A user of whom nothing is known gets the order of worth.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recarena.client import RunInfo
from recarena.recommenders.numeric import NumericRecommender, Wanted, centred
from recarena.recommenders.passed_over import PassedOver
from recarena.recommenders.ranking import best
from recarena.recommenders.signals import Signals
from recarena.recommenders.watched import Floats, Ints

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    Matrix = csr_array[Any, tuple[int, int]]

Doubles = NDArray[np.float64]

CELLS = 1 << 20
"""Scores computed at once: lists a step times items."""

SHRINK = 5.0
"""Ratings at the mean that every item is taken to have besides its own."""

FATIGUE = 0.25

GROWTH = 1.02
"""Models are trained again once there are this many times the watches of the last time."""


class Personal(NumericRecommender):
    """Scores by worth, taste and fatigue. Write `fit` and `personal`; see the module for the
    formula."""

    WATCHED: float = 0.5
    FAME: float = 0.1
    DOUBT: float = 0.5
    explains = True

    @abstractmethod
    def fit(self, affinities: Doubles, due: bool) -> None:
        """Takes a_uj beside the keys of `watched`. `due` says that there is enough that is new to
        train the model again; where it is not, only what speaks of users is brought up to date."""

    @abstractmethod
    def personal(self, users: Ints) -> Floats:
        """[users, items] personal_ui of these rows, 0 for a row of -1. Each row has the same bits
        whoever else is asked for with it."""

    def train(self) -> None:
        """Computes worth and affinities, and the model where there is enough that is new."""
        self._passed.settle(self.row_count, self.item_count)
        watched, rows, items = self.watched, self.watched.rows, self.watched.items
        tastes = centred(watched.ratings, rows, self.row_count)
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
        due = len(watched) >= GROWTH * self._trained_on or not self._trained_on
        self.fit(tastes - means[items] + self.WATCHED, due)
        if due:
            self._trained_on = len(watched)

    def learn(self, signals: Signals) -> None:
        """Keeps what was passed over."""
        passed = np.isnan(signals.ratings)
        self._passed.add(signals.users[passed], signals.items[passed])

    def start(self, run: RunInfo) -> None:
        """Starts from nothing."""
        super().start(run)
        self._forget()

    def learned(self) -> dict[str, NDArray[Any]]:
        """What was passed over, and when the model was trained, besides."""
        trained_on = np.array([self._trained_on], np.int64)
        return {**super().learned(), **self._passed.learned(), "trained_on": trained_on}

    def recall(self, learned: Mapping[str, NDArray[Any]]) -> None:
        """Takes that too."""
        super().recall(learned)
        self._passed.recall(learned)
        self._trained_on = int(learned["trained_on"][0])

    def items_moved(self, number: Ints) -> None:
        """Models are computed anew and passes forgotten: they speak of other items."""
        super().items_moved(number)
        self._forget()

    def _forget(self) -> None:
        self._passed = PassedOver(self.item_count)
        self._trained_on = 0

    def top(self, wanted: Wanted) -> Ints:
        """The best scores, watched items after the others."""
        step = max(CELLS // max(self.item_count, 1), 1)
        parts = [
            best(self._scores(part.users), self.watched.of(part.users), part.offsets, part.count)
            for part in (wanted.part(at, at + step) for at in range(0, len(wanted), step))
        ]
        return np.concatenate(parts) if parts else np.empty((0, wanted.count), np.int32)

    def _matrix(self, items: Ints, values: NDArray[Any]) -> Matrix:
        """[users + 1, items], the last row empty: it is read for users of whom nothing is known
        (row -1)."""
        from scipy.sparse import csr_array

        starts = np.append(self.watched.starts, self.watched.starts[-1])
        return csr_array(
            (values.astype(np.float32), items, starts), shape=(self.row_count + 1, self.item_count)
        )

    def _scores(self, users: Ints) -> Floats:
        scores = self.personal(users) + self._worth
        lists, items, times = self._passed.of(users)
        scores[lists, items] -= np.float32(FATIGUE) * np.log1p(times)
        return scores
