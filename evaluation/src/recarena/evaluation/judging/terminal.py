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
    """Everything that fits a screen of 80 columns; the report has the rest. Whatever came from
    outside is text, never markup."""
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
            show_gates(judge, console)
            console.print()
        console.print(Text(f"What explanations did, {judge['under']}", "bold"))
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
    for one in findings["about"].get("delivery") or ():
        console.print(Text(
            f"Inside the run, {one['recommender']}: {share(one['rate_shown'])} watched of "
            f"{one['shown']} items shown with their explanation, {share(one['rate_withheld'])} of "
            f"{one['withheld']} shown without: {signed(one['effect'], 3)} ({ends(one, 3)})."
        ))  # fmt: skip
    for note in findings["notes"]:
        console.print(Text(note, "dim"))
    if all(judge["under"] != findings["under"]["label"] for judge in findings["judges"]):
        console.print(Text(findings["under"]["label"], "dim"))


def show_gates(judge: Mapping[str, Any], console: Console) -> None:
    """The gates that are not passed: what was found, what is needed, and what is said of it."""
    from rich.padding import Padding
    from rich.text import Text

    console.print(Text(f"Gates that {judge['judge']} does not pass", "bold"))
    for one in judge["gates"]:
        outcome = one["outcome"]
        if outcome == "passed":
            continue
        value = figure(one["value"], 3)
        line = Text.assemble(
            (f"{SIGNS[outcome]} {one['id']}", STYLES[outcome]),
            f" {outcome}" if value == NOTHING else f" {value}",
            (f"; needed: {one['threshold']}", "dim"),
        )
        console.print(Padding(line, (0, 0, 0, 2)))
        if one["said"]:
            console.print(Padding(Text(one["said"]), (0, 0, 0, 4)))


def contrasts_table(judge: Mapping[str, Any]) -> Table:
    """A row a recommender, after its place where places are published: real less placebo, which is
    the scored contrast, with its interval; less none; less shuffled; the quiz; faithfulness."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    ranking = judge["ranking"]
    by_name = judge["contrasts"]["by_recommender"]
    published = ranking["published"]
    place_of = {one["name"]: one["place"] for one in ranking["places"]} if published else {}
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    made.add_column("recommender", overflow="fold", min_width=len("recommender"))
    for name in ("real − placebo, interval", "− none", "− shuffled", "quiz", "faithful"):
        made.add_column(name, justify="right", no_wrap=True)
    for name in (*place_of, *(name for name in by_name if name not in place_of)):
        of = by_name[name]["measures"]
        scored = of["persuasiveness"]
        interval = f" ({ends(scored, 3)})" if scored["mean"] is not None else ""
        made.add_row(
            Text(f"{place_of[name]} {name}" if name in place_of else name),
            Text(f"{signed(scored['mean'], 3)}{interval}"),
            Text(signed(of["naive"]["mean"], 3)), Text(signed(of["specificity"]["mean"], 3)),
            Text(signed(of["informativeness"]["mean"], 3)), Text(share(of["faithfulness"]["mean"])),
            style=None if published else "dim",
        )  # fmt: skip
    return made
