"""How answers are read, whatever the provider promises of their form."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.llm.calls import Failure, Unreadable
from recarena.server.llm.forms import JsonForm, TextForm
from support.thinkers import FORM, GOOD, RATED

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(LEAVES, lambda of: st.lists(of) | st.dictionaries(st.text(), of), max_leaves=12)


def test_an_answer_in_its_form_is_read():
    assert FORM.read(json.dumps(GOOD)) == (RATED, True)
    assert FORM.read(f"\n {json.dumps(GOOD)}\n") == (RATED, True)


@pytest.mark.parametrize(
    "around", ["```json\n{}\n```", "Sure! {} Does that help?", "I {{think}} so: {}", "{} {{}}"]
)
def test_what_stands_around_an_answer_is_tolerated_and_told(around):
    text = around.replace("{}", json.dumps(GOOD), 1).replace("{{", "{").replace("}}", "}")
    assert FORM.read(text) == (RATED, False)


@pytest.mark.parametrize(
    ("text", "kind", "problem"),
    [
        ("I had rather not.", Failure.NOT_IN_FORM, "not one JSON object"),
        ("[1, 2]", Failure.NOT_IN_FORM, "not one JSON object"),
        ("7", Failure.NOT_IN_FORM, "not one JSON object"),
        ("9" * 5000, Failure.NOT_IN_FORM, "not one JSON object"),
        ('{"item": ' + "9" * 5000 + "}", Failure.NOT_IN_FORM, "not one JSON object"),
        ("[" * 100_000, Failure.NOT_IN_FORM, "not one JSON object"),
        ('{"item": ' + "[" * 5000, Failure.NOT_IN_FORM, "not one JSON object"),
        (json.dumps(GOOD)[:-1], Failure.NOT_IN_FORM, "not one JSON object"),
        (json.dumps(GOOD | {"rating": 9}), Failure.OUT_OF_RANGE, "rating"),
        (json.dumps(GOOD | {"item": 0}), Failure.OUT_OF_RANGE, "item"),
        (json.dumps(GOOD | {"rating": "4"}), Failure.WRONG_FIELDS, "rating"),
        (json.dumps(GOOD | {"rating": 4.5}), Failure.WRONG_FIELDS, "rating"),
        (json.dumps(GOOD | {"why": ""}), Failure.WRONG_FIELDS, "why"),
        (json.dumps({"item": 1, "rating": 4}), Failure.WRONG_FIELDS, "feeling"),
        ("{}", Failure.WRONG_FIELDS, "item"),
    ],
    ids=lambda given: str(given)[:20],
)
def test_what_cannot_be_read_is_told_by_its_kind(text, kind, problem):
    with pytest.raises(Unreadable, match=problem) as caught:
        FORM.read(text)
    assert caught.value.kind is kind


@given(st.text() | JSON.map(json.dumps) | st.builds("{{{}".format, st.text()))
def test_whatever_an_answer_is_it_is_read_or_unreadable(text):
    with contextlib.suppress(Unreadable):
        assert 1 <= FORM.read(text)[0].rating <= 5


def test_what_a_schema_cannot_know_is_checked_as_well():
    def offered(rated: Any) -> None:
        if rated.item > 2:
            raise Unreadable(Failure.OUT_OF_RANGE, "there are 2 items")

    form = JsonForm("rated", type(RATED), offered)
    assert form.read(json.dumps(GOOD))[0] == RATED
    with pytest.raises(Unreadable, match="there are 2 items"):
        form.read(json.dumps(GOOD | {"item": 3}))


def test_lines_of_text_have_no_schema():
    form = TextForm("upper", str.upper)
    assert form.read("a") == ("A", True)
    assert form.schema is None
