"""Rounds that people played, played again: what they did, and what was decided in their place when
they let a turn pass, stands in the log."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from recarena.server.errors import LogDeparted
from recarena.server.interventions import doings
from recarena.server.minds.person.mind import PersonMind
from recarena.server.minds.person.turns import (
    ActivityTurn,
    OpeningTurn,
    PageTurn,
    Settled,
    SocialTurn,
    Turn,
)
from recarena.server.ports import (
    Activities,
    Mind,
    Openings,
    PageDecision,
    SocialDecision,
    WorldView,
)
from recarena.server.types import (
    NOBODY,
    NOTHING,
    EventColumns,
    EventKind,
    Ints,
    MemoryColumns,
)

T = TypeVar("T", bound=np.generic)
ACTIVITIES = (EventKind.IDLE, EventKind.ENTER_RECOMMENDER, EventKind.ENTER_SOCIAL)
ACTIONS = (EventKind.NEXT, EventKind.SEARCH, EventKind.LEAVE)
TALK = (EventKind.CHAT, EventKind.POST)


class LoggedMind(PersonMind):
    """`PersonMind` of people who are a log. Others are decided for anew."""

    def __init__(self, inner: Mind) -> None:
        self._log = LoggedDesk()
        super().__init__(inner, self._log)
        self._memories = MemoryColumns.empty()

    def opens(self, events: EventColumns, memories: MemoryColumns) -> None:
        """The next round is the one that left these."""
        self._log.opens(events)
        self._memories = memories

    async def remember(self, world: WorldView, round: int, events: EventColumns) -> MemoryColumns:
        """Of a round with people what is stored, since a mind that decided from some turn on may
        have noted something; of any other round anew."""
        if self.has_people:
            return self._memories
        return await self.inner.remember(world, round, events)


class LoggedDesk:
    """A `Desk` that answers with what one round's log has."""

    def __init__(self) -> None:
        self._events = EventColumns.empty()

    def opens(self, events: EventColumns) -> None:
        """The next turns are those of the round with these events."""
        self._events = doings(events)

    async def ask(self, turn: Turn) -> Settled | None:
        """What the user did. LogDeparted where the log does not have it."""
        e = self._events
        first, end = np.searchsorted(e.user, [turn.user, turn.user + 1]).tolist()
        did = e.take(np.arange(first, end))
        match turn:
            case ActivityTurn():
                return _activity(turn, did)
            case OpeningTurn():
                return _opening(did)
            case PageTurn():
                return _page(turn, did)
            case SocialTurn():
                return _talk(did)


def _activity(turn: ActivityTurn, did: EventColumns) -> Activities:
    rows = _rows(did, *ACTIVITIES)
    if not len(rows):
        raise _departed(turn, "nothing")
    why = did.text.get(int(rows[0])) if did.kind[rows[0]] == EventKind.IDLE else None
    return Activities(did.kind[rows[:1]], {0: why} if why else {})


def _opening(did: EventColumns) -> Openings:
    rows = _rows(did, EventKind.CONVERSE)
    if not len(rows):
        return Openings(np.zeros(1, np.int16))
    words = did.text.get(int(rows[0]))
    return Openings(did.code[rows[:1]], {0: words} if words else {})


def _page(turn: PageTurn, did: EventColumns) -> PageDecision:
    did = did.take(did.step == turn.view.step)
    watches, actions = _rows(did, EventKind.WATCH), _rows(did, *ACTIONS)
    width = turn.view.items.shape[1]
    if not len(actions) or len(watches) > width:
        raise _departed(turn, f"no such page as its page {turn.view.step}")
    row = int(actions[0])
    action = EventKind(int(did.kind[row]))
    said = did.text.get(row)

    def beside(values: NDArray[Any], filler: int, dtype: type[T]) -> NDArray[T]:
        column = np.full((1, width), filler, dtype)
        column[0, : len(watches)] = values[watches]
        return column

    feelings = ((column, did.text.get(watch)) for column, watch in enumerate(watches.tolist()))
    return PageDecision(
        watched=beside(did.position, -1, np.int32),
        rating=beside(did.value, 0, np.int8),
        appraisal=beside(did.appraisal, 0, np.float32),
        code=beside(did.code, 0, np.int16),
        action=np.array([action], np.int8),
        sought=did.item[[row]],
        sought_code=did.code[[row]],
        words={(0, column): words for column, words in feelings if words is not None},
        query={0: said} if said and action is EventKind.SEARCH else {},
        failed={0: said} if said and action is EventKind.LEAVE else {},
    )


def _talk(did: EventColumns) -> SocialDecision:
    enters, said = _rows(did, EventKind.ENTER_SOCIAL), _rows(did, *TALK)
    why = did.text.get(int(enters[0])) if len(enters) else None
    failed = {0: why} if why else {}
    if not len(said):
        none: Ints = np.full(1, NOBODY, np.int32)
        return SocialDecision(
            np.zeros(1, np.int8), none, np.full(1, NOTHING, np.int32), np.zeros(1, np.float32),
            np.zeros(1, np.int16), failed=failed,
        )  # fmt: skip
    row = said[:1]
    words = did.text.get(int(said[0]))
    return SocialDecision(
        did.kind[row], did.other[row], did.item[row], did.value[row], did.code[row],
        {0: words} if words is not None else {}, failed,
    )  # fmt: skip


def _rows(events: EventColumns, *kinds: EventKind) -> NDArray[np.intp]:
    return np.flatnonzero(np.isin(events.kind, np.array(kinds, np.int8)))


def _departed(turn: Turn, logged: str) -> LogDeparted:
    user = turn.world.population.user_ids[turn.user]
    return LogDeparted(
        f"round {turn.round}, user {user}: a person's decision was asked for, but the log has "
        f"{logged}"
    )
