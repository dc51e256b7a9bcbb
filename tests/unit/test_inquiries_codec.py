"""Inquiries are read from messages field by field."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from recarena.server.datasets.specs import open_world
from recarena.server.inquiring.questions import (
    Compare,
    Impression,
    Inquiry,
    Questionnaire,
    Quiz,
    QuizQuestion,
    Reason,
    Statement,
    Talk,
    Task,
    Told,
)
from recarena.server.rpc.inquiries_codec import inquiries_from
from recarena.v1 import simulation_inquiry_service_pb2 as pb
from recarena.v1 import work_pb2

DATA = open_world("new:users=8,seed=3,history=2")
USER, ITEM = DATA.population.user_ids[2], DATA.catalog.item_ids[5]
SHOWN = 7


class Past:
    """Two rounds, in which one item was shown everywhere."""

    data = DATA
    last_round = 2

    async def item_at(self, user: int, round: int, shown: Impression, where: str) -> int:
        assert (user, round, where) == (2, 1, "inquiries[0]")
        return SHOWN


def read(**fields: Any) -> list[Inquiry]:
    message = pb.Inquiry(**{"inquiry_id": "a", "user_id": USER, "item_id": ITEM, **fields})
    return asyncio.run(inquiries_from([message], Past()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "found"),
    [
        (
            {"questionnaire": {
                "construct": "c", "lowest": -1, "highest": 2, "labels": ["a", "", "c", "d"],
                "labels_from_highest": True, "preface": "p", "challenge": True,
                "statements": [
                    {"statement_id": "s", "text": "x\u200by", "reversed": True},
                    {"statement_id": "t", "text": "z", "asked_for": 2},
                ],
            }},
            Questionnaire(
                "c", (Statement("s", "xy", True), Statement("t", "z", False, 2)), -1, 2,
                ("a", "", "c", "d"), True, "p", True,
            ),
        ),
        (
            {"quiz": {"questions": [{
                "question_id": "q", "text": "?", "options": ["a", "b"], "facts": ["f=a", "f=b"],
            }]}},
            Quiz((QuizQuestion("q", "?", ("a", "b"), ("f=a", "f=b")),)),
        ),
        (
            {"compare": {"other": {"text": "o"}, "question": "?", "construct": "c"}},
            Compare(Told("o"), 5, "?", "c"),
        ),
        (
            {"compare": {
                "other": {"text": "o"}, "other_item_id": DATA.catalog.item_ids[6], "question": "?",
            }},
            Compare(Told("o"), 6, "?"),
        ),
        (
            {"talk": {"question": "?", "turns": [
                {"speaker": work_pb2.Turn.SPEAKER_USER, "text": "u"},
                {"speaker": work_pb2.Turn.SPEAKER_RECOMMENDER, "text": "r"},
            ]}},
            Talk("?", ((True, "u"), (False, "r"))),
        ),
    ],
    ids=["questionnaire", "quiz", "compare", "compare items", "talk"],
)  # fmt: skip
def test_each_task_is_read_as_it_was_written(task: dict[str, Any], found: Task):
    (inquiry,) = read(**task, explanation={"text": "w"})
    assert inquiry == Inquiry("a", 2, 3, found, 5, told=Told("w"))


def test_what_goes_with_a_task_is_read_too():
    (inquiry,) = read(
        before_round=1, impression={"step": 3, "position": 4}, without_memories=True, draw=6,
        rate={},
    )  # fmt: skip
    assert (inquiry.before_round, inquiry.item) == (1, SHOWN)
    assert inquiry.impression == Impression(3, 4)
    assert (inquiry.without_memories, inquiry.draw, inquiry.told) == (True, 6, None)


def test_the_same_words_are_read_for_each_item_by_itself():
    """A genre in the title of one item is claimed of the other only."""
    genre = DATA.catalog.genre_names[0]
    titles = [f"{genre} Nights" if n == 5 else "Else" for n in range(len(DATA.catalog))]

    class Named(Past):
        data = replace(DATA, catalog=replace(DATA.catalog, titles=titles))

    messages = [
        pb.Inquiry(
            inquiry_id=one, user_id=USER, item_id=one, rate={},
            explanation={"text": f"{genre} Nights"},
        )
        for one in DATA.catalog.item_ids[5:7]
    ]  # fmt: skip
    found = asyncio.run(inquiries_from(messages, Named()))  # type: ignore[arg-type]
    assert [one.told and one.told.claims for one in found] == [(), (0,)]


def test_reasons_have_the_numbers_of_the_contract():
    assert {f"REASON_{one.name}": one.value for one in Reason} == {
        name: number for name, number in pb.Missing.Reason.items() if number
    }
