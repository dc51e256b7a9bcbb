"""What a page asks for as messages of the contract; what is wrong is named by its field."""

from __future__ import annotations

from typing import Any

import pytest

from recarena.observatory.commands import decision_of, intervention_of
from recarena.observatory.failures import Failure
from recarena.observatory.messages import intervention_json
from recarena.v1.steering_pb2 import Decision, Intervention

CHANGES: list[dict[str, Any]] = [
    {"kind": "edit_profile", "user_id": "u", "name": "N", "profile": {"age": "40"},
     "traits": {"trust": 0.5}, "tastes": {"Drama": -1}},
    {"kind": "set_relation", "user_id": "u", "other_user_id": "v", "closeness": 0.5,
     "relation_kind": "colleague", "both_ways": True},
    {"kind": "remove_relation", "user_id": "u", "other_user_id": "v"},
    {"kind": "add_item", "quality": 1, "item": {"item_id": "i", "title": "T",
     "categories": ["Drama"], "attributes": {"year": 1999}}},
    {"kind": "withdraw_item", "item_id": "i"},
    {"kind": "inject_post", "user_id": "u", "text": "Hello", "sentiment": 2},
    {"kind": "tell_user", "user_id": "u", "said": "a", "answer": "b"},
    {"kind": "take_over", "user_id": "u", "turn_time": 30},
    {"kind": "hand_back", "user_id": "u"},
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: one["kind"])
def test_every_change_of_the_contract_can_be_asked_for(change):
    made = intervention_of(change)
    assert made.WhichOneof("change") == change["kind"]


def test_no_change_of_the_contract_is_forgotten():
    fields = Intervention.DESCRIPTOR.oneofs_by_name["change"].fields
    assert [one["kind"] for one in CHANGES] == [one.name for one in fields]


def test_fields_are_taken_over():
    made = intervention_of(CHANGES[0]).edit_profile
    assert (made.user_id, made.name, made.profile["age"]) == ("u", "N", "40")
    assert (made.traits["trust"], made.tastes["Drama"]) == (0.5, -1)
    assert intervention_of(CHANGES[7]).take_over.turn_time.ToSeconds() == 30
    assert not intervention_of({"kind": "take_over", "user_id": "u"}).take_over.HasField(
        "turn_time"
    )


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: one["kind"])
def test_a_change_is_told_as_it_was_asked_for(change):
    told = intervention_json(intervention_of(change))
    assert {"kind": told["kind"], **told["change"]} == change


def test_the_kind_of_a_tie_is_not_that_of_the_change():
    made = intervention_of({"kind": "set_relation", "relation_kind": "rival"}).set_relation
    assert made.kind == "rival"
    assert intervention_of({"kind": "set_relation"}).set_relation.kind == ""


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({}, "change.kind"),
        ({"kind": "number"}, "change.kind"),
        ({"kind": "explode"}, "change.kind"),
        ({"kind": "hand_back", "user": "u"}, "change.hand_back"),
        ({"kind": "hand_back", "user_id": 3}, "change.hand_back"),
        ({"kind": "edit_profile", "traits": {"trust": "much"}}, "change.edit_profile"),
        ({"kind": "set_relation", "closeness": "near"}, "change.set_relation"),
    ],
)
def test_a_change_that_is_none_is_named(change, field):
    with pytest.raises(Failure) as refused:
        intervention_of(change)
    assert (refused.value.status, refused.value.field) == (400, field)
    assert refused.value.message


def test_every_decision_can_be_taken():
    assert decision_of({"activity": "social"}).activity == Decision.DOING_SOCIAL
    assert decision_of({"opening": {"words": "a film"}}).opening.words == "a film"
    assert decision_of({"opening": {}}).WhichOneof("decision") == "opening"
    watches = [{"position": 2, "rating": 4, "feeling": "good"}, {"position": 0}]
    page = decision_of({"page": {"watches": watches, "action": "search", "query": "x"}}).page
    assert [(one.position, one.rating, one.feeling) for one in page.watches] == [
        (2, 4, "good"), (0, 0, ""),
    ]  # fmt: skip
    assert (page.action, page.query) == (Decision.ACTION_SEARCH, "x")
    social = decision_of({"social": {"user_id": "v", "words": "hi", "sentiment": -1}}).social
    assert (social.user_id, social.words, social.sentiment) == ("v", "hi", -1)


@pytest.mark.parametrize(
    ("decision", "field"),
    [
        ({}, "decision"),
        ({"activity": "social", "opening": {}}, "decision"),
        ({"sleep": {}}, "decision"),
        ({"activity": "sleep"}, "decision.activity"),
        ({"activity": ["social"]}, "decision.activity"),
        ({"page": []}, "decision.page"),
        ({"page": {"action": "stay"}}, "decision.page.action"),
        ({"page": {"action": ["next"]}}, "decision.page.action"),
        ({"page": {"action": "next", "watches": [{"position": -1}]}}, "decision.page"),
        ({"social": {"sentiment": "high"}}, "decision.social"),
    ],
)
def test_a_decision_that_is_none_is_named(decision, field):
    with pytest.raises(Failure) as refused:
        decision_of(decision)
    assert refused.value.field == field
