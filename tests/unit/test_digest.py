"""The digest of the event log."""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.store.digest import round_digest
from recarena.server.types import EVENT_COLUMNS, EventColumns, EventKind
from support.columns import event_columns
from support.rounds import made_round

KNOWN = "3352644fb071d401cee55c309a9827e305100177327b664a15d82df5d3167088"
CODES = {np.int8: "b", np.int16: "h", np.int32: "i", np.float32: "f"}


def digest_by_the_book(previous: str, events: EventColumns) -> str:
    """docs/run-folder.md, one value at a time."""
    data = previous.encode() + struct.pack("<Q", len(events))
    for name, (dtype, _) in EVENT_COLUMNS.items():
        data += name.encode() + b"\0"
        for value in getattr(events, name).tolist():
            plain = math.nan if value != value else 0 if value == 0 else value
            data += struct.pack("<" + CODES[dtype], plain)
    data += struct.pack("<Q", len(events.text))
    for row in sorted(events.text):
        words = events.text[row].encode()
        data += struct.pack("<QQ", row, len(words)) + words
    return hashlib.blake2b(data, digest_size=32).hexdigest()


@given(event_columns(), st.sampled_from(["", "ab" * 32]))
def test_the_digest_is_what_the_documentation_says(events: EventColumns, previous: str):
    assert round_digest(previous, events) == digest_by_the_book(previous, events)


def test_the_digest_of_a_known_round_never_changes():
    events = EventColumns.make(
        2,
        round=1,
        user=[0, 3],
        kind=[EventKind.WATCH, EventKind.POST],
        item=7,
        value=[4, -0.5],
        text={1: "très bien"},
    )
    assert round_digest("", events) == KNOWN


@given(event_columns())
def test_bytes_in_the_other_order_give_the_same_digest(events: EventColumns):
    swapped = {}
    for name in EVENT_COLUMNS:
        column = getattr(events, name)
        swapped[name] = column.astype(column.dtype.newbyteorder("S"))
    assert round_digest("", EventColumns(**swapped, text=events.text)) == round_digest("", events)


def test_minus_zero_is_zero_and_all_nans_are_one():
    base = made_round(1).events
    other_nan = np.array([0x7FC12345], np.uint32).view(np.float32)[0]
    for left, right in ((0.0, -0.0), (np.nan, other_nan), (np.nan, -np.nan)):
        one, two = base.value.copy(), base.value.copy()
        one[3], two[3] = left, right
        assert round_digest("", replace(base, value=one)) == round_digest(
            "", replace(base, value=two)
        )


@given(event_columns(min_size=1), st.data())
def test_a_change_of_any_cell_changes_the_digest(events: EventColumns, data: st.DataObject):
    name = data.draw(st.sampled_from(list(EVENT_COLUMNS)))
    row = data.draw(st.integers(0, len(events) - 1))
    column = getattr(events, name).copy()
    column[row] = 1 if column[row] == 0 else 0
    assert round_digest("", replace(events, **{name: column})) != round_digest("", events)


@pytest.mark.parametrize("text", [{}, {0: "ab"}, {1: "ab"}, {0: "a", 1: "b"}, {0: "", 1: "ab"}])
def test_words_count_with_their_rows(text: dict[int, str]):
    base = made_round(1).events
    others = [{}, {0: "ab"}, {1: "ab"}, {0: "a", 1: "b"}, {0: "", 1: "ab"}]
    same = [
        t
        for t in others
        if round_digest("", replace(base, text=t)) == round_digest("", replace(base, text=text))
    ]
    assert same == [text]


def test_the_order_in_which_words_were_put_down_is_irrelevant():
    base = made_round(1).events
    one, two = {0: "a", 5: "b"}, {5: "b", 0: "a"}
    assert round_digest("", replace(base, text=one)) == round_digest("", replace(base, text=two))


def test_rounds_are_chained_in_their_order():
    first, second = made_round(1).events, made_round(2).events
    forth = round_digest(round_digest("", first), second)
    assert forth != round_digest(round_digest("", second), first)
    assert round_digest(forth, EventColumns.empty()) != forth
