"""Search by words and by meaning: full text and nearest vectors, fused by their ranks."""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from recarena.recommenders.embedding import Embedder, NoVectors
from recarena.recommenders.search import MOST_HITS, CatalogSearch, Hits, year_of
from recarena.recommenders.titles import Titled, words
from recarena.recommenders.watched import Floats, Ints, Longs
from recarena.v1.types_pb2 import Item

logger = logging.getLogger(__name__)

K = 60
"""How little the first ranks stand out: 1 / (K + rank)."""
YEAR_BOOST = 1.5
"""Factor on an item of the year that the query names."""
UNIT = 1e7
"""Fused scores are kept as whole numbers of 1 / UNIT, so that ties are ties."""


class HybridSearch(CatalogSearch):
    """As CatalogSearch (exact titles first, genres by popularity), but where that has full text
    alone, results are those of full text and of the nearest vectors, by reciprocal rank fusion:

        score(item) = sum over both lists that hold it of 1 / (K + its rank there)

    (Cormack, Clarke and Buettcher, "Reciprocal rank fusion outperforms Condorcet and individual
    rank learning methods", 2009). Ranks are given here and not by LanceDB's own hybrid query,
    which leaves the order of equal scores open and knows nothing of titles one letter off.

    The vectors lie in a LanceDB table that is searched exhaustively: nothing is approximate.
    """

    def __init__(self, items: Sequence[Item], embedder: Callable[[], Embedder]) -> None:
        """`embedder` is asked for at the first search that needs it."""
        super().__init__(items)
        self._make = embedder
        self._embedder: Embedder | None = None
        self._vectors: _Vectors | None = None
        self._near: dict[str, Ints] = {}
        self._year_of = np.array([year_of(item) for item in items], np.int32)
        self.without_vectors = 0
        """Searches that were answered by full text alone, since there were no vectors."""

    def close(self) -> None:
        """Removes both indexes; a later query builds them anew."""
        super().close()
        if self._vectors is not None:
            self._vectors.close()
            self._vectors = None

    def _look_up(self, texts: Sequence[str]) -> list[Hits]:
        """Hits of each text; the vectors of all are sought in one query."""
        sought = [text for text in texts if words(text) and self._of_genres(text) is None]
        self._near = self._nearest(sought) if sought else {}
        return super()._look_up(texts)

    def _nearest(self, texts: Sequence[str]) -> dict[str, Ints]:
        try:
            embedder = self._embedder = self._embedder or self._make()
            if self._vectors is None:
                self._vectors = _Vectors(embedder.items(), embedder.floor)
            vectors = embedder.texts([Titled.of(text).text for text in texts])
        except NoVectors as error:
            if not self.without_vectors:
                logger.warning("searching by full text alone: %s", error)
            self.without_vectors += len(texts)
            return {}
        return dict(zip(texts, self._vectors.nearest(vectors), strict=True))

    def _full_text(self, index: Any, text: str) -> tuple[Ints, Longs]:
        """What full text finds, fused with what is near."""
        items, scores = super()._full_text(index, text)
        by_words = items[np.lexsort((items, -scores))]
        near = self._near.get(text)
        if near is None:
            return items, scores
        found = fused(by_words, near, len(self._items))
        year = Titled.of(text).year
        if year:
            found = np.where(self._year_of == year, found * YEAR_BOOST, found)
        hits = np.flatnonzero(found).astype(np.int32)
        return hits, np.rint(found[hits] * UNIT).astype(np.int64)


def fused(one: Ints, other: Ints, item_count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """[items]: the reciprocal ranks of each item in the two lists, best first, added up."""
    scores = np.zeros(item_count)
    for ranked in (one, other):
        scores[ranked] += 1 / (K + 1 + np.arange(len(ranked)))
    return scores


class _Vectors:
    """A LanceDB table of the items' vectors, without an approximate index."""

    def __init__(self, vectors: Floats, floor: float) -> None:
        import pyarrow as pa

        from recarena.lance import lancedb

        folder = tempfile.mkdtemp(prefix="recarena-vectors-")
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._farthest = 1 - floor
        known = np.flatnonzero(np.abs(vectors).sum(axis=1) > 0)
        self._table: Any = None
        if len(known):
            flat = pa.array(np.ascontiguousarray(vectors[known]).ravel(), pa.float32())
            columns = {
                "number": pa.array(known, pa.int32()),
                "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
            }
            self._table = lancedb.connect(folder).create_table("vectors", pa.table(columns))

    def nearest(self, vectors: Floats) -> list[Ints]:
        """For each vector the items nearest to it, at most MOST_HITS, none below the floor; ties
        go to the earlier item. None for a vector of zeros."""
        found = [np.empty(0, np.int32) for _ in vectors]
        asked = np.flatnonzero(np.abs(vectors).sum(axis=1) > 0)
        if self._table is None or not len(asked):
            return found
        table = (
            self._table.search(list(vectors[asked]), vector_column_name="vector")
            .distance_type("cosine")
            .select(["number", "_distance"])
            .limit(MOST_HITS)
            .to_arrow()
        )
        # One vector alone is answered without the column that says whose results these are.
        several = "query_index" in table.column_names
        whose = table["query_index"].to_numpy() if several else np.zeros(table.num_rows, np.int64)
        items = table["number"].to_numpy().astype(np.int32)
        distances = np.rint(table["_distance"].to_numpy() * 1e5).astype(np.int64)
        near = distances <= np.rint(self._farthest * 1e5)
        for place, one in enumerate(asked):
            mine = np.flatnonzero(near & (whose == place))
            found[one] = items[mine[np.lexsort((items[mine], distances[mine]))]]
        return found

    def close(self) -> None:
        self._remove()
