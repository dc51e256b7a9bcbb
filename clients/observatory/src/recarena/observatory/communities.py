"""Who belongs together: communities of a network, found by moving users to where their ties are.

Source: Blondel, Guillaume, Lambiotte and Lefebvre (2008), Fast unfolding of communities in large
networks; users are moved in batches, so that numpy does the work, and the same network always gives
the same communities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Doubles = NDArray[np.float64]

LEVELS = 8
PASSES = 16
BATCHES = 8
BATCHES_OF_FEW = 64
"""From the second level on, where there are few nodes: nearly one after another."""
LEAST = 3
"""Members of a community; of large networks more, see LEAST_SHARE."""
LEAST_SHARE = 1 / 250
LEAST_CLOSENESS = 0.05
"""A tie without closeness is one all the same."""


@dataclass(frozen=True, slots=True)
class Ties:
    """Undirected ties, each once: `a` < `b`; all [ties]."""

    a: Numbers
    b: Numbers
    weight: Doubles

    def both_ways(self) -> Ties:
        """Each tie twice, from either side."""
        return Ties(
            np.concatenate([self.a, self.b]),
            np.concatenate([self.b, self.a]),
            np.concatenate([self.weight, self.weight]),
        )


def communities_of(users: int, ties: Ties) -> Numbers:
    """[users]: the community of each, from 0, the largest first; communities are not tiny, unless
    all is. Users without ties are in the last one together."""
    if users == 0:
        return np.zeros(0, np.int64)
    weight = np.maximum(ties.weight, LEAST_CLOSENESS)
    ways = Ties(ties.a, ties.b, weight).both_ways()
    label = np.arange(users)
    graph, loops = ways, np.zeros(users)
    for level in range(LEVELS):
        nodes = len(loops)
        moved = _moved(nodes, graph, loops, BATCHES if level == 0 else BATCHES_OF_FEW)
        _, compact = np.unique(moved, return_inverse=True)
        label = compact[label]
        groups = int(compact.max()) + 1
        if groups == nodes:
            break
        graph, loops = _together(graph, loops, compact, groups)
    alone = np.bincount(ways.a, minlength=users) == 0
    return _sorted(_without_tiny(users, label, ways, alone), alone)


def _moved(nodes: int, graph: Ties, loops: Doubles, batches: int) -> Numbers:
    """[nodes]: labels after nodes went, batch by batch, to the neighbours with most to gain."""
    strength = summed(graph.a, graph.weight, nodes) + loops
    total = float(strength.sum())
    label, weight_of = np.arange(nodes), strength.copy()
    if not total:
        return label
    # Multiplied by an odd number, neighbours in number fall into different batches.
    batch = (np.arange(nodes) * 2_654_435_761 >> 7) % min(batches, nodes)
    parts = [np.flatnonzero(batch[graph.a] == one) for one in range(min(batches, nodes))]
    for _ in range(PASSES):
        changed = 0
        for rows in parts:
            if not len(rows):
                continue
            node, best = _best(nodes, graph, rows, label, strength, weight_of, total)
            moves = best != label[node]
            changed += int(moves.sum())
            label[node[moves]] = best[moves]
            weight_of = summed(label, strength, nodes)
        if changed <= nodes // 1000:
            break
    return label


def _best(
    nodes: int, graph: Ties, rows: Numbers, label: Numbers, strength: Doubles,
    weight_of: Doubles, total: float,
) -> tuple[Numbers, Numbers]:  # fmt: skip
    """Nodes of some ties, and the label that each gains most by; its own where nothing is gained.
    Of equal ones the lowest."""
    node, to = graph.a[rows], label[graph.b[rows]]
    nodes_here = np.unique(node)
    # Each may stay: its own label is among the candidates though no neighbour has it.
    keys = np.concatenate([node * nodes + to, nodes_here * nodes + label[nodes_here]])
    weights = np.concatenate([graph.weight[rows], np.zeros(len(nodes_here))])
    pairs, inverse = np.unique(keys, return_inverse=True)
    inside = summed(inverse, weights, len(pairs))
    who, where = pairs // nodes, pairs % nodes
    own = where == label[who]
    others = weight_of[where] - np.where(own, strength[who], 0.0)
    gain = inside - strength[who] * others / total + np.where(own, 1e-12, 0.0)
    order = np.lexsort((where, -gain, who))
    first = order[np.flatnonzero(np.diff(who[order], prepend=-1))]
    return who[first], where[first]


def _together(graph: Ties, loops: Doubles, label: Numbers, groups: int) -> tuple[Ties, Doubles]:
    """The network of the groups, and what stays inside each."""
    a, b = label[graph.a], label[graph.b]
    inside = a == b
    kept = summed(label, loops, groups) + summed(a[inside], graph.weight[inside], groups)
    pairs, inverse = np.unique(a[~inside] * groups + b[~inside], return_inverse=True)
    weight = summed(inverse, graph.weight[~inside], len(pairs))
    return Ties(pairs // groups, pairs % groups, weight), kept


def _without_tiny(users: int, label: Numbers, ways: Ties, alone: NDArray[np.bool_]) -> Numbers:
    """Members of tiny communities go where most of their ties lead; all without ties go together,
    and so do communities that lead nowhere."""
    least = max(LEAST, int(users * LEAST_SHARE))
    label = label.copy()
    apart = int(label.max()) + 1
    label[alone] = apart
    for _ in range(4):
        size = np.bincount(label, minlength=apart + 1)
        tiny = (size < least) & (np.arange(apart + 1) != apart)
        if not tiny.any() or (size > 0).sum() == 1:
            break
        a, b = label[ways.a], label[ways.b]
        out = tiny[a] & (a != b)
        pairs, inverse = np.unique(a[out] * (apart + 1) + b[out], return_inverse=True)
        weight = summed(inverse, ways.weight[out], len(pairs))
        group, to = pairs // (apart + 1), pairs % (apart + 1)
        # Into larger ones, so that two tiny ones do not change places for ever.
        larger = (size[to] > size[group]) | ((size[to] == size[group]) & (to < group))
        group, to, weight = group[larger], to[larger], weight[larger]
        order = np.lexsort((to, -weight, group))
        first = order[np.flatnonzero(np.diff(group[order], prepend=-1))]
        goes = np.arange(apart + 1)
        goes[group[first]] = to[first]
        nowhere = tiny & (goes == np.arange(apart + 1)) & (size > 0)
        goes[nowhere] = apart
        label = goes[label]
    return label


def _sorted(label: Numbers, alone: NDArray[np.bool_]) -> Numbers:
    """Numbered by size from the largest; those without ties last. Of equal ones, whoever has the
    user of the lowest number is first."""
    groups, first, inverse, size = np.unique(
        label, return_index=True, return_inverse=True, return_counts=True
    )
    last = np.zeros(len(groups), np.bool_)
    last[inverse[alone]] = True
    number = np.empty(len(groups), np.int64)
    number[np.lexsort((first, -size, last))] = np.arange(len(groups))
    return number[inverse]


def summed(at: NDArray[np.integer[Any]], values: Doubles, length: int) -> Doubles:
    """[length]: sums of the values at each place."""
    return np.bincount(at, values, length).astype(np.float64, copy=False)
