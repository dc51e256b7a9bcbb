"""What a run's users thought, and what it cost: sums over the recording, for every report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recarena.server.llm.recorder import FILE, Recorder

_UNKNOWN = "SUM(input IS NULL OR output IS NULL)"


def account(
    folder: Path, last_round: int, user_rounds: int, currency: str
) -> dict[str, Any] | None:
    """Decisions, calls, tokens, money and failures of the committed rounds as JSON values; None
    for a run without a recording. What is not known is null, never 0.

    `user_rounds`: how often a user with an LLM mind was active in a round. `cost` and `calls_paid`
    are of all calls that this run paid for, also of the probe and of a round that is not committed
    (`not_committed`: what those came to); everything else is of the committed rounds, tokens and
    calls also where they were taken from another recording.
    """
    if not (folder / FILE).is_file():
        return None
    with Recorder(folder / FILE, read_only=True) as recorder:
        sources = dict(
            recorder.rows(
                "SELECT source, COUNT(*) FROM decisions WHERE round <= ? GROUP BY 1", last_round
            )
        )
        failures = recorder.rows(
            "SELECT purpose, failure, COUNT(*) FROM decisions WHERE failure IS NOT NULL "
            "AND round <= ? GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
            last_round,
        )
        calls, sent, received, unknown, tolerated, repaired = recorder.rows(
            "SELECT COALESCE(SUM(calls), 0), COALESCE(SUM(input), 0), COALESCE(SUM(output), 0), "
            f"COALESCE({_UNKNOWN}, 0), COALESCE(SUM(tolerated), 0), COALESCE(SUM(calls > 1), 0) "
            "FROM decisions WHERE round <= ?",
            last_round,
        )[0]
        paid, cost, without_cost = recorder.rows(
            "SELECT COUNT(*), COALESCE(SUM(cost), 0), COALESCE(SUM(cost IS NULL), 0) FROM calls "
            "WHERE paid = 1"
        )[0]
        within = recorder.rows(
            "SELECT COALESCE(SUM(cost), 0), COALESCE(SUM(cost IS NULL), 0) FROM calls "
            "WHERE paid = 1 AND round BETWEEN 1 AND ?",
            last_round,
        )[0]
    decisions = sum(sources.values())
    failed = sum(count for *_, count in failures)
    known_cost = None if without_cost else cost
    cost_within = None if within[1] else within[0]

    def each(total: float | None) -> float | None:
        return total / user_rounds if user_rounds and total is not None else None

    return {
        "user_rounds": user_rounds,
        "decisions": decisions,
        "by_source": sources,
        "calls": calls,
        "calls_paid": paid,
        "calls_per_user_round": each(calls),
        "input_tokens": sent,
        "output_tokens": received,
        "decisions_of_unknown_usage": unknown,
        "input_tokens_per_user_round": None if unknown else each(sent),
        "output_tokens_per_user_round": None if unknown else each(received),
        "cost": known_cost,
        "currency": currency,
        "calls_of_unknown_cost": without_cost,
        "not_committed": None if known_cost is None else known_cost - within[0],
        "cost_per_user_round": each(cost_within),
        "asked_twice": repaired,
        "read_with_tolerance": tolerated,
        "failed": failed,
        "failed_share": failed / decisions if decisions else None,
        "failures": [
            {"purpose": purpose, "kind": kind, "count": count} for purpose, kind, count in failures
        ],
    }
