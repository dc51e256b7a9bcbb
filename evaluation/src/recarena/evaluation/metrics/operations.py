"""How recommenders run: latency, pages without a usable list, and what was wrong with lists.

Rates of outcomes are per page, what was dropped from lists is counted per list asked for, in the
works (a search that finds nothing is no short list).
"""

from __future__ import annotations

import numpy as np

from recarena.evaluation.metrics.figures import NAN, figures, ratio
from recarena.evaluation.runs.events import Ints, Outcome
from recarena.evaluation.runs.run_log import RunLog


def latency_p50_ms(log: RunLog, arm: str | None = None) -> float:
    """Median time from sending a work to its answer, or to giving up, in milliseconds."""
    return _latency(log, arm, 50)


def latency_p95_ms(log: RunLog, arm: str | None = None) -> float:
    """95th percentile of the same (linear interpolation)."""
    return _latency(log, arm, 95)


def latency_p99_ms(log: RunLog, arm: str | None = None) -> float:
    """99th percentile of the same (linear interpolation)."""
    return _latency(log, arm, 99)


def unusable_rate(log: RunLog, arm: str | None = None) -> float:
    """Pages without the recommender's own list / pages: the four rates below taken together."""
    pages = figures(log, arm).pages
    return ratio(int((~pages.own).sum()), len(pages.own))


def late_rate(log: RunLog, arm: str | None = None) -> float:
    """Pages whose list did not come in time / pages."""
    return _outcome_rate(log, arm, Outcome.LATE)


def rejected_rate(log: RunLog, arm: str | None = None) -> float:
    """Pages whose list was refused as invalid / pages."""
    return _outcome_rate(log, arm, Outcome.REJECTED)


def failed_rate(log: RunLog, arm: str | None = None) -> float:
    """Pages for which the recommender reported a failure / pages."""
    return _outcome_rate(log, arm, Outcome.FAILED)


def lost_rate(log: RunLog, arm: str | None = None) -> float:
    """Pages whose list was lost with the recommender's session / pages."""
    return _outcome_rate(log, arm, Outcome.LOST)


def violations_per_list(log: RunLog, arm: str | None = None) -> float:
    """(Items and tokens dropped + lists that were short) / lists asked for."""
    works = log.works_of(arm)
    return ratio(int(works.violations.sum()), int(works.lists.sum()))


def unknown_per_list(log: RunLog, arm: str | None = None) -> float:
    """Items dropped that the catalogue does not have / lists asked for. Like the three below NaN
    where the folder is older than the counts, and nothing of a list that was rejected as a whole
    is counted."""
    return _per_list(log, arm, log.works_of(arm).unknown)


def duplicate_per_list(log: RunLog, arm: str | None = None) -> float:
    """Items dropped that the list had further up / lists asked for."""
    return _per_list(log, arm, log.works_of(arm).duplicate)


def excluded_per_list(log: RunLog, arm: str | None = None) -> float:
    """Items dropped that were not allowed / lists asked for."""
    return _per_list(log, arm, log.works_of(arm).excluded)


def short_rate(log: RunLog, arm: str | None = None) -> float:
    """Lists that were shorter than they had to be / lists asked for, in 0..1."""
    return _per_list(log, arm, log.works_of(arm).short)


def _per_list(log: RunLog, arm: str | None, counts: Ints) -> float:
    if (counts < 0).any():
        return NAN
    return ratio(int(counts.sum()), int(log.works_of(arm).lists.sum()))


def _outcome_rate(log: RunLog, arm: str | None, outcome: Outcome) -> float:
    pages = figures(log, arm).pages
    return ratio(int((pages.outcome == outcome).sum()), len(pages.outcome))


def _latency(log: RunLog, arm: str | None, percent: float) -> float:
    latency = log.works_of(arm).latency_ms.astype(np.float64)
    return float(np.percentile(latency, percent)) if len(latency) else NAN
