"""Sequential: what comes next after what was watched of late, by a linear model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recarena.recommenders.ease import Ease, inverted
from recarena.recommenders.item_to_item import gram
from recarena.recommenders.personal import Doubles
from recarena.recommenders.signals import Signals
from recarena.recommenders.watched import Floats, Ints, Longs

if TYPE_CHECKING:
    from recarena.recommenders.personal import Matrix

SHARE = 0.5
"""alpha: of what goes together in whatever order; the rest is of what follows on what."""
WINDOW = 10
"""Watches before one that it is taken to follow on."""
FADING = 5.0
"""delta: watches after which an earlier one counts for 1/e."""
FLOOR = 0.3
"""Of the weight of a watch, what never fades from a user's profile."""


class Sequential(Ease):
    """A linear model of sequences, after SLIST (Choe, Kim, Lee, Lee, Shim and Lee, "Session-aware
    linear item-item models for session-based recommendation", WWW 2021); that the item before says
    something about the next is the idea of FPMC (Rendle, Freudenthaler and Schmidt-Thieme, 2010).

    B minimises alpha |A - A B|^2 + (1 - alpha) |T - S B|^2 + lambda |B|^2 with a diagonal of 0. A
    are the affinities [users, items]. T and S have a row for each watch: T its item, S those of
    the WINDOW watches before it, the k-th last times exp(-(k - 1) / delta), each times its
    affinity. With G = alpha A'A + (1 - alpha) S'S, P = (G + lambda I)^-1 and
    M = alpha A'A + (1 - alpha) S'T, that is B = P M - P diag(mu), mu_j = (P M)_jj / P_jj.

    A watch that n others came after has the weight w = FLOOR + (1 - FLOOR) exp(-n / delta) in its
    user's profile.
    """

    method = "sequential"
    GAIN = 10.0

    def learn(self, signals: Signals) -> None:
        """Keeps the order of watches besides."""
        super().learn(signals)
        done = ~np.isnan(signals.ratings)
        keys = signals.users[done].astype(np.int64) * self.item_count + signals.items[done]
        self._log = np.concatenate([self._log, keys])

    def train(self) -> None:
        """Settles the order of all watches, an item watched again counting as of then."""
        backwards = self._log[::-1]
        _, last = np.unique(backwards, return_index=True)  # beside the keys of watched
        self._log = backwards[np.sort(last)][::-1]
        self._places = np.argsort(np.lexsort((-last, self.watched.rows)))
        super().train()

    def fit(self, affinities: Doubles, due: bool) -> None:
        """Keeps the affinities for the steps."""
        self._found = affinities
        super().fit(affinities, due)

    def relate(self, affinities: Matrix) -> NDArray[np.float32]:
        """B in closed form."""
        before, then = self._steps()
        together = SHARE * gram(affinities)
        follows: Any = (before.T @ then).toarray()
        sought = together + (1 - SHARE) * follows
        inverse = inverted(together + (1 - SHARE) * gram(before), self.method)
        found = inverse @ sought
        found -= inverse * (np.diagonal(found) / np.diagonal(inverse))
        np.fill_diagonal(found, 0)
        return found.astype(np.float32)

    def weights(self) -> Floats:
        """gain * w of each watch."""
        later = self.watched.starts[1:][self.watched.rows] - 1 - self._places
        fading = FLOOR + (1 - FLOOR) * np.exp(-later / FADING)
        return (self.GAIN * fading).astype(np.float32)

    def items_moved(self, number: Ints) -> None:
        """Watches keep their order; those of items that are gone are left out."""
        count = max(len(number), 1)
        items = number[self._log % count] if len(self._log) else self._log
        log = (self._log // count * self.item_count + items)[items >= 0]
        super().items_moved(number)
        self._log = log

    def _steps(self) -> tuple[Matrix, Matrix]:
        """S and T, a row for each watch in the order of users and time."""
        from scipy.sparse import csr_array

        order = np.argsort(self._places)
        items, values = self.watched.items[order], self._found[order]
        place = np.arange(len(items))
        within = place - self.watched.starts[self.watched.rows]
        rows: list[Longs] = []
        weights: list[Doubles] = []
        for back in range(1, WINDOW + 1):
            later = place[within >= back]
            rows.append(later)
            weights.append(values[later - back] * np.exp(-(back - 1) / FADING))
        came = np.concatenate([items[later - back] for back, later in enumerate(rows, 1)])
        shape = (len(items), self.item_count)
        before = csr_array((np.concatenate(weights), (np.concatenate(rows), came)), shape=shape)
        then = csr_array((values, items, np.arange(len(items) + 1)), shape=shape)
        if self.kept is None:
            return before, then
        return before[:, self.kept], then[:, self.kept]

    def learned(self) -> dict[str, NDArray[Any]]:
        """The order of watches besides."""
        return {**super().learned(), "log": self._log}

    def recall(self, learned: Mapping[str, NDArray[Any]]) -> None:
        """Takes it too."""
        super().recall(learned)
        self._log = learned["log"]

    def _forget(self) -> None:
        super()._forget()
        self._log: Longs = np.empty(0, np.int64)
