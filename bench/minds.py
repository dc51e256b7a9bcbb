"""A mind that costs next to nothing, so that what is measured is everything else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recarena.server.ports import PageDecision, PageView, SocialDecision, WorldView
from recarena.server.types import NOTHING, EventKind, Ints


class LookAndLeave:
    """A `Mind` whose users all open the recommender, look at one page and leave."""

    async def choose_activity(self, world: WorldView, round: int, users: Ints) -> NDArray[np.int8]:
        """Everybody goes to the recommender."""
        return np.full(len(users), EventKind.ENTER_RECOMMENDER, np.int8)

    async def opens_with_words(
        self, world: WorldView, round: int, users: Ints
    ) -> NDArray[np.int16]:
        """Nobody says a word."""
        return np.zeros(len(users), np.int16)

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
