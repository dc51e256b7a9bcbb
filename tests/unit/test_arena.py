"""Playing on a server that is there: going on, giving up, and nobody paying for another's end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc.aio
import pytest

from recarena.evaluation.playing.arena import Arena, Watch
from recarena.evaluation.playing.channels import Access, open_channel
from recarena.evaluation.playing.mirrored import Bout, Played
from recarena.v1 import run_pb2 as runs
from recarena.v1 import simulation_control_service_pb2 as control
from recarena.v1 import simulation_observe_service_pb2 as observe
from recarena.v1.simulation_control_service_pb2_grpc import (
    SimulationControlServiceServicer,
    add_SimulationControlServiceServicer_to_server,
)
from recarena.v1.simulation_observe_service_pb2_grpc import (
    SimulationObserveServiceServicer,
    add_SimulationObserveServiceServicer_to_server,
)

ROUNDS = 2


class Server(SimulationControlServiceServicer, SimulationObserveServiceServicer):
    """Plays runs at once, but those of "slow", which wait for it for ever."""

    def __init__(self) -> None:
        self.runs: dict[str, runs.Run] = {}
        self.calls: list[str] = []
        self.tokens: set[str] = set()
        self.live: list[str] = []
        self.most_live = 0

    def there(self, run_id: str, state: runs.RunState.ValueType, **more: Any) -> None:
        """A run that was made before."""
        self.runs[run_id] = runs.Run(run_id=run_id, state=state, folder=f"runs/{run_id}", **more)

    def _called(self, what: str, run_id: str, context: Any) -> None:
        self.calls.append(f"{what} {run_id}")
        self.tokens |= {
            value for key, value in context.invocation_metadata() if key == "authorization"
        }

    async def CreateRun(self, request: control.CreateRunRequest, context: grpc.aio.ServicerContext):
        self._called("create", request.run.run_id, context)
        if request.run.run_id in self.runs:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "it is there")
        run = runs.Run()
        run.CopyFrom(request.run)
        run.state, run.folder = runs.RUN_STATE_CREATED, f"runs/{run.run_id}"
        self.runs[run.run_id] = run
        return control.CreateRunResponse(run=run)

    async def StartRun(self, request: control.StartRunRequest, context: object):
        self._called("start", request.run_id, context)
        self.runs[request.run_id].state = runs.RUN_STATE_WAITING_FOR_RECOMMENDERS
        return control.StartRunResponse()

    async def StopRun(self, request: control.StopRunRequest, context: object):
        self._called("stop", request.run_id, context)
        self.runs[request.run_id].state = runs.RUN_STATE_STOPPED
        return control.StopRunResponse()

    async def ResetRun(self, request: control.ResetRunRequest, context: object):
        self._called("reset", request.run_id, context)
        run = self.runs[request.run_id]
        run.state, run.round = runs.RUN_STATE_CREATED, 0
        return control.ResetRunResponse(run=run)

    async def GetRun(self, request: control.GetRunRequest, context: object):
        return control.GetRunResponse(run=self.runs[request.run_id])

    async def StreamEvents(
        self, request: observe.StreamEventsRequest, context: object
    ) -> AsyncIterator[observe.StreamEventsResponse]:
        self._called("watch", request.run_id, context)
        run = self.runs[request.run_id]
        self.live.append(run.run_id)
        self.most_live = max(self.most_live, len(self.live))
        yield observe.StreamEventsResponse(run_changed=run)
        if "slow" in run.run_id:
            await asyncio.Event().wait()
        run.state = runs.RUN_STATE_RUNNING
        yield observe.StreamEventsResponse(run_changed=run)
        for round in range(1, ROUNDS + 1):
            run.round = round
            yield observe.StreamEventsResponse(round_ended=runs.RoundSummary(round=round))
        run.state = runs.RUN_STATE_SUCCEEDED
        self.live.remove(run.run_id)
        yield observe.StreamEventsResponse(run_changed=run)

    async def ListRecommenders(self, request: object, context: object):
        return observe.ListRecommendersResponse()

    async def ListRuns(self, request: object, context: object): ...
    async def PauseRun(self, request: object, context: object): ...
    async def StepRun(self, request: object, context: object): ...
    async def ForkRun(self, request: object, context: object): ...
    async def ListUsers(self, request: object, context: object): ...
    async def ListRelations(self, request: object, context: object): ...
    async def ListMemories(self, request: object, context: object): ...


@asynccontextmanager
async def arena(server: Server, *names: str, token: str = "") -> AsyncIterator[Arena]:
    grpc_server = grpc.aio.server()
    add_SimulationControlServiceServicer_to_server(server, grpc_server)
    add_SimulationObserveServiceServicer_to_server(server, grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    await grpc_server.start()
    try:
        async with open_channel(Access(f"127.0.0.1:{port}", token)) as channel:
            yield Arena(dict.fromkeys(names, channel), dict.fromkeys(names, 8))
    finally:
        await grpc_server.stop(None)


def bout(name: str, *with_: str, world: int = 0) -> Bout:
    return Bout(f"w{world}-{name}", (name, *with_), "new:users=2", 1)


async def test_runs_that_are_there_are_gone_on_with_and_ended_ones_left_alone():
    server = Server()
    server.there("w0-done", runs.RUN_STATE_SUCCEEDED, round=ROUNDS)
    server.there("w0-half", runs.RUN_STATE_PAUSED, round=1)
    server.there("w0-broken", runs.RUN_STATE_FAILED, round=1)
    server.there("w0-again", runs.RUN_STATE_STOPPED, round=1)
    names = ("done", "half", "broken", "again", "fresh")
    async with arena(server, *names) as there:
        there = replace(there, goes_on=True, again=["w0-again"])
        played = await there.play([bout(name) for name in names], ROUNDS, Watch())
    assert [(one.rounds, one.error) for one in played] == [
        (2, ""), (2, ""), (1, "failed"), (2, ""), (2, ""),
    ]  # fmt: skip
    driven = [call for call in server.calls if call.split()[0] in ("start", "reset")]
    assert sorted(driven) == [
        "reset w0-again", "start w0-again", "start w0-fresh", "start w0-half",
    ]  # fmt: skip


async def test_a_run_that_is_there_is_refused_where_it_was_to_be_new():
    server = Server()
    server.there("w0-a", runs.RUN_STATE_PAUSED)
    async with arena(server, "a") as there:
        with pytest.raises(grpc.aio.AioRpcError, match="it is there"):
            await there.play([bout("a")], ROUNDS, Watch())


async def test_the_runs_of_one_that_is_gone_are_stopped_and_the_others_go_on():
    server = Server()
    ended: list[str] = []
    async with arena(server, "slow", "good") as there:
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def waiting(one: Bout) -> None:
            if one.recommender == "slow" and not gone.done():
                gone.set_result("slow was ended by signal SIGKILL")

        there = replace(there, lost={"slow": gone}, at_once={"slow": 1, "good": 1})
        bouts = [bout(name, world=world) for world in (0, 1) for name in ("slow", "good")]
        watch = Watch(waiting=waiting, ended=lambda one: ended.append(one.bout.run_id))
        played = await there.play(bouts, ROUNDS, watch)
    assert [(one.bout.run_id, one.error) for one in played] == [
        ("w0-slow", "slow was ended by signal SIGKILL"),
        ("w0-good", ""),
        ("w1-slow", "slow was ended by signal SIGKILL"),
        ("w1-good", ""),
    ]
    assert sorted(ended) == sorted(one.run_id for one in bouts)
    assert "stop w0-slow" in server.calls
    assert "create w1-slow" not in server.calls


@pytest.mark.parametrize("stops", [True, False])
async def test_runs_are_stopped_on_a_server_that_lives_on_when_playing_is_cancelled(stops: bool):
    server = Server()
    async with arena(server, "slow") as there:
        waits = asyncio.Event()
        watch = Watch(waiting=lambda _: waits.set())
        task = asyncio.create_task(replace(there, stops=stops).play([bout("slow")], ROUNDS, watch))
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ("stop w0-slow" in server.calls) is stops


async def test_several_share_a_run_and_a_run_is_made_with_what_is_asked_last():
    server = Server()
    async with arena(server, "a", "b") as there:
        there = replace(there, made_with=lambda one: replace(one, settings={"memory": {}}))
        (played,) = await there.play([bout("b", "a")], ROUNDS, Watch())
    run = server.runs["w0-b"]
    assert [arm.recommender_id for arm in run.arms] == ["b", "a"]
    assert "memory" in run.settings
    assert isinstance(played, Played)
    assert played.bout.recommender == "b+a"


async def test_no_more_runs_than_allowed_are_under_way():
    server = Server()
    async with arena(server, "a", "b", "c") as there:
        bouts = [bout(name, world=world) for world in range(4) for name in "abc"]
        await replace(there, runs_at_once=2).play(bouts, ROUNDS, Watch())
    assert server.most_live <= 2
    assert len(server.runs) == len(bouts)


async def test_a_token_goes_with_every_call():
    server = Server()
    async with arena(server, "a", token="secret") as there:
        await there.play([bout("a")], ROUNDS, Watch())
    assert server.tokens == {"Bearer secret"}
