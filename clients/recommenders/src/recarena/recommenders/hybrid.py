"""Hybrid: search by words and meaning, and lists of what is like the things liked of late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recarena.client import RunInfo
from recarena.recommenders.embedding import Embedder, embedder_for
from recarena.recommenders.explanations import like_watched
from recarena.recommenders.hybrid_search import HybridSearch
from recarena.recommenders.model_options import NO_EMBEDDER, EmbedderChoice
from recarena.recommenders.personal import Personal
from recarena.recommenders.signals import Signals
from recarena.recommenders.watched import Floats, Ints, Longs
from recarena.v1.types_pb2 import Explanation

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    Matrix = csr_array[Any, tuple[int, int]]

RECENT = 20
"""Liked items of a user that make the profile: the latest."""
AGEING = 0.9
"""Weight of each of them relative to the one after it."""
GAIN = 1.0
BLOCK = 64
"""Users in one product. Always as many, so that a score has the same bits whoever else is asked
for with it."""


class Hybrid(Personal):
    """personal_ui = GAIN * trust_u * cos(profile_u, v_i): v_i is the vector of the item's texts
    (see `embedding`), the profile the mean of the vectors of the RECENT items that the user liked
    last, each worth AGEING times the next; trust_u = n / (n + 1) for n of them.

    Liked is what was found no worse than usual, or watched and not rated. Search is HybridSearch.
    """

    method = "hybrid"

    def __init__(self, embedder: EmbedderChoice = NO_EMBEDDER) -> None:
        self._choice = embedder
        self._embedder: Embedder | None = None

    def start(self, run: RunInfo) -> None:
        """Starts from nothing; the catalogue's vectors are made here. NoVectors."""
        super().start(run)
        self._read_catalog()
        self._order: Longs = np.empty(0, np.int64)
        """Keys (as of `watched`) of all watches, the latest last."""

    def items_moved(self, number: Ints) -> None:
        """Makes vectors of the new catalogue, and keeps who liked what when."""
        old = len(number)
        super().items_moved(number)
        self._read_catalog()
        rows, items = np.divmod(self._order, max(old, 1))
        items = number[items].astype(np.int64) if old else items
        kept = items >= 0
        self._order = rows[kept] * self.item_count + items[kept]

    def _read_catalog(self) -> None:
        items = self.run.catalog.items
        self._embedder = embedder = embedder_for(self._choice, items)
        self._vectors = embedder.items()
        self._columns = np.ascontiguousarray(self._vectors.T)
        if self._search is not None:
            self._search.close()
        self._search = HybridSearch(items, lambda: embedder)

    def learn(self, signals: Signals) -> None:
        """Keeps what was passed over, and in what order things were watched."""
        super().learn(signals)
        done = ~np.isnan(signals.ratings)
        keys = signals.users[done].astype(np.int64) * self.item_count + signals.items[done]
        both = np.concatenate([self._order, keys])
        # The last place of each (user, item), in the order of those places.
        distinct, first = np.unique(both[::-1], return_index=True)
        self._order = distinct[np.argsort(-first, kind="stable")]

    def learned(self) -> dict[str, NDArray[Any]]:
        """The order of watches besides."""
        return {**super().learned(), "order": self._order}

    def recall(self, learned: Mapping[str, NDArray[Any]]) -> None:
        """Takes it too."""
        super().recall(learned)
        self._order = learned["order"]

    def fit(self, affinities: NDArray[Any], due: bool) -> None:
        """Weighs the latest liked items of every user."""
        keys = self.watched.keys
        rated = self.watched.ratings > 0
        liked = ~rated | (affinities >= self.WATCHED)
        places = np.searchsorted(keys, self._order)
        order = places[liked[places]] if len(places) else np.empty(0, np.int64)
        rows = self.watched.rows[order]
        latest = np.lexsort((-np.arange(len(order)), rows))
        order, rows = order[latest], rows[latest]
        starts = np.searchsorted(rows, np.arange(self.row_count + 2))
        age = np.arange(len(rows)) - starts[rows]
        recent = age < RECENT
        weights = np.where(recent, AGEING ** np.minimum(age, RECENT), 0)
        from scipy.sparse import csr_array

        self._liked: Matrix = csr_array(
            (weights[recent].astype(np.float32), (rows[recent], self.watched.items[order[recent]])),
            shape=(self.row_count + 1, self.item_count),
        )

    def profiles(self, users: Ints) -> Floats:
        """[users, dimensions] of length trust_u; zeros for a row of -1."""
        mine: Any = self._liked[users]
        sums = np.asarray(mine @ self._vectors)
        counts = np.diff(mine.indptr)[:, None]
        lengths = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        return (sums / lengths * (counts / (counts + 1))).astype(np.float32)

    def personal(self, users: Ints) -> Floats:
        """Cosines with the profile, a block of users at a time."""
        scores = np.empty((len(users), self.item_count), np.float32)
        for at in range(0, len(users), BLOCK):
            part = users[at : at + BLOCK]
            block = np.zeros((BLOCK, self._vectors.shape[1]), np.float32)
            block[: len(part)] = self.profiles(part)
            scores[at : at + BLOCK] = (block @ self._columns)[: len(part)]
        return GAIN * scores

    def reasons(self, user: int, items: Ints) -> list[Explanation | None]:
        """Names the liked item that is most like each; nothing where none is like it at all."""
        liked: Any = self._liked[[user]] if user >= 0 else None
        if liked is None or not len(liked.indices) or self._embedder is None:
            return [None] * len(items)
        alike = self._vectors[items] @ self._vectors[liked.indices].T
        reasons: list[Explanation | None] = []
        for row in alike:
            nearest = int(np.argmax(row))
            said = None
            if row[nearest] > self._embedder.floor:
                watched = self.run.catalog.items[int(liked.indices[nearest])]
                said = like_watched(watched, self.method)
            reasons.append(said)
        return reasons
