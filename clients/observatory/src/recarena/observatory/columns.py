"""Event columns of a round as numpy arrays, and the numbers that stand in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from recarena.v1.run_pb2 import EventColumns, UserEvent

Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]


class Kind(IntEnum):
    """What a row says (the numbers of `recarena.v1.UserEvent.Type`)."""

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

    @property
    def word(self) -> str:
        """What the page calls it."""
        return self.name.lower()


KINDS = max(UserEvent.Type.values()) + 1
"""One more than the highest number of a type that the contract has."""
WORDS: dict[int, str] = {
    int(number): name.removeprefix("TYPE_").lower() for name, number in UserEvent.Type.items()
}
"""Number of a type -> what the page calls it."""
USABLE = (1, 2)
"""Outcomes of pages that are the recommender's own lists: accepted, violations."""
FAILED_FROM = 3
"""Outcomes from this number on: there is no list of the recommender's own."""
_TYPES: dict[str, str] = {
    "user": "<i4", "kind": "<i1", "item": "<i4", "position": "<i2", "value": "<f4",
    "other": "<i4", "step": "<i2", "surface": "<i1", "outcome": "<i1",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Columns:
    """Events of a round, in the order of the log; all [rows]. See EventColumns of run.proto."""

    user: Ints
    kind: NDArray[np.int8]
    item: Ints
    position: NDArray[np.int16]
    value: NDArray[np.float32]
    other: Ints
    step: NDArray[np.int16]
    surface: NDArray[np.int8]
    outcome: NDArray[np.int8]
    undecided: Ints = field(default_factory=lambda: np.zeros(0, np.int32))
    """Rows, in order, of what nobody decided: a default stands there. Not one of the columns."""

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def of(cls, message: EventColumns) -> Columns:
        """The columns of a message. ValueError where one has another length than `rows`, or a row
        is named that is not there."""
        made: dict[str, NDArray[Any]] = {}
        for name, dtype in _TYPES.items():
            made[name] = np.frombuffer(cast("bytes", getattr(message, name)), dtype)
            if len(made[name]) != message.rows:
                raise ValueError(f"column {name} has {len(made[name])} rows, not {message.rows}")
        undecided = np.array(message.undecided, np.int32)
        if len(undecided) and int(undecided.max()) >= message.rows:
            raise ValueError(f"row {undecided.max()} of {message.rows} is undecided")
        return cls(**made, undecided=undecided)

    @property
    def nbytes(self) -> int:
        """Memory that the columns take."""
        return sum(int(getattr(self, name).nbytes) for name in _TYPES)

    def wrong(self) -> Bools:
        """[rows]: pages without the recommender's own list, and what nobody decided."""
        found = (self.kind == Kind.PAGE) & (self.outcome >= FAILED_FROM)
        found[self.undecided] = True
        return found

    def own(self) -> Bools:
        """[rows]: whether a PAGE, SHOWN or WATCH is of a page with the recommender's own list."""
        rows = np.arange(len(self))
        page = np.maximum.accumulate(np.where(self.kind == Kind.PAGE, rows, -1))
        same = (page >= 0) & (self.user[page] == self.user)
        on_page = np.isin(self.kind, (Kind.PAGE, Kind.SHOWN, Kind.WATCH))
        return same & on_page & np.isin(self.outcome[page], USABLE)
