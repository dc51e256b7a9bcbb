"""What is on the lists and who is shown: every metric by hand on six rows."""

from __future__ import annotations

import math
from math import log, log2, sqrt

import numpy as np
import pytest

from recarena.evaluation.metrics import exposure, lists
from recarena.evaluation.metrics.exposure import Groups, NoGroups
from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.events import Outcome
from support.made_logs import made_log
from support.run_logs import Row, event, page

GROUPS = {"names": ["A", "B"], "of_item": [0, 0, 1, 1], "merit_of_item": [2.0, 1.0, 0.5, 0.5]}


def six_rows() -> list[Row]:
    """User 0 is shown items 0, 1, 2 (genres A, AB, B), user 1 item 3 (no genre)."""
    rows = [*page(0, [0, 1, 2]), *page(1, [3])]
    assert len(rows) == 6
    return rows


# ------------------------------------------------------------------ lists


def test_diversity_is_the_mean_distance_of_pairs_on_a_list():
    # cosines: A with AB 1/√2, A with B 0, AB with B 1/√2; the list of one item has no pairs
    expected = 2 / (3 * 2) * ((1 - 1 / sqrt(2)) + (1 - 0) + (1 - 1 / sqrt(2)))
    assert lists.intra_list_diversity(made_log(six_rows())) == pytest.approx(expected)


def test_diversity_is_a_mean_over_lists_whatever_their_length():
    # user 0: A and AB; user 1: A and B
    rows = [*page(0, [0, 1]), *page(1, [0, 2])]
    assert len(rows) == 6
    expected = ((1 - 1 / sqrt(2)) + 1) / 2
    assert lists.intra_list_diversity(made_log(rows)) == pytest.approx(expected)


def test_two_pages_of_one_user_are_two_lists():
    # A with B, then B with AB: not one list of four
    rows = [*page(0, [0, 2]), *page(0, [2, 1], step=1)]
    assert lists.intra_list_diversity(made_log(rows)) == pytest.approx((1 + 1 - 1 / sqrt(2)) / 2)


def test_an_item_without_genres_is_like_no_other():
    assert lists.intra_list_diversity(made_log(page(0, [3, 0]))) == 1


def test_without_genres_there_is_no_diversity_no_calibration_and_no_entropy():
    bare = made_log(six_rows(), genres=[(), (), (), ()], history=[(0, 0, 4)])
    for metric in (lists.intra_list_diversity, lists.calibration_divergence, lists.genre_entropy):
        assert math.isnan(metric(bare))


def test_novelty_is_the_self_information_of_what_is_shown():
    # watches before the run 8, 4, 4, 0: shares 9/20, 5/20, 5/20 and 1/20 for the unseen item
    expected = -(log2(9 / 20) + log2(5 / 20) + log2(5 / 20) + log2(1 / 20)) / 4
    made = made_log(six_rows(), popularity=(8, 4, 4, 0))
    assert lists.novelty(made) == pytest.approx(expected)
    assert made.p_train.sum() == pytest.approx(1)


def test_calibration_compares_a_users_genres_before_with_those_that_are_shown():
    # user 0 watched items 0 and 1: p = (3/4, 1/4), and is shown 0, 1, 2: q = (1/2, 1/2)
    # user 1 watched item 2 and is shown only what has no genre: left out
    made = made_log(six_rows(), history=[(0, 0, 5), (0, 1, 1), (1, 2, 3)])
    a, b = 0.99 / 2 + 0.01 * 3 / 4, 0.99 / 2 + 0.01 * 1 / 4
    expected = 3 / 4 * log(3 / 4 / a) + 1 / 4 * log(1 / 4 / b)
    assert lists.calibration_divergence(made) == pytest.approx(expected)


def test_a_genre_that_is_never_shown_costs_much_and_not_infinitely_much():
    made = made_log(page(0, [2]), history=[(0, 0, 5)])  # watched A, shown B
    assert lists.calibration_divergence(made) == pytest.approx(log(1 / 0.01))


def test_being_shown_what_one_watches_is_calibrated():
    made = made_log(page(0, [0, 1]), history=[(0, 1, 2), (0, 0, 5)])
    assert lists.calibration_divergence(made) == pytest.approx(0, abs=1e-12)


def test_genre_entropy_is_that_of_the_genres_each_user_is_shown():
    # user 0: A and AB: (3/4, 1/4); user 1: B: 0 bits
    rows = [*page(0, [0, 1]), *page(1, [2]), event(1, Kind.LEAVE)]
    assert len(rows) == 6
    expected = -(3 / 4 * log2(3 / 4) + 1 / 4 * log2(1 / 4))
    assert lists.genre_entropy(made_log(rows)) == pytest.approx((expected + 0) / 2)


def test_lists_that_failed_have_no_content():
    made = made_log(page(0, [0, 1, 2], outcome=Outcome.LATE), history=[(0, 0, 4)])
    for metric in (
        lists.intra_list_diversity, lists.novelty, lists.calibration_divergence,
        lists.genre_entropy, exposure.gini, exposure.average_popularity,
    ):  # fmt: skip
        assert math.isnan(metric(made))


# ------------------------------------------------------------------ exposure


def test_coverage_is_distinct_items_shown_per_catalogue():
    rows = [*page(0, [0, 1]), *page(1, [1, 0])]
    assert len(rows) == 6
    assert exposure.coverage(made_log(rows)) == 2 / 4


def test_gini_counts_items_that_were_never_shown():
    # exposures 3, 1, 0, 0 of items 0, 1, 2, 3; sorted 0, 0, 1, 3:
    # (-3*0 - 1*0 + 1*1 + 3*3) / (4 * 4) = 10 / 16
    rows = [*page(0, [0, 1]), *page(0, [0], step=1), event(0, Kind.SHOWN, item=0, step=1)]
    assert len(rows) == 6
    assert exposure.gini(made_log(rows)) == 10 / 16


def test_gini_is_zero_when_all_items_are_shown_alike():
    assert exposure.gini(made_log(page(0, [3, 1, 0, 2]))) == 0


def test_mean_popularity_rank_shares_ranks_between_equals():
    # watches before the run 8, 4, 4, 1: ranks 1, 2.5, 2.5, 4
    assert exposure.mean_popularity_rank(made_log(six_rows())) == (1 + 2.5 + 2.5 + 4) / 4
    assert exposure.mean_popularity_rank(made_log(page(0, [1, 3]))) == (2.5 + 4) / 2


def test_average_popularity_is_a_mean_over_users_of_means_over_what_they_see():
    # watches before the run 8, 4, 4, 1: user 0 sees 8, 4, 4, user 1 sees 1
    expected = ((8 + 4 + 4) / 3 + 1) / 2
    assert exposure.average_popularity(made_log(six_rows())) == pytest.approx(expected)


def test_exposure_by_merit_weighs_ranks_and_compares_shares():
    # ranks 1, 2, 3 for items 0 (A), 1 (A), 2 (B), rank 1 for item 3 (B): exposure of
    # A: 1 + 1/log2(3); of B: 1/log2(4) + 1. Merits 3 and 1.
    made = made_log(six_rows(), groups=GROUPS)
    a, b = 1 + 1 / log2(3), 1 / log2(4) + 1
    found = exposure.exposure_by_merit(made, exposure.planted_groups(made))
    assert found == pytest.approx([a / (a + b) / (3 / 4), b / (a + b) / (1 / 4)])
    assert exposure.exposure_fairness(made) == pytest.approx((a / 3) / (b / 1))


def test_exposure_in_proportion_to_merit_is_fair():
    equal = GROUPS | {"merit_of_item": [1, 1, 1, 1]}
    made = made_log([*page(0, [0, 2]), *page(1, [3, 1])], groups=equal)
    assert exposure.exposure_fairness(made) == pytest.approx(1)


def test_a_group_that_is_never_shown_has_no_fairness_at_all():
    assert exposure.exposure_fairness(made_log(page(0, [0, 1]), groups=GROUPS)) == 0


def test_what_users_search_for_is_not_what_the_recommender_is_fair_with():
    # the feed shows one item of each group at rank 1; the search only group A
    searched = [row | {"surface": 3 * (row["kind"] == Kind.PAGE)} for row in page(0, [1], step=1)]
    rows = [*page(0, [0]), *searched, *page(1, [2])]
    assert len(rows) == 6
    equal = GROUPS | {"merit_of_item": [1, 1, 1, 1]}
    assert exposure.exposure_fairness(made_log(rows, groups=equal)) == pytest.approx(1)


def test_items_in_no_group_count_nowhere():
    groups = Groups(("A", "B"), np.array([0, -1, 1, -1]), np.array([1.0, 1.0]))
    found = exposure.exposure_by_merit(made_log(six_rows()), groups)
    assert found == pytest.approx([1 / (1 + 1 / 2) / (1 / 2), (1 / 2) / (1 + 1 / 2) / (1 / 2)])


def test_a_merit_of_nothing_is_refused():
    groups = Groups(("A", "B"), np.array([0, 0, 1, 1]), np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="above 0"):
        exposure.exposure_by_merit(made_log(six_rows()), groups)


def test_where_no_groups_are_planted_the_reason_is_told():
    made = made_log(six_rows())
    assert math.isnan(exposure.exposure_fairness(made))
    with pytest.raises(NoGroups, match="no groups of items are planted in the world made"):
        exposure.planted_groups(made)
