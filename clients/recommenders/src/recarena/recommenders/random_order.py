"""Random: a fresh order of the catalogue for every user and round, computed and never stored."""

from __future__ import annotations

import math

import numpy as np

from recarena.recommenders.explanations import at_random
from recarena.recommenders.keyed import Keys, mixed, user_keys
from recarena.recommenders.numeric import NumericRecommender, Wanted
from recarena.recommenders.watched import Ints, Longs, UnseenFirst
from recarena.v1.types_pb2 import Explanation

HALF_ROUNDS = 6


class RandomOrder(NumericRecommender):
    """Shows each user the catalogue in an order that follows from (seed, user, round) alone; a
    user's watched items go last."""

    explains = True

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def top(self, wanted: Wanted) -> Ints:
        """The first unwatched items of each user's own order."""
        shuffle = Shuffle(self.item_count)
        with np.errstate(over="ignore"):
            keys = user_keys(self._seed, self.round, wanted.numbers)
            owners, items = self.watched.of(wanted.users)
            places = shuffle.place(items.astype(np.int64), keys[owners])
            unseen = UnseenFirst(owners, places, len(wanted), self.item_count)
            lists = np.arange(len(wanted))
            ranks = unseen.ranks(lists, wanted.offsets, wanted.count)
            flat = shuffle.item(
                np.maximum(ranks, 0).ravel().astype(np.int64), np.repeat(keys, wanted.count)
            )
        return np.where(ranks >= 0, flat.reshape(ranks.shape), -1).astype(np.int32)

    def reasons(self, user: int, items: Ints) -> list[Explanation | None]:
        """Says that there is none: a sentence without evidence."""
        return [at_random("random") for _ in items]


class Shuffle:
    """Permutations of 0 .. size - 1, one for each key, computed at any point both ways.

    A Feistel network over the two digits of a number in mixed base (Black and Rogaway, "Ciphers
    with arbitrary finite domains", 2002, section 5), walked on until it lands below `size`: the
    domain is larger than `size` by less than its root, so nearly every walk is one step.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._left = max(math.isqrt(max(size - 1, 0)) + 1, 1)
        self._right = max(-(-size // self._left), 1)

    def item(self, places: Longs, keys: Keys) -> Longs:
        """The number at each place of each key's permutation."""
        return self._walk(places, keys, range(HALF_ROUNDS), 1)

    def place(self, items: Longs, keys: Keys) -> Longs:
        """The place of each number: the inverse of `item`."""
        return self._walk(items, keys, range(HALF_ROUNDS - 1, -1, -1), -1)

    def _walk(self, numbers: Longs, keys: Keys, steps: range, sign: int) -> Longs:
        numbers = self._step(numbers, keys, steps, sign)
        while len(outside := np.flatnonzero(numbers >= self.size)):
            numbers[outside] = self._step(numbers[outside], keys[outside], steps, sign)
        return numbers

    def _step(self, numbers: Longs, keys: Keys, steps: range, sign: int) -> Longs:
        left, right = np.divmod(numbers, self._right)
        for step in steps:
            if step % 2:
                noise = self._noise(keys, left, step, self._right)
                right = (right + sign * noise) % self._right
            else:
                noise = self._noise(keys, right, step, self._left)
                left = (left + sign * noise) % self._left
        return left * self._right + right

    @staticmethod
    def _noise(keys: Keys, digit: Longs, step: int, base: int) -> Longs:
        tweak = digit.astype(np.uint64) * np.uint64(8) + np.uint64(step + 1)
        return ((mixed(keys + tweak) >> np.uint64(32)) * np.uint64(base) >> np.uint64(32)).astype(
            np.int64
        )
