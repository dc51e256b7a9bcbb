"""Metrics as rectools, choix and scipy work them out: JSON in, JSON out.

It runs in `.venv-crosscheck` (`make crosscheck`), for rectools needs an older numpy than RecArena
does, and imports nothing of RecArena.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import choix
import numpy as np
import pandas as pd
from rectools import Columns
from rectools.metrics import (
    AvgRecPopularity,
    CatalogCoverage,
    IntraListDiversity,
    MeanInvUserFreq,
    PairwiseDistanceCalculator,
    PairwiseHammingDistanceCalculator,
)
from scipy.stats import entropy

ALL = 1_000_000
"""Top k of a list that leaves nothing out."""


class GenreCosine(PairwiseDistanceCalculator):
    """1 - cosine of two items' genres, pair by pair."""

    def __init__(self, genres: list[set[int]]) -> None:
        self.genres = genres

    def _get_distances_for_item_pairs(self, items_0: Any, items_1: Any) -> np.ndarray:
        return np.array([self._distance(a, b) for a, b in zip(items_0, items_1, strict=True)])

    def _distance(self, a: int, b: int) -> float:
        one, other = self.genres[a], self.genres[b]
        length = (len(one) * len(other)) ** 0.5
        return 1 - len(one & other) / length if length else 1.0


def shown(lists: list[list[int]], of: list[int] | None = None) -> pd.DataFrame:
    """Recommendations as rectools takes them; `of`: whose each list is, else each its own."""
    of = list(range(len(lists))) if of is None else of
    rank: dict[int, int] = {}
    rows = []
    for whose, items in zip(of, lists, strict=True):
        for item in items:
            rank[whose] = rank.get(whose, 0) + 1
            rows.append((whose, item, rank[whose]))
    return pd.DataFrame(rows, columns=[Columns.User, Columns.Item, Columns.Rank])


def watched(counts: list[int]) -> pd.DataFrame:
    """So many interactions with each item, each by a user of its own."""
    items = np.repeat(np.arange(len(counts)), counts)
    return pd.DataFrame({Columns.User: np.arange(len(items)), Columns.Item: items})


def genre_mix(items: list[int], genres: list[set[int]], count: int) -> np.ndarray | None:
    """p(g) over some items, each genre of an item its equal part; None without a genre."""
    mix = np.zeros(count)
    for item in items:
        for genre in genres[item]:
            mix[genre] += 1 / len(genres[item])
    return mix / mix.sum() if mix.any() else None


def content(log: dict[str, Any]) -> dict[str, float]:
    """The metrics of what is shown, by the names that they have in RecArena."""
    lists, users = log["lists"], log["users"]
    genres = [set(one) for one in log["genres"]]
    several = shown([one for one in lists if len(one) > 1])
    flags = pd.DataFrame([[int(g in one) for g in range(log["genre_count"])] for one in genres])
    exposures = shown([[item] for one in lists for item in one])
    smoothed = watched([count + 1 for count in log["popularity"]])
    found = {
        "intra_list_diversity": IntraListDiversity(ALL, GenreCosine(genres)).calc(several),
        "novelty": MeanInvUserFreq(ALL).calc(exposures, smoothed),
        "average_popularity": AvgRecPopularity(ALL).calc(
            shown(lists, users), watched(log["popularity"])
        ),
        "coverage": CatalogCoverage(ALL, normalize=True).calc(exposures, range(len(genres))),
    }
    hamming = IntraListDiversity(ALL, PairwiseHammingDistanceCalculator(flags))
    found["hamming_diversity"] = hamming.calc(several)
    entropies, divergences = [], []
    for user in sorted(set(users)):
        listed = zip(users, lists, strict=True)
        mine = [item for whose, one in listed if whose == user for item in one]
        q = genre_mix(mine, genres, log["genre_count"])
        before = [item for whose, item in log["history"] if whose == user]
        p = genre_mix(before, genres, log["genre_count"])
        if q is not None:
            entropies.append(entropy(q, base=2))
            if p is not None:
                divergences.append(entropy(p, 0.99 * q + 0.01 * p))
    found["genre_entropy"] = np.mean(entropies)
    found["calibration_divergence"] = np.mean(divergences)
    times = np.bincount(exposures[Columns.Item], minlength=len(genres))
    # Half the mean difference of all pairs, an item with itself among them, per mean.
    found["gini"] = np.abs(times[:, None] - times).mean() / (2 * times.mean())
    return {name: float(value) for name, value in found.items()}


def main() -> None:
    """Reads what to measure from standard input, writes what was found to standard output."""
    asked = json.load(sys.stdin)
    strengths = [
        choix.ilsr_pairwise_dense(np.array(wins), max_iter=10_000, tol=1e-12).tolist()
        for wins in asked["wins"]
    ]
    json.dump({"logs": [content(log) for log in asked["logs"]], "strengths": strengths}, sys.stdout)


if __name__ == "__main__":
    main()
