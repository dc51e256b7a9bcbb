"""The choice mind: a page is a draw without replacement, whoever else decides."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recarena.server.minds.choice import ChoiceMind, Coefficients
from recarena.server.ports import PageDecision
from recarena.server.types import EventKind
from recarena.server.world import World
from support.pages import act, alike, chi_square, view, worth

MANY = 4000
PAGE = [1, 2, 3, 4, 5]
COLUMNS = ("watched", "rating", "appraisal", "code", "action", "sought", "sought_code")


def assert_same_decision(one: PageDecision, other: PageDecision) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert (one.words, one.query) == (other.words, other.query)


# ------------------------------------------------------------------------------ the multinomial
def options(world: World, seen: Any) -> np.ndarray:
    """Utilities of the items of the first user's page, of NEXT and of LEAVE."""
    b = Coefficients()
    pages = 1 + int(seen.page[0])
    content = float(world.satisfaction(seen.users[:1])[0]) - 0.5
    exits = [
        b.go_on - b.go_on_fade * pages,
        b.leave + b.leave_page * pages - b.leave_satisfied * content,
    ]
    return np.concatenate([worth(world, seen)[0].astype(float), exits])


def chosen(seen: Any, decision: PageDecision, turn: int) -> np.ndarray:
    """[users]: the position watched in a turn, or the size of the page for NEXT, + 1 for LEAVE."""
    size = seen.items.shape[1]
    exits = np.where(decision.action == EventKind.NEXT, size, size + 1)
    watched = decision.watched[:, turn]
    return np.where(watched >= 0, watched, exits)


@pytest.mark.parametrize("page", [0, 2])
def test_choices_are_those_of_a_softmax_without_replacement(page: int):
    users = 60_000
    world = World(alike(users), 5)
    mind = ChoiceMind(Coefficients(item=-0.5))
    seen = view(users, PAGE, page=page)
    utility = options(world, seen)
    utility[:5] += 1.6  # by which the coefficient differs from its default
    weights = np.exp(utility)
    decision = act(world, seen, mind)
    first = chosen(seen, decision, 0)
    # 6 degrees of freedom: above 22.5 once in a thousand.
    assert chi_square(np.bincount(first, minlength=7), weights) < 22.5
    for position in range(5):
        second = chosen(seen, decision, 1)[first == position]
        left = np.where(np.arange(7) == position, 1e-12, weights)
        counts = np.bincount(second, minlength=7)
        assert counts[position] == 0
        assert chi_square(counts, left) < 24


def test_one_user_s_choices_over_many_rounds_are_those_of_a_softmax():
    world = World(alike(1), 5)
    counts = np.zeros(7)
    seen = view(1, PAGE)
    utility = options(world, seen)
    mind = ChoiceMind()
    for round in range(1, 3001):
        now = dataclasses.replace(seen, round=round)
        counts[chosen(now, act(world, now, mind), 0)] += 1
    assert chi_square(counts, np.exp(utility)) < 22.5


def test_whoever_leaves_has_watched_all_that_drew_more(lived: World):
    users = np.arange(lived.users, dtype=np.int32)
    items = (users[:, None] * 3 + np.arange(5)) % lived.items
    decision = act(lived, view(users, items))
    for row in decision.watched:
        kept = row[row >= 0]
        assert len(set(kept.tolist())) == len(kept)
        assert (row[len(kept) :] == -1).all()


# ------------------------------------------------------------------------------ batches
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_decisions_do_not_depend_on_who_else_decides(lived: World, data: st.DataObject):
    n = 60
    users = np.sort(np.random.default_rng(1).choice(lived.users, n, replace=False)).astype(np.int32)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    items = rng.integers(-1, lived.items, (n, 5)).astype(np.int32)
    just = rng.integers(-1, lived.items, (n, 2)).astype(np.int32)
    whole = dataclasses.replace(
        view(users, items, round=7, step=1, page=1, can_search=True),
        watched_now=just,
        sought=rng.integers(-1, lived.items, n).astype(np.int32),
        claims={
            (int(row), int(position)): (int(rng.integers(-1, 5)),)
            for row, position in np.argwhere(rng.random((n, 5)) < 0.2)
        },
    )
    together = act(lived, whole)
    group = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    for one in range(4):
        rows = np.flatnonzero(group == one)
        new = {int(old): number for number, old in enumerate(rows)}
        part = dataclasses.replace(
            whole, users=users[rows], items=items[rows], watched_now=just[rows],
            page=whole.page[rows], surface=whole.surface[rows], sought=whole.sought[rows],
            claims={(new[r], p): c for (r, p), c in whole.claims.items() if r in new},
        )  # fmt: skip
        alone = act(lived, part)
        for name in COLUMNS:
            np.testing.assert_array_equal(
                getattr(alone, name), getattr(together, name)[rows], err_msg=name
            )


@given(st.integers(0, 2**31), st.integers(1, 50))
@settings(max_examples=20, deadline=None)
def test_activity_and_talk_do_not_depend_on_who_else_decides(lived: World, split: int, round: int):
    mind = ChoiceMind()
    users = np.arange(lived.users, dtype=np.int32)
    first = np.random.default_rng(split).random(lived.users) < 0.5
    activity = asyncio.run(mind.choose_activity(lived, round, users)).kind
    talk = asyncio.run(mind.socialise(lived, round, users))
    for rows in (first, ~first):
        alone = asyncio.run(mind.choose_activity(lived, round, users[rows])).kind
        np.testing.assert_array_equal(alone, activity[rows])
        said = asyncio.run(mind.socialise(lived, round, users[rows]))
        for name in ("kind", "partner", "item", "sentiment", "code"):
            np.testing.assert_array_equal(
                getattr(said, name), getattr(talk, name)[rows], err_msg=name
            )


def test_a_decision_changes_nothing_of_the_world(lived: World):
    before = {name: value.copy() for name, value in vars(lived).items()
              if isinstance(value, np.ndarray)}  # fmt: skip
    users = np.arange(lived.users, dtype=np.int32)
    mind = ChoiceMind()
    act(lived, view(users, PAGE, can_search=True))
    asyncio.run(mind.choose_activity(lived, 9, users))
    asyncio.run(mind.socialise(lived, 9, users))
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(lived, name), value, err_msg=name)
