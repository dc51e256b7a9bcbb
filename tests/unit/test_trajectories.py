"""Metrics over rounds: by hand on six rows, and what ties them to the metrics of the whole run."""

from __future__ import annotations

import math
from dataclasses import replace
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recarena.evaluation.metrics.measures import METRICS
from recarena.evaluation.metrics.trajectories import TRAJECTORIES, by_round
from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.events import Outcome
from recarena.evaluation.runs.run_log import RunLog
from support.made_logs import made_log, random_log
from support.run_logs import event, page, visit
from support.thoroughness import thorough

MEASURES = {metric.name: metric.measure for metric in METRICS}
SEEDS = st.integers(0, 2**32)


def series(rows, metric: str, rounds: int = 2) -> list[float]:
    found = by_round(made_log(rows, rounds=rounds), None, metric)
    assert found.shape == (rounds,)
    return [float(value) for value in found]


def test_what_users_do_in_each_round_by_hand():
    # round 1: user 0 watches one of two and rates it 4; round 2: a page that came late
    rows = [
        *page(0, [0, 1], {1: 4}), *page(0, [], round=2, outcome=Outcome.LATE),
        event(1, Kind.IDLE, round=2),
    ]  # fmt: skip
    assert len(rows) == 6
    assert series(rows, "watch_rate") == [1 / 2, 0]
    assert series(rows, "watches_per_user_round") == [1 / 2, 0 / 2]
    assert series(rows, "satisfaction") == pytest.approx([4, math.nan], nan_ok=True)
    assert series(rows, "unusable_rate") == [0, 1]


def test_visits_in_each_round_by_hand():
    # round 1: user 0 sees two pages, user 1 none; round 2: only user 1 comes, to no page
    rows = [
        event(0, Kind.ENTER_RECOMMENDER), *page(0, []), *page(0, [], step=1), event(0, Kind.LEAVE),
        event(1, Kind.ENTER_RECOMMENDER), event(1, Kind.ENTER_RECOMMENDER, round=2),
    ]  # fmt: skip
    assert len(rows) == 6
    assert series(rows, "exit_depth") == [2 / 2, 0]
    assert series(rows, "retention") == pytest.approx([math.nan, 1 / 2], nan_ok=True)


def test_visits_of_unknown_ends_count_in_their_round():
    rows = visit(0, page(0, []), page(0, [], step=1)) + visit(1, page(1, []), last=Kind.NEXT)
    rows += visit(0, page(0, [], round=2), round=2)
    assert series(rows, "exit_depth", 3) == pytest.approx([2, 1, math.nan], nan_ok=True)


def test_what_is_shown_in_each_round_by_hand():
    # round 1: items 0 and 1 of genres A, AB; round 2: item 1 again, and user 1 sees 2 (B)
    rows = [*page(0, [0, 1]), *page(0, [1], round=2), *page(1, [2], round=2)]
    assert series(rows, "coverage") == [2 / 4, 3 / 4]
    # exposures 1, 1, 0, 0, then 0, 1, 1, 0
    assert series(rows, "gini") == [(1 * 1 + 3 * 1) / (4 * 2)] * 2
    # watches before the run 8, 4, 4, 1
    assert series(rows, "average_popularity") == [(8 + 4) / 2, (4 + 4) / 2]
    bits = [-log2(9 / 21), -log2(5 / 21)]
    assert series(rows, "novelty") == pytest.approx([sum(bits) / 2, bits[1]])
    both = -(3 / 4 * log2(3 / 4) + 1 / 4 * log2(1 / 4))
    assert series(rows, "genre_entropy") == pytest.approx([both, (1 + 0) / 2])
    assert series(rows, "intra_list_diversity") == pytest.approx(
        [1 - 1 / math.sqrt(2), math.nan], nan_ok=True
    )


def test_a_metric_without_a_trajectory_is_refused_with_those_that_have_one():
    with pytest.raises(KeyError, match=r"latency_p50_ms has no trajectory; these have: watch_rate"):
        by_round(made_log([]), None, "latency_p50_ms")


def test_every_trajectory_is_that_of_a_metric():
    assert set(TRAJECTORIES) <= set(MEASURES)


@pytest.mark.parametrize("metric", TRAJECTORIES)
def test_a_run_without_rounds_has_no_trajectory(metric: str):
    assert len(by_round(made_log([], rounds=0), None, metric)) == 0


@settings(deadline=None, max_examples=thorough(100, otherwise=20))
@given(SEEDS)
def test_a_round_has_the_value_that_a_run_of_that_round_alone_has(seed: int):
    log = random_log(seed)
    for metric in set(TRAJECTORIES) - {"coverage", "retention"}:
        found = by_round(log, None, metric)
        for number in range(1, log.rounds + 1):
            alone = only_round(log, number)
            assert found[number - 1] == pytest.approx(MEASURES[metric](alone, None), nan_ok=True)


@settings(deadline=None, max_examples=thorough(100, otherwise=20))
@given(SEEDS)
def test_coverage_grows_to_that_of_the_run_and_retention_weighs_to_it(seed: int):
    log = random_log(seed)
    covered = by_round(log, "a", "coverage")
    assert (np.diff(covered) >= 0).all()
    assert covered[-1] == pytest.approx(MEASURES["coverage"](log, "a"))
    visitors = np.array([
        len(set(log.events.user[(log.events.round == r) & (log.events.kind == 2)].tolist()))
        for r in range(1, log.rounds)
    ])  # fmt: skip
    back = np.nansum(by_round(log, "a", "retention")[1:] * visitors)
    expected = back / visitors.sum() if visitors.sum() else math.nan
    assert MEASURES["retention"](log, "a") == pytest.approx(expected, nan_ok=True)


def only_round(log: RunLog, number: int) -> RunLog:
    events = log.events.take(log.events.round == number)
    first = replace(events, round=np.ones(len(events), np.int32))
    return replace(log, events=first, rounds=1)
