"""Columns that are sent are the log's, whatever is in it; errors reach their caller, whatever they
repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
from google.rpc.error_details_pb2 import BadRequest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.errors import InputError, NotFound
from recarena.server.rpc.events_codec import COLUMNS, ROW_BYTES, columns_message
from recarena.server.rpc.status import clipped, of_error, to_grpc
from recarena.server.types import EVENT_COLUMNS, EventColumns, EventKind
from support.raw_client import details
from support.watching import assert_is_log, read

LIMIT = 8 * 1024 - 150
"""Bytes of headers that a client takes for sure, without their names and those that always come."""


@st.composite
def logs(draw: st.DrawFn) -> EventColumns:
    size = draw(st.integers(0, 40))
    columns: dict[str, Any] = {}
    for name, (dtype, _) in EVENT_COLUMNS.items():
        if np.issubdtype(dtype, np.floating):
            values = st.floats(width=32, allow_nan=False)
        else:
            bounds = np.iinfo(dtype)
            values = st.integers(int(bounds.min), int(bounds.max))
        columns[name] = draw(st.lists(values, min_size=size, max_size=size))
    kinds = st.lists(st.sampled_from(EventKind), min_size=size, max_size=size)
    columns["kind"] = draw(st.just(columns["kind"]) | kinds)
    rows = st.integers(0, size - 1) if size else st.nothing()
    words = draw(st.dictionaries(rows, st.text(max_size=3)))
    return EventColumns.make(size, **columns, text=words)


@given(logs())
def test_columns_are_read_as_they_stand_in_the_log(events: EventColumns):
    message = columns_message(events)
    assert_is_log(message, events)
    assert sum(len(getattr(message, name)) for name in COLUMNS) == ROW_BYTES * len(events)


def test_what_nobody_decided_is_told_by_row_and_other_words_are_not():
    kinds = [EventKind.IDLE, EventKind.IDLE, EventKind.WATCH, EventKind.LEAVE, EventKind.PAGE]
    words = {4: "a token", 3: "because of no_answer", 2: "I liked it", 0: "because of timeout"}
    events = EventColumns.make(5, round=1, user=0, kind=kinds, text=words)
    assert list(columns_message(events).undecided) == [0, 3]


def test_columns_are_little_endian_whatever_the_machine_is():
    events = EventColumns.make(1, round=1, user=258, kind=6, item=1, position=513, value=1.0)
    message = columns_message(events)
    assert message.user == bytes([2, 1, 0, 0])
    assert message.position == bytes([1, 2])
    assert message.value == bytes([0, 0, 128, 63])
    foreign = events.take(np.array([0]))
    object.__setattr__(foreign, "user", foreign.user.astype(">i4"))
    assert columns_message(foreign).user == message.user
    assert read(message)["user"].tolist() == [258]


# ------------------------------------------------------------------------------ errors
def headers_of(error: Any) -> int:
    """Bytes that the status of an error takes in headers, its words percent-encoded."""
    status = to_grpc(of_error(error))
    words = sum(1 if 32 <= one < 127 and one != 37 else 3 for one in status.details.encode())
    return words + sum(len(value) * 4 // 3 + 4 for _, value in status.trailing_metadata)


@given(st.text(max_size=50).map(lambda text: text * 1000), st.integers(1, 40))
def test_no_error_is_too_long_to_reach_its_caller(text: str, count: int):
    fields = tuple((f"{at}.{text}", text) for at in range(count))
    for error in (NotFound(text), InputError(text, where=text), InputError("x", fields=fields)):
        assert headers_of(error) < LIMIT


def test_short_errors_are_told_whole_and_long_ones_from_their_beginning():
    status = of_error(InputError("too long", where="user_id", remedy="Shorten it"))
    assert status.message == "user_id: too long. Shorten it"
    (bad,) = details(status, BadRequest)
    assert [(one.field, one.description) for one in bad.field_violations] == [
        ("user_id", "too long")
    ]
    assert clipped("äbc", 4) == "äbc"
    assert clipped("ääää", 6) == "ä…"
    assert of_error(NotFound("no user " + "x" * 9999)).message.startswith("no user xxx")
    fields = tuple((f"run.settings.table.number_{at}", "must be less than 7") for at in range(16))
    (bad,) = details(of_error(InputError("x", fields=fields)), BadRequest)
    assert len(bad.field_violations) == 16
    text = "; ".join(f"{path}: {what}" for path, what in fields)
    assert of_error(NotFound(text)).message == text
