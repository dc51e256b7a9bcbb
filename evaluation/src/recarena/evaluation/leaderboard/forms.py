"""A leaderboard as files and for people."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from recarena.evaluation.leaderboard.board import CONFIDENCE, Leaderboard
from recarena.evaluation.metrics.measures import METRICS
from recarena.evaluation.runs.twins import sentence
from recarena.evaluation.statistics.worlds import Interval

if TYPE_CHECKING:
    from rich.table import Table


def as_records(board: Leaderboard) -> Iterator[dict[str, object]]:
    """One flat-enough JSON object a row; a metric is {mean, low, high, worlds}, null where none."""
    for row in board.rows:
        yield {
            "recommender": row.recommender,
            "first_place": row.first_place,
            "last_place": row.last_place,
            "tied_with": list(row.tied_with),
            "worlds": row.worlds,
            "users": row.users,
            "rounds": row.rounds,
            "confidence": CONFIDENCE,
            "metrics": {
                name: {
                    "mean": _json_number(one.mean),
                    "low": _json_number(one.low),
                    "high": _json_number(one.high),
                    "worlds": one.worlds,
                }
                for name, one in row.intervals.items()
            },
            "under": {
                "minds": [dict(mind) for mind in board.minds],
                "worlds": list(board.worlds),
                "caveat": board.caveat,
                "llm": board.thinking.as_json() if board.thinking else None,
            },
        }


def as_json_lines(board: Leaderboard) -> str:
    """`as_records`, one to a line."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in as_records(board))


def as_csv(board: Leaderboard) -> str:
    """A row each; of every metric three columns: its mean, and _low and _high of its interval.

    Empty where there is no value.
    """
    text = io.StringIO()
    names = [metric.name for metric in METRICS]
    head = ["recommender", "first_place", "last_place", "worlds", "users", "rounds"]
    writer = csv.writer(text, lineterminator="\n")
    metrics = [column for name in names for column in (name, f"{name}_low", f"{name}_high")]
    writer.writerow([*head, *metrics, "under"])
    for row in board.rows:
        values = [
            "" if math.isnan(number) else repr(number)
            for name in names
            for one in (row.intervals[name],)
            for number in (one.mean, one.low, one.high)
        ]
        plain = [getattr(row, name) for name in head]
        writer.writerow([*plain, *values, board.caveat])
    return text.getvalue()


SHOWN = (
    "watch_rate",
    "watches_per_user_round",
    "satisfaction",
    "exit_depth",
    "searches_per_visit",
    "coverage",
    "gini",
    "latency_p95_ms",
    "unusable_rate",
)
"""Metrics in a table of 100 columns; the files have them all."""
FIRST_LEFT_OUT = (
    "searches_per_visit",
    "gini",
    "exit_depth",
    "latency_p95_ms",
    "coverage",
    "watches_per_user_round",
    "unusable_rate",
    "satisfaction",
)
"""What a narrower table does without."""
WITH_INTERVAL = ("watch_rate", "watches_per_user_round", "satisfaction")
"""What is shown with its interval."""
SHORT = {
    "watches_per_user_round": "watches/\nround",
    "exit_depth": "pages/\nvisit",
    "searches_per_visit": "search/\nvisit",
    "latency_p95_ms": "p95\nms",
    "unusable_rate": "failed",
    "coverage": "cov-\nerage",
}


def as_table(board: Leaderboard, width: int = 100) -> Table:
    """The leaderboard for a terminal so wide, with as many metrics as there is room for; what
    stands below it is `notes`."""
    from rich.console import Console

    ruler = Console(width=1000)
    names = list(SHOWN)
    table = _table(board, names)
    for name in FIRST_LEFT_OUT:
        if ruler.measure(table).maximum <= width:
            break
        names.remove(name)
        table = _table(board, names)
    return table


def _table(board: Leaderboard, names: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    by_name = {metric.name: metric for metric in METRICS}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("recommender", min_width=11, max_width=24, overflow="fold")
    for name in names:
        heading = SHORT.get(name, by_name[name].heading)
        table.add_column(heading, justify="right", no_wrap=True)
    for row in board.rows:
        place = f"{row.first_place}–{row.last_place}" if row.tied else str(row.first_place)
        cells = [_cell(row.intervals[name], name, by_name[name].decimals) for name in names]
        table.add_row(place, Text(row.recommender), *cells)
    return table


def notes(board: Leaderboard) -> list[str]:
    """The lines below the table: first who the users were."""
    lines = [board.caveat]
    if board.thinking:
        lines.append(board.thinking.sentence())
    if len(board.played) > 1:
        lines.append(
            f"± is the 95 % interval over {len(board.played)} worlds (the unit is the world, not "
            "the user)."
        )
    if any(row.tied for row in board.rows) and len(board.played) > 1:
        lines.append(
            "Places such as 1–2 are ties: the paired difference in watch rate may be 0 "
            "(95 %, Holm)."
        )
    return [*lines, *map(sentence, board.twins), *board.warnings]


def _cell(one: Interval, name: str, decimals: int) -> str:
    if math.isnan(one.mean):
        return "–"
    if name == "unusable_rate":
        return f"{100 * one.mean:.1f} %"
    mean = f"{one.mean:.{decimals}f}"
    half = one.half_width
    known = name in WITH_INTERVAL and not math.isnan(half)
    return f"{mean} ±{half:.{decimals}f}" if known else mean


def _json_number(value: float) -> float | None:
    return None if math.isnan(value) else value
