"""Who passed over what of late, and how often each item was passed over at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.recommenders.watched import Floats, Ints, Longs, Watched

MEMORY = 5
"""Rounds for which it is remembered who passed over what."""


class PassedOver:
    """Who passed over what in the last MEMORY rounds, and how often each item was, ever."""

    def __init__(self, item_count: int) -> None:
        self.totals: Longs = np.zeros(item_count, np.int64)
        """[items]: times passed over so far."""
        self._rounds: deque[Longs] = deque(maxlen=MEMORY)
        self._pairs = Watched(item_count)

    def add(self, users: Ints, items: Ints) -> None:
        """Takes one round."""
        self.totals += np.bincount(items, minlength=len(self.totals))
        self._rounds.append(users.astype(np.int64) * len(self.totals) + items)

    def learned(self) -> dict[str, NDArray[Any]]:
        """All that was added, as `recall` takes it."""
        return {
            "passed.totals": self.totals,
            "passed.keys": np.concatenate([np.empty(0, np.int64), *self._rounds]),
            "passed.lengths": np.array([len(keys) for keys in self._rounds], np.int64),
        }

    def recall(self, learned: Mapping[str, NDArray[Any]]) -> None:
        """Takes what `learned` gave in place of all; `settle` makes it ready to be read."""
        self.totals = learned["passed.totals"]
        ends = np.cumsum(learned["passed.lengths"])[:-1]
        self._rounds.clear()
        if len(learned["passed.lengths"]):
            self._rounds.extend(np.split(learned["passed.keys"], ends))

    def settle(self, user_count: int, item_count: int) -> None:
        """Makes what was added ready to be read."""
        keys = np.concatenate(list(self._rounds)) if self._rounds else np.empty(0, np.int64)
        distinct, times = np.unique(keys, return_counts=True)
        self._pairs = Watched(item_count)
        self._pairs.put(distinct, times.astype(np.float32), user_count)

    def of(self, users: Ints) -> tuple[Longs, Ints, Floats]:
        """(position in users, item, times) of all that these users passed over."""
        return self._pairs.rated(users)

    def times(self, users: Ints, items: Ints) -> Floats:
        """How often each of these pairs was passed over; 0 for a user who is not known yet."""
        keys = users.astype(np.int64) * len(self.totals) + items
        if not len(self._pairs):
            return np.zeros(len(keys), np.float32)
        places = np.minimum(np.searchsorted(self._pairs.keys, keys), len(self._pairs) - 1)
        hit = self._pairs.keys[places] == keys
        return np.where(hit, self._pairs.ratings[places], 0).astype(np.float32)
