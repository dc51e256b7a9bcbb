"""How a metric goes over the rounds of a run. [rounds] columns; NaN: nothing to measure then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.metrics import exposure, lists, users
from recarena.evaluation.metrics.figures import Counts, Doubles, Figures, Pages, Rows, figures
from recarena.evaluation.runs.run_log import RunLog

Trajectory = Callable[[RunLog, str | None], Doubles]


def by_round(log: RunLog, arm: str | None, metric: str) -> Doubles:
    """[rounds]: a metric of TRAJECTORIES in each committed round, measured on that round alone.

    Two are different: `coverage` is that of all rounds so far, and `retention` is the share of the
    visitors of the round before who visit again (NaN in round 1). KeyError names those that there
    are, for a metric that has no trajectory.
    """
    if metric not in TRAJECTORIES:
        raise KeyError(f"{metric} has no trajectory; these have: {', '.join(TRAJECTORIES)}")
    return TRAJECTORIES[metric](log, arm)


def _watch_rate(log: RunLog, arm: str | None) -> Doubles:
    f = figures(log, arm)
    asked = _by_user(f, f.pages) > 0
    rate = _by_user(f, f.watches) / np.maximum(_by_user(f, f.shown), 1)
    return _ratios((rate * asked).sum(axis=1), asked.sum(axis=1))


def _watches_per_user_round(log: RunLog, arm: str | None) -> Doubles:
    f = figures(log, arm)
    return _ratios(_count(f, f.watches.round), f.lives)


def _satisfaction(log: RunLog, arm: str | None) -> Doubles:
    f = figures(log, arm)
    rated = f.watches.value > 0
    return _means(f, f.watches.round[rated], f.watches.value[rated])


def _exit_depth(log: RunLog, arm: str | None) -> Doubles:
    f = figures(log, arm)
    visits = f.visits
    if not visits.cut.any():
        return _means(f, visits.round, visits.depth)
    now = [visits.round == number for number in range(1, f.rounds + 1)]
    depths = [users.kaplan_meier(visits.depth[one], visits.cut[one]).sum() for one in now]
    return np.where([one.any() for one in now], depths, np.nan)


def _retention(log: RunLog, arm: str | None) -> Doubles:
    there = users.visited(log, arm)
    might = there[:-1] & users.followed(log)
    again = (might & there[1:]).sum(axis=1)
    return np.concatenate([np.full(min(1, len(there)), np.nan), _ratios(again, might.sum(1))])


def _intra_list_diversity(log: RunLog, arm: str | None) -> Doubles:
    of_round, diversity = lists.list_diversities(log, arm)
    return _means(figures(log, arm), of_round.astype(np.int64), diversity)


def _novelty(log: RunLog, arm: str | None) -> Doubles:
    f = figures(log, arm)
    return _means(f, f.shown.round, -np.log2(log.p_train)[f.shown.item])


def _average_popularity(log: RunLog, arm: str | None) -> Doubles:
    f = figures(log, arm)
    shown, total = _by_user(f, f.shown), _by_user(f, f.shown, log.popularity[f.shown.item])
    return _ratios((total / np.maximum(shown, 1)).sum(axis=1), (shown > 0).sum(axis=1))


def _genre_entropy(log: RunLog, arm: str | None) -> Doubles:
    f = figures(log, arm)
    counts = f.genre_counts(_cell(f, f.shown), f.shown.item, f.rounds * f.users)
    entropy = lists.entropies(counts).reshape(f.rounds, f.users)
    return _ratios(np.nansum(entropy, axis=1), (~np.isnan(entropy)).sum(axis=1))


def _coverage(log: RunLog, arm: str | None) -> Doubles:
    f = figures(log, arm)
    first = np.unique(f.shown.item, return_index=True)[1]
    new = _count(f, f.shown.round[first])
    return _ratios(np.cumsum(new), np.full(f.rounds, f.items))


def _gini(log: RunLog, arm: str | None) -> Doubles:
    f = figures(log, arm)
    cell = (f.shown.round - 1).astype(np.int64) * f.items + f.shown.item
    return exposure.gini_of(
        np.bincount(cell, minlength=f.rounds * f.items).reshape(f.rounds, f.items)
    )


def _unusable_rate(log: RunLog, arm: str | None) -> Doubles:
    f = figures(log, arm)
    return _means(f, f.pages.round, ~f.pages.own)


TRAJECTORIES: dict[str, Trajectory] = {
    "watch_rate": _watch_rate,
    "watches_per_user_round": _watches_per_user_round,
    "satisfaction": _satisfaction,
    "exit_depth": _exit_depth,
    "retention": _retention,
    "intra_list_diversity": _intra_list_diversity,
    "novelty": _novelty,
    "genre_entropy": _genre_entropy,
    "coverage": _coverage,
    "gini": _gini,
    "average_popularity": _average_popularity,
    "unusable_rate": _unusable_rate,
}
"""By the names that the metrics have in METRICS."""


def _cell(f: Figures, rows: Rows | Pages) -> Counts:
    """[rows]: number of (round, user)."""
    return (rows.round - 1).astype(np.int64) * f.users + rows.user


def _by_user(f: Figures, rows: Rows | Pages, weights: NDArray[Any] | None = None) -> Doubles:
    """[rounds, users]: rows, or the sum of their weights."""
    found = np.bincount(_cell(f, rows), weights=weights, minlength=f.rounds * f.users)
    return found.reshape(f.rounds, f.users).astype(np.float64)


def _count(f: Figures, of_round: NDArray[Any]) -> Counts:
    """[rounds]: rows in each."""
    return np.bincount(of_round, minlength=f.rounds + 1)[1:]


def _means(f: Figures, of_round: NDArray[Any], values: NDArray[Any]) -> Doubles:
    """[rounds]: mean of the values of each."""
    total = np.bincount(of_round, weights=values.astype(np.float64), minlength=f.rounds + 1)[1:]
    return _ratios(total, _count(f, of_round))


def _ratios(part: NDArray[Any], whole: NDArray[Any]) -> Doubles:
    """Column by column; NaN where the whole is 0."""
    filled = np.where(whole > 0, whole, 1)
    return np.where(whole > 0, part / filled, np.nan)
