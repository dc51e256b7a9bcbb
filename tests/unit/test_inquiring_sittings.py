"""Whose settings a judge goes by, and what several rounds of inquiries took together."""

from __future__ import annotations

import pytest

from recarena.server.config import parse_settings
from recarena.server.errors import InputError
from recarena.server.inquiring.questions import Spent
from recarena.server.inquiring.sittings import Judge, settings_for, together
from recarena.server.mind_rules import MindRules

MEMORY = {
    "embedder": "openai-compatible", "embedder_model": "m", "base_url": "http://127.0.0.1:9/v1",
    "api_key_env": "SECRET",
}  # fmt: skip
OWN = parse_settings({"arms": [{"recommender": "a"}], "memory": MEMORY}, "run")


def test_what_the_run_itself_was_given_stands() -> None:
    found = settings_for(Judge("choice"), OWN, MindRules())
    assert found.memory == OWN.memory


def test_a_judges_own_memory_is_held_to_the_rules() -> None:
    elsewhere = {"embedder": "openai-compatible", "embedder_model": "m"}
    elsewhere["base_url"] = "http://127.0.0.1:1/v1"
    judge = Judge("choice", {"memory": elsewhere})
    with pytest.raises(InputError, match="not an address that this server sends to") as refused:
        settings_for(judge, OWN, MindRules())
    assert refused.value.fields[0][0] == "judge.settings.memory.base_url"
    allowed = MindRules(urls=("http://127.0.0.1:1/v1",))
    assert settings_for(judge, OWN, allowed).memory.base_url == "http://127.0.0.1:1/v1"


def test_what_is_not_known_of_one_round_is_not_known_of_both() -> None:
    one = Spent(2, 1, 10, 20, 0.5, "USD")
    assert together(one, Spent(3, 2, 1, 2, 0.25, "USD")) == Spent(5, 3, 11, 22, 0.75, "USD")
    assert together(Spent(), one).currency == together(one, Spent()).currency == "USD"
    unknown = together(one, Spent(1, 0, None, 5, None))
    assert (unknown.input_tokens, unknown.output_tokens, unknown.cost) == (None, 25, None)
