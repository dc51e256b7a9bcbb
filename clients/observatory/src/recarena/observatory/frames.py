"""What users do at a round as a byte each, and the keyframes made of it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.observatory.columns import KINDS, Columns, Kind

Bytes = NDArray[np.uint8]
Shorts = NDArray[np.uint16]

ACTIONS = ("away", "browsing", "searching", "talking", "watching", "chatting", "posting")
"""By number; of several things that a user does in a round, the highest counts."""
ACTION_OF: Bytes = np.zeros(KINDS, np.uint8)
"""[types of events]: the action that an event makes it at least."""
for _kinds, _action in (
    ((Kind.ENTER_RECOMMENDER, Kind.ENTER_SOCIAL, Kind.PAGE, Kind.SHOWN, Kind.NEXT, Kind.LEAVE), 1),
    ((Kind.SEARCH,), 2),
    ((Kind.CONVERSE,), 3),
    ((Kind.WATCH,), 4),
    ((Kind.CHAT,), 5),
    ((Kind.POST,), 6),
):
    ACTION_OF[list(_kinds)] = _action
MOST_WATCHES = np.iinfo(np.uint16).max


def actions_of(events: Columns, users: int) -> Bytes:
    """[users]: the action of each in a round."""
    actions = np.zeros(users, np.uint8)
    done = ACTION_OF[np.clip(events.kind, 0, KINDS - 1)]
    for action in range(1, len(ACTIONS)):
        actions[events.user[done == action]] = action
    return actions


def watches_of(events: Columns, users: int) -> NDArray[np.int64]:
    """[users]: watches of each in a round."""
    return np.bincount(events.user[events.kind == Kind.WATCH], minlength=users)


def busiest(events: Columns, actions: Bytes, most: int) -> NDArray[np.int64]:
    """Numbers of at most so many users who did something, of all actions some: first whoever did
    most of each action, from the highest down, then the next of each."""
    counted = events.user[(events.kind != Kind.SHOWN) & (events.user >= 0)]
    done = np.bincount(counted, minlength=len(actions))
    there = np.flatnonzero(actions > 0)
    order = there[np.lexsort((there, -done[there], -actions[there].astype(np.int64)))]
    first_of = np.flatnonzero(np.diff(actions[order].astype(np.int64), prepend=-1))
    place = np.arange(len(order))
    rank = place - first_of[np.searchsorted(first_of, place, side="right") - 1]
    return order[np.lexsort((place, rank))][:most]


def keyframe(
    epoch: int,
    round: int,
    world_version: str,
    columns: tuple[Bytes, Shorts],
    people: Sequence[int],
) -> dict[str, Any]:
    """A Keyframe of API.md; `columns` are actions and watches so far, both [users]."""
    actions, watches = columns
    counted = np.bincount(actions, minlength=len(ACTIONS))
    return {
        "epoch": epoch,
        "round": round,
        "world_version": world_version,
        "actions": base64.b64encode(actions.tobytes()).decode(),
        "watches": base64.b64encode(watches.astype("<u2").tobytes()).decode(),
        "counts": {name: int(counted[number]) for number, name in enumerate(ACTIONS)},
        "people": list(people),
    }
