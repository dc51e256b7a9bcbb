"""What recommenders showed and how quickly, gathered from the logs for plots.

Descriptions, not tests: what is compared, and its intervals, come from the leaderboard.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.runs.events import EventKind
from recarena.evaluation.runs.run_log import RunLog

Doubles = NDArray[np.float64]
STEPS = 20
"""Of a Lorenz curve."""
DECILES = 10
PERCENTS = (0, 1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 100)
"""Of latencies."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Of one recommender, over its runs."""

    lorenz: Doubles
    """[STEPS + 1]: the share of exposures that the least shown 0, 5, … 100 % of the catalogue
    had; the mean over runs. NaN where nothing was shown."""
    deciles: Doubles
    """[DECILES]: the share of exposures that each tenth of the catalogue had, the most watched
    before the run first; the mean over runs."""
    latency_ms: Doubles
    """[PERCENTS]: percentiles over all works of all runs, from sending to the answer or to giving
    up."""
    works: int
    pages: int
    lists: int
    """Asked for."""


@dataclass(slots=True)
class _Gathered:
    lorenz: list[Doubles] = field(default_factory=list[Doubles])
    deciles: list[Doubles] = field(default_factory=list[Doubles])
    latency: list[NDArray[Any]] = field(default_factory=list[NDArray[Any]])
    pages: int = 0
    lists: int = 0


def shown(logs: Iterable[RunLog]) -> dict[str, Shown]:
    """By recommender."""
    found: dict[str, _Gathered] = {}
    for log in logs:
        for arm in log.arms:
            _gather(found.setdefault(arm.recommender, _Gathered()), log, arm.arm_id)
    return {name: _summed(one) for name, one in found.items()}


def lorenz(exposures: NDArray[Any]) -> Doubles:
    """[STEPS + 1] cumulative shares, items in ascending order of exposures, between items on a
    straight line. Source: Lorenz (1905)."""
    total = float(exposures.sum())
    if not total:
        return np.full(STEPS + 1, np.nan)
    shares = np.concatenate(([0.0], np.cumsum(np.sort(exposures)) / total))
    return np.interp(np.linspace(0, 1, STEPS + 1), np.linspace(0, 1, len(shares)), shares)


def by_decile(exposures: NDArray[Any], popularity: NDArray[Any]) -> Doubles:
    """[DECILES] shares of exposures; items watched equally often are put in order by number."""
    total = float(exposures.sum())
    if not total:
        return np.full(DECILES, np.nan)
    order = np.argsort(-popularity, kind="stable")
    parts = np.array_split(exposures[order], DECILES)
    return np.array([part.sum() / total for part in parts], np.float64)


def _gather(into: _Gathered, log: RunLog, arm: str) -> None:
    events = log.events_of(arm)
    items = events.item[(events.kind == EventKind.SHOWN) & events.own]
    exposures = np.bincount(items, minlength=len(log.item_ids))
    into.lorenz.append(lorenz(exposures))
    into.deciles.append(by_decile(exposures, log.popularity))
    into.pages += int((events.kind == EventKind.PAGE).sum())
    works = log.works_of(arm)
    into.latency.append(works.latency_ms)
    into.lists += int(works.lists.sum())


def _summed(one: _Gathered) -> Shown:
    latency = np.concatenate(one.latency).astype(np.float64)
    return Shown(
        lorenz=_mean(one.lorenz),
        deciles=_mean(one.deciles),
        latency_ms=np.percentile(latency, PERCENTS) if len(latency) else np.full(
            len(PERCENTS), np.nan
        ),
        works=len(latency),
        pages=one.pages,
        lists=one.lists,
    )  # fmt: skip


def _mean(runs: list[Doubles]) -> Doubles:
    """Over the runs that have a value."""
    having = [run for run in runs if np.isfinite(run).all()]
    return np.mean(having, axis=0) if having else np.full(len(runs[0]), np.nan)
