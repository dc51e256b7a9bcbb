"""Lists against what people went on to like: offline measures on a split by time.

A world that was imported with a split (`recarena world import DATA FOLDER --fraction 0.8`) holds
what came later apart from its history. Here the lists that a recommender gives each user after the
history are held against it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.runs.events import EventKind, Surface
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.runs.unreadable import Unreadable

Rows = NDArray[np.float64]
SPLIT = "recarena world import DATA FOLDER --fraction 0.8"


class NotSplit(Unreadable):
    """A world has nothing to measure against."""


@dataclass(frozen=True)
class Relevant:
    """What the users who are measured went on to like, and had not met before."""

    users: NDArray[np.int64]
    """[measured]: their numbers, ascending."""
    items: tuple[frozenset[int], ...]
    """[measured]: item numbers of each; none is empty."""
    left_out: int
    """Users with later ratings who are not measured: no history, or nothing liked that is new."""
    unseen: float
    """Share of the liked (user, item) pairs whose item nobody had rated in the history: what a
    recommender that learns from ratings alone cannot find."""


def relevant(folder: Path, at_least: float = 4.0, min_history: int = 1) -> Relevant:
    """What counts in a world folder: later ratings of `at_least` or more, of items that the user
    had not rated before, of users with at least `min_history` ratings in the history.

    NotSplit where the folder is no world, holds nothing later, or nobody is left to measure.
    """
    past, later = _table(folder, "history"), _table(folder, "later")
    users = int(max(past["user"].max(initial=-1), later["user"].max(initial=-1))) + 1
    known = set(zip(past["user"].tolist(), past["item"].tolist(), strict=True))
    watches = np.bincount(past["user"], minlength=users)
    rated = set(past["item"].tolist())
    liked: dict[int, set[int]] = {}
    for user, item, rating in zip(
        later["user"].tolist(), later["item"].tolist(), later["rating"].tolist(), strict=True
    ):
        if rating >= at_least and (user, item) not in known and watches[user] >= min_history:
            liked.setdefault(user, set()).add(item)
    if not liked:
        raise NotSplit(
            f"{folder}: nobody with {min_history} ratings before the split liked something new "
            f"after it (a rating of {at_least:g} or more). Split at another time, or ask for less"
        )
    measured = sorted(liked)
    pairs = [item for user in measured for item in liked[user]]
    return Relevant(
        users=np.array(measured, np.int64),
        items=tuple(frozenset(liked[user]) for user in measured),
        left_out=len(np.unique(later["user"])) - len(measured),
        unseen=sum(item not in rated for item in pairs) / len(pairs),
    )


def _table(folder: Path, name: str) -> dict[str, NDArray[Any]]:
    import pyarrow.parquet as pq

    if not (folder / "world.json").is_file():
        raise NotSplit(f"{folder} is no world folder. Make one: {SPLIT}")
    files = json.loads((folder / "world.json").read_text("utf-8")).get("files", {})
    if f"{name}.parquet" not in files:
        raise NotSplit(f"{folder} holds nothing to measure against. Split it by time: {SPLIT}")
    table = pq.ParquetFile(folder / f"{name}.parquet").read(columns=["user", "item", "rating"])
    return {column: table[column].to_numpy() for column in table.column_names}


@dataclass(frozen=True)
class Offline:
    """What one recommender's lists are worth; columns [measured]."""

    recommender: str
    k: int
    ndcg: Rows
    recall: Rows


def measure(log: RunLog, found: Relevant, k: int) -> Offline:
    """Measures of the first page of each user in the first round of a run with pages of k items.

    With h_r = 1 where the item at rank r (from 1) is relevant to the user, and n relevant items:
    DCG@k = sum over r <= k of h_r / log2(r + 1); NDCG@k = DCG@k / (the same with the first
    min(n, k) ranks relevant); recall@k = sum of h_r / n. A user without a list, or with one that
    failed, has 0 in both. Source: Järvelin and Kekäläinen (2002), with binary gains.
    """
    lists = first_pages(log)
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)
    ndcg, recall = np.zeros(len(found.users)), np.zeros(len(found.users))
    for row, (user, liked) in enumerate(zip(found.users.tolist(), found.items, strict=True)):
        hits = np.array([item in liked for item in lists.get(user, ())[:k]], np.bool_)
        ndcg[row] = discount[: len(hits)][hits].sum() / ideal[min(len(liked), k) - 1]
        recall[row] = hits.sum() / len(liked)
    return Offline(log.arms[0].recommender, k, ndcg, recall)


def first_pages(log: RunLog) -> dict[int, Sequence[int]]:
    """User -> item numbers of the first page that the recommender itself gave in round 1."""
    events = log.events
    first = (events.round == 1) & (events.step == 0) & (events.surface == Surface.FEED)
    pages = events.take(first & (events.kind == EventKind.PAGE) & events.own)
    shown = events.take((events.round == 1) & (events.step == 0) & events.own).of(EventKind.SHOWN)
    lists: dict[int, list[int]] = {user: [] for user in pages.user.tolist()}
    for user, item in zip(shown.user.tolist(), shown.item.tolist(), strict=True):
        if user in lists:
            lists[user].append(item)
    return dict(lists)


def mean_with_error(values: Rows) -> tuple[float, float]:
    """Mean over users, and half the width of its 95 % interval, 1.96 sd / sqrt(n): offline, users
    are independent of one another."""
    if len(values) < 2:
        return float(values.mean()), math.nan
    return float(values.mean()), float(1.96 * values.std(ddof=1) / math.sqrt(len(values)))
