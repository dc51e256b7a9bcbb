"""How far recommenders' differences vary from world to world, by runs that were played."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from recarena.evaluation.leaderboard.comparing import WorldKey
from recarena.evaluation.metrics.measures import Metric
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.statistics.power import Spread, spread_of


@dataclass(frozen=True, slots=True)
class Pair:
    """Two recommenders in the worlds that both have played."""

    a: str
    b: str
    difference: float
    """Mean of a - b."""
    spread: Spread
    """Of a - b over worlds."""


def pairs_of(logs: Iterable[RunLog], metric: Metric) -> list[Pair]:
    """Every pair of recommenders with two worlds in common or more, the widest spread first.

    A recommender that played a world more than once has the mean of its runs there.
    """
    values: dict[str, dict[WorldKey, list[float]]] = {}
    for log in logs:
        world = WorldKey(log.world, log.seed, len(log.user_ids), len(log.item_ids))
        for arm in log.arms:
            value = metric.measure(log, arm.arm_id)
            if math.isfinite(value):
                values.setdefault(arm.recommender, {}).setdefault(world, []).append(value)
    means = {
        name: {world: sum(runs) / len(runs) for world, runs in worlds.items()}
        for name, worlds in sorted(values.items())
    }
    pairs: list[Pair] = []
    for a, b in combinations(means, 2):
        common = sorted(means[a].keys() & means[b].keys())
        if len(common) > 1:
            differences = [means[a][world] - means[b][world] for world in common]
            pairs.append(Pair(a, b, sum(differences) / len(common), spread_of(differences)))
    return sorted(pairs, key=lambda pair: (-pair.spread.sd, pair.a, pair.b))
