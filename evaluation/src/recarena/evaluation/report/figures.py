"""The page's figures: each a plot, or small multiples, with the table of what it shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from recarena.evaluation.leaderboard.board import Leaderboard
from recarena.evaluation.leaderboard.comparing import (
    EXPLORATORY_ROLE,
    PRIMARY_ROLE,
    Comparison,
)
from recarena.evaluation.metrics.measures import Metric
from recarena.evaluation.report import plots
from recarena.evaluation.report.blocks import Figure, Panel
from recarena.evaluation.report.courses import Course
from recarena.evaluation.report.plots import Axis, Line, Mark
from recarena.evaluation.report.shown import DECILES, PERCENTS, STEPS, Doubles, Shown
from recarena.evaluation.report.tables import (
    NOTHING,
    Column,
    ends_of,
    figure,
    listed,
    plus_minus,
    probability,
    share,
    table,
    titled,
)
from recarena.evaluation.statistics.worlds import Interval

METHODS = {PRIMARY_ROLE: "Holm", EXPLORATORY_ROLE: "Benjamini–Hochberg"}
"""How p-values are adjusted for there being others, by role."""


def estimates(board: Leaderboard, metric: Metric) -> Figure:
    """Every recommender's mean over worlds with its interval."""
    intervals = [(row.recommender, row.intervals[metric.name]) for row in board.rows]
    marks = [
        Mark(name, one.mean, one.low, one.high, plus_minus(one, metric.decimals))
        for name, one in intervals
    ]
    said = "; ".join(f"{name} {plus_minus(one, metric.decimals)}" for name, one in intervals)
    return Figure(
        f"{titled(metric.heading)}, mean over worlds and {_percent(intervals)} interval",
        (Panel("", plots.forest(marks, f"{metric.heading}: {said}")),),
        table(
            f"{titled(metric.heading)} of each recommender",
            ("recommender", "mean", Column("interval", words=True), "worlds"),
            [
                (name, figure(one.mean, metric.decimals), ends_of(one, metric.decimals),
                 str(one.worlds))
                for name, one in intervals
            ],
        ),
    )  # fmt: skip


def differences(board: Leaderboard, metric: Metric) -> Figure | None:
    """The paired differences of the others from the leader; the table has every pair. None with
    one recommender."""
    found = [one for one in board.comparisons if one.metric == metric.name]
    if not found:
        return None
    leader = board.rows[0].recommender
    of_leader = {one.other(leader): one for one in found if leader in (one.a, one.b)}
    rest = [of_leader[row.recommender] for row in board.rows[1:]]
    marks: list[Mark] = []
    said: list[str] = []
    for one in rest:
        sign = 1 if one.b == leader else -1
        ends = sorted((sign * one.difference.low, sign * one.difference.high))
        mean, name = sign * one.difference.mean, one.other(leader)
        words = figure(mean, metric.decimals)
        if math.isfinite(one.difference.half_width):
            words += f" ±{figure(one.difference.half_width, metric.decimals)}"
        marks.append(Mark(name, mean, ends[0], ends[1], words, filled=one.separated))
        said.append(f"{name} {words}, {_apart(one)}")
    method = METHODS[found[0].role]
    return Figure(
        f"Difference from {leader} in the same worlds; hollow: not separated ({method})",
        (Panel("", plots.forest(marks, f"Difference from {leader}: {'; '.join(said)}", 0.0)),),
        table(
            f"{titled(metric.heading)}: paired differences of all pairs",
            (
                "first less second", "difference", Column("interval by itself", words=True),
                "worlds", "p", f"p adjusted ({method})", Column("verdict", words=True),
            ),
            [
                (f"{one.a} − {one.b}", figure(one.difference.mean, metric.decimals),
                 ends_of(one.difference, metric.decimals), str(one.difference.worlds),
                 probability(one.p_value), probability(one.adjusted_p), _apart(one))
                for one in found
            ],
        ),
    )  # fmt: skip


def exposure(board: Leaderboard, shown: Mapping[str, Shown]) -> Figure:
    """Lorenz curves of exposures over the catalogue."""
    steps = [at / STEPS for at in range(STEPS + 1)]
    lines = {row.recommender: Line(steps, _floats(shown[row.recommender].lorenz))
             for row in board.rows}  # fmt: skip
    across = Axis(0.0, 1.0, ((0.0, "0"), (0.5, "50 %"), (1.0, "100 %")))
    up = Axis(0.0, 1.0, ((0.0, "0"), (0.5, "50 %"), (1.0, "100 %")))
    points = (10, 14, 16, 18, 19)
    return Figure(
        "Share of exposures that the least shown part of the catalogue had (Lorenz curve); "
        "dashed: all items alike; grey: the others",
        tuple(
            Panel(name, plots.panel(
                line, _others(lines, name), across, up,
                f"{name}: the least shown 90 % of items had {share(line.y[18])} of exposures",
                reference=Line((0.0, 1.0), (0.0, 1.0)),
            ))
            for name, line in lines.items()
        ),
        table(
            "Share of exposures that the least shown items had",
            ("recommender", *(f"least {at * 100 // STEPS} %" for at in points)),
            [(name, *(share(line.y[at]) for at in points)) for name, line in lines.items()],
        ),
    )  # fmt: skip


def popularity(board: Leaderboard, shown: Mapping[str, Shown]) -> Figure:
    """Exposures by tenth of the catalogue."""
    heights = {row.recommender: _floats(shown[row.recommender].deciles) for row in board.rows}
    finite = [one for values in heights.values() for one in values if math.isfinite(one)]
    top = max([*finite, 0.1])
    up = plots.axis([], 3, (0.0, top))
    up = Axis(up.low, up.high, tuple((at, f"{at:.0%}".replace("%", " %")) for at, _ in up.ticks))
    return Figure(
        "Share of exposures by tenth of the catalogue, the most watched before the run at the "
        "left; dashed: a tenth each",
        tuple(
            Panel(name, plots.bars(
                values, ("most", *[""] * (DECILES - 2), "least watched"), up,
                f"{name}: the most watched tenth had {share(values[0])} of exposures, the least "
                f"watched {share(values[-1])}",
                1 / DECILES,
            ))
            for name, values in heights.items()
        ),
        table(
            "Share of exposures by tenth of the catalogue, 1 the most watched before the run",
            ("recommender", *(str(at + 1) for at in range(DECILES))),
            [(name, *map(share, values)) for name, values in heights.items()],
        ),
    )  # fmt: skip


def latency(board: Leaderboard, shown: Mapping[str, Shown], limit_ms: float | None) -> Figure:
    """The share of works that were answered within a time, against the gate's limit."""
    lines = {
        row.recommender: Line(
            [math.log10(one) if one > 0 else math.nan for one in shown[row.recommender].latency_ms],
            [percent / 100 for percent in PERCENTS],
        )
        for row in board.rows
    }
    every = [
        float(one) for row in board.rows for one in shown[row.recommender].latency_ms if one > 0
    ]
    across = plots.milliseconds([*every, *([limit_ms] if limit_ms else [])])
    up = Axis(0.0, 1.0, ((0.0, "0"), (0.5, "50 %"), (0.95, "95 %")))
    limit = math.log10(limit_ms) if limit_ms else None
    quantiles = tuple(PERCENTS.index(one) for one in (0, 50, 90, 95, 99, 100))
    return Figure(
        "Share of works answered within a time in milliseconds (s: seconds), logarithmic; "
        "grey: the others"
        + (f"; dashed: the limit for 95 %, {figure(limit_ms, 0)} ms" if limit_ms else ""),
        tuple(
            Panel(name, plots.panel(
                line, _others(lines, name), across, up,
                f"{name}: half of {shown[name].works} works within "
                f"{figure(shown[name].latency_ms[7], 0)} ms, 95 % within "
                f"{figure(shown[name].latency_ms[12], 0)} ms",
                reference=None if limit is None else Line((limit, limit), (0.0, 1.0)),
            ))
            for name, line in lines.items()
        ),
        table(
            "Latency over all works, in milliseconds",
            ("recommender", "works", "least", "p50", "p90", "p95", "p99", "most"),
            [
                (name, f"{shown[name].works:,}",
                 *(figure(float(shown[name].latency_ms[at]), 1) for at in quantiles))
                for name in lines
            ],
        ),
    )  # fmt: skip


def trajectory(board: Leaderboard, metric: Metric, courses: Mapping[str, Course]) -> Figure:
    """A metric round by round: the mean over worlds in its interval."""
    named = {row.recommender: courses[row.recommender] for row in board.rows}
    lines = {
        name: Line(
            [float(at) for at in range(1, len(course) + 1)],
            [one.mean for one in course],
            [one.low for one in course],
            [one.high for one in course],
        )
        for name, course in named.items()
    }
    last = max(len(line.x) for line in lines.values())
    ticks = tuple((float(at), str(at)) for at in sorted({1, (last + 1) // 2, last}))
    across = Axis(1.0, float(max(last, 2)), ticks)
    up = plots.course_axis(list(lines.values()))
    caption = f"{titled(metric.heading)} by round: mean over worlds and 95 % interval"
    if any(one < up.low or one > up.high for line in lines.values() for one in _ends(line)):
        caption += ", cut off where it is wider than the plot (the table has all of it)"
    return Figure(
        f"{caption}; grey: the others",
        tuple(
            Panel(name, plots.panel(
                line, _others(lines, name), across, up,
                f"{name}: {metric.heading} {_course(line, metric.decimals)}",
            ))
            for name, line in lines.items()
        ),
        table(
            f"{titled(metric.heading)} by round, mean ± interval",
            ("round", *lines),
            [
                (str(at + 1), *(
                    plus_minus(course[at], metric.decimals) if at < len(course) else NOTHING
                    for course in named.values()
                ))
                for at in range(last)
            ],
        ),
    )  # fmt: skip


def _ends(line: Line) -> list[float]:
    """Of the band."""
    return [one for one in (*line.low, *line.high) if math.isfinite(one)]


def _apart(one: Comparison) -> str:
    if not math.isfinite(one.p_value):
        return NOTHING
    return "separated" if one.separated else "not separated"


def _course(line: Line, decimals: int) -> str:
    finite = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)]
    if not finite:
        return "without a value"
    (first, begin), (last, end) = finite[0], finite[-1]
    return (
        f"from {figure(begin, decimals)} in round {first:.0f} "
        f"to {figure(end, decimals)} in round {last:.0f}"
    )


def _others(lines: Mapping[str, Line], name: str) -> list[Line]:
    return [line for other, line in lines.items() if other != name]


def _percent(intervals: Sequence[tuple[str, Interval]]) -> str:
    levels = dict.fromkeys(one.confidence for _, one in intervals)
    return listed([f"{100 * level:g} %" for level in levels])


def _floats(values: Doubles) -> list[float]:
    return [float(one) for one in values]
