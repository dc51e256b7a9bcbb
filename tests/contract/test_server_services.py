"""The server's services for operators and observers, as a gRPC client sees them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc.status_pb2 import Status
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from recarena.client import serve_async
from recarena.server import errors
from recarena.server.errors import InputError, RecArenaError
from recarena.server.rpc import status
from recarena.server.rpc.remote import RemoteRecommender
from recarena.server.rpc.server import SERVICES, Server
from recarena.server.runs import Run, RunState
from recarena.server.types import EventKind
from recarena.v1 import run_pb2 as runs
from recarena.v1 import simulation_control_service_pb2 as control
from recarena.v1 import simulation_observe_service_pb2 as observe
from recarena.v1.session_pb2 import RoundReady
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub
from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceStub
from support.arena import PATIENCE, WORLD, finished, log_of, settled, until
from support.raw_client import RawClient, fields_of, reason_of
from support.scripted_clients import Fixed

CODE = grpc.StatusCode
NOT_SHOWN = [kind for kind in EventKind if kind is not EventKind.SHOWN]


@dataclass
class Desk:
    """An operator's and observer's connection to a server."""

    server: Server
    channel: grpc.aio.Channel
    control: Any = field(init=False)
    observe: Any = field(init=False)

    def __post_init__(self) -> None:
        self.control = SimulationControlServiceStub(self.channel)
        self.observe = SimulationObserveServiceStub(self.channel)

    async def create(self, run_id: str = "run", **fields: Any) -> runs.Run:
        request = control.CreateRunRequest(run=asked(run_id, **fields))
        return (await self.control.CreateRun(request)).run

    async def get(self, run_id: str = "run") -> runs.Run:
        return (await self.control.GetRun(control.GetRunRequest(run_id=run_id))).run

    async def start(self, run_id: str = "run") -> Run:
        await self.control.StartRun(control.StartRunRequest(run_id=run_id))
        return self.run(run_id)

    async def step(self, rounds: int, run_id: str = "run") -> Run:
        """So many rounds, played."""
        await self.control.StepRun(control.StepRunRequest(run_id=run_id, rounds=rounds))
        run = await settled(self.run(run_id))
        assert run.error == ""
        return run

    def run(self, run_id: str = "run") -> Run:
        return self.server.house.run(run_id)

    async def events(self, run_id: str = "run", **asked: Any) -> list[observe.StreamEventsResponse]:
        """All that a stream gives until the server ends it."""
        stream = self.observe.StreamEvents(observe.StreamEventsRequest(run_id=run_id, **asked))
        async with asyncio.timeout(PATIENCE):
            return [message async for message in stream]


def asked(run_id: str = "run", settings: dict[str, Any] | None = None, **fields: Any) -> runs.Run:
    """A small run, as a CreateRun call asks for it."""
    message = runs.Run(**{
        "run_id": run_id, "seed": 7, "round_limit": 3, "world": WORLD,
        "arms": [runs.Arm(recommender_id="fixed")], **fields,
    })  # fmt: skip
    ParseDict(settings or {}, message.settings)
    return message


async def refusal(call: Awaitable[Any]) -> tuple[grpc.StatusCode, Status]:
    """The status with which a call is refused, also with its details."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    told = dict(caught.value.trailing_metadata() or ())
    found = Status.FromString(told.get("grpc-status-details-bin", b""))
    assert "Traceback" not in str(caught.value.details())
    return caught.value.code(), found


@contextlib.asynccontextmanager
async def serving(server: Server, name: str = "fixed", sessions: int = 1) -> AsyncIterator[None]:
    """A recommender that always shows the same items, there for whoever wants it."""
    task = asyncio.create_task(serve_async(Fixed, name, server=server.address, sessions=sessions))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with (
        Server(tmp_path / "runs") as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield Desk(server, channel)


@pytest.fixture
async def played(desk: Desk) -> Desk:
    """A run of three rounds in two arms that has come to its end."""
    await desk.create(arms=[runs.Arm(recommender_id="fixed"), runs.Arm(recommender_id="other")])
    async with serving(desk.server), serving(desk.server, "other"):
        await finished(await desk.start())
    return desk


# -------------------------------------------------------------------- health and reflection
async def test_every_service_says_that_it_serves(desk: Desk):
    stub = HealthStub(desk.channel)
    for name in ("", *SERVICES):
        answer = await stub.Check(HealthCheckRequest(service=name))
        assert answer.status == HealthCheckResponse.SERVING, name
    code, _ = await refusal(stub.Check(HealthCheckRequest(service="recarena.v1.Nothing")))
    assert code is CODE.NOT_FOUND


async def reflected(desk: Desk, **request: Any) -> Any:
    async def requests() -> AsyncIterator[ServerReflectionRequest]:
        yield ServerReflectionRequest(**request)

    stub = ServerReflectionStub(desk.channel)
    async for answer in stub.ServerReflectionInfo(requests()):
        return answer
    raise AssertionError("reflection said nothing")


async def test_reflection_lists_all_services(desk: Desk):
    answer = await reflected(desk, list_services="")
    assert {service.name for service in answer.list_services_response.service} == {
        "recarena.v1.RecommenderService",
        "recarena.v1.SimulationControlService",
        "recarena.v1.SimulationObserveService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


@pytest.mark.parametrize("service", SERVICES)
async def test_reflection_describes_every_service(desk: Desk, service: str):
    answer = await reflected(desk, file_containing_symbol=service)
    files = answer.file_descriptor_response.file_descriptor_proto
    found = [
        f"{proto.package}.{one.name}"
        for proto in map(FileDescriptorProto.FromString, files)
        for one in proto.service
    ]
    assert service in found


# -------------------------------------------------------------------- creating runs
async def test_a_created_run_says_all_it_was_made_with(desk: Desk):
    arms = [
        runs.Arm(recommender_id="fixed"),
        runs.Arm(
            arm_id="second", recommender_id="other", weight=3,
            failure_policy=runs.FAILURE_POLICY_FALLBACK_POPULAR, work_timeout=Duration(seconds=2),
        ),
    ]  # fmt: skip
    made = await desk.create(arms=arms, settings={"visits": {"page_size": 4}})
    assert made.state == runs.RUN_STATE_CREATED
    assert (made.run_id, made.seed, made.epoch) == ("run", 7, 1)
    assert (made.round, made.round_limit) == (0, 3)
    assert made.etag
    assert Path(made.folder) == desk.server.house.folder / "run"
    assert [arm.arm_id for arm in made.arms] == ["fixed", "second"]
    assert [arm.weight for arm in made.arms] == [1, 3]
    assert [arm.failure_policy for arm in made.arms] == [
        runs.FAILURE_POLICY_EMPTY_LIST, runs.FAILURE_POLICY_FALLBACK_POPULAR,
    ]  # fmt: skip
    assert [arm.work_timeout.seconds for arm in made.arms] == [60, 2]
    settings = MessageToDict(made.settings)
    assert settings["visits"] == {"page_size": 4, "step_cap": 10, "repeats": "allow"}
    assert made == await desk.get()


async def test_a_run_without_a_name_gets_one(desk: Desk):
    made = [await desk.create(run_id="") for _ in range(2)]
    assert made[0].run_id != made[1].run_id
    assert await desk.get(made[0].run_id) == made[0]


async def test_checking_only_creates_nothing(desk: Desk):
    request = control.CreateRunRequest(run=asked(), validate_only=True)
    assert (await desk.control.CreateRun(request)).run == asked()
    assert not (await desk.control.ListRuns(control.ListRunsRequest())).runs
    assert not desk.server.house.folder.exists() or not any(desk.server.house.folder.iterdir())


BAD = [
    ({"round_limit": 0}, ["run.round_limit"]),
    ({"arms": []}, ["run.arms"]),
    (
        {"arms": [runs.Arm(arm_id="a", recommender_id="Bad Name")]},
        ["run.arms[0].recommender_id"],
    ),
    ({"arms": [runs.Arm(arm_id="a")]}, ["run.arms[0].recommender_id"]),
    (
        {"arms": [runs.Arm(recommender_id="a", work_timeout=Duration(seconds=-1))]},
        ["run.arms[0].work_timeout"],
    ),
    ({"arms": [runs.Arm(recommender_id="a", failure_policy=99)]}, ["run.arms[0].failure_policy"]),
    ({"seed": 2**63}, ["run.seed"]),
    ({"settings": {"visits": {"page_sise": 3}}}, ["run.settings.visits.page_sise"]),
    ({"settings": {"visits": {"page_size": 0}}}, ["run.settings.visits.page_size"]),
    ({"settings": {"visit": {}}}, ["run.settings.visit"]),
    ({"settings": {"seed": 3}}, ["run.settings.seed"]),
    (
        {"round_limit": 0, "settings": {"activation": {"rate": 2}}},
        ["run.round_limit", "run.settings.activation.rate"],
    ),
    ({"run_id": "../up"}, ["run.run_id"]),
    ({"world": "new:people=3"}, ["run.world"]),
    ({"world": ""}, ["run.world"]),
]


@pytest.mark.parametrize("validate_only", [True, False], ids=["check", "create"])
@pytest.mark.parametrize(("wrong", "fields"), BAD, ids=[",".join(fields) for _, fields in BAD])
async def test_wrong_settings_are_named_by_their_paths(
    desk: Desk, wrong: dict[str, Any], fields: list[str], validate_only: bool
):
    request = control.CreateRunRequest(run=asked(**wrong), validate_only=validate_only)
    code, told = await refusal(desk.control.CreateRun(request))
    assert code is CODE.INVALID_ARGUMENT, told
    assert sorted(fields_of(told)) == sorted(fields)
    assert reason_of(told) == "INPUTERROR"


async def test_a_number_that_is_none_is_refused_like_any_wrong_setting(desk: Desk):
    run = asked()
    run.settings["choice"] = {"taste": float("nan")}
    code, told = await refusal(desk.control.CreateRun(control.CreateRunRequest(run=run)))
    assert code is CODE.INVALID_ARGUMENT, told


async def test_an_unknown_setting_comes_with_the_nearest_known_one(desk: Desk):
    request = control.CreateRunRequest(run=asked(settings={"visits": {"page_sise": 3}}))
    _, told = await refusal(desk.control.CreateRun(request))
    assert "did you mean 'page_size'?" in told.message


@pytest.mark.parametrize("validate_only", [True, False], ids=["check", "create"])
async def test_an_unknown_world_is_not_found(desk: Desk, validate_only: bool):
    request = control.CreateRunRequest(run=asked(world="no/such"), validate_only=validate_only)
    code, told = await refusal(desk.control.CreateRun(request))
    assert code is CODE.NOT_FOUND
    assert "'no/such'" in told.message


@pytest.mark.parametrize("validate_only", [True, False], ids=["check", "create"])
async def test_a_name_in_use_already_exists(desk: Desk, validate_only: bool):
    await desk.create()
    request = control.CreateRunRequest(run=asked(), validate_only=validate_only)
    code, _ = await refusal(desk.control.CreateRun(request))
    assert code is CODE.ALREADY_EXISTS


CALLS: dict[str, Callable[..., Any]] = {
    "GetRun": control.GetRunRequest, "StartRun": control.StartRunRequest,
    "PauseRun": control.PauseRunRequest, "StepRun": control.StepRunRequest,
    "StopRun": control.StopRunRequest, "ResetRun": control.ResetRunRequest,
    "ForkRun": control.ForkRunRequest,
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("run_id", "code"), [("none", CODE.NOT_FOUND), ("../none", CODE.INVALID_ARGUMENT)]
)
async def test_a_run_that_is_not_there_is_not_found(
    desk: Desk, call: str, run_id: str, code: grpc.StatusCode
):
    found, _ = await refusal(getattr(desk.control, call)(CALLS[call](run_id=run_id)))
    assert found is code


async def test_runs_are_listed_page_by_page_in_the_order_of_their_names(desk: Desk):
    names = ["b", "a", "a.b", "a-b", "c"]
    for name in names:
        await desk.create(name)
    seen, token = [], ""
    for size in (2, 2, 1):
        page = await desk.control.ListRuns(control.ListRunsRequest(page_size=2, page_token=token))
        assert len(page.runs) == size
        seen += [run.run_id for run in page.runs]
        token = page.next_page_token
        assert bool(token) == (len(seen) < 5)
    assert seen == sorted(names)
    everything = await desk.control.ListRuns(control.ListRunsRequest())
    assert [run.run_id for run in everything.runs] == sorted(names)
    assert not everything.next_page_token


# -------------------------------------------------------------------- driving runs
async def test_a_started_run_plays_to_its_end_and_cannot_be_started_again(desk: Desk):
    await desk.create()
    async with serving(desk.server):
        await finished(await desk.start())
    assert (await desk.get()).state == runs.RUN_STATE_SUCCEEDED
    assert (await desk.get()).round == 3
    for call in (
        desk.control.StartRun(control.StartRunRequest(run_id="run")),
        desk.control.StepRun(control.StepRunRequest(run_id="run")),
        desk.control.PauseRun(control.PauseRunRequest(run_id="run")),
        desk.control.StopRun(control.StopRunRequest(run_id="run")),
    ):
        code, told = await refusal(call)
        assert (code, reason_of(told)) == (CODE.FAILED_PRECONDITION, "CONFLICT")


async def test_a_run_waits_for_its_recommenders(desk: Desk):
    await desk.create()
    answer = await desk.control.StartRun(control.StartRunRequest(run_id="run"))
    assert answer.run.state == runs.RUN_STATE_WAITING_FOR_RECOMMENDERS
    code, _ = await refusal(desk.control.StartRun(control.StartRunRequest(run_id="run")))
    assert code is CODE.FAILED_PRECONDITION
    async with serving(desk.server):
        await finished(desk.run())


async def test_steps_play_so_many_rounds_and_never_more_than_there_are(desk: Desk):
    await desk.create()
    async with serving(desk.server):
        assert (await desk.step(0)).round == 1
        assert (await desk.get()).state == runs.RUN_STATE_PAUSED
        assert (await desk.step(1)).round == 2
        assert (await desk.step(7)).round == 3
    assert (await desk.get()).state == runs.RUN_STATE_SUCCEEDED


async def test_stepping_and_playing_through_give_the_same_log(desk: Desk):
    await desk.create("stepped")
    await desk.create("through")
    async with serving(desk.server, sessions=2):
        await desk.step(1, "stepped")
        await desk.step(1, "stepped")
        stepped = await finished(await desk.start("stepped"))
        assert await finished(await desk.start("through")) == stepped


async def test_a_pause_lets_the_round_under_way_come_to_its_end(desk: Desk):
    await desk.create(arms=[runs.Arm(recommender_id="raw")])
    await desk.start()
    async with RawClient(desk.server.address) as client:
        await client.join()
        await client.find("round_started")
        answer = await desk.control.PauseRun(control.PauseRunRequest(run_id="run"))
        assert answer.run.state == runs.RUN_STATE_RUNNING
        await client.send(round_ready=RoundReady(round=1))
        await client.serve(until=lambda message: message.HasField("round_ended"))
        run = await settled(desk.run())
        assert (run.state, run.round) == (RunState.PAUSED, 1)
        code, _ = await refusal(desk.control.PauseRun(control.PauseRunRequest(run_id="run")))
        assert code is CODE.FAILED_PRECONDITION
        # The recommender stays for the rounds to come.
        await desk.start()
        await client.serve()
    await finished(run)


@pytest.mark.parametrize(("limit", "state"), [(1, "succeeded"), (3, "paused")])
async def test_a_pause_while_a_committed_round_is_told_adds_no_round(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, limit: int, state: str
):
    tell = RemoteRecommender.round_ended

    async def pause_and_tell(self: RemoteRecommender, *what: Any) -> None:
        if what[0].round == 1:
            await desk.control.PauseRun(control.PauseRunRequest(run_id="run"))
        await tell(self, *what)

    monkeypatch.setattr(RemoteRecommender, "round_ended", pause_and_tell)
    await desk.create(round_limit=limit)
    async with serving(desk.server):
        run = await settled(await desk.start())
    assert (run.state, run.round) == (state, 1)


async def test_a_run_that_still_waits_pauses_at_once(desk: Desk):
    await desk.create()
    run = await desk.start()
    await desk.control.PauseRun(control.PauseRunRequest(run_id="run"))
    await settled(run)
    assert (await desk.get()).state == runs.RUN_STATE_PAUSED
    async with serving(desk.server):
        await finished(await desk.start())


async def test_a_stopped_run_gives_up_its_round_and_ends_for_good(desk: Desk):
    await desk.create(arms=[runs.Arm(recommender_id="raw")])
    await desk.start()
    async with RawClient(desk.server.address) as client:
        await client.join()
        await client.serve(until=lambda message: message.round_started.round == 2)
        stop = asyncio.ensure_future(
            desk.control.StopRun(control.StopRunRequest(run_id="run", request_id="stop"))
        )
        await client.serve()
        assert client.kinds()[-1] == "drain"
        stopped = (await stop).run
    assert (stopped.state, stopped.round) == (runs.RUN_STATE_STOPPED, 1)
    for call in ("StartRun", "StepRun", "PauseRun", "StopRun"):
        code, _ = await refusal(getattr(desk.control, call)(CALLS[call](run_id="run")))
        assert code is CODE.FAILED_PRECONDITION
    again = control.StopRunRequest(run_id="run", request_id="stop")
    assert (await desk.control.StopRun(again)).run == stopped


async def test_a_reset_run_plays_the_same_again_in_the_next_epoch(played: Desk):
    first = played.run().folder.digest
    answer = await played.control.ResetRun(control.ResetRunRequest(run_id="run"))
    assert (answer.run.state, answer.run.epoch) == (runs.RUN_STATE_CREATED, 2)
    assert (answer.run.round, answer.run.seed) == (0, 7)
    async with serving(played.server), serving(played.server, "other"):
        assert await finished(await played.start()) == first
    assert [path.name for path in played.server.house.folder.iterdir()] == ["run"]


async def test_a_reset_may_bring_another_seed(played: Desk):
    first = played.run().folder.digest
    await played.control.ResetRun(control.ResetRunRequest(run_id="run", seed=0))
    assert (await played.get()).seed == 0
    async with serving(played.server), serving(played.server, "other"):
        assert await finished(await played.start()) != first
    await played.control.ResetRun(control.ResetRunRequest(run_id="run", seed=7))
    async with serving(played.server), serving(played.server, "other"):
        assert await finished(await played.start()) == first
    assert (await played.get()).epoch == 3


async def test_a_live_run_is_not_reset(desk: Desk):
    await desk.create()
    await desk.start()
    code, told = await refusal(desk.control.ResetRun(control.ResetRunRequest(run_id="run")))
    assert code is CODE.FAILED_PRECONDITION
    assert "pause or stop it first" in told.message


async def test_a_reset_sends_those_who_watch_away_to_come_again(desk: Desk):
    await desk.create()
    stream = desk.observe.StreamEvents(observe.StreamEventsRequest(run_id="run"))
    assert (await stream.read()).HasField("run_changed")
    await desk.control.ResetRun(control.ResetRunRequest(run_id="run"))
    async with asyncio.timeout(5):
        code, _ = await refusal(stream.read())
    assert code is CODE.UNAVAILABLE


async def test_a_fork_has_the_rounds_before_it_and_goes_its_own_way(played: Desk):
    request = control.ForkRunRequest(run_id="run", round=2, new_run_id="fork")
    copy = (await played.control.ForkRun(request)).run
    assert (copy.run_id, copy.state) == ("fork", runs.RUN_STATE_PAUSED)
    assert (copy.round, copy.seed, copy.round_limit) == (2, 7, 3)
    source, fork = played.run(), played.run("fork")
    assert fork.folder.digest == source.folder.round_rows()[1].digest
    async with serving(played.server), serving(played.server, "other"):
        assert await finished(await played.start("fork")) == source.folder.digest
    unnamed = (await played.control.ForkRun(control.ForkRunRequest(run_id="run"))).run
    assert unnamed.run_id.startswith("run-")
    assert unnamed.round == 0


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"round": 4}, CODE.NOT_FOUND),
        ({"round": 1, "new_run_id": "run"}, CODE.ALREADY_EXISTS),
        ({"round": 1, "new_run_id": "A/B"}, CODE.INVALID_ARGUMENT),
    ],
)
async def test_a_fork_that_cannot_be_is_refused(
    played: Desk, wrong: dict[str, Any], code: grpc.StatusCode
):
    found, _ = await refusal(played.control.ForkRun(control.ForkRunRequest(run_id="run", **wrong)))
    assert found is code


# -------------------------------------------------------------------- etags and request ids
async def test_a_stale_etag_is_refused_and_the_newest_is_not(desk: Desk):
    stale = (await desk.create()).etag
    async with serving(desk.server):
        await desk.step(1)
        for call in (
            desk.control.StartRun(control.StartRunRequest(run_id="run", etag=stale)),
            desk.control.StepRun(control.StepRunRequest(run_id="run", etag=stale)),
            desk.control.ResetRun(control.ResetRunRequest(run_id="run", etag=stale)),
        ):
            code, told = await refusal(call)
            assert (code, reason_of(told)) == (CODE.ABORTED, "CHANGED")
        now = (await desk.get()).etag
        await desk.control.StepRun(control.StepRunRequest(run_id="run", etag=now))
        run = await settled(desk.run())
        assert run.round == 2
    now = (await desk.get()).etag
    await desk.control.ResetRun(control.ResetRunRequest(run_id="run", etag=now))


async def test_an_etag_outlives_the_server_only_while_nothing_changes(tmp_path: Path):
    etags = []
    for rounds in (0, 1, 0):
        async with (
            Server(tmp_path) as server,
            grpc.aio.insecure_channel(server.address) as channel,
            serving(server),
        ):
            desk = Desk(server, channel)
            if not etags:
                await desk.create()
            etags.append((await desk.get()).etag)
            if rounds:
                await desk.step(rounds)
    assert etags[0] == etags[1]
    assert etags[2] != etags[0]


async def test_a_repeated_request_gives_the_first_answer_and_does_nothing(desk: Desk):
    create = control.CreateRunRequest(run=asked(run_id=""), request_id="one")
    first = (await desk.control.CreateRun(create)).run
    assert (await desk.control.CreateRun(create)).run == first
    assert len((await desk.control.ListRuns(control.ListRunsRequest())).runs) == 1
    async with serving(desk.server):
        step = control.StepRunRequest(run_id=first.run_id, rounds=1, request_id="two")
        answer = await desk.control.StepRun(step)
        run = await settled(desk.run(first.run_id))
        assert await desk.control.StepRun(step) == answer
        await settled(run)
        assert run.round == 1


async def test_requests_sent_at_once_under_one_id_are_one(desk: Desk):
    create = control.CreateRunRequest(run=asked(run_id=""), request_id="one")
    answers = await asyncio.gather(*(desk.control.CreateRun(create) for _ in range(4)))
    assert len({answer.run.run_id for answer in answers}) == 1
    assert len(list(desk.server.house.folder.iterdir())) == 1


async def test_a_refused_request_can_be_made_again_under_its_id(desk: Desk):
    request = control.StartRunRequest(run_id="run", request_id="start")
    code, _ = await refusal(desk.control.StartRun(request))
    assert code is CODE.NOT_FOUND
    await desk.create()
    await desk.control.StartRun(request)


async def test_a_request_id_belongs_to_one_kind_of_call(desk: Desk):
    await desk.control.CreateRun(control.CreateRunRequest(run=asked(), request_id="same"))
    answer = await desk.control.StartRun(control.StartRunRequest(run_id="run", request_id="same"))
    assert answer.run.state == runs.RUN_STATE_WAITING_FOR_RECOMMENDERS


# -------------------------------------------------------------------- watching events
def what(message: observe.StreamEventsResponse) -> str:
    return message.WhichOneof("event") or "bookmark"


def said(messages: list[observe.StreamEventsResponse]) -> list[observe.StreamEventsResponse]:
    """User events and summaries; what the run's state was when is left out."""
    return [message for message in messages if not message.HasField("run_changed")]


async def test_a_stream_tells_the_whole_log_in_order(played: Desk):
    run = played.run()
    messages = await played.events(event_types=[int(kind) for kind in EventKind])
    assert what(messages[0]) == "run_changed"
    assert messages[0].run_changed.state == runs.RUN_STATE_SUCCEEDED
    for round in (1, 2, 3):
        log = log_of(run, round)
        told = [message for message in said(messages) if message.round == round]
        assert what(told[-1]) == "round_ended"
        assert told[-1].round_ended.round == round
        events = [message.user_event for message in told[:-1]]
        assert [event.sequence for event in events] == list(range(len(log)))
        assert [event.type for event in events] == log.kind.tolist()
        people, items = run.data.population, run.data.catalog
        assert [event.user_id for event in events] == [people.user_ids[u] for u in log.user]
        assert [event.user_name for event in events] == [people.names[u] for u in log.user]
        assert [event.item_id for event in events] == [
            items.item_ids[item] if item >= 0 else "" for item in log.item
        ]
        placed = np.isin(log.kind, [EventKind.SHOWN, EventKind.WATCH])
        assert [event.HasField("position") for event in events] == placed.tolist()
        assert [event.value for event in events if event.HasField("value")] == (
            log.of(EventKind.WATCH).value.tolist()
        )
        assert all(event.text for event in events)
    assert {message.epoch for message in messages} == {1}


async def test_items_shown_are_left_out_unless_asked_for(played: Desk):
    messages = await played.events()
    events = [message.user_event for message in messages if message.HasField("user_event")]
    log = log_of(played.run()).of(*NOT_SHOWN)
    assert [event.type for event in events] == log.kind.tolist()


async def test_a_summary_counts_what_is_in_the_log(played: Desk):
    messages = await played.events(summaries_only=True)
    assert [what(message) for message in messages] == ["run_changed"] + ["round_ended"] * 3
    for message in messages[1:]:
        log, told = log_of(played.run(), message.round), message.round_ended
        for name, kind in {
            "visits": EventKind.ENTER_RECOMMENDER, "pages": EventKind.PAGE,
            "exposures": EventKind.SHOWN, "watches": EventKind.WATCH, "chats": EventKind.CHAT,
            "posts": EventKind.POST,
        }.items():  # fmt: skip
            assert getattr(told, name) == len(log.of(kind)), name
        assert told.active_users == 40
        assert told.mean_rating == pytest.approx(log.of(EventKind.WATCH).value.mean())
    times = [message.sim_time.seconds for message in messages[1:]]
    assert np.diff(times).tolist() == [5 * 3600] * 2


async def test_a_stream_goes_on_after_the_message_of_any_token(played: Desk):
    messages = await played.events()
    for at in [0, 1, 2, *range(3, len(messages), 17), len(messages) - 2, len(messages) - 1]:
        rest = await played.events(resume_token=messages[at].resume_token)
        assert said(rest) == said(messages[at + 1 :]), at


async def test_a_reader_who_comes_again_and_again_loses_and_repeats_nothing(desk: Desk):
    await desk.create()
    gathered: list[observe.StreamEventsResponse] = []
    token, after = "", [1, 3, 10, 40, 90]

    async def read(most: int) -> bool:
        """Whether the run ended; else so many messages were read and the stream was left."""
        nonlocal token
        stream = desk.observe.StreamEvents(
            observe.StreamEventsRequest(run_id="run", resume_token=token)
        )
        count = 0
        async for message in stream:
            token = message.resume_token
            gathered.append(message)
            count += 1
            if count == most:
                stream.cancel()
                return False
        return True

    async with serving(desk.server), asyncio.timeout(PATIENCE):
        run = await desk.start()
        number = 0
        while not await read(after[number % len(after)]):
            number += 1
        await finished(run)
    assert number > 3
    assert said(gathered) == said(await desk.events())


async def test_a_stream_follows_a_live_run_to_its_end(desk: Desk):
    await desk.create()
    watching = asyncio.create_task(desk.events(summaries_only=True))
    async with serving(desk.server):
        await finished(await desk.start())
    messages = await watching
    assert [m.round_ended.round for m in messages if what(m) == "round_ended"] == [1, 2, 3]
    states = [m.run_changed.state for m in messages if what(m) == "run_changed"]
    assert what(messages[0]) == what(messages[-1]) == "run_changed"
    assert states[-1] == runs.RUN_STATE_SUCCEEDED
    assert len(states) == len(set(states))


async def test_a_stream_ends_when_the_run_is_stopped(desk: Desk):
    await desk.create()
    async with serving(desk.server):
        await desk.step(1)
        watching = asyncio.create_task(desk.events(summaries_only=True))
        await desk.control.StopRun(control.StopRunRequest(run_id="run"))
    messages = await watching
    assert messages[-1].run_changed.state == runs.RUN_STATE_STOPPED
    assert [m.round_ended.round for m in messages if what(m) == "round_ended"] == [1]


async def test_a_reader_who_does_not_read_holds_nothing_up(desk: Desk):
    await desk.create()
    stream = desk.observe.StreamEvents(
        observe.StreamEventsRequest(run_id="run", event_types=[int(kind) for kind in EventKind])
    )
    reading = aiter(stream)
    first = await anext(reading)
    async with serving(desk.server):
        await finished(await desk.start())
    rest = [message async for message in reading]
    every = [int(kind) for kind in EventKind]
    assert said([first, *rest]) == said(await desk.events(event_types=every))


async def test_events_can_be_asked_for_by_kind_and_user(played: Desk):
    run = played.run()
    people = run.data.population.user_ids
    kinds, users = [EventKind.WATCH, EventKind.PAGE], [3, 17, 20]
    messages = await played.events(
        event_types=[int(kind) for kind in kinds], user_ids=[people[user] for user in users]
    )
    events = [message.user_event for message in messages if message.HasField("user_event")]
    log = log_of(run).of(*kinds)
    log = log.take(np.isin(log.user, users))
    assert [(event.type, event.user_id) for event in events] == [
        (kind, people[user]) for kind, user in zip(log.kind, log.user, strict=True)
    ]
    assert events
    token = messages[len(messages) // 2].resume_token
    rest = await played.events(
        event_types=[int(kind) for kind in kinds],
        user_ids=[people[user] for user in users],
        resume_token=token,
    )
    assert said(rest) == said(messages[len(messages) // 2 + 1 :])


@pytest.mark.parametrize(
    "token",
    ["nonsense", "other/1/1/0", "run/2/1/0", "run/1/0/0", "run/1/-1/0", "run/1/1", "run/1/1/x",
     "run/1/1/0/0", "run/1/99999999999/0", "\n" * 200],
)  # fmt: skip
async def test_a_wrong_token_is_refused(played: Desk, token: str):
    stream = played.observe.StreamEvents(
        observe.StreamEventsRequest(run_id="run", resume_token=token)
    )
    code, told = await refusal(stream.read())
    assert (code, fields_of(told)) == (CODE.INVALID_ARGUMENT, ["resume_token"])


async def test_a_token_from_before_a_reset_is_refused(played: Desk):
    token = (await played.events())[5].resume_token
    await played.control.ResetRun(control.ResetRunRequest(run_id="run"))
    stream = played.observe.StreamEvents(
        observe.StreamEventsRequest(run_id="run", resume_token=token)
    )
    code, _ = await refusal(stream.read())
    assert code is CODE.INVALID_ARGUMENT


async def test_streams_of_unknown_runs_and_users_are_refused(played: Desk):
    ask = observe.StreamEventsRequest
    code, _ = await refusal(played.observe.StreamEvents(ask(run_id="none")).read())
    assert code is CODE.NOT_FOUND
    code, told = await refusal(
        played.observe.StreamEvents(ask(run_id="run", user_ids=["nobody"])).read()
    )
    assert (code, fields_of(told)) == (CODE.INVALID_ARGUMENT, ["user_ids"])


# -------------------------------------------------------------------- reading users
async def pages(call: Any, kind: Any, field: str, size: int, **asked: Any) -> list[Any]:
    """All entries, read page by page of at most `size`."""
    entries: list[Any] = []
    token = ""
    while True:
        page = await call(kind(run_id="run", page_size=size, page_token=token, **asked))
        found = list(getattr(page, field))
        assert len(found) <= size
        entries += found
        token = page.next_page_token
        if not token:
            return entries
        assert len(found) == size


async def test_users_come_page_by_page_with_what_is_known_of_them(played: Desk):
    run = played.run()
    users = await pages(played.observe.ListUsers, observe.ListUsersRequest, "users", 7)
    assert [user.user_number for user in users] == list(range(40))
    assert [user.user_id for user in users] == run.data.population.user_ids
    assert [user.name for user in users] == run.data.population.names
    assert [user.watches for user in users] == run.world.watches.tolist()
    arms = [arm.id for arm in run.settings.arms]
    assert [user.arm_id for user in users] == [arms[arm] for arm in run.arm_of_user]
    assert all(0 < user.satisfaction < 1 for user in users)
    assert dict(users[0].profile) == {
        name: column[0] for name, column in run.data.population.profile.items()
    }
    at_once = await played.observe.ListUsers(observe.ListUsersRequest(run_id="run"))
    assert list(at_once.users) == users


async def test_ties_come_page_by_page_of_all_or_of_one(played: Desk):
    run = played.run()
    network, ids = run.data.network, run.data.population.user_ids
    ask = observe.ListRelationsRequest
    ties = await pages(played.observe.ListRelations, ask, "relations", 13)
    assert len(ties) == len(network)
    assert [tie.other_user_id for tie in ties] == [ids[other] for other in network.other]
    assert [tie.user_id for tie in ties] == [
        ids[user] for user in np.repeat(np.arange(40), network.degrees())
    ]
    np.testing.assert_allclose([tie.closeness for tie in ties], network.closeness)
    user = int(network.degrees().argmax())
    own = await pages(played.observe.ListRelations, ask, "relations", 2, user_id=ids[user])
    assert own == [tie for tie in ties if tie.user_id == ids[user]]
    assert len(own) > 2


async def test_a_user_without_ties_has_none(desk: Desk):
    await desk.create(world="planted:users=5,items=20")
    ties = desk.run().data.network.degrees()
    ids = desk.run().data.population.user_ids
    for user in range(5):
        ask = observe.ListRelationsRequest(run_id="run", user_id=ids[user])
        assert len((await desk.observe.ListRelations(ask)).relations) == ties[user]


async def test_memories_come_page_by_page_oldest_first(played: Desk):
    run = played.run()
    user = max(range(40), key=lambda user: len(run.folder.memories_of(user)))
    user_id = run.data.population.user_ids[user]
    memories = await pages(
        played.observe.ListMemories, observe.ListMemoriesRequest, "memories", 3, user_id=user_id
    )
    kept = run.folder.memories_of(user)
    assert len(memories) == len(kept) > 3
    assert [memory.memory_number for memory in memories] == list(range(len(kept)))
    assert [memory.round for memory in memories] == sorted(kept.round.tolist())
    assert {memory.user_id for memory in memories} == {user_id}
    items = run.data.catalog.item_ids
    assert [memory.item_id for memory in memories] == [
        items[item] if item >= 0 else "" for item in kept.item
    ]
    assert all(memory.text and memory.kind for memory in memories)


async def test_reads_of_unknown_runs_and_users_are_not_found(played: Desk):
    stub = played.observe
    for call in (
        stub.ListUsers(observe.ListUsersRequest(run_id="none")),
        stub.ListRelations(observe.ListRelationsRequest(run_id="none")),
        stub.ListMemories(observe.ListMemoriesRequest(run_id="none", user_id="u000000")),
        stub.ListRecommenders(observe.ListRecommendersRequest(run_id="none")),
        stub.ListRelations(observe.ListRelationsRequest(run_id="run", user_id="nobody")),
        stub.ListMemories(observe.ListMemoriesRequest(run_id="run", user_id="nobody")),
        stub.ListMemories(observe.ListMemoriesRequest(run_id="run")),
    ):
        code, _ = await refusal(call)
        assert code is CODE.NOT_FOUND


async def test_recommenders_are_listed_with_their_health(desk: Desk):
    arms = [runs.Arm(recommender_id=name) for name in ("fixed", "other")]
    await desk.create(arms=arms, round_limit=2)
    async with serving(desk.server), serving(desk.server, "other"):
        run = await desk.step(1)
        ask = observe.ListRecommendersRequest
        first, second = await pages(desk.observe.ListRecommenders, ask, "recommenders", 1)
        assert (first.recommender_id, second.recommender_id) == ("fixed", "other")
        for one, arm in ((first, 0), (second, 1)):
            assert one.connected
            lists = log_of(run).of(EventKind.PAGE)
            assert one.accepted == (run.arm_of_user[lists.user] == arm).sum()
            assert (one.violations, one.rejected, one.late, one.fallback) == (0, 0, 0, 0)
            assert one.p50_latency.ToMicroseconds() > 0
            assert one.p50_latency.ToMicroseconds() <= one.p99_latency.ToMicroseconds()


async def test_a_recommender_that_is_awaited_is_listed_as_not_connected(desk: Desk):
    await desk.create()
    run = await desk.start()
    async with asyncio.timeout(PATIENCE):
        seen = -1
        while not run.recommenders:
            seen = await run.changed(seen)
    ask = observe.ListRecommendersRequest(run_id="run")
    (one,) = (await desk.observe.ListRecommenders(ask)).recommenders
    assert (one.recommender_id, one.connected) == ("fixed", False)
    assert not one.HasField("p50_latency")


async def test_readers_may_come_in_the_middle_of_a_run(desk: Desk):
    await desk.create(arms=[runs.Arm(recommender_id="raw")])
    run = await desk.start()
    async with RawClient(desk.server.address) as client:
        await client.join()
        await client.serve(until=lambda message: message.round_started.round == 2)
        await until(run, 1)
        users = await pages(desk.observe.ListUsers, observe.ListUsersRequest, "users", 40)
        assert [user.watches for user in users] == run.world.watches.tolist()
        assert (await desk.get()).state == runs.RUN_STATE_RUNNING
        await client.serve()
    await finished(run)


# -------------------------------------------------------------------- the table of statuses
def tree() -> list[type[RecArenaError]]:
    return [
        one
        for _, one in inspect.getmembers(errors, inspect.isclass)
        if issubclass(one, RecArenaError)
    ]


def test_every_error_has_a_row_in_the_table_of_statuses():
    assert set(status.CODES) == set(tree())


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_a_status_has_the_public_text_and_the_reason(kind: type[RecArenaError]):
    found = status.of_error(kind("what was wrong"))
    assert (found.code, found.message) == (status.CODES[kind].value[0], "what was wrong")
    assert reason_of(found) == kind.__name__.upper()


def test_an_error_made_elsewhere_has_the_status_of_its_base():
    class Torn(errors.SessionLost):
        pass

    assert status.of_error(Torn("s1")).code == CODE.UNAVAILABLE.value[0]


def test_at_most_sixteen_wrong_fields_are_named():
    fields = tuple((f"field{number}", "is wrong") for number in range(40))
    found = status.of_error(InputError("much is wrong", where="run", fields=fields))
    assert fields_of(found) == [f"field{number}" for number in range(16)]


def test_every_error_is_drawn_in_the_tree():
    assert errors.__doc__
    for kind in tree():
        assert kind.__name__ in errors.__doc__
