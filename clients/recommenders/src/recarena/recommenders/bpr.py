"""BPR: factors of users and items such that what was liked ranks above the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.recommenders.explanations import like_watched
from recarena.recommenders.factors import SEED, as_matrix, products, quiet_implicit
from recarena.recommenders.personal import Doubles, Personal
from recarena.recommenders.watched import Floats, Ints, Longs
from recarena.v1.types_pb2 import Explanation

FACTORS = 16
RIDGE = 0.03
"""lambda."""
RATE = 0.02
"""Length of a step."""
FIRST_PASSES, LATER_PASSES = 150, 15
"""Passes over what was liked at the first training, and from where it was at later ones."""
MOST_STEPS = 40_000_000
"""Steps of the first training, where passes would be more; later ones in proportion."""


class Bpr(Personal):
    """Rendle, Freudenthaler, Gantner and Schmidt-Thieme, "BPR: Bayesian personalized ranking from
    implicit feedback" (2009): maximises the sum over (u, i, j) of ln sigma(x_u . y_i - x_u . y_j)
    - lambda |.|^2 by stochastic steps, for i found better than usual by u (a_ui > 0) and j drawn
    from what others liked. The last factor of a user is 1, so that of an item is its bias.
    personal_ui = GAIN x_u . y_i.

    The steps are those of the library `implicit`, in one thread and from a fixed seed, since the
    order of steps decides. A user who liked nothing when the model was trained is placed where one
    step of the same objective leads from the origin: along the mean of what was liked less the
    mean of all items, as far out as users usually are.
    """

    method = "bpr"
    GAIN: float = 0.4

    def fit(self, affinities: Doubles, due: bool) -> None:
        """Trains where it is due, and places users whom the model does not know."""
        liked: Any = self._matrix(self.watched.items, np.maximum(affinities, 0))
        liked.eliminate_zeros()
        self._liked = liked
        if due and liked.nnz > 1:
            self._steps()
        users = np.zeros((self.row_count + 1, FACTORS + 1), np.float32)
        users[: len(self._known)] = self._known
        anything = np.diff(liked.indptr) > 0
        if len(self._items):
            new = np.flatnonzero(anything & ~users[:, :-1].any(axis=1))
            users[new, :-1] = self._placed(new)
        users[:, -1] = anything
        self._tastes = users

    def _steps(self) -> None:
        """Trains items and users by the library, going on from where they were."""
        first = not len(self._items)
        passes = min(FIRST_PASSES, -(-MOST_STEPS // self._liked.nnz))
        if not first:
            passes = -(-passes * LATER_PASSES // FIRST_PASSES)
        with quiet_implicit():
            from implicit.cpu.bpr import BayesianPersonalizedRanking

            model: Any = BayesianPersonalizedRanking(
                factors=FACTORS,
                learning_rate=RATE,
                regularization=RIDGE,
                iterations=passes,
                num_threads=1,
                random_state=SEED,
            )
            if not first:
                model.item_factors = self._items.copy()
                model.user_factors = self._tastes_now()
            model.fit(as_matrix(self._liked), show_progress=False)
        self._items, self._known = model.item_factors, model.user_factors[:-1]

    def _tastes_now(self) -> Floats:
        """[users + 1, factors + 1] to go on from: as trained before, the others as placed."""
        users = np.zeros((self.row_count + 1, FACTORS + 1), np.float32)
        users[: len(self._known)] = self._known
        new = np.flatnonzero((np.diff(self._liked.indptr) > 0) & ~users[:, :-1].any(axis=1))
        users[new, :-1] = self._placed(new)
        users[:, -1] = 1
        return users

    def _placed(self, users: Longs) -> Floats:
        """[users, factors] of users whom the model does not know."""
        factors = self._items[:, :-1]
        counts = np.diff(self._liked.indptr)[users]
        ones: Any = self._liked[users]
        ones.data[:] = 1
        directions = (ones @ factors) / counts[:, None] - factors.mean(axis=0)
        lengths = np.linalg.norm(self._known[:, :-1], axis=1)
        usual = float(np.median(lengths[lengths > 0])) if lengths.any() else 0.0
        far = np.linalg.norm(directions, axis=1, keepdims=True)
        return (usual * directions / np.maximum(far, 1e-9)).astype(np.float32)

    def personal(self, users: Ints) -> Floats:
        """GAIN times products of factors; those of row -1 are 0."""
        if not len(self._items):
            return np.zeros((len(users), self.item_count), np.float32)
        return products(np.float32(self.GAIN) * self._tastes[users], self._items.T)

    def reasons(self, user: int, items: Ints) -> list[Explanation | None]:
        """Names the liked item whose factors point most nearly the same way (by cosine)."""
        begin, end = self._liked.indptr[user : user + 2] if user >= 0 else (0, 0)
        if begin == end or not len(self._items):
            return [None] * len(items)
        liked = self._liked.indices[begin:end]
        factors = self._items[:, :-1]
        units = factors / np.maximum(np.linalg.norm(factors, axis=1, keepdims=True), 1e-9)
        reasons: list[Explanation | None] = []
        for cosines in units[items] @ units[liked].T:
            most = int(np.argmax(cosines))
            near = self.run.catalog.items[liked[most]] if cosines[most] > 0 else None
            reasons.append(like_watched(near, self.method) if near is not None else None)
        return reasons

    def learned(self) -> dict[str, NDArray[Any]]:
        """The factors besides."""
        return {**super().learned(), "items": self._items, "known": self._known}

    def recall(self, learned: Mapping[str, NDArray[Any]]) -> None:
        """Takes them too."""
        super().recall(learned)
        self._items, self._known = learned["items"], learned["known"]

    def _forget(self) -> None:
        super()._forget()
        self._items: Floats = np.empty((0, FACTORS + 1), np.float32)
        self._known = self._items
