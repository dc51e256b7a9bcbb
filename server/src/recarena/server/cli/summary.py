"""What happened in a run, in a few numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recarena.server.types import EventKind, Outcome

if TYPE_CHECKING:
    from rich.console import RenderableType

    from recarena.server.store.run_folder import RunFolder


ROWS = (
    ("users", "users", 0),
    ("visits", "enter_recommender", 0),
    ("pages", "page", 0),
    ("items shown", "shown", 0),
    ("watches", "watch", 0),
    ("watch rate", "watch_rate", 3),
    ("mean rating", "mean_rating", 2),
    ("searches", "search", 0),
    ("chats", "chat", 0),
    ("posts", "post", 0),
    ("lists failed", "failed_lists", 0),
    ("latency p50, ms", "p50_ms", 1),
    ("latency p95, ms", "p95_ms", 1),
)
"""Label, name and digits of the summary's rows."""


def summary(folder: RunFolder) -> dict[str, Any]:
    """Counts and rates of all committed rounds as JSON values, per arm and for the run."""
    arm_of_user = folder.arm_of_user()
    arms = folder.manifest["arms"]
    kinds = np.zeros((len(arms), max(EventKind) + 1), np.int64)
    ratings = np.zeros(len(arms))
    failed = np.zeros(len(arms), np.int64)
    per_user = np.zeros(len(arm_of_user), np.int64)
    for events, _ in folder.rounds(1, folder.last_round):
        arm = arm_of_user[events.user]
        np.add.at(kinds, (arm, events.kind), 1)
        ratings += np.bincount(arm, weights=events.value * (events.kind == EventKind.WATCH),
                               minlength=len(arms))  # fmt: skip
        failed += np.bincount(arm[events.outcome > Outcome.VIOLATIONS], minlength=len(arms))
        spoke = np.isin(events.kind, [EventKind.WATCH, EventKind.POST, EventKind.SEARCH])
        per_user += np.bincount(events.user[spoke], minlength=len(per_user))
    latency: dict[int, list[float]] = {}
    for work in folder.works():
        latency.setdefault(work.arm, []).append(work.latency_ms)
    rows = []
    for number, arm in enumerate(arms):
        count = {kind.name.lower(): int(kinds[number, kind]) for kind in EventKind}
        times = latency.get(number, [])
        rows.append(
            {
                "arm": arm["arm_id"],
                "recommender": arm["recommender"],
                "users": int((arm_of_user == number).sum()),
                **count,
                "watch_rate": count["watch"] / count["shown"] if count["shown"] else None,
                "mean_rating": ratings[number] / count["watch"] if count["watch"] else None,
                "failed_lists": int(failed[number]),
                "p50_ms": float(np.quantile(times, 0.5)) if times else None,
                "p95_ms": float(np.quantile(times, 0.95)) if times else None,
            }
        )
    users = folder.world().population.user_ids
    return {
        "run": folder.run_id,
        "folder": str(folder.path),
        "state": folder.status.get("state", ""),
        "rounds": folder.last_round,
        "rounds_planned": folder.manifest["rounds"],
        "seed": folder.manifest["seed"],
        "world": folder.manifest["world"]["name"],
        "mind": folder.manifest["mind"],
        "digest": folder.digest,
        "example_user": users[int(per_user.argmax())],
        "arms": rows,
    }


def summary_table(result: dict[str, Any]) -> RenderableType:
    """The summary for people."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    title = Text(
        f"{result['run']}: round {result['rounds']} of {result['rounds_planned']}, "
        f"world {result['world']}, seed {result['seed']}",
        style="bold",
    )
    table = Table()
    table.add_column("")
    for arm in result["arms"]:
        table.add_column(arm["arm"], justify="right")
    for label, name, digits in ROWS:
        table.add_row(label, *(_number(arm[name], digits) for arm in result["arms"]))
    note = Text(f"Mind: {result['mind']['kind']}. {result['mind']['note'].capitalize()}.")
    return Group(title, table, note, Text(f"Digest of the event log: {result['digest'] or '-'}"))


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
