"""What recommenders are told of users follows what an operator makes of them."""

from __future__ import annotations

from recarena.server.rpc.questions import Contexts


def test_a_context_is_kept_as_long_as_it_is_true():
    profile = {"age": "30"}
    contexts = Contexts(["u1", "u2"], "arm", lambda _: dict(profile))
    first = contexts[1]
    assert (first.user_id, first.user_number, dict(first.attributes)) == ("u2", 1, profile)
    assert contexts[1] is first
    profile["age"] = "31"
    assert dict(contexts[1].attributes) == {"age": "31"}
    assert dict(first.attributes) == {"age": "30"}
    profile.clear()
    assert not contexts[1].attributes
