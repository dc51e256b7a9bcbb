"""Recommenders that rank by the planted truth and differ in how they explain.

python explainers.py HOW SERVER WORLD, where HOW is matching (the item's genre that the user likes
most), generic (the item's first genre, whoever the user is) or invented (a genre that the item does
not have).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from recarena.client import Capability, serve
from recarena.recommenders.explanations import because_of_genre
from recarena.recommenders.oracle import Oracle, Truth
from recarena.recommenders.watched import Ints
from recarena.v1.types_pb2 import Explanation
from recarena.v1.work_pb2 import RankQuery

WAYS = ("matching", "generic", "invented")


class Explainer(Oracle):
    def __init__(self, how: str, world: Path) -> None:
        super().__init__(world)
        self._how, self._truth = how, Truth.read(world)
        self._place = {item_id: at for at, item_id in enumerate(self._truth.item_ids)}

    def explained(self, query: RankQuery, user: int, items: Ints) -> list[Explanation | None]:
        taste = self._truth.taste[query.user.user_number][: len(self._truth.genres)]
        return [
            because_of_genre(self._truth.genres[genre], 1.0, self._how)
            if (genre := self._genre(taste, int(item))) >= 0
            else None
            for item in items
        ]

    def _genre(self, taste: np.ndarray, item: int) -> int:
        place = self._place[self.run.catalog.item_ids[item]]
        has = self._truth.attributes[place, : len(self._truth.genres)] > 0
        if self._how == "invented":
            return int(np.argmin(has))
        own = np.flatnonzero(has)
        if not len(own):
            return -1
        return int(own[np.argmax(taste[own])] if self._how == "matching" else own[0])


if __name__ == "__main__":
    how, server, world = sys.argv[1:]
    serve(
        lambda: Explainer(how, Path(world)), how, server=server,
        capabilities=(Capability.CAPABILITY_EXPLAIN,),
    )  # fmt: skip
