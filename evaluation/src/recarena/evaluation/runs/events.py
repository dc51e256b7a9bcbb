"""The rows of a run's log as columns, and the numbers that stand in them (docs/run-folder.md)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


class EventKind(IntEnum):
    """What a row of `events` says."""

    IDLE = 1
    ENTER_RECOMMENDER = 2
    ENTER_SOCIAL = 3
    PAGE = 4
    SHOWN = 5
    WATCH = 6
    NEXT = 7
    SEARCH = 8
    LEAVE = 9
    CHAT = 10
    POST = 11
    CONVERSE = 12
    INTERVENTION = 13
    """Nobody's: the user is -1. See the module `steering`."""


class Surface(IntEnum):
    """Where a page was shown."""

    NONE = 0
    FEED = 1
    SIMILAR_ITEMS = 2
    SEARCH = 3
    CONVERSATION = 4


class Outcome(IntEnum):
    """What became of the list behind a page."""

    NONE = 0
    ACCEPTED = 1
    VIOLATIONS = 2
    REJECTED = 3
    LATE = 4
    FAILED = 5
    LOST = 6

    @property
    def usable(self) -> bool:
        """Whether the recommender's own list was shown."""
        return self in (Outcome.ACCEPTED, Outcome.VIOLATIONS)


@dataclass(frozen=True, slots=True)
class Events:
    """Events of committed rounds, in (round, order of doing) order; all columns [events]."""

    round: Ints
    user: Ints
    step: NDArray[np.int16]
    """Number of the page in the visit, from 0; -1 outside a visit."""
    kind: NDArray[np.int8]
    item: Ints
    """-1 without."""
    position: NDArray[np.int16]
    """SHOWN, WATCH: position on the page; PAGE: number of items; POST: not -1 where an intervention
    put it into the user's mouth; else -1."""
    value: Floats
    """WATCH: the rating, 0 when there is none. CHAT, POST: sentiment in -2..2."""
    other: Ints
    """CHAT: the partner. POST: whose words it answers. Else -1."""
    surface: NDArray[np.int8]
    outcome: NDArray[np.int8]
    """PAGE: an Outcome. Else 0."""
    own: Bools
    """PAGE, SHOWN, WATCH: the page is the recommender's own list, neither empty for its failure
    nor a fallback. Else False."""

    def __len__(self) -> int:
        return len(self.kind)

    def take(self, rows: Bools) -> Events:
        """The rows chosen by a mask, in order."""
        if rows.all():
            return self
        return Events(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})

    def of(self, *kinds: EventKind) -> Events:
        """The events of these kinds."""
        return self.take(np.isin(self.kind, np.array(kinds, np.int8)))


@dataclass(frozen=True, slots=True)
class Works:
    """Works sent to recommenders in committed rounds; all columns [works]."""

    round: Ints
    arm: NDArray[np.int16]
    """Position in `RunLog.arms`, -1: none of them."""
    lists: Ints
    latency_ms: Floats
    """From sending to the answer, or to giving up."""
    outcome: NDArray[np.int8]
    violations: Ints
    """Items and tokens dropped from the lists, and lists that were short: the sum of the five
    columns below. Each of those is -1 where the folder has the sum alone."""
    unknown: Ints
    """Items that the catalogue does not have."""
    duplicate: Ints
    """Items that the list had further up."""
    excluded: Ints
    """Items that were not allowed."""
    short: Ints
    """Lists that were shorter than they had to be."""
    token: Ints
    """Attribution tokens that could not be kept."""

    def take(self, rows: Bools) -> Works:
        """The rows chosen by a mask, in order."""
        return Works(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})
