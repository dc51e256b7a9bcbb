"""The headline: the question, who won or that nobody did, and what that holds under."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from recarena.evaluation.leaderboard.board import Leaderboard
from recarena.evaluation.metrics.measures import Metric
from recarena.evaluation.report.blocks import Verdict
from recarena.evaluation.report.content import Content
from recarena.evaluation.report.tables import figure, listed, plus_minus

NOT_HUMAN = "Simulated preference is not human preference."
FEW = 2
"""Names that are said one by one though they are all."""


def headline(content: Content) -> Verdict:
    """What the page says first."""
    board = content.board
    if board is None:
        return Verdict(
            "Which recommender is best?", "Nothing is finished: there is no run to compare.", "", ""
        )
    question, before, names, after = verdict(board, content.primary)
    ranked = {row.recommender for row in board.rows}
    wanted = dict.fromkeys(name for run in content.runs for name in run.recommenders)
    if absent := [name for name in wanted if name not in ranked]:
        after += f" Without a finished run: {listed(absent)}."
    return Verdict(
        question, before, names, after, f"{board.caveat} {NOT_HUMAN}", _facts(content, board)
    )


def verdict(board: Leaderboard, primary: Metric) -> tuple[str, str, str, str]:
    """The question, and the answer in three parts of which the middle one names the winners."""
    name, rows = primary.heading, board.rows
    best = rows[0].intervals[primary.name]
    at = plus_minus(best, primary.decimals)
    if len(rows) == 1:
        question = f"How did one recommender do in {name}?"
        if not math.isfinite(best.mean):
            return question, "Nothing could be measured.", "", ""
        after = f" has {at}; there is none to compare it with."
        return question, "", rows[0].recommender, after
    question = f"Which of {len(rows)} recommenders is best in {name}?"
    if not math.isfinite(best.mean):
        return question, "Nothing could be measured: nobody has a value.", "", ""
    leaders = [row for row in rows if row.first_place == 1]
    first = [row.recommender for row in leaders]
    if len(leaders) == 1:
        (winner,) = leaders  # not the first row where another finished only in easier worlds
        failed = winner.verdict is not None and not winner.verdict.passed
        gate = " It fails the operations gate." if failed else ""
        at = plus_minus(winner.intervals[primary.name], primary.decimals)
        after = f" is best in {name}, {at}, and separated from all others.{gate}"
        return question, "", winner.recommender, after
    why = (
        "one world has no interval."
        if len(board.played) == 1
        else f"their differences in {name} over {len(board.played)} worlds may be 0."
    )
    everybody = len(first) == len(rows) > FEW
    names = f"all {len(rows)} recommenders" if everybody else listed(first)
    return question, "Not separated: ", names, f" share the first place; {why}"


def _facts(content: Content, board: Leaderboard) -> tuple[tuple[str, str], ...]:
    manifest = content.manifest
    users = sorted({world.users for world in board.played})
    facts = [
        ("primary metric", content.primary.heading),
        ("worlds", f"{len(board.played)}, of {_range(users)} users"),
        ("data", listed(board.worlds[:3]) + (" and others" if len(board.worlds) > 3 else "")),
        ("mind", listed(list(dict.fromkeys(map(_mind, board.minds))))),
    ]
    if content.is_competition:
        effect = manifest.get("minimum_effect")
        facts += [
            ("rounds", str(manifest.get("rounds"))),
            ("design", str(manifest.get("design"))),
            (
                "smallest effect that matters",
                "not stated" if effect is None else figure(effect, 4).rstrip("0"),
            ),
        ]
    return tuple(facts)


def _mind(mind: Mapping[str, Any]) -> str:
    kind = str(mind.get("kind") or "unknown")
    model = mind.get("model")
    return f"{kind} ({model})" if model else kind


def _range(numbers: list[int]) -> str:
    return f"{numbers[0]:,}" if numbers[0] == numbers[-1] else f"{numbers[0]:,} to {numbers[-1]:,}"
