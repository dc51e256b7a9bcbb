"""Measures of the believability card on cases that were worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import wasserstein_distance

from recarena.evaluation.believability.asking import Answers
from recarena.evaluation.believability.card import (
    BadCard,
    Interval,
    interval,
    ratio_interval,
    read_card,
    write_card,
)
from recarena.evaluation.believability.choosing import (
    auc,
    by_place,
    measures,
    of_mind,
    of_rule,
    scores,
    top_found,
)
from recarena.evaluation.believability.cocoon import (
    entropy,
    genre_shares,
    of_shown,
    of_watched,
    slope,
)
from recarena.evaluation.believability.conformity import conformity
from recarena.evaluation.believability.rating import (
    compare,
    rated_pairs,
    rated_slates,
    sd_ratio,
    wasserstein,
)
from recarena.evaluation.believability.verdict import (
    leak_gate,
    losses,
    margin_gate,
    skill_gate,
    verdict,
    yes_gate,
)
from recarena.evaluation.runs.run_log import RunLog
from support.believing import answers, people
from support.run_logs import page, visit, write_run

# Two users, slates of two held-out items and two others (user 1 has one of each). Two repeats.
ASKED = answers(
    [[4, 5, 6, 7], [5, 8, -1, -1]],
    [[1, 1, 0, 0], [1, 0, 0, 0]],
    [
        [[1, 1, 1, 0], [0, 1, 0, 0]],
        [[1, 0, 0, 0], [0, 0, 0, 0]],
    ],
)


# ------------------------------------------------------------------------------ choosing
def test_grades_are_shares_of_repeats():
    assert ASKED.grades[0].tolist() == [1, 0.5, 0.5, 0]
    assert ASKED.grades[1, :2].tolist() == [0, 0.5]
    assert np.isnan(ASKED.grades[1, 2:]).all()


def test_auc_counts_pairs_and_ties_by_halves():
    found = scores([of_mind(ASKED)])
    # User 0: 1 > .5, 1 > 0, .5 = .5, .5 > 0: 3.5 of 4. User 1: 0 < .5.
    assert found.auc.tolist() == [3.5 / 4, 0]


def test_auc_of_answers_given_once_is_half_of_one_plus_recall_minus_false_positives():
    once = answers([[0, 1, 2, 3]], [[1, 1, 0, 0]], [[[1, 0, 1, 0]]])
    assert scores([of_mind(once)]).auc.tolist() == [0.5]
    better = answers([[0, 1, 2, 3, 4]], [[1, 1, 0, 0, 0]], [[[1, 0, 0, 0, 1]]])
    assert scores([of_mind(better)]).auc[0] == pytest.approx((1 + 1 / 2 - 1 / 3) / 2)


@given(
    arrays(np.float64, (3, 6), elements=st.sampled_from([0.0, 0.5, 1.0])),
    arrays(np.bool_, (3, 6)),
)
def test_auc_is_that_of_the_rank_sum(grades: Any, held: Any):
    from scipy.stats import mannwhitneyu

    for row, value in enumerate(auc(grades, held)):
        yes, no = grades[row][held[row]], grades[row][~held[row]]
        if len(yes) and len(no):
            expected = mannwhitneyu(yes, no).statistic / (len(yes) * len(no))
            assert value == pytest.approx(expected)
        else:
            assert math.isnan(value)


def test_accuracy_precision_recall_f1_and_lift_are_as_by_hand():
    found = measures(scores([of_mind(ASKED)]))
    # User 0: right 3 of 4, then 3 of 4. User 1: right 0 of 2, then 1 of 2.
    assert found["accuracy"].mean == pytest.approx((3 / 4 + 1 / 4) / 2)
    # A repeat has (2 + 1)/2 found of (3 + 1)/2 chosen for user 0; 0 of 1/2 for user 1.
    assert found["precision"].mean == pytest.approx(1.5 / 2.5)
    assert found["recall"].mean == pytest.approx(1.5 / 3)
    assert found["f1"].mean == pytest.approx(2 * 1.5 / (2.5 + 3))
    # Precision over the share of true items: (1.5/2)/(1/2), 0/(1/2).
    assert found["lift"].mean == pytest.approx((1.5 + 0) / 2)
    assert found["selected"].mean == pytest.approx(2.5 / 6)


def test_recagents_test_takes_the_items_chosen_most_often_and_shares_ties():
    grades = np.array([[1, 0.5, 0.5, 0], [0, 0.5, np.nan, np.nan], [0, 0, 0, 0]])
    held = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]], np.bool_)
    # The first is in, one of the two halves comes second: (1 + 1/2) / 2. Of four equals one: 1/4.
    assert top_found(grades, held).tolist() == [0.75, 0, 0.25]


def test_who_chose_nothing_has_no_lift_and_counts_elsewhere():
    none = answers([[0, 1]] * 2, [[1, 0]] * 2, [[[0, 0], [1, 0]]])
    found = measures(scores([of_mind(none)]))
    assert found["lift"].n == 1
    assert found["lift"].mean == 2
    assert found["recall"].mean == 0.5
    assert found["accuracy"].mean == 0.75


def test_several_slates_of_a_user_are_one_value():
    once = answers([[0, 1]], [[1, 0]], [[[1, 0]]])
    again = answers([[2, 3]], [[1, 0]], [[[0, 1]]])
    found = scores([of_mind(once), of_mind(again)])
    assert found.auc.tolist() == [0.5]
    assert measures(found)["auc"].n == 1


def test_a_page_that_failed_is_not_an_answer():
    failed = Answers(
        ASKED.slates,
        np.stack([ASKED.shown[0], np.zeros_like(ASKED.shown[0])]),
        ASKED.selected & np.array([True, False])[:, None, None],
        ASKED.rating,
        ASKED.place,
    )
    found = scores([of_mind(failed)])
    once = scores([of_mind(answers(
        [[4, 5, 6, 7], [5, 8, -1, -1]], [[1, 1, 0, 0], [1, 0, 0, 0]],
        [[[1, 1, 1, 0], [0, 1, 0, 0]]],
    ))])  # fmt: skip
    for name in ("auc", "accuracy", "found", "chosen", "shown"):
        assert getattr(found, name).tolist() == getattr(once, name).tolist()


def test_a_rule_chooses_as_many_items_as_the_mind_and_the_best_first():
    wanted = np.array([[1, 4, 3, 2], [1, 2, 9, 9]], np.float64)
    rule = of_rule(ASKED, wanted, seed=1)
    assert rule.selected.astype(int).tolist() == [
        [[0, 1, 1, 1], [0, 1, 0, 0]],
        [[0, 1, 0, 0], [0, 0, 0, 0]],
    ]
    assert rule.grades[0].tolist() == [1, 4, 3, 2]
    assert np.isnan(rule.grades[1, 2:]).all()


def test_a_rule_chooses_among_equals_by_lot():
    many = answers([[0, 1]] * 400, [[1, 0]] * 400, [[[1, 0]] * 400])
    chosen = of_rule(many, np.ones((400, 2)), seed=1).selected
    assert 0.42 < chosen[0, :, 0].mean() < 0.58  # an error of .025
    assert (chosen.sum(axis=2) == 1).all()


def test_what_the_stranger_knew_is_left_out():
    left = ASKED.without(np.array([[True, False, False, False], [False, True, False, False]]))
    found = scores([of_mind(left)])
    # User 0: .5 = .5 and .5 > 0. User 1 has no negative any more.
    assert found.auc[0] == pytest.approx(0.75)
    assert math.isnan(found.auc[1])
    assert measures(found)["auc"].n == 1


# ------------------------------------------------------------------------------ places
def test_a_mind_that_takes_the_first_item_has_a_position_bias_and_a_steady_one_has_none():
    count = 60
    order = np.stack([np.random.default_rng(n).permutation(6) for n in range(count)])

    def asked(chosen: np.ndarray) -> Answers:
        whole = answers([list(range(6))] * 2, [[1, 0, 0, 0, 0, 0]] * 2, chosen.tolist())
        place = np.repeat(order[:, None], 2, axis=1)
        return Answers(whole.slates, whole.shown, whole.selected, whole.rating, place)

    first = by_place([asked(np.repeat((order == 0)[:, None], 2, axis=1))])
    assert first.selected.tolist() == [1, 0, 0, 0, 0, 0]
    assert first.top_to_bottom.mean == pytest.approx(0.5)
    assert first.slope.mean < -0.2
    steady = by_place([asked(np.broadcast_to(np.arange(6) == 2, (count, 2, 6)))])
    assert abs(steady.slope.mean) < 0.1
    assert steady.shown.tolist() == [2 * count] * 6


# ------------------------------------------------------------------------------ ratings
PAST = [(0, 0, 5.0), (0, 1, 3.0), (1, 0, 4.0), (1, 1, 2.0)]
LATER = [(0, 2, 5.0), (0, 3, 1.0), (1, 2, 3.0)]


def rated(given: float, repeats: int = 1) -> tuple[Any, Any]:
    crowd = people(2, 4, PAST, LATER)
    slates = rated_slates(crowd, np.array([0, 1]), 1)
    shape = (repeats, *slates.items.shape)
    shown = np.broadcast_to(slates.there, shape)
    rating = np.where(shown, given, np.nan)
    return crowd, Answers(slates, shown, shown, rating, np.where(shown, 0, -1))


def test_every_held_out_item_is_rated_once_a_repeat():
    crowd, asked = rated(4.0, repeats=2)
    pairs = rated_pairs(crowd, [asked])
    told = sorted(zip(pairs.user.tolist(), pairs.item.tolist(), pairs.person.tolist(), strict=True))
    assert told == sorted([(u, i, r) for u, i, r in LATER] * 2)


def test_errors_and_skill_are_as_by_hand():
    crowd, asked = rated(4.0)
    found = compare(crowd, rated_pairs(crowd, [asked]), 1)
    assert found is not None
    assert found.mind["mae"].mean == pytest.approx((1 + 3 + 1) / 3)
    assert found.mind["rmse"].mean == pytest.approx(math.sqrt((1 + 9 + 1) / 3))
    assert found.mind["bias"].mean == pytest.approx((-1 + 3 + 1) / 3)
    # The mean before the split is 3.5: off by 1.5, 2.5 and .5.
    assert found.rules["constant"]["mae"].mean == pytest.approx(4.5 / 3)
    assert found.skill["constant"].mean == pytest.approx(1 - 5 / 4.5)
    # User 0: (8 + 17.5) / 7, user 1: (6 + 17.5) / 7. Items 2 and 3 are new: the overall mean.
    user = [abs(25.5 / 7 - 5), abs(25.5 / 7 - 1), abs(23.5 / 7 - 3)]
    assert found.rules["user-mean"]["mae"].mean == pytest.approx(sum(user) / 3)
    assert found.rules["item-mean"]["mae"].mean == pytest.approx(4.5 / 3)
    assert found.shares["people"] == {"1": 1 / 3, "3": 1 / 3, "5": 1 / 3}
    assert found.shares["mind"] == {"4": 1.0}
    assert found.mind["sd_ratio"].mean == 0


def test_the_answers_themselves_are_a_leak_and_honest_ratings_none():
    crowd, asked = rated(4.0)
    exact = np.full(asked.rating.shape, np.nan)
    known = {(u, i): r for u, i, r in LATER}
    for row, user in enumerate(asked.slates.users.tolist()):
        for column, item in enumerate(asked.slates.items[row].tolist()):
            exact[0, row, column] = known.get((user, item), np.nan)
    copied = Answers(asked.slates, asked.shown, asked.selected, exact, asked.place)
    leaking = compare(crowd, rated_pairs(crowd, [copied]), 1)
    honest = compare(crowd, rated_pairs(crowd, [asked]), 1)
    assert leaking is not None
    assert honest is not None
    assert (leaking.leaks, honest.leaks) == (True, False)
    assert leaking.skill["constant"].mean == 1
    assert leaking.mind["wasserstein"].mean == 0
    assert leaking.mind["sd_ratio"].mean == 1


def test_without_a_rating_there_is_nothing_to_compare():
    crowd, asked = rated(float("nan"))
    assert compare(crowd, rated_pairs(crowd, [asked]), 1) is None


@given(
    st.lists(st.sampled_from([1.0, 2.5, 4.0, 5.0]), min_size=1, max_size=12),
    st.lists(st.sampled_from([1.0, 2.5, 4.0, 5.0]), min_size=1, max_size=12),
)
def test_the_distance_of_two_distributions_is_that_of_the_library(a: list[float], b: list[float]):
    grid = np.array([1.0, 2.5, 4.0, 5.0])

    def table(values: list[float]) -> np.ndarray:
        return np.array([[values.count(one) for one in grid]], np.float64)

    (mine,) = wasserstein(grid, table(a), table(b))
    assert mine == pytest.approx(wasserstein_distance(a, b), abs=1e-12)
    (ratio,) = sd_ratio(grid, table(a), table(b))
    if np.std(a):
        assert ratio == pytest.approx(np.std(b) / np.std(a))


# ------------------------------------------------------------------------------ cocoons
def test_entropy_is_that_of_shannon():
    found = entropy(np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 0.0], [3.0, 1.0]]))
    assert found.tolist() == pytest.approx(
        [math.log(2), 0, 0, -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))]
    )


def test_the_slope_is_that_of_least_squares_and_passes_over_gaps():
    assert slope(np.array([1.0, 2.0, 3.0])) == pytest.approx(1)
    assert slope(np.array([1.0, np.nan, 3.0, 5.0])) == pytest.approx(
        np.polyfit([0, 2, 3], [1, 3, 5], 1)[0]
    )
    assert math.isnan(slope(np.array([np.nan, 1.0])))


def log(tmp_path: Path, name: str, shown: list[list[int]], watched: bool = False) -> RunLog:
    """User 0 is shown one page a round, and watches all of it or nothing."""
    events = [
        row
        for round, items in enumerate(shown, 1)
        for row in visit(
            0, page(0, items, dict.fromkeys(items, 4.0) if watched else None, round=round),
            round=round,
        )
    ]  # fmt: skip
    made = write_run(tmp_path / name, events, arm_of_user=["a"], rounds=len(shown))
    return RunLog.open(made)


def test_a_recommender_that_narrows_makes_a_cocoon_and_the_steady_one_none(tmp_path: Path):
    genres = genre_shares(np.eye(4, dtype=np.bool_))
    narrow, steady = [[0, 1, 2, 3], [0, 1], [0]], [[0, 1, 2, 3]] * 3
    for watched, study in ((False, of_shown), (True, of_watched)):
        one = log(tmp_path, f"narrow-{watched}", narrow[: 2 if watched else 3], watched)
        other = log(tmp_path, f"steady-{watched}", steady[: 2 if watched else 3], watched)
        found = study([one], [other], genres)
        step = math.log(2) if watched else math.log(4) / 2
        assert found.personalised.mean == pytest.approx(-step)
        assert found.random.mean == pytest.approx(0)
        assert found.difference.mean == pytest.approx(-step)
        assert math.isnan(found.difference.low)  # one world
        assert found.entropy["random"] == pytest.approx([math.log(4)] * (2 if watched else 3))


# ------------------------------------------------------------------------------ conformity
def test_the_slope_of_conformity_is_the_change_of_ratings_over_that_of_displayed_means():
    up = answers([[0, 1]], [[1, 1]], [[[1, 1]]], 4.0)
    down = answers([[0, 1]], [[1, 1]], [[[1, 1]]], 4.0)
    up.rating[:] = [[[4, 2]]]
    down.rating[:] = [[[3, 3]]]
    shown = np.array([4.0, 3.0]), np.array([3.0, 4.0])
    found = conformity(1, shown, (up, down))
    assert found.slope.mean == 1
    assert (found.shift, found.pairs) == (1.0, 2)
    none = conformity(1, shown, (down, down))
    assert none.slope.mean == 0


# ------------------------------------------------------------------------------ the verdict
SURE = Interval(0.1, 0.05, 0.15, 30)
UNSURE = Interval(0.1, -0.1, 0.3, 30)
LOST = Interval(-0.2, -0.3, -0.1, 30)
UNKNOWN = Interval(math.nan, math.nan, math.nan, 0)


def test_a_margin_has_to_lie_above_nothing_as_a_whole():
    passed = [margin_gate("popularity", one).passed for one in (SURE, UNSURE, LOST, UNKNOWN)]
    assert passed == [True, False, False, None]
    assert margin_gate("popularity", LOST).text.startswith("LOSES to popularity")


def test_yes_ratings_and_leaks_have_their_limits():
    assert yes_gate(SURE, 9).passed
    assert not yes_gate(UNSURE, 9).passed
    assert [skill_gate(one).passed for one in (SURE, UNSURE, UNKNOWN)] == [True, False, None]
    assert leak_gate(Interval(0.9, 0.8, 1.0, 9), 0.55).passed
    assert not leak_gate(Interval(0.5, 0.4, 0.6, 9), 0.55).passed


def test_all_gates_have_to_be_passed_and_one_that_could_not_be_judged_is_not():
    good = [margin_gate("popularity", SURE), skill_gate(SURE)]
    assert verdict(good, [], [], "the mind", "data")["passed"]
    for last in (margin_gate("popularity", LOST), skill_gate(UNKNOWN)):
        assert not verdict([*good, last], [], [], "the mind", "data")["passed"]
    assert not verdict(good, [], ["it knows the titles"], "the mind", "data")["passed"]
    said = verdict(
        [margin_gate("popularity", LOST), yes_gate(UNSURE, 9)], [], [], "the mind", "data"
    )
    assert said["sentence"] == (
        "Not passed: of the mind on data, it does not beat popularity; it says yes too readily."
    )


def test_losing_to_popularity_on_either_kind_of_negatives_is_said_in_words():
    rows = [
        {"ratio": 1, "negatives": kind, "against": "popularity", "auc": value}
        for kind, value in (("uniform", LOST), ("matched", SURE))
    ]
    assert losses(rows) == [
        "LOSES to popularity on uniform negatives: AUC -0.200 (-0.300 to -0.100)"
    ]
    assert losses([{**rows[0], "ratio": 9}]) == []
    assert losses([{**rows[0], "auc": Interval(-0.02, -0.1, 0.06, 50)}]) == []


# ------------------------------------------------------------------------------ intervals, files
def test_an_interval_is_students_and_leaves_out_what_was_not_measured():
    found = interval(np.array([1.0, 2.0, 3.0, np.nan]))
    half = 4.302653 * 1 / math.sqrt(3)
    assert (found.mean, found.n) == (2, 3)
    assert (found.low, found.high) == (pytest.approx(2 - half), pytest.approx(2 + half))
    assert math.isnan(interval(np.array([1.0])).low)
    assert math.isnan(interval(np.array([np.nan])).mean)


def test_the_interval_of_a_ratio_covers_the_truth_in_nineteen_of_twenty():
    die = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        below = die.uniform(1, 3, 40)
        found = ratio_interval(0.4 * below + die.normal(0, 0.3, 40), below)
        hits += found.low <= 0.4 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_a_card_is_read_as_it_was_written_and_gaps_are_null(tmp_path: Path):
    made = {
        "format": "recarena-believability-card", "format_version": 1, "value": UNKNOWN,
        "number": np.float64(0.5), "missing": math.nan,
    }  # fmt: skip
    write_card(made, tmp_path / "card.json")
    read = read_card(tmp_path)
    assert read["value"] == {"mean": None, "low": None, "high": None, "n": 0, "unit": "user"}
    assert (read["number"], read["missing"]) == (0.5, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "there is no file"),
        ("{", "cannot be read"),
        ("[]", "is no believability card"),
        ('{"format": "recarena-run"}', "is no believability card"),
        (json.dumps({"format": "recarena-believability-card", "format_version": 9}), "Update"),
    ],
)
def test_what_is_no_card_is_refused_in_a_line(tmp_path: Path, text: str | None, says: str):
    file = tmp_path / "card.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadCard, match=says):
        read_card(file)
