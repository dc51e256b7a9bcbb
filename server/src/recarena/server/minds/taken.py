"""What single users did, and the columns that it makes for a batch of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from recarena.server.ports import PageDecision, PageView, SocialDecision, WorldView
from recarena.server.types import NOBODY, NOTHING, EventKind


@dataclass(slots=True)
class PageTaken:
    """What one user did with a page."""

    watched: list[int] = field(default_factory=list[int])
    """Positions."""
    ratings: list[int] = field(default_factory=list[int])
    """Beside watched; 0: not rated."""
    feelings: list[str] = field(default_factory=list[str])
    action: EventKind = EventKind.LEAVE
    query: str = ""
    failed: str = ""


@dataclass(slots=True)
class Talked:
    """What one user did in the social network."""

    kind: int = 0
    """EventKind CHAT, POST, or 0."""
    partner: int = NOBODY
    item: int = NOTHING
    sentiment: float = 0.0
    words: str = ""
    failed: str = ""


def page_decision(world: WorldView, view: PageView, taken: Sequence[PageTaken]) -> PageDecision:
    """Columns of what users did with their pages. How much better than expected something was is
    its rating less the user's mean rating."""
    shape = view.items.shape
    watched = np.full(shape, -1, np.int32)
    rating = np.zeros(shape, np.int8)
    words: dict[tuple[int, int], str] = {}
    for row, one in enumerate(taken):
        count = len(one.watched)
        watched[row, :count], rating[row, :count] = one.watched, one.ratings
        words |= {(row, at): said for at, said in enumerate(one.feelings) if said}
    usual = world.population.mean_rating[view.users][:, None]
    better = np.where(rating > 0, np.rint((rating - usual) * 256) / 256, 0)
    n = len(taken)
    return PageDecision(
        watched=watched,
        rating=rating,
        appraisal=better.astype(np.float32),
        code=np.zeros(shape, np.int16),
        action=np.array([one.action for one in taken], np.int8),
        sought=np.full(n, NOTHING, np.int32),
        sought_code=np.zeros(n, np.int16),
        words=words,
        query={row: one.query for row, one in enumerate(taken) if one.action == EventKind.SEARCH},
        failed={row: one.failed for row, one in enumerate(taken) if one.failed},
    )


def social_decision(talked: Sequence[Talked]) -> SocialDecision:
    """Columns of what users did in the social network."""
    return SocialDecision(
        kind=np.array([one.kind for one in talked], np.int8),
        partner=np.array([one.partner if one.kind else NOBODY for one in talked], np.int32),
        item=np.array([one.item for one in talked], np.int32),
        sentiment=np.array([one.sentiment for one in talked], np.float32),
        code=np.zeros(len(talked), np.int16),
        words={row: one.words for row, one in enumerate(talked) if one.kind},
        failed={row: one.failed for row, one in enumerate(talked) if one.failed},
    )
