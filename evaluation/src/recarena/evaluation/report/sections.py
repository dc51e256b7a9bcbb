"""The sections of the page, in order, from its content; one that has nothing to say is left out."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator

from recarena.evaluation.leaderboard.board import Leaderboard
from recarena.evaluation.metrics.measures import METRICS, Metric
from recarena.evaluation.report import figures, records
from recarena.evaluation.report.believability import card_remarks, card_section, card_verdict
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
from recarena.evaluation.report.spillover import spillover
from recarena.evaluation.report.tables import figure, plus_minus, table, titled
from recarena.evaluation.runs.twins import sentence

FIRST = ("retention", "genre_entropy", "coverage")
"""Metrics whose course is in full view, beside the primary one."""
BETTER = {
    "higher": "higher is better", "lower": "lower is better", "neither": "neither good nor bad",
}  # fmt: skip


def sections(content: Content) -> Iterator[Section]:
    """In the order of the page."""
    for section in (
        _result(content),
        leaderboard(content),
        _reservations(content),
        card_section(content),
        _trajectories(content),
        _metrics(content),
        _exposure(content),
        _latency(content),
        records.conduct(content),
        records.costs(content),
        spillover(content),
        records.runs(content),
        records.manifest(content),
        records.reproduce(content),
    ):
        if section.blocks:
            yield section


def _result(content: Content) -> Section:
    drawn = _compared(content.board, content.primary) if content.board else ()
    believed = (card_verdict(content.card),) if content.card else ()
    figured = (Figures(drawn),) if drawn else ()
    return Section("result", "Result", (headline(content), *believed, *figured))


def _reservations(content: Content) -> Section:
    board = content.board
    warnings = (*map(sentence, board.twins), *board.warnings) if board else ()
    said = (*warnings, *content.remarks, *card_remarks(content))
    blocks: tuple[Block, ...] = (
        (Points(said, "warned"),)
        if said
        else (Text("Nothing was left out, and nothing speaks against the comparison."),)
    )
    return Section("reservations", "Warnings and what was left out", blocks)


def _trajectories(content: Content) -> Section:
    board = content.board
    if board is None:
        return Section("trajectories", "Over the rounds", ())
    drawn = {
        metric.name: figures.trajectory(board, metric, content.courses[metric.name])
        for metric in METRICS
        if metric.name in content.courses and _measured(board, metric)
    }
    first = [drawn.pop(name) for name in (content.primary.name, *FIRST) if name in drawn]
    blocks: list[Block] = [Figures((one,)) for one in first]
    if drawn:
        blocks.append(Figures(tuple(drawn.values()), f"{len(drawn)} further metrics by round"))
    return Section("trajectories", "Over the rounds", tuple(blocks))


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
    role = "primary" if metric.name in board.primaries else "exploratory"
    values = {row.measured[world][metric.name] for row in board.rows for world in row.measured}
    alike = len(values) == 1 and len(board.rows) > 1
    nothing = not _measured(board, metric)
    said = ""
    if nothing:
        said = f"No value: {metric.missing}."
    elif alike:
        said = f"{figure(values.pop(), metric.decimals)} for all, in every world."
    return MetricPage(
        ident=f"metric-{metric.name}",
        heading=titled(metric.heading),
        meaning=metric.meaning,
        traits=f"{titled(metric.unit)} · {BETTER[metric.better]} · {role} · {metric.name}",
        formula=inspect.getdoc(metric.measure) or "",
        said=said,
        figures=() if said else _compared(board, metric),
    )


def _measured(board: Leaderboard, metric: Metric) -> bool:
    """Whether any recommender has a value."""
    return any(math.isfinite(row.intervals[metric.name].mean) for row in board.rows)


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
