"""Commands of a page reach the server once, take effect, and are told to all who watch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from recarena.server.rpc.server import Server
from support.arena import PATIENCE, begin, recommender, settings, until
from support.observing import Visitor, first, messages, observatory

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

WORLD = "new:users=30,seed=5,history=3"


@dataclass
class House:
    """A server with a recommender, and a page."""

    server: Server
    page: Visitor
    folder: Path

    async def paused(self, run_id: str, round: int = 2, rounds: int = 40) -> None:
        """A run that stands at a round."""
        run = await begin(self.server, settings("popular", rounds=rounds), run_id, WORLD)
        await until(run, 1)
        await self.page.command(run_id, "pause")
        async with asyncio.timeout(PATIENCE):
            await run.settled()
        assert run.round >= 1, round


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("steered")
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Server(folder / "runs"))
        more = recommender(server, "popular", "--sessions", "20", log=folder / "popular")
        await stack.enter_async_context(more)
        page = await stack.enter_async_context(observatory(server.address, cwd=folder))
        yield House(server, page, folder)


async def state_of(socket: Any, *states: str) -> dict[str, Any]:
    """The run when it is in one of some states."""
    async for message in messages(socket, "snapshot", "rounds", "run"):
        if message["run"]["state"] in states:
            return message["run"]
    raise AssertionError("the socket was closed")


async def test_a_run_is_stepped_started_paused_and_stopped_from_the_page(house):
    await house.paused("driven")
    page = house.page
    async with page.socket("driven") as socket:
        at = (await state_of(socket, "paused"))["round"]
        stepped = await page.command("driven", "step", rounds=2)
        assert stepped.json["run"]["run_id"] == "driven"
        while (run := await state_of(socket, "paused"))["round"] != at + 2:
            pass
        status = (await page.command("driven", "start", etag="stale")).status
        assert status == 409
        assert (await page.command("driven", "start")).status == 200
        await state_of(socket, "running", "waiting_for_recommenders")
        assert (await page.command("driven", "stop")).status == 200
        run = await state_of(socket, "stopped")
        assert run["round"] >= at + 2
    refused = await page.command("driven", "start")
    assert (refused.status, refused.error["code"]) == (409, "FAILED_PRECONDITION")


async def test_a_key_that_comes_again_gets_the_first_answer_and_changes_nothing(house):
    await house.paused("once")
    asked = {"command": "fork", "epoch": 1, "round": 1, "key": "the same"}
    answers = await asyncio.gather(
        *(house.page.ask("/api/runs/once/commands", asked) for _ in range(4))
    )
    assert {one.status for one in answers} == {200}
    assert len({one.body for one in answers}) == 1
    made = answers[0].json["run"]
    assert made["forked_from"] == {"run_id": "once", "round": 1}
    runs = (await house.page.get("/api/runs"))["runs"]
    assert [one["run_id"] for one in runs if one["forked_from"]] == [made["run_id"]]


async def test_a_copy_has_the_settings_and_its_own_name_and_seed(house):
    await house.paused("source")
    asked = {"from": "source", "run_id": "copy", "seed": "9", "key": "c1"}
    made = await house.page.ask("/api/runs", asked)
    assert made.status == 200, made
    run = made.json["run"]
    assert (run["run_id"], run["seed"], run["round"], run["users"]) == ("copy", "9", 0, 30)
    taken = await house.page.ask("/api/runs", {**asked, "key": "c2"})
    assert (taken.status, taken.error["code"]) == (409, "ALREADY_EXISTS")
    more = await house.page.ask("/api/runs", {**asked, "run_id": "c3", "rounds": 5, "key": "c3"})
    assert (more.status, more.error["field"]) == (400, "rounds")


async def test_a_change_waits_takes_effect_in_the_next_round_and_stands_in_the_log(house):
    await house.paused("changed")
    page = house.page
    world = await page.get("/api/runs/changed/world")
    user_id = world["ids"][4]
    async with page.socket("changed") as socket, page.socket("changed") as other:
        at = (await first(socket, "snapshot"))["run"]["round"]
        await first(other, "snapshot")
        change = {"kind": "edit_profile", "user_id": user_id, "name": "Zed <b>"}
        accepted = await page.command("changed", "intervene", epoch=1, change=change)
        assert accepted.status == 200, accepted
        told = accepted.json["intervention"]
        assert (told["kind"], told["round"], told["applied"]) == ("edit_profile", at + 1, False)
        for one in (socket, other):
            pending = (await first(one, "interventions"))["pending"]
            assert [each["number"] for each in pending] == [1]
        await page.command("changed", "step")
        applied = await first(socket, "interventions")
        assert (applied["pending"], [one["number"] for one in applied["applied"]]) == ([], [1])
    audit = (await page.get("/api/runs/changed/interventions"))["interventions"]
    assert [(one["number"], one["applied"], one["round"]) for one in audit] == [(1, True, at + 1)]
    frame = await page.get(f"/api/runs/changed/at/{at}")
    assert frame["world_version"] == "1-1"
    after = await page.get("/api/runs/changed/world?v=1-1")
    assert after["names"][4] == "Zed <b>"
    assert after["x"] == world["x"]
    events = await page.get("/api/runs/changed/events?action=intervention")
    assert [(one["round"], one["seq"], one["intervention"]) for one in events["events"]] == [
        (at + 1, 0, 1)
    ]
    mine = await page.get(f"/api/runs/changed/events?action=intervention&u={user_id}")
    assert mine["total"] == 1


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"command": "dance"}, 400, "command"),
        ({"command": "step", "rounds": 0}, 400, "rounds"),
        ({"command": "reset", "seed": "-1"}, 400, "seed"),
        ({"command": "reset", "seed": str(2**63)}, 400, "seed"),
        ({"command": "fork", "round": "two"}, 400, "round"),
        ({"command": "fork", "round": 999}, 404, ""),
        ({"command": "intervene"}, 400, "change"),
        ({"command": "talk", "user_id": "u"}, 400, "question"),
        ({"command": "talk", "user_id": "u000001", "question": "?", "mind": "best"}, 400, "mind"),
        ({"command": "take_turn", "user_id": "u", "turn_id": "t"}, 400, "decision"),
        ({"command": "pause", "key": ""}, 400, "key"),
        ({"command": "pause", "key": "x" * 200}, 400, "key"),
        ({"command": "pause", "epoch": "1"}, 400, "epoch"),
    ],
)
async def test_a_command_that_is_wrong_names_its_field(house, fields, status, field):
    if "wrong" not in [run.run_id for run in house.server.house.runs()]:
        await house.paused("wrong")
    asked = {"epoch": 1, "key": json.dumps(fields), **fields}
    answer = await house.page.ask("/api/runs/wrong/commands", asked)
    assert (answer.status, answer.error["field"]) == (status, field), answer
    assert answer.error["message"]


async def test_what_the_server_finds_wrong_is_named_with_what_to_do(house):
    await house.paused("refused")
    change = {"kind": "edit_profile", "user_id": "nobody", "name": "Zed"}
    answer = await house.page.command("refused", "intervene", change=change)
    assert answer.status == 400
    assert answer.error["field"].endswith("user_id")
    assert answer.error["remedy"]


async def test_who_has_no_words_says_so_and_remembers_nothing(house):
    await house.paused("spoken")
    before = await house.page.get("/api/runs/spoken/u/u000003/memories")
    answer = await house.page.command(
        "spoken", "talk", user_id="u000003", question="Did you like it?",
        turns=[{"speaker": "asker", "text": "Hello"}, {"speaker": "user", "text": "Hi"}],
    )  # fmt: skip
    assert answer.status == 200, answer
    assert answer.json["answer"] is None
    assert "no words" in answer.json["missing"]
    assert await house.page.get("/api/runs/spoken/u/u000003/memories") == before


async def test_a_user_is_taken_over_played_by_a_page_and_handed_back(house):
    await house.paused("played")
    page, user = house.page, "u000007"
    assert await page.get("/api/runs/played/u/u000007")
    async with page.socket("played", f"epoch=0&since=0&play={user}") as socket:
        assert (await first(socket, "turn"))["taken_over"] is False
        change = {"kind": "take_over", "user_id": user, "turn_time": 60}
        assert (await page.command("played", "intervene", change=change)).status == 200
        await page.command("played", "step")
        while (message := await first(socket, "turn"))["turn"] is None:
            pass
        turn = message["turn"]
        assert message["taken_over"] is True
        assert turn["kind"] == "activity"
        assert 0 < turn["remaining_ms"] <= 60_000
        taken = await page.command(
            "played", "take_turn", user_id=user, turn_id=turn["turn_id"],
            decision={"activity": "recommender"},
        )  # fmt: skip
        assert taken.status == 200, taken
        while not (message := await first(socket, "turn"))["turn"] or message["turn"][
            "kind"
        ] not in ("page", "opening"):
            pass
        while message["turn"] and message["turn"]["kind"] == "opening":
            turn = message["turn"]
            await page.command(
                "played", "take_turn", user_id=user, turn_id=turn["turn_id"],
                decision={"opening": {"words": ""}},
            )  # fmt: skip
            message = await first(socket, "turn")
        while not message["turn"]:
            message = await first(socket, "turn")
        turn = message["turn"]
        assert turn["kind"] == "page"
        assert [one["position"] for one in turn["items"]] == list(range(len(turn["items"]))) != []
        watched = {"position": 0, "rating": 5, "feeling": "A person liked it."}
        done = await page.command(
            "played", "take_turn", user_id=user, turn_id=turn["turn_id"],
            decision={"page": {"watches": [watched], "action": "leave", "query": ""}},
        )  # fmt: skip
        assert done.status == 200, done
        late = await page.command(
            "played", "take_turn", user_id=user, turn_id=turn["turn_id"],
            decision={"page": {"watches": [], "action": "leave"}},
        )  # fmt: skip
        assert late.status == 409
        frame = (await first(socket, "rounds"))["keyframe"]
        assert frame["people"] == [6]
    mine = (await page.get(f"/api/runs/played/events?u={user}&action=watch&limit=1"))["events"]
    assert (mine[0]["person"], mine[0]["value"]) == (True, 5)
    assert "A person liked it." in mine[0]["words"]
    arms = await page.get("/api/runs/played/arms")
    assert arms["people"] == {"excluded": True, "user_rounds": 1}
    told = await page.get("/api/runs/played/arms?people=1")
    assert told["people"] == {"excluded": False, "user_rounds": 1}


async def test_how_a_recommender_fares_is_shown_while_it_serves(house):
    await house.paused("fared")
    (arm,) = (await house.page.get("/api/runs/fared/arms"))["arms"]
    assert arm["latency"]["p95_ms"] >= arm["latency"]["p50_ms"] > 0
    assert arm["faults"] == {"violations": 0, "rejected": 0, "late": 0, "fallback": 0}
