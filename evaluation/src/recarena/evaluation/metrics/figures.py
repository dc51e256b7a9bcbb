"""What the metrics of one arm of one run have in common, worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.runs.events import Bools, EventKind, Ints, Surface
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.runs.steered import left_out

NAN = float("nan")
Counts = NDArray[np.int64]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Some events: the columns that metrics need; all [rows], in the order of the log."""

    user: Ints
    round: Ints
    item: Ints
    value: NDArray[np.float32]
    position: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages that were asked for; all [pages], in the order of the log."""

    user: Ints
    round: Ints
    outcome: NDArray[np.int8]
    own: Bools
    """Whether the page is the recommender's own list."""


@dataclass(frozen=True, slots=True)
class Visits:
    """Visits to the recommender; all [visits], in the order of the log."""

    user: Ints
    round: Ints
    depth: Counts
    """Pages with the recommender's own list."""
    cut: Bools
    """Whether the log does not have the visit's end: after its last page the user went on."""
    searched: Bools
    """Whether the user searched after a page."""


class Figures:
    """Columns of one arm (without one: of all users), each made when it is first asked for.

    Credited are pages, items and watches on pages with the recommender's own list.
    """

    def __init__(self, log: RunLog, arm: str | None) -> None:
        self.log, self.arm = log, arm
        self._events = log.events_of(arm)
        self.rounds, self.items = log.rounds, len(log.item_ids)
        self.users = len(log.user_ids)
        """In the run, also those of other arms: the length of columns [users]."""
        self.own_users = int(log.users_of(arm).sum())
        """Of the arm."""
        self.lives = self.own_users - left_out(log, arm)
        """[rounds]: users of the arm who are in the figures."""

    def _rows(self, kind: EventKind, *, credited: bool) -> NDArray[np.intp]:
        chosen = self._events.kind == kind
        return np.flatnonzero(chosen & self._events.own if credited else chosen)

    def _columns(self, rows: NDArray[np.intp]) -> Rows:
        e = self._events
        return Rows(e.user[rows], e.round[rows], e.item[rows], e.value[rows], e.position[rows])

    @cached_property
    def _shown_rows(self) -> NDArray[np.intp]:
        return self._rows(EventKind.SHOWN, credited=True)

    @cached_property
    def shown(self) -> Rows:
        """Items shown, credited: the exposures."""
        return self._columns(self._shown_rows)

    @cached_property
    def watches(self) -> Rows:
        """Watches, credited."""
        return self._columns(self._rows(EventKind.WATCH, credited=True))

    @cached_property
    def _page_rows(self) -> NDArray[np.intp]:
        return self._rows(EventKind.PAGE, credited=False)

    @cached_property
    def pages(self) -> Pages:
        """All pages, whatever became of their lists."""
        e, rows = self._events, self._page_rows
        return Pages(e.user[rows], e.round[rows], e.outcome[rows], e.own[rows])

    @cached_property
    def _page_of_shown(self) -> NDArray[np.intp]:
        """[rows of shown]: which of the pages it stands on."""
        return np.searchsorted(self._page_rows, self._shown_rows) - 1

    @cached_property
    def list_starts(self) -> NDArray[np.intp]:
        """Where each credited list that is not empty begins among the rows of `shown`."""
        return np.flatnonzero(np.diff(self._page_of_shown, prepend=-1))

    @cached_property
    def unasked(self) -> Bools:
        """[rows of shown]: whether the recommender chose it without words of the user: in the feed
        or beside an item, not in answer to a search or in a conversation."""
        surface = self._events.surface[self._page_rows][self._page_of_shown]
        return (surface == Surface.FEED) | (surface == Surface.SIMILAR_ITEMS)

    @cached_property
    def visits(self) -> Visits:
        """All visits, also those whose pages failed."""
        e = self._events
        enters = np.flatnonzero(e.kind == EventKind.ENTER_RECOMMENDER)
        count = len(enters)

        def per_visit(rows: NDArray[np.intp]) -> Counts:
            visit = np.searchsorted(enters, rows, side="right") - 1
            same = (visit >= 0) & (e.user[enters[visit]] == e.user[rows]) if count else visit >= 0
            same = same & (e.round[enters[visit]] == e.round[rows]) if count else same
            return np.bincount(visit[same], minlength=count)

        pages, searches = self._page_rows, np.flatnonzero(e.kind == EventKind.SEARCH)
        # A search follows the page on which the user decides to search.
        after = np.searchsorted(pages, searches) - 1
        paged = after >= 0
        if len(pages):
            last = pages[after]
            paged &= (e.user[last] == e.user[searches]) & (e.round[last] == e.round[searches])
        leaves = per_visit(np.flatnonzero(e.kind == EventKind.LEAVE))
        return Visits(
            e.user[enters],
            e.round[enters],
            depth=per_visit(pages[e.own[pages]]),
            cut=(per_visit(pages) > 0) & (leaves == 0),
            searched=per_visit(searches[paged]) > 0,
        )

    @cached_property
    def searches(self) -> int:
        """How often users searched."""
        return int((self._events.kind == EventKind.SEARCH).sum())

    @cached_property
    def exposures(self) -> Counts:
        """[items]: how often each was shown."""
        return np.bincount(self.shown.item, minlength=self.items)

    @cached_property
    def genre_shares(self) -> Doubles:
        """[items, genres]: 1 / (number of the item's genres) for each of them; p(g|i)."""
        genres = self.log.genres
        return genres / np.maximum(genres.sum(axis=1, keepdims=True), 1)

    def genre_counts(self, group: NDArray[Any], item: Ints, groups: int) -> Doubles:
        """[groups, genres]: sums of p(g|i) over the rows (group, item) of each group."""
        shares = self.genre_shares
        columns = [
            np.bincount(group, weights=shares[item, genre], minlength=groups)
            for genre in range(shares.shape[1])
        ]
        return np.array(columns, np.float64).reshape(shares.shape[1], groups).T


def figures(log: RunLog, arm: str | None) -> Figures:
    """The figures of an arm. The log keeps those that were asked for last."""
    key = ("figures", arm)
    if key not in log.shared:
        log.shared.clear()
        log.shared[key] = Figures(log, arm)
    return log.shared[key]


def per_user(rows: Rows | Pages, users: int) -> Counts:
    """[users]: rows of each user."""
    return np.bincount(rows.user, minlength=users)


def ratio(part: float, whole: float) -> float:
    """NaN for nothing of nothing."""
    return part / whole if whole else NAN


def mean(values: NDArray[Any]) -> float:
    """NaN for no values."""
    return float(values.mean(dtype=np.float64)) if len(values) else NAN
