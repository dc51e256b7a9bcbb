"""Information cocoons: does what users see and watch grow narrower under a recommender that learns
from them?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.believability.card import Interval, interval
from recarena.evaluation.believability.people import Rows
from recarena.evaluation.runs.events import EventKind, Events
from recarena.evaluation.runs.run_log import RunLog

BLOCKS = 4
"""Parts of a run in which watches are counted: in a single round few users watch several items."""
LEAST_WATCHES = 2
"""Of a user in a block, to be counted."""


@dataclass(frozen=True)
class Narrowing:
    """Genre entropy over a run under two recommenders; slopes in nats a round, over worlds."""

    personalised: Interval
    random: Interval
    difference: Interval
    """Personalised minus random, world by world. Below 0: a cocoon."""
    entropy: dict[str, list[float]]
    """personalised, random -> mean over worlds, for each round or block."""


def of_shown(personalised: Sequence[RunLog], random: Sequence[RunLog], genres: Rows) -> Narrowing:
    """Of what the recommender itself showed each user in a round, mean over the users it showed
    anything. Runs of the same world stand at the same place in both."""
    return _compare(
        [[_by_part(log, genres, EventKind.SHOWN, log.rounds, 1) for log in logs]
         for logs in (personalised, random)],
        1,
    )  # fmt: skip


def of_watched(personalised: Sequence[RunLog], random: Sequence[RunLog], genres: Rows) -> Narrowing:
    """Of what each user watched in a quarter of the run, mean over users with two watches in it."""
    rounds = min(log.rounds for log in (*personalised, *random))
    blocks = min(BLOCKS, rounds)
    return _compare(
        [[_by_part(log, genres, EventKind.WATCH, blocks, LEAST_WATCHES) for log in logs]
         for logs in (personalised, random)],
        rounds / blocks,
    )  # fmt: skip


def genre_shares(genres: NDArray[np.bool_]) -> Rows:
    """[items, genres]: an item of three genres is a third of each."""
    return genres / np.maximum(genres.sum(axis=1, keepdims=True), 1)


def _by_part(log: RunLog, genres: Rows, kind: EventKind, parts: int, least: int) -> Rows:
    """[parts]: mean over users of the entropy -sum p log p of genres in one part of the rounds
    (Shannon, 1948). NaN where nobody is counted."""
    events: Events = log.events.take(log.events.own).of(kind)
    part = (events.round.astype(np.int64) - 1) * parts // max(log.rounds, 1)
    users = len(log.user_ids)
    cell = part * users + events.user
    mass = np.stack(
        [np.bincount(cell, genres[events.item, g], parts * users) for g in range(genres.shape[1])],
        axis=1,
    ).astype(np.float64)
    count = np.bincount(cell, minlength=parts * users)
    total = mass.sum(axis=1)
    found = entropy(mass)
    counted = ((count >= least) & (total > 0)).reshape(parts, users)
    sums = np.where(counted, found.reshape(parts, users), 0).sum(axis=1)
    number = counted.sum(axis=1)
    return np.where(number > 0, sums / np.maximum(number, 1), np.nan)


def entropy(mass: Rows) -> Rows:
    """[rows]: in nats, of each row [rows, kinds] as shares; 0 for a row of nothing."""
    p = mass / np.maximum(mass.sum(axis=1, keepdims=True), 1e-300)
    return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)


def slope(values: Rows) -> float:
    """Change from one to the next by least squares; NaN with fewer than two values."""
    there = ~np.isnan(values)
    if there.sum() < 2:
        return float("nan")
    x = np.flatnonzero(there) - np.flatnonzero(there).mean()
    return float((x * values[there]).sum() / (x**2).sum())


def _compare(series: Sequence[Sequence[Rows]], step: float) -> Narrowing:
    slopes = [np.array([slope(one) / step for one in worlds]) for worlds in series]
    means: list[list[float]] = []
    for worlds in series:
        table = np.stack(worlds)
        there = ~np.isnan(table)
        total = np.where(there, table, 0).sum(axis=0)
        means.append(np.where(there.any(axis=0), total / np.maximum(there.sum(axis=0), 1),
                              np.nan).tolist())  # fmt: skip
    return Narrowing(
        interval(slopes[0], "world"),
        interval(slopes[1], "world"),
        interval(slopes[0] - slopes[1], "world"),
        {"personalised": means[0], "random": means[1]},
    )
