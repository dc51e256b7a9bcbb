"""What is made of a provider's errors, and of what it says about its room."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recarena.server.llm.apis import APIS
from recarena.server.llm.failures import Sort, sort_response
from support.thinkers import EVERY_PROVIDER, PROVIDERS, arrived

ANY_PROVIDER = st.sampled_from(PROVIDERS)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(LEAVES, lambda of: st.lists(of) | st.dictionaries(st.text(), of), max_leaves=12)


@given(ANY_PROVIDER, st.integers(201, 599), JSON, st.text())
@example("anthropic", 400, {"error": "text"}, "")
def test_whatever_an_error_says_it_is_sorted(provider, status, said, wait):
    for body in (said, {"error": said}, {"error": {"message": said, "type": said}}):
        raw = json.dumps(body).encode()
        headers = {"retry-after": wait, "anthropic-ratelimit-tokens-reset": wait}
        found = sort_response(APIS[provider], arrived(raw, status, headers), 60.0)
        assert found.sort is not Sort.GOOD
        assert "\n" not in found.text
        assert found.wait is None or 0 < found.wait <= 60.0


@EVERY_PROVIDER
@pytest.mark.parametrize(
    ("status", "sort"),
    [
        (400, Sort.REJECTED),
        (401, Sort.KEY_DEAD),
        (403, Sort.KEY_DEAD),
        (404, Sort.FATAL),
        (408, Sort.TRANSIENT),
        (409, Sort.TRANSIENT),
        (413, Sort.REJECTED),
        (422, Sort.REJECTED),
        (429, Sort.LIMITED),
        (500, Sort.TRANSIENT),
        (503, Sort.TRANSIENT),
        (529, Sort.LIMITED),
    ],
)
def test_errors_are_sorted_by_their_status(provider, status, sort):
    response = arrived({"error": {"message": "Because\n of that."}}, status)
    found = sort_response(APIS[provider], response, 60.0)
    assert found.sort is sort
    assert "Because of that." in found.text


@pytest.mark.parametrize(
    ("provider", "status", "error"),
    [
        ("anthropic", 400, {"message": "Your credit balance is too low to access the API."}),
        ("anthropic", 402, {"type": "billing_error", "message": "Pay."}),
        ("anthropic", 403, {"message": "You have reached your specified API usage limits."}),
        ("openai", 429, {"code": "insufficient_quota", "message": "You exceeded your quota."}),
        ("openai", 429, {"type": "billing_hard_limit_reached", "message": "Pay."}),
        ("openai-compatible", 402, {"code": "project_spend_limit_reached", "message": "Pay."}),
    ],
)
def test_no_money_is_another_thing_than_no_room(provider, status, error):
    found = sort_response(APIS[provider], arrived({"error": error}, status), 60.0)
    assert found.sort is Sort.KEY_DEAD
    assert error["message"] in found.text
    assert "no money or quota left" in found.text


@EVERY_PROVIDER
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "9999"}, 60.0),
        ({"retry-after": "inf"}, 60.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_and_capped(provider, headers, wait):
    response = arrived({"error": {"message": "Slow down."}}, 429, headers)
    assert sort_response(APIS[provider], response, 60.0).wait == wait


def test_anthropics_resets_are_points_in_time():
    soon = datetime.now(UTC) + timedelta(seconds=30)
    headers = {
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": soon.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "anthropic-ratelimit-tokens-remaining": "7",
        "anthropic-ratelimit-tokens-reset": "2999-01-01T00:00:00Z",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "some day",
    }
    wait = APIS["anthropic"].wait_of(headers)
    assert wait is not None
    assert 0 < wait <= 30
    assert APIS["anthropic"].wait_of({}) is None


@pytest.mark.parametrize(
    ("told", "wait"),
    [
        ("1s", 1.0), ("6m0s", 360.0), ("1h2m3.5s", 3723.5), ("120ms", 0.12), ("1m30s20ms", 90.02),
        ("7", 7.0), ("2d", None), ("soon", None), ("", None), ("1.2.3s", None), ("s", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("provider", ["openai", "openai-compatible"])
def test_openais_resets_are_lengths_of_time(provider, told, wait):
    used_up = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": told}
    found = APIS[provider].wait_of(used_up)
    assert found == (None if wait is None else pytest.approx(wait))
    assert APIS[provider].wait_of(used_up | {"x-ratelimit-remaining-tokens": "9"}) is None


@given(st.text(alphabet="0123456789.hms d"))
def test_whatever_a_reset_says_it_is_a_wait_or_none(told):
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": told}
    wait = APIS["openai"].wait_of(headers)
    assert wait is None or wait >= 0
