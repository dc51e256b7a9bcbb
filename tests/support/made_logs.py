"""Run logs made in memory, row by row or at random: what metrics see, without a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.events import Events, Outcome, Works
from recarena.evaluation.runs.run_log import Arm, RunLog
from support.run_logs import CHOICE_MIND, Row, event, page

GENRES = (("A",), ("A", "B"), ("B",), ())
"""Of the four items of a log, unless it has others."""
ON_PAGE = (Kind.PAGE, Kind.SHOWN, Kind.WATCH)


def made_log(
    rows: Sequence[Row],
    works: Sequence[Row] = (),
    *,
    rounds: int = 1,
    arm_of_user: Sequence[str] = ("a", "a"),
    popularity: Sequence[float] = (8, 4, 4, 1),
    genres: Sequence[Sequence[str]] = GENRES,
    history: Sequence[tuple[int, int, float]] = (),
    groups: Mapping[str, Any] | None = None,
    seed: int = 1,
) -> RunLog:
    """A log of these rows; a page with what was shown and watched on it in one piece. `groups` are
    planted ones."""
    arms = list(dict.fromkeys(arm for arm in arm_of_user if arm))
    items, users = len(popularity), len(arm_of_user)
    genre_names = sorted({name for one in genres for name in one})
    past = np.array(history, np.float64).reshape(-1, 3)
    tables = {
        "items": pa.table({
            "number": pa.array(range(items), pa.int32()),
            "genres": pa.array([list(one) for one in genres], pa.list_(pa.string())),
        }),
        "history": pa.table({
            "user": past[:, 0].astype(np.int32), "item": past[:, 1].astype(np.int32),
            "rating": past[:, 2].astype(np.float32),
        }),
    }  # fmt: skip
    planted = {"planted": {"groups": dict(groups)}} if groups else {}
    return RunLog(
        path=Path(f"made-{seed}"),
        manifest={
            "run_id": f"made-{seed}",
            "seed": seed,
            "world": {"name": "made"},
            "mind": CHOICE_MIND,
            "dataset": {"genres": genre_names, "origin": planted},
        },
        arms=tuple(Arm(arm, arm) for arm in arms),
        item_ids=[f"i{n}" for n in range(items)],
        titles=[f"Film {n}" for n in range(items)],
        popularity=np.array(popularity, np.float32),
        user_ids=[f"u{n}" for n in range(users)],
        user_names=["Ann"] * users,
        arm_of_user=np.array([arms.index(a) if a else -1 for a in arm_of_user], np.int16),
        rounds=rounds,
        events=_events(rows),
        works=_works(works, arms),
        read=lambda name, columns: tables.get(name),
    )


def _events(rows: Sequence[Row]) -> Events:
    own, usable = [], False
    for row in rows:
        if row["kind"] == Kind.PAGE:
            usable = Outcome(int(str(row["outcome"]))).usable
        own.append(usable and row["kind"] in ON_PAGE)
    types = {"step": np.int16, "kind": np.int8, "position": np.int16, "value": np.float32,
             "surface": np.int8, "outcome": np.int8}  # fmt: skip
    columns = {
        one.name: np.array([row[one.name] for row in rows], types.get(one.name, np.int32))
        for one in fields(Events)
        if one.name != "own"
    }
    return Events(**columns, own=np.array(own, np.bool_))


def _works(works: Sequence[Row], arms: Sequence[str]) -> Works:
    told = [
        row | {"arm": arms.index(str(row["arm"])), "outcome": Outcome[str(row["outcome"]).upper()]}
        for row in works
    ]
    types = {"arm": np.int16, "latency_ms": np.float32, "outcome": np.int8}
    return Works(**{
        one.name: np.array([row[one.name] for row in told], types.get(one.name, np.int32))
        for one in fields(Works)
    })  # fmt: skip


def random_rows(
    rng: np.random.Generator, *, users: int, rounds: int, items: int, failing: float = 0.1
) -> list[Row]:
    """Visits as the server logs them: pages of up to four different items, watches rated or not,
    searches, users who stay away, lists that fail."""
    rows: list[Row] = []
    for round in range(1, rounds + 1):
        for user in range(users):
            if rng.random() < 0.4:
                rows.append(event(user, Kind.IDLE, round=round))
                continue
            rows.append(event(user, Kind.ENTER_RECOMMENDER, round=round))
            pages = int(rng.integers(1, 4))
            for step in range(pages):
                shown = rng.permutation(items)[: rng.integers(0, min(items, 4) + 1)].tolist()
                watched = {item: float(rng.integers(0, 6)) for item in shown if rng.random() < 0.3}
                outcome = Outcome.LATE if rng.random() < failing else Outcome.ACCEPTED
                rows += page(user, shown, watched, round=round, step=step, outcome=outcome)
                last = Kind.LEAVE if step == pages - 1 else rng.choice([Kind.NEXT, Kind.SEARCH])
                rows.append(event(user, Kind(int(last)), round=round, step=step))
    return rows


def random_log(seed: int, *, failing: float = 0.1, **more: Any) -> RunLog:
    """A log of up to six users, five rounds and seven items, drawn from the seed."""
    rng = np.random.default_rng(seed)
    users, rounds, items = rng.integers(1, 7), int(rng.integers(1, 6)), int(rng.integers(1, 8))
    genres = [[g for g in "ABC" if rng.random() < 0.5] for _ in range(items)]
    history = [
        (int(rng.integers(users)), int(rng.integers(items)), 4.0)
        for _ in range(int(rng.integers(0, 12)))
    ]
    rows = random_rows(rng, users=int(users), rounds=rounds, items=items, failing=failing)
    settings: dict[str, Any] = {
        "rounds": rounds, "arm_of_user": ["a"] * int(users), "genres": genres, "history": history,
        "popularity": rng.integers(0, 9, items).tolist(), "seed": seed,
    }  # fmt: skip
    return made_log(rows, **settings | more)
