"""What recommenders are told, against a model that goes through the log row by row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.datasets.world_data import History
from recarena.server.feedback import feedback_of, history_feedback, part, parts, tally
from recarena.server.ports import Feedback
from recarena.server.types import EventColumns, EventKind, Outcome, Surface
from support.pages import played
from support.worlds import tiny_world

USERS = 5


@st.composite
def rounds(draw: st.DrawFn) -> EventColumns:
    """A round's log: visits of pages, items shown, some of them watched, and other doings."""
    parts = [EventColumns.empty()]
    for user in range(USERS):
        doing = draw(st.sampled_from(["away", "idle", "social", "visit", "visit", "visit"]))
        if doing == "away":
            continue
        rows: list[dict[str, Any]] = []
        if doing == "idle":
            rows.append({"kind": EventKind.IDLE})
        if doing == "social":
            rows.append({"kind": EventKind.ENTER_SOCIAL})
            rows.append({"kind": EventKind.POST, "item": 2, "value": 1.5})
        if doing == "visit":
            rows.append({"kind": EventKind.ENTER_RECOMMENDER})
            for step in range(draw(st.integers(1, 3))):
                items = draw(st.lists(st.integers(0, 9), max_size=4, unique=True))
                token = draw(st.sampled_from(["", "token", "tökén"]))
                rows.append({
                    "kind": EventKind.PAGE, "step": step, "position": len(items),
                    "surface": draw(st.sampled_from([Surface.FEED, Surface.SEARCH])),
                    "outcome": draw(st.sampled_from(list(Outcome)[1:])),
                    "text": {0: token} if token else None,
                })  # fmt: skip
                for position, item in enumerate(items):
                    rows.append({
                        "kind": EventKind.SHOWN, "step": step, "item": item,
                        "position": position, "code": draw(st.integers(0, 1)),
                    })  # fmt: skip
                rows += [
                    {"kind": EventKind.WATCH, "step": step, "item": items[position],
                     "position": position, "value": draw(st.integers(0, 5)), "code": 1}
                    for position in draw(st.permutations(range(len(items))))
                    if draw(st.booleans())
                ]  # fmt: skip
                rows.append({"kind": EventKind.NEXT, "step": step})
        parts += [EventColumns.make(1, round=4, user=user, **row) for row in rows]
    return EventColumns.concat(parts)


def slowly(events: EventColumns, in_arm: list[bool]) -> tuple[list[Any], list[Any]]:
    """(pages, items shown), each with all that is said of it."""
    pages: list[Any] = []
    items: list[Any] = []
    for row in range(len(events)):
        user, kind = int(events.user[row]), events.kind[row]
        if not in_arm[user]:
            continue
        item, position = int(events.item[row]), int(events.position[row])
        if kind == EventKind.PAGE:
            fallback = not Outcome(int(events.outcome[row])).usable
            step, surface = int(events.step[row]), int(events.surface[row])
            pages.append((user, step, surface, fallback, events.text.get(row)))
        if kind == EventKind.SHOWN:
            explained = bool(events.code[row] == 1)
            items.append([len(pages) - 1, user, item, position, math.nan, explained])
        if kind == EventKind.WATCH:
            (shown,) = (
                one for one in items if (one[0], one[2], one[3]) == (len(pages) - 1, item, position)
            )
            shown[4] = float(events.value[row])
    return pages, items


def told(feedback: Feedback) -> tuple[list[Any], list[Any]]:
    explained = feedback.explained
    pages = [
        (int(feedback.page_user[page]), int(feedback.page_step[page]),
         int(feedback.page_surface[page]), bool(feedback.page_fallback[page]),
         feedback.tokens.get(page))
        for page in range(len(feedback.page_user))
    ]  # fmt: skip
    items = [
        [int(feedback.page[row]), int(feedback.user[row]), int(feedback.item[row]),
         int(feedback.position[row]), float(feedback.rating[row]),
         bool(explained is not None and explained[row])]
        for row in range(len(feedback))
    ]  # fmt: skip
    return pages, items


def same(left: list[Any], right: list[Any]) -> bool:
    """Equal, where NaN is equal to NaN."""
    return str(left) == str(right)


@given(rounds(), st.lists(st.booleans(), min_size=USERS, max_size=USERS))
def test_there_is_a_row_for_each_item_shown_and_a_rating_where_it_was_watched(events, in_arm):
    feedback = feedback_of(events, np.array(in_arm), 4)
    pages, items = slowly(events, in_arm)
    found_pages, found_items = told(feedback)
    assert feedback.round == 4
    assert found_pages == pages
    assert same(found_items, items)
    if feedback.explained is not None:
        assert feedback.explained.any()


@given(rounds(), st.integers(1, 4), st.integers(0, 5))
def test_parts_hold_all_pages_once_and_in_order(events, pages_each, first):
    feedback = feedback_of(events, np.ones(USERS, bool), 4)
    pages, items = told(feedback)
    bounds = parts(feedback, pages_each, first)
    assert [page for low, high in bounds for page in range(low, high)] == list(
        range(first, len(pages))
    )
    found_pages: list[Any] = []
    found_items: list[Any] = []
    for low, high in bounds:
        some_pages, some_items = told(part(feedback, low, high))
        assert len(some_pages) == high - low <= pages_each
        found_pages += some_pages
        found_items += [[one[0] + low, *one[1:]] for one in some_items]
    assert found_pages == pages[first:]
    assert same(found_items, [one for one in items if one[0] >= first])


def test_a_played_round_is_told_to_its_two_arms_whole():
    world, results = played(tiny_world(40, 30), 2)
    arm = np.arange(world.users) % 2
    for result in results:
        log = result.events
        for number in (0, 1):
            feedback = feedback_of(log, arm == number, result.round)
            assert same(told(feedback)[1], slowly(log, (arm == number).tolist())[1])
        total = sum(len(feedback_of(log, arm == number, result.round)) for number in (0, 1))
        assert total == len(log.of(EventKind.SHOWN)) > 0
        watches = sum(
            int((~np.isnan(feedback_of(log, arm == number, result.round).rating)).sum())
            for number in (0, 1)
        )
        assert watches == len(log.of(EventKind.WATCH)) > 0


def test_nothing_is_told_of_a_round_without_visits():
    events = EventColumns.make(2, round=1, user=[0, 1], kind=EventKind.IDLE)
    feedback = feedback_of(events, np.ones(2, bool), 1)
    assert len(feedback) == len(feedback.page_user) == 0
    assert parts(feedback, 10) == []


@given(st.lists(st.booleans(), min_size=6, max_size=6), st.integers(1, 3))
def test_history_is_what_the_users_of_the_arm_rated_in_order(in_arm, each):
    history = tiny_world().history
    feedback = history_feedback(history, np.array(in_arm))
    expected = [
        (int(user), int(item), float(rating))
        for user, item, rating in zip(history.user, history.item, history.rating, strict=True)
        if in_arm[user]
    ]
    found = []
    for low, high in parts(feedback, each):
        some = part(feedback, low, high)
        assert some.round == 0
        assert len(some) <= each * 5
        assert (some.page == -1).all()
        assert len(some.page_user) == 0
        found += zip(some.user.tolist(), some.item.tolist(), some.rating.tolist(), strict=True)
    assert found == expected


def test_no_history_is_nothing_to_tell():
    assert len(history_feedback(History.empty(), np.ones(3, bool))) == 0


@pytest.mark.parametrize("outcome", list(Outcome)[1:])
def test_lists_are_counted_as_usable_or_not(outcome):
    counted = tally(np.array([outcome, Outcome.ACCEPTED], np.int8))
    assert (counted.accepted, counted.fallback) == ((2, 0) if outcome.usable else (1, 1))
