"""How alike lists are, by hand and by property."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server import agreement as formulas
from recarena.server.agreement import Agreement, agreement, contains

WIDTH = 6
lists = st.lists(st.integers(0, 9), max_size=WIDTH, unique=True)
pairs = st.lists(st.tuples(lists, lists), min_size=1, max_size=8)


def columns(rows: list[list[int]], width: int = WIDTH) -> np.ndarray:
    return np.array([row + [-1] * (width - len(row)) for row in rows], np.int32)


def compared(both: list[tuple[list[int], list[int]]], width: int = WIDTH) -> Agreement:
    return agreement(columns([a for a, _ in both], width), columns([b for _, b in both], width))


def rbo_by_the_book(one: list[int], other: list[int], p: float = 0.9) -> float:
    """Equation 32 of Webber, Moffat and Zobel, term by term."""
    short, long = sorted((one, other), key=len)
    s, length = len(short), len(long)
    if not length:
        return math.nan
    if not s:
        return 0.0
    x = [len(set(one[:d]) & set(other[:d])) for d in range(length + 1)]
    first = sum(x[d] / d * p**d for d in range(1, length + 1))
    second = sum(x[s] * (d - s) / (s * d) * p**d for d in range(s + 1, length + 1))
    return (1 - p) / p * (first + second) + ((x[length] - x[s]) / length + x[s] / s) * p**length


NAN = math.nan
BY_HAND = [
    # one, other, overlap, RBO, tau, identical
    ([1, 2, 3], [1, 2, 3], 1.0, 1.0, 1.0, True),
    ([1, 2, 3], [3, 2, 1], 1.0, 0.855, -1.0, False),  # (0.405 + 0.729) / 9 + 0.729
    ([1, 2, 3], [4, 5, 6], 0.0, 0.0, NAN, False),
    ([1, 2, 3], [1, 3, 5], 0.5, 0.685, 1.0, False),  # (0.9 + 0.405 + 0.486) / 9 + 0.486
    ([1, 2, 3], [2], 1 / 3, 0.315, NAN, False),  # (0.405 + 0.243) / 9 + 0.729 / 3
    ([1, 2, 3], [], 0.0, 0.0, NAN, False),
]


def test_six_pairs_come_out_as_by_hand():
    found = compared([(one, other) for one, other, *_ in BY_HAND])
    np.testing.assert_allclose(found.overlap, [row[2] for row in BY_HAND])
    np.testing.assert_allclose(found.rbo, [row[3] for row in BY_HAND])
    np.testing.assert_allclose(found.kendall, [row[4] for row in BY_HAND])
    assert found.identical.tolist() == [row[5] for row in BY_HAND]


def test_two_empty_lists_have_nothing_to_compare():
    found = compared([([], [])])
    assert np.isnan([found.overlap[0], found.rbo[0], found.kendall[0]]).all()
    assert found.identical.tolist() == [True]


def test_a_list_that_goes_on_where_another_ends_agrees_with_it_by_rank_bias():
    found = compared([([1, 2], [1, 2, 3])])
    assert found.rbo[0] == pytest.approx(1)
    assert found.overlap[0] == pytest.approx(2 / 3)


def test_the_first_ranks_weigh_more():
    found = compared([([1, 2, 3, 4], [1, 2, 8, 9]), ([1, 2, 3, 4], [8, 9, 3, 4])])
    assert found.overlap[0] == found.overlap[1]
    assert found.rbo[0] > found.rbo[1]


@given(pairs)
def test_rank_bias_is_that_of_the_paper(both):
    expected = [rbo_by_the_book(one, other) for one, other in both]
    np.testing.assert_allclose(compared(both).rbo, expected, rtol=1e-9, atol=1e-12)


@given(pairs)
def test_every_measure_is_symmetric_and_within_its_bounds(both):
    found, back = compared(both), compared([(other, one) for one, other in both])
    for name, low in (("overlap", 0), ("rbo", 0), ("kendall", -1)):
        here, there = getattr(found, name), getattr(back, name)
        np.testing.assert_allclose(here, there, rtol=1e-12, atol=1e-12)
        known = here[~np.isnan(here)]
        assert ((known >= low) & (known <= 1)).all(), name
    assert found.identical.tolist() == back.identical.tolist()


@given(st.lists(lists.filter(bool), min_size=1, max_size=8))
def test_equal_lists_agree_in_everything(rows):
    found = compared([(row, row) for row in rows])
    np.testing.assert_allclose(found.overlap, 1)
    np.testing.assert_allclose(found.rbo, 1)
    assert found.identical.all()
    assert all(np.isnan(tau) if len(row) < 2 else tau == 1
               for tau, row in zip(found.kendall, rows, strict=True))  # fmt: skip


@given(pairs, st.integers(1, 200))
def test_measures_do_not_hang_on_how_many_pairs_are_taken_at_once(both, cells):
    whole = compared(both)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formulas, "CELLS_AT_ONCE", cells)
        parts = compared(both)
    for name in Agreement.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


@given(pairs)
def test_empty_ranks_at_the_end_change_nothing(both):
    found, wide = compared(both), compared(both, WIDTH + 3)
    for name in Agreement.__dataclass_fields__:
        np.testing.assert_allclose(
            getattr(wide, name).astype(float), getattr(found, name).astype(float), rtol=1e-12
        )


def test_no_lists_are_compared_without_ado():
    nothing = np.empty((0, 5), np.int32)
    assert len(agreement(nothing, nothing).rbo) == 0


def test_items_are_found_in_the_list_beside_them_only():
    found = contains(columns([[1, 2], [3]]), np.array([[2, 3, -1], [3, 1, -1]], np.int32))
    assert found.tolist() == [[True, False, False], [True, False, False]]
