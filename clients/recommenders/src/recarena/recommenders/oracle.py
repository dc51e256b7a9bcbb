"""Oracle: ranks by the planted truth. It cheats on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.client import RunInfo
from recarena.recommenders.explanations import because_of_genre
from recarena.recommenders.numeric import NumericRecommender, Wanted
from recarena.recommenders.ranking import best
from recarena.recommenders.watched import Floats, Ints
from recarena.v1.types_pb2 import Explanation, Item
from recarena.v1.work_pb2 import RankQuery

BLOCK = 64
"""Users scored in one product. Always as many, so that a score has the same bits whoever else is
asked for with it."""


class Oracle(NumericRecommender):
    """Reads a world folder's hidden truth and ranks by theta_u . x_i + q_i: the upper bound that
    a sane benchmark has, and no recommender.

    x_i are the item's genres, each 1 / sqrt(number of its genres), then its hidden factors; the
    same as the server's own. Items are matched by id, users by their number in the run. Of items
    that were added in the run the folder has nothing: they have their genres, no factors, and the
    quality of the average item.
    """

    def __init__(self, world: Path) -> None:
        self._world = world

    explains = True

    def start(self, run: RunInfo) -> None:
        """Loads the truth.

        Raises:
            ValueError: the folder is not the world of this run.
        """
        super().start(run)
        self._load()

    def items_moved(self, number: Ints) -> None:
        """Reads the truth of the new catalogue."""
        super().items_moved(number)
        self._load()

    def _load(self) -> None:
        truth = Truth.read(self._world)
        places = {item_id: place for place, item_id in enumerate(truth.item_ids)}
        ids = self.run.catalog.item_ids
        for number, item_id in zip(self.offered.numbers.tolist(), ids, strict=True):
            if item_id not in places and number < len(places):
                raise ValueError(f"oracle: the world {self._world} has no item {item_id!r}")
        if len(truth.taste) < self.run.user_count:
            raise ValueError(
                f"oracle: the world {self._world} has {len(truth.taste)} users, the"
                f" run {self.run.user_count}"
            )
        rows = np.array([places.get(item_id, -1) for item_id in ids], np.int64)
        attributes, quality = truth.attributes[rows], truth.quality[rows]
        for place in np.flatnonzero(rows < 0).tolist():
            attributes[place], quality[place] = truth.shares(self.run.catalog.items[place]), 0
        self._taste = truth.taste
        self._attributes = np.ascontiguousarray(attributes.T)
        self._quality = quality
        self._genres = truth.genres

    def top(self, wanted: Wanted) -> Ints:
        """The best for each user in truth, watched items last."""
        parts: list[Ints] = []
        for at in range(0, len(wanted), BLOCK):
            part = wanted.part(at, at + BLOCK)
            taste = np.zeros((BLOCK, self._taste.shape[1]))
            taste[: len(part)] = self._taste[part.numbers]
            scores: Floats = (taste @ self._attributes + self._quality)[: len(part)].astype(
                np.float32
            )
            parts.append(best(scores, self.watched.of(part.users), part.offsets, part.count))
        return np.concatenate(parts) if parts else np.empty((0, wanted.count), np.int32)

    def explained(self, query: RankQuery, user: int, items: Ints) -> list[Explanation | None]:
        """Names the genre that adds most to each score, with its share of all that adds."""
        taste = self._taste[query.user.user_number]
        reasons: list[Explanation | None] = []
        for item in items:
            adds = np.append(taste * self._attributes[:, item], self._quality[item])
            of_genres = adds[: len(self._genres)]
            most = int(np.argmax(of_genres)) if len(of_genres) else -1
            if most < 0 or of_genres[most] <= 0:
                reasons.append(None)
                continue
            share = float(of_genres[most] / adds[adds > 0].sum())
            reasons.append(because_of_genre(self._genres[most], share, "oracle"))
        return reasons


class Truth:
    """What a world folder hides from recommenders."""

    def __init__(
        self,
        item_ids: list[str],
        attributes: NDArray[np.float64],
        quality: NDArray[np.float64],
        taste: NDArray[np.float64],
        genres: list[str],
    ) -> None:
        self.item_ids = item_ids
        self.attributes = attributes
        self.quality = quality
        self.taste = taste
        self.genres = genres
        """Names of the first columns of attributes and taste."""

    def shares(self, item: Item) -> NDArray[np.float64]:
        """The attributes of an item by its genres alone."""
        known = [self.genres.index(one) for one in item.categories if one in self.genres]
        found = np.zeros(self.attributes.shape[1])
        found[known] = 1 / np.sqrt(max(len(known), 1))
        return found

    @classmethod
    def read(cls, world: Path) -> Truth:
        """Reads items.parquet and users.parquet.

        Raises:
            ValueError: the folder is no world, or tastes and attributes do not fit.
        """
        import pyarrow.parquet as pq

        for name in ("items.parquet", "users.parquet", "world.json"):
            if not (world / name).is_file():
                raise ValueError(f"oracle: {world} is no world folder, it has no {name}")
        items: Any = pq.ParquetFile(world / "items.parquet").read()
        users: Any = pq.ParquetFile(world / "users.parquet").read()
        taste, factors = matrix(users, "taste"), matrix(items, "factors")
        listed: list[list[str]] = items["genres"].to_pylist()
        names: list[str] = json.loads((world / "world.json").read_text("utf-8"))["genre_names"]
        column = {name: place for place, name in enumerate(names)}
        shares = np.zeros((len(listed), len(names)))
        for row, genres in enumerate(listed):
            for genre in genres:
                shares[row, column[genre]] = 1 / np.sqrt(len(genres))
        attributes = np.concatenate([shares, factors], axis=1)
        if attributes.shape[1] != taste.shape[1]:
            raise ValueError(
                f"oracle: tastes in {world} are for {taste.shape[1]} attributes, its"
                f" items have {attributes.shape[1]}"
            )
        return cls(
            items["item_id"].to_pylist(),
            attributes,
            items["quality"].to_numpy().astype(np.float64),
            taste,
            names,
        )


def matrix(table: Any, name: str) -> NDArray[np.float64]:
    """A column of vectors as [rows, width]; no columns where the table has not got it."""
    if name not in table.column_names:
        return np.zeros((table.num_rows, 0))
    column = table.column(name).combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return flat.astype(np.float64).reshape(table.num_rows, column.type.list_size)
