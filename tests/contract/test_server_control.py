"""Operators create, start, pause, step, stop, reset and fork runs."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from recarena.server import house
from recarena.server.errors import Conflict
from recarena.server.minds.person.mind import PersonMind
from recarena.server.rpc.server import Server
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1.run_pb2 import (
    FAILURE_POLICY_FALLBACK_POPULAR,
    RUN_STATE_CREATED,
    RUN_STATE_PAUSED,
    RUN_STATE_RUNNING,
    RUN_STATE_STOPPED,
    RUN_STATE_SUCCEEDED,
    RUN_STATE_WAITING_FOR_RECOMMENDERS,
    Arm,
    Run,
)
from recarena.v1.types_pb2 import EXPLANATION_MODE_TEXT
from support.arena import finished, settled
from support.operators import Operator, a_run, refused
from support.raw_client import RawClient, fields_of

CODE = grpc.StatusCode


# ------------------------------------------------------------------------------ create
async def test_a_created_run_is_what_was_asked_for(operator):
    arms = [
        Arm(recommender_id="raw", weight=3, failure_policy=FAILURE_POLICY_FALLBACK_POPULAR),
        Arm(arm_id="b", recommender_id="other"),
    ]
    arms[0].work_timeout.FromMilliseconds(1500)
    arms[0].explanation_mode = EXPLANATION_MODE_TEXT
    arms[0].explanation_share = 0.25
    wanted = a_run("mine", arms=arms, seed=2**40, round_limit=3)
    wanted.settings["visits"] = {"page_size": 4}
    wanted.settings["choice"] = {"leave": 0.5}
    made = (await operator.control.CreateRun(control_pb.CreateRunRequest(run=wanted))).run
    assert (made.run_id, made.state, made.epoch, made.round) == ("mine", RUN_STATE_CREATED, 1, 0)
    assert (made.seed, made.round_limit) == (2**40, 3)
    assert [arm.arm_id for arm in made.arms] == ["raw", "b"]
    assert [arm.weight for arm in made.arms] == [3, 1]
    assert made.arms[0].failure_policy == FAILURE_POLICY_FALLBACK_POPULAR
    assert made.arms[0].work_timeout.ToMilliseconds() == 1500
    assert made.arms[1].work_timeout.seconds == 60
    assert made.arms[0].explanation_share == 0.25
    assert not made.arms[1].HasField("explanation_share")
    values = json_format.MessageToDict(made.settings)
    assert values["visits"]["page_size"] == 4
    assert values["choice"] == {"leave": 0.5}
    assert made.etag
    assert made.folder.endswith("runs/mine")
    assert not made.HasField("error")
    assert await operator.get("mine") == made


async def test_a_run_without_a_name_gets_one(operator):
    one, two = await operator.create(""), await operator.create("")
    assert one.run_id
    assert one.run_id != two.run_id


async def test_validate_only_checks_and_makes_nothing(operator, tmp_path):
    request = control_pb.CreateRunRequest(run=a_run(), validate_only=True)
    await operator.control.CreateRun(request)
    async with refused(CODE.NOT_FOUND):
        await operator.get()
    bad = control_pb.CreateRunRequest(run=a_run(round_limit=0), validate_only=True)
    async with refused(CODE.INVALID_ARGUMENT):
        await operator.control.CreateRun(bad)
    await operator.create()
    async with refused(CODE.ALREADY_EXISTS):
        await operator.control.CreateRun(request)
    assert [path.name for path in (tmp_path / "runs").glob("*/")] == ["run"]


def with_settings(**values: Any) -> Run:
    run = a_run()
    json_format.ParseDict(values, run.settings)
    return run


@pytest.mark.parametrize(
    ("run", "path", "says"),
    [
        (a_run(round_limit=0), "run.round_limit", "greater than or equal to 1"),
        (a_run(seed=2**63), "run.seed", "less than"),
        (a_run(arms=[]), "run.arms", "at least 1"),
        (a_run(arms=[Arm()]), "run.arms[0].recommender_id", "name"),
        (a_run(arms=[Arm(recommender_id="No")]), "run.arms[0].recommender_id", "name"),
        (a_run(arms=[Arm(recommender_id="raw", arm_id="A B")]), "run.arms[0].arm_id", "name"),
        (a_run(arms=[Arm(recommender_id="raw")] * 2), "run", "twice"),
        (a_run("No Name"), "run.run_id", "name"),
        (a_run("../up"), "run.run_id", "name"),
        (a_run(world="new:users=many"), "run.world", "users"),
        (a_run(world=""), "run.world", "world"),
        (with_settings(visits={"pagesize": 3}), "run.settings.visits.pagesize", "page_size"),
        (with_settings(activation={"rate": 2}), "run.settings.activation.rate", "less than"),
        (with_settings(activaton={}), "run.settings.activaton", "activation"),
        (with_settings(seed=3), "run.settings.seed", "seed"),
        (with_settings(choice={"leav": 1}), "run", "leave"),
        (
            a_run(arms=[Arm(recommender_id="raw", explanation_share=0.5)]),
            "run.arms[0]",
            "explanations = true",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_bad_settings_are_refused_with_the_field_path(operator, run, path, says, tmp_path):
    async with refused(CODE.INVALID_ARGUMENT) as found:
        await operator.control.CreateRun(control_pb.CreateRunRequest(run=run))
    assert any(field.startswith(path) for field in fields_of(found)), fields_of(found)
    assert says in str(found)
    assert not list((tmp_path / "runs").glob("*/"))


async def test_every_wrong_field_is_named_at_once(operator):
    run = with_settings(visits={"page_size": 0}, session={"ping_interval_s": -1})
    async with refused(CODE.INVALID_ARGUMENT) as found:
        await operator.control.CreateRun(control_pb.CreateRunRequest(run=run))
    assert set(fields_of(found)) == {
        "run.settings.visits.page_size", "run.settings.session.ping_interval_s"
    }  # fmt: skip


async def test_an_unknown_world_is_not_found(operator):
    async with refused(CODE.NOT_FOUND):
        await operator.create(world="nowhere")


async def test_a_name_in_use_is_told_so(operator):
    await operator.create()
    async with refused(CODE.ALREADY_EXISTS):
        await operator.create()


# ------------------------------------------------------------------------------ start, pause, step
@pytest.mark.parametrize("call", ["GetRun", "StartRun", "PauseRun", "StepRun", "StopRun",
                                  "ResetRun", "ForkRun"])  # fmt: skip
@pytest.mark.parametrize("run_id", ["none", ""])
async def test_a_run_that_is_not_there_is_not_found(operator, call, run_id):
    request = getattr(control_pb, f"{call}Request")(run_id=run_id)
    async with refused(CODE.NOT_FOUND if run_id else CODE.INVALID_ARGUMENT):
        await getattr(operator.control, call)(request)


async def test_a_run_is_stepped_paused_and_played_to_its_end(operator, server):
    await operator.create(round_limit=5)
    stepped = (
        await operator.control.StepRun(control_pb.StepRunRequest(run_id="run", rounds=2))
    ).run
    assert stepped.state == RUN_STATE_WAITING_FOR_RECOMMENDERS
    run = server.house.run("run")
    async with RawClient(server.address) as client:
        await client.join()
        serving = asyncio.create_task(client.serve())
        await settled(run)
        found = await operator.get()
        assert (found.state, found.round) == (RUN_STATE_PAUSED, 2)
        await operator.control.StepRun(control_pb.StepRunRequest(run_id="run"))
        await settled(run)
        assert (await operator.get()).round == 3
        assert (await operator.start()).state in (
            RUN_STATE_WAITING_FOR_RECOMMENDERS,
            RUN_STATE_RUNNING,
        )
        await finished(run)
        await serving
    found = await operator.get()
    assert (found.state, found.round) == (RUN_STATE_SUCCEEDED, 5)
    async with refused(CODE.FAILED_PRECONDITION):
        await operator.start()
    async with refused(CODE.FAILED_PRECONDITION):
        await operator.control.PauseRun(control_pb.PauseRunRequest(run_id="run"))


async def test_pause_finishes_and_commits_the_round_under_way(operator, server):
    await operator.create(round_limit=50)
    await operator.start()
    run = server.house.run("run")
    async with RawClient(server.address) as client:
        await client.join()
        await client.open_round()
        kind, work = await client.receive_work()
        await operator.control.PauseRun(control_pb.PauseRunRequest(run_id="run"))
        await client.send(client.answer(kind, work))
        serving = asyncio.create_task(client.serve())
        await settled(run)
        found = await operator.get()
        assert (found.state, found.round) == (RUN_STATE_PAUSED, 1)
        await run.stop()
        await serving


async def test_stop_gives_up_the_round_under_way_for_good(operator, server):
    await operator.create(round_limit=50)
    await operator.start()
    async with RawClient(server.address) as client:
        await client.join()
        await client.serve(until=lambda message: message.HasField("round_ended"))
        await client.open_round(2)
        await client.receive_work()
        stopping = asyncio.ensure_future(
            operator.control.StopRun(control_pb.StopRunRequest(run_id="run"))
        )
        assert (await client.find("drain")).reason.code == 0
        await client.close_half()
        stopped = (await stopping).run
    assert (stopped.state, stopped.round) == (RUN_STATE_STOPPED, 1)
    for call in ("StartRun", "StopRun", "StepRun"):
        async with refused(CODE.FAILED_PRECONDITION):
            request = getattr(control_pb, f"{call}Request")(run_id="run")
            await getattr(operator.control, call)(request)


async def test_a_waiting_run_that_is_paused_wants_nobody(operator, server):
    await operator.create()
    await operator.start()
    await operator.control.PauseRun(control_pb.PauseRunRequest(run_id="run"))
    await settled(server.house.run("run"))
    assert (await operator.get()).state == RUN_STATE_PAUSED


async def test_reset_begins_again_with_the_next_epoch(operator, server):
    first = await operator.played()
    digest = first.folder.digest
    reset = (await operator.control.ResetRun(control_pb.ResetRunRequest(run_id="run"))).run
    assert (reset.state, reset.epoch, reset.round, reset.seed) == (RUN_STATE_CREATED, 2, 0, 7)
    await operator.start()
    async with RawClient(server.address) as client:
        assert (await client.join()).epoch == 2
        await client.serve()
    assert await finished(server.house.run("run")) == digest
    request = control_pb.ResetRunRequest(run_id="run", seed=0)
    assert (await operator.control.ResetRun(request)).run.seed == 0
    await operator.start()
    async with RawClient(server.address) as client:
        await client.join()
        await client.serve()
    assert await finished(server.house.run("run")) != digest


@pytest.mark.parametrize("seed", [2**63, 2**64 - 1])
async def test_a_reset_to_a_seed_that_cannot_be_is_refused_before_anything_is_touched(
    operator: Operator, seed: int
):
    run = await operator.played()
    before, files = await operator.get(), sorted(run.folder.path.parent.rglob("*"))
    async with refused(CODE.INVALID_ARGUMENT) as status:
        request = control_pb.ResetRunRequest(run_id="run", seed=seed)
        await operator.control.ResetRun(request)
    assert fields_of(status) == ["seed"]
    assert "below 2^63" in status.message
    assert await operator.get() == before
    assert sorted(run.folder.path.parent.rglob("*")) == files
    largest = control_pb.ResetRunRequest(run_id="run", seed=2**63 - 1)
    assert (await operator.control.ResetRun(largest)).run.seed == 2**63 - 1


@pytest.mark.parametrize("step", ["create_run", "copy_recording", "Run", "PersonMind.close"])
async def test_a_reset_that_fails_leaves_the_run_as_it_was(
    operator: Operator, server: Server, monkeypatch: pytest.MonkeyPatch, step: str
):
    run = await operator.played()
    digest, there = run.folder.digest, set(run.folder.path.parent.iterdir())

    def fail(*_: object, **__: object) -> Any:
        raise Conflict("the disk is full")

    reset = control_pb.ResetRunRequest(run_id="run", seed=8)
    with monkeypatch.context() as broken:
        owner = PersonMind if "." in step else house
        broken.setattr(owner, step.split(".")[-1], fail)
        async with refused(CODE.FAILED_PRECONDITION) as status:
            await operator.control.ResetRun(reset)
        assert "the disk is full" in status.message
    found = await operator.get()
    assert (found.state, found.round, found.seed, found.epoch) == (RUN_STATE_SUCCEEDED, 2, 7, 1)
    assert server.house.run("run").folder.verify_digest() == digest
    assert set(run.folder.path.parent.iterdir()) == there
    assert (await operator.control.ResetRun(reset)).run.epoch == 2


async def test_a_run_that_cannot_be_opened_is_not_in_use(operator: Operator, server: Server):
    run = await operator.played()
    manifest = run.folder.path / "manifest.json"
    await server.house.close()
    whole = manifest.read_text()
    manifest.write_text(whole.replace('"seed": 7', '"seed": -7'))
    for _ in range(2):
        async with refused(CODE.INVALID_ARGUMENT) as status:
            await operator.get()
        assert "seed" in status.message
    manifest.write_text(whole)
    assert (await operator.get()).round == 2


async def test_a_live_run_is_not_reset(operator):
    await operator.create()
    await operator.start()
    async with refused(CODE.FAILED_PRECONDITION):
        await operator.control.ResetRun(control_pb.ResetRunRequest(run_id="run"))


async def test_a_fork_has_the_rounds_asked_for_and_goes_on(operator, server):
    run = await operator.played(round_limit=3)
    request = control_pb.ForkRunRequest(run_id="run", round=2, new_run_id="copy")
    fork = (await operator.control.ForkRun(request)).run
    assert (fork.run_id, fork.state, fork.round) == ("copy", RUN_STATE_PAUSED, 2)
    copy = server.house.run("copy")
    assert copy.folder.digest == run.folder.round_rows()[1].digest
    await operator.start("copy")
    async with RawClient(server.address) as client:
        await client.join()
        await client.serve()
    assert await finished(copy) == run.folder.digest
    named = (await operator.control.ForkRun(control_pb.ForkRunRequest(run_id="run", round=0))).run
    assert named.run_id not in ("", "run", "copy")
    assert named.round == 0
    async with refused(CODE.NOT_FOUND):
        await operator.control.ForkRun(control_pb.ForkRunRequest(run_id="run", round=4))
    async with refused(CODE.ALREADY_EXISTS):
        await operator.control.ForkRun(request)


# ------------------------------------------------------------------------------ etags and repeats
async def test_a_call_with_an_old_etag_is_refused(operator):
    made = await operator.create()
    started = await operator.start(etag=made.etag)
    assert started.etag != made.etag
    await operator.control.PauseRun(control_pb.PauseRunRequest(run_id="run"))
    for call in ("StartRun", "StepRun", "ResetRun"):
        async with refused(CODE.ABORTED):
            request = getattr(control_pb, f"{call}Request")(run_id="run", etag=made.etag)
            await getattr(operator.control, call)(request)


async def test_a_repeated_request_gets_the_first_answer_and_changes_nothing(operator):
    create = control_pb.CreateRunRequest(run=a_run(""), request_id="one")
    first = await operator.control.CreateRun(create)
    assert await operator.control.CreateRun(create) == first
    start = control_pb.StartRunRequest(run_id=first.run.run_id, request_id="one")
    started = await operator.control.StartRun(start)  # another call: its ids are its own
    assert started.run.state == RUN_STATE_WAITING_FOR_RECOMMENDERS
    assert await operator.control.StartRun(start) == started
    runs = (await operator.control.ListRuns(control_pb.ListRunsRequest())).runs
    assert len(runs) == 1
    fork = control_pb.ForkRunRequest(run_id=first.run.run_id, round=0, request_id="two")
    forks = await asyncio.gather(*(operator.control.ForkRun(fork) for _ in range(3)))
    assert len({answer.run.run_id for answer in forks}) == 1


async def test_a_request_that_was_refused_may_be_tried_again(operator):
    request = control_pb.StartRunRequest(run_id="run", request_id="one")
    async with refused(CODE.NOT_FOUND):
        await operator.control.StartRun(request)
    await operator.create()
    assert (await operator.control.StartRun(request)).run.run_id == "run"


async def test_runs_are_listed_page_by_page_in_order(operator):
    names = ["b", "a", "d", "c", "e"]
    for name in names:
        await operator.create(name)
    found, token = [], ""
    while True:
        page = await operator.control.ListRuns(
            control_pb.ListRunsRequest(page_size=2, page_token=token)
        )
        found.append([run.run_id for run in page.runs])
        token = page.next_page_token
        if not token:
            break
    assert found == [["a", "b"], ["c", "d"], ["e"]]
    whole = await operator.control.ListRuns(control_pb.ListRunsRequest(page_size=-1))
    assert [run.run_id for run in whole.runs] == sorted(names)
    assert not whole.next_page_token


async def test_a_server_that_comes_back_knows_its_runs(operator, server, tmp_path):
    await operator.played("done")
    await operator.create("waiting")
    await operator.start("waiting")
    await server.stop()
    async with Server(tmp_path / "runs") as again:
        other = Operator(again)
        runs = (await other.control.ListRuns(control_pb.ListRunsRequest())).runs
        assert [(run.run_id, run.state) for run in runs] == [
            ("done", RUN_STATE_SUCCEEDED),
            ("waiting", RUN_STATE_PAUSED),
        ]
        await other.channel.close()
