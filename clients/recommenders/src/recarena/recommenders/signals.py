"""Feedback as columns, the same from both encodings of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.recommenders.watched import Floats, Ints, Longs, Users
from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns
from recarena.v1.types_pb2 import Interaction

WATCHED_TYPES = (
    Interaction.TYPE_VIEW_ITEM,
    Interaction.TYPE_LIKE,
    Interaction.TYPE_DISLIKE,
    Interaction.TYPE_RATE,
    Interaction.TYPE_SHARE,
)
"""Interactions that say the item was watched; the others say that it was passed over."""

LIKE_RATING, DISLIKE_RATING = 5.0, 1.0
"""What a like and a dislike without a number are read as."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What users did with what they were shown: columns of equal length, in (user, step,
    position) order."""

    round: int
    """0 is history."""
    users: Ints
    """Rows (see Users)."""
    items: Ints
    ratings: Floats
    """NaN: shown and passed over; 0: watched, not rated; 1..5: watched and rated."""

    def __len__(self) -> int:
        return len(self.users)


def ratings_of(types: NDArray[np.int64], values: Floats) -> Floats:
    """The rating column of Signals from Interaction.Type and value (NaN where there is none)."""
    known = np.isfinite(values) & (values > 0)
    unrated = np.select(
        [types == Interaction.TYPE_LIKE, types == Interaction.TYPE_DISLIKE],
        [LIKE_RATING, DISLIKE_RATING],
        0.0,
    )
    ratings = np.where(known, values, unrated)
    return np.where(np.isin(types, WATCHED_TYPES), ratings, np.nan).astype(np.float32)


def from_columns(batch: FeedbackColumns, users: Users, items: Longs) -> Signals:
    """Signals of a columnar batch. `items`, beside it: the item of each row; rows with an item
    below 0 are left out."""
    numbers = np.array(batch.user_numbers, np.int32)
    ratings = ratings_of(np.array(batch.types, np.int64), np.array(batch.values, np.float32))
    known = items >= 0
    return Signals(
        batch.round,
        users.add_numbers(numbers[known]),
        items[known].astype(np.int32),
        ratings[known],
    )


class RichRound:
    """Puts rich batches of one round together as the columnar form has them: one entry per item
    shown, wherever the batches were parted."""

    def __init__(self, round: int) -> None:
        self.round = round
        self._users: list[str] = []
        self._items: list[int] = []
        self._types: list[int] = []
        self._values: list[float] = []
        self._shown: dict[tuple[str, int], int] = {}

    def add(self, batch: FeedbackBatch, number_of: Mapping[str, int]) -> None:
        """Takes the next batch; items that are not in the catalogue are left out."""
        for impression in batch.impressions:
            for shown in impression.items:
                item = number_of.get(shown.item_id)
                if item is not None:
                    self._shown[impression.impression_id, item] = len(self._users)
                    self._append(impression.user_id, item, Interaction.TYPE_IMPRESSION)
        for done in batch.interactions:
            item = number_of.get(done.item_id)
            if item is None:
                continue
            value = done.value if done.HasField("value") else float("nan")
            place = self._shown.get((done.impression_id, item)) if done.impression_id else None
            if place is None:
                self._append(done.user_id, item, done.type, value)
            else:
                self._types[place], self._values[place] = done.type, value

    def signals(self, users: Users) -> Signals:
        """All that was added."""
        return Signals(
            self.round,
            users.add_ids(self._users),
            np.array(self._items, np.int32),
            ratings_of(np.array(self._types, np.int64), np.array(self._values, np.float32)),
        )

    def _append(self, user_id: str, item: int, kind: int, value: float = float("nan")) -> None:
        self._users.append(user_id)
        self._items.append(item)
        self._types.append(kind)
        self._values.append(value)
