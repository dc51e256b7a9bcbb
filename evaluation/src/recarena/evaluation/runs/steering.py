"""What operators changed in a run, and whom people played when: its rows of interventions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

from recarena.evaluation.runs.events import Bools, EventKind, Events, Ints

COLUMNS = ("round", "seq", "code", "other", "item", "text")
"""Of `events`, beside those that every row is read with."""


class ChangeKind(IntEnum):
    """What an intervention changes."""

    EDIT_PROFILE = 1
    SET_RELATION = 2
    REMOVE_RELATION = 3
    ADD_ITEM = 4
    WITHDRAW_ITEM = 5
    INJECT_POST = 6
    TELL_USER = 7
    TAKE_OVER = 8
    HAND_BACK = 9


NAMES = {
    ChangeKind.EDIT_PROFILE: "profile edited",
    ChangeKind.SET_RELATION: "tie made or changed",
    ChangeKind.REMOVE_RELATION: "tie ended",
    ChangeKind.ADD_ITEM: "item added",
    ChangeKind.WITHDRAW_ITEM: "item withdrawn",
    ChangeKind.INJECT_POST: "post put into a user's mouth",
    ChangeKind.TELL_USER: "talk put into a user's memory",
    ChangeKind.TAKE_OVER: "user taken over by a person",
    ChangeKind.HAND_BACK: "user handed back",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One intervention."""

    round: int
    """The round that it took effect in."""
    kind: int
    """A ChangeKind; a later release may know more."""
    user: int
    """Whom it is about, -1: nobody."""
    item: int
    """What it is about, -1: nothing."""
    values: Mapping[str, Any]
    """The rest, as the log has it."""


def _no_users() -> Ints:
    return np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class Steering:
    """Of one run. Columns [user-rounds that people played], by round, then user."""

    changes: tuple[Change, ...] = ()
    """In their order."""
    user: Ints = field(default_factory=_no_users)
    round: Ints = field(default_factory=_no_users)

    @classmethod
    def of(cls, changes: Sequence[Change], rounds: int) -> Steering:
        """From the changes of so many committed rounds. A person plays a user from the round in
        which it is taken over until the one in which it is handed back."""
        played: list[tuple[int, int]] = []
        now: set[int] = set()
        left = list(changes)
        for round in range(left[0].round if left else rounds + 1, rounds + 1):
            while left and left[0].round == round:
                one = left.pop(0)
                if one.kind == ChangeKind.TAKE_OVER:
                    now.add(one.user)
                elif one.kind == ChangeKind.HAND_BACK:
                    now.discard(one.user)
            played += [(round, user) for user in sorted(now)]
        columns = np.array(played, np.int32).reshape(-1, 2)
        return cls(tuple(changes), columns[:, 1], columns[:, 0])

    def by_people(self, events: Events) -> Bools:
        """[events]: whether each is of a user-round that a person played."""
        if not len(self.user):
            return np.zeros(len(events), np.bool_)
        of_user = events.round.astype(np.int64) << 32 | events.user.astype(np.uint32)
        return np.isin(of_user, self.round.astype(np.int64) << 32 | self.user.astype(np.uint32))

    def items(self) -> list[dict[str, Any]]:
        """Items that were added, as rows of the table `items`."""
        return [
            _item(one) for one in self.changes if one.kind == ChangeKind.ADD_ITEM and one.item >= 0
        ]


def changes_in(rows: Iterable[Mapping[str, Any]]) -> list[Change]:
    """From rows of `events` with COLUMNS, in the order of the log."""
    return [
        Change(
            int(row["round"]), int(row["code"]), int(row["other"]), int(row["item"]),
            json.loads(row["text"] or "{}"),
        )
        for row in sorted(rows, key=lambda row: (row["round"], row["seq"]))
    ]  # fmt: skip


def of_users(events: Events) -> Bools:
    """[events]: whether users did them: no intervention, and no post that one put into a user's
    mouth, which has a position."""
    injected = (events.kind == EventKind.POST) & (events.position >= 0)
    return (events.kind != EventKind.INTERVENTION) & ~injected


def _item(change: Change) -> dict[str, Any]:
    item = change.values.get("item") or {}
    attributes = item.get("attributes") or {}
    return {
        "number": change.item, "item_id": item.get("item_id", ""), "title": item.get("title", ""),
        "director": attributes.get("director", ""), "year": int(attributes.get("year") or 0),
        "description": item.get("description", ""), "genres": list(item.get("categories") or ()),
        "quality": float(change.values.get("quality") or 0.0), "popularity": 0.0,
    }  # fmt: skip
