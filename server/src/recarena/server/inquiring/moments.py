"""The past of a run, walked through by its log: the world at the start of a round, and the pages
that users saw in it.

A run is read as its folder has it, never opened for writing: it may be played on meanwhile, by this
process or another one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError
from recarena.server.inquiring.questions import Impression, Inquiry
from recarena.server.inquiring.respondent import Moment, Respondent, Seen
from recarena.server.interventions import Intervention
from recarena.server.logged import LoggedRound
from recarena.server.ports import PageView
from recarena.server.replaying import replayable
from recarena.server.steering.turning import turned
from recarena.server.store.run_folder import RunFolder
from recarena.server.store.steered import interventions_by_round
from recarena.server.types import (
    NOTHING,
    SEARCH_BOX,
    EventKind,
    Ints,
    MemoryColumns,
    RoundResult,
    Surface,
)
from recarena.server.world import World

REMEMBERED_ROUNDS = 8
"""Rounds whose pages are kept, for inquiries that come back to them."""


class PastPages(LoggedRound):
    """The pages of a round, looked up rather than handed out."""

    with_search: frozenset[int] = frozenset()
    """Arms whose users had a search box."""

    def find(self, user: int, step: int) -> int | None:
        """The page that a user saw at a step of the visit, if there was one."""
        first, end = int(self._next[user]), int(self._end[user])
        steps: list[int] = self._events.step[self._row[first:end]].tolist()
        return first + steps.index(step) if step in steps else None

    def items(self, page: int, width: int) -> Ints:
        """[1, width]: what stood on a page, NOTHING where it was shorter."""
        shown = self._items[page]
        made = np.full((1, max(width, len(shown))), NOTHING, np.int32)
        made[0, : len(shown)] = shown
        return made

    def number(self, page: int) -> int:
        """Which page of its list it was, from 0."""
        return int(self._page[page])

    def surface(self, page: int) -> int:
        """Where it was shown."""
        return int(self._surface[page])

    def sought(self, page: int) -> int:
        """The item that the search behind the page was for, NOTHING: none."""
        cause = int(self._row[self._begin[page]]) - 1
        is_search = cause >= 0 and int(self._events.kind[cause]) == EventKind.SEARCH
        return int(self._events.item[cause]) if is_search else NOTHING

    def watched_before(self, page: int) -> Ints:
        """[1, n]: what the user had watched in the visit when the page was shown."""
        e, row = self._events, int(self._row[page])
        first = int(self._first[int(self.user[page])])
        mine = e.kind[first:row] == np.int8(EventKind.WATCH)
        return e.item[first:row][mine][None, :]

    @cached_property
    def _first(self) -> NDArray[np.intp]:
        """[users]: the row of each one's first event."""
        return np.searchsorted(self._events.user, np.arange(len(self._user_ids)))


class Past:
    """One run, up to its last committed round."""

    def __init__(self, path: Path) -> None:
        """InputError, NotFound where there is no run, or one without settings to go by."""
        self.folder = RunFolder.open(path)
        self.settings = replayable(self.folder)
        self.data = self.folder.world()
        """As interventions have changed it up to the last round that was looked at: what the
        numbers of users and items stand for."""
        self._looked_at = 0
        self._interventions: dict[int, list[Intervention]] = {}
        self._catch_up()
        self._arm_of_user: NDArray[np.int8] = self.folder.arm_of_user()
        self._pages: OrderedDict[int, PastPages] = OrderedDict()

    @property
    def last_round(self) -> int:
        """The last round that is committed by now."""
        return self.folder.last_round

    def close(self) -> None:
        """Lets go of the folder."""
        self.folder.close()

    def interventions(self, round: int) -> list[Intervention]:
        """Those that a round began with; none of one that is not committed."""
        if round > self._looked_at:
            self._catch_up()
        return self._interventions.get(round, [])

    def _catch_up(self) -> None:
        last = self.folder.last_round
        found = interventions_by_round(self.folder, self._looked_at + 1, last)
        self._looked_at = last
        self._interventions |= found
        for round in sorted(found):
            turned(self.data, found[round])

    async def item_at(self, user: int, round: int, shown: Impression, where: str) -> int:
        """The item that a user was shown in a round. InputError, with `where` before the field,
        where nothing was shown there."""
        _, _, items = await self._page(user, round, shown, where)
        return int(items[0, shown.position])

    async def seen(self, inquiry: Inquiry, where: str) -> Seen:
        """An inquiry with its page. InputError as `item_at`."""
        shown = inquiry.impression
        if shown is None:
            return by_itself(inquiry)
        user, round = inquiry.user, inquiry.before_round
        pages, page, items = await self._page(user, round, shown, where)
        view = _view(
            inquiry,
            items,
            shown.position,
            step=shown.step,
            page=pages.number(page),
            surface=pages.surface(page),
            sought=pages.sought(page),
            can_search=int(self._arm_of_user[user]) in pages.with_search,
            watched_now=pages.watched_before(page),
        )
        return Seen(inquiry, view, shown.position)

    async def _page(
        self, user: int, round: int, shown: Impression, where: str
    ) -> tuple[PastPages, int, Ints]:
        name = self.data.population.user_ids[user]
        pages = await self._pages_of(round)
        page = None if pages is None else pages.find(user, shown.step)
        if pages is None or page is None:
            raise InputError(
                f"user {name} saw no page {shown.step} in round {round}",
                where=f"{where}.impression.step",
            )
        items = pages.items(page, self.settings.visits.page_size)
        if shown.position >= items.shape[1] or items[0, shown.position] == NOTHING:
            raise InputError(
                f"nothing stood at position {shown.position} of page {shown.step} of user {name} "
                f"in round {round}",
                where=f"{where}.impression.position",
            )
        return pages, page, items

    async def _pages_of(self, round: int) -> PastPages | None:
        """The pages of a committed round; None of one that is not."""
        if round not in self._pages:
            if round > self.folder.last_round:
                return None
            self._pages[round] = await asyncio.to_thread(self._read_pages, round)
            while len(self._pages) > REMEMBERED_ROUNDS:
                self._pages.popitem(last=False)
        self._pages.move_to_end(round)
        return self._pages[round]

    def _read_pages(self, round: int) -> PastPages:
        folder, data = self.folder, self.data
        events, _ = next(folder.rounds(round, round))
        if round > self._looked_at:
            self._catch_up()
        pages = PastPages(folder.run_id, events, data.catalog, data.population.user_ids)
        surfaces = folder.round_rows()[round - 1].surfaces
        pages.with_search = frozenset(
            number for number, arm in enumerate(folder.arms) if SEARCH_BOX in surfaces.get(arm, ())
        )
        return pages


class Walk:
    """The world of a run on its way through the rounds, and a respondent that goes with it."""

    def __init__(self, past: Past, respondent: Respondent, data: WorldData | None = None) -> None:
        """At the start of round 1. `data`: the world that the run began with, if the respondent
        goes by it too; it is the walk's own from now on."""
        settings = past.settings
        self.respondent = respondent
        self._past, self._folder = past, past.folder
        data = data or past.folder.world()
        self._world = World(data, settings.seed, settings.world_dynamics())

    @property
    def round(self) -> int:
        """The round at whose start the world stands."""
        return self._world.round + 1

    async def to(self, round: int) -> Moment:
        """The world at the start of a round that is not before the present one, changed by the
        interventions that take effect then; the respondent is told what was remembered of the
        rounds in between. Where this is broken off, world and respondent may have parted, and the
        walk is not to be used again."""
        while self.round < round:
            number, memories = await asyncio.to_thread(self._next)
            self.respondent.committed(number, memories)
        self._world.take_up(self._past.interventions(round))
        return Moment(self._world, round)

    def _next(self) -> tuple[int, MemoryColumns]:
        number = self.round
        events, memories = next(self._folder.rounds(number, number))
        self._world.apply(RoundResult(number, 0, events, memories))
        return number, memories


def by_itself(inquiry: Inquiry) -> Seen:
    """An item on a page of its own, at home; without an item, a page of nothing."""
    items = np.array([[inquiry.item] if inquiry.item >= 0 else []], np.int32).reshape(1, -1)
    at = 0 if inquiry.item >= 0 else -1
    none = np.empty((1, 0), np.int32)
    view = _view(
        inquiry, items, at, step=0, page=0, surface=Surface.FEED, sought=NOTHING,
        can_search=False, watched_now=none,
    )  # fmt: skip
    return Seen(inquiry, view, at)


def _view(
    inquiry: Inquiry, items: Ints, at: int, *, step: int, page: int, surface: int, sought: int,
    can_search: bool, watched_now: Ints,
) -> PageView:  # fmt: skip
    """What the user sees: nothing is said of any item but the one in question."""
    told = inquiry.told
    here = (0, at)
    return PageView(
        round=inquiry.before_round,
        step=step,
        users=np.array([inquiry.user], np.int32),
        items=items,
        page=np.array([page], np.int16),
        surface=np.array([surface], np.int8),
        sought=np.array([sought], np.int32),
        can_search=can_search,
        watched_now=watched_now,
        claims={here: told.claims} if told and told.claims and at >= 0 else {},
        explanations={here: told.text} if told and told.text and at >= 0 else {},
    )
