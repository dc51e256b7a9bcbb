"""What users did, summed up round by round: what the standings of arms are made of.

What counts is as in `recarena report`: watches, items and pages of lists that are the recommender's
own; a page that failed stays in the denominators. Rounds that a person played a user in are left
out for that user, unless they are asked for.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.observatory.columns import Bools, Columns, Kind

Doubles = NDArray[np.float64]
Counts = NDArray[np.int64]
SUMS = (
    "watches", "shown", "pages", "unusable", "own_pages", "visits", "searches", "rated", "rating",
    "returns", "could_return", "rounds",
)  # fmt: skip
"""What is summed for every user."""
DEEPEST = 64
"""Pages of a visit that are told apart; a step cap is far below."""


class Tally:
    """Sums of rounds that are added in order."""

    def __init__(self, users: int) -> None:
        self.users, self.round = users, 0
        self.user_rounds_by_people = 0
        """Of all that were added, left out or not."""
        self._sums: dict[str, Doubles] = {name: np.zeros(users) for name in SUMS}
        self._visited = np.zeros(users, np.bool_)
        self._counted = np.zeros(users, np.bool_)
        self._ended = np.zeros((users, DEEPEST + 1), np.int32)
        """[users, depth]: visits that ended at a depth."""
        self._cut = np.zeros((users, DEEPEST + 1), np.int32)
        """The same, of those whose end is not in the log."""

    def columns(self) -> dict[str, Doubles]:
        """[users] each, by the names of SUMS."""
        return self._sums

    def add(self, events: Columns, people: Counts, *, with_people: bool) -> dict[str, Doubles]:
        """Adds the next round; the sums of the round alone, [users] each."""
        self.round += 1
        self.user_rounds_by_people += len(people)
        counted = np.ones(self.users, np.bool_)
        if not with_people:
            counted[people] = False
        of = self._of_round(events, counted)
        for name, column in of.items():
            self._sums[name] += column
        return of

    def _of_round(self, events: Columns, counted: Bools) -> dict[str, Doubles]:
        own, kind = events.own(), events.kind
        mine = (events.user >= 0) & counted[events.user]

        def per_user(rows: Bools, weights: Any = None) -> Doubles:
            chosen = rows & mine
            weight = None if weights is None else weights[chosen].astype(np.float64)
            return np.bincount(events.user[chosen], weight, self.users).astype(np.float64)

        watch, page = (kind == Kind.WATCH) & own, kind == Kind.PAGE
        rated = watch & (events.value > 0)
        visits = per_user(kind == Kind.ENTER_RECOMMENDER)
        there = visits > 0
        # Who was there before and might come again, in two rounds that both count.
        could = self._visited & self._counted & counted
        self._note_depths(events, own, mine, there)
        self._visited, self._counted = there, counted
        return {
            "watches": per_user(watch),
            "shown": per_user((kind == Kind.SHOWN) & own),
            "pages": per_user(page),
            "unusable": per_user(page & ~own),
            "own_pages": per_user(page & own),
            "visits": visits,
            "searches": per_user(kind == Kind.SEARCH),
            "rated": per_user(rated),
            "rating": per_user(rated, events.value),
            "returns": (could & there).astype(np.float64),
            "could_return": could.astype(np.float64),
            "rounds": counted.astype(np.float64),
        }

    def _note_depths(self, events: Columns, own: Bools, mine: Bools, there: Bools) -> None:
        """A round has at most one visit of a user."""

        def count(rows: Bools) -> Counts:
            return np.bincount(events.user[rows & mine], minlength=self.users)

        page = events.kind == Kind.PAGE
        depth = np.minimum(count(page & own), DEEPEST)
        cut = there & (count(page) > 0) & (count(events.kind == Kind.LEAVE) == 0)
        ended = there & ~cut
        self._ended[np.flatnonzero(ended), depth[ended]] += 1
        self._cut[np.flatnonzero(cut), depth[cut]] += 1

    def exit_depth(self, users: Bools) -> float:
        """Mean pages of the recommender's own a visit, those that were cut short counted as having
        gone on (Kaplan and Meier 1958); NaN without visits."""
        ended = self._ended[users].sum(axis=0, dtype=np.int64)
        cut = self._cut[users].sum(axis=0, dtype=np.int64)
        reached = (ended + cut)[::-1].cumsum()[::-1]
        if not reached[0]:
            return math.nan
        deepest = int(np.flatnonzero(ended + cut).max())
        survival = np.cumprod(1 - ended[:deepest] / reached[:deepest])
        return float(survival.sum())
