"""What users do and how recommenders run: every metric by hand on six rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recarena.evaluation.metrics import operations, users
from recarena.evaluation.metrics.exposure import coverage
from recarena.evaluation.metrics.figures import figures
from recarena.evaluation.metrics.measures import METRICS, PRIMARY, measure_all
from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.events import Outcome
from recarena.evaluation.runs.run_log import RunLog
from support.made_logs import made_log
from support.run_logs import event, page, visit, work

ENTER = Kind.ENTER_RECOMMENDER


@pytest.fixture
def visited() -> RunLog:
    """Six rows: user 0 is shown items 0 and 1, watches 1 and rates it 4. User 1 stays away."""
    rows = visit(0, page(0, [0, 1], {1: 4}))
    assert len(rows) == 6
    return made_log(rows)


@pytest.fixture
def failed() -> RunLog:
    """Six rows: as before for user 0 with one item; the only list for user 1 came late."""
    rows = [
        *page(0, [2], {2: 5}),
        event(1, ENTER),
        *page(1, [0], {0: 1}, outcome=Outcome.LATE)[:2],
    ]
    assert len(rows) == 6
    return made_log(rows)


# ------------------------------------------------------------------ what users do


def test_watch_rate_is_watches_per_exposure_of_each_user_then_the_mean():
    # user 0: 1 of 2; user 1: 0 of 1
    rows = [*page(0, [0, 1], {1: 4}), *page(1, [2])]
    assert len(rows) == 6
    assert users.watch_rate(made_log(rows)) == (1 / 2 + 0 / 1) / 2


def test_a_user_who_saw_no_page_is_not_in_the_watch_rate(visited: RunLog):
    assert users.watch_rate(visited) == 1 / 2


def test_a_user_whose_only_page_failed_stays_in_the_watch_rate(failed: RunLog):
    # user 0: 1 of 1; user 1: an empty page of the recommender
    assert users.watch_rate(failed) == (1 + 0) / 2


def test_watches_on_a_fallback_page_are_never_credited():
    log = made_log(visit(0, page(0, [0, 1], {1: 4}, outcome=Outcome.FAILED)))
    assert users.watch_rate(log) == 0
    assert users.watches_per_user_round(log) == 0
    assert math.isnan(users.satisfaction(log))
    assert coverage(log) == 0
    assert users.exit_depth(log) == 0


def test_watches_per_user_round_counts_users_who_stayed_away():
    # one watch, two users, three rounds
    log = made_log(visit(0, page(0, [0, 1], {1: 4})), rounds=3)
    assert users.watches_per_user_round(log) == 1 / (2 * 3)


def test_satisfaction_is_the_mean_of_the_ratings_that_were_given():
    rows = page(0, [0, 1, 2], {0: 2, 1: 5})
    assert len(rows) == 6
    assert users.satisfaction(made_log(rows)) == (2 + 5) / 2
    assert users.satisfaction(made_log(page(0, [0, 1, 2], {0: 2, 1: 0}))) == 2


def test_exit_depth_is_pages_per_visit():
    # user 0 sees two pages, user 1 none: 2 pages in 2 visits; S(1) = 1/2, S(2) = 1/2
    rows = [*visit(0, page(0, []), page(0, [], step=1)), event(1, ENTER)]
    assert len(rows) == 6
    assert users.exit_depth(made_log(rows)) == 2 / 2
    assert users.depth_survival(made_log(rows)).tolist() == [1 / 2, 1 / 2]


def test_a_page_that_failed_adds_no_depth_and_its_visit_counts():
    rows = visit(0, page(0, [], outcome=Outcome.REJECTED), page(0, [3], step=1))
    assert len(rows) == 6
    assert users.exit_depth(made_log(rows)) == 1 / 1


def test_a_visit_whose_end_is_not_known_is_censored_where_it_is_last_seen():
    # user 0 leaves after 2 pages; user 1 asks for another after the first, which the log does not
    # have. S(1) = 1; at 1 both are there and none leaves: S(2) = 1, not 1/2.
    rows = visit(0, page(0, []), page(0, [], step=1)) + visit(1, page(1, []), last=Kind.NEXT)
    log = made_log(rows)
    assert figures(log, None).visits.cut.tolist() == [False, True]
    assert users.depth_survival(log).tolist() == [1, 1]
    assert users.exit_depth(log) == 2


def test_kaplan_meier_by_hand_on_six_visits():
    depth = np.array([0, 1, 1, 2, 2, 3])
    cut = np.array([False, False, True, False, False, False])
    # left after 0: 1 of 6; after 1: 1 of 5 (the one that was cut had got there); after 2: 2 of 3
    expected = [5 / 6, 5 / 6 * 4 / 5, 5 / 6 * 4 / 5 * 1 / 3]
    assert users.kaplan_meier(depth, cut) == pytest.approx(expected)
    # Nothing cut: the shares 5/6, 3/6, 1/6, which add up to the mean depth 9/6.
    whole = users.kaplan_meier(depth, np.zeros(6, bool))
    assert whole == pytest.approx([5 / 6, 3 / 6, 1 / 6])


def test_retention_is_the_share_of_visits_that_are_followed_by_one_in_the_next_round():
    # user 0 visits in rounds 1, 2, 3, user 1 in 1 and 3: of the visits in rounds 1 and 2 (three),
    # two are followed by another
    rows = [
        event(0, ENTER), event(1, ENTER), event(0, ENTER, round=2), event(1, Kind.IDLE, round=2),
        event(0, ENTER, round=3), event(1, ENTER, round=3),
    ]  # fmt: skip
    assert users.retention(made_log(rows, rounds=3)) == 2 / 3


def test_one_round_says_nothing_of_retention(visited: RunLog):
    assert math.isnan(users.retention(visited))


def test_searches_per_visit():
    # one search in two visits
    rows = [*visit(0, page(0, []), last=Kind.SEARCH), *visit(1, page(1, []))]
    assert len(rows) == 6
    assert users.searches_per_visit(made_log(rows)) == 1 / 2


def test_search_after_a_page_counts_visits_not_searches():
    # user 0 searches twice after a page, user 1 only opens with words: 1 of 2 visits
    rows = [
        event(0, ENTER), *page(0, []), event(0, Kind.SEARCH, step=0), event(0, Kind.SEARCH, step=1),
        event(1, ENTER), event(1, Kind.CONVERSE, step=0),
    ]  # fmt: skip
    assert len(rows) == 6
    log = made_log(rows)
    assert users.search_after_page_rate(log) == 1 / 2
    assert users.searches_per_visit(log) == 2 / 2


def test_a_search_before_any_page_of_the_visit_is_not_one_after_a_page():
    # the page before user 1's search is another user's, that before user 0's of another round
    rows = [
        *visit(0, page(0, [])), event(1, ENTER), event(1, Kind.SEARCH),
        event(0, ENTER, round=2), event(0, Kind.SEARCH, round=2),
    ]  # fmt: skip
    assert users.search_after_page_rate(made_log(rows, rounds=2)) == 0


# ------------------------------------------------------------------ operations


def test_latency_is_a_percentile_of_the_works():
    log = made_log([], [work(ms) for ms in (10, 20, 30, 40, 50, 110)])
    assert operations.latency_p50_ms(log) == 35
    # position 0.95 * 5 = 4.75 from 0: 50 + 0.75 * 60
    assert operations.latency_p95_ms(log) == pytest.approx(95)
    assert operations.latency_p99_ms(log) == pytest.approx(50 + 0.95 * 60)


def test_failure_rates_are_per_page():
    outcomes = [
        Outcome.ACCEPTED, Outcome.LATE, Outcome.LATE, Outcome.REJECTED, Outcome.FAILED,
        Outcome.LOST,
    ]  # fmt: skip
    rows = [row for step, one in enumerate(outcomes) for row in page(0, [], step=step, outcome=one)]
    assert len(rows) == 6
    log = made_log(rows)
    assert operations.late_rate(log) == 2 / 6
    assert operations.rejected_rate(log) == 1 / 6
    assert operations.failed_rate(log) == 1 / 6
    assert operations.lost_rate(log) == 1 / 6
    assert operations.unusable_rate(log) == 5 / 6


def test_what_was_wrong_with_lists_is_counted_by_cause_per_list_asked_for():
    works = [
        work(lists=2, unknown=3), work(lists=1), work(lists=1, outcome="late"),
        work(lists=2, duplicate=1, excluded=2), work(lists=3, short=2), work(lists=1, token=1),
    ]  # fmt: skip
    log = made_log([], works)
    assert operations.unknown_per_list(log) == 3 / 10
    assert operations.duplicate_per_list(log) == 1 / 10
    assert operations.excluded_per_list(log) == 2 / 10
    assert operations.short_rate(log) == 2 / 10
    assert operations.violations_per_list(log) == (3 + 1 + 2 + 2 + 1) / 10


def test_causes_that_were_not_kept_are_no_zeros():
    log = made_log([], [work(lists=2), work(lists=1) | {"violations": 3, "unknown": -1}])
    assert math.isnan(operations.unknown_per_list(log))
    assert operations.short_rate(log) == 0
    assert operations.violations_per_list(log) == 3 / 3


# ------------------------------------------------------------------ all of them


def test_a_metric_of_an_arm_is_that_of_its_users_alone():
    rows = [*page(0, [0, 1], {1: 4}), *page(1, [2])]
    works = [work(10, arm="a"), work(90, arm="b", unknown=1, short=1)]
    log = made_log(rows, works, arm_of_user=("a", "b"))
    assert users.watch_rate(log, "a") == 1 / 2
    assert users.watch_rate(log, "b") == 0
    assert users.watches_per_user_round(log, "a") == 1
    assert coverage(log, "b") == 1 / 4
    assert operations.latency_p50_ms(log, "b") == 90
    assert operations.violations_per_list(log, "b") == 2


def test_where_nothing_happened_there_is_no_value_and_no_warning():
    values = measure_all(made_log([], rounds=0))
    assert values.pop("coverage") == 0
    assert {name for name, value in values.items() if not math.isnan(value)} == set()


def test_every_metric_has_a_name_of_its_own_and_says_what_it_is():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert len({metric.heading for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.measure.__name__ == metric.name
        assert metric.measure.__doc__
        assert metric.meaning.endswith(".")
        assert metric.unit
        assert metric.missing


def test_each_metric_is_good_in_the_direction_that_its_meaning_has():
    lower = {"calibration_divergence", "gini"}  # and what is wrong with answers
    neither = {
        "searches_per_visit", "search_after_page_rate", "novelty", "genre_entropy",
        "mean_popularity_rank", "average_popularity",
    }  # fmt: skip
    for metric in METRICS:
        if metric.name in lower or metric.kind == "operations":
            assert metric.better == "lower", metric.name
        else:
            assert metric.better == ("neither" if metric.name in neither else "higher"), metric.name


def test_one_may_rank_by_what_users_do_and_by_nothing_else():
    by = {metric.name for metric in METRICS if metric.kind == "primary-able"}
    assert by == {
        "watch_rate", "watches_per_user_round", "satisfaction", "exit_depth", "retention",
    }  # fmt: skip
    assert all(metric.better == "higher" for metric in METRICS if metric.name in by)
    assert all(metric.better == "lower" for metric in METRICS if metric.kind == "operations")
    assert PRIMARY.name == "watch_rate"


def test_what_metrics_share_is_given_up_when_all_are_measured(visited: RunLog):
    measure_all(visited, "a")
    assert not visited.shared
