"""What models of factors share: products whose bits do not depend on the company, and implicit."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from recarena.recommenders.watched import Floats

if TYPE_CHECKING:
    from recarena.recommenders.personal import Matrix

BLOCK = 64
"""Rows in one product, always as many: sums over columns do not go another way for fewer rows."""

SEED = 20_080_101
"""Of the first factors: fixed, so that the same feedback gives the same lists."""


def products(left: Floats, right: Floats) -> Floats:
    """left @ right, each row of it with the same bits in whatever place and company.

    Sums are in double precision and rounded to single: some processors add in another order in
    another place of the block, which moves the last bits of the sum and, but for one time in a
    hundred million, none of the rounded one.
    """
    result = np.empty((len(left), right.shape[1]), np.float32)
    padded = np.zeros((BLOCK, left.shape[1]), np.float64)
    double = right.astype(np.float64)
    for at in range(0, len(left), BLOCK):
        part = left[at : at + BLOCK]
        padded[: len(part)] = part
        result[at : at + BLOCK] = (padded @ double)[: len(part)]
    return result


@contextmanager
def quiet_implicit() -> Generator[None]:
    """Within it `implicit` can be imported and used: without a word about a graphics card that it
    does not need, and with BLAS in one thread, as it wants it for its many small systems."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?i).*disabling GPU support", UserWarning)
        import_module("implicit")  # with it comes the BLAS that is to be limited

    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield


def as_matrix(table: Matrix) -> Any:
    """The same numbers as the older class of scipy that `implicit` takes."""
    from scipy.sparse import csr_matrix

    return csr_matrix(table)
