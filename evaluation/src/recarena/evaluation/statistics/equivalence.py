"""Whether a mean is as good as 0: not that no difference was found, but that none of size is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from recarena.evaluation.statistics.clustered import (
    Clusters,
    cluster_means,
    clustered_mean,
)
from recarena.evaluation.statistics.worlds import NAN


@dataclass(frozen=True, slots=True)
class Equivalence:
    """The outcome of two one-sided tests."""

    mean: float
    low: float
    """Of the interval with confidence 1 - 2 alpha; NaN where there is none, as `reason` says."""
    high: float
    p_value: float
    """The larger of the two; NaN with fewer than two clusters."""
    margin: float
    alpha: float
    clusters: int
    reason: str = ""

    @property
    def equivalent(self) -> bool:
        """Whether both tests reject, that is the interval lies inside the margin; never without an
        interval."""
        return -self.margin < self.low and self.high < self.margin


def equivalence(
    values: ArrayLike, clusters: Clusters, margin: float, alpha: float = 0.05
) -> Equivalence:
    """Two one-sided t tests that the mean over clusters lies inside -margin..margin.

    p = max(P(T_{G-1} >= (m + margin) / se), P(T_{G-1} >= (margin - m) / se)), m and se of the G
    clusters' means as in `clustered_mean`; both reject at alpha exactly where the interval with
    confidence 1 - 2 alpha lies inside. The chance to call equivalent what is not is at most alpha.
    Where the clusters' means are all the same, the mean alone decides. With fewer than two clusters
    nothing is equivalent. ValueError for a margin that is not above 0, or an alpha outside 0..0.5.

    Source: Schuirmann (1987), A comparison of the two one-sided tests procedure and the power
    approach.
    """
    if not (0 < margin < float("inf")):
        raise ValueError(f"a margin is above 0, got {margin}")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha is between 0 and 0.5, got {alpha}")
    found = clustered_mean(values, clusters, 1 - 2 * alpha)
    p_value = NAN
    if found.clusters > 1:
        from scipy.special import stdtr

        means = cluster_means(values, clusters)
        means = means[np.isfinite(means)]
        same = bool(np.all(means == means[0]))
        error = 0.0 if same else float(means.std(ddof=1)) / len(means) ** 0.5
        room = margin - abs(found.value)
        if error:
            p_value = float(stdtr(found.clusters - 1, -room / error))
        else:
            p_value = 0.0 if room > 0 else 1.0
    return Equivalence(
        found.value, found.low, found.high, p_value, margin, alpha, found.clusters, found.reason
    )
