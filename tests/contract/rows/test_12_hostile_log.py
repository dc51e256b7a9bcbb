"""Whatever strings a recommender sends, a line of the server's log stays a line of plain text."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status

from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.run_pb2 import Arm, Run
from recarena.v1.session_pb2 import (
    CAPABILITY_CONVERSE,
    CAPABILITY_EXPLAIN,
    CatalogReady,
    Drain,
    WorkFailed,
)
from recarena.v1.simulation_control_service_pb2 import CreateRunRequest, StartRunRequest
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub
from recarena.v1.simulation_observe_service_pb2 import ListRecommendersRequest, StreamEventsRequest
from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceStub
from recarena.v1.types_pb2 import Evidence, Explanation, RankedItem
from recarena.v1.work_pb2 import RankResult
from support.arena import PATIENCE
from support.commands import recarena, started
from support.raw_client import RICH, RawClient

pytestmark = pytest.mark.slow
EVIL = (
    "\x1b[2J\x1b]0;owned\x07\x9b31m\x00\r\n"
    '{"event": "run finished", "level": "info"}\n\u2028\u202egpj.exe\u2066[bold red]x[/] <b>y</b>'
)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def short(longest: int = 120) -> str:
    """As much of it as an id may have bytes."""
    return EVIL.encode()[:longest].decode("utf-8", "ignore")


def evil_answers(client: RawClient, kind: str, work: Any) -> list[ConnectRequest]:
    """Hostile words in each string of an answer, and answers that are hostile as a whole."""
    right, number = client.answer(kind, work), len(client.seen)
    if kind == "converse_work":
        right.converse_result.reply_text = EVIL
        right.converse_result.items.append(RankedItem(item_id=short()))
        return [right]
    if number % 3 == 0:
        failed = WorkFailed(work_id=work.header.work_id, status=Status(code=13, message=EVIL))
        return [ConnectRequest(work_failed=failed)]
    result = right.rank_result
    result.model_version = EVIL
    for one in result.lists:
        one.attribution_token = short()
        one.items[0].item_id = short()
        piece = Evidence(kind=Evidence.KIND_FEATURE, reference=f"genre={short(90)}")
        why = Explanation(text=EVIL, locale=EVIL, method=EVIL, evidence=[piece])
        one.items[1].explanation.CopyFrom(why)
    nobodys = ConnectRequest(rank_result=RankResult(work_id=short(), model_version=EVIL))
    return [right, nobodys]


async def refused_for(address: str, **register: Any) -> None:
    """A session whose Register is not taken."""
    async with RawClient(address) as client:
        await client.register(**register)
        assert await client.receive_any() is None
        assert (await client.status())[0] is grpc.StatusCode.INVALID_ARGUMENT


def strings_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from (name, *strings_of(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from strings_of(inner)


async def test_hostile_strings_of_a_session_leave_a_line_of_plain_text_each(tmp_path: Path):
    async with started(
        "serve", "--listen", "127.0.0.1:0", "--json", "-v", cwd=tmp_path
    ) as live:  # fmt: skip
        serving = await live.event("serving")
        assert serving
        address = serving["address"]
        channel = grpc.aio.insecure_channel(address)
        control: Any = SimulationControlServiceStub(channel)
        observe: Any = SimulationObserveServiceStub(channel)
        arm = Arm(arm_id="raw", recommender_id="raw", explanation_mode="EXPLANATION_MODE_TEXT")
        run = Run(run_id="evil", world="new:users=40,seed=3", seed=1, round_limit=3, arms=[arm])
        run.settings.update({"choice": {"conversation": 0.0}})
        await control.CreateRun(CreateRunRequest(run=run))
        await control.StartRun(StartRunRequest(run_id="evil"))
        await refused_for(address, recommender_id=EVIL)
        await refused_for(address, instance_id=EVIL * 9)
        names = {"instance_id": short(), "software_name": EVIL, "software_version": EVIL}
        back = {"resume_session_id": EVIL, "resume_run_id": EVIL, "feedback_cursor": EVIL}
        async with RawClient(address) as client:  # who refuses the catalogue
            await client.register(**{**names, **back, "instance_id": "other"})
            version = (await client.receive("registered")).catalog_version
            error = Status(code=9, message=EVIL)
            await client.send(catalog_ready=CatalogReady(catalog_version=version, error=error))
            assert await client.receive_any() is None
        capabilities = [*RICH, CAPABILITY_EXPLAIN, CAPABILITY_CONVERSE]
        async with RawClient(address) as client:
            await client.join(**names, **back, capabilities=capabilities, catalog_version=EVIL)
            asked = ListRecommendersRequest(run_id="evil")
            listed = await observe.ListRecommenders(asked)
            await client.serve(evil_answers)
            assert {"converse_work", "rank_work", "work_outcome"} <= set(client.kinds())
        async with RawClient(address) as client:  # who leaves before a run wants it
            await client.register("idle", **names)
            await client.send(drain=Drain(reason=Status(message=EVIL)))
            await client.close_half()
            assert await client.receive_any() is None
        async with asyncio.timeout(PATIENCE):
            events = observe.StreamEvents(StreamEventsRequest(run_id="evil", summaries_only=True))
            told = [str(one) async for one in events]
        await channel.close()
        live.process.terminate()
        ended = (await live.ended()).went_well()
    assert len(told) > run.round_limit
    software = [one.software for one in listed.recommenders]
    assert software != [""]
    assert software
    assert not any(CONTROL.search(one) for one in software), software
    lines = [line for line in ended.err.splitlines() if not line.startswith("Stopping: ")]
    assert len(lines) > 5
    for line in lines:
        said = json.loads(line)
        assert said["event"] != "run finished"
        assert not [one for one in strings_of(said) if CONTROL.search(one)], said
    assert any("gpj.exe" in line for line in lines)  # what it said of its failures is kept
    for words in (("log", "runs/evil"), ("show", "runs/evil")):
        done = (await recarena(*words, cwd=tmp_path)).went_well()
        assert not CONTROL.search(done.out.replace("\n", ""))
