"""What happened in a run, in a few numbers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recarena.server.founding import settings_of
from recarena.server.interventions import Intervention, doings, of_events
from recarena.server.llm.account import account
from recarena.server.store.journal import taken_over
from recarena.server.types import EventKind, Explained, Faults, Outcome

if TYPE_CHECKING:
    from rich.console import RenderableType

    from recarena.server.store.run_folder import RunFolder


RESUME = "recarena resume RUN"
"""How errors of runs name the command that goes on, not knowing the folder."""
ROWS = (
    ("users", "users", 0),
    ("visits", "enter_recommender", 0),
    ("pages", "page", 0),
    ("items shown", "shown", 0),
    ("explanations shown", "explained", 0),
    ("explanations withheld", "withheld", 0),
    ("watches", "watch", 0),
    ("watches / items shown", "watch_rate", 3),
    ("mean rating", "mean_rating", 2),
    ("searches", "search", 0),
    ("chats", "chat", 0),
    ("posts", "post", 0),
    ("lists failed", "failed_lists", 0),
    ("dropped items, short lists", "violations", 0),
    ("latency p50, ms", "p50_ms", 1),
    ("latency p95, ms", "p95_ms", 1),
)
"""Label, name and digits of the summary's rows."""
ONLY_WHERE_ANY = ("explained", "withheld")
"""Rows that are left out of the table where there is nothing to count."""
FAULTS = (
    ("unknown", "items that do not exist"),
    ("duplicate", "items repeated"),
    ("excluded", "items not allowed"),
    ("short", "lists short"),
    ("token", "attribution tokens"),
    ("untold", "of kinds that were not kept"),
)
"""Name and words of what can be wrong with lists that are shown all the same."""


def summary(folder: RunFolder) -> dict[str, Any]:
    """Counts and rates of all committed rounds as JSON values, per arm and for the run."""
    arm_of_user = folder.arm_of_user()
    arms = folder.manifest["arms"]
    kinds = np.zeros((len(arms), max(EventKind) + 1), np.int64)
    told = np.zeros((len(arms), max(Explained) + 1), np.int64)
    ratings = np.zeros(len(arms))
    failed = np.zeros(len(arms), np.int64)
    per_user = np.zeros(len(arm_of_user), np.int64)
    thinking, user_rounds, by_people = users_with_minds(folder), 0, 0
    interventions: list[Intervention] = []
    for logged, _ in folder.rounds(1, folder.last_round):
        events = doings(logged)
        interventions += of_events(logged)
        by_people += len(taken_over(interventions))
        arm = arm_of_user[events.user]
        np.add.at(kinds, (arm, events.kind), 1)
        shown = events.kind == EventKind.SHOWN
        np.add.at(told, (arm[shown], np.clip(events.code[shown], 0, max(Explained))), 1)
        ratings += np.bincount(arm, weights=events.value * (events.kind == EventKind.WATCH),
                               minlength=len(arms))  # fmt: skip
        failed += np.bincount(arm[events.outcome > Outcome.VIOLATIONS], minlength=len(arms))
        user_rounds += int(thinking[np.unique(events.user)].sum())
        spoke = np.isin(events.kind, [EventKind.WATCH, EventKind.POST, EventKind.SEARCH])
        per_user += np.bincount(events.user[spoke], minlength=len(per_user))
    latency: dict[int, list[float]] = {}
    faults = [Faults()] * len(arms)
    for work in folder.works():
        latency.setdefault(work.arm, []).append(work.latency_ms)
        faults[work.arm] += work.faults
    rows = []
    for number, arm in enumerate(arms):
        count = {
            kind.name.lower(): int(kinds[number, kind])
            for kind in EventKind
            if kind is not EventKind.INTERVENTION
        }
        times = latency.get(number, [])
        rows.append(
            {
                "arm": arm["arm_id"],
                "recommender": arm["recommender"],
                "users": int((arm_of_user == number).sum()),
                **count,
                "explained": int(told[number, Explained.SHOWN]),
                "withheld": int(told[number, Explained.WITHHELD]),
                "watch_rate": count["watch"] / count["shown"] if count["shown"] else None,
                "mean_rating": ratings[number] / count["watch"] if count["watch"] else None,
                "failed_lists": int(failed[number]),
                "violations": faults[number].total,
                "faults": asdict(faults[number]),
                "p50_ms": float(np.quantile(times, 0.5)) if times else None,
                "p95_ms": float(np.quantile(times, 0.95)) if times else None,
            }
        )
    users = folder.world().population.user_ids
    return {
        "run": folder.run_id,
        "folder": str(folder.path),
        "state": folder.status.get("state", ""),
        "error": folder.status.get("error", ""),
        "rounds": folder.last_round,
        "rounds_planned": folder.manifest["rounds"],
        "seed": folder.manifest["seed"],
        "world": folder.manifest["world"]["name"],
        "mind": folder.manifest["mind"],
        "interventions": len(interventions),
        "by_people": by_people,
        "llm": account(folder.path, folder.last_round, user_rounds, _currency(folder)),
        "digest": folder.digest,
        "example_user": users[int(per_user.argmax())],
        "arms": rows,
    }


def users_with_minds(folder: RunFolder) -> NDArray[np.bool_]:
    """[users]: who has an LLM mind."""
    settings, world = settings_of(folder), folder.world()
    if not settings.llm.provider:
        return np.zeros(len(world.population), bool)
    from recarena.server.minds.llm.opening import users_with_llm

    return users_with_llm(world, settings.llm, settings.seed)


def _currency(folder: RunFolder) -> str:
    return str(folder.manifest["settings"].get("llm", {}).get("currency", "USD"))


def llm_lines(told: dict[str, Any]) -> list[str]:
    """What the model was asked and what it cost, for people."""
    cost = (
        f"unknown ({told['calls_of_unknown_cost']:,} calls without a known price or usage)"
        if told["cost"] is None
        else f"{told['cost']:,.4f} {told['currency']}"
    )
    if told["not_committed"]:
        cost += f", {told['not_committed']:,.4f} of it for the probe and rounds not committed"
    each = (
        ""
        if told["cost_per_user_round"] is None
        else f", {told['cost_per_user_round']:.6f} {told['currency']}"
    )
    calls, tokens = told["calls_per_user_round"] or 0, told["input_tokens_per_user_round"]
    lines = [
        f"Model: {told['decisions']:,} decisions, {told['calls']:,} answers, "
        f"{told['calls_paid']:,} calls paid for; cost {cost}.",
        f"Per user and round: {calls:.2f} answers, "
        f"{'unknown' if tokens is None else format(tokens, ',.0f')} tokens in{each}.",
        f"Asked twice: {told['asked_twice']:,}. Read with tolerance: "
        f"{told['read_with_tolerance']:,}. Defaults taken: {told['failed']:,}"
        + (f" ({told['failed_share']:.1%})." if told["decisions"] else "."),
    ]
    kinds = [f"{one['count']:,} {one['purpose']} {one['kind']}" for one in told["failures"]]
    return lines + ([f"  {', '.join(kinds)}"] if kinds else [])


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
        if name in ONLY_WHERE_ANY and not any(arm[name] for arm in result["arms"]):
            continue
        table.add_row(label, *(_number(arm[name], digits) for arm in result["arms"]))
    mind = str(result["mind"]["note"])
    if result["by_people"]:
        rounds = "round" if result["by_people"] == 1 else "rounds"
        played = f"people played {result['by_people']:,} {rounds} of users"
        mind = mind.replace(" and no people", "").replace("; no people", "") + f"; {played}"
    note = Text(f"Mind: {result['mind']['kind']}. {mind[:1].upper()}{mind[1:]}.")
    if result["interventions"]:
        note.append(f"\nOperators changed the world {result['interventions']:,} times.")
    if result["error"]:
        error = result["error"].replace(RESUME, f"recarena resume {result['folder']}")
        title.append(f"\n{result['state'].capitalize()}: {error}", style="not bold")
    dropped = [
        Text(
            f"Faults in lists of {arm['arm']} that were shown: "
            + ", ".join(
                f"{arm['faults'][name]:,} {what}" for name, what in FAULTS if arm["faults"][name]
            )
            + ".",
            "yellow",
        )
        for arm in result["arms"]
        if arm["violations"]
    ]
    asked = [Text(line) for line in llm_lines(result["llm"])] if result["llm"] else []
    return Group(
        title,
        table,
        *dropped,
        note,
        *asked,
        Text(f"Digest of the event log: {result['digest'] or '-'}"),
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
