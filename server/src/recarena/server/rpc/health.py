"""How one recommender fares in one run, for operators."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from recarena.server.types import Outcome, WorkRecord
from recarena.v1 import session_pb2

RECENT_WORKS = 10_000


class RecommenderHealth:
    """Counts of lists by outcome since the server took up the run, latencies of recent works."""

    def __init__(self, recommender_id: str) -> None:
        self.recommender_id = recommender_id
        self.is_connected = False
        self.can_search = False
        self.can_converse = False
        self.software = ""
        self.lists = np.zeros(max(Outcome) + 1, np.int64)
        """[outcomes]: lists by Outcome."""
        self.training_ms = 0.0
        self._latencies: deque[float] = deque(maxlen=RECENT_WORKS)

    def connected(self, register: session_pb2.Register) -> None:
        """A session was taken into service."""
        self.is_connected = True
        self.can_search = session_pb2.CAPABILITY_SEARCH in register.capabilities
        self.can_converse = session_pb2.CAPABILITY_CONVERSE in register.capabilities
        self.software = f"{register.software_name} {register.software_version}".strip()

    def disconnected(self) -> None:
        """The session is gone."""
        self.is_connected = False

    def trained(self, milliseconds: float) -> None:
        """A round was opened after so long."""
        self.training_ms += milliseconds

    def worked(self, work: WorkRecord, outcomes: NDArray[np.int8]) -> None:
        """A work is over, its lists with these outcomes."""
        self.lists += np.bincount(outcomes, minlength=len(self.lists))
        if work.outcome.usable:
            self._latencies.append(work.latency_ms)

    def latency_ms(self, quantile: float) -> float | None:
        """Quantile of the recent works' latencies; None before the first."""
        return float(np.quantile(self._latencies, quantile)) if self._latencies else None
