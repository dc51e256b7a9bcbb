"""What the observatory shows of a run is what the run folder holds."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from recarena.evaluation.metrics.measures import measure_all
from recarena.evaluation.runs.run_log import RunLog
from recarena.observatory.columns import WORDS
from recarena.observatory.frames import ACTIONS
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.types import EventKind
from support.arena import begin, finished, log_of, recommender, settings
from support.observing import Visitor, observatory

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ROUNDS = 8
WORLD = "new:users=60,seed=5,history=3"


@dataclass
class Played:
    """A finished run of two arms, and a page that looks at it."""

    server: Server
    run: Run
    page: Visitor

    async def get(self, path: str) -> Any:
        return await self.page.get(f"/api/runs/run/{path}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Played]:
    folder = tmp_path_factory.mktemp("observed")
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Server(folder / "runs"))
        run = await begin(server, settings("popular", "random", rounds=ROUNDS), world=WORLD)
        page = await stack.enter_async_context(observatory(server.address, cwd=folder))
        for name in ("popular", "random"):
            await stack.enter_async_context(recommender(server, name, log=folder / name))
        await finished(run)
        yield Played(server, run, page)


async def test_a_keyframe_is_what_the_log_says_users_did_in_that_round(played):
    watches = np.zeros(60, int)
    for round in range(1, ROUNDS + 1):
        log = log_of(played.run, round)
        actions = [0] * 60
        for user, kind in zip(log.user.tolist(), log.kind.tolist(), strict=True):
            now = {
                EventKind.IDLE: "away", EventKind.SEARCH: "searching", EventKind.WATCH: "watching",
                EventKind.CHAT: "chatting", EventKind.POST: "posting",
                EventKind.CONVERSE: "talking",
            }.get(EventKind(kind), "browsing")  # fmt: skip
            actions[user] = max(actions[user], ACTIONS.index(now))
            watches[user] += kind == EventKind.WATCH
        frame = await played.get(f"at/{round}")
        assert (frame["epoch"], frame["round"]) == (1, round)
        assert list(base64.b64decode(frame["actions"])) == actions
        assert np.frombuffer(base64.b64decode(frame["watches"]), "<u2").tolist() == watches.tolist()
        assert frame["counts"] == {
            name: actions.count(number) for number, name in enumerate(ACTIONS)
        }
    assert watches.sum() == len(log_of(played.run).of(EventKind.WATCH)) > 0


async def test_round_0_is_before_anybody_did_anything(played):
    frame = await played.get("at/0")
    assert set(base64.b64decode(frame["actions"])) == {0}
    assert (await played.get("feed/0"))["lines"] == []


async def test_rounds_are_summed_up_as_the_log_has_them(played):
    told = await played.get("rounds")
    assert [one["round"] for one in told["rounds"]] == list(range(1, ROUNDS + 1))
    for one in told["rounds"]:
        log = log_of(played.run, one["round"])
        assert one["watches"] == len(log.of(EventKind.WATCH))
        assert one["searches"] == len(log.of(EventKind.SEARCH))
        assert one["exposures"] == len(log.of(EventKind.SHOWN))


async def test_the_standings_of_arms_are_those_of_the_report(played):
    log = RunLog.open(played.run.folder.path)
    told = await played.get("arms")
    assert told["primary"] == "watch_rate"
    assert "One world" in told["note"]
    for arm in told["arms"]:
        reported = measure_all(log, arm["arm_id"])
        for name, estimate in arm["metrics"].items():
            if math.isnan(reported[name]):
                assert estimate["value"] is None, name
                continue
            assert estimate["value"] == pytest.approx(reported[name], rel=1e-12), name
        rate = arm["metrics"]["watch_rate"]
        assert rate["low"] < rate["value"] < rate["high"]
        assert arm["users"] == int(log.users_of(arm["arm_id"]).sum())
    assert {one["name"] for one in told["metrics"]} == set(told["arms"][0]["metrics"])
    assert all(len(series) == ROUNDS for metric in told["series"].values()
               for series in metric.values())  # fmt: skip


async def test_standings_of_an_earlier_round_are_those_of_the_rounds_up_to_it(played):
    latest, early = await played.get("arms"), await played.get("arms?at=3")
    again = await played.get("arms")
    assert again == latest
    assert early["round"] == 3
    name, arm = "watches_per_user_round", early["arms"][0]
    log = log_of(played.run)
    users = played.run.arm_of_user == 0
    mine = log.take((log.kind == EventKind.WATCH) & users[log.user] & (log.round <= 3))
    assert arm["metrics"][name]["value"] == pytest.approx(len(mine) / users.sum() / 3)
    assert early["series"][name][arm["arm_id"]] == latest["series"][name][arm["arm_id"]][:3]


async def test_how_recommenders_fared_stays_when_the_run_is_over(played):
    for arm in (await played.get("arms"))["arms"]:
        assert arm["latency"]["p95_ms"] >= arm["latency"]["p50_ms"] > 0
        assert arm["faults"] == {"violations": 0, "rejected": 0, "late": 0, "fallback": 0}
        assert arm["connected"] is False


async def test_pages_of_events_go_through_the_log_once_newest_first(played):
    seen: list[tuple[int, int]] = []
    query = "events?limit=200"
    while True:
        page = await played.get(query)
        seen.extend((one["round"], one["seq"]) for one in page["events"])
        if not page["next"]:
            break
        query = f"events?limit=200&before={page['next']}"
    log = log_of(played.run)
    said = [
        (round, row)
        for round in range(1, ROUNDS + 1)
        for row, kind in enumerate(log_of(played.run, round).kind.tolist())
        if kind != EventKind.SHOWN
    ]
    assert seen == said[::-1]
    assert page["total"] == len(said)
    assert page["counts"]["shown"] == len(log.of(EventKind.SHOWN))
    assert sum(page["counts"].values()) == len(log)


async def test_the_tail_is_followed_without_a_gap(played):
    newest = (await played.get("events?limit=150"))["events"]
    oldest = newest[-1]
    place = f"{oldest['round']}.{oldest['seq']}"
    followed: list[dict[str, Any]] = []
    while True:
        page = await played.get(f"events?limit=40&after={place}")
        followed = page["events"] + followed
        if not page["next"]:
            break
        place = page["next"]
    assert followed == newest[:-1]


async def test_filters_let_through_what_they_say(played):
    everything = (await played.get("events?limit=200&at=1&action=watch"))["events"]
    someone = everything[0]["user_id"]
    mine = await played.get(f"events?limit=200&at=1&action=watch&u={someone}")
    assert mine["events"] == [one for one in everything if one["user_id"] == someone]
    assert mine["total"] == len(mine["events"]) == mine["counts"]["watch"]
    arm = await played.get("events?limit=200&at=1&action=watch&arm=random")
    numbers = np.flatnonzero(played.run.arm_of_user == 1).tolist()
    assert arm["events"] == [one for one in everything if one["user"] in numbers]
    word = everything[0]["title"].split()[-1].lower()
    found = await played.get(f"events?limit=200&round=1&action=watch&q={word}")
    assert found["events"] == [one for one in everything if word in one["text"].lower()] != []
    assert found["counts"] is None
    assert (await played.get("events?errors=1"))["events"] == []


@pytest.mark.parametrize("action", ["", "watch,chat", "shown"])
@pytest.mark.parametrize("more", ["", "&at=5", "&round=3", "&arm=random"])
async def test_the_events_of_a_user_are_those_that_the_whole_log_has(played, action, more):
    everything = ",".join(WORDS[number] for number in WORDS if number)
    log = await played.page.ask(f"/api/runs/run/events.jsonl?action={everything}{more}")
    events = [json.loads(line) for line in log.body.splitlines()]
    wanted = action.split(",") if action else [one for one in WORDS.values() if one != "shown"]
    for user_id in ("u000003", "u000004", "u000059"):
        mine = [one for one in events if one["user_id"] == user_id]
        listed = [one for one in mine if one["type"] in wanted]
        query = f"limit=30&u={user_id}&action={action}{more}"
        found: list[Any] = []
        before = ""
        while before is not None:
            page = await played.get(f"events?{query}{before}")
            found.extend(page["events"])
            before = f"&before={page['next']}" if page["next"] else None
        assert found == listed[::-1]
        assert page["total"] == len(listed)
        assert {kind: n for kind, n in page["counts"].items() if n} == Counter(
            one["type"] for one in mine
        )
        kept = await played.page.ask(f"/api/runs/run/events.jsonl?{query}")
        assert [json.loads(line) for line in kept.body.splitlines()] == listed


async def test_the_download_has_every_event_oldest_first(played):
    answer = await played.page.ask("/api/runs/run/events.jsonl?action=chat,post")
    assert answer.headers["content-disposition"].startswith("attachment")
    told = [json.loads(line) for line in answer.body.splitlines()]
    log = log_of(played.run)
    assert len(told) == len(log.of(EventKind.CHAT, EventKind.POST)) > 0
    assert [(one["round"], one["seq"]) for one in told] == sorted(
        (one["round"], one["seq"]) for one in told
    )


async def test_the_world_has_all_users_each_tie_once_and_places_on_the_page(played):
    world = await played.get("world")
    people, network = played.run.data.population, played.run.data.network
    assert world["ids"] == list(people.user_ids)
    assert world["arm"] == played.run.arm_of_user.tolist()
    pairs = list(zip(world["edges"]["a"], world["edges"]["b"], strict=True))
    source = np.repeat(np.arange(60), np.diff(network.start))
    assert set(pairs) == {
        (min(a, b), max(a, b)) for a, b in zip(source.tolist(), network.other.tolist(), strict=True)
    }
    assert len(set(pairs)) == len(pairs)
    assert max(map(abs, world["x"])) <= 1
    assert max(map(abs, world["y"])) <= 1 / 1.6
    assert sum(one["size"] for one in world["communities"]) == 60
    assert (await played.page.ask("/api/runs/run/world?v=9-9")).status == 404


async def test_what_a_browser_has_is_not_sent_again(played):
    for path in ("world", "rounds", "at/3"):
        answer = await played.page.ask(f"/api/runs/run/{path}")
        assert answer.headers["cache-control"] == "private, no-cache"
        etag = answer.headers["etag"]
        again = await played.page.ask(f"/api/runs/run/{path}", headers={"If-None-Match": etag})
        assert (again.status, again.body) == (304, b"")


async def test_large_answers_come_compressed_to_who_can_read_them(played):
    path = "/api/runs/run/world"
    plain = await played.page.ask(path)
    packed = await played.page.ask(path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 2


async def test_the_feed_speaks_of_users_who_did_something(played):
    lines = (await played.get("feed/2"))["lines"]
    assert 0 < len(lines) <= 60
    for line in lines:
        assert line["action"] != "away"
        assert line["name"] in line["text"] or line["text"]
        assert all(title in line["text"] for title in line["titles"])
    chosen = lines[0]["user"]
    only = (await played.get(f"feed/2?users={chosen}"))["lines"]
    assert [one["user"] for one in only] == [chosen]


async def test_a_user_is_shown_with_memory_and_rounds(played):
    watched = log_of(played.run).of(EventKind.WATCH)
    number = int(watched.user[-1])
    user_id = played.run.data.population.user_ids[number]
    about = await played.get(f"u/{user_id}")
    assert (about["user"], about["user_id"]) == (number, user_id)
    assert about["traits"]
    assert about["relations"]
    memories = (await played.get(f"u/{user_id}/memories"))["memories"]
    assert [one["number"] for one in memories] == list(range(len(memories)))[::-1] != []
    rounds = (await played.get(f"u/{user_id}/timeline?at=5"))["rounds"]
    assert [one["round"] for one in rounds] == [5, 4, 3, 2, 1]
    for one in rounds:
        log = log_of(played.run, one["round"])
        assert [event["seq"] for event in one["events"]] == np.flatnonzero(
            log.user == number
        ).tolist()
    assert (await played.get(f"u/{user_id}/calls?round=2")) == {"calls": []}


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("nothing", 404, ""),
        ("u/nobody", 404, ""),
        ("at/99", 404, ""),
        ("at/x", 400, "round"),
        ("events?action=dance", 400, "action"),
        ("events?arm=best", 400, "arm"),
        ("events?limit=9999", 400, "limit"),
        ("events?before=soon", 400, "before"),
        ("events?u=nobody", 404, ""),
        ("feed/1?users=1,x", 400, "users"),
        ("feed/1?users=1000", 400, "users"),
        ("u/nobody/timeline", 404, ""),
    ],
)
async def test_a_bad_request_is_told_what_is_wrong_with_it(played, path, status, field):
    answer = await played.page.ask(f"/api/runs/run/{path}")
    assert (answer.status, answer.error["field"]) == (status, field)
    assert answer.error["message"]


async def test_a_run_that_is_not_there_is_not_found(played):
    answer = await played.page.ask("/api/runs/other")
    assert (answer.status, answer.error["code"]) == (404, "NOT_FOUND")
