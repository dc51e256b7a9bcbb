"""The models of als, bpr, sequential and bandit find what was planted, and solve what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recarena.client import Catalog
from recarena.recommenders import bandit, sequential
from recarena.recommenders.als import RIDGE, Als
from recarena.recommenders.bandit import Bandit
from recarena.recommenders.bpr import Bpr
from recarena.recommenders.ease import RIDGE as EASE_RIDGE
from recarena.recommenders.factors import products
from recarena.recommenders.keyed import normals
from recarena.recommenders.sequential import Sequential
from recarena.v1.types_pb2 import Interaction, Item
from support.recommender_worlds import (
    IMPRESSION,
    RATE,
    SMALL_USERS,
    VIEW,
    columns,
    info,
    lists,
    small_world,
    taught,
)

RING = 12


def begun(recommender, items: list[Item], users: int):
    recommender.start(info(Catalog.of("v", items), users))
    return recommender


def films(count: int) -> list[Item]:
    return [Item(item_id=f"i{n}", title=f"Film {n}") for n in range(count)]


# ------------------------------------------------------------------------------------------ factors
def test_als_solves_for_each_user_what_the_paper_says():
    planted, rounds = small_world()
    als = taught(Als, planted, rounds, columns)
    factors = als._items.astype(float)
    confidences = als._confidences.toarray().astype(float)
    for row in range(als.row_count):
        weights = np.where(confidences[row], np.abs(confidences[row]), 1)
        system = factors.T @ (weights[:, None] * factors) + RIDGE * np.eye(factors.shape[1])
        wanted = factors.T @ np.maximum(confidences[row], 0)
        assert als._tastes[row] == pytest.approx(np.linalg.solve(system, wanted), abs=1e-4)


@pytest.mark.parametrize("kind", [Als, Bpr])
def test_a_user_who_came_after_the_training_is_placed_by_what_she_watched(kind):
    """Two camps of items; the newcomer's few watches are too few to train again."""
    rows = [(user, item, RATE, 5.0) for user in range(60) for item in range(20)
            if (user + item) % 2 == 0 and (user // 2 + item // 2) % 5]  # fmt: skip
    recommender = begun(kind(), films(20), 70)
    recommender.feedback_columns(columns(0, rows))
    recommender.ready(1)
    trained_on = recommender._trained_on
    recommender.feedback_columns(columns(1, [(65, 3, RATE, 5.0), (65, 7, RATE, 5.0)]))
    recommender.ready(2)
    assert recommender._trained_on == trained_on
    assert {item % 2 for item in lists(recommender, 70)[65].tolist()} == {1}


def test_bpr_ranks_what_was_liked_above_what_was_not_seen():
    planted, rounds = small_world()
    bpr = taught(Bpr, planted, rounds, columns)
    scores = bpr.personal(np.arange(bpr.row_count, dtype=np.int32))
    liked = bpr._liked[: bpr.row_count].toarray() > 0
    unseen = np.ones(liked.shape, bool)
    unseen[bpr.watched.rows, bpr.watched.items] = False
    right = [
        (scores[row][liked[row]][:, None] > scores[row][unseen[row]]).mean()
        for row in range(bpr.row_count)
        if liked[row].any()
    ]
    assert np.mean(right) > 0.75


def test_with_nothing_but_dislikes_there_is_no_error():
    for kind in (Als, Bpr, Sequential):
        recommender = begun(kind(), films(8), 3)
        recommender.feedback_columns(columns(0, [(0, 1, RATE, 1.0)]))
        recommender.ready(1)
        page = lists(recommender, 3)[0].tolist()
        assert len(set(page) - {1}) == len(page)


def test_products_have_the_same_bits_in_any_company():
    rng = np.random.default_rng(1)
    left, right = (rng.normal(size=shape).astype(np.float32) for shape in ((150, 17), (17, 41)))
    whole = products(left, right)
    assert np.allclose(whole, left @ right, atol=1e-4)
    for rows in ([3], [149, 3, 70], list(range(100, 0, -1))):
        assert (products(left[rows], right) == whole[rows]).all()


# ---------------------------------------------------------------------------------------- sequences
@pytest.mark.parametrize("step", [1, -1])
def test_the_item_that_always_comes_next_comes_first(step: int):
    """Users walk around a ring of items: the sets of what they watch are the same both ways."""
    recommender = begun(Sequential(), films(RING), RING)
    walks = [(user, (user + step * at) % RING, VIEW, math.nan)
             for at in range(4) for user in range(RING)]  # fmt: skip
    recommender.feedback_columns(columns(0, walks))
    recommender.ready(1)
    first = lists(recommender, RING)[:, 0]
    assert first.tolist() == [(user + 4 * step) % RING for user in range(RING)]


def test_an_item_watched_again_counts_as_of_then():
    recommender = begun(Sequential(), films(RING), 2)
    for round, item in enumerate((3, 5, 7, 3)):
        recommender.feedback_columns(columns(round, [(0, item, VIEW, math.nan)]))
        recommender.ready(round + 1)
    order = recommender.watched.items[np.argsort(recommender._places)]
    assert order.tolist() == [5, 7, 3]
    weights = recommender.weights() / recommender.GAIN
    fading = (1 - sequential.FLOOR) * np.exp(-np.array([0, 2, 1]) / sequential.FADING)
    assert weights == pytest.approx(sequential.FLOOR + fading)


def test_the_sequential_model_is_where_its_objective_is_flat():
    planted, rounds = small_world()
    model = taught(Sequential, planted, rounds[:1], columns)
    share, found = sequential.SHARE, model._relations.astype(float)
    given = model._matrix(model.watched.items, model._found).toarray().astype(float)
    before, then = (part.toarray() for part in model._steps())
    curvature = share * given.T @ given + (1 - share) * before.T @ before
    ridge = EASE_RIDGE * np.trace(curvature) / len(curvature)
    wanted = share * given.T @ given + (1 - share) * before.T @ then
    slope = curvature @ found + ridge * found - wanted
    assert np.diagonal(found) == pytest.approx(0)
    off_diagonal = slope[~np.eye(len(slope), dtype=bool)]
    assert np.abs(off_diagonal).max() < 1e-4 * np.abs(wanted).max()


def test_steps_hold_what_came_before_each_watch():
    recommender = begun(Sequential(), films(4), 2)
    rows = [(0, 2, VIEW, math.nan), (1, 3, VIEW, math.nan), (0, 0, VIEW, math.nan)]
    recommender.feedback_columns(columns(0, [*rows, (0, 1, VIEW, math.nan)]))
    recommender.ready(1)
    before, then = recommender._steps()
    one, faded = recommender.WATCHED, recommender.WATCHED * np.exp(-1 / sequential.FADING)
    assert (then.toarray() > 0).argmax(axis=1).tolist() == [2, 0, 1, 3]
    assert before.toarray() == pytest.approx(
        np.array([[0, 0, 0, 0], [0, 0, one, 0], [one, 0, faded, 0], [0, 0, 0, 0]])
    )


# ------------------------------------------------------------------------------------------- bandit
def colours(count: int) -> list[Item]:
    kinds = ("Comedy", "Horror", "War", "Western")
    return [Item(item_id=f"i{n}", title=f"F{n}", categories=[kinds[n % 4]]) for n in range(count)]


def shown(recommender, users: int, taken) -> list:
    """Feedback on the pages of the open round: all that `taken(user, item)` says is watched."""
    pages = lists(recommender, users)
    return [
        (user, item, VIEW if taken(user, item) else IMPRESSION, math.nan)
        for user in range(users)
        for item in pages[user].tolist()
    ]


def test_the_bandit_learns_which_genre_is_taken():
    recommender = begun(Bandit(), colours(200), 30)
    for round in range(1, 6):
        recommender.ready(round)
        rows = shown(recommender, 30, lambda _, item: item % 4 == 1)
        recommender.feedback_columns(columns(round, rows))
    assert np.mean([item % 4 == 1 for _, item, _, _ in rows]) > 0.9  # by chance 0.25
    names = recommender._names
    of_genres = recommender._mean[bandit.ITEM_FEATURES : bandit.ITEM_FEATURES + len(names)]
    assert names[int(np.argmax(of_genres))] == "Horror"


def test_the_bandit_learns_to_give_each_user_her_own_genre():
    recommender = begun(Bandit(), colours(400), 40)
    for round in range(1, 9):
        recommender.ready(round)
        rows = shown(recommender, 40, lambda user, item: item % 4 == user % 4)
        recommender.feedback_columns(columns(round, rows))
    assert np.mean([item % 4 == user % 4 for user, item, _, _ in rows]) > 0.6  # by chance 0.25


def test_the_bandits_mean_is_a_ridge_regression_on_all_that_was_shown():
    planted, rounds = small_world()
    recommender = Bandit()
    recommender.start(planted.run_info())
    examples, rewards = [], []
    for round, rows in enumerate(rounds):
        users, items, kinds, _ = (np.array(column) for column in zip(*rows, strict=True))
        if round:
            known = recommender.users.rows(users.astype(np.int32))
            examples.append(recommender._examples(known, items.astype(np.int32)))
            rewards.append(kinds != Interaction.TYPE_IMPRESSION)
        recommender.feedback_columns(columns(round, rows))
        recommender.ready(round + 1)
    shown, taken = np.concatenate(examples), np.concatenate(rewards)
    system = shown.T @ shown + bandit.RIDGE * np.eye(shown.shape[1])
    assert recommender._mean == pytest.approx(np.linalg.solve(system, shown.T @ taken), abs=1e-5)
    spread = recommender._spread.astype(float) / bandit.DARING
    assert spread.T @ spread == pytest.approx(np.linalg.inv(system), abs=1e-5)


def test_history_tells_the_bandit_nothing_of_what_was_passed_over():
    planted, rounds = small_world()
    recommender = taught(Bandit, planted, rounds[:1], columns)
    assert not recommender._rewards.any()
    assert recommender._tally[1].sum() > 0
    assert recommender._profiles.any()


def test_the_bandits_draws_differ_by_user_round_and_seed_and_by_nothing_else():
    planted, rounds = small_world()

    def pages(seed: int, last: int) -> np.ndarray:
        recommender = taught(lambda: Bandit(seed), planted, rounds, columns)
        recommender.ready(last)
        return lists(recommender, SMALL_USERS)

    once = pages(1, 4)
    assert len({tuple(page) for page in once.tolist()}) > SMALL_USERS / 2
    assert (once == pages(1, 4)).all()
    for other in (pages(1, 5), pages(2, 4)):
        assert (once == other).mean() < 0.5


def test_drawn_numbers_are_normal_and_independent():
    with np.errstate(over="ignore"):
        drawn = normals(np.arange(20_000, dtype=np.uint64) * np.uint64(7919), 6)
    assert np.abs(drawn.mean(axis=0)).max() < 4 / np.sqrt(20_000)
    covariance = np.cov(drawn.T)
    assert np.abs(covariance - np.eye(6)).max() < 0.05
    inside = (np.abs(drawn) < 1.96).mean()
    assert inside == pytest.approx(0.95, abs=0.005)
