"""Entrants that answer late, make up ids, flood or pry are shown as what they are, and harm nobody
else's numbers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio

from recarena.evaluation.hosting.conduct import conduct_records
from recarena.evaluation.runs.run_log import RunLog
from recarena.server.store.run_folder import RunFolder
from recarena.v1.simulation_observe_service_pb2 import ListUsersRequest, StreamEventsRequest
from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceStub
from support.competition_hosts import Host, entrant, hosted, misbehaving, written

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
WORLDS = 2
LATE_S, TIMEOUT_S = 12, 10
BAD = {
    "late": ("--late", LATE_S, "--at-most", 1),
    "cheat": ("--unknown-items",),
    "twice": ("--duplicate", "--at-most", 2),
    "flood": ("--flood", 240, "--at-most", 1),
}


class Season:
    """Three playings of a good recommender, the second beside all the bad ones."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.alone: dict[str, Any] = {}
        self.beside: dict[str, Any] = {}
        self.bad: dict[str, dict[str, Any]] = {}
        self.records: dict[str, dict[str, Any]] = {}

    def digests(self, submission: dict[str, Any]) -> list[str]:
        found: list[str] = []
        for world in range(WORLDS):
            with RunFolder.open(self.host.run(submission["id"], world)) as folder:
                found.append(folder.digest)
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def season(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Season]:
    folder = tmp_path_factory.mktemp("misbehaviour")
    written(folder, practice={"worlds": 0}, entrants={
        "requests_per_minute": 1000, "at_once": 8, "connect_timeout_s": 60,
        "work_timeout_s": TIMEOUT_S, "message_budget": 260,
    })  # fmt: skip
    async with hosted(folder) as host:
        made = Season(host)
        good = host.token("good")
        tokens = {name: host.token(name) for name in BAD}
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(entrant(host, "good", good, "popular", "--no-search"))
            made.alone = await host.played(good)
            for name, switches in BAD.items():
                await stack.enter_async_context(misbehaving(host, name, tokens[name], *switches))
            ids = {name: (await host.submit(tokens[name]))["id"] for name in BAD}
            made.beside = await host.submit(good)
            prying = asyncio.create_task(pry(host, host.token("spy"), made.beside["id"]))
            made.beside = await host.ended(made.beside["id"], good)
            for name, id in ids.items():
                made.bad[name] = await host.ended(id, tokens[name])
            await prying
        logs = {
            name: [RunLog.open(run) for run in sorted(folder.glob(f"spring/runs/{id}-*"))]
            for name, id in {**ids, "good": made.beside["id"]}.items()
        }
        records = conduct_records(logs, host.season / "runs", host.season)
        made.records = {one["recommender"]: one for one in records}
        yield made


async def pry(host: Host, token: str, id: str) -> None:
    """Asks for what is another's, in every way that there is."""
    metadata = (("authorization", f"Bearer {token}"),)
    async with grpc.aio.insecure_channel(host.about["grpc"]) as channel:
        observe = SimulationObserveServiceStub(channel)
        for call in (
            observe.ListUsers(ListUsersRequest(run_id=f"{id}-0"), metadata=metadata),
            observe.StreamEvents(StreamEventsRequest(run_id=f"{id}-0"), metadata=metadata),
        ):
            assert await call.code() is grpc.StatusCode.PERMISSION_DENIED
    assert (await host.ask(f"/api/submissions/{id}", token)).status == 404
    assert (await host.ask(f"/api/submissions/{id}/cancel", token, {})).status == 404


async def test_a_good_entrant_has_the_same_runs_alone_and_beside_bad_ones(season):
    assert (season.alone["status"], season.beside["status"]) == ("finished", "finished")
    assert season.digests(season.alone) == season.digests(season.beside)
    assert season.alone["scores"]["watch_rate"] == season.beside["scores"]["watch_rate"]
    assert season.records["good"]["flags"] == []


async def test_who_answers_late_is_late(season):
    report = season.bad["late"]["report"]
    assert report["pages"]["late"] > 0
    assert report["dispositions"] == {"LATE": 1}
    assert season.bad["late"]["status"] == "finished"
    assert season.records["late"]["flags"][0].startswith("late ")


async def test_who_makes_up_ids_is_told_how_many_and_has_empty_pages(season):
    report = season.bad["cheat"]["report"]
    assert report["items"]["unknown"] > report["pages"]["violations"] > 0
    assert season.bad["cheat"]["scores"]["watch_rate"] == 0
    assert any(flag.startswith("unknown ids") for flag in season.records["cheat"]["flags"])


async def test_who_answers_twice_is_counted(season):
    assert season.bad["twice"]["report"]["dispositions"] == {"DUPLICATE": 2}
    assert season.records["twice"]["flags"] == ["answered twice 2"]


async def test_who_floods_is_over_budget_and_has_no_place(season):
    one = season.bad["flood"]
    assert (one["status"], one["counted"]) == ("over budget", True)
    assert one["why"] == "it took more than the 260 lists and messages it has"
    assert one["report"]["unsolicited"] >= 240
    assert any(flag.startswith("floods") for flag in season.records["flood"]["flags"])
    rows = (await season.host.ask("/api/leaderboard")).json["rows"]
    assert {row["recommender"] for row in rows} == {"good", "late", "cheat", "twice"}


async def test_who_pries_gets_nothing_and_is_named(season):
    spy = season.records["spy"]
    assert spy["refused_calls"] == {"ListUsers": 1, "StreamEvents": 1, "submission-of-another": 2}
    assert spy["flags"][0].startswith("asked for what it may not have: ListUsers 1")


async def test_nobody_elses_record_has_a_refused_call(season):
    others = [one for name, one in season.records.items() if name != "spy"]
    assert [one["refused_calls"] for one in others] == [{}] * 5
