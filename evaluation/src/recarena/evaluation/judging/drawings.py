"""Figures of a study of explanations, each with the table of what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from recarena.evaluation.report import plots
from recarena.evaluation.report.blocks import Figure, Panel
from recarena.evaluation.report.plots import Axis, Line, Mark
from recarena.evaluation.report.tables import NOTHING, Column, figure, share, table
from recarena.evaluation.statistics.worlds import NAN

Estimate = Mapping[str, Any]
"""As findings have it."""
SIGNS = {"passed": "✓", "failed": "✗", "not assessed": "?", "not asked": "–"}
GATES_AT, CELL, ROW = 150.0, 62.0, 20.0
"""Where the cells of a matrix begin, and how large they are."""
LETTERS = 9
"""Of a judge above its column; the table has all of it."""


def signed(value: float | None, decimals: int = 2) -> str:
    """With its sign, also where it is above 0."""
    text = figure(value, decimals)
    return text if value is None or text == NOTHING or not text.strip("0.,") or value < 0 else (
        f"+{text}"
    )  # fmt: skip


def ends(one: Estimate, decimals: int = 2) -> str:
    """`-0.02 to +0.11`, or why there is no interval."""
    if one["low"] is None or one["high"] is None:
        return str(one.get("reason") or NOTHING)
    return f"{signed(one['low'], decimals)} to {signed(one['high'], decimals)}"


def bounds(one: Estimate, decimals: int = 2) -> str:
    """`0.41 to 0.52` of what has no sign, or why there is no interval."""
    if one["low"] is None or one["high"] is None:
        return str(one.get("reason") or NOTHING)
    return f"{figure(one['low'], decimals)} to {figure(one['high'], decimals)}"


def mark(label: str, one: Estimate, *, share_of: bool = False) -> Mark:
    """A row of a forest plot; hollow where it cannot be told from 0."""
    mean, low, high = (NAN if one[name] is None else float(one[name])
                       for name in ("mean", "low", "high"))  # fmt: skip
    told = share_of or low > 0 or high < 0
    text = share(one["mean"]) if share_of else signed(one["mean"])
    return Mark(label, mean, low, high, text, told)


def contrast(
    by_name: Mapping[str, Estimate], what: str, under: str, *, greyed: bool = False
) -> Figure:
    """One row for each: its mean over users and the interval."""
    marks = [mark(name, one) for name, one in by_name.items()]
    said = "; ".join(f"{one.label} {one.figures}" for one in marks)
    drawing = plots.forest(marks, f"{what}: {said}", 0.0)
    if greyed:
        drawing = Markup(str(drawing).replace('class="forest"', 'class="forest greyed"', 1))
    return Figure(
        f"{what}, mean over users and 95 % interval, {under}",
        (Panel("", drawing),),
        table(
            f"{what}, {under}",
            ("", "mean", Column("interval", words=True), "users", "triples", "without answer"),
            [
                (name, signed(one["mean"], 3), ends(one, 3), str(one["users"]),
                 f"{one['triples']} of {one['of']}", share(one["missing"]))
                for name, one in by_name.items()
            ],
        ),
    )  # fmt: skip


def watch_rates(by_condition: Mapping[str, Estimate], under: str) -> Figure:
    """How often users watch under each condition."""
    marks = [mark(name, one, share_of=True) for name, one in by_condition.items()]
    said = "; ".join(f"{one.label} {one.figures}" for one in marks)
    return Figure(
        f"Watched under each condition, mean over users and 95 % interval, {under}",
        (Panel("", plots.forest(marks, f"watch rates: {said}")),),
        table(
            f"Watch rates, {under}",
            ("condition", "watched", Column("interval", words=True), "users", "without answer"),
            [
                (name, share(one["mean"]), bounds(one, 3), str(one["users"]),
                 share(one["missing"]))
                for name, one in by_condition.items()
            ],
        ),
    )  # fmt: skip


def calibration(rows: Sequence[Mapping[str, float]], under: str) -> Figure:
    """What items were rated after watching, by what was expected; on the dashed line nothing was
    promised that was not kept."""
    line = Line([one["expected"] for one in rows], [one["after"] for one in rows])
    stars = Axis(1.0, 5.0, tuple((float(at), str(at)) for at in range(1, 6)))
    drawing = plots.panel(
        line, (), stars, stars,
        "rating after watching by rating expected: "
        + "; ".join(f"{one['expected']}: {figure(one['after'], 2)}" for one in rows),
        reference=Line([1.0, 5.0], [1.0, 5.0]),
    )  # fmt: skip
    return Figure(
        f"Rating after watching (up) by the rating expected under the real explanation (across), "
        f"{under}",
        (Panel("", drawing),),
        table(
            f"Rating after watching by rating expected, {under}",
            ("expected", "after", "answers"),
            [(str(one["expected"]), figure(one["after"], 2), str(one["answers"])) for one in rows],
        ),
    )  # fmt: skip


def constructs(rows: Sequence[Mapping[str, Any]], lowest: int, highest: int, under: str) -> Figure:
    """A panel a construct with a bar a condition."""
    up = Axis(lowest, highest, tuple((float(at), str(at)) for at in range(lowest, highest + 1)))
    conditions = list(dict.fromkeys(name for one in rows for name in one["by_condition"]))
    panels: list[Panel] = []
    for one in rows:
        means = [one["by_condition"].get(name, {}).get("mean") for name in conditions]
        said = "; ".join(f"{name} {figure(mean)}"
                         for name, mean in zip(conditions, means, strict=True))  # fmt: skip
        drawing = plots.bars(
            [NAN if mean is None else mean for mean in means], conditions or [""], up,
            f"{one['title']}: {said}", (lowest + highest) / 2,
        )  # fmt: skip
        panels.append(Panel(one["title"], drawing))
    return Figure(
        f"Mean answers, recoded so that more is more of it; bars from the left: "
        f"{', '.join(conditions)}; {under}",
        tuple(panels),
        table(
            f"Mean answers by construct and condition, {under}",
            ("construct", *conditions),
            [
                (one["title"], *(figure(one["by_condition"].get(name, {}).get("mean"))
                                 for name in conditions))
                for one in rows
            ],
        ),
    )  # fmt: skip


def matrix(found: Mapping[str, Any]) -> Figure:
    """Judges across, gates down."""
    gates, judges = found["gates"], found["judges"]
    width = max(plots.WIDTH, GATES_AT + CELL * len(judges) + 2)
    parts: list[str] = []
    for at, judge in enumerate(judges):
        x = GATES_AT + at * CELL + CELL / 2
        short = plots.shortened(str(judge).rpartition(":")[2] or str(judge), LETTERS)
        parts.append(
            f'<text class="name middle" x="{x:g}" y="12"><title>{escape(judge)}</title>'
            f"{escape(short)}</text>"
        )
        for row, gate in enumerate(gates):
            outcome = judges[judge][gate]
            y = 18 + row * ROW
            kind = outcome.replace(" ", "-")
            parts.append(
                f'<rect class="cell {kind}" x="{x - CELL / 2 + 1:g}" y="{y + 1:g}" '
                f'width="{CELL - 2:g}" height="{ROW - 2:g}"/>'
                f'<text class="sign middle {kind}" x="{x:g}" y="{y + 14:g}">{SIGNS[outcome]}</text>'
            )
    parts += [
        f'<text class="name" x="0" y="{18 + row * ROW + 14:g}">{escape(gate)}</text>'
        for row, gate in enumerate(gates)
    ]
    said = "; ".join(
        f"{judge}: {', '.join(f'{gate} {outcome}' for gate, outcome in by_gate.items())}"
        for judge, by_gate in judges.items()
    )
    drawing = Markup(
        f'<svg class="matrix" role="img" viewBox="0 0 {width:g} {22 + ROW * len(gates):g}" '
        f'style="max-width: {width / 13:.1f}rem" '
        f'aria-label="{escape(said)}">{"".join(parts)}</svg>'
    )
    return Figure(
        "Gates by judge: ✓ passed, ✗ failed, ? not assessed, – not asked",
        (Panel("", drawing),),
        table(
            "Gates by judge",
            ("gate", *(Column(str(judge), words=True) for judge in judges)),
            [(gate, *(by_gate[gate] for by_gate in judges.values())) for gate in gates],
        ),
    )
