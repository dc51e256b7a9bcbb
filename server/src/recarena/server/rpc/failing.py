"""What becomes of an arm whose recommender did not give what was asked for."""

from __future__ import annotations

import numpy as np

from recarena.server import lists
from recarena.server.config import ArmSettings
from recarena.server.door import Assignment
from recarena.server.errors import RunFailed, RunPaused
from recarena.server.ports import Lists
from recarena.server.rpc.works import Work
from recarena.server.types import FailurePolicy, Outcome, WorkRecord


def apply_policy(arm: ArmSettings, what: str) -> None:
    """Returns where the arm's failure policy lets the round go on. RunPaused, RunFailed where it
    does not; `what` says why."""
    text = f"arm {arm.id}, recommender {arm.recommender}: {what}"
    if arm.policy is FailurePolicy.PAUSE_RUN:
        raise RunPaused(text)
    if arm.policy is FailurePolicy.FAIL_RUN:
        raise RunFailed(text)


def instead(assignment: Assignment, work: Work, outcome: Outcome, took_ms: float) -> Lists:
    """The failure policy's lists for a whole work that came to this outcome, and its record."""
    a, request = assignment, work.request
    record = WorkRecord(request.round, a.arm_number, work.kind, len(work), took_ms, outcome)
    items = lists.fallback(a.arm.policy, a.world, request.offsets, request.count)
    return Lists(items, np.full(len(work), outcome, np.int8), works=(record,))
