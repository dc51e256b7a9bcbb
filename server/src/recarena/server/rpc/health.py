"""How one recommender fares in one run, for operators."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recarena.server.rpc.conduct import Conduct
from recarena.server.rpc.untrusted import in_a_line
from recarena.server.store.fared import Fared
from recarena.server.types import Outcome, WorkRecord
from recarena.v1 import session_pb2

RECENT_WORKS = 10_000
MAX_SOFTWARE_CHARS = 200
LATENCY_BOUNDS_S = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
"""Upper bounds of the buckets of `Latencies`; what took longer goes into one more."""


@dataclass(slots=True)
class Latencies:
    """A histogram of seconds. Plain lists: one work at a time is counted, in the hot path."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS_S) + 1))
    """[buckets]: values in each bucket, not summed up."""
    sum_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Counts one value. A value that equals a bound belongs below it."""
        self.counts[bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


class RecommenderHealth:
    """Counts of lists by outcome since the server took up the run, latencies of recent works; or
    of all committed rounds of a run that is not played."""

    def __init__(self, recommender_id: str) -> None:
        self.recommender_id = recommender_id
        self.sessions = 0
        """Live sessions that serve the arm."""
        self.can_search = False
        self.can_converse = False
        self.software = ""
        self.lists = np.zeros(max(Outcome) + 1, np.int64)
        """[outcomes]: lists by Outcome."""
        self.training_ms = 0.0
        self.works: dict[str, Latencies] = {}
        """Kind of work -> how long works took, from sending to the answer or to giving up."""
        self.quarantined = 0
        """Sessions that were ended for answers that were refused one after another."""
        self.conduct = Conduct()
        self._latencies: deque[float] = deque(maxlen=RECENT_WORKS)

    @property
    def unsolicited(self) -> int:
        """Messages that answered nothing."""
        return self.conduct.unsolicited

    @property
    def is_connected(self) -> bool:
        """Whether any session serves the arm."""
        return self.sessions > 0

    def connected(self, register: session_pb2.Register) -> None:
        """A session was taken into service; of several the newest says what it can."""
        self.sessions += 1
        self.can_search = session_pb2.CAPABILITY_SEARCH in register.capabilities
        self.can_converse = session_pb2.CAPABILITY_CONVERSE in register.capabilities
        software = f"{register.software_name} {register.software_version}"
        self.software = in_a_line(software, MAX_SOFTWARE_CHARS)

    def disconnected(self) -> None:
        """A session that was in service is gone."""
        self.sessions = max(self.sessions - 1, 0)

    def trained(self, milliseconds: float) -> None:
        """A round was opened after so long."""
        self.training_ms += milliseconds

    def worked(self, work: WorkRecord, outcomes: NDArray[np.int8]) -> None:
        """A work is over, its lists with these outcomes."""
        self.lists += np.bincount(outcomes, minlength=len(self.lists))
        if work.kind not in self.works:
            self.works[work.kind] = Latencies()
        self.works[work.kind].add(work.latency_ms / 1000)
        if work.outcome.usable:
            self._latencies.append(work.latency_ms)

    @classmethod
    def of_folder(cls, recommender_id: str, fared: Fared) -> RecommenderHealth:
        """Of all committed rounds of a run that has no recommenders at the moment."""
        health = cls(recommender_id)
        health.lists += fared.lists
        health.training_ms = fared.training_ms
        health._latencies.extend(fared.latencies_ms.tolist())
        return health

    def latency_ms(self, quantile: float) -> float | None:
        """Quantile of the recent works' latencies; None before the first."""
        return float(np.quantile(self._latencies, quantile)) if self._latencies else None
