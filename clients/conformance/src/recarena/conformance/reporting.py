"""What became of the cases: for people, for machines, and for CI as JUnit XML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as Xml

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recarena.conformance.case import Case, Outcome, Verdict

STYLES = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "bold red",
    Verdict.NOT_OFFERED: "dim",
    Verdict.NOT_PLAYED: "yellow",
}
NARROWEST = 160
"""Columns of a table that is not shown on a terminal."""
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""


def plain(text: str) -> str:
    """The text with nothing in it that would move a terminal's cursor."""
    return "".join(one if one.isprintable() or one == "\n" else "�" for one in text)


def in_one_line(text: str) -> str:
    return plain(" ".join(text.split()))


def verdict_of(outcome: Outcome) -> str:
    """The verdict in words."""
    if outcome.verdict is Verdict.FAILED and outcome.case.optional:
        return "failed, optional"
    return outcome.verdict.value


def summary(outcomes: Sequence[Outcome], seconds: float) -> str:
    """One line that counts."""
    counts = dict.fromkeys(Verdict, 0)
    for outcome in outcomes:
        counts[outcome.verdict] += 1
    hints = sum(one.verdict is Verdict.FAILED and one.case.optional for one in outcomes)
    failed = counts[Verdict.FAILED] - hints
    parts = [f"{counts[Verdict.PASSED]} passed", f"{failed} failed"]
    if hints:
        parts.append(f"{hints} failed that {'is' if hints == 1 else 'are'} optional")
    parts += [f"{counts[one]} {one.value}" for one in (Verdict.NOT_OFFERED, Verdict.NOT_PLAYED)
              if counts[one]]  # fmt: skip
    return f"{', '.join(parts)}, in {seconds:.1f} s"


# ------------------------------------------------------------------------------ for people
def show(console: Console, outcomes: Sequence[Outcome], seconds: float, *, logs: bool) -> None:
    """The table, the failures in full, and the line that counts."""
    failures = [one for one in outcomes if one.verdict is Verdict.FAILED]
    console.print(_table(outcomes, bool(failures)))
    for outcome in failures:
        console.print()
        for line in _in_full(outcome, logs):
            console.print(line)
    console.print()
    style = "bold red" if any(one.is_failure for one in outcomes) else "bold green"
    console.print(Text(summary(outcomes, seconds), style=style))


def _table(outcomes: Sequence[Outcome], failures: bool) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, expand=True)
    table.add_column("area", no_wrap=True)
    table.add_column("case", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("required", no_wrap=True, overflow="ellipsis", ratio=3)
    if failures:
        table.add_column("seen", no_wrap=True, overflow="ellipsis", ratio=3)
        table.add_column("how to fix it", no_wrap=True, overflow="ellipsis", ratio=2)
    area = ""
    for outcome in outcomes:
        case = outcome.case
        cells = [
            Text("" if case.area == area else case.area),
            Text(case.name),
            Text(verdict_of(outcome), style=STYLES[outcome.verdict]),
            Text(in_one_line(outcome.required or case.required)),
        ]
        if failures:
            cells += [Text(in_one_line(outcome.seen)), Text(in_one_line(outcome.fix))]
        table.add_row(*cells)
        area = case.area
    return table


def _in_full(outcome: Outcome, logs: bool) -> Iterator[Text]:
    yield Text(f"{outcome.case.area}: {outcome.case.name} ({verdict_of(outcome)})", style="bold")
    yield Text(f"  required  {plain(outcome.required)}")
    yield Text(f"  seen      {plain(outcome.seen)}")
    yield Text(f"  fix       {plain(outcome.fix)}")
    if outcome.last_lines:
        yield Text("  the program's last lines" + (f" (all of it: {outcome.log})" if logs else ""))
        for line in outcome.last_lines:
            yield Text(f"    {plain(line)}", style="dim")


def listing(console: Console, cases: Sequence[Case]) -> None:
    """The cases and what each requires."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("area", "case", "only with", "required"):
        table.add_column(column, no_wrap=column != "required")
    for case in cases:
        needs = ", ".join(case.needs).replace("RICH", "rich")
        optional = "optional: " if case.optional else ""
        table.add_row(*map(Text, (case.area, case.name, needs, optional + case.required)))
    console.print(table)


# ------------------------------------------------------------------------------ for machines
def as_json(
    suite: str, command: Sequence[str], outcomes: Sequence[Outcome], seconds: float
) -> dict[str, Any]:  # fmt: skip
    """Everything, as one JSON object."""
    return {
        "suite": suite,
        "command": list(command),
        "passed": not any(one.is_failure for one in outcomes),
        "seconds": round(seconds, 3),
        "cases": [
            {
                "area": one.case.area,
                "name": one.case.name,
                "verdict": one.verdict.value.lower(),
                "optional": one.case.optional,
                "required": one.required or one.case.required,
                "seen": one.seen,
                "fix": one.fix,
                "seconds": round(one.seconds, 3),
                "last_lines": list(one.last_lines),
            }
            for one in outcomes
        ],
    }


def as_junit(suite: str, outcomes: Sequence[Outcome], seconds: float) -> bytes:
    """JUnit XML. What is optional and failed is skipped there, so that it turns nothing red."""
    failures = sum(one.is_failure for one in outcomes)
    skipped = sum(one.verdict is not Verdict.PASSED for one in outcomes) - failures
    counts = {"tests": str(len(outcomes)), "failures": str(failures), "errors": "0"}
    root = Xml.Element("testsuites", {**counts, "time": f"{seconds:.3f}"})
    attributes = {"name": f"recarena-conformance {suite}", **counts, "skipped": str(skipped)}
    parent = Xml.SubElement(root, "testsuite", {**attributes, "time": f"{seconds:.3f}"})
    for one in outcomes:
        name = {"classname": f"recarena.{suite}.{one.case.area}", "name": one.case.name}
        element = Xml.SubElement(parent, "testcase", {**name, "time": f"{one.seconds:.3f}"})
        told = f"required: {one.required}\nseen: {one.seen}\nfix: {one.fix}"
        if one.is_failure:
            failure = Xml.SubElement(element, "failure", {"message": storable(one.seen)})
            failure.text = storable(told)
        elif one.verdict is Verdict.FAILED:
            Xml.SubElement(element, "skipped", {"message": storable(f"optional; {told}")})
        elif one.verdict is not Verdict.PASSED:
            words = f"{one.verdict.value}: {one.seen}"
            Xml.SubElement(element, "skipped", {"message": storable(words)})
        if one.last_lines:
            Xml.SubElement(element, "system-out").text = storable("\n".join(one.last_lines))
    Xml.indent(root)
    return Xml.tostring(root, encoding="utf-8", xml_declaration=True)


def storable(text: str) -> str:
    """The text without the characters that XML cannot hold."""
    return FORBIDDEN.sub("�", text)
