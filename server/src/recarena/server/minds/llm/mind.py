"""The LLM mind: users of one population who are decided for by a language model, the others by the
choice mind, in one world."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recarena.server.catalog import Catalog
from recarena.server.llm.opening import check, number_of_keys
from recarena.server.llm.probe import probe
from recarena.server.llm.settings import LlmSettings, Replay
from recarena.server.llm.thinker import Thinker
from recarena.server.memory.bank import MemoryBank
from recarena.server.memory.embedders import CachedEmbedder
from recarena.server.minds.choice import ChoiceMind
from recarena.server.minds.llm.diary import Diary
from recarena.server.minds.llm.memories import Remembering
from recarena.server.minds.llm.strategy import Strategy
from recarena.server.minds.parts import merged_pages, merged_talk
from recarena.server.minds.taken import page_decision, social_decision
from recarena.server.ports import (
    Activities,
    Manner,
    Openings,
    PageDecision,
    PageView,
    SocialDecision,
    WorldView,
)
from recarena.server.together import at_most
from recarena.server.types import (
    Bools,
    EventColumns,
    Ints,
    MemoryColumns,
)

T = TypeVar("T")
NO_LIMIT = 100_000
"""Users decided for at once: how many calls go out is the thinker's to say."""


class LlmMind:
    """A `Mind` of two kinds: language models for the users of `mine`, `habits` for the others and
    for what habit decides."""

    is_llm = True

    def __init__(
        self, settings: LlmSettings, mine: Bools, habits: ChoiceMind, strategy: Strategy,
        remembering: Remembering, thinker: Thinker, catalog: Catalog,
    ) -> None:  # fmt: skip
        self.mine, self.habits, self.thinker = mine, habits, thinker
        self._settings, self.strategy, self._remembering = settings, strategy, remembering
        self._catalog = catalog
        self._diary = Diary(0)
        self._room = asyncio.Semaphore(ahead_of(settings.concurrency * number_of_keys(settings)))

    @property
    def bank(self) -> MemoryBank:
        """What the users remember."""
        return self._remembering.bank

    @property
    def embedder(self) -> CachedEmbedder:
        """What compares their memories."""
        return self._remembering.embedder

    async def prepare(self) -> dict[str, object]:
        """Keys, packages and prices; then one question to the model, unless the settings say no or
        no call may be made."""
        check(self._settings)
        if not self._settings.probe or self._settings.replay is Replay.STRICT:
            return {}
        return {"probe": (await probe(self.thinker)).as_json()}

    def manners(self) -> list[Manner]:
        """Small cohorts for those who wait for a model, the run's own for the others."""
        small = self._settings.cohort_size
        return [
            Manner(lambda users: users[self.mine[users]], small, NO_LIMIT),
            Manner(lambda users: users[~self.mine[users]]),
        ]

    async def choose_activity(self, world: WorldView, round: int, users: Ints) -> Activities:
        """By habit, or by asking where the settings say so."""
        self._diary = Diary(round)
        self.thinker.round_begins(round)
        chosen = (await self.habits.choose_activity(world, round, users)).kind
        if not self._settings.asks_for_activity:
            return Activities(chosen)
        rows = np.flatnonzero(self.mine[users])
        answers = await self._each(
            users[rows], lambda user: self.strategy.activity(self._diary, world, user)
        )
        chosen[rows] = [kind for kind, _ in answers]
        failed = {int(row): why for row, (_, why) in zip(rows, answers, strict=True) if why}
        return Activities(chosen, failed)

    async def opens_with_words(self, world: WorldView, round: int, users: Ints) -> Openings:
        """By habit; what is said in the model's words."""
        code = (await self.habits.opens_with_words(world, round, users)).code
        rows = np.flatnonzero(self.mine[users] & (code > 0))

        async def say(row: int) -> str:
            mood = self._catalog.genre_names[int(code[row]) - 1]
            return await self.strategy.converse(self._diary, world, int(users[row]), mood)

        words = await self._each(rows, say)
        return Openings(
            code, {int(row): said for row, said in zip(rows, words, strict=True) if said}
        )

    async def act(self, world: WorldView, view: PageView) -> PageDecision:
        """One conversation with the model per user, all at once."""
        mine = self.mine[view.users]
        if not mine.all():
            return await merged_pages(view, mine, partial(self._act, world),
                                      partial(self.habits.act, world))  # fmt: skip
        return await self._act(world, view)

    async def _act(self, world: WorldView, view: PageView) -> PageDecision:
        rows = np.arange(len(view.users))
        taken = await self._each(
            rows, lambda row: self.strategy.page(self._diary, world, view, row)
        )
        return page_decision(world, view, taken)

    async def socialise(self, world: WorldView, round: int, users: Ints) -> SocialDecision:
        """One conversation with the model per user, all at once."""
        mine = self.mine[users]
        if not mine.all():
            return await merged_talk(users, mine, partial(self._talk, world),
                                     partial(self.habits.socialise, world, round))  # fmt: skip
        return await self._talk(world, users)

    async def _talk(self, world: WorldView, users: Ints) -> SocialDecision:
        talked = await self._each(
            users, lambda user: self.strategy.social(self._diary, world, user)
        )
        return social_decision(talked)

    async def _each(
        self, numbers: NDArray[np.integer], decide: Callable[[int], Awaitable[T]]
    ) -> list[T]:
        """What each comes to; of all users, those who are at it at once are so many as keep the
        calls going."""

        async def in_turn(number: int) -> T:
            async with self._room:
                return await decide(number)

        return await at_most(NO_LIMIT, [partial(in_turn, one) for one in numbers.tolist()])

    async def remember(self, world: WorldView, round: int, events: EventColumns) -> MemoryColumns:
        """What the events left, in the words and with the importance that their users gave it;
        and what those concluded who sat down to reflect."""
        self.thinker.tally.check()
        memories = await self._remembering.of_round(
            world, self._diary, events, self.strategy.importance, self.strategy.reflect
        )
        self.thinker.tally.check()
        return memories

    def committed(self, round: int, memories: MemoryColumns) -> None:
        """Takes the memories into the bank."""
        self._remembering.take_over(round, memories)

    async def close(self) -> None:
        """Waits for calls under way and closes the recording."""
        await self.embedder.close()
        await self.thinker.close()


def ahead_of(concurrency: int) -> int:
    """Users who are decided for at once: some more than calls can be under way, so that a prompt
    waits for room and room never for a prompt; not all, or the first call would wait until the
    last prompt is made."""
    return concurrency + concurrency // 4 + 8
