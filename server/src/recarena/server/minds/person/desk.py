"""The desk of a live run: one open turn a user, until somebody decides or its time is over."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from enum import IntEnum

from recarena.server.errors import Conflict
from recarena.server.minds.person.rules import taken
from recarena.server.minds.person.turns import ActivityTurn, Choice, Turn


class TurnOutcome(IntEnum):
    """What became of a turn (the numbers of `recarena.v1.TurnOutcome`)."""

    NONE = 0
    """There was none."""
    DECIDED = 1
    TIMED_OUT = 2


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """A turn that waits for a decision."""

    id: str
    turn: Turn
    deadline: float
    """By the event loop's clock; at this moment it is over."""


@dataclass(frozen=True, slots=True)
class TurnState:
    """What there is to decide for a user."""

    version: int
    """Grows with every change."""
    open: OpenTurn | None
    remaining_s: float
    """Of the open turn; 0 without."""
    last_outcome: TurnOutcome
    missed_rounds: int
    """How many rounds in a row nobody decided anything."""


@dataclass(slots=True)
class _Place:
    """Of one user."""

    version: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    open: OpenTurn | None = None
    answer: asyncio.Future[Choice | None] | None = None
    """Of the open turn; None: its time was over."""
    last_outcome: TurnOutcome = TurnOutcome.NONE
    is_over: bool = False
    """A turn of the round was missed: the user's own mind decides until the next."""
    has_decided: bool = False
    """Somebody decided something in the round."""
    missed: set[int] = field(default_factory=set[int])
    """The rounds in a row in which nobody decided anything."""
    left_in: int = -1
    """The round during which whoever sat there went away; -1: none."""

    def begins(self, round: int) -> None:
        """A round begins, perhaps once more."""
        self.is_over = self.has_decided = False
        self.missed.discard(round)
        if round - 1 not in self.missed:
            self.missed.clear()

    def changes(self, open: OpenTurn | None) -> None:
        """Tells all who watch."""
        self.open = open
        self.version += 1
        self.changed.set()
        self.changed = asyncio.Event()


class TurnDesk:
    """A `Desk` before which people sit somewhere else. All in one event loop; a turn's deadline is
    by its clock. A turn whose round is given up is withdrawn; played again, it is asked again."""

    def __init__(self) -> None:
        self._places: dict[int, _Place] = {}
        self._turns = 0
        self._mark = secrets.token_hex(4)
        """Parts this desk's turns from those of the same run opened before."""

    async def ask(self, turn: Turn) -> Choice | None:
        """Puts the turn before whoever plays the user, for the world's time for a turn."""
        place = self._place(turn.user)
        if isinstance(turn, ActivityTurn):
            place.begins(turn.round)
        if place.is_over or place.left_in == turn.round:
            return None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + float(turn.world.turn_time_s[turn.user])
        self._turns += 1
        number = f"{turn.round}.{turn.user}.{self._turns}.{self._mark}"
        opened = OpenTurn(number, turn, deadline)
        place.answer = loop.create_future()
        place.changes(opened)
        alarm = loop.call_at(deadline, self._time_is_over, place, opened)
        try:
            return await place.answer
        finally:
            alarm.cancel()
            if place.open is opened:
                place.changes(None)

    def decide(self, user: int, turn_id: str, choice: Choice) -> None:
        """Ends an open turn with a choice. InputError, and the turn goes on, for one that it does
        not allow (the module `rules`); Conflict for a turn that is over."""
        place = self._places.get(user)
        opened = place.open if place else None
        if place is None or opened is None or opened.id != turn_id:
            raise Conflict(f"turn {turn_id!r} is over: decide the one that is open, if there is")
        if opened.deadline <= asyncio.get_running_loop().time():
            raise Conflict(f"turn {turn_id!r} is over: its time was up")
        self._end(place, TurnOutcome.DECIDED, taken(opened.turn, choice))

    def leave(self, user: int, round: int) -> None:
        """Whoever plays the user goes away during a round: nobody is asked for the rest of it."""
        place = self._place(user)
        place.left_in = round
        opened, answer = place.open, place.answer
        if opened and answer and opened.turn.round == round:
            place.changes(None)
            if not answer.done():
                answer.set_result(None)

    def state(self, user: int) -> TurnState:
        """As it is now."""
        place, remaining = self._place(user), 0.0
        if place.open:
            remaining = max(place.open.deadline - asyncio.get_running_loop().time(), 0.0)
        return TurnState(
            place.version, place.open, remaining, place.last_outcome, len(place.missed)
        )

    async def watch(self, user: int, seen: int) -> TurnState:
        """The state, when its version is above `seen` (-1: at once)."""
        place = self._place(user)
        while place.version <= seen:
            await place.changed.wait()
        return self.state(user)

    def _place(self, user: int) -> _Place:
        return self._places.setdefault(user, _Place())

    def _time_is_over(self, place: _Place, opened: OpenTurn) -> None:
        if place.open is opened:
            self._end(place, TurnOutcome.TIMED_OUT, None)

    def _end(self, place: _Place, outcome: TurnOutcome, choice: Choice | None) -> None:
        """The one place where a turn ends with something: whichever comes first, time or choice."""
        opened, answer = place.open, place.answer
        assert opened is not None
        assert answer is not None
        place.last_outcome = outcome
        if outcome is TurnOutcome.DECIDED:
            place.has_decided = True
            place.missed.clear()
        else:
            place.is_over = True
            if not place.has_decided:
                place.missed.add(opened.turn.round)
        place.changes(None)
        if not answer.done():
            answer.set_result(choice)
