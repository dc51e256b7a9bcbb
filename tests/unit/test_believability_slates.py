"""Slates of held-out items among negatives, and what the ranking rules make of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recarena.evaluation.believability.asking import Condition, merged, read_answers
from recarena.evaluation.believability.choosing import auc
from recarena.evaluation.believability.people import People, read_people
from recarena.evaluation.believability.probe import lists_file
from recarena.evaluation.believability.slates import (
    POSITIVES,
    Negatives,
    make_slates,
    measured_users,
    stand_ins,
)
from recarena.evaluation.offline.measures import NotSplit
from recarena.evaluation.runs.events import Outcome
from recarena.evaluation.runs.run_log import RunLog
from recarena.server.datasets.generate import generate_world
from recarena.server.datasets.importing import import_world
from recarena.server.datasets.world_folder import save_world
from support.believing import people, planted_split
from support.data import movielens_100k
from support.run_logs import page, visit, write_run

CROWD = planted_split(40, 150, 3)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> People:
    folder = tmp_path_factory.mktemp("crowd") / "world"
    save_world(CROWD, folder)
    return read_people(folder)


@pytest.mark.parametrize("kind", Negatives)
@pytest.mark.parametrize("ratio", POSITIVES)
def test_a_slate_holds_later_items_and_so_many_that_the_user_never_rated(
    crowd: People, ratio: int, kind: Negatives
):
    users = measured_users(crowd, 1, 1, 500, 1)
    slates = make_slates(crowd, users, ratio, kind, 1, 1, 0)
    assert slates.items.shape == (40, POSITIVES[ratio] * (1 + ratio))
    assert slates.held_out.sum(axis=1).tolist() == [POSITIVES[ratio]] * 40
    for row, user in enumerate(users.tolist()):
        mine, true = slates.items[row], slates.held_out[row]
        assert len(set(mine.tolist())) == len(mine)
        assert set(mine[true].tolist()) <= set(crowd.later.item[crowd.later.user == user].tolist())
        assert not set(mine[~true].tolist()) & set(crowd.rated_by(user).tolist())


def test_popularity_cannot_tell_matched_negatives_and_can_tell_uniform_ones(crowd: People):
    """Users who go on to watch the famous: popularity tells it, until negatives are as famous."""
    famous = np.argsort(-crowd.counts)[:40]
    pairs = [(user, int(item)) for user in range(40) for item in famous[user % 5 :: 5]]
    later = [(*pair, 4.0) for pair in pairs if not crowd.known_before(*map(np.array, pair))]
    fans = dataclasses.replace(people(40, 150, [], later), past=crowd.past)
    users = np.unique(fans.later.user)

    def share(kind: Negatives) -> float:
        slates = make_slates(fans, users, 1, kind, 1, 1, 0)
        counts = fans.counts[slates.items]
        yes, no = counts[slates.held_out], counts[~slates.held_out & slates.there]
        above = (yes[:, None] > no[None]).mean() + (yes[:, None] == no[None]).mean() / 2
        return float(above)

    assert share(Negatives.UNIFORM) > 0.8
    assert share(Negatives.MATCHED) < share(Negatives.UNIFORM) - 0.15


@given(seed=st.integers(0, 1000), ratio=st.sampled_from(sorted(POSITIVES)))
@settings(max_examples=20, deadline=None)
def test_users_with_few_unrated_items_have_shorter_slates_of_the_same_ratio(seed: int, ratio: int):
    later = [(0, item, 4.0) for item in range(6)] + [(1, 0, 5.0)]
    few = people(2, 18, [(0, 17, 3.0), (1, 1, 2.0)], later)
    for kind in Negatives:
        slates = make_slates(few, np.array([0, 1]), ratio, kind, 1, seed, 0)
        true = slates.held_out.sum(axis=1)
        assert (slates.there.sum(axis=1) == true * (1 + ratio)).all()
        assert true[1] == 1
        assert (true >= 1).all()


def test_a_slate_is_drawn_for_each_user_number_and_seed_by_itself(crowd: People):
    users = measured_users(crowd, 1, 1, 500, 1)
    whole = make_slates(crowd, users, 1, Negatives.MATCHED, 1, 1, 0)
    alone = make_slates(crowd, users[7:8], 1, Negatives.MATCHED, 1, 1, 0)
    assert np.array_equal(alone.items[0], whole.items[7])
    for other in ((2, 0), (1, 1)):
        again = make_slates(crowd, users, 1, Negatives.MATCHED, 1, *other)
        assert not np.array_equal(again.items, whole.items)


def test_the_order_of_a_slate_changes_with_the_repeat_and_says_nothing_about_what_is_true(
    crowd: People,
):
    users = measured_users(crowd, 1, 1, 500, 1)
    slates = make_slates(crowd, users, 1, Negatives.UNIFORM, 1, 1, 0)
    orders = [slates.in_order(1, repeat) for repeat in range(30)]
    for one in orders:
        assert np.array_equal(np.sort(one.items), np.sort(slates.items))
        for row in range(len(users)):
            true = set(slates.items[row][slates.held_out[row]])
            assert set(one.items[row][one.held_out[row]]) == true
    # 30 x 40 draws a place; its share of true items is one half, with an error of .015.
    assert np.abs(np.mean([one.held_out for one in orders], axis=(0, 1)) - 0.5).max() < 0.06


@given(users=st.sets(st.integers(0, 500), min_size=2, max_size=40), seed=st.integers(0, 99))
def test_everybody_is_replaced_by_somebody_else(users: set[int], seed: int):
    own = np.array(sorted(users))
    viewers = stand_ins(own, seed)
    assert sorted(viewers.tolist()) == own.tolist()
    assert not (viewers == own).any()
    assert np.array_equal(viewers, stand_ins(own, seed))


def test_one_user_has_nobody_to_change_places_with():
    with pytest.raises(ValueError, match="cannot change places"):
        stand_ins(np.array([3]), 1)


def test_measured_are_users_with_a_past_and_a_liked_new_item(tmp_path: Path):
    past = [(0, 0, 4), (0, 1, 3), (1, 0, 5), (2, 0, 1), (2, 1, 1)]
    crowd = people(4, 5, past, [(0, 2, 5), (1, 2, 5), (2, 3, 2), (3, 3, 5)])
    assert measured_users(crowd, 1, 1, 9, 1).tolist() == [0, 1, 2]
    assert measured_users(crowd, 3, 1, 9, 1).tolist() == [0, 1]
    assert measured_users(crowd, 1, 2, 9, 1).tolist() == [0, 2]
    assert len(measured_users(crowd, 1, 0, 2, 1)) == 2


def test_what_had_been_rated_before_is_not_held_out(tmp_path: Path):
    split = planted_split(6, 30, 1)
    again = dataclasses.replace(split, later=split.history)
    save_world(again, tmp_path / "again")
    assert len(read_people(tmp_path / "again").later) == 0


def test_a_world_without_a_later_part_is_refused_with_the_remedy(tmp_path: Path):
    save_world(generate_world(4, seed=1), tmp_path / "whole")
    with pytest.raises(NotSplit, match=r"nothing to measure against.*--fraction 0\.8"):
        read_people(tmp_path / "whole")
    with pytest.raises(NotSplit, match="no world folder"):
        read_people(tmp_path)


def test_on_movielens_popularity_tells_uniform_negatives_and_matched_ones_not(tmp_path: Path):
    save_world(import_world(movielens_100k(), train_fraction=0.8), tmp_path / "ml")
    known = read_people(tmp_path / "ml")
    users = measured_users(known, 1, 5, 500, 1)
    assert len(users) >= 97

    def share(kind: Negatives, ratio: int) -> float:
        slates = [make_slates(known, users, ratio, kind, 1, 1, number) for number in range(4)]
        grades = [np.where(s.there, known.counts[s.items], np.nan) for s in slates]
        found = [auc(one, s.held_out) for one, s in zip(grades, slates, strict=True)]
        return float(np.mean(found))

    assert share(Negatives.UNIFORM, 1) > 0.7
    for ratio in POSITIVES:
        assert abs(share(Negatives.MATCHED, ratio) - 0.5) < 0.025


# ------------------------------------------------------------------------------ asking


def test_answers_are_read_back_to_the_places_of_the_slate(tmp_path: Path):
    crowd = people(4, 4, [], [(0, 2, 5), (1, 0, 4)])
    slates = make_slates(crowd, np.array([0, 1]), 1, Negatives.UNIFORM, 1, 1, 0)
    # The owners' slates are shown to users 2 and 3; user 3's page failed.
    asked = Condition("x", slates, np.array([2, 3]), 1, tmp_path, 1)
    shown = slates.items[0, :2][::-1].tolist()
    events = [
        *visit(0, page(0, [0, 1], {1: 3})),  # nobody who was asked
        *visit(2, page(2, shown, {shown[1]: 5})),
        *visit(3, page(3, slates.items[1, :2].tolist(), outcome=Outcome.LATE)),
    ]
    log = RunLog.open(write_run(tmp_path / "run", events, arm_of_user=["a"] * 4))
    found = read_answers(asked, [log])
    assert found.shown[0].tolist() == [slates.there[0].tolist(), [False] * 10]
    assert found.place[0, 0, :2].tolist() == [1, 0]
    assert found.selected[0, 0, :2].tolist() == [True, False]
    assert found.rating[0, 0, 0] == 5
    assert np.isnan(found.rating[0, 1]).all()


def test_runs_of_a_condition_differ_in_seed_and_order_and_show_nothing_to_others(tmp_path: Path):
    save_world(CROWD, tmp_path / "world")
    crowd = read_people(tmp_path / "world")
    users = measured_users(crowd, 1, 1, 5, 1)
    slates = make_slates(crowd, users, 9, Negatives.MATCHED, 1, 1, 0)
    asked = Condition("nine", slates, users, 3, tmp_path / "world", 1, choice={"item": 7.0})
    bouts = asked.bouts(
        {"choice": {"taste": 0.5, "item": 1.0}, "visits": {"page_size": 3}}, tmp_path
    )
    assert [one.run_id for one in bouts] == ["nine-0", "nine-1", "nine-2"]
    assert len({one.seed for one in bouts}) == 3
    assert bouts[0].settings["choice"] == {
        "taste": 0.5, "item": 7.0, "active": 1000.0, "sociable": -1000.0, "conversation": -1000.0,
    }  # fmt: skip
    assert bouts[0].settings["visits"]["page_size"] == 11
    lists = [np.load(lists_file(tmp_path, one.run_id)) for one in bouts]
    assert not np.array_equal(lists[0], lists[1])
    others = np.setdiff1d(np.arange(40), users)
    assert (lists[0][others] == -1).all()
    assert np.array_equal(np.sort(lists[0][users]), np.sort(slates.items))


def test_conditions_that_share_their_draws_have_the_same_seeds_and_orders(tmp_path: Path):
    save_world(CROWD, tmp_path / "world")
    slates = make_slates(
        read_people(tmp_path / "world"), np.array([1]), 1, Negatives.UNIFORM, 1, 1, 0
    )
    up, down, alone = (
        Condition(name, slates, slates.users, 1, tmp_path / "world", 1, draws)
        for name, draws in (("up", "rated"), ("down", "rated"), ("alone", ""))
    )
    assert up.run_seed(0) == down.run_seed(0) != alone.run_seed(0)


def test_settings_are_merged_table_by_table():
    first = {"choice": {"taste": 1, "item": 2}, "seed": 1}
    assert merged(first, {"choice": {"item": 3}, "llm": {}}) == {
        "choice": {"taste": 1, "item": 3}, "seed": 1, "llm": {},
    }  # fmt: skip
    assert first == {"choice": {"taste": 1, "item": 2}, "seed": 1}
