"""People who play users by a script, and worlds with somebody to play."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from recarena.server.interventions import Change
from recarena.server.minds.choice import ChoiceMind
from recarena.server.minds.person.rules import acquaintances, can_turn_page
from recarena.server.minds.person.turns import (
    ActivityTurn,
    Choice,
    Doing,
    Opened,
    OpeningTurn,
    PageChoice,
    PageTurn,
    Said,
    SocialTurn,
    Turn,
    WatchChoice,
)
from recarena.server.ports import Activities, Openings, PageDecision, PageView, SocialDecision
from recarena.server.runs import Run
from recarena.server.types import NOBODY, NOTHING, EventKind, InterventionKind, Ints
from recarena.server.world import World

Wait = Callable[[Turn], Awaitable[None]]


def whim(turn: Turn) -> Choice:
    """What a lively person does; by the turn alone, so that it is the same whoever asks when."""
    if isinstance(turn, ActivityTurn):
        social = (turn.user + turn.round) % 3 == 0 and acquaintances(turn.world, turn.user)
        return Doing(EventKind.ENTER_SOCIAL if social else EventKind.ENTER_RECOMMENDER)
    if isinstance(turn, OpeningTurn):
        return Opened("something for a rainy evening" if turn.round % 2 else "")
    if isinstance(turn, PageTurn):
        return _browse(turn)
    item = int(turn.world.last_item[turn.user])
    known = acquaintances(turn.world, turn.user)
    words = f"round {turn.round}: you have to hear of this"
    partner = known[turn.round % len(known)] if turn.round % 2 else NOBODY
    return Said(words, partner, item, 1.5)


def _browse(turn: PageTurn) -> PageChoice:
    there = np.flatnonzero(turn.view.items[0] != NOTHING).tolist()
    watches = [
        WatchChoice(position, rating, f"page {turn.view.step}, position {position}: my own words")
        for position, rating in zip(there[2::-2], (5, 0), strict=False)
    ]
    if turn.view.step == 0 and turn.view.can_search:
        return PageChoice(tuple(watches), EventKind.SEARCH, "an old comedy")
    if turn.view.step < 2 and can_turn_page(turn):
        return PageChoice(tuple(watches), EventKind.NEXT)
    return PageChoice(tuple(watches[:1]))


class Scripted:
    """A `Desk` at which everybody follows a script; `wait` says how long it takes."""

    def __init__(
        self, script: Callable[[Turn], Choice | None] = whim, wait: Wait | None = None
    ) -> None:
        self._script, self._wait = script, wait
        self.turns: list[Turn] = []

    async def ask(self, turn: Turn) -> Choice | None:
        self.turns.append(turn)
        if self._wait:
            await self._wait(turn)
        return self._script(turn)


class Fixed(ChoiceMind):
    """Decides for some users as the script says, in a mind's own columns."""

    def __init__(self, script: Callable[[Turn], Choice], users: Sequence[int]) -> None:
        super().__init__()
        self._script, self._users = script, users

    async def choose_activity(self, world: Any, round: int, users: Ints) -> Activities:
        found = await super().choose_activity(world, round, users)
        for row in np.flatnonzero(np.isin(users, self._users)).tolist():
            doing = self._script(ActivityTurn(world, round, int(users[row])))
            assert isinstance(doing, Doing)
            found.kind[row] = doing.kind
        return found

    async def opens_with_words(self, world: Any, round: int, users: Ints) -> Openings:
        found = await super().opens_with_words(world, round, users)
        for row in np.flatnonzero(np.isin(users, self._users)).tolist():
            opened = self._script(OpeningTurn(world, round, int(users[row])))
            assert isinstance(opened, Opened)
            found.code[row] = 0
            if opened.words:
                found.words[row] = opened.words
        return found

    async def act(self, world: Any, view: PageView) -> PageDecision:
        found = await super().act(world, view)
        for row in np.flatnonzero(np.isin(view.users, self._users)).tolist():
            user = int(view.users[row])
            alone = replace(view, users=view.users[[row]], items=view.items[[row]])
            choice = self._script(PageTurn(world, view.round, user, alone, view.last))
            assert isinstance(choice, PageChoice)
            for name, nothing in (("watched", -1), ("rating", 0), ("appraisal", 0), ("code", 0)):
                getattr(found, name)[row] = nothing
            for column, one in enumerate(choice.watches):
                found.watched[row, column], found.rating[row, column] = one.position, one.rating
                if one.rating:
                    better = one.rating - float(world.population.mean_rating[user])
                    found.appraisal[row, column] = round(better * 256) / 256
                found.words[row, column] = one.feeling
            found.action[row], found.sought[row] = choice.action, -1
            found.sought_code[row] = 0
            if choice.action is EventKind.SEARCH:
                found.query[row] = choice.query
        return found

    async def socialise(self, world: Any, round: int, users: Ints) -> SocialDecision:
        found = await super().socialise(world, round, users)
        for row in np.flatnonzero(np.isin(users, self._users)).tolist():
            said = self._script(SocialTurn(world, round, int(users[row])))
            assert isinstance(said, Said)
            found.kind[row] = EventKind.POST if said.partner < 0 else EventKind.CHAT
            found.partner[row], found.item[row] = said.partner, said.item
            found.sentiment[row], found.code[row] = said.sentiment, 0
            found.words[row] = said.words
        return found


def taken_over(world: World, *users: int, turn_time_s: float = 60.0) -> World:
    """The world with people who play these users."""
    world.by_person[list(users)] = True
    world.turn_time_s[list(users)] = turn_time_s
    return world


async def late_or_early(turn: Turn, delays: dict[int, float]) -> None:
    """Takes its time, by user."""
    await asyncio.sleep(delays.get(turn.user, 0.0))


async def sit_down(
    run: Run, users: Sequence[int], script: Callable[[Turn], Choice | None] = whim,
    after_s: float = 0.0,
) -> None:  # fmt: skip
    """Decides for users at the desk of a live run, each by itself, until it is cancelled. Where the
    script says nothing, the turn passes."""

    async def play(user: int) -> None:
        seen = -1
        while True:
            state = await run.desk.watch(user, seen)
            seen = state.version
            if state.open is None:
                continue
            if after_s:
                await asyncio.sleep(after_s)
            choice = script(state.open.turn)
            if choice is not None:
                run.desk.decide(user, state.open.id, choice)

    async with asyncio.TaskGroup() as group:
        for user in users:
            group.create_task(play(user))


def take_over(run: Run, *users: int, turn_time_s: float = 60.0) -> None:
    """Asks the run for these users from its next round on."""
    for user in users:
        values = {"user_id": run.world.population.user_ids[user], "turn_time_s": turn_time_s}
        run.intervene(Change(InterventionKind.TAKE_OVER, values), by="test")


def hand_back(run: Run, *users: int) -> None:
    """The reverse."""
    for user in users:
        values = {"user_id": run.world.population.user_ids[user]}
        run.intervene(Change(InterventionKind.HAND_BACK, values), by="test")
