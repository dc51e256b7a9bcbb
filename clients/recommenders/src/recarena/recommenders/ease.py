"""EASE: a linear item-to-item model in closed form."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recarena.recommenders.item_to_item import ItemToItem, gram
from recarena.recommenders.personal import Doubles
from recarena.recommenders.watched import Ints

if TYPE_CHECKING:
    from recarena.recommenders.item_to_item import Matrix

MOST_ITEMS = 8_000
"""Items that are related to one another; of a larger catalogue, the most watched."""

RIDGE = 2.0
"""lambda as a multiple of the mean diagonal of the Gram matrix."""


class Ease(ItemToItem):
    """EASE^R (Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019, eq. 8):
    with P = (A'A + lambda I)^-1, R_ij = -P_ij / P_jj and R_jj = 0, on centred affinities.

    lambda is RIDGE times the mean of diag(A'A), so that it means the same at every size. Training
    takes memory and time as items squared and cubed; of a catalogue of more than MOST_ITEMS items
    the most watched are related and the others are ranked by their worth alone (logged once).
    """

    method = "ease"
    WATCHED = 0.6
    FAME = 0.05
    DOUBT = 0.7

    def keep(self) -> Ints | None:
        """The most watched items where there are too many."""
        if self.item_count <= MOST_ITEMS:
            return None
        if self.kept is None:
            logging.getLogger(__name__).warning(
                "%s relates the %d most watched of %d items; the others are ranked by their"
                " worth alone",
                self.method,
                MOST_ITEMS,
                self.item_count,
            )
        order = np.argsort(-self.watches, kind="stable")[:MOST_ITEMS]
        return np.sort(order).astype(np.int32)

    def relate(self, affinities: Matrix) -> NDArray[np.float32]:
        """R by one Cholesky factorisation."""
        matrix = gram(affinities)
        inverse = inverted(matrix, self.method)
        relations = inverse / -np.diagonal(inverse)
        np.fill_diagonal(relations, 0)
        return relations.astype(np.float32)


def inverted(matrix: Doubles, method: str) -> Doubles:
    """(matrix + lambda I)^-1 by one Cholesky factorisation, lambda being RIDGE times the mean of
    the diagonal; nothing but zeros has the identity. The matrix is used up."""
    from scipy.linalg import lapack

    diagonal = np.arange(len(matrix))
    mean = float(matrix[diagonal, diagonal].mean()) if len(matrix) else 0.0
    if mean <= 0:
        return np.eye(len(matrix))
    matrix[diagonal, diagonal] += RIDGE * mean
    factor, failed = lapack.dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
    inverse, failed_too = lapack.dpotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise ArithmeticError(f"{method}: the Gram matrix is not positive definite")
    lower = np.tril(inverse)
    return lower + np.tril(inverse, -1).T
