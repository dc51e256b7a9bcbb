"""The numeric parts of the reference recommenders do what ten slow lines of Python do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.recommenders.random_order import Shuffle
from recarena.recommenders.ranking import best
from recarena.recommenders.watched import UnseenFirst, Users, Watched

ITEMS = st.integers(1, 12)


def pairs(draw, rows: int, items: int) -> list[tuple[int, int]]:
    cells = st.tuples(st.integers(0, rows - 1), st.integers(0, items - 1))
    return draw(st.lists(cells, unique=True))


@st.composite
def scored(draw):
    rows, items = draw(st.integers(1, 4)), draw(ITEMS)
    few = st.sampled_from([0.0, -0.0, 1.0, -1.5, 2.0])  # many ties
    cells = draw(st.lists(few, min_size=rows * items, max_size=rows * items))
    offsets = draw(st.lists(st.integers(0, items + 2), min_size=rows, max_size=rows))
    return np.array(cells, np.float32).reshape(rows, items), pairs(draw, rows, items), offsets


@given(scored(), st.integers(1, 15))
def test_the_best_items_are_those_of_a_full_sort(world, count: int):
    scores, watched, offsets = world
    rows, items = np.array(watched, np.int32).reshape(-1, 2).T
    found = best(scores, (rows, items), np.array(offsets, np.int32), count)
    for row, offset in enumerate(offsets):
        order = sorted(
            range(scores.shape[1]), key=lambda item: ((row, item) in watched, -scores[row, item])
        )
        page = order[offset : offset + count]
        assert found[row].tolist() == page + [-1] * (count - len(page))


@st.composite
def orders(draw):
    owners, items = draw(st.integers(1, 4)), draw(ITEMS)
    return owners, items, pairs(draw, owners, items)


@given(orders(), st.integers(0, 14), st.integers(1, 14))
def test_watched_items_go_last_in_any_order(world, offset: int, count: int):
    owners, items, watched = world
    owner, rank = np.array(watched, np.int64).reshape(-1, 2).T
    unseen = UnseenFirst(owner, rank, owners, items)
    asked = [*range(owners), -1]
    found = unseen.ranks(np.array(asked), np.full(len(asked), offset, np.int32), count)
    for place, one in enumerate(asked):
        order = sorted(range(items), key=lambda rank: (one, rank) in watched)
        page = order[offset : offset + count]
        assert found[place].tolist() == page + [-1] * (count - len(page))


@given(st.integers(1, 300), st.integers(0, 2**64 - 1))
def test_a_shuffle_is_a_permutation_that_can_be_read_backwards(size: int, key: int):
    shuffle, places = Shuffle(size), np.arange(size)
    keys = np.full(size, key, np.uint64)
    with np.errstate(over="ignore"):
        items = shuffle.item(places, keys)
        assert sorted(items.tolist()) == places.tolist()
        assert shuffle.place(items, keys).tolist() == places.tolist()


def test_a_shuffle_favours_no_item_and_no_neighbour():
    size, keys = 50, 20_000
    shuffle, many = Shuffle(size), np.arange(keys, dtype=np.uint64)
    with np.errstate(over="ignore"):
        first = shuffle.item(np.zeros(keys, np.int64), many)
        second = shuffle.item(np.ones(keys, np.int64), many)
    expected = keys / size
    counts = np.bincount(first, minlength=size)
    steps = np.bincount((second - first) % size, minlength=size)[1:]
    assert ((counts - expected) ** 2 / expected).sum() < 95  # chi², 49 degrees, p = 0.0001
    assert ((steps - keys / 49) ** 2 / (keys / 49)).sum() < 93


WATCHES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 5), st.sampled_from([0.0, 1.0, 4.0, 5.0])),
    max_size=20,
)


@given(st.lists(WATCHES, max_size=3))
def test_watches_are_kept_once_with_the_latest_rating(rounds):
    watched, expected = Watched(6), {}
    for watches in rounds:
        rows, items, ratings = np.array(watches, np.float32).reshape(-1, 3).T
        watched.add(rows.astype(np.int32), items.astype(np.int32), ratings, 4)
        for row, item, rating in watches:
            expected[row, item] = rating or expected.get((row, item), 0.0)
    asked = np.array([3, -1, 0, 1, 0], np.int32)
    if not rounds:
        assert watched.of(asked)[0].tolist() == []
        return
    where, items, ratings = watched.rated(asked)
    found = {
        (place, item): rating
        for place, item, rating in zip(
            where.tolist(), items.tolist(), ratings.tolist(), strict=True
        )
    }
    assert found == {
        (place, item): rating
        for place, asked_row in enumerate(asked.tolist())
        for (row, item), rating in expected.items()
        if row == asked_row
    }


def test_watches_follow_their_items_into_another_catalogue():
    watched = Watched(3)
    ones = np.array([0, 0, 1], np.int32)
    watched.add(ones, np.array([0, 2, 1], np.int32), np.array([1, 2, 3], np.float32), 2)
    moved = watched.renumbered(np.array([4, -1, 0], np.int32), 5)
    assert moved.items.tolist() == [0, 4]
    assert moved.ratings.tolist() == [2, 1]
    assert moved.counts(np.array([0, 1], np.int32)).tolist() == [2, 0]


@given(st.lists(st.lists(st.integers(0, 40), max_size=10), max_size=4))
def test_users_get_rows_in_the_order_of_appearance_in_both_forms(batches):
    by_number, by_id = Users(5), Users(5)
    for batch in batches:
        numbers = by_number.add_numbers(np.array(batch, np.int32))
        ids = by_id.add_ids([f"u{number}" for number in batch])
        assert numbers.tolist() == ids.tolist()
    known = list(dict.fromkeys(number for batch in batches for number in batch))
    asked = np.array([*known, 77], np.int32)
    assert by_number.rows(asked).tolist() == [*range(len(known)), -1]
    assert [by_id.row(f"u{number}") for number in asked] == [*range(len(known)), -1]


def test_nobody_asking_is_answered_by_nothing():
    nobody = np.empty(0, np.int32)
    assert best(np.empty((0, 3), np.float32), (nobody, nobody), nobody, 2).shape == (0, 2)


@pytest.mark.parametrize("count", [1, 5])
def test_an_empty_catalogue_has_empty_lists(count: int):
    unseen = UnseenFirst(np.empty(0, np.int64), np.empty(0, np.int64), 1, 0)
    lists = unseen.ranks(np.zeros(1, np.int64), np.zeros(1, np.int32), count)
    assert lists.tolist() == [[-1] * count]
