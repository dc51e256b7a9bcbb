"""People who play users by a script, and worlds with somebody to play."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np

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
    Turn,
    WatchChoice,
)
from recarena.server.types import NOBODY, NOTHING, EventKind
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


def taken_over(world: World, *users: int, turn_time_s: float = 60.0) -> World:
    """The world with people who play these users."""
    world.by_person[list(users)] = True
    world.turn_time_s[list(users)] = turn_time_s
    return world


async def late_or_early(turn: Turn, delays: dict[int, float]) -> None:
    """Takes its time, by user."""
    await asyncio.sleep(delays.get(turn.user, 0.0))
