"""Driving mirrored runs: the same world for everybody, and failures said, not hidden."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest

from recarena.evaluation.playing.arena import play
from recarena.evaluation.playing.channels import open_channel
from recarena.evaluation.playing.mirrored import Bout, Conduct, Played, mirrored, run_name
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


class Server(SimulationControlServiceServicer, SimulationObserveServiceServicer):
    """Plays every run at once; runs of the recommender "broken" fail after a round."""

    def __init__(self) -> None:
        self.runs: dict[str, runs.Run] = {}
        self.requests: list[str] = []
        self.watching = self.most_watching = 0

    async def CreateRun(self, request: control.CreateRunRequest, context: grpc.aio.ServicerContext):
        self.requests.append(request.request_id)
        if request.run.arms[0].recommender_id == "refused":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "run.arms[0]: no")
        run = runs.Run()
        run.CopyFrom(request.run)
        run.folder = f"runs/{run.run_id}"
        self.runs[run.run_id] = run
        return control.CreateRunResponse(run=run)

    async def StartRun(self, request: control.StartRunRequest, context: object):
        self.requests.append(request.request_id)
        run = self.runs[request.run_id]
        run.state = runs.RUN_STATE_RUNNING
        return control.StartRunResponse(run=run)

    async def GetRun(self, request: control.GetRunRequest, context: object):
        return control.GetRunResponse(run=self.runs[request.run_id])

    async def StreamEvents(
        self, request: observe.StreamEventsRequest, context: object
    ) -> AsyncIterator[observe.StreamEventsResponse]:
        assert request.summaries_only
        self.watching += 1
        self.most_watching = max(self.most_watching, self.watching)
        run = self.runs[request.run_id]
        broken = run.arms[0].recommender_id == "broken"
        yield observe.StreamEventsResponse(run_changed=run)
        for round in range(1, 2 if broken else run.round_limit + 1):
            run.round = round
            summary = runs.RoundSummary(round=round)
            yield observe.StreamEventsResponse(round=round, round_ended=summary)
        run.state = runs.RUN_STATE_FAILED if broken else runs.RUN_STATE_SUCCEEDED
        if broken:
            run.error.message = "the disk is full"
        self.watching -= 1
        yield observe.StreamEventsResponse(run_changed=run)

    async def ListRuns(self, request: object, context: object): ...
    async def PauseRun(self, request: object, context: object): ...
    async def StepRun(self, request: object, context: object): ...
    async def StopRun(self, request: object, context: object): ...
    async def ResetRun(self, request: object, context: object): ...
    async def ForkRun(self, request: object, context: object): ...
    async def ListRecommenders(
        self, request: observe.ListRecommendersRequest, context: object
    ) -> observe.ListRecommendersResponse:
        names = [arm.recommender_id for arm in self.runs[request.run_id].arms]
        return observe.ListRecommendersResponse(
            recommenders=[
                runs.RecommenderStatus(recommender_id=name, software=f"{name} 2", unsolicited=3)
                for name in names
            ]
        )

    async def ListUsers(self, request: object, context: object): ...
    async def ListRelations(self, request: object, context: object): ...
    async def ListMemories(self, request: object, context: object): ...


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    grpc_server = grpc.aio.server()
    add_SimulationControlServiceServicer_to_server(server, grpc_server)
    add_SimulationObserveServiceServicer_to_server(server, grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    await grpc_server.start()
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await grpc_server.stop(None)


def test_copies_of_a_world_share_users_and_seed_and_different_worlds_share_neither():
    bouts = mirrored(["a", "b"], worlds=2, users=50, seed=7)
    assert bouts == [
        Bout("w0-a", ("a",), "new:users=50,seed=7", 7),
        Bout("w0-b", ("b",), "new:users=50,seed=7", 7),
        Bout("w1-a", ("a",), "new:users=50,seed=8", 8),
        Bout("w1-b", ("b",), "new:users=50,seed=8", 8),
    ]


def test_runs_of_long_names_have_names_that_servers_take():
    names = [letter * 63 for letter in "ab"] + ["ease"]
    made = [run_name(world, name) for world in (0, 123) for name in names]
    assert made[2] == "w0-ease"
    assert len(set(made)) == len(made)
    assert all(len(name) <= 63 for name in made)


async def test_every_bout_is_played_to_its_end_and_every_round_reported():
    server = Server()
    bouts = mirrored(["a", "b"], 3, 10, 1)
    seen: list[tuple[str, int]] = []
    async with serving(server) as channel:
        played = await play(
            channel,
            bouts,
            2,
            {"a": 8, "b": 8},
            lambda bout, round: seen.append((bout.run_id, round)),
        )
    assert played == [
        Played(
            bout,
            Path("runs") / bout.run_id,
            2,
            "",
            {bout.recommender: Conduct(f"{bout.recommender} 2", unsolicited=3, quarantined=0)},
        )
        for bout in bouts
    ]
    assert sorted(seen) == sorted((bout.run_id, round) for bout in bouts for round in (1, 2))
    assert len(set(server.requests)) == 2 * len(bouts)
    run = server.runs["w2-b"]
    assert (run.seed, run.world, run.round_limit) == (3, "new:users=10,seed=3", 2)
    assert [(arm.arm_id, arm.recommender_id) for arm in run.arms] == [("b", "b")]


async def test_a_recommender_plays_no_more_worlds_at_once_than_it_has_sessions():
    server = Server()
    async with serving(server) as channel:
        await play(channel, mirrored(["a"], 6, 10, 1), 3, {"a": 2}, lambda *_: None)
    assert server.most_watching <= 2


async def test_a_failed_run_is_reported_with_its_error_and_the_others_go_on():
    async with serving(Server()) as channel:
        good, broken = await play(
            channel,
            mirrored(["good", "broken"], 1, 10, 1),
            3,
            {"good": 8, "broken": 8},
            lambda *_: None,
        )
    assert (good.error, good.rounds) == ("", 3)
    assert (broken.error, broken.rounds) == ("failed: the disk is full", 1)


async def test_a_refused_run_is_an_error_of_the_call():
    async with serving(Server()) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await play(
                channel,
                mirrored(["refused", "a"], 1, 10, 1),
                3,
                {"refused": 8, "a": 8},
                lambda *_: None,
            )
    assert caught.value.details() == "run.arms[0]: no"
