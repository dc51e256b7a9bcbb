"""A round's log in the place of recommenders: what they showed, handed out once more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from recarena.server import evidence
from recarena.server.catalog import Catalog
from recarena.server.errors import LogDeparted
from recarena.server.ports import (
    Feedback,
    Lists,
    RankRequest,
    RoundTally,
    SearchRequest,
)
from recarena.server.types import (
    CONVERSATIONS,
    NOTHING,
    SEARCH_BOX,
    EventColumns,
    EventKind,
    Explained,
    Ints,
    Surface,
)
from recarena.server.wording import search_text

SURFACE_NAMES: dict[int, str] = {
    Surface.FEED: "the feed",
    Surface.SEARCH: "the search",
    Surface.CONVERSATION: "the conversation",
}


class LoggedRound:
    """The pages of one round as the log has them. Each is handed out once, a user's in their
    order, users in any; a request must be the one that the logged page answered."""

    def __init__(self, run: str, events: EventColumns, catalog: Catalog, user_ids: Sequence[str]):
        """`events` of one round, in the order of the log. LogDeparted where they cannot be
        events of this catalogue and these users. Interventions are passed over."""
        interventions = events.kind == EventKind.INTERVENTION
        if interventions.any():
            events = events.take(~interventions)
        self._events, self._catalog, self._user_ids = events, catalog, user_ids
        self._where = f"run {run}, round {int(events.round[0])}" if len(events) else f"run {run}"
        self._check()
        is_page = events.kind == EventKind.PAGE
        self._row: NDArray[np.intp] = np.flatnonzero(is_page)
        self.user = events.user[self._row]
        """[pages], ascending."""
        everybody = np.arange(len(user_ids))
        self._next = np.searchsorted(self.user, everybody, "left")
        """[users]: the page that comes next."""
        self._end = np.searchsorted(self.user, everybody, "right")
        self._surface = events.surface[self._row]
        self._page = self._numbers()
        self._read_items(np.cumsum(is_page) - 1)

    def _check(self) -> None:
        """That rows can be followed at all; whether they are right, playing will tell."""
        e, shown = self._events, self._events.kind == EventKind.SHOWN
        users_ok = (np.diff(e.user) >= 0).all() and (e.user >= 0).all()
        if not users_ok or (e.user >= len(self._user_ids)).any():
            raise LogDeparted(f"{self._where}: the log has events of users who are not there")
        if (e.item[shown] < 0).any() or (e.item >= len(self._catalog)).any():
            raise LogDeparted(f"{self._where}: the log has items that the catalogue has not")
        before = np.concatenate([[EventKind.IDLE], e.kind[:-1]])[shown]
        if not np.isin(before, (EventKind.PAGE, EventKind.SHOWN)).all():
            raise LogDeparted(f"{self._where}: the log shows items that are on no page")
        if (e.position[shown] < 0).any():
            raise LogDeparted(f"{self._where}: the log shows items at no position")
        typed = np.isin(e.kind, (EventKind.SEARCH, EventKind.CONVERSE))
        if (e.code[typed] > len(self._catalog.genre_names)).any():
            raise LogDeparted(f"{self._where}: the log has searches for genres that are not there")

    def _numbers(self) -> NDArray[np.int64]:
        """[pages]: which page of its list each is, from 0. A search and what follows a
        conversation begin a list; any other page but the first goes on with one."""
        if not len(self._row):
            return np.empty(0, np.int64)
        same = np.concatenate([[False], self.user[1:] == self.user[:-1]])
        cause = self._events.kind[self._row - 1]
        talked = np.concatenate([[False], self._surface[:-1] == Surface.CONVERSATION])
        begins = ~same | talked | (cause == EventKind.SEARCH)
        at = np.arange(len(self._row))
        self._begin = np.maximum.accumulate(np.where(begins, at, 0))
        return at - self._begin

    def _read_items(self, page_of_row: NDArray[np.intp]) -> None:
        """The lists, and what was said of their items."""
        e = self._events
        shown = np.flatnonzero(e.kind == EventKind.SHOWN)
        page, position = page_of_row[shown], e.position[shown]
        width = int(position.max(initial=-1)) + 1
        self._items = np.full((len(self._row), width), NOTHING, np.int32)
        self._items[page, position] = e.item[shown]
        self._said: dict[int, list[tuple[int, int]]] = {}
        """Page -> (position, row) of the items with an explanation."""
        if e.text:
            for row, at, place in zip(
                shown.tolist(), page.tolist(), position.tolist(), strict=True
            ):
                if row in e.text:
                    self._said.setdefault(at, []).append((place, row))

    # ------------------------------------------------------------------ handing out

    def ranked(self, request: RankRequest) -> Lists:
        """The pages of the feed that the log has next. LogDeparted where it has others."""
        return self._lists(request, Surface.FEED)

    def found(self, request: SearchRequest) -> Lists:
        """The same for a search or a conversation, with the same words."""
        talks = request.conversation
        return self._lists(request, Surface.CONVERSATION if talks else Surface.SEARCH)

    def _lists(self, request: RankRequest | SearchRequest, surface: Surface) -> Lists:
        at = self._next[request.users]
        there = at < self._end[request.users]
        fits, known = there.copy(), at[there]
        fits[there] = (self._surface[known] == surface) & (
            self._page[known] * request.count == request.offsets[there]
        )
        if isinstance(request, SearchRequest):
            for row in np.flatnonzero(fits).tolist():
                fits[row] = self._words(int(at[row])) == request.texts[request.text_of[row]]
        if not fits.all():
            row = int(np.argmin(fits))
            words = ""
            if isinstance(request, SearchRequest):
                words = request.texts[request.text_of[row]]
            asked = described(surface, int(request.offsets[row]), words)
            logged = "nothing more of this user"
            if there[row]:
                logged = self._described(int(at[row]), request.count)
            raise self._departed(int(request.users[row]), f"{asked} was asked for", logged)
        self._next[request.users] += 1
        return self._answer(at, request.count)

    def _answer(self, at: NDArray[np.intp], count: int) -> Lists:
        """The logged pages `at` as lists of `count` items."""
        e, rows = self._events, self._row[at]
        logged = self._items[at]
        too_many = (logged[:, count:] >= 0).any(axis=1)
        if too_many.any():
            user = int(self.user[at[np.argmax(too_many)]])
            raise self._departed(user, f"a page of {count} was asked for", "a larger one")
        items = np.full((len(at), count), NOTHING, np.int32)
        items[:, : logged.shape[1]] = logged[:, :count]
        found = Lists(items, e.outcome[rows])
        if not e.text:
            return found
        for row, (page, event) in enumerate(zip(at.tolist(), rows.tolist(), strict=True)):
            if event in e.text:
                found.tokens[row] = e.text[event]
            for position, said in self._said.get(page, ()):
                found.explanations[row, position] = e.text[said]
                if e.code[said] == Explained.WITHHELD:
                    found.withheld.add((row, position))
                if pieces := e.evidence.get(said, ""):
                    found.evidence[row, position] = pieces
                    if claims := self._claims(said, pieces):
                        found.claims[row, position] = claims
        return found

    def _claims(self, row: int, pieces: str) -> tuple[int, ...]:
        try:
            return evidence.claims(pieces, self._catalog)
        except ValueError as error:
            raise LogDeparted(f"{self._where}, event {row}: {error}") from None

    def finish(self) -> None:
        """LogDeparted where the log has a page that nobody asked for."""
        left = self._next < self._end
        if left.any():
            user = int(np.argmax(left))
            raise self._departed(
                user, "no more was asked for", self._described(int(self._next[user]), 1, "page ")
            )

    # ------------------------------------------------------------------ telling

    def _words(self, page: int) -> str:
        """What the user typed to get to a page of a search or a conversation."""
        cause = int(self._row[self._begin[page]]) - 1
        e = self._events
        own = e.text.get(cause)
        return own or search_text(self._catalog, int(e.item[cause]), int(e.code[cause]))

    def _described(self, page: int, count: int, unit: str = "rank ") -> str:
        surface = int(self._surface[page])
        words = "" if surface == Surface.FEED else self._words(page)
        return described(surface, int(self._page[page]) * count, words, unit)

    def _departed(self, user: int, asked: str, logged: str) -> LogDeparted:
        return LogDeparted(
            f"{self._where}, user {self._user_ids[user]}: {asked}, but the log has {logged}"
        )


def described(surface: int, at: int, words: str, unit: str = "rank ") -> str:
    """A page in words: "the search for 'Comedy' from rank 5"."""
    about = f" for {words!r}" if words else ""
    return f"{SURFACE_NAMES.get(surface, f'surface {surface}')}{about} from {unit}{at}"


class LoggedRecommender:
    """The `Recommender` port of one arm in one round, answered from the log: items, outcomes (also
    those that the failure policy replaced), tokens, explanations and claims as they were."""

    def __init__(self, logged: LoggedRound, surfaces: Sequence[str]) -> None:
        """`surfaces`: what the users of the arm had in this round."""
        self._logged = logged
        self.can_search = SEARCH_BOX in surfaces
        self.can_converse = CONVERSATIONS in surfaces

    async def catalog_changed(self, changed: Ints) -> None:
        """Nothing: what was shown stands in the log."""

    async def round_started(self, round: int, sim_time: datetime, expected: int) -> float:
        """At once."""
        return 0.0

    async def rank(self, request: RankRequest) -> Lists:
        """As `LoggedRound.ranked`."""
        return self._logged.ranked(request)

    async def search(self, request: SearchRequest) -> Lists:
        """As `LoggedRound.found`."""
        return self._logged.found(request)

    async def round_ended(self, feedback: Feedback, tally: RoundTally) -> None:
        """A log learns nothing."""
