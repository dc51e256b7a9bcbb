"""The RPCs that an observatory calls, over made-up runs."""

from __future__ import annotations

from typing import Any, cast

import grpc
from google.protobuf.message import Message

from recarena.server.errors import AlreadyThere, Changed
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import (
    simulation_control_service_pb2_grpc,
    simulation_inquiry_service_pb2,
    simulation_inquiry_service_pb2_grpc,
    simulation_observe_service_pb2_grpc,
    simulation_steering_service_pb2,
    simulation_steering_service_pb2_grpc,
)
from support.observatory.plays import Pace, Play
from support.observatory.staging import Service, Stage, answering, paged
from support.observatory.watching import Observe


class Control(Service, simulation_control_service_pb2_grpc.SimulationControlServiceServicer):
    def _play(self, request: Any) -> Play:
        play = self.stage.play(request.run_id)
        if request.etag and request.etag != play.message().etag:
            raise Changed(f"run {play.run_id} has changed")
        return play

    @answering
    async def CreateRun(self, request: control_pb.CreateRunRequest) -> Message:
        run_id = request.run.run_id or f"run-{len(self.stage.plays) + 1}"
        if run_id in self.stage.plays:
            raise AlreadyThere(f"there is a run {run_id} already")
        like = next(iter(self.stage.plays.values()))
        pace = Pace(request.run.round_limit or 100, like.pace.events, like.pace.every_s)
        play = Play(run_id, like.founding, pace, request.run.seed, like.llm)
        if not request.validate_only:
            self.stage.plays[run_id] = play
        return control_pb.CreateRunResponse(run=play.message())

    @answering
    async def GetRun(self, request: control_pb.GetRunRequest) -> Message:
        return control_pb.GetRunResponse(run=self.stage.play(request.run_id).message())

    @answering
    async def ListRuns(self, request: control_pb.ListRunsRequest) -> Message:
        ordered = [self.stage.plays[one] for one in sorted(self.stage.plays)]
        page, token = paged(ordered, request, 100, 1000)
        runs = [one.message() for one in page]
        return control_pb.ListRunsResponse(runs=runs, next_page_token=token)

    @answering
    async def StartRun(self, request: control_pb.StartRunRequest) -> Message:
        play = self._play(request)
        play.start()
        return control_pb.StartRunResponse(run=play.message())

    @answering
    async def PauseRun(self, request: control_pb.PauseRunRequest) -> Message:
        play = self.stage.play(request.run_id)
        play.pause()
        return control_pb.PauseRunResponse(run=play.message())

    @answering
    async def StepRun(self, request: control_pb.StepRunRequest) -> Message:
        play = self._play(request)
        play.start(max(request.rounds, 1))
        return control_pb.StepRunResponse(run=play.message())

    @answering
    async def StopRun(self, request: control_pb.StopRunRequest) -> Message:
        play = self.stage.play(request.run_id)
        await play.stop()
        return control_pb.StopRunResponse(run=play.message())

    @answering
    async def ResetRun(self, request: control_pb.ResetRunRequest) -> Message:
        play = self._play(request)
        await play.reset(request.seed if request.HasField("seed") else None)
        return control_pb.ResetRunResponse(run=play.message())

    @answering
    async def ForkRun(self, request: control_pb.ForkRunRequest) -> Message:
        play = self.stage.play(request.run_id)
        run_id = request.new_run_id or f"{play.run_id}-fork-{len(self.stage.plays)}"
        if run_id in self.stage.plays:
            raise AlreadyThere(f"there is a run {run_id} already")
        self.stage.plays[run_id] = fork = play.fork(request.round, run_id)
        return control_pb.ForkRunResponse(run=fork.message())


class Steering(Service, simulation_steering_service_pb2_grpc.SimulationSteeringServiceServicer):
    @answering
    async def Intervene(self, request: simulation_steering_service_pb2.InterveneRequest) -> Message:
        play = self.stage.play(request.run_id)
        if request.epoch and request.epoch != play.epoch:
            raise Changed(f"the run is in epoch {play.epoch}")
        made = play.intervene(request.intervention)
        return simulation_steering_service_pb2.InterveneResponse(intervention=made)

    @answering
    async def TakeTurn(self, request: simulation_steering_service_pb2.TakeTurnRequest) -> Message:
        play = self.stage.play(request.run_id)
        play.take(self.stage.user(play, request.user_id), request.turn_id, request.decision)
        return simulation_steering_service_pb2.TakeTurnResponse()


class Inquiry(Service, simulation_inquiry_service_pb2_grpc.SimulationInquiryServiceServicer):
    @answering
    async def AskUsers(self, request: simulation_inquiry_service_pb2.AskUsersRequest) -> Message:
        play = self.stage.play(request.run_id)
        made = simulation_inquiry_service_pb2.AskUsersResponse(judge=request.judge.kind)
        for one in request.inquiries:
            self.stage.user(play, one.user_id)
            answer = made.answers.add(inquiry_id=one.inquiry_id)
            if request.judge.kind == "choice":
                answer.missing.reason = simulation_inquiry_service_pb2.Missing.REASON_NOT_ABLE
            else:
                answer.words.text = f"You asked: {one.talk.question}"
        return made


def add_to(server: grpc.aio.Server, stage: Stage) -> None:
    """Adds every service."""
    simulation_control_service_pb2_grpc.add_SimulationControlServiceServicer_to_server(
        cast("Any", Control(stage)), server
    )
    simulation_observe_service_pb2_grpc.add_SimulationObserveServiceServicer_to_server(
        cast("Any", Observe(stage)), server
    )
    simulation_steering_service_pb2_grpc.add_SimulationSteeringServiceServicer_to_server(
        cast("Any", Steering(stage)), server
    )
    simulation_inquiry_service_pb2_grpc.add_SimulationInquiryServiceServicer_to_server(
        cast("Any", Inquiry(stage)), server
    )
