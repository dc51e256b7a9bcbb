"""Counts of decisions: where they came from and what failed, and when that is too much."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from recarena.server.llm.calls import Asker, Outcome, Source
from recarena.server.llm.failures import TooManyFailures

FEW = 3
"""Failures below which a share of them says nothing, unless none may fail."""
HOPELESS = 200
"""Decisions from which on a round is not played to its end where far too much fails."""


@dataclass(slots=True)
class Tally:
    """Of one run. Whether it pauses is judged over its committed rounds and the one that was just
    decided, so that it does not depend on who answered first or on earlier interruptions."""

    limit: float
    decisions: int = 0
    """Of the committed rounds and the one under way; likewise failures, by purpose and kind."""
    failures: Counter[str] = field(default_factory=Counter[str])
    total: Counter[str] = field(default_factory=Counter[str])
    """By source, in this process."""
    tolerated: int = 0
    again: Counter[str] = field(default_factory=Counter[str])
    """Tries that came to nothing, by sort."""

    def add(self, asker: Asker, outcome: Outcome[Any], clean: bool) -> None:
        """Counts one decision."""
        self.decisions += 1
        self.total[str(outcome.source)] += 1
        self.tolerated += not clean
        if outcome.source is Source.FALLBACK and outcome.failure:
            self.failures[f"{asker.purpose}: {outcome.failure}"] += 1
            if self.decisions >= HOPELESS and self.failures.total() > self.decisions * (
                2 * self.limit + 0.05
            ):
                self.check()

    def tried_again(self, sort: str) -> None:
        """Counts a try that came to nothing."""
        self.again[sort] += 1

    def round_begins(self, decisions: int, failures: dict[str, int]) -> None:
        """Counts on from the run's committed rounds."""
        self.decisions, self.failures = decisions, Counter(failures)

    def check(self) -> None:
        """TooManyFailures where the share of failures is above the limit; to be called when a
        round has been decided, before it is committed."""
        failed = self.failures.total()
        if failed <= self.limit * self.decisions or (failed < FEW and self.limit > 0):
            return
        share = failed / self.decisions
        enough = min(math.ceil(share * 120) / 100, 1.0)
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.failures.most_common(5))
        raise TooManyFailures(
            f"{failed} of {self.decisions} decisions of the model could not be read "
            f"({share:.1%}; {self.limit:.1%} may fail): {kinds}. The round is "
            "not committed and no call is lost. Take a model that keeps to forms better, or say "
            f"how much may fail: recarena resume RUN --failure-limit {enough:g}"
        )
