"""The case studies of the paper on RecAgent, with scripted minds: each seen in the event log, in
what is remembered, and in what the next prompt tells."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recarena.server.datasets.specs import open_world
from recarena.server.datasets.world_data import WorldData
from recarena.server.network import Network
from recarena.server.runs import Run
from recarena.server.types import EventColumns, EventKind, MemoryKind
from support.llm_runs import mind_of, played, settings
from support.llm_stub import Asked, LlmStub, scripted_mind

ANN, BOB, CID = 0, 1, 2
LION_KING = "The Lion King"
STAY = {"watch": [], "then": "LEAVE", "search": "", "note": "", "importance": 1}
SILENT = {
    "action": "POST", "about": 0, "sentiment": 0, "words": "Nothing new.", "dialogue": [],
    "note": "", "importance": 1, "partner_note": "", "partner_importance": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")


def village() -> WorldData:
    """Three acquaintances: Ann and Bob know each other, and both know Cid."""
    world = open_world("new:users=3,seed=2,history=0")
    people = dataclasses.replace(world.population, names=["Ann Ames", "Bob Bell", "Cid Cole"])
    ties = [(ANN, BOB), (BOB, ANN), (ANN, CID), (CID, ANN), (BOB, CID), (CID, BOB)]
    source, other = np.array(ties).T
    network = Network.from_ties(
        3, source, other, np.full(6, 0.9), np.zeros(6, np.int64), ("friend",)
    )
    return dataclasses.replace(world, population=people, network=network)


def of(name: str, task: str) -> Any:
    """Whether somebody of this name is asked for a task."""
    return lambda asked: asked.task == task and asked.data["you"]["name"] == name


def at_round(plan: dict[tuple[str, int], str], told: list[Asked] | None = None) -> Any:
    """Answers to `activity` by who is asked, and for the how-manieth time. `told`: who was asked
    is added there."""
    asked_before: dict[str, int] = {}

    def answer(asked: Asked) -> dict[str, str]:
        if told is not None:
            told.append(asked)
        name = asked.data["you"]["name"].split()[0]
        asked_before[name] = asked_before.get(name, 0) + 1
        return {"activity": plan.get((name, asked_before[name]), "NOTHING"), "reason": "so"}

    return (lambda asked: asked.task == "activity", answer)


def of_user(run: Run, user: int, *kinds: EventKind) -> EventColumns:
    events = EventColumns.concat([e for e, _ in run.folder.rounds(1, run.round)])
    return events.of(*kinds).take(events.of(*kinds).user == user)


def remembered(run: Run, user: int, kind: MemoryKind) -> list[str]:
    bank = mind_of(run).bank
    return [bank.texts[row] for row in bank.of_kinds(user, (kind,), 99)]


def number_of(asked: Asked, title: str) -> int:
    return next(one["n"] for one in asked.data["page"] if one["title"].startswith(title))


def by_llm(stub: LlmStub, rounds: int) -> Any:
    return settings(stub, rounds=rounds, llm={"activity": "llm"})


async def test_a_user_browses_pages_watches_and_feels(tmp_path: Path):
    def second_of_page_two(asked: Asked) -> dict[str, Any]:
        if asked.data["page_number"] == 1:
            return STAY | {"then": "NEXT", "note": "Nothing new on the first page."}
        item = asked.data["page"][1]
        watch = {"item": item["n"], "rating": 5, "feeling": "It made me cry and laugh."}
        return STAY | {"watch": [watch], "importance": 8}

    told: list[Asked] = []
    plan = {("Ann", 1): "RECOMMENDER"}
    script = [at_round(plan, told), (of("Ann Ames", "page"), second_of_page_two)]
    async with (
        LlmStub(scripted_mind(script, STAY)) as stub,
        played(tmp_path / "run", by_llm(stub, 2), village()) as run,
    ):
        assert run.round == 2, run.error
        kinds = of_user(run, ANN, *EventKind).kind.tolist()
        shown = [EventKind.SHOWN] * 5
        assert kinds == [
            EventKind.ENTER_RECOMMENDER, EventKind.PAGE, *shown, EventKind.NEXT, EventKind.PAGE,
            *shown, EventKind.WATCH, EventKind.LEAVE, EventKind.IDLE,
        ]  # fmt: skip
        watch = of_user(run, ANN, EventKind.WATCH)
        second = of_user(run, ANN, EventKind.SHOWN).take(np.array([6]))
        assert (watch.item[0], watch.value[0], watch.position[0]) == (second.item[0], 5, 1)
        assert watch.text == {0: "It made me cry and laugh."}
        title = run.data.catalog.label(int(watch.item[0]))
        assert remembered(run, ANN, MemoryKind.WATCHED) == [
            f"I watched {title} and gave it 5 of 5 stars. It made me cry and laugh."
        ]
        assert remembered(run, ANN, MemoryKind.OBSERVED) == ["Nothing new on the first page."]
        row = mind_of(run).bank.of_kinds(ANN, (MemoryKind.WATCHED,), 1)[0]
        assert mind_of(run).bank.recollection(row).importance == pytest.approx(1.0)  # 5 stars
        # In the second round she knows it, exactly and in words.
        again = next(one for one in told[3:] if one.data["you"]["name"] == "Ann Ames")
        assert again.data["watched"] == [{"title": title, "rating": 5}]
        assert any("It made me cry and laugh." in one for one in again.data["recent"])


async def test_a_user_searches_for_a_film_and_watches_it(tmp_path: Path):
    seen: list[Asked] = []

    def search_first(asked: Asked) -> dict[str, Any]:
        seen.append(asked)
        if asked.data["surface"] == "home page":
            return STAY | {"then": "SEARCH", "search": LION_KING}
        watch = {"item": number_of(asked, LION_KING), "rating": 4, "feeling": "As I remember it."}
        return STAY | {"watch": [watch]}

    script = [at_round({("Bob", 1): "RECOMMENDER"}), (of("Bob Bell", "page"), search_first)]
    async with (
        LlmStub(scripted_mind(script, STAY)) as stub,
        played(tmp_path / "run", by_llm(stub, 1), village()) as run,
    ):
        assert run.round == 1, run.error
        assert of_user(run, BOB, EventKind.SEARCH).text == {0: LION_KING}
        watch = of_user(run, BOB, EventKind.WATCH)
        assert run.data.catalog.titles[int(watch.item[0])] == LION_KING
        assert [one.data["surface"] for one in seen] == ["home page", "search results"]
        assert LION_KING in remembered(run, BOB, MemoryKind.WATCHED)[0]


async def test_a_user_chats_about_a_watched_film_and_the_other_remembers(tmp_path: Path):
    watched: list[str] = []

    def watch_first(asked: Asked) -> dict[str, Any]:
        watched.append(asked.data["page"][0]["title"])
        return STAY | {"watch": [{"item": 1, "rating": 5, "feeling": "Splendid."}]}

    def chat(asked: Asked) -> dict[str, Any]:
        assert asked.data["topics"][0]["title"] == watched[0]
        dialogue = [
            {"speaker": "you", "words": f"Have you seen {watched[0]}? It was splendid."},
            {"speaker": "partner", "words": "Not yet, I will look for it."},
        ]
        return SILENT | {
            "action": "CHAT", "about": 1, "sentiment": 2, "words": "", "dialogue": dialogue,
            "note": "I told a friend to see it.", "importance": 4,
            "partner_note": "Ann was full of praise for a film.", "partner_importance": 7,
        }  # fmt: skip

    plan = {("Ann", 1): "RECOMMENDER", ("Ann", 2): "SOCIAL"}
    script = [
        at_round(plan), (of("Ann Ames", "page"), watch_first), (of("Ann Ames", "social"), chat),
    ]  # fmt: skip
    async with (
        LlmStub(scripted_mind(script, STAY)) as stub,
        played(tmp_path / "run", by_llm(stub, 2), village()) as run,
    ):
        assert run.round == 2, run.error
        talk = of_user(run, ANN, EventKind.CHAT)
        partner, item = int(talk.other[0]), int(talk.item[0])
        assert partner in (BOB, CID)
        assert run.data.catalog.label(item) == watched[0]
        assert talk.value[0] == 2
        name = run.data.population.names[partner]
        assert talk.text[0].splitlines() == [
            f"Ann Ames: Have you seen {watched[0]}? It was splendid.",
            f"{name}: Not yet, I will look for it.",
        ]
        assert remembered(run, ANN, MemoryKind.SAID) == ["I told a friend to see it."]
        assert remembered(run, partner, MemoryKind.HEARD) == ["Ann was full of praise for a film."]
        row = mind_of(run).bank.of_kinds(partner, (MemoryKind.HEARD,), 1)[0]
        heard = mind_of(run).bank.recollection(row)
        assert (heard.source, heard.importance) == (ANN, pytest.approx(0.7))


async def test_a_post_reaches_all_friends_and_one_answers_it_by_chat(tmp_path: Path):
    answers: list[Asked] = []

    def answer(asked: Asked) -> dict[str, Any]:
        answers.append(asked)
        words = asked.data["unread_posts"][0]["words"]
        dialogue = [
            {"speaker": "you", "words": f"You wrote: {words} Which one?"},
            {"speaker": "partner", "words": "Come over and I will tell you."},
        ]
        return SILENT | {
            "action": "CHAT",
            "words": "",
            "dialogue": dialogue,
            "note": "Asked Ann about her post.",
        }

    post = SILENT | {"words": "What a week of films!", "note": "I posted about my week."}
    plan = {("Ann", 1): "SOCIAL", ("Bob", 2): "SOCIAL"}
    script = [
        at_round(plan), (of("Ann Ames", "social"), post), (of("Bob Bell", "social"), answer),
    ]  # fmt: skip
    async with (
        LlmStub(scripted_mind(script, STAY)) as stub,
        played(tmp_path / "run", by_llm(stub, 3), village()) as run,
    ):
        assert run.round == 3, run.error
        assert of_user(run, ANN, EventKind.POST).text == {0: "What a week of films!"}
        for friend in (BOB, CID):
            assert remembered(run, friend, MemoryKind.READ) == ["What a week of films!"]
        told = answers[0].data["unread_posts"]
        assert told == [{"n": 1, "from": "Ann Ames", "words": "What a week of films!"}]
        talk = of_user(run, BOB, EventKind.CHAT)
        assert "You wrote: What a week of films!" in talk.text[0]
        assert remembered(run, BOB, MemoryKind.SAID) == ["Asked Ann about her post."]


async def test_a_film_that_a_friend_recommended_is_searched_for_later(tmp_path: Path):
    heard: list[Asked] = []

    def watch_it(asked: Asked) -> dict[str, Any]:
        if asked.data["surface"] == "home page":
            return STAY | {"then": "SEARCH", "search": LION_KING}
        watch = {"item": number_of(asked, LION_KING), "rating": 5, "feeling": "A wonder."}
        return STAY | {"watch": [watch]}

    def recommend(asked: Asked) -> dict[str, Any]:
        return SILENT | {"about": 1, "sentiment": 2, "words": f"See {LION_KING}, all of you!"}

    def seek(asked: Asked) -> dict[str, Any]:
        heard.append(asked)
        sought = asked.data.get("heard_of", [])
        if asked.data["surface"] == "home page" and sought:
            return STAY | {"then": "SEARCH", "search": sought[0]["title"]}
        return STAY

    plan = {("Ann", 1): "RECOMMENDER", ("Ann", 2): "SOCIAL", ("Cid", 3): "RECOMMENDER"}
    script = [
        at_round(plan), (of("Ann Ames", "page"), watch_it), (of("Ann Ames", "social"), recommend),
        (of("Cid Cole", "page"), seek),
    ]  # fmt: skip
    async with (
        LlmStub(scripted_mind(script, STAY)) as stub,
        played(tmp_path / "run", by_llm(stub, 3), village()) as run,
    ):
        assert run.round == 3, run.error
        label = run.data.catalog.label(int(of_user(run, ANN, EventKind.WATCH).item[0]))
        assert heard[0].data["heard_of"] == [{"title": label, "from": "Ann Ames"}]
        assert "Ann Ames posted: See The Lion King, all of you!" in heard[0].data["recent"]
        assert of_user(run, CID, EventKind.SEARCH).text == {0: label}
        found = of_user(run, CID, EventKind.SHOWN)
        assert label in [run.data.catalog.label(int(item)) for item in found.item]
