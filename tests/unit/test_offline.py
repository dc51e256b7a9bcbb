"""Offline measures on rows that were worked out by hand, and the agreement of two orders."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from recarena.evaluation.offline.agreement import agreement, tau_b
from recarena.evaluation.offline.measures import (
    NotSplit,
    Relevant,
    first_pages,
    mean_with_error,
    measure,
    relevant,
)
from recarena.evaluation.runs.events import Outcome
from recarena.evaluation.runs.run_log import RunLog
from recarena.server.datasets.generate import generate_world
from recarena.server.datasets.world_data import History, WorldData
from recarena.server.datasets.world_folder import save_world
from support.run_logs import page, visit, write_run


def history(*rows: tuple[int, int, float]) -> History:
    user, item, rating = zip(*rows, strict=True)
    times = np.arange(len(rows), dtype=np.int64)
    return History(
        np.array(user, np.int32), np.array(item, np.int32), np.array(rating, np.float32), times
    )


def world(tmp_path: Path, past: History, later: History) -> Path:
    made = generate_world(4, seed=1, history_per_user=0)
    split = WorldData(
        made.name, made.catalog, made.population, made.network, past, made.origin, later
    )
    save_world(split, tmp_path / "world")
    return tmp_path / "world"


# ------------------------------------------------------------------------------ what counts
PAST = history((0, 0, 5), (0, 1, 3), (1, 2, 4), (2, 0, 2))
LATER = history(
    (0, 1, 5),  # had been rated before
    (0, 2, 4),  # counts
    (0, 3, 3.5),  # was not liked
    (0, 9, 5),  # counts; nobody had rated it
    (1, 0, 4),  # counts
    (2, 5, 1),  # nothing liked
    (3, 0, 5),  # no history
)


def test_what_users_liked_later_and_had_not_met_counts(tmp_path: Path):
    found = relevant(world(tmp_path, PAST, LATER))
    assert found.users.tolist() == [0, 1]
    assert found.items == ({2, 9}, {0})
    assert found.left_out == 2
    assert found.unseen == pytest.approx(1 / 3)


def test_the_bounds_of_liking_and_of_a_history_can_be_set(tmp_path: Path):
    folder = world(tmp_path, PAST, LATER)
    assert relevant(folder, at_least=3.5).items[0] == {2, 3, 9}
    assert relevant(folder, min_history=0).users.tolist() == [0, 1, 3]
    assert relevant(folder, min_history=2).users.tolist() == [0]
    with pytest.raises(NotSplit, match="nobody with 3 ratings"):
        relevant(folder, min_history=3)


def test_a_world_without_a_split_and_what_is_no_world_are_refused_with_the_remedy(tmp_path: Path):
    save_world(generate_world(4, seed=1, history_per_user=2), tmp_path / "whole")
    with pytest.raises(NotSplit, match=r"holds nothing to measure against.*--fraction 0\.8"):
        relevant(tmp_path / "whole")
    with pytest.raises(NotSplit, match=r"is no world folder.*recarena world import"):
        relevant(tmp_path)


# ------------------------------------------------------------------------------ measures
def log(tmp_path: Path) -> RunLog:
    """User 0 is shown 3, 2, 1 and then 0; user 1 nothing, the recommender failed; user 2 is shown
    0 and 1; user 3 does not come."""
    events = [
        *visit(0, page(0, [3, 2, 1], {2: 4}), page(0, [0], step=1)),
        *visit(1, page(1, [2, 0, 1], outcome=Outcome.LATE)),
        *visit(2, page(2, [0, 1])),
    ]
    return RunLog.open(write_run(tmp_path / "run", events, arm_of_user=["a"] * 4))


def test_the_first_page_of_the_recommender_itself_is_the_list(tmp_path: Path):
    assert first_pages(log(tmp_path)) == {0: [3, 2, 1], 2: [0, 1]}


def test_ndcg_and_recall_are_as_worked_out_by_hand(tmp_path: Path):
    found = Relevant(
        users=np.array([0, 1, 2, 3]),
        items=(frozenset({2, 1, 0}), frozenset({2}), frozenset({1}), frozenset({0})),
        left_out=0,
        unseen=0,
    )
    got = measure(log(tmp_path), found, k=3)
    second, third = 1 / math.log2(3), 1 / 2
    assert got.recommender == "a"
    assert got.ndcg.tolist() == pytest.approx(
        [(second + third) / (1 + second + third), 0, second, 0]
    )
    assert got.recall.tolist() == pytest.approx([2 / 3, 0, 1, 0])
    shorter = measure(log(tmp_path / "again"), found, k=2)
    assert shorter.ndcg.tolist() == pytest.approx([second / (1 + second), 0, second, 0])
    assert shorter.recall.tolist() == pytest.approx([1 / 3, 0, 1, 0])


def test_the_mean_comes_with_the_width_of_its_interval():
    assert mean_with_error(np.array([0.0, 1.0])) == (
        0.5, pytest.approx(1.96 * math.sqrt(0.5) / math.sqrt(2)),
    )  # fmt: skip
    mean, half = mean_with_error(np.array([0.25]))
    assert mean == 0.25
    assert math.isnan(half)


# ------------------------------------------------------------------------------ agreement
def test_the_same_order_agrees_and_the_reverse_disagrees():
    a = [np.full(5, float(n)) for n in range(4)]
    assert (agreement(a, a).tau, agreement(a, a).low) == (1, 1)
    assert agreement(a, a[::-1]).tau == -1
    # One swap of neighbours among 4: 5 pairs agree, 1 does not.
    assert agreement(a, [a[0], a[1], a[3], a[2]]).tau == pytest.approx(4 / 6)
    assert agreement(a, a).p_value == pytest.approx(2 / 24)


def test_an_unsure_order_has_a_wide_interval_and_one_world_none():
    dice = np.random.default_rng(3)
    unsure = [dice.normal(0, 1, 20) + 0.05 * n for n in range(5)]
    sure = [np.full(20, float(n)) for n in range(5)]
    found = agreement(unsure, sure)
    assert found.low < found.tau <= found.high
    assert found.high - found.low > 0.3
    assert math.isnan(agreement(unsure, [one[:1] for one in sure]).low)
    assert agreement(unsure, sure) == found


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=8),
)
def test_tau_of_rows_is_that_of_the_library(pairs: list[tuple[int, int]]):
    a, b = (np.array(one, np.float64) for one in zip(*pairs, strict=True))
    (mine,) = tau_b(a[None], b[None])
    assert mine == pytest.approx(kendalltau(a, b).statistic, nan_ok=True)


def test_fewer_than_two_recommenders_have_no_order():
    with pytest.raises(ValueError, match="two recommenders"):
        agreement([np.zeros(3)], [np.zeros(3)])
