"""What each provider is sent, and how its answers are read."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from recarena.server.llm.apis import APIS, Unknowable, encode
from recarena.server.llm.calls import Prompt, Reply, Stop, Turn, Usage
from recarena.server.llm.schemas import bounds_in_words, strict
from support.thinkers import (
    EVERY_PROVIDER,
    FORM,
    PROVIDERS,
    prompt,
    replied,
)

ANY_PROVIDER = st.sampled_from(PROVIDERS)
WORDS = st.text(st.characters(codec="utf-8"))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(LEAVES, lambda of: st.lists(of) | st.dictionaries(st.text(), of), max_leaves=12)


class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"


class Seen(BaseModel):
    item: Annotated[int, Field(ge=1, description="Its number")]
    rating: Annotated[int, Field(ge=1, le=5)] = 3
    words: Annotated[str, Field(max_length=40)] = ""


class Page(BaseModel):
    """Nested, with a choice, a list with bounds, and fields named as words of schemas are."""

    title: str
    minimum: int
    mood: Mood = Mood.GOOD
    seen: Annotated[list[Seen], Field(max_length=3)]


PAGE = Page.model_json_schema()


def objects_in(part: Any) -> list[dict[str, Any]]:
    """All objects that a schema describes."""
    if isinstance(part, list):
        return [found for one in part for found in objects_in(one)]
    if not isinstance(part, dict):
        return []
    inner = [found for one in part.values() for found in objects_in(one)]
    return [part, *inner] if part.get("type") == "object" else inner


def schema_in(provider: str, body: Any) -> Any:
    if provider == "anthropic":
        return body["output_config"]["format"]["schema"]
    if provider == "openai":
        return body["text"]["format"]["schema"]
    return body["response_format"]["json_schema"]["schema"]


def body_of(provider: str, asked: Prompt | None = None, **parameters: Any) -> Any:
    return APIS[provider].body("m", asked or prompt(), parameters)


# ---------------------------------------------------------------------- bodies


def test_anthropic_is_sent_rules_that_are_marked_for_its_cache():
    body = body_of("anthropic", prompt(schema=None))
    rules = {"type": "text", "text": "Be Ann.", "cache_control": {"type": "ephemeral"}}
    said = [{"role": "user", "content": prompt().turns[0].text}]
    assert body == {"model": "m", "max_tokens": 100, "system": [rules], "messages": said}


def test_openai_keeps_nothing_and_calls_with_the_same_rules_share_a_cache_key():
    body = body_of("openai", prompt(schema=None))
    assert body == {
        "model": "m",
        "instructions": "Be Ann.",
        "input": [{"role": "user", "content": prompt().turns[0].text}],
        "max_output_tokens": 100,
        "prompt_cache_key": "rate@1",
        "store": False,
    }


def test_a_compatible_server_is_sent_what_all_of_them_know():
    body = body_of("openai-compatible", prompt(schema=None))
    said = [
        {"role": "system", "content": "Be Ann."},
        {"role": "user", "content": prompt().turns[0].text},
    ]
    assert body == {"model": "m", "messages": said, "max_tokens": 100}


@EVERY_PROVIDER
def test_no_parameter_is_sent_that_nobody_set(provider):
    plain = body_of(provider)
    assert not {"temperature", "top_p", "seed", "reasoning", "stream"} & plain.keys()
    assert body_of(provider, temperature=0.7) == plain | {"temperature": 0.7}


@EVERY_PROVIDER
def test_parameters_are_passed_on_as_they_are_and_go_before_ours(provider):
    body = body_of(provider, reasoning={"effort": "low"}, model="other")
    assert (body["reasoning"], body["model"]) == ({"effort": "low"}, "other")


@EVERY_PROVIDER
def test_a_second_try_carries_the_answer_and_what_is_wrong_with_it(provider):
    again = prompt().then("nonsense", "Once more.").then("", "And again.")
    body = body_of(provider, again)
    said = [turn["content"] for turn in body.get("messages") or body["input"]][-4:]
    assert said == ["nonsense", "Once more.", "(nothing)", "And again."]
    assert schema_in(provider, body) == schema_in(provider, body_of(provider))


@given(ANY_PROVIDER, WORDS, WORDS, st.integers(1, 9999))
def test_the_same_prompt_is_the_same_bytes(provider, system, said, limit):
    def made() -> bytes:
        asked = Prompt("id", system, (Turn("user", said),), limit, FORM.name, FORM.schema)
        return encode(body_of(provider, asked, temperature=0.5))

    assert made() == made()
    assert json.loads(made()) == body_of(
        provider,
        Prompt("id", system, (Turn("user", said),), limit, FORM.name, FORM.schema),
        temperature=0.5,
    )


@EVERY_PROVIDER
def test_prompts_that_differ_anywhere_are_other_bytes(provider):
    plain = encode(body_of(provider))
    others = [
        prompt(1),
        prompt(system="Be Bob."),
        prompt(max_tokens=101),
        prompt(schema=None),
        prompt().then("a", "b"),
    ]
    assert len({plain, *(encode(body_of(provider, one)) for one in others)}) == 6
    assert encode(APIS[provider].body("n", prompt(), {})) != plain


# ---------------------------------------------------------------------- schemas


@EVERY_PROVIDER
def test_all_fields_are_required_and_no_others_allowed(provider):
    schema = schema_in(provider, body_of(provider, prompt(form="page", schema=PAGE)))
    found = objects_in(schema)
    assert [sorted(one["required"]) for one in found] == [
        ["minimum", "mood", "seen", "title"],
        ["item", "rating", "words"],
    ]
    assert all(one["additionalProperties"] is False for one in found)
    assert "$ref" not in json.dumps(schema)
    assert "$defs" not in json.dumps(schema)
    assert "default" not in json.dumps(schema)
    assert schema["properties"]["mood"]["enum"] == ["good", "bad"]


def test_openai_is_told_bounds_as_a_schema_tells_them():
    seen = strict(PAGE)["properties"]["seen"]
    assert seen["maxItems"] == 3
    assert seen["items"]["properties"]["rating"] == {"maximum": 5, "minimum": 1, "type": "integer"}


def test_anthropic_is_told_bounds_in_words():
    schema = schema_in("anthropic", body_of("anthropic", prompt(form="page", schema=PAGE)))
    seen = schema["properties"]["seen"]
    fields = seen["items"]["properties"]
    assert seen["description"] == "at most 3"
    assert fields["item"] == {"type": "integer", "description": "Its number, from 1 to any"}
    assert fields["rating"] == {"type": "integer", "description": "from 1 to 5"}
    assert fields["words"] == {"type": "string", "description": "at most 40 characters"}


def test_the_least_length_is_told_in_words_as_well():
    part = {"type": "array", "minItems": 2, "maxItems": 4, "items": {"minLength": 1}}
    worded = bounds_in_words(part)
    assert worded["description"] == "at least 2, at most 4"
    assert worded["items"]["description"] == "at least 1 characters"


def test_fields_that_are_named_as_a_schemas_own_words_stay():
    assert set(bounds_in_words(strict(PAGE))["properties"]) == set(Page.model_fields)


# ---------------------------------------------------------------------- usage


USED: dict[str, dict[str, Any]] = {
    "anthropic": {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_input_tokens": 70,
        "cache_creation_input_tokens": 20,
    },
    "openai": {
        "input_tokens": 80,
        "output_tokens": 5,
        "input_tokens_details": {"cached_tokens": 70},
    },
    "openai-compatible": {
        "prompt_tokens": 80,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 70},
    },
}


@EVERY_PROVIDER
def test_tokens_from_a_cache_are_counted_once_and_apart(provider):
    usage = APIS[provider].read(replied(provider, usage=USED[provider])).usage
    written = 20 if provider == "anthropic" else 0
    assert usage == Usage(10, 5, 70, written)
    assert (usage.prompt, usage.total) == (80 + written, 85 + written)


@EVERY_PROVIDER
@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": None}, {"prompt_tokens": "12"}])
def test_usage_that_is_not_told_is_unknown_and_not_0(provider, usage):
    more = {} if usage is None else {"usage": usage}
    read = APIS[provider].read(replied(provider, **more)).usage
    assert (read.input, read.output, read.total, read.prompt) == (None, None, None, None)


@EVERY_PROVIDER
@pytest.mark.parametrize("number", [-1, 10**30, True])
def test_tokens_that_cannot_be_are_unknown(provider, number):
    usage = dict.fromkeys(USED[provider], number)
    usage |= dict.fromkeys(("input_tokens", "prompt_tokens"), number)
    assert APIS[provider].read(replied(provider, usage=usage)).usage.total is None


def test_what_is_unknown_of_one_is_unknown_of_a_sum():
    assert Usage(1, 2, 3, 4).plus(Usage(10, 20, 30, 40)) == Usage(11, 22, 33, 44)
    assert Usage(1, 2).plus(Usage(None, 2)) == Usage(None, 4)
    assert Usage(1, 2).plus(Usage()).total is None


# ---------------------------------------------------------------------- replies


REFUSED: dict[str, list[dict[str, Any]]] = {
    "anthropic": [replied("anthropic", "No.", stop_reason="refusal")],
    "openai": [
        {"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]},
        {
            "output": [],
            "status": "incomplete",
            "incomplete_details": {"reason": "content_filter"},
        },
    ],
    "openai-compatible": [
        {"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]},
        {"choices": [{"message": {"refusal": "No."}, "finish_reason": "stop"}]},
    ],
}
CUT: dict[str, dict[str, Any]] = {
    "anthropic": replied("anthropic", '{"it', stop_reason="max_tokens"),
    "openai": replied("openai", '{"it', status="incomplete"),
    "openai-compatible": {"choices": [{"message": {"content": '{"it'}, "finish_reason": "length"}]},
}


@EVERY_PROVIDER
def test_why_a_model_stopped_is_read(provider):
    read = APIS[provider].read
    assert read(replied(provider, "Yes.")) == Reply("Yes.", Stop.DONE, Usage())
    assert {read(one).stop for one in REFUSED[provider]} == {Stop.REFUSAL}
    assert read(CUT[provider]) == Reply('{"it', Stop.LENGTH, Usage())


def test_thinking_is_no_part_of_an_answer():
    thought = [
        {"type": "thinking", "thinking": "Hm."},
        {"type": "text", "text": "A"},
        {"type": "text", "text": "B"},
    ]
    assert APIS["anthropic"].read({"content": thought}).text == "AB"
    reasoning = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    whole = replied("openai", "AB")
    whole["output"].insert(0, reasoning)
    assert APIS["openai"].read(whole).text == "AB"


@EVERY_PROVIDER
def test_half_of_a_character_in_an_answer_can_be_sent_and_recorded(provider):
    """A server that cuts an emoji in two sends one half of a pair."""
    text = APIS[provider].read(replied(provider, 'so \ud83d"')).text
    assert text.startswith("so ")
    assert encode(body_of(provider, prompt().then(text, "Once more.")))


@EVERY_PROVIDER
@pytest.mark.parametrize("response", [{}, {"content": "no"}, {"choices": []}, {"output": None}])
def test_a_response_of_another_form_is_none(provider, response):
    with pytest.raises(Unknowable):
        APIS[provider].read(response)


def shuffled(provider: str, one: Any, other: Any) -> list[dict[str, Any]]:
    """Responses with something else where each of their parts belongs."""
    if provider == "anthropic":
        return [{"content": one, "usage": other}, {"content": [one]}, {"content": [{"type": one}]}]
    if provider == "openai":
        item = {"type": "message", "content": one}
        parts = {"type": "message", "content": [one, other]}
        return [
            {"output": [one], "usage": other},
            {"output": [item], "incomplete_details": other},
            {"output": [parts], "usage": {"input_tokens_details": other}},
        ]
    return [
        {"choices": one, "usage": other},
        {"choices": [one]},
        {"choices": [{"message": one}], "usage": {"prompt_tokens_details": other}},
    ]


@given(ANY_PROVIDER, JSON, JSON)
@example("anthropic", ["text"], {})
@example("openai-compatible", "text", ["text"])
def test_whatever_a_response_holds_it_is_read_or_none(provider, one, other):
    for response in shuffled(provider, one, other):
        try:
            reply = APIS[provider].read(response)
        except Unknowable:
            continue
        assert isinstance(reply.text, str)
