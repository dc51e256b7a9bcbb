"""Which rounds of which users people played, in an export."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from recarena.server.datasets.world_data import WorldData
from recarena.server.interventions import Intervention, of_events
from recarena.server.store.journal import taken_over
from recarena.server.types import EventColumns

Rows: TypeAlias = Any


class People:
    """Follows the rounds of a run, in their order."""

    def __init__(self, world: WorldData) -> None:
        self._ids = world.population.user_ids
        self._before: list[Intervention] = []

    def of_round(self, round: int, events: EventColumns, at: int) -> Rows:
        """The user-rounds of the next round, which has these events, by user; `at` is its simulated
        time. No rows where people played nobody."""
        self._before += of_events(events)
        users = taken_over(self._before)
        return pa.table(
            {
                "round": pa.array(np.full(len(users), round, np.int32)),
                "sim_time": pa.array(np.full(len(users), at, np.int64)),
                "user_id": pa.array([self._ids[user] for user in users], pa.string()),
            }
        )
