"""Who is shown: how exposures are spread over the catalogue, its popular items and its groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.metrics.figures import NAN, Counts, Doubles, figures, mean, per_user, ratio
from recarena.evaluation.runs.run_log import RunLog


def coverage(log: RunLog, arm: str | None = None) -> float:
    """Distinct items shown / items in the catalogue, in 0..1.

    Catalogue coverage: Herlocker et al. (2004); Ge, Delgado-Battenfeld and Jannach (2010).
    """
    f = figures(log, arm)
    return ratio(int((f.exposures > 0).sum()), f.items)


def gini(log: RunLog, arm: str | None = None) -> float:
    """Gini coefficient of exposures over the catalogue, items never shown included, in 0..1.

    sum_j (2j - n - 1) x_j / (n sum x), x sorted in ascending order, j from 1 (Gini's mean
    difference divided by twice the mean). 0: all items are shown alike; near 1: one item only.
    """
    return float(gini_of(figures(log, arm).exposures[None])[0])


def gini_of(exposures: Counts) -> Doubles:
    """[rows]: the Gini coefficient of each row of [rows, items]; NaN for a row of zeros."""
    x = np.sort(exposures, axis=1).astype(np.float64)
    n, total = x.shape[1], x.sum(axis=1)
    weighted = ((2 * np.arange(1, n + 1) - n - 1) * x).sum(axis=1)
    return np.where(total > 0, weighted / np.where(total > 0, n * total, 1), np.nan)


def mean_popularity_rank(log: RunLog, arm: str | None = None) -> float:
    """Mean over exposures of the item's rank by watches before the run; 1 is the most watched.

    Items watched equally often share the mean of their ranks.
    """
    exposures = figures(log, arm).exposures
    if not exposures.sum():
        return NAN
    _, which, count = np.unique(-log.popularity, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2
    return float(np.average(rank[which], weights=exposures))


def average_popularity(log: RunLog, arm: str | None = None) -> float:
    """ARP: mean over users of the mean over what they were shown of the item's watches before the
    run.

    mean_u mean_{i shown to u} popularity(i), over users who were shown an item.
    Source: Yin et al. (2012), "Challenging the long tail recommendation".
    """
    f = figures(log, arm)
    shown = per_user(f.shown, f.users)
    total = np.bincount(f.shown.user, weights=log.popularity[f.shown.item], minlength=f.users)
    return mean(total[shown > 0] / shown[shown > 0])


# ------------------------------------------------------------------ fairness to groups of items


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of items, and what they are worth."""

    names: Sequence[str]
    of_item: NDArray[np.int64]
    """[items]: position in `names`; -1: in none."""
    merit: Doubles
    """[groups]: above 0, in any unit; the sum over the group's items."""


class NoGroups(Exception):
    """The world has no planted groups; the text says so in one sentence."""


def planted_groups(log: RunLog) -> Groups:
    """The groups that were planted in a run's world, with their true merit. NoGroups if none."""
    told = log.planted.get("groups")
    if not told:
        raise NoGroups(f"no groups of items are planted in the world {log.world}")
    of_item = np.array(told["of_item"], np.int64)
    worth = np.array(told["merit_of_item"], np.float64)
    merit = np.bincount(of_item, weights=worth, minlength=len(told["names"])).astype(np.float64)
    return Groups(tuple(told["names"]), of_item, merit)


def exposure_by_merit(log: RunLog, groups: Groups, arm: str | None = None) -> Doubles:
    """[groups]: the group's share of exposure / its share of merit; 1: exposure follows merit.

    Exposure of a group: sum over exposures of its items of 1 / log2(1 + rank), rank from 1 on the
    page. Pages that answer a search or a conversation do not count: what users ask for is not the
    recommender's choice. Nor do items in no group. NaN for all where no item of a group was shown;
    ValueError where a merit is not above 0. Source: Singh and Joachims (2018), disparate treatment.
    """
    if not (groups.merit > 0).all():
        raise ValueError("exposure by merit needs a merit above 0 for each group")
    f = figures(log, arm)
    shown, group = f.shown, groups.of_item[f.shown.item]
    inside = (group >= 0) & f.unasked
    seen = 1 / np.log2(2 + shown.position[inside].astype(np.float64))
    exposure = np.bincount(group[inside], weights=seen, minlength=len(groups.merit))
    if not exposure.sum():
        return np.full(len(groups.merit), NAN)
    return (exposure / exposure.sum()) / (groups.merit / groups.merit.sum())


def exposure_fairness(log: RunLog, arm: str | None = None) -> float:
    """The least of `exposure_by_merit` / the greatest, over the groups planted in the world, in
    0..1; 1 is fair. NaN where the world has no planted groups (`planted_groups` says so).

    For two groups it is the disparate treatment ratio of Singh and Joachims (2018), the smaller
    over the larger.
    """
    try:
        by_merit = exposure_by_merit(log, planted_groups(log), arm)
    except NoGroups:
        return NAN
    return float(by_merit.min() / by_merit.max())
