"""The leaderboard as the page shows it: a table, and what its columns mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from recarena.evaluation.leaderboard.board import Leaderboard, Row
from recarena.evaluation.metrics.measures import METRICS, Metric
from recarena.evaluation.report.blocks import Points, Section, Tabled
from recarena.evaluation.report.content import Content
from recarena.evaluation.report.tables import (
    NOTHING,
    Column,
    ends_of,
    figure,
    listed,
    plus_minus,
    share,
    table,
)

BESIDE = ("satisfaction", "coverage", "latency_p95_ms", "unusable_rate")
"""Metrics that stand beside the primary one."""
Cell: TypeAlias = Callable[[Row], str]


def leaderboard(content: Content) -> Section:
    """A row a recommender, best first."""
    board, primary = content.board, content.primary
    if board is None:
        return Section("leaderboard", "Leaderboard", ())
    columns = list(_columns(board, primary))
    rows = [[cell(row) for _, cell in columns] for row in board.rows]
    caption = f"Recommenders by {primary.heading}, the primary metric"
    return Section(
        "leaderboard",
        "Leaderboard",
        (
            Tabled(table(caption, [column for column, _ in columns], rows)),
            Points(tuple(_notes(board, primary)), "small soft"),
        ),
    )


def _columns(board: Leaderboard, primary: Metric) -> Iterator[tuple[Column, Cell]]:
    def estimate(row: Row) -> str:
        return figure(row.intervals[primary.name].mean, primary.decimals)

    def interval(row: Row) -> str:
        return ends_of(row.intervals[primary.name], primary.decimals)

    yield Column("recommender", words=True), lambda row: row.recommender
    yield Column("place", words=True), _place
    yield Column(primary.heading), estimate
    yield Column("95 % interval", words=True), interval
    yield Column("rank interval"), _rank
    yield Column("Bradley–Terry"), lambda row: plus_minus(row.place.strength.interval, 2)
    if board.gate:
        yield Column("gate", words=True), _gate
    for metric in METRICS:
        if metric.name in BESIDE and metric is not primary:
            yield Column(metric.heading), _beside(metric)
    if _played_unequally(board):
        yield Column("worlds"), lambda row: str(row.worlds)
        yield Column("lives"), lambda row: f"{row.users:,}"
        yield Column("rounds"), lambda row: f"{row.rounds:,}"
    if any(row.entrant.submissions is not None for row in board.rows):
        yield Column("submissions"), _submissions
    if any(row.entrant.version for row in board.rows):
        yield Column("version", words=True), lambda row: row.entrant.version or NOTHING
    if len(board.rows) > 1:
        many = len(board.rows) - 1
        yield Column("tied with", words=True, long=True), lambda row: _tied(row, many)


def _played_unequally(board: Leaderboard) -> bool:
    return len({(row.worlds, row.users, row.rounds) for row in board.rows}) > 1


def _notes(board: Leaderboard, primary: Metric) -> Iterator[str]:
    if not _played_unequally(board):
        row = board.rows[0]
        worlds = "1 world" if row.worlds == 1 else f"{row.worlds} worlds"
        yield f"Each played {worlds}: {row.users:,} lives of users, {row.rounds:,} rounds in all."
    if len(board.played) > 1:
        yield (
            f"Intervals are over {len(board.played)} worlds: users of one world influence one "
            "another, so that the world is the unit."
        )
    if any(row.tied for row in board.rows):
        yield (
            f"Places such as 1–3 are ties: the paired difference in {primary.heading} may be 0 "
            "(95 % over all pairs together, Holm)."
        )
    if len(board.rows) > 1:
        yield (
            "Rank interval: the ranks that it might have in other worlds of the same kind, for "
            f"each alone (bootstrap over worlds, seed {board.seed})."
        )
        yield (
            "Bradley–Terry: log odds against the average, from who was better in which world; a "
            "second display, on which no place rests."
        )
    if board.gate:
        yield "The gate stands beside the ranking and is not blended into it."
    for row in board.rows:
        if row.verdict and not row.verdict.passed:
            yield f"{row.recommender} fails the gate: {'; '.join(row.verdict.reasons)}."


def _place(row: Row) -> str:
    return f"{row.first_place}–{row.last_place}" if row.tied else str(row.first_place)


def _rank(row: Row) -> str:
    rank = row.place.rank
    if rank is None:
        return NOTHING
    return f"{rank.low}–{rank.high}" if rank.low != rank.high else str(rank.low)


def _gate(row: Row) -> str:
    if row.verdict is None:
        return NOTHING
    return "✓ passed" if row.verdict.passed else "✗ failed"


def _beside(metric: Metric) -> Cell:
    def cell(row: Row) -> str:
        mean = row.intervals[metric.name].mean
        return share(mean) if metric.name == "unusable_rate" else figure(mean, metric.decimals)

    return cell


def _submissions(row: Row) -> str:
    counted = row.entrant.submissions
    return NOTHING if counted is None else str(counted)


def _tied(row: Row, others: int) -> str:
    if len(row.tied_with) == others > 2:
        return "all others"
    return listed(row.tied_with) or NOTHING
