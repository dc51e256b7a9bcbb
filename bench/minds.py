"""A mind that costs next to nothing, so that what is measured is everything else."""

from __future__ import annotations

import numpy as np

from recarena.server.ports import (
    Activities,
    Manner,
    Openings,
    PageDecision,
    PageView,
    SocialDecision,
    WorldView,
)
from recarena.server.types import NOTHING, EventColumns, EventKind, Ints, MemoryColumns


class LookAndLeave:
    """A `Mind` whose users all open the recommender, look at one page and leave."""

    async def prepare(self) -> dict[str, object]:
        """Nothing to prepare."""
        return {}

    def manners(self) -> list[Manner]:
        """Everybody at once."""
        return [Manner(lambda users: users)]

    async def choose_activity(self, world: WorldView, round: int, users: Ints) -> Activities:
        """Everybody goes to the recommender."""
        return Activities(np.full(len(users), EventKind.ENTER_RECOMMENDER, np.int8))

    async def opens_with_words(self, world: WorldView, round: int, users: Ints) -> Openings:
        """Nobody says a word."""
        return Openings(np.zeros(len(users), np.int16))

    async def remember(self, world: WorldView, round: int, events: EventColumns) -> MemoryColumns:
        """Nobody remembers anything."""
        return MemoryColumns.empty()

    def committed(self, round: int, memories: MemoryColumns) -> None:
        """Nothing to take over."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def act(self, world: WorldView, view: PageView) -> PageDecision:
        """Nothing is watched."""
        shape, users = view.items.shape, len(view.users)
        return PageDecision(
            watched=np.full(shape, -1, np.int32),
            rating=np.zeros(shape, np.int8),
            appraisal=np.zeros(shape, np.float32),
            code=np.zeros(shape, np.int16),
            action=np.full(users, EventKind.LEAVE, np.int8),
            sought=np.full(users, NOTHING, np.int32),
            sought_code=np.zeros(users, np.int16),
        )

    async def socialise(self, world: WorldView, round: int, users: Ints) -> SocialDecision:
        """Never asked: nobody goes to the social network."""
        raise AssertionError("a mind that sends nobody to the social network was asked to talk")
