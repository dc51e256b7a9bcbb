"""Every call that changes something leaves a line, and so does one that was refused."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from recarena.server.rpc.audit import REFUSED_READS
from recarena.server.rpc.callers import Role
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server
from recarena.v1 import simulation_control_service_pb2 as pb
from recarena.v1 import simulation_inquiry_service_pb2 as asking
from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.session_pb2 import CAPABILITY_RANK, Register
from recarena.v1.types_pb2 import Explanation
from support.callers import METHODS, Caller, id_of, roles_of, token
from support.operators import Operator, a_run

CODE = grpc.StatusCode
BY_NAME = {method.name: method for method in METHODS}
CHANGING = [method for method in METHODS if roles_of(method) == {Role.OPERATOR}]


async def lines(folder: Path, count: int = 1) -> list[dict[str, Any]]:
    """The log when it has so many lines: that of a call that failed is written after its status is
    sent."""
    path = folder / "runs" / "audit.jsonl"
    found: list[str] = []
    for _ in range(1000):
        found = path.read_text().splitlines() if path.exists() else []
        if len(found) >= count:
            break
        await asyncio.sleep(0.01)
    assert len(found) == count
    return [json.loads(line) for line in found]


@pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])
async def test_what_changes_something_leaves_a_line_and_what_reads_none(server, tmp_path, method):
    async with Caller(server.address) as caller:
        ended = await caller.ending(method)
    found = await lines(tmp_path, int(method in CHANGING))
    assert [line["method"].rpartition("/")[2] for line in found] == [method.name] * len(found)
    assert [line["code"] for line in found] == [ended.code.name] * len(found)


async def test_a_line_says_who_when_what_and_how_it_ended(server, operator, tmp_path):
    run = a_run("mine")
    run.settings["visits"] = {"page_size": 4}
    await operator.control.CreateRun(pb.CreateRunRequest(run=run, request_id="r-1"))
    (line,) = await lines(tmp_path)
    when = datetime.fromisoformat(line["time"])
    assert datetime.now(UTC) - when < timedelta(minutes=1)
    assert line["caller"] is None
    assert line["peer"].startswith("ipv4:127.0.0.1:")
    assert line["method"] == "/recarena.v1.SimulationControlService/CreateRun"
    assert (line["run_id"], line["request_id"], line["code"]) == ("mine", "r-1", "OK")
    assert line["request"]["run"]["settings"] == {"visits": {"page_size": 4}}


async def test_a_run_that_gets_its_name_from_the_server_is_named(server, operator, tmp_path):
    made = (await operator.control.CreateRun(pb.CreateRunRequest(run=a_run("")))).run
    request = pb.ForkRunRequest(run_id=made.run_id)
    copy = (await operator.control.ForkRun(request)).run
    created, forked = await lines(tmp_path, 2)
    assert created["run_id"] == made.run_id
    assert (forked["run_id"], forked["new_run_id"]) == (made.run_id, copy.run_id)


async def test_a_large_request_is_kept_as_its_digest(server, operator, tmp_path):
    run = a_run("mine")
    run.settings["choice"] = {"x" * 10_000: 1}
    with pytest.raises(grpc.aio.AioRpcError):
        await operator.control.CreateRun(pb.CreateRunRequest(run=run))
    (line,) = await lines(tmp_path)
    assert line["code"] == "INVALID_ARGUMENT"
    assert line["request"]["bytes"] > 10_000
    assert len(line["request"]["sha256"]) == 64
    assert len(json.dumps(line)) < 1000


async def test_only_a_digest_is_kept_of_what_users_are_asked_and_told(server, tmp_path):
    told = Explanation(text="Because you loved a film.")
    ask = asking.AskUsersRequest(
        run_id="mine",
        judge=asking.Judge(kind="choice"),
        inquiries=[asking.Inquiry(inquiry_id="a", user_id="u000001", explanation=told)],
    )
    text = asking.ComposeTextsRequest.Wanted(text_id="a", brief="Praise a film.")
    compose = asking.ComposeTextsRequest(run_id="mine", wanted=[text])
    async with Caller(server.address) as caller:
        for name, request in (("AskUsers", ask), ("ComposeTexts", compose)):
            await caller.ending(BY_NAME[name], request)
    asked, composed = await lines(tmp_path, 2)
    assert "film" not in json.dumps([asked, composed])
    assert (asked["run_id"], composed["run_id"]) == ("mine", "mine")
    assert asked["request"]["judge"] == {"kind": "choice"}
    digest = hashlib.sha256(ask.SerializeToString(deterministic=True)).hexdigest()
    assert (asked["request"]["sha256"], asked["request"]["bytes"]) == (digest, ask.ByteSize())


async def test_the_log_does_not_disturb_the_runs(server, operator, tmp_path):
    await operator.create("one")
    assert [run.run_id for run in server.house.runs()] == ["one"]
    assert (tmp_path / "runs" / "audit.jsonl").stat().st_mode & 0o777 == 0o600


async def test_calls_at_once_leave_a_line_each(server, operator, tmp_path):
    calls = [
        operator.control.StartRun(pb.StartRunRequest(run_id=f"no-{number}")) for number in range(30)
    ]
    await asyncio.gather(*calls, return_exceptions=True)
    found = await lines(tmp_path, 30)
    assert {line["run_id"] for line in found} == {f"no-{n}" for n in range(30)}
    assert {line["code"] for line in found} == {"NOT_FOUND"}


async def test_a_line_that_a_crash_left_half_written_spoils_no_other(server, operator, tmp_path):
    path = tmp_path / "runs" / "audit.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"time": "20')
    await operator.create("one")
    half, whole = path.read_text().splitlines()
    assert half == '{"time": "20'
    assert json.loads(whole)["run_id"] == "one"


async def test_a_log_that_cannot_be_written_is_said_loudly(server, operator, tmp_path):
    (tmp_path / "runs" / "audit.jsonl").mkdir(parents=True)
    with capture_logs() as logs:
        await operator.create("one")
    (error,) = [one for one in logs if one["log_level"] == "error"]
    assert json.loads(error["line"])["run_id"] == "one"


# ------------------------------------------------------------------------------ behind the guard
async def test_the_caller_is_named_and_refusals_by_role_are_written_too(tmp_path):
    tokens = tmp_path / "tokens.json"
    operator = token(tokens, Role.OPERATOR, "ann")
    observer = token(tokens, Role.OBSERVER, "eve")
    async with (
        Server(tmp_path / "runs", security=Security(tokens=tokens)) as server,
        Caller(server.address, operator) as ann,
        Caller(server.address, observer) as eve,
        Caller(server.address) as stranger,
    ):
        await ann.ending(BY_NAME["CreateRun"], pb.CreateRunRequest(run=a_run("one")))
        for method in CHANGING:
            await eve.ending(method)
            await stranger.ending(method)
        await eve.ending(BY_NAME["ListRuns"])
    first, *refused = await lines(tmp_path, 1 + len(CHANGING))
    assert first["caller"] == {"role": "operator", "name": "ann", "key": id_of(operator)}
    assert [line["method"].rpartition("/")[2] for line in refused] == [one.name for one in CHANGING]
    assert {line["code"] for line in refused} == {"PERMISSION_DENIED"}
    assert {line["caller"]["name"] for line in refused} == {"eve"}
    assert {line["request"] for line in refused} == {None}
    secret = operator.split("_", 2)[2]
    assert secret not in (tmp_path / "runs" / "audit.jsonl").read_text()


async def test_a_recommender_that_pries_or_poses_as_another_is_written_down(tmp_path):
    tokens = tmp_path / "tokens.json"
    mallory = token(tokens, Role.RECOMMENDER, "mallory")
    posing = ConnectRequest(
        register=Register(recommender_id="ease", capabilities=[CAPABILITY_RANK])
    )
    async with (
        Server(tmp_path / "runs", security=Security(tokens=tokens)) as server,
        Caller(server.address, mallory) as caller,
    ):
        await caller.ending(BY_NAME["ListUsers"])
        await caller.ending(BY_NAME["StreamEvents"])
        await caller.ending(BY_NAME["Connect"], posing)
    found = await lines(tmp_path, 3)
    assert [line["method"].rpartition("/")[2] for line in found] == [
        "ListUsers", "StreamEvents", "Connect",
    ]  # fmt: skip
    assert {line["code"] for line in found} == {"PERMISSION_DENIED"}
    assert {line["caller"]["name"] for line in found} == {"mallory"}


async def test_who_pries_all_the_time_does_not_fill_the_disk(tmp_path):
    tokens = tmp_path / "tokens.json"
    mallory = token(tokens, Role.RECOMMENDER, "mallory")
    async with (
        Server(tmp_path / "runs", security=Security(tokens=tokens)) as server,
        Caller(server.address, mallory) as caller,
    ):
        for _ in range(int(REFUSED_READS.burst) + 10):
            await caller.ending(BY_NAME["ListUsers"])
        await caller.ending(BY_NAME["StopRun"])
    found = await lines(tmp_path, int(REFUSED_READS.burst) + 1)
    assert found[-1]["method"].endswith("/StopRun")


async def test_a_call_that_its_caller_gave_up_is_written(server, tmp_path, monkeypatch):
    begun = asyncio.Event()

    async def create(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(server.house, "create", create)
    operator = Operator(server)
    call = operator.control.CreateRun(pb.CreateRunRequest(run=a_run("slow")))
    waiting = asyncio.ensure_future(begun.wait())
    await asyncio.wait({asyncio.ensure_future(call.code()), waiting}, return_when="FIRST_COMPLETED")
    call.cancel()
    (line,) = await lines(tmp_path)
    assert (line["run_id"], line["code"]) == ("slow", "CANCELLED")
    await operator.channel.close()
