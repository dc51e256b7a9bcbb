"""Keyed randomness: every part of the key counts, nothing else does, and the shapes are right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.randomness import Purpose, gumbel, keys, logistic, normal, uniform

MANY = 200_000
any_key = st.integers(0, 2**64 - 1)
parts = st.lists(st.integers(-1, 2**31 - 1), min_size=1, max_size=3)


def plain_mix(z: int) -> int:
    z %= 2**64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
    return z ^ (z >> 31)


def plain_key(seed: int, purpose: int, round: int, *parts: int) -> int:
    """A key in plain Python integers."""
    step = 0x9E3779B97F4A7C15
    key = plain_mix(seed * step + purpose)
    key = plain_mix(key + (round + 1) * step)
    for part in parts:
        key = plain_mix(key + (part + 2) * step)
    return key


@given(
    st.integers(0, 2**63 - 1), st.sampled_from(Purpose), st.integers(0, 10**6), parts
)  # fmt: skip
def test_a_key_is_what_plain_integers_give(seed, purpose, round, parts):
    assert keys(seed, purpose, round, *parts).tolist() == [plain_key(seed, purpose, round, *parts)]


def test_a_key_depends_on_every_part():
    users = np.arange(12)[:, None]
    made = [
        (int(key), (seed, purpose, round, user))
        for seed in (0, 1, 2, 2**40)
        for purpose in Purpose
        for round in (0, 1, 2, 50)
        for user, row in enumerate(keys(seed, purpose, round, users, np.arange(-1, 9)))
        for key in row
    ]  # fmt: skip
    assert len({key for key, _ in made}) == len(made) == 4 * len(Purpose) * 4 * 12 * 10


@given(st.integers(0, 99), st.integers(-1, 99), st.integers(-1, 99))
def test_the_order_of_the_parts_counts(seed, one, other):
    a, b = (
        keys(seed, Purpose.LIKE_ITEM, 1, one, other),
        keys(seed, Purpose.LIKE_ITEM, 1, other, one),
    )
    assert (a == b).all() == (one == other)


def test_no_two_purposes_share_a_number():
    assert len(Purpose.__members__) == len({int(one) for one in Purpose})


@given(st.lists(st.integers(-1, 10**6), min_size=1, max_size=20), st.integers(0, 9))
def test_a_key_does_not_depend_on_who_else_draws(users, round):
    together = keys(3, Purpose.ENTER, round, np.array(users))
    alone = [int(keys(3, Purpose.ENTER, round, user)[0]) for user in users]
    assert together.tolist() == alone


@given(st.lists(any_key, min_size=2, max_size=20))
def test_a_number_does_not_depend_on_the_batch(drawn):
    batch = np.array(drawn, np.uint64)
    for draw in (uniform, gumbel, normal, logistic):
        together = draw(batch)
        assert together.dtype == np.float32
        for row in range(len(batch)):
            assert draw(batch[row : row + 1])[0] == together[row]


@given(any_key)
def test_every_key_gives_a_uniform_number_inside_0_and_1_and_finite_others(key):
    one = np.array([key], np.uint64)
    assert 0 < uniform(one)[0] < 1
    assert np.isfinite([gumbel(one)[0], normal(one)[0], logistic(one)[0]]).all()


def test_the_outermost_keys_are_inside_too():
    ends = np.array([0, 2**64 - 1], np.uint64)
    low, high = uniform(ends)
    assert (low, high) == (np.float32(2.0**-24), np.float32(1 - 2.0**-24))
    assert np.isfinite(gumbel(ends)).all()


@pytest.mark.parametrize(
    ("draw", "mean", "variance", "fourth"),
    [
        (uniform, 0.5, 1 / 12, 1 / 80),
        (normal, 0.0, 1.0, 3.0),
        (gumbel, 0.57721566, np.pi**2 / 6, 14.6),
        (logistic, 0.0, np.pi**2 / 3, 7 * np.pi**4 / 15),
    ],
)
def test_moments_are_those_of_the_distribution(draw, mean, variance, fourth):
    for key in (
        keys(7, Purpose.LIKE_ITEM, 3, np.arange(MANY)),
        keys(7, Purpose.LIKE_ITEM, 3, np.arange(MANY // 100)[:, None], np.arange(100)).ravel(),
    ):
        x = draw(key).astype(np.float64)
        spread = np.sqrt(variance / MANY)
        assert abs(x.mean() - mean) < 5 * spread
        assert x.var() == pytest.approx(variance, rel=0.02)
        assert ((x - mean) ** 4).mean() == pytest.approx(fourth, rel=0.1)


def test_uniform_numbers_fill_the_interval_evenly():
    x = np.sort(uniform(keys(1, Purpose.ENTER, 1, np.arange(MANY))))
    rank = (np.arange(MANY) + 0.5) / MANY
    assert np.abs(x - rank).max() * np.sqrt(MANY) < 1.95  # Kolmogorov and Smirnov, p = 0.001


def test_neighbours_in_any_part_of_the_key_are_unrelated():
    users = np.arange(MANY)
    x = uniform(keys(1, Purpose.ENTER, 1, users))
    others = {
        "seed": uniform(keys(2, Purpose.ENTER, 1, users)),
        "purpose": uniform(keys(1, Purpose.GO_SOCIAL, 1, users)),
        "round": uniform(keys(1, Purpose.ENTER, 2, users)),
        "user": uniform(keys(1, Purpose.ENTER, 1, users + 1)),
        "slot": uniform(keys(1, Purpose.ENTER, 1, users, 1)),
    }
    for name, y in others.items():
        assert abs(np.corrcoef(x, y)[0, 1]) < 5 / np.sqrt(MANY), name


def test_parts_are_broadcast_from_left_to_right():
    shape = keys(1, Purpose.LIKE_ITEM, 1, np.arange(3)[:, None], np.arange(5)).shape
    assert shape == (3, 5)
    assert keys(1, Purpose.ARM, 0).shape == (1,)


def test_stored_runs_rely_on_these_very_numbers():
    made = keys(1, Purpose.ARM, 0, np.array([-1, 0, 1]))
    assert made.tolist() == [plain_key(1, 1, 0, user) for user in (-1, 0, 1)]
    found = uniform(keys(7, Purpose.ENTER, 2, np.arange(3))).tolist()
    assert found == [0.5737708210945129, 0.23068243265151978, 0.4953680634498596]
