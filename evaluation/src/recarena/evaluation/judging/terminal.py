"""Findings on a terminal: the verdict first, then the gates, then the contrasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recarena.evaluation.judging.drawings import SIGNS, ends, signed
from recarena.evaluation.judging.findings import Findings
from recarena.evaluation.report.tables import NOTHING, figure, share

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

STYLES = {"passed": "green", "failed": "bold red", "not assessed": "yellow", "not asked": "dim"}


def show(findings: Findings, console: Console) -> None:
    """Everything that fits a screen; the report has the rest. Whatever came from outside is text,
    never markup."""
    from rich.text import Text

    for one in findings["verdict"]["judges"]:
        sign, style = ("✓", "bold green") if one["passed"] else ("✗", "bold red")
        console.print(Text(f"{sign} {one['sentence']}", style))
    if not findings["judges"]:
        console.print(Text(findings["verdict"]["sentence"], "bold red"))
        return
    for judge in findings["judges"]:
        console.print()
        if not judge["passed"]:
            console.print(gates_table(judge))
            console.print()
        console.print(contrasts_table(judge))
        ranking = judge["ranking"]
        if ranking["published"]:
            console.print(Text(ranking["sentence"], "bold"))
        else:
            console.print(Text(f"Ranking {ranking['sentence']}", "bold red"))
        naive = judge["not_to_be_used"]["naive_first"]
        if naive:
            console.print(Text(f"Real − none, which is not to be used, would have ranked {naive} "
                               "first.", "dim"))  # fmt: skip
    console.print()
    for note in findings["notes"]:
        console.print(Text(note, "dim"))
    console.print(Text(findings["under"]["label"], "dim"))


def gates_table(judge: Mapping[str, Any]) -> Table:
    """A row a gate that is not passed."""
    from rich.text import Text

    columns = ("gate", "", "value", "threshold", "found")
    made = _table(f"Gates that {judge['judge']} does not pass", columns, numbers=("value",))
    for one in judge["gates"]:
        outcome = one["outcome"]
        if outcome == "passed":
            continue
        made.add_row(
            Text(one["id"]), Text(f"{SIGNS[outcome]} {outcome}", STYLES[outcome]),
            Text(figure(one["value"], 3)), Text(one["threshold"]), Text(one["said"]),
        )  # fmt: skip
    return made


def contrasts_table(judge: Mapping[str, Any]) -> Table:
    """A row a recommender: the scored contrast beside the naive one, specificity, the quiz,
    faithfulness. Places stand beside them where they are published."""
    from rich.text import Text

    ranking = judge["ranking"]
    published = ranking["published"]
    made = _table(
        f"What explanations did, {judge['under']}",
        (*(("place",) if published else ()), "recommender", "real − placebo", "interval",
         "real − none", "real − shuffled", "quiz", "faithful"),
        numbers=("place", "real − placebo", "real − none", "real − shuffled", "quiz", "faithful"),
    )  # fmt: skip
    by_name = judge["contrasts"]["by_recommender"]
    place_of = {one["name"]: one["place"] for one in ranking["places"]} if published else {}
    for name in (*place_of, *(name for name in by_name if name not in place_of)):
        of = by_name[name]["measures"]
        scored = of["persuasiveness"]
        cells = [place_of.get(name, NOTHING)] if published else []
        cells += [
            name, signed(scored["mean"], 3), ends(scored, 3), signed(of["naive"]["mean"], 3),
            signed(of["specificity"]["mean"], 3), signed(of["informativeness"]["mean"], 3),
            share(of["faithfulness"]["mean"]),
        ]  # fmt: skip
        made.add_row(*(Text(cell) for cell in cells), style=None if published else "dim")
    return made


def _table(title: str, columns: tuple[str, ...], numbers: tuple[str, ...]) -> Table:
    from rich.table import Table
    from rich.text import Text

    made = Table(title=Text(title), title_style="bold", title_justify="left")
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    return made
