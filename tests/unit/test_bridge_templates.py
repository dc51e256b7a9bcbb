"""What placeholders become in paths, queries and bodies, whatever the values hold."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.bridge.service import outgoing
from recarena.bridge.templates import Template, as_text

NAMES = frozenset({"user_id", "count", "ids", "gone", "values.", "rating"})
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def template(source: object) -> Template:
    return Template(source, NAMES)


@given(JSON)
def test_a_string_that_is_one_placeholder_keeps_the_type_of_its_value(value):
    assert template({"a": ["{rating}"]}).json({"rating": value}) == {"a": [value]}


@given(JSON)
def test_what_has_no_placeholder_is_left_as_it_is(value):
    assert template(braces_doubled(value)).json({}) == value


def braces_doubled(value):
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, list):
        return [braces_doubled(one) for one in value]
    if isinstance(value, dict):
        return {key: braces_doubled(one) for key, one in value.items()}
    return value


@given(TEXT, st.integers())
def test_values_are_written_into_text_and_never_read_as_templates(user, count):
    made = template("<{user_id}|{count}>").json({"user_id": user, "count": count})
    assert made == f"<{user}|{count}>"


@given(TEXT.filter(bool))
def test_a_value_is_one_piece_of_a_path_whatever_it_holds(user):
    path = template("/users/{user_id}/items").path({"user_id": user})
    assert path.isascii()
    parts = path.split("/")
    assert len(parts) == 4
    assert unquote(parts[2], errors="strict") == user
    assert not path.startswith("//")


@given(TEXT, st.lists(TEXT.filter(lambda one: "," not in one), max_size=4))
def test_a_query_comes_out_as_it_went_in_over_a_real_url(text, many):
    query = {"q": template("{user_id}"), "each": template(["{ids}"]), "all": template("{ids}")}
    request = outgoing("GET", template("/find"), query, None, {"user_id": text, "ids": many})
    url = httpx2.URL(f"http://127.0.0.1:1{request.target}")
    assert url.raw_path.decode() == request.target  # the client sends what we made
    pairs = parse_qsl(url.query.decode(), keep_blank_values=True, strict_parsing=True)
    assert pairs == [("q", text), *(("each", one) for one in many), ("all", ",".join(many))]


@pytest.mark.parametrize("walk", [".", ".."])
def test_dots_do_not_walk_up_a_path(walk):
    request = outgoing("GET", template("/a/{user_id}/b"), {}, None, {"user_id": walk})
    assert httpx2.URL(f"http://127.0.0.1:1{request.target}").raw_path.count(b"/") == 3


def test_what_is_absent_leaves_its_key_out():
    source = {"user": "{user_id}", "stars": "{gone}", "list": ["{gone}", 1], "text": "<{gone}>"}
    made = template(source).json({"user_id": "u1", "gone": None})
    assert made == {"user": "u1", "list": [1], "text": "<>"}
    request = outgoing("GET", template("/"), {"x": template("{gone}")}, None, {"gone": None})
    assert request.target == "/"


def test_a_parameter_joins_a_query_that_stands_in_the_path():
    request = outgoing("GET", template("/a?b=1"), {"c": template("{count}")}, None, {"count": 2})
    assert request.target == "/a?b=1&c=2"


def test_values_of_ones_own_have_names():
    assert template("{values.db}").json({"values": {"db": 5}}) == 5
    assert template("{values.db}").json({"values": {}}) is None


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (1.5, "1.5"), (3, "3"), (None, ""), (["a", 1], "a,1")]
)
def test_values_are_written_as_json_writes_them(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{user_ids}", "{user_ids} is not known here; did you mean 'user_id'?"),
        ({"deep": ["{cuont}"]}, "did you mean 'count'?"),
        ("{values}", "{values} is not known here"),
        ("{count.x}", "{count.x} is not known here"),
        ("{}", "{} is not known here"),
        ("a { b", "has a brace alone: write {{ or }} for a brace itself"),
        ("a } b", "has a brace alone"),
    ],
)
def test_a_wrong_template_is_explained(source, said):
    with pytest.raises(ValueError, match=r"\{") as error:
        template(source)
    assert said in str(error.value)
