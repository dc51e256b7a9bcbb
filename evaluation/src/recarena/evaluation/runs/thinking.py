"""What users with LLM minds cost, read from the recordings beside the tables of runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "llm.sqlite"


@dataclass(frozen=True, slots=True)
class Thinking:
    """Of one run, or of several together."""

    decisions: int
    failed: int
    """Decisions that fell back on their defaults."""
    calls_paid: int
    """For committed rounds; the probe is not among them."""
    cost: float | None
    """None where the cost of a call is not known."""
    user_rounds: int
    """Users with LLM minds, times rounds."""
    currency: str
    tokens: int | None = None
    """In and out, of the paid calls; None where a call's are not known."""

    @property
    def calls_per_user_round(self) -> float | None:
        """None where nothing was played."""
        return self.calls_paid / self.user_rounds if self.user_rounds else None

    @property
    def tokens_per_user_round(self) -> float | None:
        """None where they are not known, or nothing was played."""
        if self.tokens is None or not self.user_rounds:
            return None
        return self.tokens / self.user_rounds

    @property
    def cost_per_user_round(self) -> float | None:
        """None where the cost is not known, or nothing was played."""
        return None if self.cost is None or not self.user_rounds else self.cost / self.user_rounds

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "decisions": self.decisions, "failed": self.failed, "calls_paid": self.calls_paid,
            "cost": self.cost, "currency": self.currency,
            "cost_per_user_round": self.cost_per_user_round, "tokens": self.tokens,
            "calls_per_user_round": self.calls_per_user_round,
            "tokens_per_user_round": self.tokens_per_user_round,
        }  # fmt: skip

    def sentence(self) -> str:
        """For people."""
        each = self.cost_per_user_round
        cost = "an unknown cost"
        if self.cost is not None:
            cost = f"{self.cost:,.2f} {self.currency}"
            cost += f", {each:.6f} per user and round" if each is not None else ""
        share = self.failed / self.decisions if self.decisions else 0.0
        return (
            f"LLM minds took {self.calls_paid:,} paid calls, {cost}; {share:.1%} of "
            f"{self.decisions:,} decisions fell back on a default."
        )


def thinking_of(path: Path, manifest: Mapping[str, Any], rounds: int) -> Thinking | None:
    """Of the run at `path`; None where no user had an LLM mind, or the recording is not there."""
    mind = manifest.get("mind") or {}
    if not mind.get("is_llm") or not (path / FILE).is_file():
        return None
    asked = (manifest.get("settings") or {}).get("llm") or {}
    with sqlite3.connect(f"file:{(path / FILE).absolute()}?mode=ro", uri=True) as db:
        decisions, failed = db.execute(
            "SELECT COUNT(*), COUNT(failure) FROM decisions WHERE round <= ?", (rounds,)
        ).fetchone()
        tokens_of = "input + output + cache_read + cache_write"
        paid, cost, unknown, tokens, uncounted = db.execute(
            "SELECT COUNT(*), COALESCE(SUM(cost), 0.0), COALESCE(SUM(cost IS NULL), 0), "
            f"COALESCE(SUM({tokens_of}), 0), COALESCE(SUM({tokens_of} IS NULL), 0) FROM calls "
            "WHERE paid = 1 AND round BETWEEN 1 AND ?",
            (rounds,),
        ).fetchone()
    db.close()
    return Thinking(
        decisions, failed, paid, None if unknown else cost, int(mind.get("users", 0)) * rounds,
        str(asked.get("currency", "USD")), None if uncounted else tokens,
    )  # fmt: skip


def together(parts: Iterable[Thinking | None]) -> Thinking | None:
    """The sum of several runs; an unknown cost makes the sum unknown, and so do two currencies."""
    there = [part for part in parts if part is not None]
    if not there:
        return None
    currencies = {part.currency for part in there}
    costs = [part.cost for part in there]
    tokens = [part.tokens for part in there]
    known = len(currencies) == 1 and None not in costs
    return Thinking(
        sum(part.decisions for part in there),
        sum(part.failed for part in there),
        sum(part.calls_paid for part in there),
        sum(cost for cost in costs if cost is not None) if known else None,
        sum(part.user_rounds for part in there),
        " and ".join(sorted(currencies)),
        None if None in tokens else sum(count for count in tokens if count is not None),
    )
