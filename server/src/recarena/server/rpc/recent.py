"""The latest interactions of each user of an arm, for recommenders that keep nothing themselves."""

from __future__ import annotations

import numpy as np

from recarena.server.catalog import Catalog
from recarena.server.ports import Feedback
from recarena.server.types import NOTHING, Ints
from recarena.v1 import types_pb2


class Recent:
    """The last `size` watches of each user, as rings of columns [users, size]."""

    def __init__(self, user_ids: list[str], catalog: Catalog, size: int) -> None:
        """`catalog` may grow."""
        self._user_ids, self._catalog, self._size = user_ids, catalog, size
        shape = (len(user_ids), size)
        self._item = np.full(shape, NOTHING, np.int32)
        self._rating = np.zeros(shape, np.float32)
        self._round = np.zeros(shape, np.int32)
        self._next = np.zeros(len(user_ids), np.int64)

    def add(self, feedback: Feedback) -> None:
        """Takes in the watches of a round, in order; those of history are of round 0."""
        rows = np.flatnonzero(~np.isnan(feedback.rating))
        rows = rows[np.argsort(feedback.user[rows], kind="stable")]
        user: Ints = feedback.user[rows]
        _, first, count = np.unique(user, return_index=True, return_counts=True)
        rank = np.arange(len(user)) - np.repeat(first, count)
        newest = rank >= np.repeat(count, count) - self._size
        slot = (self._next[user] + rank) % self._size
        at = user[newest], slot[newest]
        self._item[at] = feedback.item[rows[newest]]
        self._rating[at] = feedback.rating[rows[newest]]
        self._round[at] = feedback.round
        self._next[user[first]] += count

    def of(self, user: int) -> list[types_pb2.Interaction]:
        """The latest watches of one user, newest last."""
        total = int(self._next[user])
        slots = [n % self._size for n in range(max(0, total - self._size), total)]
        return [
            types_pb2.Interaction(
                type=types_pb2.Interaction.TYPE_RATE
                if self._rating[user, slot]
                else types_pb2.Interaction.TYPE_VIEW_ITEM,
                user_id=self._user_ids[user],
                item_id=self._catalog.item_ids[int(self._item[user, slot])],
                value=float(self._rating[user, slot]) or None,
                round=int(self._round[user, slot]),
            )
            for slot in slots
        ]
