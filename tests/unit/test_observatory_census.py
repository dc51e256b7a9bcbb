"""What events there are is known without reading them, and is what reading them says."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from starlette.datastructures import QueryParams

from recarena.observatory.census import Census
from recarena.observatory.chronicle import stretches
from recarena.observatory.columns import KINDS, Columns, Kind
from recarena.observatory.tales import Filter

ARM_OF = np.array([0, 1, 1, 0, 2], np.int16)
USERS, ARMS = len(ARM_OF), 3


def events_of(seed: int, rows: int) -> Columns:
    """A round with interventions, pages that failed and decisions that nobody took."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(1, KINDS, rows).astype(np.int8)
    nobody = kind == Kind.INTERVENTION

    def column(low: int, high: int, dtype: Any) -> Any:
        return rng.integers(low, high, rows).astype(dtype)

    return Columns(
        user=np.where(nobody, -1, column(0, USERS, np.int32)).astype(np.int32), kind=kind,
        item=column(-1, 9, np.int32), position=column(-1, 3, np.int16),
        value=np.zeros(rows, np.float32), other=column(-1, USERS, np.int32),
        step=column(-1, 3, np.int16), surface=np.zeros(rows, np.int8),
        outcome=np.where(kind == Kind.PAGE, column(1, 7, np.int8), 0).astype(np.int8),
        undecided=np.flatnonzero((rng.random(rows) < 0.2) & ~nobody).astype(np.int32),
    )  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(seed=some.integers(0, 2**32 - 1), sizes=some.lists(some.integers(0, 300), max_size=4))
def test_counts_are_those_of_the_rows_that_a_filter_lets_through(seed: int, sizes: list[int]):
    census = Census(ARMS, ARM_OF)
    rounds = [events_of(seed + at, rows) for at, rows in enumerate(sizes)]
    for events in rounds:
        census.add(events)
    chronicle: Any = SimpleNamespace(roster=SimpleNamespace(arm=ARM_OF), census=census)
    for user, arm, errors in product(range(-1, USERS), range(-1, ARMS), (False, True)):
        only = Filter(tuple(range(1, KINDS)), user, arm, 0, errors, "")
        assert not only.counts(0, chronicle).any()
        for at, events in enumerate(rounds, 1):
            mask = only.mask(events, chronicle)
            expected = np.bincount(events.kind[mask], minlength=KINDS)
            assert only.counts(at, chronicle).tolist() == expected.tolist(), (user, arm, errors)


def test_events_of_a_type_that_is_not_known_yet_are_counted_apart():
    census = Census(ARMS, ARM_OF)
    events = events_of(1, 4)
    events.kind[:] = [99, -3, Kind.IDLE, Kind.IDLE]
    events.user[:] = 2
    census.add(events)
    assert census.of(1)[[0, Kind.IDLE]].tolist() == [2, 2]
    assert census.of_user(2, 1)[[0, Kind.IDLE]].tolist() == [2, 2]


def test_of_a_round_with_very_many_events_of_a_user_none_is_lost():
    census = Census(ARMS, ARM_OF)
    rows = 70_000
    events = events_of(1, rows)
    events.kind[:], events.user[:] = Kind.SHOWN, 3
    census.add(events)
    assert census.of_user(3, 1)[Kind.SHOWN] == rows
    assert census.of_user(4, 1).sum() == 0


@pytest.mark.parametrize(
    ("rounds", "read"),
    [
        ([], []),
        ([7], [(7, 7)]),
        ([9, 8, 7], [(7, 9)]),
        ([1, 5, 10, 11], [(1, 5), (10, 11)]),
    ],
)
def test_rounds_that_lie_far_apart_are_read_apart(rounds, read):
    assert stretches(rounds) == read


def test_a_filter_is_made_of_a_query():
    roster = SimpleNamespace(number=lambda user_id: 4 if user_id else -1, arm=ARM_OF)
    run = SimpleNamespace(arms=[SimpleNamespace(arm_id=one) for one in "abc"])
    chronicle: Any = SimpleNamespace(roster=roster, run=run)
    made = Filter.of(QueryParams("u=x&arm=b&action=chat,post&errors=1&q= Ab "), chronicle)
    assert made == Filter((Kind.CHAT, Kind.POST), 4, 1, 0, True, "ab")
