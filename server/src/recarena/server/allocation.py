"""Who gets which arm: by a draw per user, or by clusters of the social network.

Cluster randomisation keeps friends together, so that less of what one arm does reaches users of
another (Ugander, Karrer, Backstrom and Kleinberg, KDD 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recarena.server.network import Network
from recarena.server.randomness import Purpose, keys, uniform

Numbers: TypeAlias = NDArray[np.int64]

SWEEPS = 16
"""Rounds of moves per level, at most; most levels are still after half of them."""
STILL = 0.001
"""Share of nodes that would move for which another sweep is not made."""
LEVELS = 6
"""Times that clusters are merged into larger ones, at most."""


class AllocationUnit(StrEnum):
    """What is drawn an arm for."""

    USERS = "users"
    """Each user."""
    CLUSTERS = "clusters"
    """Each cluster of the social network, all its users together."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """The arm of each user, and what it was drawn for."""

    arm_of_user: NDArray[np.int8]
    cluster_of_user: Numbers | None = None
    """None: users were drawn for themselves."""

    @property
    def unit(self) -> AllocationUnit:
        """What was drawn an arm for."""
        return AllocationUnit.USERS if self.cluster_of_user is None else AllocationUnit.CLUSTERS

    def entry(self, network: Network, arms: Sequence[str]) -> dict[str, Any]:
        """What a run's manifest says of it, as JSON values."""
        counts = np.bincount(self.arm_of_user, minlength=len(arms)).tolist()
        about: dict[str, Any] = {
            "by": str(
                AllocationUnit.USERS if self.cluster_of_user is None else AllocationUnit.CLUSTERS
            ),
            "users": dict(zip(arms, counts, strict=True)),
            "ties_within_arms": ties_within(network, self.arm_of_user),
        }
        if self.cluster_of_user is not None:
            sizes = np.sort(np.bincount(self.cluster_of_user))[::-1]
            about["clusters"] = len(sizes)
            about["cluster_sizes"] = {
                "largest": int(sizes[0]) if len(sizes) else 0,
                "median": float(np.median(sizes)) if len(sizes) else 0.0,
                "smallest": int(sizes[-1]) if len(sizes) else 0,
            }
            about["ties_within_clusters"] = ties_within(network, self.cluster_of_user)
        return about


def allocate_users(weights: Sequence[float], seed: int, users: int) -> Allocation:
    """An arm for each user in proportion to the weights, by a draw keyed by the seed."""
    shares = np.array(weights, np.float64)
    bounds = np.cumsum(shares) / shares.sum()
    draw = uniform(keys(seed, Purpose.ARM, 0, np.arange(users)))
    return Allocation(np.minimum(np.searchsorted(bounds, draw), len(shares) - 1).astype(np.int8))


def allocate_clusters(
    weights: Sequence[float], seed: int, network: Network, clusters_per_arm: int
) -> Allocation:
    """An arm for each cluster of the social network, by draws keyed by the seed.

    No cluster is larger than the users of the smallest arm / `clusters_per_arm`. Clusters are
    drawn an arm one after another, the larger first, with chances in proportion to the users that
    each arm still wants. So the chance of each cluster, and of each user, is the arm's share of
    the weights (the shares still wanted are a martingale), while the numbers of users come out as
    wanted but for a part of a cluster.
    """
    shares = np.array(weights, np.float64) / sum(weights)
    users = network.users
    largest = max(1, int(users * shares.min() / clusters_per_arm))
    cluster = social_clusters(network, largest, seed)
    sizes = np.bincount(cluster)
    turn, luck = (
        uniform(keys(seed, Purpose.ARM_OF_CLUSTER, what, np.arange(len(sizes)))) for what in (0, 1)
    )
    wanted = shares * users
    arm = np.zeros(len(sizes), np.int8)
    for one in np.lexsort((turn, -sizes)).tolist():
        left = np.maximum(wanted, 0)
        bounds = np.cumsum(left / left.sum() if left.any() else shares)
        arm[one] = min(int(np.searchsorted(bounds, luck[one])), len(shares) - 1)
        wanted[arm[one]] -= sizes[one]
    return Allocation(arm[cluster], cluster)


def ties_within(network: Network, part_of_user: NDArray[np.integer]) -> float | None:
    """Share of the ties whose two ends are in the same part; None without ties."""
    if not len(network):
        return None
    source = np.repeat(np.arange(network.users), network.degrees())
    return float((part_of_user[source] == part_of_user[network.other]).mean())


def social_clusters(network: Network, largest: int, seed: int) -> Numbers:
    """[users]: number of each user's cluster, from 0 in the order of the clusters' first users; no
    cluster has more than `largest` users.

    Moves of users, then of whole clusters, that raise the modularity of the ties weighted by
    closeness, level by level as in Blondel, Guillaume, Lambiotte and Lefebvre (2008), with a bound
    on the size as in Meyerhenke, Sanders and Schulz (2014). In each sweep a keyed half of all may
    move at once, so that a sweep is a few operations on columns and no order matters.
    """
    users = network.users
    source = np.repeat(np.arange(users), network.degrees())
    graph = _Graph.of(users, source, network.other, network.closeness.astype(np.float64))
    size = np.ones(users, np.int64)
    cluster = np.arange(users)
    for level in range(LEVELS):
        moved = _moved(graph, size, largest, seed, level)
        names, part = np.unique(moved, return_inverse=True)
        if len(names) == len(size):
            break
        cluster = part[cluster]
        size = np.bincount(part, weights=size).astype(np.int64)
        graph = _Graph.of(len(names), part[graph.one], part[graph.two], graph.weight)
    _, first, part = np.unique(cluster, return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return place[part]


@dataclass(frozen=True, slots=True)
class _Graph:
    """Weighted ties between different nodes, each in both directions with the same weight."""

    one: Numbers
    two: Numbers
    weight: NDArray[np.float64]
    strength: NDArray[np.float64]
    """[nodes]: sum of the weights at a node, also of ties within it."""

    @classmethod
    def of(
        cls,
        nodes: int,
        one: NDArray[np.integer],
        two: NDArray[np.integer],
        weight: NDArray[np.float64],
    ) -> _Graph:
        ends = np.concatenate([one, two]).astype(np.int64)
        others = np.concatenate([two, one]).astype(np.int64)
        both = np.concatenate([weight, weight])
        strength = np.bincount(ends, both, nodes).astype(np.float64)
        pair, where = np.unique(ends * nodes + others, return_inverse=True)
        total = np.bincount(where, both, len(pair)).astype(np.float64)
        first, second = pair // max(nodes, 1), pair % max(nodes, 1)
        return cls(first, second, total, strength)


def _moved(graph: _Graph, size: Numbers, largest: int, seed: int, level: int) -> Numbers:
    """[nodes]: the cluster that each node has come to, beginning with one of its own."""
    nodes = len(size)
    label = np.arange(nodes)
    everything = float(graph.strength.sum())
    if not everything:
        return label
    apart = graph.one != graph.two
    one, two, weight = graph.one[apart], graph.two[apart], graph.weight[apart]
    for sweep in range(SWEEPS):
        filled = np.bincount(label, weights=size, minlength=nodes).astype(np.int64)
        strength = np.bincount(label, graph.strength, nodes)
        # Weight of the ties from each node to each cluster beside it, its own among them.
        pair, where = np.unique(
            np.concatenate([one * nodes + label[two], np.arange(nodes) * nodes + label]),
            return_inverse=True,
        )
        ties = np.bincount(where[: len(one)], weight, len(pair))
        node, to = pair // nodes, pair % nodes
        at_home = to == label[node]
        rest = strength[to] - np.where(at_home, graph.strength[node], 0)
        gain = ties - graph.strength[node] * rest / everything
        fits = at_home | (filled[to] + size[node] <= largest)
        gain = np.where(fits, gain, -np.inf)
        # Rows stand by node, then by cluster: among equals home is preferred, then the first.
        best = gain == np.maximum.reduceat(gain, np.flatnonzero(np.diff(node, prepend=-1)))[node]
        settled = np.zeros(nodes, np.bool_)
        settled[node[best & at_home]] = True
        going = np.flatnonzero(best & ~settled[node])
        going = going[np.diff(node[going], prepend=-1) > 0]
        if len(going) <= nodes * STILL:
            break
        coin = uniform(keys(seed, Purpose.CLUSTER_MOVE, level * SWEEPS + sweep, node[going]))
        going = going[coin < np.float32(0.5)]
        going = _that_fit(going, gain, to, size[node], largest - filled)
        label = label.copy()
        label[node[going]] = to[going]
    return label


def _that_fit(
    moves: Numbers, gain: NDArray[np.float64], to: Numbers, size: Numbers, room: Numbers
) -> Numbers:
    """Of the moves, rows of the other columns, those for which there is room where they lead to,
    those that gain most first."""
    moves = moves[np.lexsort((moves, -gain[moves], to[moves]))]
    taken = np.cumsum(size[moves])
    new = np.diff(to[moves], prepend=-1) != 0
    before = np.maximum.accumulate(np.where(new, taken - size[moves], 0))
    return moves[taken - before <= room[to[moves]]]
