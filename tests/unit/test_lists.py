"""Lists become pages: checked, cut, replaced, and every fault counted."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.lists import UNKNOWN, check, expected_length, fallback, known
from recarena.server.types import NOTHING, FailurePolicy, Faults, Outcome


def slowly(
    raw: list[int], count: int, expected: int, excluded: set[int]
) -> tuple[list[int], list[int], Faults]:
    """(items, their columns, what was wrong) of one list, one item after another."""
    items, kept, wrong = [], [], Counter[str]()
    seen: set[int] = set()
    for column, item in enumerate(raw[:count]):
        if item == NOTHING:
            continue
        if item == UNKNOWN:
            wrong["unknown"] += 1
        elif item in seen:
            wrong["duplicate"] += 1
        elif item in excluded:
            wrong["excluded"] += 1
        else:
            items.append(item)
            kept.append(column)
        seen.add(item)
    wrong["short"] += len(items) < min(expected, count)
    missing = [NOTHING] * (count - len(items))
    return items + missing, kept + missing, Faults(**wrong)


@st.composite
def batches(draw: st.DrawFn) -> tuple[np.ndarray, int, np.ndarray, set[int]]:
    width, rows = draw(st.integers(0, 8)), draw(st.integers(0, 5))
    one = st.lists(st.integers(UNKNOWN, 7), min_size=width, max_size=width)
    raw = draw(st.lists(one, min_size=rows, max_size=rows))
    count = draw(st.integers(1, 7))
    expected = draw(st.lists(st.integers(0, 7), min_size=rows, max_size=rows))
    excluded = draw(st.sets(st.integers(0, 7), max_size=3))
    return np.array(raw, np.int32).reshape(rows, width), count, np.array(expected, int), excluded


@given(batches(), st.booleans())
def test_a_checked_list_is_what_going_through_it_item_by_item_gives(batch, with_exclusion):
    raw, count, expected, excluded = batch
    if not with_exclusion:
        excluded = set()
    mask = np.isin(raw, list(excluded)) if with_exclusion else None
    given_lists = raw.copy()
    checked = check(raw, count, expected, mask)
    for row in range(len(raw)):
        items, kept, faults = slowly(given_lists[row].tolist(), count, expected[row], excluded)
        assert checked.items[row].tolist() == items
        assert checked.kept[row].tolist() == kept
        assert checked.violations[row] == faults.total
        assert checked.faults(np.arange(len(raw)) == row) == faults
        outcome = Outcome.VIOLATIONS if faults.total else Outcome.ACCEPTED
        assert checked.outcome[row] == outcome
    np.testing.assert_array_equal(raw, given_lists)
    assert checked.faults().total == checked.violations.sum()


@pytest.mark.parametrize(
    ("raw", "items", "faults"),
    [
        ([4, 3, 2], [4, 3, 2], Faults()),
        ([4, 3, 2, 1, 0], [4, 3, 2], Faults()),
        ([4, 3, 2, 4, UNKNOWN], [4, 3, 2], Faults()),
        ([4, 4, 2], [4, 2, -1], Faults(duplicate=1, short=1)),
        ([4, UNKNOWN, 2], [4, 2, -1], Faults(unknown=1, short=1)),
        ([4, 9, 2], [4, 2, -1], Faults(excluded=1, short=1)),
        ([9, 9, 2], [2, -1, -1], Faults(excluded=1, duplicate=1, short=1)),
        ([4, 3], [4, 3, -1], Faults(short=1)),
        ([4, NOTHING, 3], [4, 3, -1], Faults(short=1)),
        ([], [-1, -1, -1], Faults(short=1)),
        ([UNKNOWN, UNKNOWN, 9], [-1, -1, -1], Faults(unknown=2, excluded=1, short=1)),
    ],
)
def test_unknown_repeated_and_excluded_items_are_dropped_and_counted_by_cause(raw, items, faults):
    given_list = np.array([raw], np.int32)
    checked = check(given_list, 3, 3, given_list == 9)
    assert checked.items.tolist() == [items]
    assert checked.violations.tolist() == [faults.total]
    assert checked.faults() == faults


def test_a_short_list_at_the_end_of_the_catalogue_is_no_violation():
    raw = np.array([[1, 2, NOTHING], [1, 2, NOTHING]], np.int32)
    expected = expected_length(np.ones(10, bool), np.array([8, 0]), 3)
    assert expected.tolist() == [2, 3]
    assert check(raw, 3, expected).violations.tolist() == [0, 1]


@given(
    st.lists(st.booleans(), max_size=50),
    st.lists(st.integers(0, 60), max_size=5),
    st.integers(1, 10),
)
def test_a_list_must_be_as_long_as_what_the_catalogue_has_left(available, offsets, count):
    found = expected_length(np.array(available, bool), np.array(offsets, np.int32), count)
    left = [number for number, there in enumerate(available) if there]
    assert found.tolist() == [len(left[o : o + count]) for o in offsets]


@given(
    st.lists(st.booleans(), max_size=8),
    st.lists(st.lists(st.integers(UNKNOWN, 2**32 - 1) | st.integers(UNKNOWN, 9), max_size=6)),
)
def test_only_items_that_the_catalogue_has_and_that_are_not_withdrawn_are_known(available, raw):
    width = max(map(len, raw), default=0)
    padded = [one + [NOTHING] * (width - len(one)) for one in raw]
    sent = np.array(padded, np.int64).reshape(len(raw), width)
    found = known(sent, np.array(available, bool))
    assert found.dtype == np.int32
    assert found.tolist() == [
        [
            item if item < 0 or (item < len(available) and available[item]) else UNKNOWN
            for item in row
        ]
        for row in padded
    ]


def world(*popularity: float, withdrawn: tuple[int, ...] = ()) -> Any:
    available = ~np.isin(np.arange(len(popularity)), withdrawn)
    return SimpleNamespace(
        popularity=np.array(popularity, np.float32), catalog=SimpleNamespace(available=available)
    )


def test_the_fallback_shows_the_most_watched_ties_in_the_order_of_the_catalogue():
    shown = fallback(
        FailurePolicy.FALLBACK_POPULAR, world(1, 3, 2, 3), np.array([0, 2, 3, 4, 90]), 3
    )
    assert shown.tolist() == [[1, 3, 2], [2, 0, -1], [0, -1, -1], [-1] * 3, [-1] * 3]


def test_the_fallback_shows_nothing_that_was_withdrawn():
    shown = fallback(
        FailurePolicy.FALLBACK_POPULAR, world(1, 3, 2, 3, withdrawn=(1, 2)), np.array([0, 1, 2]), 3
    )
    assert shown.tolist() == [[3, 0, -1], [0, -1, -1], [-1] * 3]
    everything = world(1, 3, withdrawn=(0, 1))
    nothing = fallback(FailurePolicy.FALLBACK_POPULAR, everything, np.array([0, 1]), 2)
    assert nothing.tolist() == [[-1, -1]] * 2


@pytest.mark.parametrize(
    "policy", [one for one in FailurePolicy if one is not FailurePolicy.FALLBACK_POPULAR]
)
def test_every_other_policy_shows_nothing(policy):
    assert fallback(policy, world(1, 2), np.array([0, 1]), 2).tolist() == [[-1, -1]] * 2
