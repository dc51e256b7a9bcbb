"""ALS: factors of users and items from implicit feedback, by alternating least squares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.recommenders.explanations import because_watched
from recarena.recommenders.factors import SEED, as_matrix, products, quiet_implicit
from recarena.recommenders.personal import Doubles, Personal
from recarena.recommenders.watched import Floats, Ints
from recarena.v1.types_pb2 import Explanation

FACTORS = 16
RIDGE = 15.0
"""lambda."""
CONFIDENCE = 3.0
"""alpha: what a watch found one point better, or worse, than usual counts for besides 1."""
FIRST_SWEEPS, LATER_SWEEPS = 12, 2
"""Sweeps over users and items at the first training, and from where it was at later ones."""


class Als(Personal):
    """Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets" (2008):
    minimises the sum over all u, i of c_ui (p_ui - x_u . y_i)^2 + lambda (|x_u|^2 + |y_i|^2), with
    p_ui = 1 for what was watched and found no worse than usual (a_ui >= 0), else 0, and
    c_ui = 1 + alpha |a_ui|, 1 for what was not watched. personal_ui = GAIN x_u . y_i.

    The sweeps are those of the library `implicit`, each system solved exactly, so the number of
    threads changes nothing. Items are trained when it is due; all users are solved for anew in
    every round, so what a user did in the last one, or a new user did at all, counts at once.
    """

    method = "als"
    WATCHED = 0.3
    GAIN: float = 3.0

    def fit(self, affinities: Doubles, due: bool) -> None:
        """Trains the items where it is due, and solves for all users."""
        signs = np.where(affinities < 0, -1.0, 1.0)
        self._confidences = self._matrix(
            self.watched.items, signs * (1 + CONFIDENCE * np.abs(affinities))
        )
        table: Any = as_matrix(self._confidences)
        with quiet_implicit():
            from implicit.cpu.als import AlternatingLeastSquares

            model: Any = AlternatingLeastSquares(
                factors=FACTORS,
                regularization=RIDGE,
                iterations=LATER_SWEEPS if len(self._items) else FIRST_SWEEPS,
                use_cg=False,
                random_state=SEED,
            )
            if len(self._items):
                model.item_factors = self._items.copy()
            if due:
                model.fit(table, show_progress=False)
            self._items = model.item_factors
            self._tastes: Floats = model.recalculate_user(np.arange(table.shape[0]), table)
        self._across = np.ascontiguousarray(self._items.T)

    def personal(self, users: Ints) -> Floats:
        """GAIN times products of factors; those of row -1, who watched nothing, are 0."""
        return products(np.float32(self.GAIN) * self._tastes[users], self._across)

    def reasons(self, user: int, items: Ints) -> list[Explanation | None]:
        """Names the watched item that adds most to each score."""
        if user < 0:
            return [None] * len(items)
        watched, shares = self.shares(user, items)
        return [self._because(watched, row) for row in shares]

    def shares(self, user: int, items: Ints) -> tuple[Ints, Doubles]:
        """What a user watched, and [items, watches] what each watch adds to x_u . y_i: with
        W = (Y' C_u Y + lambda I)^-1 it is c_uj p_uj y_i' W y_j (section 5 of the paper)."""
        begin, end = self._confidences.indptr[user : user + 2]
        watched = self._confidences.indices[begin:end]
        given = self._confidences.data[begin:end].astype(np.float64)
        known, asked = (self._items[of].astype(np.float64) for of in (watched, items))
        common = self._items.T.astype(np.float64) @ self._items
        weighed = (known.T * (np.abs(given) - 1)) @ known
        system = common + weighed + RIDGE * np.eye(FACTORS)
        return watched, (asked @ np.linalg.solve(system, known.T)) * np.maximum(given, 0)

    def _because(self, watched: Ints, shares: Doubles) -> Explanation | None:
        most = int(np.argmax(shares)) if len(shares) else -1
        if most < 0 or shares[most] <= 0:
            return None
        item = self.run.catalog.items[watched[most]]
        return because_watched(item, float(shares[most] / shares[shares > 0].sum()), self.method)

    def learned(self) -> dict[str, NDArray[Any]]:
        """The factors of items besides; those of users follow."""
        return {**super().learned(), "items": self._items}

    def recall(self, learned: Mapping[str, NDArray[Any]]) -> None:
        """Takes them too."""
        super().recall(learned)
        self._items = learned["items"]

    def _forget(self) -> None:
        super()._forget()
        self._items: Floats = np.empty((0, FACTORS), np.float32)
