"""What counts in a comparison, on six pages counted by hand."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from recarena.server.comparison import (
    NOT_OFFERED,
    ArmRound,
    Comparison,
    Pages,
    Sums,
    Times,
    bits,
    merged_rows,
    sums_of,
)
from recarena.server.types import Outcome, Surface

NOVELTY = np.array([1, 2, 4, 8, 16, 32], np.float32)
"""Bits of items 0 to 5, so that sums tell which were counted."""


def six_pages() -> Pages:
    recorded = [[0, 1, 2], [0, 1, 2], [0, 1, -1], [3, -1, -1], [-1, -1, -1], [0, 1, 2]]
    shadow = [[0, 1, 2], [2, 3, 0], [-1, -1, -1], [3, -1, -1], [-1, -1, -1], [-1, -1, -1]]
    watched = [[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0]]
    feed, search = Surface.FEED, Surface.SEARCH
    good, late = Outcome.ACCEPTED, Outcome.LATE
    return Pages(
        user=np.array([0, 0, 1, 2, 3, 4], np.int32),
        step=np.array([0, 1, 0, 0, 0, 0], np.int16),
        surface=np.array([feed, feed, feed, feed, search, search], np.int8),
        offset=np.array([0, 3, 0, 0, 0, 0], np.int32),
        text=np.array([-1, -1, -1, -1, 0, 0], np.int32),
        recorded=np.array(recorded, np.int32),
        recorded_outcome=np.array(
            [good, Outcome.VIOLATIONS, good, Outcome.FAILED, good, good], np.int8
        ),
        watched=np.array(watched, np.bool_),
        shadow=np.array(shadow, np.int32),
        shadow_outcome=np.array([good, good, late, good, good, NOT_OFFERED], np.int8),
    )


def test_six_pages_are_counted_as_by_hand():
    found = sums_of(six_pages(), NOVELTY).as_json()
    # Compared are the first two: then come a late one, one that the failure policy filled, one that
    # is empty on both sides, and one that the shadow was not asked for.
    assert {name: found[name] for name in (
        "lists", "asked", "answered", "not_offered", "compared", "both_empty", "watches", "hits",
        "kendall_lists",
    )} == {
        "lists": 6, "asked": 5, "answered": 4, "not_offered": 1, "compared": 2, "both_empty": 1,
        "watches": 3, "hits": 2, "kendall_lists": 2,
    }  # fmt: skip
    assert found["outcomes"] == {
        "accepted": 4, "violations": 0, "rejected": 0, "late": 1, "failed": 0, "lost": 0,
    }  # fmt: skip
    assert found["recorded_outcomes"]["failed"] == 1
    assert found["surfaces"]["feed"]["accepted"] == 3
    assert found["surfaces"]["search"]["accepted"] == 1
    assert "conversation" not in found["surfaces"]
    assert found["overlap"] == pytest.approx((1 + 2 / 4) / 2)
    assert found["identical"] == 1 / 2
    assert found["kendall"] == (1 - 1) / 2
    assert found["hit_rate"] == pytest.approx(2 / 3)
    assert found["recorded_coverage"] == pytest.approx(3 / 6)
    assert found["shadow_coverage"] == pytest.approx(4 / 6)
    assert found["recorded_novelty_bits"] == pytest.approx((1 + 2 + 4 + 1 + 2 + 4) / 6)
    assert found["shadow_novelty_bits"] == pytest.approx((1 + 2 + 4 + 4 + 8 + 1) / 6)


def test_where_nothing_is_compared_means_are_unknown_and_not_zero():
    pages = six_pages()
    rows = np.array([2, 3])
    late = Pages(**{one.name: getattr(pages, one.name)[rows] for one in fields(Pages)})
    found = sums_of(late, NOVELTY).as_json()
    assert found["compared"] == 0
    for name in ("overlap", "rbo", "kendall", "identical", "hit_rate", "recorded_coverage",
                 "shadow_coverage", "recorded_novelty_bits", "shadow_novelty_bits"):  # fmt: skip
        assert found[name] is None, name


def test_the_sums_of_parts_add_up_to_those_of_the_whole():
    pages = six_pages()
    parts = [
        Pages(**{one.name: getattr(pages, one.name)[rows] for one in fields(Pages)})
        for rows in (slice(0, 1), slice(1, 4), slice(4, 6))
    ]
    whole = sums_of(pages, NOVELTY)
    added = sum((sums_of(part, NOVELTY) for part in parts[1:]), sums_of(parts[0], NOVELTY))
    for one in fields(Sums):
        np.testing.assert_allclose(getattr(added, one.name), getattr(whole, one.name))


def test_pages_stand_in_the_order_of_users_and_steps_however_they_came():
    pages = six_pages()
    parts = [
        Pages(**{one.name: getattr(pages, one.name)[rows] for one in fields(Pages)})
        for rows in (np.array([5, 1]), np.array([3]), np.array([4, 0, 2]))
    ]
    found = merged_rows(parts)
    for one in fields(Pages):
        np.testing.assert_array_equal(getattr(found, one.name), getattr(pages, one.name))


def test_times_are_told_as_quantiles_of_all_works():
    times = Times(np.array([1.0, 2.0]), np.array([10.0])) + Times(
        np.arange(3.0, 102.0), np.array([30.0])
    )
    assert times.as_json() == pytest.approx(
        {"works": 101, "p50_ms": 51, "p95_ms": 96, "p99_ms": 100, "ready_ms": 20}
    )
    nothing = {"works": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "ready_ms": None}
    assert Times().as_json() == nothing


def test_an_item_that_was_watched_more_is_less_of_a_surprise():
    found = bits(np.array([7.0, 3.0, 1.0, 1.0]))  # 8, 4, 2, 2 of 16
    np.testing.assert_allclose(found, [1, 2, 3, 3])


def test_a_comparison_is_the_sum_of_its_rounds():
    sums, times = sums_of(six_pages(), NOVELTY), Times(np.array([5.0]), np.array([1.0]))
    one = Comparison("a", "ease")
    assert one.as_json() == {"arm": "a", "recommender": "ease"}
    for round in (1, 2):
        one.add(ArmRound("a", round, sums, times, times, six_pages()))
    found = one.as_json()
    assert found["compared"] == 4
    assert found["overlap"] == sums.as_json()["overlap"]
    assert found["latency"]["shadow"]["works"] == 2
