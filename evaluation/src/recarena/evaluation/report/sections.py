"""The sections of the page, in order, from its content; one that has nothing to say is left out."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Iterator, Sequence

from recarena.evaluation.leaderboard.board import Leaderboard, Row
from recarena.evaluation.leaderboard.forms import notes
from recarena.evaluation.metrics.measures import METRICS, Metric
from recarena.evaluation.report import figures
from recarena.evaluation.report.blocks import (
    Block,
    Code,
    Facts,
    Figures,
    Folded,
    Links,
    MetricPage,
    Points,
    Section,
    Tabled,
    Text,
    Verdict,
)
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
from recarena.evaluation.runs.events import Outcome

BESIDE = ("satisfaction", "coverage", "latency_p95_ms", "unusable_rate")
"""Metrics that stand in the leaderboard beside the primary one."""
DIGEST_LETTERS = 16
"""Of a digest in a table."""


def sections(content: Content) -> Iterator[Section]:
    """In the order of the page."""
    for section in (
        _result(content),
        _leaderboard(content),
        _reservations(content),
        _metrics(content),
        _exposure(content),
        _latency(content),
        _conduct(content),
        _costs(content),
        _runs(content),
        _manifest(content),
        _reproduce(content),
    ):
        if section.blocks:
            yield section


def _result(content: Content) -> Section:
    board = content.board
    blocks: list[Block] = [verdict(board, content.primary)]
    if board is not None:
        blocks.append(Text(
            f"{board.caveat} Simulated preference is not human preference.", "under"
        ))  # fmt: skip
        shown = [
            figures.estimates(board, content.primary),
            figures.differences(board, content.primary),
        ]
        blocks.append(Figures(tuple(one for one in shown if one is not None)))
    return Section("result", "Result", tuple(blocks))


def verdict(board: Leaderboard | None, primary: Metric) -> Verdict:
    """Who won, or that nobody can be told to have won."""
    if board is None:
        return Verdict("Who is best?", "Nothing is finished: there is no run to compare.", "", "")
    name, rows = primary.heading, board.rows
    question = f"Which of {len(rows)} recommenders has the highest {name}?"
    best = rows[0]
    at = plus_minus(best.intervals[primary.name], primary.decimals)
    if not math.isfinite(best.intervals[primary.name].mean):
        return Verdict(question, f"Nothing could be measured: no recommender has a {name}.", "", "")
    if len(rows) == 1:
        return Verdict(
            f"How high is the {name} of one recommender?", "",
            best.recommender, f" has a {name} of {at}; there is none to compare it with.",
        )  # fmt: skip
    first = [row.recommender for row in rows if row.first_place == 1]
    if len(first) == 1:
        return Verdict(
            question, "", best.recommender,
            f" has the highest {name}, {at}, and is separated from all others.",
        )  # fmt: skip
    why = (
        "one world has no interval."
        if len(board.played) == 1
        else f"their differences in {name} over {len(board.played)} worlds may be 0."
    )
    return Verdict(question, "Not separated: ", listed(first), f" share the first place; {why}")


def _leaderboard(content: Content) -> Section:
    board = content.board
    if board is None:
        return Section("leaderboard", "Leaderboard", ())
    primary = content.primary
    beside = [metric for metric in METRICS if metric.name in BESIDE and metric is not primary]
    headings = [
        "recommender", Column("place", words=True), primary.heading,
        Column("95 % interval", words=True), Column("tied with", words=True), "rank interval",
        "Bradley–Terry", *([Column("gate", words=True)] if board.gate else []),
        *(metric.heading for metric in beside), "worlds", "lives", "rounds",
    ]  # fmt: skip
    versions = any(row.entrant.version for row in board.rows)
    submissions = any(row.entrant.submissions is not None for row in board.rows)
    if versions:
        headings.append(Column("version", words=True))
    if submissions:
        headings.append("submissions")
    rows: list[list[str]] = []
    for row in board.rows:
        one = row.intervals[primary.name]
        cells = [
            row.recommender, place(row), figure(one.mean, primary.decimals),
            ends_of(one, primary.decimals), listed(row.tied_with) or NOTHING, _rank(row),
            plus_minus(row.place.strength.interval, 2),
        ]  # fmt: skip
        if row.verdict:
            cells.append("passed" if row.verdict.passed else _failed_gate(row.verdict.reasons))
        cells += [_value(row, metric) for metric in beside]
        cells += [str(row.worlds), f"{row.users:,}", f"{row.rounds:,}"]
        if versions:
            cells.append(row.entrant.version or NOTHING)
        if submissions:
            counted = row.entrant.submissions
            cells.append(NOTHING if counted is None else str(counted))
        rows.append(cells)
    said = (
        *notes(board)[1:],
        "Rank interval: where it might stand in other worlds of the same kind (bootstrap over "
        "worlds), for itself.",
        "Bradley–Terry: log strength from who was better in which world, 0 on average. A second "
        "display; places do not rest on it.",
        *(["The gate stands beside the ranking and is not blended into it."] if board.gate else []),
    )
    return Section(
        "leaderboard",
        "Leaderboard",
        (
            Tabled(table(f"Recommenders by {primary.heading}, the primary metric", headings, rows)),
            Points(said, "small soft"),
        ),
    )


def _reservations(content: Content) -> Section:
    board = content.board
    warnings = board.warnings if board else ()
    said = (*warnings, *content.remarks)
    blocks: tuple[Block, ...] = (
        (Points(said, "warned"),)
        if said
        else (Text("Nothing was left out, and nothing speaks against the comparison."),)
    )
    return Section("reservations", "Warnings and what was left out", blocks)


def _metrics(content: Content) -> Section:
    board = content.board
    if board is None:
        return Section("metrics", "Metrics", ())
    primary = content.primary
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
    words = inspect.getdoc(metric.measure) or ""
    shown = (figures.estimates(board, metric), figures.differences(board, metric))
    return MetricPage(
        ident=f"metric-{metric.name}",
        heading=metric.heading.capitalize(),
        meaning=words,
        facts=(
            ("name", metric.name),
            ("role", "primary" if metric.name in board.primaries else "exploratory"),
        ),
        figures=tuple(one for one in shown if one is not None),
    )


def _exposure(content: Content) -> Section:
    board = content.board
    if board is None:
        return Section("exposure", "Exposure and popularity", ())
    named = [metric for metric in METRICS if metric.name in ("coverage", "gini")]
    return Section(
        "exposure",
        "Exposure and popularity",
        (
            Figures((figures.exposure(board, content.shown),)),
            Figures((figures.popularity(board, content.shown),)),
            Tabled(table(
                "Coverage of the catalogue and concentration of exposures, mean ± interval",
                ("recommender", *(metric.heading for metric in named)),
                [
                    (row.recommender,
                     *(plus_minus(row.intervals[metric.name], metric.decimals) for metric in named))
                    for row in board.rows
                ],
            )),
        ),
    )  # fmt: skip


def _latency(content: Content) -> Section:
    board = content.board
    if board is None:
        return Section("latency", "Latency", ())
    return Section(
        "latency",
        "Latency",
        (Figures((figures.latency(board, content.shown, None),)),),
    )


def _conduct(content: Content) -> Section:
    board = content.board
    if board is None:
        return Section("conduct", "Failures and conduct", ())
    bad = (Outcome.VIOLATIONS, Outcome.REJECTED, Outcome.LATE, Outcome.FAILED, Outcome.LOST)
    rows: list[tuple[str, ...]] = []
    for row in board.rows:
        one = content.shown[row.recommender]
        own = sum(one.outcomes[outcome] for outcome in Outcome if outcome.usable)
        rows.append((
            row.recommender, f"{one.pages:,}",
            share((one.pages - own) / one.pages if one.pages else None),
            *(f"{one.outcomes[outcome]:,}" for outcome in bad),
            f"{one.lists:,}", f"{one.violations:,}",
        ))  # fmt: skip
    headings = (
        "recommender", "pages", "without its own list", "mended", "rejected", "late", "failed",
        "lost", "lists asked", "violations",
    )  # fmt: skip
    return Section(
        "conduct",
        "Failures and conduct",
        (
            Text(
                "A page without the recommender's own list is an empty page of the recommender "
                "and stays in every denominator. Violations are items dropped (unknown, repeated, "
                "excluded) and lists that were short."
            ),
            Tabled(table("Pages over all runs, by what became of their list", headings, rows)),
        ),
    )


def _costs(content: Content) -> Section:
    if content.board is None:
        return Section("costs", "Costs", ())
    thinking = [(row.recommender, row.thinking) for row in content.board.rows if row.thinking]
    if not thinking:
        return Section(
            "costs", "Costs", (Text("No user had a language model: no call was paid for."),)
        )
    rows = [
        (
            name, f"{one.calls_paid:,}", figure(one.calls_per_user_round, 3),
            NOTHING if one.tokens is None else f"{one.tokens:,}",
            figure(one.tokens_per_user_round, 1), _money(one.cost, one.currency, 2),
            _money(one.cost_per_user_round, one.currency, 6),
            share(one.failed / one.decisions if one.decisions else None),
        )
        for name, one in thinking
    ]  # fmt: skip
    headings = (
        "recommender", "paid calls", "a user-round", "tokens", "a user-round", "cost",
        "a user-round", "on a default",
    )  # fmt: skip
    caption = "What LLM minds took; on a default: decisions that fell back on one"
    return Section("costs", "Costs", (Tabled(table(caption, headings, rows)),))


def _runs(content: Content) -> Section:
    rows = [
        (
            run.run_id, listed(run.recommenders), run.world,
            NOTHING if run.seed is None else str(run.seed),
            NOTHING if run.rounds is None else str(run.rounds),
            run.digest[:DIGEST_LETTERS] or NOTHING, run.error or "finished",
        )
        for run in content.runs
    ]  # fmt: skip
    words = [Column(name, words=True) for name in ("run", "recommender", "world")]
    headings = (
        *words, "seed", "rounds", Column("digest", words=True), Column("state", words=True)
    )  # fmt: skip
    runs = table("Runs", headings, rows)
    return Section("runs", "Runs", (Folded(f"All {len(rows)} runs", runs),) if rows else ())


def _manifest(content: Content) -> Section:
    text = json.dumps(content.manifest, indent=2, ensure_ascii=False, sort_keys=False)
    said = (
        "Written before the first round, and not changed afterwards."
        if content.is_competition
        else "Of the first run; runs that were played one by one have no common manifest."
    )
    blocks: list[Block] = [Text(said)]
    if content.manifest_sha256:
        blocks.append(Facts((("SHA-256 of manifest.json", content.manifest_sha256),)))
    blocks.append(Code("The manifest as JSON", text))
    return Section("manifest", "Manifest", tuple(blocks))


def _reproduce(content: Content) -> Section:
    commands = "\n".join(f"# {step.purpose}\n{step.command}" for step in content.steps)
    return Section("reproduce", "How to reproduce", (Code("Commands", commands),))


def place(row: Row) -> str:
    """`1`, or `1–3` where it is open."""
    return f"{row.first_place}–{row.last_place}" if row.tied else str(row.first_place)


def _rank(row: Row) -> str:
    rank = row.place.rank
    if rank is None:
        return NOTHING
    return f"{rank.low}–{rank.high}" if rank.low != rank.high else str(rank.low)


def _failed_gate(reasons: Sequence[str]) -> str:
    return f"✗ failed: {'; '.join(reasons)}"


def _money(amount: float | None, currency: str, decimals: int) -> str:
    return "unknown" if amount is None else f"{figure(amount, decimals)} {currency}"


def _value(row: Row, metric: Metric) -> str:
    one = row.intervals[metric.name]
    if metric.name == "unusable_rate":
        return share(one.mean)
    return figure(one.mean, metric.decimals)
