"""What a recommender achieved in one run: one function a metric, over all users or one arm's.

Denominators are logged exposures, visits and rounds, never pages times page size. A page without
the recommender's own list (late, refused, failed, lost) is an empty page of the recommender: what
a fallback showed instead is not credited to it, and its users and visits stay in the denominators
(intention to treat). NaN: there was nothing to measure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.runs.events import EventKind, Events, Outcome
from recarena.evaluation.runs.run_log import RunLog

NAN = float("nan")


# ------------------------------------------------------------------ what users do


def watch_rate(log: RunLog, arm: str | None = None) -> float:
    """Mean over users of watches / exposures, in 0..1. The primary metric.

    mean_u(w_u / e_u) over the users who were shown a page, empty or not; w_u / e_u is 0 for one
    to whom nothing of the recommender was ever shown. The mean of users, not of exposures, so
    that those who look at many pages do not count for more.
    """
    events = log.events_of(arm)
    users = len(log.user_ids)
    shown = _per_user(_credited(events, EventKind.SHOWN), users)
    watched = _per_user(_credited(events, EventKind.WATCH), users)
    asked = _per_user(events.of(EventKind.PAGE), users) > 0
    if not asked.any():
        return NAN
    return float((watched[asked] / np.maximum(shown[asked], 1)).mean())


def watches_per_user_round(log: RunLog, arm: str | None = None) -> float:
    """Watches / (users x committed rounds): also falls when users stay away."""
    chances = int(log.users_of(arm).sum()) * log.rounds
    return _ratio(len(_credited(log.events_of(arm), EventKind.WATCH)), chances)


def satisfaction(log: RunLog, arm: str | None = None) -> float:
    """Mean rating (1..5) after watching, over the watches that were rated.

    Only what users chose to watch is rated: read it beside the watch rate.
    """
    ratings = _credited(log.events_of(arm), EventKind.WATCH).value
    ratings = ratings[ratings > 0].astype(np.float64)
    return float(ratings.mean()) if len(ratings) else NAN


def exit_depth(log: RunLog, arm: str | None = None) -> float:
    """Pages of the recommender seen per visit.

    The mean number of pages, cut at the run's step cap, which is sum_t S(t) with S(t) the share
    of visits that reach page t (restricted mean survival). A page without the recommender's own
    list adds none.
    """
    events = log.events_of(arm)
    return _ratio(len(_credited(events, EventKind.PAGE)), _visits(events))


def searches_per_visit(log: RunLog, arm: str | None = None) -> float:
    """Searches / visits. Neither good nor bad in itself: shown, never ranked on."""
    events = log.events_of(arm)
    return _ratio(len(events.of(EventKind.SEARCH)), _visits(events))


# ------------------------------------------------------------------ what is shown


def coverage(log: RunLog, arm: str | None = None) -> float:
    """Distinct items shown / items in the catalogue, in 0..1."""
    return _ratio(int((_exposures_of_items(log, arm) > 0).sum()), len(log.item_ids))


def gini(log: RunLog, arm: str | None = None) -> float:
    """Gini coefficient of exposures over the catalogue, items never shown included, in 0..1.

    sum_j (2j - n - 1) x_j / (n sum x), x sorted in ascending order, j from 1 (Gini's mean
    difference divided by twice the mean). 0: all items are shown alike; near 1: one item only.
    """
    exposures = np.sort(_exposures_of_items(log, arm)).astype(np.float64)
    n, total = len(exposures), float(exposures.sum())
    if not total:
        return NAN
    return float(((2 * np.arange(1, n + 1) - n - 1) * exposures).sum() / (n * total))


def mean_popularity_rank(log: RunLog, arm: str | None = None) -> float:
    """Mean over exposures of the item's rank by watches before the run; 1 is the most watched.

    Items watched equally often share the mean of their ranks.
    """
    exposures = _exposures_of_items(log, arm)
    if not exposures.sum():
        return NAN
    _, which, count = np.unique(-log.popularity, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2
    return float(np.average(rank[which], weights=exposures))


# ------------------------------------------------------------------ operations


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
    pages = log.events_of(arm).of(EventKind.PAGE)
    return _ratio(len(pages) - int(pages.own.sum()), len(pages))


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
    """(Items dropped: unknown, repeated, excluded + lists that were short) / lists asked for."""
    works = log.works_of(arm)
    return _ratio(int(works.violations.sum()), int(works.lists.sum()))


# ------------------------------------------------------------------ all of them


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric with the name it has in reports."""

    name: str
    heading: str
    """Short, for tables."""
    measure: Callable[[RunLog, str | None], float]
    decimals: int


METRICS = (
    Metric("watch_rate", "watch rate", watch_rate, 3),
    Metric("watches_per_user_round", "watches a round", watches_per_user_round, 2),
    Metric("satisfaction", "rating", satisfaction, 2),
    Metric("exit_depth", "pages a visit", exit_depth, 2),
    Metric("searches_per_visit", "searches a visit", searches_per_visit, 2),
    Metric("coverage", "coverage", coverage, 2),
    Metric("gini", "Gini", gini, 2),
    Metric("mean_popularity_rank", "mean pop. rank", mean_popularity_rank, 1),
    Metric("latency_p50_ms", "p50 ms", latency_p50_ms, 0),
    Metric("latency_p95_ms", "p95 ms", latency_p95_ms, 0),
    Metric("latency_p99_ms", "p99 ms", latency_p99_ms, 0),
    Metric("unusable_rate", "unusable", unusable_rate, 4),
    Metric("late_rate", "late", late_rate, 4),
    Metric("rejected_rate", "rejected", rejected_rate, 4),
    Metric("failed_rate", "failed", failed_rate, 4),
    Metric("lost_rate", "lost", lost_rate, 4),
    Metric("violations_per_list", "violations a list", violations_per_list, 4),
)
PRIMARY = METRICS[0]
"""What recommenders are ranked by."""


def measure_all(log: RunLog, arm: str | None = None) -> dict[str, float]:
    """Every metric of METRICS, by name."""
    return {metric.name: metric.measure(log, arm) for metric in METRICS}


def _credited(events: Events, kind: EventKind) -> Events:
    """The events of a kind on pages that hold the recommender's own list."""
    return events.take((events.kind == kind) & events.own)


def _per_user(events: Events, users: int) -> NDArray[np.int64]:
    return np.bincount(events.user, minlength=users)


def _visits(events: Events) -> int:
    return int((events.kind == EventKind.ENTER_RECOMMENDER).sum())


def _exposures_of_items(log: RunLog, arm: str | None) -> NDArray[Any]:
    shown = _credited(log.events_of(arm), EventKind.SHOWN)
    return np.bincount(shown.item, minlength=len(log.item_ids))


def _outcome_rate(log: RunLog, arm: str | None, outcome: Outcome) -> float:
    pages = log.events_of(arm).of(EventKind.PAGE)
    return _ratio(int((pages.outcome == outcome).sum()), len(pages))


def _latency(log: RunLog, arm: str | None, percent: float) -> float:
    latency = log.works_of(arm).latency_ms.astype(np.float64)
    return float(np.percentile(latency, percent)) if len(latency) else NAN


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else NAN
