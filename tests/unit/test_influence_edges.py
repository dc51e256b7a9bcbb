"""Hearers of planted edges against those of null edges, on posts counted by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from recarena.evaluation.influence.edges import edge_uplift
from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.run_log import RunLog
from support.made_logs import made_log
from support.run_logs import Row, event, page

SPEAKER, HEARER, CONTROL = 0, 1, 2


def post(item: int, round: int, value: float = 1.0) -> Row:
    return event(SPEAKER, Kind.POST, item=item, round=round, value=value)


def watch(user: int, item: int, round: int) -> list[Row]:
    return page(user, [item], {item: 4.0}, round=round)


def log(rows: list[Row], seed: int = 1, **more: Any) -> RunLog:
    made = made_log(
        sorted(rows, key=lambda row: int(str(row["round"]))), rounds=6, seed=seed,
        arm_of_user=["a"] * 3, popularity=[1] * 6, genres=[["A"]] * 6, **more,
    )  # fmt: skip
    edges = {"planted": [[SPEAKER, HEARER]], "null": [[SPEAKER, CONTROL]]}
    made.manifest["dataset"]["origin"]["planted"] = {"edges": edges}
    return made


def shares(*rows: list[Row], **more: Any) -> tuple[float, float, int]:
    found = edge_uplift([log([row for some in rows for row in some], **more)])
    return found.planted.mean, found.null.mean, found.posts


def test_six_posts_by_hand():
    rows = [post(item, 1) for item in range(4)]
    assert shares(
        rows,
        watch(HEARER, 0, 2),  # in time
        watch(HEARER, 1, 4),  # in time: 3 rounds later
        watch(HEARER, 2, 5),  # too late
        watch(CONTROL, 3, 3),
        [post(4, 4), post(5, 2, value=0.0)],  # too near the end; not praised
        watch(HEARER, 4, 5), watch(HEARER, 5, 3),
    ) == (2 / 4, 1 / 4, 4)  # fmt: skip


def test_a_post_counts_once_and_only_where_neither_hearer_had_watched_by_then():
    again = [post(0, 1), post(0, 3)]
    assert shares(again, watch(HEARER, 0, 5)) == (0, 0, 1)  # 4 rounds after the first
    one = [post(1, 2)]
    assert shares(one, again, watch(CONTROL, 0, 1), watch(HEARER, 0, 2)) == (0, 0, 1)
    assert shares(one, again, history=[(HEARER, 0, 4.0)]) == (0, 0, 1)


def test_uplift_is_paired_by_world_and_a_world_without_a_post_is_left_out():
    worlds = [
        log([post(0, 1), *watch(HEARER, 0, 2)], seed=1),
        log([post(0, 1), *watch(CONTROL, 0, 2), *watch(HEARER, 0, 3)], seed=2),
        log([], seed=3),
    ]
    found = edge_uplift(worlds)
    assert (found.uplift.mean, found.uplift.worlds, found.posts) == (0.5, 2, 2)
    assert (found.planted.mean, found.null.mean) == (1, 0.5)
    assert math.isnan(edge_uplift(worlds[2:]).uplift.mean)


@pytest.mark.parametrize("within", [1, 2])
def test_how_long_one_waits_can_be_said(within: int):
    made = log([post(0, 1), *watch(HEARER, 0, 3)])
    assert edge_uplift([made], within=within).planted.mean == (within == 2)
