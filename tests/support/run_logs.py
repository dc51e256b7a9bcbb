"""Run folders written by hand, row by row, as docs/run-folder.md has them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa

from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.events import Events, Outcome, Works
from recarena.evaluation.runs.run_log import Arm, RunLog

Row = dict[str, object]

EVENTS = pa.schema([
    ("seq", pa.int32()), ("round", pa.int32()), ("user", pa.int32()), ("step", pa.int16()),
    ("kind", pa.int8()), ("item", pa.int32()), ("position", pa.int16()), ("value", pa.float32()),
    ("appraisal", pa.float32()), ("other", pa.int32()), ("surface", pa.int8()),
    ("outcome", pa.int8()), ("code", pa.int16()), ("text", pa.string()),
])  # fmt: skip
WORKS = pa.schema([
    ("round", pa.int32()), ("arm", pa.string()), ("kind", pa.string()), ("lists", pa.int32()),
    ("latency_ms", pa.float32()), ("outcome", pa.string()), ("violations", pa.int32()),
    ("unknown", pa.int32()), ("duplicate", pa.int32()), ("excluded", pa.int32()),
    ("short", pa.int32()), ("token", pa.int32()),
])  # fmt: skip
ROUNDS = pa.schema([
    ("round", pa.int32()), ("sim_time", pa.timestamp("us", tz="UTC")), ("active", pa.int32()),
    ("events", pa.int64()), ("memories", pa.int64()), ("works", pa.int64()),
])  # fmt: skip
CHOICE_MIND = {"kind": "choice", "is_llm": False, "note": "no language model and no people"}


def event(user: int, kind: Kind, *, round: int = 1, **columns: object) -> Row:
    """One event; what is not given has its neutral value."""
    neutral: Row = {
        "step": -1, "item": -1, "position": -1, "value": 0.0, "appraisal": 0.0, "other": -1,
        "surface": 0, "outcome": 0, "code": 0, "text": None,
    }  # fmt: skip
    return neutral | {"round": round, "user": user, "kind": int(kind)} | columns


def page(
    user: int,
    shown: Sequence[int],
    watched: dict[int, float] | None = None,
    *,
    round: int = 1,
    step: int = 0,
    outcome: Outcome = Outcome.ACCEPTED,
) -> list[Row]:
    """PAGE, SHOWN for each item, WATCH for each item watched with its rating (0: none)."""
    common = {"round": round, "step": step}
    rows = [event(user, Kind.PAGE, position=len(shown), outcome=int(outcome), surface=1, **common)]
    rows += [
        event(user, Kind.SHOWN, item=item, position=at, **common) for at, item in enumerate(shown)
    ]
    rows += [
        event(user, Kind.WATCH, item=item, value=rating, position=shown.index(item), **common)
        for item, rating in (watched or {}).items()
    ]
    return rows


def visit(user: int, *pages: list[Row], round: int = 1, last: Kind = Kind.LEAVE) -> list[Row]:
    """ENTER_RECOMMENDER, the pages with NEXT between them, and how the visit ends."""
    rows = [event(user, Kind.ENTER_RECOMMENDER, round=round)]
    for step, one in enumerate(pages):
        rows += one
        action = last if step == len(pages) - 1 else Kind.NEXT
        rows.append(event(user, action, round=round, step=step))
    return rows


def work(
    latency_ms: float = 1.0,
    *,
    arm: str = "a",
    lists: int = 1,
    outcome: str = "accepted",
    round: int = 1,
    **causes: int,
) -> Row:
    """One work; `causes` (unknown, duplicate, excluded, short, token) are 0 if not given."""
    told = dict.fromkeys(("unknown", "duplicate", "excluded", "short", "token"), 0) | causes
    return {
        "round": round, "arm": arm, "kind": "rank", "lists": lists, "latency_ms": latency_ms,
        "outcome": outcome, "violations": sum(told.values()), **told,
    }  # fmt: skip


def write_run(
    path: Path,
    events: Sequence[Row],
    works: Sequence[Row] = (),
    *,
    arm_of_user: Sequence[str] = ("a", "a"),
    arms: dict[str, str] | None = None,
    popularity: Sequence[float] = (8, 4, 4, 1),
    rounds: int = 1,
    seed: int = 1,
    world: str = "tiny",
    mind: dict[str, object] | None = None,
    uncommitted: Sequence[Row] = (),
) -> Path:
    """A run folder; `arms` maps arm_ids to recommenders. `uncommitted` events have no round row."""
    path.mkdir(parents=True)
    arms = arms or {arm: arm for arm in dict.fromkeys(arm_of_user) if arm}
    manifest = {
        "format": "recarena-run",
        "format_version": 1,
        "run_id": path.name,
        "seed": seed,
        "world": {"name": world},
        "mind": CHOICE_MIND if mind is None else mind,
        "arms": [{"arm_id": arm, "recommender": name} for arm, name in arms.items()],
    }
    (path / "manifest.json").write_text(json.dumps(manifest))
    numbered: list[Row] = []
    for number in sorted({int(str(row["round"])) for row in (*events, *uncommitted)}):
        of_round = [row for row in (*events, *uncommitted) if row["round"] == number]
        numbered += [{"seq": seq} | row for seq, row in enumerate(of_round)]
    items, users = len(popularity), len(arm_of_user)
    tables = lancedb.connect(str(path / "tables"))
    tables.create_table("events", data=pa.Table.from_pylist(numbered, EVENTS))
    tables.create_table("works", data=pa.Table.from_pylist(list(works), WORKS))
    tables.create_table("rounds", data=pa.Table.from_pylist(
        [
            {
                "round": number, "sim_time": datetime(2026, 1, 1, tzinfo=UTC), "active": users,
                "events": sum(row["round"] == number for row in events), "memories": 0,
                "works": sum(row["round"] == number for row in works),
            }
            for number in range(1, rounds + 1)
        ],
        ROUNDS,
    ))  # fmt: skip
    tables.create_table("items", data=pa.table({
        "number": pa.array(range(items), pa.int32()),
        "item_id": [f"i{n}" for n in range(items)],
        "title": [f"Film {n}" for n in range(items)],
        "popularity": pa.array(popularity, pa.float32()),
    }))  # fmt: skip
    tables.create_table("users", data=pa.table({
        "number": pa.array(range(users), pa.int32()),
        "user_id": [f"u{n}" for n in range(users)],
        "name": ["Ann" for _ in range(users)],
        "arm": list(arm_of_user),
    }))  # fmt: skip
    return path


def run_log(path: Path, events: Sequence[Row], works: Sequence[Row] = (), **more: object) -> RunLog:
    """`write_run`, opened."""
    return RunLog.open(write_run(path, events, works, **more))


def quick_log(
    recommender: str,
    watched: Sequence[int],
    *,
    seed: int = 1,
    shown: int = 4,
    world: str = "tiny",
    rounds: int = 1,
) -> RunLog:
    """A run in memory: each user sees one page and watches the first `watched[user]` items."""
    rows = [
        row
        for user, count in enumerate(watched)
        for row in page(user, range(shown), dict.fromkeys(range(count), 3.0))
    ]
    columns = {
        one.name: np.array([row[one.name] for row in rows]) for one in fields(Events)[:-1]
    }  # all but `own`
    none = np.empty(0, np.int32)
    return RunLog(
        path=Path(f"w{seed}-{recommender}"),
        manifest={"seed": seed, "world": {"name": world}, "mind": CHOICE_MIND},
        arms=(Arm("a", recommender),),
        item_ids=[f"i{n}" for n in range(shown)],
        titles=[f"Film {n}" for n in range(shown)],
        popularity=np.arange(shown, dtype=np.float32),
        user_ids=[f"u{n}" for n in range(len(watched))],
        user_names=["Ann"] * len(watched),
        arm_of_user=np.zeros(len(watched), np.int16),
        rounds=rounds,
        events=Events(**columns, own=np.ones(len(rows), np.bool_)),
        works=Works(*(none for _ in fields(Works))),
    )
