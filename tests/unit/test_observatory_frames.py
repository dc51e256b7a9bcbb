"""What users do as a byte each, columns as they come over the wire, and who is spoken of."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from recarena.observatory import frames
from recarena.observatory.columns import Columns, Kind
from recarena.v1.run_pb2 import EventColumns, UserEvent


def columns(*rows: tuple[int, Kind], **more: list[float]) -> Columns:
    """Columns of (user, kind) rows; the others are neutral unless they are given."""
    return Columns.of(columns_message(*rows, **more))


def columns_message(*rows: tuple[int, Kind], **more: list[float]) -> EventColumns:
    """The same as it is sent."""
    size = len(rows)
    given = {name: np.array(values) for name, values in more.items()}

    def column(name: str, dtype: str, neutral: float) -> bytes:
        return given.get(name, np.full(size, neutral)).astype(dtype).tobytes()

    return EventColumns(
        rows=size,
        user=np.array([user for user, _ in rows], "<i4").tobytes(),
        kind=np.array([kind for _, kind in rows], "<i1").tobytes(),
        item=column("item", "<i4", -1), position=column("position", "<i2", -1),
        value=column("value", "<f4", 0), other=column("other", "<i4", -1),
        step=column("step", "<i2", -1), surface=column("surface", "<i1", 0),
        outcome=column("outcome", "<i1", 0),
    )  # fmt: skip


def test_the_numbers_of_types_are_those_of_the_contract():
    assert {kind.name: int(kind) for kind in Kind} == {
        name.removeprefix("TYPE_"): number for name, number in UserEvent.Type.items() if number
    }


def test_of_several_things_the_highest_is_what_a_user_does():
    events = columns(
        (-1, Kind.INTERVENTION),
        (0, Kind.IDLE),
        (1, Kind.ENTER_RECOMMENDER), (1, Kind.PAGE), (1, Kind.SHOWN), (1, Kind.LEAVE),
        (2, Kind.ENTER_RECOMMENDER), (2, Kind.SEARCH), (2, Kind.PAGE), (2, Kind.LEAVE),
        (3, Kind.ENTER_RECOMMENDER), (3, Kind.CONVERSE), (3, Kind.PAGE),
        (4, Kind.ENTER_RECOMMENDER), (4, Kind.CONVERSE), (4, Kind.WATCH), (4, Kind.LEAVE),
        (5, Kind.ENTER_SOCIAL), (5, Kind.CHAT),
        (6, Kind.ENTER_SOCIAL), (6, Kind.POST),
        (7, Kind.ENTER_SOCIAL),
    )  # fmt: skip
    assert [frames.ACTIONS[one] for one in frames.actions_of(events, 9)] == [
        "away", "browsing", "searching", "talking", "watching", "chatting", "posting", "browsing",
        "away",
    ]  # fmt: skip


def test_an_event_of_a_type_that_is_not_known_yet_is_nothing_that_is_shown():
    events = columns((0, Kind.WATCH))
    odd = Columns(events.user, np.array([99], np.int8), *(
        getattr(events, name) for name in
        ("item", "position", "value", "other", "step", "surface", "outcome")
    ))  # fmt: skip
    assert frames.actions_of(odd, 1).tolist() in ([0], [int(frames.ACTION_OF[-1])])


def test_columns_of_unequal_length_are_refused():
    message = EventColumns(rows=2, user=b"\0" * 8, kind=b"\1")
    with pytest.raises(ValueError, match="column kind has 1 rows, not 2"):
        Columns.of(message)


def test_what_nobody_decided_is_wrong_as_pages_without_a_list_are():
    message = columns_message(
        (0, Kind.PAGE), (0, Kind.LEAVE), (1, Kind.IDLE), (2, Kind.PAGE), (2, Kind.NEXT),
        outcome=[4, 0, 0, 2, 0],
    )  # fmt: skip
    assert Columns.of(message).wrong().tolist() == [True, False, False, False, False]
    message.undecided.extend([2, 4])
    assert Columns.of(message).wrong().tolist() == [True, False, True, False, True]
    message.undecided.append(5)
    with pytest.raises(ValueError, match="row 5 of 5"):
        Columns.of(message)


def test_own_rows_are_those_of_pages_with_the_recommenders_list():
    events = columns(
        (0, Kind.ENTER_RECOMMENDER), (0, Kind.PAGE), (0, Kind.SHOWN), (0, Kind.WATCH),
        (0, Kind.PAGE), (0, Kind.SHOWN), (0, Kind.WATCH), (1, Kind.SHOWN),
        outcome=[0, 1, 0, 0, 4, 0, 0, 0],
    )  # fmt: skip
    assert events.own().tolist() == [False, True, True, True, False, False, False, False]


def test_who_is_spoken_of_first_did_most_and_all_actions_have_their_turn():
    events = columns(
        *((0, Kind.POST),), *(((1, Kind.POST),) * 2), *(((2, Kind.WATCH),) * 3),
        *(((3, Kind.WATCH),)), *(((4, Kind.SHOWN),) * 50), *(((5, Kind.IDLE),)),
    )  # fmt: skip
    actions = frames.actions_of(events, 6)
    assert frames.busiest(events, actions, 10).tolist() == [1, 2, 4, 0, 3]
    assert frames.busiest(events, actions, 2).tolist() == [1, 2]
    assert frames.busiest(events, np.zeros(6, np.uint8), 5).tolist() == []


def test_a_keyframe_holds_a_byte_and_two_a_user():
    actions = np.array([0, 4, 6], np.uint8)
    watches = np.array([0, 300, 65535], np.uint16)
    made = frames.keyframe(2, 7, "2-0", (actions, watches), (1,))
    assert base64.b64decode(made["actions"]) == bytes([0, 4, 6])
    assert np.frombuffer(base64.b64decode(made["watches"]), "<u2").tolist() == [0, 300, 65535]
    assert made["counts"]["watching"] == made["counts"]["posting"] == made["counts"]["away"] == 1
    assert (made["epoch"], made["round"], made["people"]) == (2, 7, [1])
