"""The sections of the page, in order, from its content; one that has nothing to say is left out."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from recarena.evaluation.leaderboard.board import Leaderboard
from recarena.evaluation.metrics.measures import METRICS, Metric
from recarena.evaluation.report import figures, records
from recarena.evaluation.report.blocks import (
    Block,
    Figure,
    Figures,
    Links,
    MetricPage,
    Points,
    Section,
    Tabled,
    Text,
)
from recarena.evaluation.report.content import Content
from recarena.evaluation.report.headline import headline
from recarena.evaluation.report.ranking import leaderboard
from recarena.evaluation.report.tables import plus_minus, table
from recarena.evaluation.runs.twins import sentence


def sections(content: Content) -> Iterator[Section]:
    """In the order of the page."""
    for section in (
        _result(content),
        leaderboard(content),
        _reservations(content),
        _metrics(content),
        _exposure(content),
        _latency(content),
        records.conduct(content),
        records.costs(content),
        records.runs(content),
        records.manifest(content),
        records.reproduce(content),
    ):
        if section.blocks:
            yield section


def _result(content: Content) -> Section:
    drawn = _compared(content.board, content.primary) if content.board else ()
    figured = (Figures(drawn),) if drawn else ()
    return Section("result", "Result", (headline(content), *figured))


def _reservations(content: Content) -> Section:
    board = content.board
    warnings = (*map(sentence, board.twins), *board.warnings) if board else ()
    said = (*warnings, *content.remarks)
    blocks: tuple[Block, ...] = (
        (Points(said, "warned"),)
        if said
        else (Text("Nothing was left out, and nothing speaks against the comparison."),)
    )
    return Section("reservations", "Warnings and what was left out", blocks)


def _metrics(content: Content) -> Section:
    board, primary = content.board, content.primary
    if board is None:
        return Section("metrics", "Metrics", ())
    pages = tuple(_metric(board, metric) for metric in METRICS)
    return Section(
        "metrics",
        "Metrics",
        (
            Text(
                f"Places rest on the {primary.heading} alone, the primary metric. All others are "
                "exploratory: intervals are each for themselves, and one in twenty leaves out the "
                "truth; verdicts are adjusted for their number (Benjamini–Hochberg)."
            ),
            Links(tuple((page.ident, page.heading) for page in pages)),
            *pages,
        ),
    )


def _metric(board: Leaderboard, metric: Metric) -> MetricPage:
    return MetricPage(
        ident=f"metric-{metric.name}",
        heading=metric.heading.capitalize(),
        meaning=inspect.getdoc(metric.measure) or "",
        facts=(
            ("name", metric.name),
            ("role", "primary" if metric.name in board.primaries else "exploratory"),
        ),
        figures=_compared(board, metric),
    )


def _compared(board: Leaderboard, metric: Metric) -> tuple[Figure, ...]:
    shown = (figures.estimates(board, metric), figures.differences(board, metric))
    return tuple(one for one in shown if one is not None)


def _exposure(content: Content) -> Section:
    board = content.board
    if board is None:
        return Section("exposure", "Exposure and popularity", ())
    named = [metric for metric in METRICS if metric.name in ("coverage", "gini")]
    rows = [
        (
            row.recommender,
            *(plus_minus(row.intervals[metric.name], metric.decimals) for metric in named),
        )
        for row in board.rows
    ]
    caption = "Coverage of the catalogue and concentration of exposures, mean ± interval"
    return Section(
        "exposure",
        "Exposure and popularity",
        (
            Figures((figures.exposure(board, content.shown),)),
            Figures((figures.popularity(board, content.shown),)),
            Tabled(table(caption, ("recommender", *(one.heading for one in named)), rows)),
        ),
    )


def _latency(content: Content) -> Section:
    board = content.board
    if board is None:
        return Section("latency", "Latency", ())
    limit = board.gate.max_p95_ms if board.gate else None
    drawn = figures.latency(board, content.shown, limit)
    return Section("latency", "Latency", (Figures((drawn,)),))
