"""Every metric by hand on six rows, and what holds for all of them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from recarena.evaluation.metrics import measures as metrics
from recarena.evaluation.metrics.measures import METRICS, measure_all
from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.events import Outcome
from recarena.evaluation.runs.run_log import RunLog
from support.run_logs import event, page, run_log, visit, work

ENTER = Kind.ENTER_RECOMMENDER


@pytest.fixture
def visited(tmp_path: Path) -> RunLog:
    """Six rows: user 0 is shown items 0 and 1, watches 1 and rates it 4. User 1 stays away."""
    rows = visit(0, page(0, [0, 1], {1: 4}))
    assert len(rows) == 6
    return run_log(tmp_path / "r", rows)


@pytest.fixture
def failed(tmp_path: Path) -> RunLog:
    """Six rows: as before for user 0 with one item; the only list for user 1 came late."""
    rows = [
        *page(0, [2], {2: 5}),
        event(1, ENTER),
        *page(1, [0], {0: 1}, outcome=Outcome.LATE)[:2],
    ]
    assert len(rows) == 6
    return run_log(tmp_path / "r", rows)


def test_watch_rate_is_watches_per_exposure_of_each_user_then_the_mean(tmp_path: Path):
    # user 0: 1 of 2; user 1: 0 of 1
    rows = [*page(0, [0, 1], {1: 4}), *page(1, [2])]
    assert len(rows) == 6
    assert metrics.watch_rate(run_log(tmp_path / "r", rows)) == (1 / 2 + 0 / 1) / 2


def test_a_user_who_saw_no_page_is_not_in_the_watch_rate(visited: RunLog):
    assert metrics.watch_rate(visited) == 1 / 2


def test_a_user_whose_only_page_failed_stays_in_the_watch_rate(failed: RunLog):
    # user 0: 1 of 1; user 1: an empty page of the recommender
    assert metrics.watch_rate(failed) == (1 + 0) / 2


def test_watches_on_a_fallback_page_are_never_credited(tmp_path: Path):
    rows = visit(0, page(0, [0, 1], {1: 4}, outcome=Outcome.FAILED))
    log = run_log(tmp_path / "r", rows)
    assert metrics.watch_rate(log) == 0
    assert metrics.watches_per_user_round(log) == 0
    assert math.isnan(metrics.satisfaction(log))
    assert metrics.coverage(log) == 0
    assert metrics.exit_depth(log) == 0


def test_watches_per_user_round_counts_users_who_stayed_away(tmp_path: Path):
    # one watch, two users, three rounds
    log = run_log(tmp_path / "r", visit(0, page(0, [0, 1], {1: 4})), rounds=3)
    assert metrics.watches_per_user_round(log) == 1 / (2 * 3)


def test_satisfaction_is_the_mean_of_the_ratings_that_were_given(tmp_path: Path):
    rows = page(0, [0, 1, 2], {0: 2, 1: 5})
    assert len(rows) == 6
    assert metrics.satisfaction(run_log(tmp_path / "r", rows)) == (2 + 5) / 2
    unrated = page(0, [0, 1, 2], {0: 2, 1: 0})
    assert metrics.satisfaction(run_log(tmp_path / "unrated", unrated)) == 2


def test_exit_depth_is_pages_per_visit(tmp_path: Path):
    # user 0 sees two pages, user 1 none: 2 pages in 2 visits
    rows = [*visit(0, page(0, []), page(0, [], step=1)), event(1, ENTER)]
    assert len(rows) == 6
    assert metrics.exit_depth(run_log(tmp_path / "r", rows)) == 2 / 2


def test_a_page_that_failed_adds_no_depth_and_its_visit_counts(tmp_path: Path):
    rows = visit(0, page(0, [], outcome=Outcome.REJECTED), page(0, [3], step=1))
    assert len(rows) == 6
    assert metrics.exit_depth(run_log(tmp_path / "r", rows)) == 1 / 1


def test_searches_per_visit(tmp_path: Path):
    # one search in two visits
    rows = [*visit(0, page(0, []), last=Kind.SEARCH), *visit(1, page(1, []))]
    assert len(rows) == 6
    assert metrics.searches_per_visit(run_log(tmp_path / "r", rows)) == 1 / 2


def test_coverage_is_distinct_items_shown_per_catalogue(visited: RunLog):
    assert metrics.coverage(visited) == 2 / 4


def test_gini_counts_items_that_were_never_shown(tmp_path: Path):
    # exposures 3, 1, 0, 0 of items 0, 1, 2, 3; sorted 0, 0, 1, 3:
    # (-3*0 - 1*0 + 1*1 + 3*3) / (4 * 4) = 10 / 16
    rows = [*page(0, [0, 1]), *page(0, [0], step=1), event(0, Kind.SHOWN, item=0, step=1)]
    assert len(rows) == 6
    assert metrics.gini(run_log(tmp_path / "r", rows)) == 10 / 16


def test_gini_is_zero_when_all_items_are_shown_alike(tmp_path: Path):
    assert metrics.gini(run_log(tmp_path / "r", page(0, [3, 1, 0, 2]))) == 0


def test_mean_popularity_rank_shares_ranks_between_equals(tmp_path: Path):
    # watches before the run 8, 4, 4, 1: ranks 1, 2.5, 2.5, 4
    rows = [*page(0, [0, 1]), *page(1, [2, 3])]
    assert len(rows) == 6
    log = run_log(tmp_path / "r", rows)
    assert metrics.mean_popularity_rank(log) == (1 + 2.5 + 2.5 + 4) / 4
    only = run_log(tmp_path / "only", page(0, [1, 3]))
    assert metrics.mean_popularity_rank(only) == (2.5 + 4) / 2


def test_latency_is_a_percentile_of_the_works(tmp_path: Path):
    works = [work(ms) for ms in (10, 20, 30, 40, 50, 110)]
    log = run_log(tmp_path / "r", [], works)
    assert metrics.latency_p50_ms(log) == 35
    # position 0.95 * 5 = 4.75 from 0: 50 + 0.75 * 60
    assert metrics.latency_p95_ms(log) == pytest.approx(95)
    assert metrics.latency_p99_ms(log) == pytest.approx(50 + 0.95 * 60)


def test_failure_rates_are_per_page(tmp_path: Path):
    outcomes = [
        Outcome.ACCEPTED, Outcome.LATE, Outcome.LATE, Outcome.REJECTED, Outcome.FAILED,
        Outcome.LOST,
    ]  # fmt: skip
    rows = [row for step, one in enumerate(outcomes) for row in page(0, [], step=step, outcome=one)]
    assert len(rows) == 6
    log = run_log(tmp_path / "r", rows)
    assert metrics.late_rate(log) == 2 / 6
    assert metrics.rejected_rate(log) == 1 / 6
    assert metrics.failed_rate(log) == 1 / 6
    assert metrics.lost_rate(log) == 1 / 6
    assert metrics.unusable_rate(log) == 5 / 6


def test_violations_are_per_list_asked_for(tmp_path: Path):
    works = [
        work(lists=2, violations=3), work(lists=1), work(lists=1, outcome="late"),
        work(lists=2), work(lists=3, violations=1), work(lists=1),
    ]  # fmt: skip
    assert metrics.violations_per_list(run_log(tmp_path / "r", [], works)) == 4 / 10


def test_a_metric_of_an_arm_is_that_of_its_users_alone(tmp_path: Path):
    rows = [*page(0, [0, 1], {1: 4}), *page(1, [2])]
    works = [work(10, arm="a"), work(90, arm="b", violations=2)]
    log = run_log(tmp_path / "r", rows, works, arm_of_user=("a", "b"), rounds=1)
    assert metrics.watch_rate(log, "a") == 1 / 2
    assert metrics.watch_rate(log, "b") == 0
    assert metrics.watches_per_user_round(log, "a") == 1
    assert metrics.coverage(log, "b") == 1 / 4
    assert metrics.latency_p50_ms(log, "b") == 90
    assert metrics.violations_per_list(log, "b") == 2


def test_where_nothing_happened_there_is_no_value_and_no_warning(tmp_path: Path):
    values = measure_all(run_log(tmp_path / "r", [], rounds=0))
    assert values.pop("coverage") == 0
    assert all(math.isnan(value) for value in values.values())


def test_every_metric_has_a_name_of_its_own_and_says_what_it_is():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.measure.__name__ == metric.name
        assert metric.measure.__doc__
