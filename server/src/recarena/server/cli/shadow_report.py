"""A comparison for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recarena.server.shadowing import Shadow

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

BIAS = (
    "Users saw what the recorded recommender showed. Hit rate asks how often what they then "
    "watched stood on the shadow's page, too: it favours likeness to the recorded one, which has "
    "1 by making, and a low one does not say that the shadow is worse. Only a run of its own tells "
    "what users make of its lists."
)
ROWS = (
    ("lists asked of the shadow", "asked", 0),
    ("  answered", "answered", 0),
    ("  with violations", "violations", 0),
    ("  rejected (invalid)", "rejected", 0),
    ("  late", "late", 0),
    ("  failed", "failed", 0),
    ("  lost", "lost", 0),
    ("not asked: it does not offer it", "not_offered", 0),
    ("pages compared", "compared", 0),
    ("overlap (Jaccard)", "overlap", 3),
    ("rank-biased overlap, p = 0.9", "rbo", 3),
    ("Kendall's tau of common items", "kendall", 3),
    ("identical pages", "identical", 3),
    ("hit rate: watched, and on its page", "hit_rate", 3),
    ("watches on pages compared", "watches", 0),
    ("coverage, recorded", "recorded_coverage", 3),
    ("coverage, shadow", "shadow_coverage", 3),
    ("novelty in bits, recorded", "recorded_novelty_bits", 2),
    ("novelty in bits, shadow", "shadow_novelty_bits", 2),
)
"""Label, name and digits of the table's rows."""
TIMES = (
    ("latency p50, ms", "p50_ms"),
    ("latency p95, ms", "p95_ms"),
    ("latency p99, ms", "p99_ms"),
    ("getting ready, ms", "ready_ms"),
)
LONG = 40
"""Rows of the table by rounds that are too many for people."""


def result(shadow: Shadow) -> dict[str, Any]:
    """The comparison so far as JSON values; `partial` where rounds are missing that were to be
    compared."""
    plan = shadow.plan
    return {
        "run": plan.folder.run_id,
        "folder": str(plan.folder.path),
        "shadow": plan.recommender,
        "first_round": plan.first,
        "last_round": plan.first + shadow.compared - 1 if shadow.compared else None,
        "rounds_compared": shadow.compared,
        "rounds_wanted": plan.rounds,
        "partial": shadow.compared < plan.rounds,
        "page_size": shadow.settings.visits.page_size,
        "mind": plan.folder.manifest.get("mind"),
        "arms": [one.as_json() for one in shadow.comparisons],
    }


def table(found: dict[str, Any], rounds: list[dict[str, Any]]) -> RenderableType:
    """The comparison for people; `rounds` are the events of single rounds."""
    from rich.console import Group
    from rich.text import Text

    whole = "" if not found["partial"] else f" of {found['rounds_wanted']} wanted: PARTIAL"
    title = Text(
        f"{found['shadow']} in the shadow of {found['run']}: rounds {found['first_round']} to "
        f"{found['last_round']}{whole}",
        style="bold",
    )
    shown: list[RenderableType] = [title, _overall(found["arms"])]
    if len(rounds) * len(found["arms"]) <= LONG and len(rounds) > 1:
        shown.append(_by_round(rounds))
    return Group(*shown, Text(BIAS))


def _overall(arms: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    made = Table()
    made.add_column("")
    for arm in arms:
        made.add_column(f"beside {_title(arm)}", justify="right")
    arms = [_flat(arm) for arm in arms]
    for label, name, digits in ROWS:
        made.add_row(label, *(_number(arm.get(name), digits) for arm in arms))
    for label, name in TIMES:
        for side in ("recorded", "shadow"):
            values = [arm.get("latency", {}).get(side, {}).get(name) for arm in arms]
            made.add_row(f"{label}, {side}", *(_number(value, 1) for value in values))
    return made


def _title(arm: dict[str, Any]) -> str:
    same = arm["arm"] == arm["recommender"]
    return arm["arm"] if same else f"{arm['arm']} ({arm['recommender']})"


def _flat(arm: dict[str, Any]) -> dict[str, Any]:
    return arm | arm.get("outcomes", {})


def _by_round(rounds: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    made = Table()
    for name in ("round", "beside", "compared", "overlap", "RBO", "identical", "hit rate",
                 "p95, ms"):  # fmt: skip
        made.add_column(name, justify="left" if name == "beside" else "right")
    for one in rounds:
        for arm in one["arms"]:
            made.add_row(
                str(one["round"]), arm["arm"], _number(arm["compared"], 0),
                *(_number(arm[name], 3) for name in ("overlap", "rbo", "identical", "hit_rate")),
                _number(arm["latency"]["shadow"]["p95_ms"], 1),
            )  # fmt: skip
    return made


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
