"""What users are shown: one JSON object in which all that somebody else wrote is quoted."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recarena.server.datasets.specs import open_world
from recarena.server.datasets.world_data import WorldData
from recarena.server.memory.bank import MemoryBank
from recarena.server.memory.embedders import HashEmbedder
from recarena.server.memory.settings import MemorySettings
from recarena.server.minds.choice import ChoiceMind
from recarena.server.minds.llm.diary import Diary
from recarena.server.minds.llm.prompts import NAMES, prompt_file
from recarena.server.minds.llm.views import Shown, Views
from recarena.server.types import MemoryKind, Surface
from recarena.server.world import World
from support.injections import ENCODINGS, FIELDS, INSTRUCTIONS, OF_WORLD, put_into, said_by
from support.llm_runs import page_of

DATA = open_world("new:users=20,seed=1")
HASH = HashEmbedder()
USER = int(np.argmax(DATA.network.degrees()))
FRIENDS = [int(one) for one in DATA.network.other[DATA.network.ties_of(USER)]]
ITEMS = [3, 14, 15, 92, -1]
HARMLESS = "an old harmless film with a dog"
FIXED = {
    "mark", "surface", "page_number", "n", "rating", "seen", "may", "task", "away",
}  # fmt: skip
"""Keys whose values come from the program."""
RAW = ("⟦", "⟧", "<|", "|>", "[INST]", "[/INST]", "[LEAVE]::", "[WATCH]::", "<<SYS>>", "```",
       "</quotation>", "<system>", "\n")  # fmt: skip


def views_with(field: str, text: str) -> tuple[Views, World]:
    """A user's views, with a text in a field."""
    data: WorldData = put_into(DATA, field, [text]) if field in OF_WORLD else DATA
    world = World(data, 5)
    world.unread[USER], world.unread_author[USER] = 1, FRIENDS[0]
    bank = MemoryBank(MemorySettings(recent=2), 5, HASH.dimension, HASH.similar_above)
    said = text if field in ("post", "chat") else HARMLESS
    kinds = (MemoryKind.WATCHED, MemoryKind.HEARD, MemoryKind.READ, MemoryKind.SAID)
    memories = said_by(USER, FRIENDS[0], (*kinds, MemoryKind.OBSERVED), said)
    texts = list(memories.text.values())
    bank.apply(1, memories, texts, HASH.embed_now(texts), np.ones(20, bool))
    return Views(data, bank, HASH, b"salt"), world


def all_shown(field: str, text: str) -> dict[str, Shown]:
    views, world = views_with(field, text)
    why = text if field == "explanation" else HARMLESS
    page = page_of(USER, ITEMS, 2, {0: why, 2: why})

    async def shown() -> dict[str, Shown]:
        diary = Diary(2)
        found = views.bank.recent(USER, 2)
        said = text if field == "chat" else HARMLESS
        return {
            "page": await views.of_page(diary, USER, page, 0, (), world),
            "item": await views.of_item(diary, USER, 14, world),
            "day": await views.of_day(diary, USER, "activity", world),
            "partner": await views.of_network(diary, USER, world, partner=FRIENDS[0]),
            "friends": await views.of_network(diary, USER, world, friends=FRIENDS[:3]),
            "past": await views.of_past(diary, USER, found, "reflect"),
            "memory": views.of_memory(diary, USER, said),
        }

    return asyncio.run(shown())


def leaves(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """All that is neither an object nor a list, with the key that it stands under."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from leaves(part, key)
    else:
        yield key, value


def shape(value: object) -> object:
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    return [shape(part) for part in value] if isinstance(value, list) else type(value)


def assert_all_is_quoted(shown: Shown) -> dict[str, Any]:
    """Every text that is not the program's is one quotation; returns the object."""
    sent = shown.text("the task")
    data: dict[str, Any] = json.loads(sent)
    assert list(data)[-1] == "task"
    edge = f"⟦{data['mark']}⟧"
    assert re.fullmatch(r"[0-9a-f]{5}", data["mark"])
    for key, value in leaves(data):
        if key in FIXED or not isinstance(value, str):
            continue
        assert value.startswith(edge), (key, value)
        assert value.endswith(edge), (key, value)
        inner = value.removeprefix(edge).removesuffix(edge)
        assert not [raw for raw in RAW if raw in inner], (key, value)
        assert not re.search(r"(?<!\w)(system|assistant|human)\s*:", inner, re.IGNORECASE)
    assert sent.count("⟦") == sent.count(edge)
    return data


ORDINARY = {name: shape(json.loads(one.text("t"))) for name, one in all_shown("", "").items()}


@pytest.mark.parametrize("field", FIELDS)
def test_whatever_a_text_says_it_stands_in_a_quotation_and_the_object_keeps_its_form(field: str):
    for encoded in ENCODINGS.values():
        for instruction in INSTRUCTIONS[:: 1 if encoded is str else 5]:
            for name, shown in all_shown(field, encoded(instruction)).items():
                assert shape(assert_all_is_quoted(shown)) == ORDINARY[name]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FIELDS), st.text(min_size=1))
def test_any_text_at_all_stands_in_a_quotation(field: str, text: str):
    for shown in all_shown(field, text).values():
        data = json.loads(shown.text("t"))
        edge = f"⟦{data['mark']}⟧"
        for key, value in leaves(data):
            if isinstance(value, str) and key not in FIXED and value:
                assert value.startswith(edge)
                assert value.endswith(edge)
                assert value.count("⟦") == value.count("⟧") == 2


def test_every_call_has_a_mark_of_its_own():
    marks = [one.quote.mark for one in all_shown("", "").values()]
    assert len(set(marks)) == len(marks)


def test_the_rules_hold_nothing_of_users_and_items():
    names = [*DATA.catalog.titles, *DATA.population.user_ids, *DATA.population.names]
    for name in NAMES:
        for catalogue in ("films", "items"):
            text = prompt_file(name, catalogue).text
            assert not [one for one in INSTRUCTIONS if one in text]
            assert not [one for one in names if re.search(rf"\b{re.escape(one)}\b", text)
                        and len(one) > 3 and one not in "The Kid"], name  # fmt: skip
            assert prompt_file(name, catalogue) is prompt_file(name, catalogue)
            assert not re.search(r"\{\w+\}", text)


def test_a_page_says_what_there_is_and_what_may_be_done():
    views, world = views_with("", "")
    world.watched.add(np.array([USER], np.int32), np.array([14], np.int32))
    page = page_of(USER, ITEMS, 2, {2: "because of the dog"})
    shown = asyncio.run(views.of_page(Diary(2), USER, page, 0, (92,), world))
    data = shown.data
    assert [one["n"] for one in data["page"]] == [1, 2, 3, 4]
    assert [one.get("seen", False) for one in data["page"]] == [
        bool(world.watched.has(np.array([USER]), np.array([item]))[0]) or item == 92
        for item in ITEMS[:4]
    ]  # fmt: skip
    assert data["page"][2]["why"] == shown.quote("because of the dog", "explanation")
    assert shown.titles == [*(DATA.catalog.label(item) for item in ITEMS[:4]), None]
    assert shown.may == ("WATCH", "SEARCH", "LEAVE")
    assert data["surface"] == "home page"
    full = asyncio.run(views.of_page(Diary(2), USER, page_of(USER, [1, 2]), 0, (), world))
    assert full.may == ("WATCH", "NEXT", "SEARCH", "LEAVE")
    none = page_of(USER, [-1, -1])
    none.surface[:] = Surface.SEARCH
    empty = asyncio.run(views.of_page(Diary(2), USER, none, 0, (), world))
    assert empty.may == ("SEARCH", "LEAVE")
    assert empty.data["surface"] == "search results"


def test_what_comes_to_mind_is_noted_in_the_diary():
    views, world = views_with("chat", "Eve likes the dog")
    diary = Diary(2)
    asyncio.run(views.of_item(diary, USER, 14, world))
    found = views.bank.recall(USER, 2, HASH.embed_now([views._cue(14)]))
    assert diary.recalled == {USER: {one.id for one in found}}
    assert found


def test_what_was_watched_is_no_hearsay_any_more():
    views, world = views_with("", "")
    heard = asyncio.run(views.of_day(Diary(2), USER, "activity", world)).data["heard_of"]
    assert len(heard) == 2
    world.watched.add(np.array([USER], np.int32), np.array([1], np.int32))
    after = asyncio.run(views.of_day(Diary(2), USER, "activity", world)).data["heard_of"]
    assert [one["title"][7:-7] for one in after] == [DATA.catalog.label(2)]


def test_friends_of_one_name_are_told_apart():
    views, world = views_with("name", "Ann")
    shown = asyncio.run(views.of_network(Diary(2), USER, world, friends=FRIENDS[:3]))
    ids = [DATA.population.user_ids[one] for one in FRIENDS[:3]]
    assert shown.names == [f"Ann ({one})" for one in ids]
    talk = asyncio.run(views.of_network(Diary(2), USER, world, partner=FRIENDS[0]))
    assert "Ann (the other)" in talk.data["partner"]["name"]


def test_the_choice_mind_does_not_read_titles_descriptions_or_explanations():
    injected = DATA
    for field in ("title", "description"):
        injected = put_into(injected, field, list(INSTRUCTIONS))
    mind, users = ChoiceMind(), np.arange(20, dtype=np.int32)
    decided = []
    for data, why in ((DATA, {}), (injected, dict(enumerate(INSTRUCTIONS[:4])))):
        world = World(data, 5)
        made: list[Any] = [asyncio.run(mind.choose_activity(world, 1, users)).kind]
        for user in range(20):
            for items in ([1, 2, 3, 4], [40, 30, 20, 10]):
                decision = asyncio.run(mind.act(world, page_of(user, items, 1, why)))
                made += [decision.watched, decision.rating, decision.appraisal, decision.code,
                         decision.action, decision.sought, decision.sought_code]  # fmt: skip
        said = asyncio.run(mind.socialise(world, 1, users))
        made += [said.kind, said.partner, said.item, said.sentiment, said.code]
        decided.append(made)
    for one, other in zip(*decided, strict=True):
        np.testing.assert_array_equal(one, other)
    assert any((one >= 0).any() for one in decided[0][1::7])
