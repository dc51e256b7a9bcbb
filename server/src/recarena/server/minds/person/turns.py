"""What a person who plays a user is asked, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from recarena.server.ports import (
    Activities,
    Openings,
    PageDecision,
    PageView,
    SocialDecision,
    WorldView,
)
from recarena.server.types import NOBODY, NOTHING, EventKind


@dataclass(frozen=True, slots=True)
class ActivityTurn:
    """What to do in a round."""

    world: WorldView
    round: int
    user: int


@dataclass(frozen=True, slots=True)
class OpeningTurn:
    """Whether the visit opens with words to the recommender."""

    world: WorldView
    round: int
    user: int


@dataclass(frozen=True, slots=True)
class PageTurn:
    """What to do with a page: row 0 of a view of one user."""

    world: WorldView
    round: int
    user: int
    view: PageView
    last: bool
    """Whether the visit ends with this page whatever is decided."""
    query: str = ""
    """Words searched for to get here."""


@dataclass(frozen=True, slots=True)
class SocialTurn:
    """What to say in the social network."""

    world: WorldView
    round: int
    user: int


Turn: TypeAlias = ActivityTurn | OpeningTurn | PageTurn | SocialTurn


@dataclass(frozen=True, slots=True)
class Doing:
    """Answers ActivityTurn: ENTER_RECOMMENDER, ENTER_SOCIAL or IDLE."""

    kind: EventKind


@dataclass(frozen=True, slots=True)
class Opened:
    """Answers OpeningTurn; no words: the home page."""

    words: str = ""


@dataclass(frozen=True, slots=True)
class WatchChoice:
    """An item is watched."""

    position: int
    rating: int = 0
    """1..5, 0: not rated."""
    feeling: str = ""


@dataclass(frozen=True, slots=True)
class PageChoice:
    """Answers PageTurn."""

    watches: tuple[WatchChoice, ...] = ()
    """In the order of watching."""
    action: EventKind = EventKind.LEAVE
    """NEXT, SEARCH or LEAVE."""
    query: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """Answers SocialTurn; no words: nothing is said."""

    words: str = ""
    partner: int = NOBODY
    """NOBODY: a post to all acquaintances."""
    item: int = NOTHING
    sentiment: float = 0.0


Choice: TypeAlias = Doing | Opened | PageChoice | Said
Settled: TypeAlias = Activities | Openings | PageDecision | SocialDecision
"""What one user did, to the last column: a log has it so, whoever decided."""


class Desk(Protocol):
    """Where turns are put before people."""

    async def ask(self, turn: Turn) -> Choice | Settled | None:
        """The choice, of the sort that the turn asks for and within what it allows; None where the
        time was over, or is over for this user and round already: the user's own mind decides."""
        ...
