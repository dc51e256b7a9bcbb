"""The nouns that every part of the server shares: events, lists, requests, round results.

Numbers, not ids: a user is its position in the population, an item its position in the catalogue.
Columns are numpy arrays of equal length; nothing here holds a Python object per user.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

NOBODY = -1
NOTHING = -1


class EventKind(IntEnum):
    """What one row of the event log says. The numbers are stored: never reuse one."""

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
    """Nobody did it: an operator changed the world before the round was played. `user` is NOBODY,
    so that it stands first in its round; `code` is an InterventionKind, `other` and `item` are whom
    and what it is about, `text` has the rest (the module `interventions`)."""


class InterventionKind(IntEnum):
    """What an intervention changes. The numbers are stored: never reuse one."""

    EDIT_PROFILE = 1
    SET_RELATION = 2
    REMOVE_RELATION = 3
    ADD_ITEM = 4
    WITHDRAW_ITEM = 5
    INJECT_POST = 6
    TELL_USER = 7
    TAKE_OVER = 8
    HAND_BACK = 9


class Surface(IntEnum):
    """Where a page was shown (the numbers of `recarena.v1.Surface`)."""

    NONE = 0
    FEED = 1
    SIMILAR_ITEMS = 2
    SEARCH = 3
    CONVERSATION = 4


SEARCH_BOX, CONVERSATIONS = "search", "converse"
SURFACES = (SEARCH_BOX, CONVERSATIONS)
"""What the users of an arm may have in a round beside the feed, as stored."""


class Outcome(IntEnum):
    """What became of the list behind a page, as stored in the event log."""

    NONE = 0
    ACCEPTED = 1
    VIOLATIONS = 2
    """Shown after something was dropped from it, or shown short."""
    REJECTED = 3
    LATE = 4
    FAILED = 5
    LOST = 6

    @property
    def usable(self) -> bool:
        """Whether the recommender's own list was shown."""
        return self in (Outcome.ACCEPTED, Outcome.VIOLATIONS)


class Explained(IntEnum):
    """What became of an item's explanation, as stored in the event log (SHOWN)."""

    NONE = 0
    """There was none."""
    SHOWN = 1
    WITHHELD = 2
    """The user did not get to see it: the arm shows a share of them only."""


class FailurePolicy(IntEnum):
    """What a user is shown without a usable list (the numbers of `recarena.v1.FailurePolicy`)."""

    EMPTY_LIST = 1
    FALLBACK_POPULAR = 2
    PAUSE_RUN = 3
    FAIL_RUN = 4


class MemoryKind(IntEnum):
    """Kind of a memory. The numbers are stored: never reuse one."""

    WATCHED = 1
    SAID = 2
    """The user's own words in a chat."""
    HEARD = 3
    """A chat partner's words."""
    READ = 4
    """An acquaintance's post."""
    POSTED = 5
    """The user's own post."""
    OBSERVED = 6
    """What the user made of a page or a talk, in own words."""
    INSIGHT = 7
    """What the user concluded from other memories."""
    RECALL = 8
    """As stored only: which memories came to the user's mind in a round. Not a memory."""
    TOLD = 9
    """The recommender's words about an item that the user watched."""


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Events of one round (or several), in (round, user, order of doing) order.

    The log of a run is these columns and nothing else: `World.apply` needs no more, the digest
    hashes no more. `text` and `evidence` are sparse: `text` holds words that were not made from a
    template.
    """

    round: Ints
    user: Ints
    step: NDArray[np.int16]
    """Number of the page in the visit, from 0; -1 outside a visit."""
    kind: NDArray[np.int8]
    item: Ints
    """Item number, -1 without."""
    position: NDArray[np.int16]
    """Position on the page (SHOWN, WATCH), number of items (PAGE); of a POST that an intervention
    put into the user's mouth, the row of that intervention; else -1."""
    value: Floats
    """WATCH: the rating (0: none). CHAT, POST: sentiment in -2..2. Else 0."""
    appraisal: Floats
    """WATCH: how much better than expected, in rating points rounded to 1/256. Else 0."""
    other: Ints
    """CHAT: the partner. POST: whose words it answers. INTERVENTION: whom it is about. Else -1."""
    surface: NDArray[np.int8]
    """PAGE: a Surface. Else 0."""
    outcome: NDArray[np.int8]
    """PAGE: an Outcome. Else 0."""
    code: NDArray[np.int16]
    """Template of the words (WATCH, CHAT, POST, SEARCH); SHOWN: an `Explained`; INTERVENTION: an
    `InterventionKind`. Else 0."""
    text: dict[int, str] = field(default_factory=dict[int, str])
    """Row -> words: an LLM's or a person's (WATCH, CHAT, POST, SEARCH, CONVERSE), the attribution
    token (PAGE), the explanation (SHOWN), what changes (INTERVENTION, a JSON object)."""
    evidence: dict[int, str] = field(default_factory=dict[int, str])
    """Row -> evidence of the explanation (SHOWN), as the module `evidence` writes it."""

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def make(cls, size: int, **columns: object) -> EventColumns:
        """Columns of `size` rows from arrays or scalars; what is not given gets its neutral value.

        `round`, `user` and `kind` must be given. `text` and `evidence` are dicts or None.
        """
        text = columns.pop("text", None) or {}
        evidence = columns.pop("evidence", None) or {}
        assert isinstance(text, dict)
        assert isinstance(evidence, dict)
        made: dict[str, NDArray[Any]] = {}
        for name, (dtype, neutral) in EVENT_COLUMNS.items():
            given = columns.pop(name, neutral)
            if given is None:
                raise ValueError(f"events need a column {name!r}")
            array = np.asarray(given, dtype=dtype)
            made[name] = np.full(size, array, dtype) if array.ndim == 0 else array
            if len(made[name]) != size:
                raise ValueError(f"column {name!r} has {len(made[name])} rows, not {size}")
        if columns:
            raise ValueError(f"no such event columns: {sorted(columns)}")
        return cls(**made, text=text, evidence=evidence)

    @classmethod
    def empty(cls) -> EventColumns:
        """No events."""
        return cls.make(0, round=0, user=0, kind=0)

    @classmethod
    def concat(cls, parts: Sequence[EventColumns]) -> EventColumns:
        """All parts, one after another."""
        if not parts:
            return cls.empty()
        text: dict[int, str] = {}
        evidence: dict[int, str] = {}
        start = 0
        for part in parts:
            text.update({start + row: words for row, words in part.text.items()})
            evidence.update({start + row: pieces for row, pieces in part.evidence.items()})
            start += len(part)
        arrays = {n: np.concatenate([getattr(p, n) for p in parts]) for n in EVENT_COLUMNS}
        return cls(**arrays, text=text, evidence=evidence)

    def take(self, rows: NDArray[np.integer] | Bools) -> EventColumns:
        """The rows chosen by a mask or by numbers, in that order."""
        arrays = {name: getattr(self, name)[rows] for name in EVENT_COLUMNS}
        text: dict[int, str] = {}
        evidence: dict[int, str] = {}
        if self.text or self.evidence:
            taken = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
            numbers: list[int] = taken.tolist()
            text = {new: self.text[old] for new, old in enumerate(numbers) if old in self.text}
            if self.evidence:
                pieces = self.evidence
                evidence = {new: pieces[old] for new, old in enumerate(numbers) if old in pieces}
        return EventColumns(**arrays, text=text, evidence=evidence)

    def of(self, *kinds: EventKind) -> EventColumns:
        """The events of these kinds."""
        return self.take(np.isin(self.kind, np.array(kinds, np.int8)))


EVENT_COLUMNS: dict[str, tuple[type[np.generic], int | None]] = {
    "round": (np.int32, None),
    "user": (np.int32, None),
    "step": (np.int16, -1),
    "kind": (np.int8, None),
    "item": (np.int32, NOTHING),
    "position": (np.int16, -1),
    "value": (np.float32, 0),
    "appraisal": (np.float32, 0),
    "other": (np.int32, NOBODY),
    "surface": (np.int8, 0),
    "outcome": (np.int8, 0),
    "code": (np.int16, 0),
}
"""Name -> (dtype, neutral value; None: must be given), in the order in which they are hashed."""


@dataclass(frozen=True, slots=True)
class MemoryColumns:
    """Memories made in one round, in (user, order) order."""

    round: Ints
    user: Ints
    kind: NDArray[np.int8]
    item: Ints
    source: Ints
    """Whose words or experience, -1: the user's own."""
    importance: Floats
    value: Floats
    """Rating (WATCHED) or sentiment (the others)."""
    code: NDArray[np.int16]
    """Template of the words, 0 where text holds them."""
    text: dict[int, str] = field(default_factory=dict[int, str])
    rests_on: dict[int, tuple[int, ...]] = field(default_factory=dict[int, tuple[int, ...]])
    """Row -> ids of the memories that an insight rests on (see `memory_id`)."""
    recalled: dict[int, tuple[int, ...]] = field(default_factory=dict[int, tuple[int, ...]])
    """User -> ids of the older memories that came to mind in the round, REFLECTED among them where
    the user sat down to reflect."""
    vector: Floats | None = None
    """[rows, dimension]: what the words mean to the run's embedder; a row of zeros: not embedded.
    It is written for those who search the table and is not read back."""

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def empty(cls) -> MemoryColumns:
        """No memories."""
        made: dict[str, Any] = {n: np.empty(0, d) for n, d in MEMORY_COLUMNS.items()}
        return cls(**made, text={})


REFLECTED = -1
MEMORIES_A_ROUND = 2**24


def memory_id(round: int, row: int) -> int:
    """Id of the memory in a row of a round's memories: unique in a run, ascending."""
    return round * MEMORIES_A_ROUND + row


MEMORY_COLUMNS: dict[str, type[np.generic]] = {
    "round": np.int32,
    "user": np.int32,
    "kind": np.int8,
    "item": np.int32,
    "source": np.int32,
    "importance": np.float32,
    "value": np.float32,
    "code": np.int16,
}


@dataclass(frozen=True, slots=True)
class Faults:
    """What was wrong with lists that were shown all the same, counted by cause. An item that was
    dropped has one cause, the first of those below that holds."""

    unknown: int = 0
    """Items that the catalogue does not have."""
    duplicate: int = 0
    """Items that the list had further up."""
    excluded: int = 0
    """Items that were not allowed."""
    short: int = 0
    """Lists that were shorter than they had to be."""
    token: int = 0
    """Attribution tokens that were dropped."""
    untold: int = 0
    """Any of these, in the folder of a version that kept their sum alone."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.unknown + self.duplicate + self.excluded + self.short + self.token + self.untold

    def __add__(self, other: Faults) -> Faults:
        """Cause by cause."""
        return Faults(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class WorkRecord:
    """How one work sent to a recommender went: operations, not part of the digest."""

    round: int
    arm: int
    kind: str
    """rank, search, converse."""
    lists: int
    latency_ms: float
    """From sending to answer (or to giving up)."""
    outcome: Outcome
    """Of the work as a whole; single lists may have fared worse (see the PAGE events)."""
    faults: Faults = Faults()

    @property
    def violations(self) -> int:
        """Items and tokens dropped, and lists that were short."""
        return self.faults.total


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What happened in one round: the only thing that may change the world."""

    round: int
    active: int
    """Users activated."""
    events: EventColumns
    memories: MemoryColumns
    works: tuple[WorkRecord, ...] = ()
    training_ms: dict[int, float] = field(default_factory=dict[int, float])
    """Arm -> time between RoundStarted and RoundReady."""
    wall_ms: float = 0.0
    surfaces: dict[int, tuple[str, ...]] = field(default_factory=dict[int, tuple[str, ...]])
    """Arm -> what its users had beside the feed in this round, of SURFACES. An arm that is not
    there: unknown."""


def unique_ids(what: str, ids: Iterable[str], max_bytes: int = 128) -> list[str]:
    """The ids as a list; ValueError names the first that is empty, too long or repeated."""
    seen: set[str] = set()
    result: list[str] = []
    for row, one in enumerate(ids):
        if not one or len(one.encode()) > max_bytes:
            raise ValueError(f"{what} {row}: an id has 1 to {max_bytes} bytes, got {one[:140]!r}")
        if one in seen:
            raise ValueError(f"{what} {row}: the id {one!r} is there twice")
        seen.add(one)
        result.append(one)
    return result
