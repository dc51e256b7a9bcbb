"""People who play users: for whom somebody sits at the desk, the desk is asked; the run's own mind
decides for all others, and for those whom a person kept waiting, to the end of the round."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recarena.server.minds.parts import D, put_together, rows_of_view
from recarena.server.minds.person.turns import (
    ActivityTurn,
    Choice,
    Desk,
    Doing,
    Opened,
    OpeningTurn,
    PageChoice,
    PageTurn,
    Said,
    Settled,
    SocialTurn,
    Turn,
)
from recarena.server.minds.taken import PageTaken, Talked, page_decision, social_decision
from recarena.server.ports import (
    Activities,
    Manner,
    Mind,
    Openings,
    PageDecision,
    PageView,
    SocialDecision,
    WorldView,
)
from recarena.server.together import at_most
from recarena.server.types import (
    NOBODY,
    Bools,
    EventColumns,
    EventKind,
    Ints,
    MemoryColumns,
    Surface,
)

T = TypeVar("T")
Rows = NDArray[np.intp]
NO_LIMIT = 100_000
"""People asked at once: nobody waits for another's turn."""
ASKED_FOR = (Surface.SEARCH, Surface.CONVERSATION)
"""Surfaces of pages that a user's words lead to."""


class PersonMind:
    """A `Mind` of people and another mind. Where `world.by_person` has nobody, it is `inner`."""

    def __init__(self, inner: Mind, desk: Desk) -> None:
        self.inner = inner
        self._desk = desk
        self._round = 0
        self._played: Bools | None = None
        """[users]: whom people play in the round; None: nobody."""
        self._asked: set[int] = set()
        self._decided: set[int] = set()
        self._words: dict[int, str] = {}
        """User -> words that led to the page."""

    def missed(self, round: int) -> list[int]:
        """Users whom people play and for whom nobody decided anything in a round, ascending, if it
        is the round that was played last."""
        return sorted(self._asked - self._decided) if round == self._round else []

    @property
    def has_people(self) -> bool:
        """Whether people play anybody in the round."""
        return self._played is not None

    # ------------------------------------------------------------------ passed on

    async def prepare(self) -> dict[str, object]:
        """As the other mind: people are there or not."""
        return await self.inner.prepare()

    async def remember(self, world: WorldView, round: int, events: EventColumns) -> MemoryColumns:
        """As the other mind, of all users: a memory is made from what was done."""
        return await self.inner.remember(world, round, events)

    def committed(self, round: int, memories: MemoryColumns) -> None:
        """As the other mind."""
        self.inner.committed(round, memories)

    async def close(self) -> None:
        """As the other mind."""
        await self.inner.close()

    def manners(self) -> list[Manner]:
        """People each in a cohort of one, all at once, so that nobody else waits for them."""
        theirs = self.inner.manners()
        if self._played is None:
            return theirs
        played = self._played

        def without_people(manner: Manner) -> Manner:
            return Manner(
                lambda users: manner.of(users[~played[users]]),
                manner.cohort_size,
                manner.cohorts_at_once,
            )

        people = Manner(lambda users: users[played[users]], 1, NO_LIMIT)
        return [people, *(without_people(manner) for manner in theirs)]

    # ------------------------------------------------------------------ deciding

    async def choose_activity(self, world: WorldView, round: int, users: Ints) -> Activities:
        """The other mind says what everybody would do; people say otherwise."""
        self._round, self._asked, self._decided, self._words = round, set(), set(), {}
        self._played = world.by_person.copy() if world.by_person.any() else None
        habit = await self.inner.choose_activity(world, round, users)

        async def ask(row: int) -> Activities | None:
            choice = await self._ask(ActivityTurn(world, round, int(users[row])))
            if isinstance(choice, Doing):
                return Activities(np.array([choice.kind], np.int8))
            return settled(Activities, choice)

        async def by_habit(rows: Rows) -> Activities:
            at = {old: new for new, old in enumerate(rows.tolist())}
            failed = {at[row]: why for row, why in habit.failed.items() if row in at}
            return Activities(habit.kind[rows], failed)

        return await self._decide(Activities, users, ask, by_habit) or habit

    async def opens_with_words(self, world: WorldView, round: int, users: Ints) -> Openings:
        """A person's own words, or none."""

        async def ask(row: int) -> Openings | None:
            choice = await self._ask(OpeningTurn(world, round, int(users[row])))
            if isinstance(choice, Opened):
                self._words[int(users[row])] = choice.words
                words = {0: choice.words} if choice.words else {}
                return Openings(np.zeros(1, np.int16), words)
            return settled(Openings, choice)

        async def by_habit(rows: Rows) -> Openings:
            return await self.inner.opens_with_words(world, round, users[rows])

        decided = await self._decide(Openings, users, ask, by_habit)
        return decided or await self.inner.opens_with_words(world, round, users)

    async def act(self, world: WorldView, view: PageView) -> PageDecision:
        """What people watch and rate, in their order, and their words for it."""

        async def ask(row: int) -> PageDecision | None:
            return await self._page(world, rows_of_view(view, np.array([row])))

        async def by_habit(rows: Rows) -> PageDecision:
            return await self.inner.act(world, rows_of_view(view, rows))

        decided = await self._decide(PageDecision, view.users, ask, by_habit)
        return decided or await self.inner.act(world, view)

    async def _page(self, world: WorldView, view: PageView) -> PageDecision | None:
        """Of one user."""
        user = int(view.users[0])
        words = self._words.get(user, "") if view.surface[0] in ASKED_FOR else ""
        choice = await self._ask(PageTurn(world, view.round, user, view, view.last, words))
        if not isinstance(choice, PageChoice):
            return settled(PageDecision, choice)
        if choice.action is EventKind.SEARCH:
            self._words[user] = choice.query
        taken = PageTaken(
            [one.position for one in choice.watches],
            [one.rating for one in choice.watches],
            [one.feeling for one in choice.watches],
            choice.action,
            choice.query,
        )
        return page_decision(world, view, [taken])

    async def socialise(self, world: WorldView, round: int, users: Ints) -> SocialDecision:
        """A person's words to one acquaintance or to all."""

        async def ask(row: int) -> SocialDecision | None:
            choice = await self._ask(SocialTurn(world, round, int(users[row])))
            if not isinstance(choice, Said):
                return settled(SocialDecision, choice)
            return social_decision([_talked(choice)])

        async def by_habit(rows: Rows) -> SocialDecision:
            return await self.inner.socialise(world, round, users[rows])

        decided = await self._decide(SocialDecision, users, ask, by_habit)
        return decided or await self.inner.socialise(world, round, users)

    async def _decide(
        self, kind: type[D], users: Ints, ask: Callable[[int], Awaitable[D | None]],
        by_habit: Callable[[Rows], Awaitable[D]],
    ) -> D | None:  # fmt: skip
        """People are asked, then the other mind for the rows that are left. None where there is
        nobody to ask, or nobody decided: then all is the other mind's."""
        if self._played is None:
            return None
        rows = np.flatnonzero(self._played[users])
        if not len(rows):
            return None
        jobs = [partial(ask, row) for row in rows.tolist()]
        answers = await at_most(NO_LIMIT, jobs)
        decided = [(rows[at : at + 1], one) for at, one in enumerate(answers) if one is not None]
        if not decided:
            return None
        left = np.ones(len(users), np.bool_)
        left[[row[0] for row, _ in decided]] = False
        if left.any():
            others = np.flatnonzero(left)
            decided.append((others, await by_habit(others)))
        return put_together(kind, len(users), decided)

    async def _ask(self, turn: Turn) -> Choice | Settled | None:
        self._asked.add(turn.user)
        choice = await self._desk.ask(turn)
        if choice is not None:
            self._decided.add(turn.user)
        return choice


def settled(kind: type[T], choice: object) -> T | None:
    """What a desk answered, where it is no choice: a decision of this kind, or none. TypeError for
    an answer to another question."""
    if choice is None or isinstance(choice, kind):
        return choice
    raise TypeError(f"a desk answered {type(choice).__name__} where {kind.__name__} is wanted")


def _talked(said: Said) -> Talked:
    if not said.words:
        return Talked()
    kind = EventKind.POST if said.partner == NOBODY else EventKind.CHAT
    return Talked(kind, said.partner, said.item, said.sentiment, said.words)
