"""Communities are islands: found where they were planted, apart, and filling a page."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recarena.observatory.communities import Ties, communities_of
from recarena.observatory.layout import ASPECT, Layout, layout_of


def planted(
    users: int, ties: int, communities: int, seed: int, inside: float = 0.85
) -> tuple[np.ndarray, Ties]:
    """Communities, and ties of which so many are inside one."""
    rng = np.random.default_rng(seed)
    community = np.sort(rng.integers(0, communities, users))
    order = rng.permutation(users)
    community = community[np.argsort(order)]
    members = [np.flatnonzero(community == one) for one in range(communities)]
    a = rng.integers(0, users, 3 * ties)
    within = np.array([rng.choice(members[community[one]]) for one in a])
    b = np.where(rng.random(len(a)) < inside, within, rng.integers(0, users, len(a)))
    pairs = np.unique(np.stack([np.minimum(a, b), np.maximum(a, b)], axis=1), axis=0)
    pairs = rng.permutation(pairs[pairs[:, 0] != pairs[:, 1]])[:ties]
    return community, Ties(pairs[:, 0], pairs[:, 1], rng.uniform(0.1, 1, len(pairs)))


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Share of pairs of users who are together in the one that are together in the other."""
    together = one[:, None] == one[None]
    also = other[:, None] == other[None]
    both = together & also
    return float(both.sum() / np.maximum(together.sum(), also.sum()))


def test_planted_communities_are_found():
    community, ties = planted(400, 2000, 7, seed=3)
    assert agreement(community, communities_of(400, ties)) > 0.9


def test_communities_are_numbered_by_size_and_those_without_ties_come_last():
    ties = Ties(np.array([0, 0, 1, 5]), np.array([1, 2, 2, 6]), np.ones(4))
    found = communities_of(9, ties)
    assert found[0] == found[1] == found[2] == 0
    assert len({found[one] for one in (3, 4, 7, 8)}) == 1
    assert found[3] == found.max()


def places(layout: Layout) -> np.ndarray:
    return np.stack([layout.x, layout.y], axis=1)


@pytest.mark.parametrize("shape", [(40, 160, 5), (300, 1200, 7), (1000, 5000, 8)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_islands_do_not_overlap_and_fill_the_page(shape, seed):
    users, count, communities = shape
    layout = layout_of(users, planted(users, count, communities, seed)[1])
    assert np.abs(layout.x).max() <= 1
    assert np.abs(layout.y).max() <= 1 / ASPECT
    assert np.ptp(layout.x) > 1.5
    assert np.ptp(layout.y) > 1.5 / ASPECT
    at = places(layout)
    islands = layout.community.max() + 1
    assert islands >= 3
    for one in range(islands):
        mine, others = at[layout.community == one], at[layout.community != one]
        # Nobody of another community stands nearer to an island's middle than its own shore.
        middle = np.array([layout.centre_x[one], layout.centre_y[one]])
        shore = np.sqrt(((mine - middle) ** 2).sum(axis=1)).max()
        assert np.sqrt(((others - middle) ** 2).sum(axis=1)).min() > shore


def test_nobody_stands_on_anybody():
    at = places(layout_of(300, planted(300, 1200, 7, seed=5)[1]))
    apart = np.sqrt(((at[:, None] - at[None]) ** 2).sum(axis=2)) + 9 * np.eye(len(at))
    assert apart.min() > 0.2 * np.sqrt(2 * 2 / ASPECT / len(at))


def test_who_has_more_ties_stands_further_in_and_friends_are_nearer_than_others():
    _, ties = planted(300, 1500, 6, seed=4)
    layout = layout_of(300, ties)
    at = places(layout)
    degree = np.bincount(ties.a, minlength=300) + np.bincount(ties.b, minlength=300)
    middle = np.stack([layout.centre_x, layout.centre_y], axis=1)[layout.community]
    out = np.sqrt(((at - middle) ** 2).sum(axis=1))
    for one in range(layout.community.max() + 1):
        mine = layout.community == one
        assert np.corrcoef(degree[mine], out[mine])[0, 1] < -0.5
    same = layout.community[ties.a] == layout.community[ties.b]
    friends = np.sqrt(((at[ties.a[same]] - at[ties.b[same]]) ** 2).sum(axis=1)).mean()
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 300, (2, 4000))
    there = (layout.community[a] == layout.community[b]) & (a != b)
    others = np.sqrt(((at[a[there]] - at[b[there]]) ** 2).sum(axis=1)).mean()
    assert friends < others


@pytest.mark.parametrize("users", [0, 1, 2, 5])
def test_few_users_without_ties_have_places_too(users):
    none = np.zeros(0, np.int64)
    layout = layout_of(users, Ties(none, none, np.zeros(0)))
    assert len(layout.x) == users
    assert np.isfinite(places(layout)).all()


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=60))
@settings(max_examples=20, deadline=None)
def test_any_network_has_the_same_finite_places_each_time(users, pairs):
    kept = sorted({(min(a, b), max(a, b)) for a, b in pairs if a != b and max(a, b) < users})
    ends = np.array(kept, np.int64).reshape(-1, 2)
    ties = Ties(ends[:, 0], ends[:, 1], np.ones(len(ends)))
    layout = layout_of(users, ties)
    again = layout_of(users, ties)
    assert np.array_equal(places(layout), places(again))
    assert np.isfinite(places(layout)).all()
    assert np.abs(layout.x).max() <= 1 + 1e-9
    assert set(layout.community) == set(range(layout.community.max() + 1))


@pytest.mark.alone
@pytest.mark.slow
def test_places_of_5000_users_and_25000_ties_take_seconds():
    ties = planted(5000, 25_000, 10, seed=1)[1]
    began = time.perf_counter()
    layout_of(5000, ties)
    took = time.perf_counter() - began
    assert took < 5, took
