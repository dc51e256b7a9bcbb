"""Item-kNN: items that the same users found better, or worse, than usual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recarena.recommenders.item_to_item import ItemToItem, nearest
from recarena.recommenders.watched import Floats, Longs

if TYPE_CHECKING:
    from recarena.recommenders.item_to_item import Matrix

NEIGHBOURS = 50
SHRINK_SIMILARITY = 20.0
"""Added to the product of the norms: pairs that few users have in common count for less."""


class ItemKnn(ItemToItem):
    """R_ji = a_j . a_i / (|a_j| |a_i| + SHRINK_SIMILARITY) over users, for the NEIGHBOURS items j
    nearest to i and 0 for the others (Deshpande and Karypis, "Item-based top-N recommendation
    algorithms", 2004; the shrinkage after Bell and Koren, 2007).

    A sum over neighbours grows with what a user has watched; w_u = 10 / (watches + 3) makes it a
    mean again, drawn to nothing for users with few.
    """

    method = "item-knn"
    WATCHED = 0.4
    DOUBT = 0.3

    def relate(self, affinities: Matrix) -> Matrix:
        """Shrunk cosines of the columns, the nearest kept."""
        norms = np.sqrt(
            np.bincount(
                affinities.indices,
                affinities.data.astype(np.float64) ** 2,
                minlength=self.item_count,
            )
        )
        columns: Any = affinities.T.tocsr()

        def similar(begin: int, end: int) -> Floats:
            dots = (columns[begin:end] @ affinities).toarray()
            cosines = dots / (norms[begin:end, None] * norms + SHRINK_SIMILARITY)
            cosines[np.arange(end - begin), np.arange(begin, end)] = 0
            return cosines.astype(np.float32)

        return nearest(similar, self.item_count, NEIGHBOURS)

    def trust(self, counts: Longs) -> Floats:
        """10 / (watches + 3)."""
        return (10 / (counts + 3.0)).astype(np.float32)
