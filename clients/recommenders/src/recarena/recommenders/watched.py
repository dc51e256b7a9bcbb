"""What each user has watched: sorted keys, two numbers a watch, nothing per user in Python."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]


class Users:
    """Rows of the users that feedback has spoken of, in the order in which it first did.

    The server numbers users in columns and names them in rich messages. The order of first
    appearance is the same in both, so what is learned does not depend on the encoding.
    """

    def __init__(self, user_count: int, strangers: int = 0) -> None:
        """`strangers` rows are taken by people whom no number or id will ever ask for."""
        self._row_of_number = np.full(max(user_count, 1), -1, np.int32)
        self._row_of_id: dict[str, int] = {}
        self._count = strangers

    def __len__(self) -> int:
        return self._count

    def rows(self, numbers: Ints) -> Ints:
        """Rows of user numbers, -1 for a user of whom nothing was heard."""
        known = numbers < len(self._row_of_number)
        return np.where(known, self._row_of_number[np.where(known, numbers, 0)], np.int32(-1))

    def row(self, user_id: str) -> int:
        """Row of a user id, -1 for a user of whom nothing was heard."""
        return self._row_of_id.get(user_id, -1)

    def numbers(self) -> Ints:
        """User numbers in the order of their rows, where feedback came in columns."""
        known = np.flatnonzero(self._row_of_number >= 0)
        return known[np.argsort(self._row_of_number[known])].astype(np.int32)

    def ids(self) -> list[str]:
        """User ids in the order of their rows, where feedback came in the rich form."""
        return list(self._row_of_id)

    def add_numbers(self, numbers: Ints) -> Ints:
        """Rows of user numbers; new users get the next rows in the order of appearance."""
        if len(numbers) and (top := int(numbers.max())) >= len(self._row_of_number):
            more = np.full(max(top + 1, 2 * len(self._row_of_number)), -1, np.int32)
            more[: len(self._row_of_number)] = self._row_of_number
            self._row_of_number = more
        new = numbers[self._row_of_number[numbers] < 0]
        if len(new):
            distinct, first = np.unique(new, return_index=True)
            ordered = distinct[np.argsort(first)]
            self._row_of_number[ordered] = np.arange(
                self._count, self._count + len(ordered), dtype=np.int32
            )
            self._count += len(ordered)
        return self._row_of_number[numbers]

    def add_ids(self, user_ids: list[str]) -> Ints:
        """Rows of user ids; new users get the next rows in the order of appearance."""
        rows = np.empty(len(user_ids), np.int32)
        for place, user_id in enumerate(user_ids):
            row = self._row_of_id.get(user_id)
            if row is None:
                row = self._row_of_id[user_id] = self._count
                self._count += 1
            rows[place] = row
        return rows


class Watched:
    """The items each row of users has watched, with the latest rating of each.

    Holds 12 bytes a watch (key = row * items + item, and the rating), sorted by key: ten million
    watches are 120 MB, whatever the number of users and items.
    """

    def __init__(self, item_count: int) -> None:
        self.item_count = item_count
        self.keys: Longs = np.empty(0, np.int64)
        self.ratings: Floats = np.empty(0, np.float32)
        """Beside keys: 1..5, 0 where not rated."""
        self.starts: Longs = np.zeros(1, np.int64)
        """[rows + 1]: where the keys of each row begin."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def items(self) -> Ints:
        """Beside keys: the items."""
        return (self.keys % max(self.item_count, 1)).astype(np.int32)

    @property
    def rows(self) -> Ints:
        """Beside keys: the rows."""
        return np.repeat(np.arange(len(self.starts) - 1, dtype=np.int32), np.diff(self.starts))

    def add(self, rows: Ints, items: Ints, ratings: Floats, row_count: int) -> None:
        """Adds watches in the order of their happening; of several of one pair the last counts,
        save that a watch without a rating does not undo one with."""
        fresh = rows.astype(np.int64) * self.item_count + items
        order = np.argsort(fresh, kind="stable")
        keys = np.concatenate([self.keys, fresh[order]])
        values = np.concatenate([self.ratings, ratings[order].astype(np.float32)])
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], values[order]
        if len(keys):
            first = np.r_[True, keys[1:] != keys[:-1]]
            place = np.arange(len(keys))
            # The last rated watch of a pair, else its last watch.
            last_rated = np.maximum.reduceat(np.where(values > 0, place, -1), place[first])
            last = np.r_[place[first][1:], len(keys)] - 1
            keys = keys[first]
            values = values[np.where(last_rated >= 0, last_rated, last)]
        self.put(keys, values, row_count)

    def put(self, keys: Longs, ratings: Floats, row_count: int) -> None:
        """Takes these watches in place of all; keys must be sorted, none twice."""
        self.keys, self.ratings = keys, ratings
        self.starts = np.searchsorted(
            keys, np.arange(row_count + 1, dtype=np.int64) * self.item_count
        )

    def renumbered(self, number: Ints, item_count: int) -> Watched:
        """The same watches in another catalogue: item i is number[i] there, or -1: gone."""
        items = number[self.items] if len(self) else self.items
        left = items >= 0
        watched = Watched(item_count)
        watched.add(self.rows[left], items[left], self.ratings[left], len(self.starts) - 1)
        return watched

    def of(self, rows: Ints) -> tuple[Longs, Ints]:
        """The watched items of these rows, flattened: (position in rows, item), sorted. A row of
        -1 has none."""
        segments, items, _ = self.rated(rows)
        return segments, items

    def rated(self, rows: Ints) -> tuple[Longs, Ints, Floats]:
        """As `of`, with the ratings."""
        segments, places = self._places(rows)
        items = (self.keys[places] % max(self.item_count, 1)).astype(np.int32)
        return segments, items, self.ratings[places]

    def counts(self, rows: Ints) -> Longs:
        """How many items each of these rows has watched; 0 for a row of -1."""
        known = (rows >= 0) & (rows < len(self.starts) - 1)
        safe = np.where(known, rows, 0)
        if len(self.starts) == 1:
            return np.zeros(len(rows), np.int64)
        return np.where(known, self.starts[safe + 1] - self.starts[safe], 0)

    def _places(self, rows: Ints) -> tuple[Longs, Longs]:
        """Positions in keys of all watches of these rows, and the position in rows of each."""
        counts = self.counts(rows)
        segments = np.repeat(np.arange(len(rows)), counts)
        begins = self.starts[np.where(counts > 0, rows, 0)]
        within = np.arange(len(segments)) - np.repeat(np.cumsum(counts) - counts, counts)
        return segments, begins[segments] + within


class UnseenFirst:
    """Reads an order of all items for many owners, what each has watched moved to its end.

    The p-th unwatched item of an owner whose watched items hold the ranks s_0 < s_1 < ... stands
    at rank p + #{j : s_j - j <= p}: one binary search a place, whatever the length of the order.
    """

    def __init__(self, owners: Longs, ranks: Longs, owner_count: int, item_count: int) -> None:
        """Takes (owner, rank of a watched item) pairs in any order, none twice."""
        self._items = item_count
        keys = np.sort(owners.astype(np.int64) * item_count + ranks)
        begins = np.arange(owner_count + 1, dtype=np.int64) * item_count
        self._starts = np.searchsorted(keys, begins)
        owners = np.repeat(np.arange(owner_count), np.diff(self._starts))
        self._ranks = keys - owners * item_count
        gaps = self._ranks - (np.arange(len(keys)) - self._starts[owners])
        self._gaps = owners * (item_count + 1) + gaps

    def ranks(self, owners: Ints | Longs, offsets: Ints, count: int) -> Ints:
        """[owners, count]: ranks in the common order of the places offset .. offset + count - 1
        of each owner's own; -1 beyond the last item. An owner of -1 has watched nothing."""
        places = offsets[:, None].astype(np.int64) + np.arange(count)
        known = owners >= 0
        safe = np.where(known, owners, 0)
        if not len(self._gaps):
            return np.where(places < self._items, places, -1).astype(np.int32)
        starts, ends = self._starts[safe], self._starts[safe + 1]
        unseen = self._items - np.where(known, ends - starts, 0)
        sought = np.minimum(places, self._items) + (safe * (self._items + 1))[:, None]
        skipped = np.searchsorted(self._gaps, sought, side="right") - starts[:, None]
        result = places + np.where(known[:, None], skipped, 0)
        tail = places >= unseen[:, None]
        if tail.any():
            # Nothing unwatched is left there: the watched ones, in the same order.
            again = np.minimum(starts[:, None] + places - unseen[:, None], len(self._ranks) - 1)
            result = np.where(tail, self._ranks[np.maximum(again, 0)], result)
            result = np.where(places >= self._items, -1, result)
        return result.astype(np.int32)
