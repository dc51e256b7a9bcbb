"""How much more a hearer watches what was praised to it, along edges planted in pairs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.runs.events import EventKind
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.statistics.worlds import Interval, paired_difference, world_interval

NEVER = np.iinfo(np.int64).max


class NoEdges(Exception):
    """The world of a run has no planted edges; the text says so in one sentence."""


@dataclass(frozen=True, slots=True)
class Uplift:
    """Hearers of planted edges against those of null edges; all intervals are over worlds."""

    planted: Interval
    """Share of posts after which the hearer of the planted edge watched the item in time."""
    null: Interval
    """The same of the hearer of the null edge, by the same posts."""
    uplift: Interval
    """planted - null, paired by post."""
    posts: int
    """Over all worlds."""


def edge_uplift(logs: Iterable[RunLog], within: int = 3, confidence: float = 0.95) -> Uplift:
    """The uplift over runs in planted worlds, each a world of its own.

    Counted are posts in which a speaker praises an item for the first time, where neither of its
    two hearers had watched the item by then, and that have `within` rounds after them. Both are of
    one taste community and a draw said who listens, so that the null edge's hearer shows what the
    other would have watched anyway: with "the hearer watched it, too" alone, friends' common taste
    would pass for influence. NoEdges where a world has none.
    """
    shares = [_of_run(log, within) for log in logs]
    planted, null = ([share[side] for *share, _ in shares] for side in (0, 1))
    return Uplift(
        world_interval(planted, confidence),
        world_interval(null, confidence),
        paired_difference(planted, null, confidence),
        sum(posts for *_, posts in shares),
    )


def _of_run(log: RunLog, within: int) -> tuple[float, float, int]:
    """Shares of watches by planted and null hearers, and the number of posts; NaN without any."""
    edges = log.planted.get("edges")
    if not edges:
        raise NoEdges(f"no edges are planted in the world {log.world}")
    items = len(log.item_ids)
    posts = log.events.take(
        (log.events.kind == EventKind.POST) & (log.events.item >= 0) & (log.events.value > 0)
    )
    _, first = np.unique(posts.user.astype(np.int64) * items + posts.item, return_index=True)
    speaker, item, round = posts.user[first], posts.item[first], posts.round[first]
    hearers = [_hearer_of(log, edges[kind])[speaker] for kind in ("planted", "null")]
    counted = (hearers[0] >= 0) & (hearers[1] >= 0) & (round + within <= log.rounds)
    watched, round = _first_watches(log), round[counted]
    when = [watched[hearer[counted], item[counted]] for hearer in hearers]
    fresh = (when[0] > round) & (when[1] > round)
    if not fresh.any():
        return float("nan"), float("nan"), 0
    inside = [(one[fresh] <= round[fresh] + within).mean() for one in when]
    return float(inside[0]), float(inside[1]), int(fresh.sum())


def _hearer_of(log: RunLog, edges: list[list[int]]) -> NDArray[np.int64]:
    """[users]: to whom each speaks along edges of one kind, -1: to nobody."""
    speaker, hearer = np.array(edges, np.int64).reshape(-1, 2).T
    hearer_of = np.full(len(log.user_ids), -1)
    hearer_of[speaker] = hearer
    return hearer_of


def _first_watches(log: RunLog) -> NDArray[np.int64]:
    """[users, items]: the round in which each was watched first, 0 before the run."""
    first = np.full((len(log.user_ids), len(log.item_ids)), NEVER)
    watches = log.events.take(log.events.kind == EventKind.WATCH)
    np.minimum.at(first, (watches.user, watches.item), watches.round)
    first[log.history.user, log.history.item] = 0
    return first
