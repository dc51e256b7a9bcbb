"""Submissions and leaderboards of a competition server, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def progress(one: Mapping[str, Any]) -> str:
    """How far an open submission is, in a line."""
    if one["status"] == "queued":
        wait = one.get("expected_wait_s")
        about = "" if wait is None else f", about {wait:.0f} s to wait"
        return f"{one['id']} is queued, place {one['position']}{about}"
    if one["looked_for"]:
        return f"{one['id']} waits: no session of {one['recommender']} is connected"
    rounds = f", round {one['round']} of {one['rounds']}" if one.get("round") else ""
    return f"{one['id']} is played: {one['worlds_done']} of {one['worlds']} worlds{rounds}"


def submission_lines(one: Mapping[str, Any]) -> Iterator[str]:
    """Everything that its entrant is told, line by line."""
    if one["status"] in ("queued", "playing"):
        yield progress(one)
        yield f"Follow it with recarena competition status {one['id']}"
        return
    counted = "it counts" if one["counted"] else "it does not count"
    yield f"{one['id']} ({one['recommender']}, {one['track']}) is {one['status']}; {counted}."
    if one["why"]:
        yield f"  {one['why']}"
    if one["scores"]:
        yield "Scores, means over worlds:"
        for name, value in one["scores"].items():
            if value is not None:
                yield f"  {name:28} {value:.4g}"
    if one["report"]:
        yield from _report(one["report"])


def _report(report: Mapping[str, Any]) -> Iterator[str]:
    pages = {name: count for name, count in report["pages"].items() if count}
    yield f"Lists asked for: {report['lists']:,}"
    yield "Pages: " + (", ".join(f"{name} {count:,}" for name, count in pages.items()) or "none")
    times = [f"{name} {value:g} ms" for name, value in report["latency_ms"].items() if value]
    if times:
        yield f"Latency: {', '.join(times)}"
    for title, counts in (
        ("Wrong in lists", report["items"]),
        ("Answers that nothing waited for", report["dispositions"]),
        ("Sessions that broke", report["endings"]),
    ):
        if any(counts.values()):
            found = [f"{name.lower()} {count:,}" for name, count in counts.items() if count]
            yield f"{title}: {', '.join(found)}"
    if report["unsolicited"]:
        yield f"Messages that answered nothing: {report['unsolicited']:,}"
    for error in report["errors"]:
        where = f" in {error['field']}" if error["field"] else ""
        yield f"  {error['outcome']}{where}: {error['text'] or 'no words'}"


def board_table(about: Mapping[str, Any], board: Mapping[str, Any]) -> Table:
    """The leaderboard."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from recarena.evaluation.hosting.page import COLUMNS, measured
    from recarena.evaluation.metrics.measures import METRICS

    by_name = {metric.name: metric for metric in METRICS}
    primary = by_name[about["primary"]]
    columns = [by_name[name] for name in COLUMNS if name != primary.name]
    table = Table(box=box.SIMPLE_HEAD, title=f"{about['name']}, season {about['season']}")
    table.add_column("", justify="right")
    table.add_column("recommender", overflow="fold")
    for metric in (primary, *columns):
        table.add_column(metric.heading, justify="right")
    table.add_column("gate")
    table.add_column("submissions", justify="right")
    table.add_column("conduct", overflow="fold")
    for row in board["rows"]:
        first, last = row["first_place"], row["last_place"]
        gate = row["gate"]
        table.add_row(
            str(first) if first == last else f"{first}–{last}",
            Text(f"{row['recommender']} {row['version'] or ''}".strip()),
            measured(row["metrics"][primary.name], primary.decimals, True),
            *(measured(row["metrics"][one.name], one.decimals) for one in columns),
            "–" if gate is None else "passed" if gate["passed"] else "failed",
            "–" if row["submissions"] is None else str(row["submissions"]),
            Text("; ".join(row["conduct"]) or "as agreed"),
        )
    return table
