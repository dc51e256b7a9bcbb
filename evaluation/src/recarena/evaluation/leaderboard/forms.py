"""A leaderboard as files and for people."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from recarena.evaluation.leaderboard.board import CONFIDENCE, Leaderboard, Place, Row
from recarena.evaluation.leaderboard.comparing import BY_NAME, EXPLORATORY_ROLE, PRIMARY_ROLE
from recarena.evaluation.metrics.measures import METRICS
from recarena.evaluation.runs.twins import sentence
from recarena.evaluation.statistics.worlds import Interval

if TYPE_CHECKING:
    from rich.table import Table

OPERATIONS = (
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "unusable_rate",
    "late_rate",
    "rejected_rate",
    "failed_rate",
    "lost_rate",
    "violations_per_list",
)
"""Means over worlds that are shown beside the gate's verdict."""


def as_records(board: Leaderboard) -> Iterator[dict[str, object]]:
    """One flat-enough JSON object a row; a metric is {mean, low, high, worlds}, null where none.

    `separated_from` of a metric names the recommenders that differ on it, after the adjustment
    for its role. `places` has the primaries in their order; first_place, last_place and tied_with
    are those of the first.
    """
    for row in board.rows:
        yield {
            "recommender": row.recommender,
            "version": row.entrant.version or None,
            "primary": list(board.primaries),
            "first_place": row.first_place,
            "last_place": row.last_place,
            "tied_with": list(row.tied_with),
            "places": {name: _place(place) for name, place in row.places.items()},
            "worlds": row.worlds,
            "users": row.users,
            "rounds": row.rounds,
            "confidence": CONFIDENCE,
            "metrics": {
                name: {
                    **_interval(one),
                    "worlds": one.worlds,
                    "role": PRIMARY_ROLE if name in board.primaries else EXPLORATORY_ROLE,
                    "separated_from": _separated_from(board, row, name),
                }
                for name, one in row.intervals.items()
            },
            "gate": row.verdict.as_json() if row.verdict else None,
            "operations": {name: _json_number(row.intervals[name].mean) for name in OPERATIONS},
            "llm": row.thinking.as_json() if row.thinking else None,
            "submissions": row.entrant.submissions,
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


def comparison_records(board: Leaderboard) -> Iterator[dict[str, object]]:
    """A JSON object for every pair on every metric: difference, interval, p-values, role."""
    for one in board.comparisons:
        yield one.as_json()


def as_csv(board: Leaderboard) -> str:
    """A row each; of every metric three columns: its mean, and _low and _high of its interval.

    Rank intervals and strengths are those of the first primary. Empty where there is no value.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, row in enumerate(board.rows):
        columns = _columns(board, row)
        if not number:
            writer.writerow(columns)
        writer.writerow([_csv_cell(value) for value in columns.values()])
    return text.getvalue()


def _json_number(value: float | None) -> float | None:
    """Null where there is no number."""
    return None if value is None or not math.isfinite(value) else value


RANK, STRENGTH, GATE = "rank", "strength", "gate"
"""Columns of a table that are no metrics."""
SHOWN = (
    "watch_rate",
    RANK,
    STRENGTH,
    "watches_per_user_round",
    "satisfaction",
    "exit_depth",
    "coverage",
    "gini",
    "latency_p95_ms",
    "unusable_rate",
    GATE,
)
"""Columns of a table of 100 columns, after the primaries; the files have all metrics."""
FIRST_LEFT_OUT = (
    "exit_depth",
    "gini",
    STRENGTH,
    "coverage",
    "watches_per_user_round",
    "latency_p95_ms",
    RANK,
    "unusable_rate",
    "satisfaction",
)
"""What a narrower table does without; never primaries, and never the gate."""
WITH_INTERVAL = ("watch_rate", "satisfaction")
"""What is shown with its interval, besides primaries."""
SHORT = {
    "watches_per_user_round": "watches/\nround",
    "exit_depth": "pages/\nvisit",
    "searches_per_visit": "search/\nvisit",
    "latency_p95_ms": "p95\nms",
    "unusable_rate": "failed",
    "coverage": "cov-\nerage",
}


def as_table(board: Leaderboard, width: int = 100) -> Table:
    """The leaderboard for a terminal so wide, with as many columns as there is room for; what
    stands below it is `notes`."""
    from rich.console import Console

    ruler = Console(width=1000)
    names = [*board.primaries, *(name for name in SHOWN if name not in board.primaries)]
    if board.gate is None:
        names.remove(GATE)
    if len(board.played) < 2 or len(board.rows) < 2:
        names = [name for name in names if name not in (RANK, STRENGTH)]
    table = _table(board, names)
    for name in FIRST_LEFT_OUT:
        if ruler.measure(table).maximum <= width:
            break
        if name in names and name not in board.primaries:
            names.remove(name)
            table = _table(board, names)
    return table


def _table(board: Leaderboard, names: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("recommender", min_width=11, max_width=24, overflow="fold")
    for name in names:
        heading = SHORT.get(name, BY_NAME[name].heading if name in BY_NAME else name)
        table.add_column(heading, justify="right", no_wrap=True)
    for row in board.rows:
        place = _span(row.first_place, row.last_place)
        cells = [_cell(row, name, name in board.primaries) for name in names]
        table.add_row(place, Text(row.recommender), *cells)
    return table


def notes(board: Leaderboard) -> list[str]:
    """The lines below the table: first who the users were."""
    lines = [board.caveat]
    if board.thinking:
        lines.append(board.thinking.sentence())
    headings = [BY_NAME[name].heading for name in board.primaries]
    if len(board.played) > 1:
        lines.append(
            f"± is the 95 % interval over {len(board.played)} worlds (the unit is the world, not "
            "the user)."
        )
        if any(row.tied for row in board.rows):
            lines.append(
                f"Places such as 1–2 are ties: the paired difference in {headings[0]} may be 0 "
                + ("(95 %, Holm)." if board.rule is None else "(95 % over all looks).")
            )
        if len(board.rows) > 1:
            lines.append(
                f"rank: 95 % interval over other worlds, for each alone (bootstrap, seed "
                f"{board.seed}). strength: Bradley–Terry by world, log odds against the average."
            )
    if board.rule is not None:
        lines.append(
            "It could end after any world: places rest on a confidence sequence, which holds at "
            "every look; ±, rank and strength do not."
        )
    if len(headings) > 1:
        lines.append(
            f"Primary metrics: {', '.join(headings)}; pairs and primaries are judged together."
        )
    lines += [
        f"{row.recommender} does not pass the gate: {', '.join(row.verdict.reasons)}."
        for row in board.rows
        if row.verdict and not row.verdict.passed
    ]
    return [*lines, *map(sentence, board.twins), *board.warnings]


def _cell(row: Row, name: str, is_primary: bool) -> str:
    if name == RANK:
        rank = row.place.rank
        return _span(rank.low, rank.high) if rank else "–"
    if name == STRENGTH:
        return _number(row.place.strength.interval, 1, True, "+")
    if name == GATE:
        return "–" if row.verdict is None else "pass" if row.verdict.passed else "FAIL"
    one = row.intervals[name]
    if name == "unusable_rate" and not math.isnan(one.mean):
        return f"{100 * one.mean:.1f} %"
    return _number(one, BY_NAME[name].decimals, is_primary or name in WITH_INTERVAL)


def _number(one: Interval, decimals: int, with_interval: bool, sign: str = "") -> str:
    if math.isnan(one.mean):
        return "–"
    mean = f"{one.mean:{sign}z.{decimals}f}"
    half = one.half_width
    return f"{mean} ±{half:.{decimals}f}" if with_interval and not math.isnan(half) else mean


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"


def _columns(board: Leaderboard, row: Row) -> Mapping[str, object]:
    """Column -> value, the same columns in every row."""
    place, llm = row.place, row.thinking
    rank, strength = place.rank, place.strength.interval
    head: dict[str, object] = {
        "recommender": row.recommender,
        "first_place": row.first_place,
        "last_place": row.last_place,
        "worlds": row.worlds,
        "users": row.users,
        "rounds": row.rounds,
    }
    metrics = {
        column: value
        for metric in METRICS
        for one in (row.intervals[metric.name],)
        for column, value in (
            (metric.name, one.mean), (f"{metric.name}_low", one.low),
            (f"{metric.name}_high", one.high),
        )
    }  # fmt: skip
    return {
        **head,
        **metrics,
        "under": board.caveat,
        "version": row.entrant.version,
        "primary": " ".join(board.primaries),
        "rank_low": rank.low if rank else None,
        "rank_high": rank.high if rank else None,
        "strength": strength.mean,
        "strength_low": strength.low,
        "strength_high": strength.high,
        "gate": ("pass" if row.verdict.passed else "fail") if row.verdict else None,
        "gate_reasons": "; ".join(row.verdict.reasons) if row.verdict else None,
        "llm_calls_per_user_round": llm.calls_per_user_round if llm else None,
        "llm_tokens_per_user_round": llm.tokens_per_user_round if llm else None,
        "llm_cost_per_user_round": llm.cost_per_user_round if llm else None,
        "llm_currency": llm.currency if llm else None,
        "submissions": row.entrant.submissions,
    }


def _csv_cell(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else value


def _separated_from(board: Leaderboard, row: Row, metric: str) -> list[str]:
    return [
        one.other(row.recommender)
        for one in board.comparisons
        if one.metric == metric and one.separated and row.recommender in (one.a, one.b)
    ]


def _place(place: Place) -> dict[str, object]:
    rank, strength = place.rank, place.strength
    return {
        "first_place": place.first,
        "last_place": place.last,
        "tied_with": list(place.tied_with),
        "rank": {"low": rank.low, "high": rank.high, "worlds": rank.worlds, "seed": rank.seed}
        if rank
        else None,
        "strength": {
            **_interval(strength.interval),
            "wins": strength.wins,
            "comparisons": strength.comparisons,
        },
    }


def _interval(one: Interval) -> dict[str, float | None]:
    return {name: _json_number(getattr(one, name)) for name in ("mean", "low", "high")}
