"""Runs played again from their own event log: without recommenders, without a network.

What recommenders showed stands in the log; what users do with it they decide anew, those with LLM
minds from the recording of their calls; what people decided who played users stands in the log
too. Where each round comes out as it was, the log is what its seed, its settings and those answers
make, and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from importlib import metadata
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recarena.server import evidence
from recarena.server.assembly import CHOICE, LLM, recorded_mind_of
from recarena.server.catalog import Catalog
from recarena.server.config import Settings
from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError, LogDeparted
from recarena.server.founding import settings_of
from recarena.server.interventions import of_events
from recarena.server.minds.person.logged import LoggedMind
from recarena.server.ports import (
    Feedback,
    Lists,
    Mind,
    RankRequest,
    Recommender,
    RoundTally,
    SearchRequest,
)
from recarena.server.rounds import RoundRules, play_round
from recarena.server.store.digest import round_digest
from recarena.server.store.run_folder import RunFolder
from recarena.server.store.tables import RoundRow
from recarena.server.store.volatile import VolatileStore
from recarena.server.types import (
    CONVERSATIONS,
    EVENT_COLUMNS,
    NOTHING,
    SEARCH_BOX,
    EventColumns,
    EventKind,
    Explained,
    Ints,
    Surface,
)
from recarena.server.wording import search_text
from recarena.server.world import World

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


class Company(Protocol):
    """Goes along with a run that is played again: sees what is asked and what comes of it."""

    world: World
    """The run's, before its first round; it is played in."""

    async def opens(
        self, row: RoundRow, arms: list[LoggedRecommender], changed: Ints
    ) -> Sequence[Recommender]:
        """A round begins, and the items `changed` are new or withdrawn since the last. Those
        returned are asked in place of `arms`, and answer the same."""
        ...

    async def closes(self, row: RoundRow, events: EventColumns) -> None:
        """A round came out as it was; the world has changed by it."""
        ...


async def play_again(
    folder: RunFolder, *, mind: Mind | None = None, rules: RoundRules | None = None,
    company: Company | None = None,
) -> AsyncGenerator[RoundRow, None]:  # fmt: skip
    """Plays the committed rounds of a run again in memory, and yields the row of each that comes
    out as it was, byte for byte.

    LogDeparted at the first round that does not, with what is otherwise in it. InputError where
    the log was changed, or is too old to have all that is needed.
    """
    settings = replayable(folder)
    dynamics = settings.world_dynamics()
    world = company.world if company else World(folder.world(), settings.seed, dynamics)
    mind = LoggedMind(mind or recorded_mind_of(settings, world.data, folder))
    try:
        async for row in _play_again(folder, world, mind, rules or settings.rules(), company):
            yield row
    finally:
        await mind.close()


async def _play_again(
    folder: RunFolder, world: World, mind: LoggedMind, rules: RoundRules, company: Company | None
) -> AsyncGenerator[RoundRow, None]:
    where, data = str(folder.path), world.data
    arm_of_user, store = folder.arm_of_user(), VolatileStore(keep=False)
    rows = folder.round_rows()
    for row, (events, memories) in zip(rows, folder.rounds(1, len(rows)), strict=True):
        if round_digest(store.digest, events) != row.digest:
            raise InputError(
                f"the events of round {row.round} do not give the digest in its row",
                where=where,
                remedy="The tables were changed; use a copy",
            )
        interventions = of_events(events)
        changed = world.take_up(interventions)
        logged = LoggedRound(folder.run_id, events, data.catalog, data.population.user_ids)
        surfaces = [row.surfaces.get(arm) for arm in folder.arms]
        _check_surfaces(where, row.round, folder.arms, surfaces, arm_of_user[logged.user])
        arms = [LoggedRecommender(logged, names or ()) for names in surfaces]
        mind.opens(events, memories)
        asked = await company.opens(row, arms, changed) if company else arms
        try:
            result = await play_round(world, mind, asked, arm_of_user, rules, interventions)
            logged.finish()
            await store.commit(result, row.sim_time)
            if store.digest != row.digest:
                told = difference(result.events, events, data)
                raise LogDeparted(f"run {folder.run_id}, round {row.round}: {told}")
        except LogDeparted as error:
            raise LogDeparted(f"{error}{_explanation(folder, row.round)}") from None
        world.apply(result)
        mind.committed(result.round, result.memories)
        if company:
            await company.closes(row, events)
        yield row


def replayable(folder: RunFolder) -> Settings:
    """The settings of a run. InputError where it cannot be decided anew."""
    where = str(folder.path)
    if "settings" not in folder.manifest:
        raise InputError("the manifest has no settings to play by", where=where)
    kind = dict(folder.manifest.get("mind", {})).get("kind", CHOICE)
    if kind not in (CHOICE, LLM):
        raise InputError(
            f"users with a mind of the kind {kind!r} decide otherwise the next time", where=where
        )
    return settings_of(folder)


def _check_surfaces(
    where: str,
    round: int,
    arms: Sequence[str],
    surfaces: Sequence[tuple[str, ...] | None],
    arm_of_page: NDArray[np.int8],
) -> None:
    """InputError where it is not known what the users of an arm had who opened it."""
    for number, (arm, names) in enumerate(zip(arms, surfaces, strict=True)):
        if names is None and (arm_of_page == number).any():
            raise InputError(
                f"round {round} was written by a version that did not keep whether users of arm "
                f"{arm} had a search box, nor the evidence of explanations: it cannot be played "
                "again",
                where=where,
                remedy="Its digest can still be verified: recarena digest --verify",
            )


def difference(found: EventColumns, logged: EventColumns, data: WorldData) -> str:
    """In what the first event differs that is not the same in both, in words."""
    size = min(len(found), len(logged))
    unlike: dict[str, NDArray[np.bool_]] = {}
    for name in EVENT_COLUMNS:
        one, other = getattr(found, name)[:size], getattr(logged, name)[:size]
        unlike[name] = (one != other) & ~((one != one) & (other != other))
    for name in ("text", "evidence"):
        one, other = getattr(found, name), getattr(logged, name)
        rows = [row for row in one.keys() | other.keys() if one.get(row) != other.get(row)]
        unlike[name] = np.isin(np.arange(size), rows)
    somewhere = np.any(list(unlike.values()), axis=0)
    if not somewhere.any():
        return f"{len(found)} events came out, and the log has {len(logged)}"
    row = int(np.argmax(somewhere))
    name = next(name for name, rows in unlike.items() if rows[row])
    kind, user = EventKind(int(logged.kind[row])).name.lower(), int(logged.user[row])
    of_user = f" of user {data.population.user_ids[user]}" if user >= 0 else ""
    return (
        f"event {row} ({kind}{of_user}): {name} is {_value(found, name, row)}, "
        f"and in the log {_value(logged, name, row)}"
    )


def _value(events: EventColumns, name: str, row: int) -> object:
    column: Mapping[int, str] | Ints = getattr(events, name)
    if isinstance(column, Mapping):
        return repr(column.get(row))
    if name == "kind":
        return EventKind(int(column[row])).name.lower()
    return column[row].item()


def _explanation(folder: RunFolder, round: int) -> str:
    """Why a round may come out otherwise, as far as the manifest tells."""
    made, here = folder.manifest.get("code_version", ""), metadata.version("recarena-server")
    if made and made != here:
        return f" (the run was made by version {made}; this is {here})"
    origin = folder.manifest.get("forked_from", {})
    if round <= int(origin.get("round", 0)):
        return f" (the round was copied from run {origin.get('run_id')}: play that one again)"
    return ""
