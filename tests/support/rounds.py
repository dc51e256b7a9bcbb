"""Rounds made by hand: what the engine would hand to a run store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from recarena.server.types import (
    MEMORY_COLUMNS,
    EventColumns,
    EventKind,
    Faults,
    MemoryColumns,
    Outcome,
    RoundResult,
    Surface,
    WorkRecord,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def sim_time(round: int) -> datetime:
    return BEGIN + timedelta(hours=5 * round)


def made_round(
    round: int, users: int = 6, items: int = 8, active: int | None = None
) -> RoundResult:
    """A round that depends on its number only. Every active user sees a page of three, watches
    the second film and posts about it."""
    rng = np.random.default_rng(round)
    chosen = np.sort(rng.choice(users, users if active is None else active, replace=False))
    n = len(chosen)
    kinds = np.array([
        EventKind.ENTER_RECOMMENDER, EventKind.PAGE, EventKind.SHOWN, EventKind.SHOWN,
        EventKind.SHOWN, EventKind.WATCH, EventKind.LEAVE, EventKind.POST,
    ], np.int8)  # fmt: skip
    shown = np.array([rng.choice(items, 3, replace=False) for _ in range(n)]).reshape(n, 3)
    none = np.full((n, 1), -1)
    item = np.concatenate([none, none, shown, shown[:, 1:2], none, shown[:, 1:2]], axis=1)
    size = n * len(kinds)
    value = np.zeros((n, len(kinds)), np.float32)
    value[:, 5] = rng.integers(0, 6, n)
    value[:, 7] = rng.uniform(-2, 2, n)
    page = np.array([-1, 0, 0, 0, 0, 0, 0, -1])
    events = EventColumns.make(
        size,
        round=round,
        user=np.repeat(chosen, len(kinds)),
        kind=np.tile(kinds, n),
        step=np.tile(page, n),
        item=item.ravel(),
        position=np.tile([-1, 3, 0, 1, 2, 1, -1, -1], n),
        value=value.ravel(),
        appraisal=np.where(np.tile(kinds, n) == EventKind.WATCH, 0.25, 0),
        surface=np.tile([0, int(Surface.FEED), 0, 0, 0, 0, 0, 0], n),
        outcome=np.tile([0, int(Outcome.ACCEPTED), 0, 0, 0, 0, 0, 0], n),
        code=np.tile([0, 0, 1, 0, 0, 3, 0, 4], n),
        text={7: f"Round {round}: „très bien“"} if n else None,
    )
    memories = MemoryColumns(
        **{  # type: ignore[arg-type]
            name: np.asarray(
                {"round": np.full(n, round), "user": chosen, "item": shown[:, 1]}.get(
                    name, rng.integers(0, 3, n)
                ),
                dtype,
            )
            for name, dtype in MEMORY_COLUMNS.items()
        },
        text={0: ""} if n else {},
    )
    works = (
        WorkRecord(round, 0, "rank", n, 1.5, Outcome.ACCEPTED),
        WorkRecord(round, 1, "search", 1, 250.0, Outcome.LATE, Faults(unknown=1, short=1)),
    )
    return RoundResult(round, n, events, memories, works if n else (), {0: 2.0, 1: 0.5}, 12.5)
