"""What people did, in a world folder that was split by time: what is known of them, and what is
held against the mind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.offline.measures import SPLIT, NotSplit

Numbers = NDArray[np.int64]
Rows = NDArray[np.float64]

SHRINKAGE = 5.0
"""Ratings of the overall mean added to each item and user: the mean as the server displays it."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """Columns [ratings], in the order of the file: time, user, item."""

    user: Numbers
    item: Numbers
    rating: Rows

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class People:
    """Users and items of a world by number, with what came before and after the split."""

    folder: Path
    about: Mapping[str, Any]
    """`world.json`."""
    user_ids: list[str]
    item_ids: list[str]
    genres: NDArray[np.bool_]
    """[items, genres]."""
    past: Ratings
    """Before the split: all that the world, and the baselines, are made from."""
    later: Ratings
    """After it, of items that the user had not rated before."""

    @cached_property
    def counts(self) -> Numbers:
        """[items]: ratings before the split."""
        return np.bincount(self.past.item, minlength=len(self.item_ids))

    @cached_property
    def overall(self) -> float:
        """Mean rating before the split."""
        return float(self.past.rating.mean()) if len(self.past) else 3.0

    @cached_property
    def item_means(self) -> Rows:
        """[items]: mean rating before the split, shrunken to the overall mean by 5 ratings."""
        return shrunken(self.past.item, self.past.rating, len(self.item_ids), self.overall)

    @cached_property
    def user_means(self) -> Rows:
        """[users]: likewise."""
        return shrunken(self.past.user, self.past.rating, len(self.user_ids), self.overall)

    @cached_property
    def _by_user(self) -> tuple[Numbers, Numbers]:
        """Items of both parts, user after user, and where each user's begin."""
        user = np.concatenate([self.past.user, self.later.user])
        item = np.concatenate([self.past.item, self.later.item])
        ends = np.cumsum(np.bincount(user, minlength=len(self.user_ids)))
        return item[np.argsort(user, kind="stable")], np.concatenate([[0], ends])

    def rated_by(self, user: int) -> Numbers:
        """Items that the user rated, before the split or after it."""
        items, start = self._by_user
        return items[start[user] : start[user + 1]]

    @cached_property
    def _past_pairs(self) -> Numbers:
        return np.sort(self.past.user * len(self.item_ids) + self.past.item)

    def known_before(self, users: Numbers, items: Numbers) -> NDArray[np.bool_]:
        """Whether each user had rated each item before the split; the two broadcast, -1: no."""
        pairs = users * len(self.item_ids) + items
        return np.isin(pairs, self._past_pairs) & (items >= 0)


def shrunken(group: Numbers, values: Rows, groups: int, mean: float) -> Rows:
    """[groups]: (sum + 5 mean) / (n + 5), a mean that few values leave near the overall one."""
    total = np.bincount(group, values, groups)
    return (total + SHRINKAGE * mean) / (np.bincount(group, minlength=groups) + SHRINKAGE)


def read_people(folder: Path) -> People:
    """The people of a world folder. NotSplit where it is none, or holds nothing later."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = json.loads((folder / "world.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise NotSplit(f"{folder} is no world folder. Make one: {SPLIT}") from None
    if "later.parquet" not in about.get("files", {}):
        raise NotSplit(f"{folder} holds nothing to measure against. Split it by time: {SPLIT}")

    def table(name: str, *columns: str) -> dict[str, Any]:
        try:
            found = pq.ParquetFile(folder / f"{name}.parquet").read(columns=list(columns))
        except (OSError, pa.ArrowException) as error:
            raise NotSplit(f"{folder}: {name}.parquet cannot be read ({error}). {SPLIT}") from None
        return {column: found[column] for column in columns}

    items, users = table("items", "item_id", "genres"), table("users", "user_id")
    item_ids, user_ids = items["item_id"].to_pylist(), users["user_id"].to_pylist()
    number = {name: at for at, name in enumerate(about.get("genre_names", ()))}
    genres = np.zeros((len(item_ids), len(number)), np.bool_)
    for item, own in enumerate(items["genres"].to_pylist()):
        genres[item, [number[one] for one in own]] = True
    past, later = (_ratings(table(name, "user", "item", "rating")) for name in ("history", "later"))
    new = ~_among(later, past, len(item_ids))
    later = Ratings(later.user[new], later.item[new], later.rating[new])
    return People(folder, about, user_ids, item_ids, genres, past, later)


def _ratings(table: Mapping[str, Any]) -> Ratings:
    return Ratings(
        table["user"].to_numpy().astype(np.int64),
        table["item"].to_numpy().astype(np.int64),
        table["rating"].to_numpy().astype(np.float64),
    )


def _among(rows: Ratings, others: Ratings, items: int) -> NDArray[np.bool_]:
    return np.isin(rows.user * items + rows.item, others.user * items + others.item)
