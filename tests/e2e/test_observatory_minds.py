"""Users with language models, as the page has them: they answer beside the run, and what they could
not decide is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from recarena.server.mind_rules import MindRules
from recarena.server.rpc.server import Server
from support.arena import begin, finished, recommender, settings
from support.llm_stub import StubProcess
from support.observing import Answer, Visitor, observatory

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

WORLD = "new:users=20,seed=1"
USER, SILENT = "u000003", "u000004"
OWN = "openai-compatible:stub"


@dataclass
class House:
    """`thinking`, of whose users one has a language model, `choosing`, and `garbled`, where
    answers of the model could not be read; a page on a server that may ask the model, and one on a
    copy of the runs that may not."""

    page: Visitor
    strict: Visitor
    stub: StubProcess
    runs: Path

    async def talk(self, run: str, question: str, user_id: str = USER, **more: Any) -> Answer:
        return await self.page.command(run, "talk", user_id=user_id, question=question, **more)

    def paid(self) -> int:
        """Calls that the model answered so far."""
        return sum(self.stub.counts()["answered"].values())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("talks")
    runs = folder / "runs"
    async with AsyncExitStack() as stack:
        stub = stack.enter_context(StubProcess("reader", 1))
        url = f"{stub.url}/v1"
        model = {
            "provider": "openai-compatible", "model": "stub", "base_url": url, "probe": False,
            "share": 0, "users": [USER],
        }  # fmt: skip
        server = await stack.enter_async_context(Server(runs, minds=MindRules(True, (url,))))
        more = recommender(server, "popular", "--sessions", "4", log=folder / "popular")
        await stack.enter_async_context(more)
        for run_id, tables in (("thinking", {"llm": model}), ("choosing", {})):
            await finished(await begin(server, settings("popular", **tables), run_id, WORLD))
        stub.set(gibberish=1.0)
        garbled = {"llm": model | {"failure_limit": 1.0, "share": 0.5}}
        await finished(await begin(server, settings("popular", **garbled), "garbled", WORLD))
        stub.set(gibberish=0.0)
        shutil.copytree(runs, folder / "copied")
        strict = await stack.enter_async_context(Server(folder / "copied"))
        pages = [
            await stack.enter_async_context(observatory(one.address, cwd=folder))
            for one in (server, strict)
        ]
        yield House(*pages, stub, runs)


def contents(path: Path) -> dict[str, bytes]:
    return {str(one): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}


async def test_a_user_answers_by_the_runs_own_model_and_the_run_stays_as_it_is(house):
    before = contents(house.runs / "thinking")
    answer = await house.talk("thinking", "What did you like?")
    assert answer.status == 200, answer
    assert (answer.json["judge"], answer.json["missing"]) == (OWN, "")
    assert "The last was" in answer.json["answer"]
    turns = [
        {"speaker": "asker", "text": "What did you like?"},
        {"speaker": "user", "text": answer.json["answer"]},
    ]
    second = await house.talk("thinking", "And why?", turns=turns)
    assert "We spoke of 2 things." in second.json["answer"]
    assert contents(house.runs / "thinking") == before


async def test_the_same_question_is_paid_for_once(house):
    first = (await house.talk("thinking", "Which was best?")).json
    paid = house.paid()
    again = (await house.talk("thinking", "Which was best?")).json
    assert again["answer"] == first["answer"]
    assert house.paid() == paid > 0


async def test_a_long_conversation_goes_on(house):
    said = [
        {"speaker": "user" if turn % 2 else "asker", "text": f"words {turn}"} for turn in range(30)
    ]
    answer = await house.talk("thinking", "And then?", turns=said)
    assert answer.status == 200, answer
    assert answer.json["answer"]


async def test_a_user_with_a_choice_mind_says_how_to_name_a_model(house):
    for run, user in (("choosing", USER), ("thinking", SILENT)):
        person = await house.page.get(f"/api/runs/{run}/u/{user}")
        answer = (await house.talk(run, "What did you like?", user)).json
        assert (answer["answer"], person["mind"]) == (None, "choice")
        assert person["name"] in answer["missing"]
        assert "no words. Name a language model" in answer["missing"]
        assert "anthropic:MODEL" in answer["missing"]
    assert (await house.page.get(f"/api/runs/thinking/u/{USER}"))["mind"] == "llm"


async def test_what_the_server_says_of_a_model_it_may_not_ask_is_shown(house):
    answer = await house.strict.command("thinking", "talk", user_id=USER, question="Hello?")
    assert answer.status == 400
    assert answer.error["field"] == "judge.settings.llm.provider"
    assert "recarena serve --llm" in answer.error["message"]
    named = await house.talk("choosing", "Hello?", mind="openai-compatible:stub")
    assert (named.status, "base_url is missing" in named.error["message"]) == (400, True)


async def test_who_is_not_there_cannot_be_asked(house):
    answer = await house.talk("thinking", "Hello?", "nobody")
    assert (answer.status, answer.error["code"]) == (404, "NOT_FOUND")


async def test_what_nobody_decided_is_counted_and_marked(house):
    log = await house.page.ask("/api/runs/garbled/events.jsonl")
    events = [json.loads(line) for line in log.body.splitlines()]
    undecided = [one for one in events if one["undecided"]]
    ids = {one["user_id"] for one in undecided}
    minds = {one: (await house.page.get(f"/api/runs/garbled/u/{one}"))["mind"] for one in ids}
    assert set(minds.values()) == {"llm"}
    told = await house.page.get("/api/runs/garbled/events?errors=1")
    assert told["events"] == undecided[::-1]
    assert sum(told["counts"].values()) == told["total"] == len(undecided)
    one = undecided[0]["user_id"]
    mine = await house.page.get(f"/api/runs/garbled/events?errors=1&u={one}")
    assert mine["events"] == [each for each in undecided[::-1] if each["user_id"] == one]
    none = await house.page.get("/api/runs/choosing/events?errors=1")
    assert (none["events"], none["total"]) == ([], 0)
