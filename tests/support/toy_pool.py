"""Several hundred toy worlds of the real engine, each played once by the same recommender.

Toy competitions draw their worlds from this pool. Each world has a catalogue, tastes, ties and dice
of its own, and users who move one another three times as much as by default.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.runs.events import EventKind
from recarena.evaluation.runs.run_log import RunLog
from recarena.server.datasets.planted import planted_world
from recarena.server.datasets.planting import Planting
from support.in_process import Maker, played, popular
from support.thoroughness import thorough

WORLDS = thorough(500, otherwise=130)
USERS, ITEMS, ROUNDS, INFLUENCE = 800, 20, 2, 3.0


@dataclass(frozen=True, slots=True)
class Pool:
    """What users of each world did: numbers, sums and sums of squares of their watch rates."""

    users: NDArray[np.float64]
    """[worlds]: users who were shown a page."""
    total: NDArray[np.float64]
    squares: NDArray[np.float64]

    @property
    def rates(self) -> NDArray[np.float64]:
        """[worlds]: watch rate, the mean over users."""
        return self.total / self.users


def play(seed: int, maker: Maker = popular, run_seed: int | None = None) -> RunLog:
    """One toy world; `run_seed` are its dice, if not the world's own."""
    data = planted_world(
        USERS, ITEMS, seed, history_per_user=0, planting=Planting(influence=INFLUENCE)
    )
    return played(data, {"popular": maker}, ROUNDS, seed if run_seed is None else run_seed)


def rates_of_users(log: RunLog) -> NDArray[np.float64]:
    """Watches / exposures of each user who was shown a page."""
    events, users = log.events, len(log.user_ids)
    shown, watched, pages = (
        np.bincount(events.user[events.kind == kind], minlength=users)
        for kind in (EventKind.SHOWN, EventKind.WATCH, EventKind.PAGE)
    )
    return (watched / np.maximum(shown, 1))[pages > 0]


def pool() -> Pool:
    """All worlds, played."""
    rates = [rates_of_users(play(seed)) for seed in range(1, WORLDS + 1)]
    return Pool(
        np.array([len(one) for one in rates], np.float64),
        np.array([one.sum() for one in rates]),
        np.array([one @ one for one in rates]),
    )
