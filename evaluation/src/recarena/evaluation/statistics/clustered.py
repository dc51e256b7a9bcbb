"""Means, differences and ratios of what clusters of rows say, such as the answers of one user.

Rows of one cluster are not independent: a cluster gives one value, and what varies is the cluster.
Rows without a value (NaN) are left out; a row's cluster is whatever equals another's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recarena.evaluation.statistics.bootstrap import expanded_tail
from recarena.evaluation.statistics.worlds import (
    NAN,
    check_confidence,
    t_quantile,
    world_interval,
)

Values = NDArray[np.float64]
Places = NDArray[np.intp]
Clusters = Sequence[Hashable] | NDArray[np.generic]
RESAMPLES = 2000
FEWEST_CLUSTERS = 10
"""Fewest clusters for a bootstrap interval."""
LARGEST_SHARE_LOST = 0.05
"""Of resamples, in which a statistic may be undefined before there is no interval."""
ONE = "one cluster has no interval"
NO_VALUE = "no row has a value"


@dataclass(frozen=True, slots=True)
class Clustered:
    """An estimate whose unit is the cluster, with its confidence interval."""

    value: float
    """NaN: there is none; `reason` says why."""
    low: float
    """NaN where there is no interval; then `reason` says why."""
    high: float
    clusters: int
    """That it was computed from."""
    rows: int
    """That it was computed from."""
    confidence: float
    reason: str = ""

    def excludes(self, value: float) -> bool:
        """Whether the value lies outside; never where there is no interval."""
        return value < self.low or value > self.high


def numbered(clusters: Clusters) -> tuple[Places, int]:
    """[rows]: the number of each row's cluster, from 0 as they first come; and how many."""
    numbers: dict[Hashable, int] = {}
    given = clusters.tolist() if isinstance(clusters, np.ndarray) else clusters
    places = [numbers.setdefault(one, len(numbers)) for one in given]
    return np.asarray(places, np.intp), len(numbers)


def cluster_means(values: ArrayLike, clusters: Clusters) -> Values:
    """[clusters]: the mean of each cluster's rows, clusters as they first come; NaN for one none of
    whose rows has a value. ValueError where there are not as many clusters as values."""
    column, places, number = _columns(clusters, values)
    (rows,) = column
    there = np.isfinite(rows)
    counts = np.bincount(places[there], minlength=number)
    sums = np.bincount(places[there], weights=rows[there], minlength=number)
    return np.where(counts > 0, sums / np.maximum(counts, 1), NAN)


def clustered_mean(values: ArrayLike, clusters: Clusters, confidence: float = 0.95) -> Clustered:
    """Mean over clusters of their means, +- t_{G-1, (1+confidence)/2} sd / sqrt(G).

    values[i] is of a row of clusters[i]. Each of the G clusters that have a value counts the same,
    however many rows it has. With one there is a mean and no interval, with none NaN.

    Source: Donner and Klar (2000), chapter 6: cluster-level analysis.
    """
    means = cluster_means(values, clusters)
    found = world_interval(means.tolist(), confidence)
    rows = int(np.isfinite(np.asarray(values, np.float64)).sum())
    reason = {0: NO_VALUE, 1: ONE}.get(found.worlds, "")
    return Clustered(found.mean, found.low, found.high, found.worlds, rows, confidence, reason)


def clustered_difference(
    a: ArrayLike, b: ArrayLike, clusters: Clusters, confidence: float = 0.95
) -> Clustered:
    """Interval of a - b over rows that have both: d_i = a_i - b_i, then as `clustered_mean`."""
    (first, second), _, _ = _columns(clusters, a, b)
    return clustered_mean(first - second, clusters, confidence)


def difference_of_methods(
    a: ArrayLike, clusters_a: Clusters, b: ArrayLike, clusters_b: Clusters, confidence: float = 0.95
) -> Clustered:
    """Interval of a - b, two methods on different rows, by the clusters that have rows of both.

    d_g = mean of a in g - mean of b in g, then the paired t interval over those clusters; others
    say nothing of the difference and are left out. `rows` counts those of both methods there.
    """
    of_a = dict(zip(_names(clusters_a), cluster_means(a, clusters_a).tolist(), strict=True))
    of_b = dict(zip(_names(clusters_b), cluster_means(b, clusters_b).tolist(), strict=True))
    both = [one for one in of_a if np.isfinite(of_a[one]) and np.isfinite(of_b.get(one, NAN))]
    found = clustered_mean([of_a[one] - of_b[one] for one in both], both, confidence)
    shared = set(both)
    rows = sum(
        one in shared and bool(np.isfinite(value))
        for values, clusters in ((a, clusters_a), (b, clusters_b))
        for one, value in zip(_listed(clusters), np.asarray(values, np.float64), strict=True)
    )
    reason = {0: "no cluster has rows of both", 1: ONE}.get(found.clusters, "")
    return Clustered(found.value, found.low, found.high, found.clusters, rows, confidence, reason)


def clustered_ratio(
    part: ArrayLike, whole: ArrayLike, clusters: Clusters, confidence: float = 0.95
) -> Clustered:
    """sum(part) / sum(whole) over all rows that have both, as a share such as P(A given B): part
    1 where A and B, whole 1 where B.

    r +- t_{G-1} sqrt(G / (G - 1) sum_g (P_g - r W_g)^2) / sum_g W_g, where P_g and W_g are the sums
    of cluster g. Clusters with nothing in either are left out. NaN where the whole is 0. With few
    clusters, or a share near 0 or 1, it is too narrow: it is no interval at all, of width 0, where
    all clusters have the same share.

    Source: Cochran (1977), Sampling techniques, sections 6.4 and 11.8 (delta method).
    """
    return _linear([(part, whole, 1.0)], clusters, confidence)


def difference_of_ratios(
    a: tuple[ArrayLike, ArrayLike],
    b: tuple[ArrayLike, ArrayLike],
    clusters: Clusters,
    confidence: float = 0.95,
) -> Clustered:
    """Ratio of a - ratio of b, each (part, whole) as `clustered_ratio`, over the same clusters.

    d +- t_{G-1} sqrt(G / (G - 1) sum_g (u_g(a) - u_g(b))^2), u_g = (P_g - r W_g) / sum_g W_g: what
    a cluster does to both ratios is not taken for noise.

    Source: as `clustered_ratio`.
    """
    return _linear([(*a, 1.0), (*b, -1.0)], clusters, confidence)


def bootstrap_over_clusters(
    statistic: Callable[[Places], float],
    clusters: Clusters,
    seed: int,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Clustered:
    """Bootstrap interval of any statistic: `statistic(rows)` is its value over these rows, which
    may come several times.

    Clusters are drawn with replacement as often as there are, with all of their rows; the ends are
    quantiles at Phi(-+ sqrt(G / (G - 1)) t_{G-1}), a little outside (1 - confidence) / 2, since few
    clusters vary less among themselves than new ones would. There is no interval with fewer than
    10 clusters, or where the statistic is undefined (NaN) in more than one resample of twenty. The
    same seed gives the same interval.

    Source: Davison and Hinkley (1997), section 3.8; Hesterberg (2015) for expanded percentiles.
    """
    check_confidence(confidence)
    places, number = numbered(clusters)
    value = float(statistic(np.arange(len(places)))) if number else NAN

    def without(reason: str) -> Clustered:
        return Clustered(value, NAN, NAN, number, len(places), confidence, reason)

    if not np.isfinite(value):
        return without("it is not defined")
    if number < FEWEST_CLUSTERS:
        return without(f"a bootstrap needs {FEWEST_CLUSTERS} clusters, there are {number}")
    order = np.argsort(places, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(places, minlength=number))[:-1])
    dice = np.random.default_rng((seed, number, resamples))
    drawn = np.array([
        statistic(np.concatenate([members[one] for one in dice.integers(number, size=number)]))
        for _ in range(resamples)
    ])  # fmt: skip
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < (1 - LARGEST_SHARE_LOST) * resamples:
        return without("it is not defined in many resamples")
    tail = expanded_tail(number, confidence)
    low, high = (float(one) for one in np.quantile(defined, (tail, 1 - tail)))
    return Clustered(value, low, high, number, len(places), confidence)


def _linear(
    ratios: Sequence[tuple[ArrayLike, ArrayLike, float]], clusters: Clusters, confidence: float
) -> Clustered:
    """A sum of ratios with signs, by the delta method over clusters."""
    check_confidence(confidence)
    influence: Values | None = None
    total, used, rows = 0.0, np.zeros(0, bool), 0
    for part, whole, sign in ratios:
        (y, x), places, number = _columns(clusters, part, whole)
        there = np.isfinite(y) & np.isfinite(x)
        y_by = np.bincount(places[there], weights=y[there], minlength=number)
        x_by = np.bincount(places[there], weights=x[there], minlength=number)
        below = float(x_by.sum())
        if not below:
            return Clustered(NAN, NAN, NAN, 0, 0, confidence, "there is nothing to divide by")
        ratio = float(y_by.sum()) / below
        total += sign * ratio
        moved = sign * (y_by - ratio * x_by) / below
        influence = moved if influence is None else influence + moved
        holds = (x_by != 0) | (y_by != 0)
        used = holds if not len(used) else used | holds
        rows += int((there & ((x != 0) | (y != 0))).sum())
    number = int(used.sum())
    if number < 2 or influence is None:
        return Clustered(total, NAN, NAN, number, rows, confidence, ONE)
    error = math.sqrt(number / (number - 1) * float((influence**2).sum()))
    half = t_quantile(number - 1, (1 + confidence) / 2) * error
    return Clustered(total, total - half, total + half, number, rows, confidence)


def _columns(clusters: Clusters, *columns: ArrayLike) -> tuple[list[Values], Places, int]:
    places, number = numbered(clusters)
    made = [np.asarray(one, np.float64).reshape(-1) for one in columns]
    for one in made:
        if len(one) != len(places):
            raise ValueError(f"each row has a cluster: {len(one)} values, {len(places)} clusters")
    return made, places, number


def _listed(clusters: Clusters) -> list[Hashable]:
    return clusters.tolist() if isinstance(clusters, np.ndarray) else list(clusters)


def _names(clusters: Clusters) -> list[Hashable]:
    """Clusters as they first come."""
    return list(dict.fromkeys(_listed(clusters)))
